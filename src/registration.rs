//! Being registered at the IdP, as values and decisions (RFC 7591, RFC 7592). Pure.
//!
//! [`plan()`] decides what to do. What an answer means is decided by the type that is named after
//! the endpoint: [`RegistrationOutcome`], [`ManagementOutcome`], [`AuthenticationOutcome`].

mod adoptee;
mod authentication_outcome;
mod blocked;
mod controls;
mod desired;
mod drift;
mod fingerprint;
mod kept;
mod management_outcome;
mod plan;
mod rat_news;
mod record;
mod refused;
mod registration_outcome;
mod update_body;

pub use adoptee::{Adoptee, InvalidAdoptee};
pub use authentication_outcome::{AuthenticationOutcome, Judgement, Proof, token_answer_text};
pub use blocked::Blocked;
pub use controls::{Control, Controls, TokenAnswer};
pub use desired::{Desired, JwksMember};
pub use drift::{Drift, Drifted, RedirectUpdate};
pub use fingerprint::TokenFingerprint;
pub use kept::kept;
pub use management_outcome::ManagementOutcome;
pub use plan::{Inputs, Plan, Replacement, Stored, plan};
pub use rat_news::RatNews;
pub use record::{
    Attempt, Candidate, Gone, MintedIat, Orphan, RawAnswer, RefusedTokens, RefusedUpdate,
    Registered, Seen, TokenTarget, Unmanageable,
};
pub use refused::{RefusalKind, Refused, RefusedBecause, RefusedRegistration};
pub use registration_outcome::{Difference, RegistrationOutcome, access_despite_repetition};
pub use update_body::{foreign_members, has_arrived, patch_body, recorded, update_body};
