//! Being registered at the IdP, as values and decisions (RFC 7591, RFC 7592). Pure.
//!
//! [`plan()`] decides what to do, [`judge`] what an answer means, [`Verdict`] whether the IdP
//! accepts the key. Nothing here sends or stores anything.

mod answer;
mod desired;
mod drift;
mod fingerprint;
mod journal;
mod managed;
mod plan;
mod record;
mod update;
mod verdict;

pub use answer::Difference;
pub use answer::Judgement;
pub use answer::Refused;
pub use answer::RefusedBecause;
pub use answer::judge;
pub use desired::Desired;
pub use desired::JwksMember;
pub use drift::Drift;
pub use drift::Drifted;
pub use drift::RedirectUpdate;
pub use fingerprint::TokenFingerprint;
pub use journal::Entry;
pub use journal::Event;
pub use journal::Journal;
pub use managed::Managed;
pub use plan::Means;
pub use plan::Plan;
pub use plan::Reason;
pub use plan::ReplaceOrder;
pub use plan::plan;
pub use record::Attempt;
pub use record::Audience;
pub use record::MintedIat;
pub use record::Orphan;
pub use record::RawAnswer;
pub use record::Registered;
pub use record::Unmanageable;
pub use update::has_arrived;
pub use update::recorded;
pub use update::update_body;
pub use verdict::Verdict;
