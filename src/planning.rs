//! What the configuration calls for at one IdP: the registration, the plan, and the request that it
//! leads to. Nothing is asked, sent or written.

mod plan_report;
mod planned_request;
mod wanted;

pub use plan_report::PlanReport;
pub use planned_request::{PlannedRequest, Source};
pub use wanted::Wanted;
