//! What is not settled about the client, for whoever looks at a log, the health or the status.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::registration::Blocked;
use crate::state::State;

/// Something that an operator should settle, or that time will.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Unsettled {
    /// A registration whose outcome is not known.
    Attempt {
        /// The issuer asked.
        issuer: String,
        /// When it began.
        started_at: Timestamp,
        /// Whether an initial access token went with it.
        with_token: bool,
        /// The client whose place the new one was to take.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        present: Option<String>,
    },
    /// A client that is to take the place of the present one.
    Candidate {
        /// The client.
        client_id: String,
        /// The present one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        present: Option<String>,
        /// For how many seconds it was rejected.
        rejected_s: u64,
    },
    /// The IdP does not know the client any more, as far as can be told.
    Gone {
        /// The client.
        client_id: String,
        /// Since when.
        since: Timestamp,
        /// Whether the IdP answers an unknown client otherwise than a wrong key.
        certain: bool,
        /// Whether the IdP lets everybody register.
        open: bool,
    },
    /// A client that is no longer used and may still exist.
    Orphan {
        /// The client.
        client_id: String,
        /// Where it is known.
        issuer: String,
        /// Since when it is not used.
        since: Timestamp,
    },
    /// An older state than there was is in use, and nobody has accepted it.
    Restored {
        /// Since when.
        since: Timestamp,
        /// How that is known.
        reason: String,
    },
}

/// The same with what can be read and done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct UnsettledReport {
    /// The facts.
    #[serde(flatten)]
    pub what: Unsettled,
    /// In words.
    pub text: String,
    /// What an operator can do.
    pub hint: String,
}

impl Unsettled {
    /// All that is not settled in a state.
    pub fn of(state: &State) -> Vec<Self> {
        let present = state.registration().map(|client| client.client_id.clone());
        let restored = state.restored().map(|restored| Self::Restored {
            since: restored.since,
            reason: restored.reason.clone(),
        });
        let attempt = state.attempt().map(|attempt| Self::Attempt {
            issuer: attempt.issuer.clone(),
            started_at: attempt.started_at,
            with_token: attempt.token.is_some(),
            present: present.clone(),
        });
        let candidate = state.candidate().map(|candidate| Self::Candidate {
            client_id: candidate.client.client_id.clone(),
            present,
            rejected_s: candidate.rejected_s,
        });
        let gone = state.gone().map(|gone| Self::Gone {
            client_id: gone.client_id.clone(),
            since: gone.since,
            certain: gone.certain,
            open: state.registration().is_some_and(|client| client.open),
        });
        let orphans = state.orphans().iter().map(|orphan| Self::Orphan {
            client_id: orphan.client_id.clone(),
            issuer: orphan.issuer.clone(),
            since: orphan.since,
        });
        [restored, attempt, candidate, gone]
            .into_iter()
            .flatten()
            .chain(orphans)
            .collect()
    }

    /// Says at a start what is not settled beside the client that we are. That a candidate is rejected
    /// and that the client is gone is said where it is found.
    pub fn log(state: &State) {
        let Some(client) = state.registration() else {
            return;
        };
        for unsettled in Self::of(state) {
            if !matches!(unsettled, Self::Candidate { .. } | Self::Gone { .. }) {
                tracing::warn!(
                    client.id = %client.client_id,
                    "Not settled: {unsettled}; hint: {}",
                    unsettled.hint()
                );
            }
        }
    }

    /// What an operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Attempt {
                present: Some(_),
                with_token: true,
                ..
            } => {
                "look for it at the IdP: take it over with `bff register --adopt`, or delete it; to \
                 try again, set a fresh DCR_IAT and DCR_FORCE_REPLACE=true"
            }
            Self::Attempt { with_token, .. } => Blocked::hint_for_unknown(*with_token),
            Self::Candidate { .. } => {
                "it is tried every minute and given up after an hour of rejections; the IdP's log \
                 says why it rejects the client assertion"
            }
            Self::Gone { certain, open, .. } => Blocked::hint_for_gone(*certain, *open),
            Self::Orphan { .. } => {
                "it is deleted at a start, at most once an hour, where the IdP allows it; else \
                 delete it there"
            }
            Self::Restored { .. } => {
                "compare with the clients at the IdP (docs/restore.md), then run `bff register \
                 --after-restore`"
            }
        }
    }

    /// With what can be read and done.
    pub fn report(self) -> UnsettledReport {
        UnsettledReport {
            text: self.to_string(),
            hint: self.hint().to_owned(),
            what: self,
        }
    }
}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempt {
                issuer,
                started_at,
                present,
                ..
            } => {
                write!(
                    f,
                    "the registration of {started_at} at {issuer} has no usable answer, so a client \
                     may exist"
                )?;
                match present {
                    Some(present) => write!(f, " that was to replace client `{present}`"),
                    None => Ok(()),
                }
            }
            Self::Candidate {
                client_id,
                present,
                rejected_s,
            } => write!(
                f,
                "client `{client_id}` is to replace client `{}`, and the IdP does not accept it yet; \
                 it was rejected for {rejected_s} s",
                present.as_deref().unwrap_or_default()
            ),
            Self::Gone {
                client_id,
                since,
                certain,
                ..
            } => {
                let perhaps = if *certain { "" } else { "perhaps " };
                write!(
                    f,
                    "the IdP {perhaps}does not know client `{client_id}` any more, since {since}"
                )
            }
            Self::Orphan {
                client_id,
                issuer,
                since,
            } => write!(
                f,
                "client `{client_id}` at {issuer} is not used since {since}, and still exists as far \
                 as is known"
            ),
            Self::Restored { since, reason } => write!(
                f,
                "an older state is in use since {since} ({reason}); nothing is sent that could make, \
                 change or delete a client"
            ),
        }
    }
}
