//! What every store promises.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Barrier};
use std::thread;

use bff::jose::Kid;
use bff::state::State;
use bff::store::{CommitError, KeyStoreError, LoadError, Store};
use serde_json::json;

use crate::samples::{SECRETS, json, kid, marked, marks, pem, rev, state, too_deep};
use crate::site::Site;

/// How many try the same thing at once, and how often.
const THREADS: usize = 4;
const ROUNDS: u64 = 10;

/// Lists the properties, and defines `hold_for!`, which makes a test of each for one store.
macro_rules! properties {
    ($($name:ident,)*) => {
        pub(crate) const PROPERTIES: &[(&str, fn(&dyn Site))] =
            &[$((stringify!($name), $name),)*];

        macro_rules! hold_for {
            ($store:ident, $new:expr) => {
                mod $store {
                    use super::*;

                    $(
                        #[test]
                        fn $name() {
                            crate::properties::$name($new.as_ref());
                        }
                    )*
                }
            };
        }
        pub(crate) use hold_for;
    };
}

properties! {
    an_empty_store_loads_as_an_empty_state_at_revision_0,
    a_commit_is_read_back_whole_by_this_handle_and_after_a_restart,
    a_commit_on_another_revision_names_the_one_in_place_and_changes_nothing,
    of_many_commits_on_one_revision_one_wins,
    watch_tells_of_another_revision_and_never_of_an_old_one,
    a_key_is_kept_for_good,
    odd_key_ids_neither_collide_nor_escape,
    an_error_of_a_commit_tells_the_truth_and_the_next_commit_succeeds,
    a_key_whose_writing_failed_is_whole_or_missing_and_can_be_written_again,
    a_state_that_cannot_be_written_leaves_the_old_one,
    a_large_state_is_kept_whole,
    a_key_that_was_kept_in_spite_of_a_failure_is_not_replaced,
    every_legal_key_id_can_be_kept,
    of_many_keys_under_one_key_id_one_is_kept,
    an_error_names_the_place_and_what_to_do_and_no_secret,
    room_is_reserved_and_released_without_a_trace,
}

pub(crate) fn an_empty_store_loads_as_an_empty_state_at_revision_0(site: &dyn Site) {
    let store = site.open();

    let loaded = [store.load().unwrap(), site.reopen().load().unwrap()];

    for loaded in loaded {
        assert_eq!(json(&loaded.state), json(&State::default()));
        assert_eq!((loaded.rev.number(), loaded.fell_back), (0, None));
    }
    assert_eq!(store.watch(rev(0)).unwrap(), None);
}

pub(crate) fn a_commit_is_read_back_whole_by_this_handle_and_after_a_restart(site: &dyn Site) {
    let odd = state(&json!({"a": 3.899_367_208_872_129e-13, "b": -0.0, "c": "\u{0}ü\u{1F511}"}));
    let states = [odd.clone(), marked(&odd, 1), State::default(), odd];

    for (base, state) in (0..).zip(&states) {
        let store = site.open();
        assert_eq!(store.commit(state, rev(base)).unwrap(), rev(base + 1));

        for store in [store, site.open(), site.reopen()] {
            assert_holds(store.as_ref(), state, base + 1);
        }
    }
}

pub(crate) fn a_commit_on_another_revision_names_the_one_in_place_and_changes_nothing(
    site: &dyn Site,
) {
    let store = site.open();
    let states = [marked(&State::default(), 1), marked(&State::default(), 2)];
    store.commit(&states[0], rev(0)).unwrap();
    site.open().commit(&states[1], rev(1)).unwrap();

    for wrong in [0, 1, 3, u64::MAX] {
        let error = store.commit(&states[0], rev(wrong)).unwrap_err();

        let CommitError::Conflict { base, found } = error else {
            panic!("{error:?}");
        };
        assert_eq!((base, found), (rev(wrong), rev(2)));
        assert_holds(site.reopen().as_ref(), &states[1], 2);
    }
}

pub(crate) fn of_many_commits_on_one_revision_one_wins(site: &dyn Site) {
    let handles = handles(site);

    for base in 0..ROUNDS {
        let results = at_once(&handles, |number, store| {
            let state = marked(&State::default(), number);
            (store.commit(&state, rev(base)), number)
        });

        let winners = results.iter().filter(|(result, _)| result.is_ok());
        let winners: Vec<u64> = winners.map(|(_, number)| *number).collect();
        assert_eq!(winners.len(), 1, "{results:?}");
        assert_eq!(marks(&site.reopen().load().unwrap().state), winners);
        for (result, _) in results {
            let is_told = matches!(
                result,
                Ok(found) | Err(CommitError::Conflict { found, .. }) if found == rev(base + 1)
            );
            assert!(is_told, "{result:?}");
        }
    }
}

