//! All that must survive a restart except the private keys: one document, and one method for each
//! change of it. Pure.
//!
//! A transition returns what happened, or why it did not, and writes its own journal entry. The
//! document can be changed in no other way: its members are private.

mod adoption_transitions;
mod client_refusal;
mod document;
mod idp_transitions;
mod journal;
mod known_idp;
mod management_transitions;
mod projections;
mod registration_transitions;
mod restore_transitions;
mod ring_transitions;

pub use client_refusal::ClientRefusal;
pub use document::{Claim, IntendedKey, OrderRecord, RatMarker, Restored, Rev, State};
pub use journal::{Entry, Event, Journal};
pub use known_idp::{KnownControls, KnownIdp, Presentation, Verdict};
pub use management_transitions::UpdateSeen;
pub use projections::{Projection, Projections};
pub use registration_transitions::{Adopted, Adoption};
pub use ring_transitions::RingRefusal;
