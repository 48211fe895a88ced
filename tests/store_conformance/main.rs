//! Whatever keeps the identity keeps the promises of `Store`.
//!
//! `properties` has the promises, each a function over a place where a store is kept and can be
//! opened again; `STORES` below says which stores are held to them. `ledger` holds the ledger to
//! its own, over a store in which much goes wrong.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking"
)]

#[expect(dead_code, reason = "the crash tests use more of it")]
#[path = "../crash/disk.rs"]
mod disk;
mod files;
mod full_disk;
mod ledger;
mod memory;
mod properties;
mod restored;
mod revisions;
mod samples;
mod site;
#[expect(dead_code, reason = "the crash tests use more of it")]
#[path = "../crash/steps.rs"]
mod steps;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::files::{Files, Layout};
use crate::memory::{Flaw, Memory};
use crate::properties::{PROPERTIES, hold_for};
use crate::site::Site;

// STORES: the stores under test. To add one, implement `Site` for the place where it is kept (a
// new, empty place each time) and add a line here: every property then runs for it, as a test of
// its own. A property has no exceptions. Where a store cannot be made to fail, `open_failing`
// returns `None`.
hold_for!(on_the_hosts_disk, Files::on_host(Layout::OneDirectory));
hold_for!(
    on_the_hosts_disk_with_keys_elsewhere,
    Files::on_host(Layout::KeysElsewhere)
);
hold_for!(
    on_a_disk_that_loses_the_unsynced,
    Files::in_memory(Layout::OneDirectory)
);
hold_for!(
    on_such_a_disk_with_keys_elsewhere,
    Files::in_memory(Layout::KeysElsewhere)
);
hold_for!(in_memory_where_much_goes_wrong, Memory::site(None));

/// The names of the properties that do not hold there.
fn broken_promises(new: impl Fn() -> Box<dyn Site>) -> Vec<&'static str> {
    let holds = |property: &fn(&dyn Site)| {
        let site = new();
        catch_unwind(AssertUnwindSafe(|| property(site.as_ref()))).is_ok()
    };
    let broken = PROPERTIES.iter().filter(|(_, property)| !holds(property));
    broken.map(|(name, _)| *name).collect()
}

#[test]
fn each_way_to_break_a_promise_is_noticed_and_by_the_property_that_is_about_it() {
    let comparison = "a_commit_on_another_revision_names_the_one_in_place_and_changes_nothing";
    let truth = "an_error_of_a_commit_tells_the_truth_and_the_next_commit_succeeds";
    let watch = "watch_tells_of_another_revision_and_never_of_an_old_one";
    let flaws = [
        (Flaw::CommitsWithoutComparing, comparison),
        (Flaw::NamesAnotherRevision, comparison),
        (Flaw::LosesTheStateInDoubt, truth),
        (Flaw::SeesNoChange, watch),
        (Flaw::OverwritesKeys, "a_key_is_kept_for_good"),
    ];

    for (flaw, property) in flaws {
        let broken = broken_promises(|| Memory::site(Some(flaw)));

        assert!(broken.contains(&property), "{flaw:?}: {broken:?}");
    }
}
