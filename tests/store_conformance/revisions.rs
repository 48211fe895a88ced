//! The file that tells an older document.

use bff::jose::{Algorithm, SigningKey};
use bff::state::State;
use jiff::Timestamp;
use serde_json::json;

use crate::files::{Files, Layout};
use crate::samples::{json, rev, state};
use crate::site::Site as _;

const FILE: &str = "state.revisions";

#[test]
fn an_older_document_is_told_with_the_keys_that_were_revoked_since() {
    let (site, old) = kept();
    let store = site.open();
    let documents = ["state.json", "state.previous.json"].map(|name| (name, site.read(name)));
    let (mut new, key) = (old.clone(), SigningKey::generate(Algorithm::ES256).unwrap());
    new.revoke(key.public().clone(), Timestamp::UNIX_EPOCH)
        .unwrap();
    store.commit(&new, rev(2)).unwrap();
    for (name, text) in documents {
        site.write(name, &text.unwrap());
    }

    let loaded = site.reopen().begin().unwrap();

    assert_eq!((json(&loaded.state), loaded.rev), (json(&old), rev(2)));
    let later = loaded.later.unwrap();
    assert_eq!((later.rev, &later.revoked[..]), (rev(3), new.revoked()));
    assert_eq!(
        site.open().load().unwrap().later.map(|later| later.rev),
        Some(rev(3))
    );
    site.open().commit(&new, rev(2)).unwrap();
    assert!(site.reopen().begin().unwrap().later.is_none());
}

#[test]
fn it_never_keeps_a_start_from_going_on_and_is_whole_again_afterwards() {
    for (what, aside) in [
        (None, None),
        (Some("garbage\nmore\n"), Some("garbage\nmore\n")),
    ] {
        let (site, old) = kept();
        match what {
            Some(text) => site.write(FILE, text.as_bytes()),
            None => site.remove(FILE),
        }

        let loaded = site.open().begin().unwrap();

        assert_eq!((json(&loaded.state), loaded.later), (json(&old), None));
        is_noted(&site, 2);
        let kept = site.read("state.damaged-1.revisions");
        assert_eq!(kept.as_deref(), aside.map(str::as_bytes));
    }
}

#[test]
fn a_line_that_a_crash_has_kept_from_being_written_is_added_at_the_next_start() {
    let mut missing = 0;
    for number in 0.. {
        let (site, old) = kept();
        let Some(failing) = site.open_failing(number) else {
            break;
        };
        drop(failing.commit(&old, rev(2)));
        let found = site.reopen().load().unwrap();
        assert_eq!((found.fell_back, found.later), (None, None), "{number}");
        missing += usize::from(!last_line(&site).contains(&format!("\"rev\":{}", found.rev)));

        let begun = site.open().begin().unwrap();

        assert_eq!(begun.rev, found.rev, "{number}");
        is_noted(&site, found.rev.number());
        // Also by a start at which something goes wrong again.
        if let Some(failing) = site.open_failing(number) {
            drop(failing.begin());
            assert!(site.reopen().begin().unwrap().later.is_none(), "{number}");
            is_noted(&site, found.rev.number());
        }
    }
    assert!(missing > 0, "no crash kept a line from being written");
}

#[test]
fn it_does_not_grow_without_bound() {
    let (site, old) = kept();
    let (store, mut longest) = (site.open(), 0);

    for number in 2..700 {
        store.commit(&old, rev(number)).unwrap();
        longest = longest.max(site.read(FILE).unwrap().len());
    }

    assert!((10_000..40_000).contains(&longest), "{longest}");
    is_noted(&site, 700);
}

/// Two revisions of a state.
fn kept() -> (Files, State) {
    let site = Files::simulated(Layout::OneDirectory);
    let (store, state) = (site.open(), state(&json!({})));
    store.commit(&state, rev(0)).unwrap();
    store.commit(&state, rev(1)).unwrap();
    (site, state)
}

fn last_line(site: &Files) -> String {
    let text = String::from_utf8_lossy(&site.read(FILE).unwrap()).into_owned();
    text.lines().last().unwrap_or_default().to_owned()
}

/// The last line is that of this revision, and survives a loss of power.
#[track_caller]
fn is_noted(site: &Files, number: u64) {
    site.lose_power();
    let line = last_line(site);
    assert!(line.contains(&format!("{{\"rev\":{number},")), "{line}");
}
