//! One IdP whose endpoints are known, for one piece of work.

use super::endpoints::Endpoints;
use super::managed_client::ManagedClient;
use super::proof_memory::ProofMemory;
use crate::app::{App, Bootstrap};
use crate::metrics::Outcome;
use crate::transport::HttpClient;

/// The client, and the endpoints of its IdP. `proof.rs`, `presented.rs`, `register.rs` and `replace.rs` have the
/// requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session<'a> {
    pub(super) client: ManagedClient<'a>,
    pub(super) endpoints: &'a Endpoints,
    pub(super) memory: &'a ProofMemory,
}

impl<'a> Session<'a> {
    pub(super) fn app(&self) -> &'a App {
        self.client.app
    }

    /// The same, sending through `http`.
    pub(super) fn through<'b>(&'b self, http: &'b HttpClient) -> Session<'b> {
        Session {
            client: ManagedClient {
                http,
                ..self.client
            },
            ..*self
        }
    }

    /// Notes what is being done, for `/healthz`.
    pub(super) fn step(&self, step: &'static str) {
        self.app()
            .condition
            .set_bootstrap(Bootstrap::Starting { step });
        tracing::debug!(step, "Bootstrap: {step}");
    }

    pub(super) fn count_registration(&self, outcome: &'static str) {
        let outcome = Outcome { outcome };
        let counted = &self.app().metrics.registrations;
        counted.get_or_create(&outcome).inc();
    }
}
