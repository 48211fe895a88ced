//! What is done about a state that is not the newest that there was.

use crate::clock::Clock;
use crate::registration::TokenFingerprint;
use crate::state::{Rev, State};
use crate::store::{BadDocument, CommitError, Loaded, Revision, Store};

use super::error_chain::chain;

/// What the mark of a restored state says.
#[derive(Debug)]
pub struct Restoration {
    clock: Clock,
    tokens: Vec<TokenFingerprint>,
}

impl Restoration {
    /// A mark with the time of this clock, and these tokens as perhaps spent: the configured ones.
    pub fn new(clock: Clock, tokens: Vec<TokenFingerprint>) -> Self {
        Self { clock, tokens }
    }

    /// The state that a start would go on with; nothing is committed or said.
    pub fn foresee(&self, loaded: Loaded) -> State {
        self.marked(loaded).0
    }

    /// The state, and whether it is marked as older than the newest that there was.
    fn marked(&self, loaded: Loaded) -> (State, bool) {
        let Loaded {
            mut state,
            rev,
            fell_back,
            later,
        } = loaded;
        let reason = match (&fell_back, &later) {
            (None, None) => return (state, false),
            (Some(damage), _) => format!("the newest document was damaged ({damage})"),
            (None, Some(later)) => format!("revision {rev} is used after revision {}", later.rev),
        };
        if let Some(later) = later {
            state.keep_revoked(&later.revoked);
        }
        state.note_restored(&reason, self.clock.now(), self.tokens.clone());
        (state, true)
    }

    /// The state to go on with, and its revision in the store; none where that is not known. One
    /// that is not the newest is marked before anything else is committed. Blocks.
    pub(super) fn go_on(&self, store: &dyn Store, loaded: Loaded) -> (State, Option<Rev>) {
        let rev = loaded.rev;
        match (&loaded.fell_back, &loaded.later) {
            (Some(damage), _) => tell_damage(damage, rev),
            (None, Some(later)) => tell_older(later, rev),
            (None, None) => {}
        }
        let (state, is_older) = self.marked(loaded);
        if !is_older {
            return (state, Some(rev));
        }
        let rev = match store.commit(&state, rev) {
            Ok(rev) => Some(rev),
            Err(error) => {
                tracing::error!(
                    rev = rev.number(),
                    "The state could not be marked as restored: {}; hint: {}",
                    chain(&error),
                    error.hint()
                );
                let is_known = matches!(error, CommitError::NotCommitted { .. });
                is_known.then_some(rev)
            }
        };
        (state, rev)
    }
}

/// Says that the newest document is damaged, and which one is used in its place.
pub(super) fn tell_damage(damage: &BadDocument, rev: Rev) {
    tracing::error!(
        rev = rev.number(),
        "The state document is damaged ({damage}); the revision before it is used; hint: look for \
         a client at the IdP that is not known here (docs/restore.md), then `bff register \
         --after-restore`"
    );
}

fn tell_older(later: &Revision, rev: Rev) {
    tracing::error!(
        rev = rev.number(),
        "The state document is older than revision {}, which was in place before; keys revoked \
         since stay so; hint: look for a client at the IdP that is not known here \
         (docs/restore.md), then `bff register --after-restore`",
        later.rev
    );
}