pub(crate) fn watch_tells_of_another_revision_and_never_of_an_old_one(site: &dyn Site) {
    let (store, other) = (site.open(), site.open());
    let last = store.commit(&State::default(), rev(0)).unwrap();
    assert_eq!(store.watch(last).unwrap(), None);

    let mut seen = last;
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for base in 1..=ROUNDS {
                other.commit(&State::default(), rev(base)).unwrap();
            }
        });
        while !writer.is_finished() {
            if let Some(rev) = store.watch(seen).unwrap() {
                assert!(rev > seen, "{rev} after {seen}");
                seen = rev;
            }
        }
    });

    let last = rev(ROUNDS + 1);
    assert_eq!(store.watch(seen).unwrap().unwrap_or(seen), last);
    assert_eq!(store.watch(rev(0)).unwrap(), Some(last));
    assert_eq!(site.reopen().watch(last).unwrap(), None);
}

pub(crate) fn a_key_is_kept_for_good(site: &dyn Site) {
    let (store, kid) = (site.open(), kid("k1"));
    let error = store.read_key(&kid).unwrap_err();
    assert!(matches!(error, KeyStoreError::Missing { .. }), "{error:?}");

    store.write_key(&kid, &pem("one")).unwrap();
    site.reopen().write_key(&kid, &pem("one")).unwrap();
    for different in [pem("two"), pem("one\n"), pem("")] {
        let error = site.open().write_key(&kid, &different).unwrap_err();
        assert!(matches!(error, KeyStoreError::Exists { .. }), "{error:?}");
    }
    store.commit(&state(&json!({})), rev(0)).unwrap();

    for store in [store, site.open(), site.reopen()] {
        let kept = store.read_key(&kid).unwrap();
        assert_eq!(kept.expose(), pem("one").expose());
    }
}

pub(crate) fn odd_key_ids_neither_collide_nor_escape(site: &dyn Site) {
    let long = ["a".repeat(128), format!("{}b", "a".repeat(127))];
    let odd = "/ // .. . ../k /../k ../../etc/passwd k K .k k. k.pem -- -k ~ $k % %% %2F %2f %252F a/b \
               a%2Fb a_b a\\b a'b a\"b a;b a*b state state.json state.previous.json";
    let names = odd
        .split_whitespace()
        .chain(long.iter().map(String::as_str));
    let store = site.open();
    let before = state(&json!({}));
    store.commit(&before, rev(0)).unwrap();

    for name in names.clone() {
        store.write_key(&kid(name), &pem(name)).unwrap();
    }

    let store = site.reopen();
    for name in names {
        let kept = store.read_key(&kid(name)).unwrap();
        assert_eq!(kept.expose(), pem(name).expose(), "{name}");
    }
    assert_holds(store.as_ref(), &before, 1);
    assert_eq!(site.strays(), Vec::<String>::new());
}

pub(crate) fn an_error_of_a_commit_tells_the_truth_and_the_next_commit_succeeds(site: &dyn Site) {
    let mut seen = BTreeMap::new();
    let store = site.open();
    let first = marked(&state(&json!({})), 0);
    store.commit(&first, rev(0)).unwrap();

    let failing = (0..).map_while(|number| site.open_failing(number));
    for (number, failing) in (1..).zip(failing) {
        let before = store.load().unwrap();
        let new = marked(&first, number);
        let result = failing.commit(&new, before.rev);
        let restarted = restarted(site, number);
        let after = restarted.load().unwrap();

        assert_eq!(after.fell_back, None);
        let is_old = after.rev == before.rev && json(&after.state) == json(&before.state);
        let is_new = after.rev == before.rev.next() && json(&after.state) == json(&new);
        let (kind, is_true) = match &result {
            Ok(rev) => ("ok", is_new && *rev == after.rev),
            Err(CommitError::NotCommitted { .. }) => ("not committed", is_old),
            Err(CommitError::Unknown { .. }) => ("unknown", is_old || is_new),
            Err(CommitError::Conflict { base, found }) => (
                "conflict",
                *base == before.rev && *found == after.rev && *found > *base && !is_new,
            ),
            Err(other) => panic!("{other:?}"),
        };
        assert!(is_true, "{number}: {result:?}, and then {after:?}");
        *seen.entry(kind).or_insert(0) += 1;

        let again = restarted.commit(&first, after.rev).unwrap();
        assert_holds(site.reopen().as_ref(), &first, again.number());
    }
    // Where anything goes wrong, both kinds of it do.
    let both = seen.contains_key("not committed") && seen.contains_key("unknown");
    assert!(seen.is_empty() || both, "{seen:?}");
}

