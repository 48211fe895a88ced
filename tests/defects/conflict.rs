//! Somebody else commits to the same store.

use std::sync::Arc;

use bff::registration::MintedIat;
use bff::rotator::{Mode, Order};
use bff::secret::Secret;
use bff::state::State;
use jiff::Timestamp;

use crate::scene::{KeysOnly, TICK, agree, commit_beside, store};
use crate::support::elapse;
use crate::support::volume::Volume;
use crate::wall::{Then, Wall};

#[tokio::test(start_paused = true)]
async fn after_a_foreign_commit_the_next_order_works_and_both_changes_are_kept() {
    let (volume, wall) = (Volume::new(), Wall::new());
    let service = KeysOnly::open(&volume, &wall, &[("DCR_ENABLED", "false")]).await;
    for round in ["one", "two", "three"] {
        mint(&volume, &wall, round);
        let order = Order {
            mode: Mode::Compromised,
            alg: None,
        };

        let kid = service.rotator.order(order).await.unwrap().kid.unwrap();

        agree(&service.app, &volume, &kid);
        assert_eq!(volume.state()["minted"]["token"], round);
        assert_eq!(minted(&service.app.ledger.state()), round);
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_commit_in_the_middle_of_an_order_is_kept_too() {
    let (volume, wall) = (Volume::new(), Wall::new());
    let service = KeysOnly::open(&volume, &wall, &[("DCR_ENABLED", "false")]).await;
    let (beside, app) = (store(volume.path()), Arc::clone(&service.app));
    let at = wall.now();
    wall.before_telling(move || {
        if app.ledger.state().intended_key().is_none() {
            return Then::Again;
        }
        commit_beside(&beside, |state| state.mint(token_of("theirs", at), at));
        Then::NeverAgain
    });

    let report = service.rotator.order(Order::default()).await.unwrap();

    let state = service.app.ledger.state();
    assert!(wall.has_acted());
    assert_eq!(minted(&state), "theirs");
    let next = state.ring().unwrap().next().map(|next| &next.jwk.kid);
    assert_eq!(next, report.kid.as_ref());
    let stored = volume.state();
    assert_eq!(stored["ring"]["next"]["jwk"]["kid"], next.unwrap().as_str());
    assert_eq!(stored["minted"]["token"], "theirs");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_commits_is_known_at_the_next_tick() {
    let (volume, wall) = (Volume::new(), Wall::new());
    let service = KeysOnly::open(&volume, &wall, &[("DCR_ENABLED", "false")]).await;

    mint(&volume, &wall, "theirs");
    elapse(TICK).await;

    assert_eq!(minted(&service.app.ledger.state()), "theirs");
}

fn mint(volume: &Volume, wall: &Wall, token: &str) {
    let at = wall.now();
    commit_beside(&store(volume.path()), |state| {
        state.mint(token_of(token, at), at);
    });
}

fn minted(state: &State) -> String {
    let minted = state.minted().map(|minted| minted.token.expose());
    minted.unwrap_or_default().to_owned()
}

fn token_of(token: &str, at: Timestamp) -> MintedIat {
    MintedIat {
        token: Secret::new(token),
        at,
        valid_at: None,
        expires_at: None,
    }
}
