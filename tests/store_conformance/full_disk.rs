//! A disk without room.

use bff::state::State;
use bff::store::CommitError;
use serde_json::json;

use crate::files::{Files, Layout};
use crate::samples::{json, marked, rev, state};
use crate::site::Site as _;

/// By how much the document grows.
const GROWTH: usize = 300_000;

#[test]
fn a_commit_that_finds_no_room_uses_what_was_reserved_and_only_once() {
    let (site, old) = kept();
    let store = site.open();
    store.reserve(GROWTH).unwrap();
    site.limit_room(0);

    let new = large();
    assert_eq!(store.commit(&new, rev(2)).unwrap(), rev(3));

    assert_eq!(json(&site.reopen().load().unwrap().state), json(&new));
    site.limit_room(0);
    is_refused(&store.commit(&old, rev(3)));
    assert_eq!(site.names_after_a_start(), names());
}

#[test]
fn without_room_nothing_is_reserved_and_the_way_out_is_named() {
    let (site, old) = kept();
    let store = site.open();
    site.limit_room(GROWTH);

    is_refused(&store.reserve(GROWTH));

    // What it had begun to take is given back.
    site.limit_room(GROWTH);
    assert_eq!(store.commit(&old, rev(2)).unwrap(), rev(3));
    assert_eq!(site.names_after_a_start(), names());
}

#[test]
fn what_is_released_is_there_for_others_and_is_not_used_twice() {
    let (site, _) = kept();
    let store = site.open();
    site.limit_room(4 * GROWTH);

    for _ in 0..9 {
        store.reserve(GROWTH).unwrap();
    }
    store.release();
    store.release();

    assert_eq!(site.names_after_a_start(), names());
    site.limit_room(0);
    is_refused(&store.commit(&large(), rev(2)));
}

#[test]
fn what_a_crash_leaves_of_it_is_gone_after_the_next_start() {
    let (site, old) = kept();
    site.open().reserve(GROWTH).unwrap();

    assert_eq!(site.names_after_a_start(), names());

    assert_eq!(json(&site.reopen().load().unwrap().state), json(&old));
}

#[test]
fn an_error_on_a_full_disk_tells_the_truth_whatever_else_goes_wrong() {
    let mut committed = 0;
    for number in 0.. {
        let (site, old) = kept();
        let Some(failing) = site.open_failing(number) else {
            break;
        };
        let reserved = failing.reserve(GROWTH);
        site.limit_room(0);
        let new = large();

        let result = failing.commit(&new, rev(2));

        let found = site.reopen().load().unwrap();
        assert_eq!(found.fell_back, None, "{number}");
        let (is_old, is_new) = (
            json(&found.state) == json(&old),
            json(&found.state) == json(&new),
        );
        match result {
            Ok(_) => assert!(is_new, "{number}"),
            Err(CommitError::NotCommitted { .. }) => assert!(is_old, "{number}"),
            Err(CommitError::Unknown { .. }) => assert!(is_old || is_new, "{number}"),
            Err(error) => panic!("{number}: {error:?}"),
        }
        committed += usize::from(is_new);
        if reserved.is_err() {
            assert!(is_old, "{number}");
        }
        assert_eq!(site.names_after_a_start(), names(), "{number}");
    }
    assert!(committed > 9, "{committed}");
}

/// Two revisions of a state.
fn kept() -> (Files, State) {
    let site = Files::simulated(Layout::OneDirectory);
    let (store, state) = (site.open(), state(&json!({})));
    store.commit(&state, rev(0)).unwrap();
    store.commit(&state, rev(1)).unwrap();
    assert_eq!(site.names_after_a_start(), names());
    (site, state)
}

fn large() -> State {
    marked(&state(&json!({"client_name": "x".repeat(GROWTH / 3)})), 1)
}

fn names() -> [&'static str; 4] {
    [
        "bff.lock",
        "state.json",
        "state.previous.json",
        "state.revisions",
    ]
}

#[track_caller]
fn is_refused<T: std::fmt::Debug>(result: &Result<T, CommitError>) {
    match result {
        Err(error @ CommitError::NotCommitted { .. }) => {
            assert!(error.hint().contains("make room"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}
