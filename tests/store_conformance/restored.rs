//! What becomes of a state that is not the newest that there was.

use std::sync::Arc;
use std::time::Duration;

use bff::app::{Ledger, Restoration};
use bff::clock::Clock;
use bff::oauth::InitialAccessToken;
use bff::registration::TokenFingerprint;
use bff::secret::Secret;
use bff::store::Store;
use serde_json::json;

use crate::files::{Files, Layout};
use crate::samples::{rev, state};
use crate::site::Site as _;

#[test]
fn a_state_before_the_damage_is_marked_whatever_goes_wrong_until_it_is_accepted() {
    let mut failed = 0;
    for number in 0.. {
        let site = damaged();
        let Some(failing) = site.open_failing(number) else {
            break;
        };

        if let Ok(ledger) = load(failing) {
            is_marked(&ledger, number);
        }
        let ledger = load(site.reopen()).unwrap();
        is_marked(&ledger, number);
        failed += usize::from(ledger.fell_back().is_some());
        // The mark is there, or the damage is.
        let again = load(site.reopen()).unwrap();
        is_marked(&again, number);
        assert!(again.fell_back().is_none(), "{number}");

        accept(&again);
        let accepted = load(site.reopen()).unwrap();
        assert!(accepted.state().restored().is_none(), "{number}");
        assert!(accepted.state().spent().contains(&token()), "{number}");
        let kept = site.read("state.damaged-1.json");
        assert_eq!(kept.as_deref(), Some(&b"{"[..]), "{number}");
    }
    assert!(failed > 0, "nothing went wrong");
}

/// Two revisions, the newer one damaged.
fn damaged() -> Files {
    let site = Files::simulated(Layout::OneDirectory);
    let (store, state) = (site.open(), state(&json!({})));
    store.commit(&state, rev(0)).unwrap();
    store.commit(&state, rev(1)).unwrap();
    site.write("state.json", b"{");
    site
}

fn load(store: Arc<dyn Store>) -> Result<Ledger, bff::store::LoadError> {
    let restoration = Restoration::new(Clock::system(), vec![token()]);
    Ledger::load(store, Duration::ZERO, restoration)
}

#[track_caller]
fn is_marked(ledger: &Ledger, number: usize) {
    let state = ledger.state();
    let restored = state.restored();
    let tokens = restored.map(|restored| &restored.tokens[..]);
    assert!(
        tokens.is_some_and(|tokens| tokens.contains(&token())),
        "{number}"
    );
    assert!(state.minted().is_none(), "{number}");
}

fn accept(ledger: &Ledger) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let now = Clock::system().now();
    let accepted = runtime.block_on(ledger.record(|state| state.accept_restore(now)));
    assert!(accepted.unwrap());
}

fn token() -> TokenFingerprint {
    TokenFingerprint::of(&InitialAccessToken(Secret::new("iat-configured")))
}