pub(crate) fn a_key_whose_writing_failed_is_whole_or_missing_and_can_be_written_again(
    site: &dyn Site,
) {
    let store = site.open();

    let failing = (0..).map_while(|number| site.open_failing(number));
    for (number, failing) in (0..).zip(failing) {
        let (kid, pem) = (kid(&format!("k{number}")), pem(&number.to_string()));
        let result = failing.write_key(&kid, &pem);
        let restarted = restarted(site, number);

        match restarted.read_key(&kid) {
            Ok(kept) => assert_eq!(kept.expose(), pem.expose()),
            Err(KeyStoreError::Missing { .. }) => assert!(result.is_err(), "{number}"),
            Err(error) => panic!("{number}: {error:?}"),
        }
        store.write_key(&kid, &pem).unwrap();
        assert_eq!(site.reopen().read_key(&kid).unwrap().expose(), pem.expose());
    }
}

pub(crate) fn a_state_that_cannot_be_written_leaves_the_old_one(site: &dyn Site) {
    let store = site.open();
    let old = state(&json!({}));
    store.commit(&old, rev(0)).unwrap();

    let error = store.commit(&too_deep(), rev(1)).unwrap_err();

    assert!(
        matches!(error, CommitError::NotCommitted { .. }),
        "{error:?}"
    );
    assert_holds(site.reopen().as_ref(), &old, 1);
    assert_eq!(store.commit(&old, rev(1)).unwrap(), rev(2));
}

pub(crate) fn a_large_state_is_kept_whole(site: &dyn Site) {
    let large = state(&json!({"client_name": "ü".repeat(50_000), "scope": "\"\\".repeat(50_000)}));
    let small = state(&json!({}));
    let store = site.open();

    store.commit(&large, rev(0)).unwrap();
    assert_holds(site.reopen().as_ref(), &large, 1);
    store.commit(&small, rev(1)).unwrap();

    assert!(json(&large).to_string().len() > 200_000);
    assert_holds(site.reopen().as_ref(), &small, 2);
}

pub(crate) fn a_key_that_was_kept_in_spite_of_a_failure_is_not_replaced(site: &dyn Site) {
    let name = |number| kid(&format!("k{number}"));
    let failing = (0..).map_while(|number| Some((name(number), site.open_failing(number)?)));
    let kept = failing.filter(|(kid, store)| store.write_key(kid, &pem("one")).is_ok());
    let kept: Vec<_> = kept.map(|(kid, _)| kid).collect();

    let store = site.reopen();
    let replaced = |kid: &&Kid| store.write_key(kid, &pem("two")).is_ok();
    let replaced: Vec<&Kid> = kept.iter().filter(replaced).collect();

    assert!(replaced.is_empty(), "{replaced:?}");
    for kid in &kept {
        let kept = store.read_key(kid).unwrap();
        assert_eq!(kept.expose(), pem("one").expose(), "{kid}");
    }
}

pub(crate) fn every_legal_key_id_can_be_kept(site: &dyn Site) {
    let store = site.open();
    let names = ["/", "%", "."].map(|text| text.repeat(Kid::MAX_LENGTH));

    for name in &names {
        store.write_key(&kid(name), &pem(name)).unwrap();
    }

    for name in &names {
        let kept = site.reopen().read_key(&kid(name)).unwrap();
        assert_eq!(kept.expose(), pem(name).expose());
    }
}

pub(crate) fn of_many_keys_under_one_key_id_one_is_kept(site: &dyn Site) {
    let handles = handles(site);

    for round in 0..ROUNDS {
        let kid = kid(&format!("k{round}"));
        let results = at_once(&handles, |number, store| {
            (store.write_key(&kid, &pem(&number.to_string())), number)
        });

        let kept = results.iter().filter(|(result, _)| result.is_ok());
        let kept: Vec<u64> = kept.map(|(_, number)| *number).collect();
        assert_eq!(kept.len(), 1, "{results:?}");
        let found = site.reopen().read_key(&kid).unwrap();
        assert_eq!(found.expose(), pem(&kept[0].to_string()).expose());
    }
}

