//! What is counted, as `OpenMetrics` text.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All series of the service.
pub struct Metrics {
    registry: Registry,
    /// How often the JWK Set was fetched.
    pub jwks_served: Counter,
    /// Registration requests by outcome.
    pub registrations: Family<Outcome, Counter>,
    /// Proofs by outcome.
    pub proofs: Family<Outcome, Counter>,
    /// Keys by state, one series per key in the ring.
    pub keys: Family<Key, Gauge<i64, AtomicI64>>,
    /// 1 when ready.
    pub ready: Gauge<i64, AtomicI64>,
    /// 1 while a next key is published.
    pub rotating: Gauge<i64, AtomicI64>,
    /// Proofs of the next key in a row that were not accepted.
    pub rejections: Gauge<i64, AtomicI64>,
    /// When the next key may sign at the earliest; 0 if there is none.
    pub earliest_promotion: Gauge<i64, AtomicI64>,
}

/// Labels of a series that counts outcomes.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct Outcome {
    /// One word.
    pub outcome: &'static str,
}

/// Labels of a series about one key.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct Key {
    /// The key ID.
    pub kid: String,
    /// `next`, `current` or `previous`.
    pub state: String,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("bff");
        let jwks_served = Counter::<u64, AtomicU64>::default();
        let registrations = Family::default();
        let proofs = Family::default();
        let keys = Family::default();
        let ready = Gauge::default();
        let rotating = Gauge::default();
        let rejections = Gauge::default();
        let earliest_promotion = Gauge::default();
        registry.register(
            "jwks_served",
            "Answers of the JWK Set, 304 included",
            jwks_served.clone(),
        );
        registry.register(
            "registrations",
            "Registration requests by outcome",
            registrations.clone(),
        );
        registry.register("proofs", "Proofs of a key by outcome", proofs.clone());
        registry.register(
            "key_created_timestamp_seconds",
            "When a key of the ring was made, by its present state",
            keys.clone(),
        );
        registry.register("ready", "1 if /readyz is 200", ready.clone());
        registry.register(
            "rotation_under_way",
            "1 while a next key is published",
            rotating.clone(),
        );
        registry.register(
            "rotation_rejections",
            "Proofs of the next key in a row that the IdP did not accept",
            rejections.clone(),
        );
        registry.register(
            "rotation_earliest_promotion_timestamp_seconds",
            "When the next key may sign at the earliest, 0 if there is none",
            earliest_promotion.clone(),
        );
        Self {
            registry,
            jwks_served,
            registrations,
            proofs,
            keys,
            ready,
            rotating,
            rejections,
            earliest_promotion,
        }
    }

    /// The text of `/metrics`.
    ///
    /// # Errors
    ///
    /// If the encoder fails, which it does not when it writes to memory.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}