pub(crate) fn an_error_names_the_place_and_what_to_do_and_no_secret(site: &dyn Site) {
    let (store, place) = (site.open(), site.name());
    let [k1, k2, k3] = ["k1", "k2", "k3"].map(kid);
    let new = state(&json!({}));
    store.commit(&new, rev(0)).unwrap();
    store.commit(&new, rev(1)).unwrap();
    store.write_key(&k1, &pem("one")).unwrap();

    for store in (0..).map_while(|number| site.open_failing(number)) {
        check_commit(store.commit(&new, rev(1)), &place);
        check_load(store.load(), &place);
        check_load(store.watch(rev(1)), &place);
    }
    for store in (0..).map_while(|number| site.open_failing(number)) {
        check_key(store.write_key(&k2, &pem("two")), &place);
        check_key(store.read_key(&k1), &place);
    }
    assert!(check_commit(store.commit(&new, rev(0)), &place));
    assert!(check_commit(store.commit(&too_deep(), rev(2)), &place));
    assert!(check_key(store.write_key(&k1, &pem("two")), &place));
    assert!(check_key(store.read_key(&k3), &place));
    site.spoil();
    assert!(check_load(site.open().load(), &place));
    check_commit(site.open().commit(&new, rev(2)), &place);

    let printed = format!("{store:?}");
    assert!(
        SECRETS.iter().all(|secret| !printed.contains(secret)),
        "{printed}"
    );
}

pub(crate) fn room_is_reserved_and_released_without_a_trace(site: &dyn Site) {
    let store = site.open();
    let states = [
        state(&json!({})),
        state(&json!({"client_name": "x".repeat(1000)})),
    ];
    store.commit(&states[0], rev(0)).unwrap();

    for store in (0..).map_while(|number| site.open_failing(number)) {
        if let Err(error) = store.reserve(1000) {
            let is_told = matches!(error, CommitError::NotCommitted { .. });
            assert!(is_told, "{error:?}");
            check_commit(Err::<(), _>(error), &site.name());
        }
        store.release();
    }
    store.release();
    store.reserve(1000).unwrap();
    let found = store.load().unwrap();
    if !site.is_shared() {
        assert_holds(store.as_ref(), &states[0], 1);
    }
    let committed = store.commit(&states[1], found.rev).unwrap();
    store.release();

    assert_holds(site.reopen().as_ref(), &states[1], committed.number());
}

fn check_load<T>(result: Result<T, LoadError>, place: &str) -> bool {
    result.is_err_and(|error| check(&error, error.hint(), &[place]))
}

fn check_commit<T>(result: Result<T, CommitError>, place: &str) -> bool {
    let check = |error: &CommitError| match error {
        CommitError::Conflict { base, found } => check(
            error,
            error.hint(),
            &[&base.to_string(), &found.to_string()],
        ),
        error => check(error, error.hint(), &[place]),
    };
    result.is_err_and(|error| check(&error))
}

fn check_key<T>(result: Result<T, KeyStoreError>, place: &str) -> bool {
    result.is_err_and(|error| check(&error, error.hint(), &[place]))
}

/// Looks at an error as an operator does, and as a log does.
fn check(error: &dyn Error, hint: &str, names: &[&str]) -> bool {
    let text = error.to_string();
    assert!(
        names.iter().all(|name| text.contains(name)),
        "{names:?}: {text}"
    );
    assert!(!hint.is_empty(), "{text}");
    let mut link = Some(error);
    while let Some(error) = link {
        let printed = format!("{error} {error:?} {hint}");
        assert!(
            SECRETS.iter().all(|secret| !printed.contains(secret)),
            "{printed}"
        );
        link = error.source();
    }
    true
}

/// The store after a restart; every other one is from a loss of power.
fn restarted(site: &dyn Site, number: u64) -> Arc<dyn Store> {
    match number % 2 {
        0 => site.reopen(),
        _ => site.open(),
    }
}

fn assert_holds(store: &dyn Store, state: &State, number: u64) {
    let loaded = store.load().unwrap();
    assert_eq!(json(&loaded.state), json(state));
    assert_eq!((loaded.rev, loaded.fell_back), (rev(number), None));
}

/// Handles for those who write at once: of one program, where another one could not.
fn handles(site: &dyn Site) -> Vec<Arc<dyn Store>> {
    let first = site.open();
    let another = |_| {
        if site.is_shared() {
            site.open()
        } else {
            Arc::clone(&first)
        }
    };
    (0..THREADS).map(another).collect()
}

fn at_once<T: Send>(
    handles: &[Arc<dyn Store>],
    work: impl Fn(u64, &dyn Store) -> T + Sync,
) -> Vec<T> {
    let (start, work) = (Barrier::new(handles.len()), &work);
    thread::scope(|scope| {
        let start = &start;
        let spawn = |(number, store): (u64, &Arc<dyn Store>)| {
            let store = Arc::clone(store);
            scope.spawn(move || {
                start.wait();
                work(number, store.as_ref())
            })
        };
        let threads: Vec<_> = (0..).zip(handles).map(spawn).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}
