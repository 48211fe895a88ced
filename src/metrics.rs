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

/// What the service counts.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// How often the JWK Set was fetched.
    pub jwks_served: Counter<u64, AtomicU64>,
    /// Registration requests by outcome.
    pub registrations: Family<Outcome, Counter>,
    /// Proofs by outcome.
    pub proofs: Family<Outcome, Counter>,
}

/// What is looked up for one answer of `/metrics`.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// When each key in the ring was made, in seconds.
    pub keys: Vec<(Key, i64)>,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether a next key is published.
    pub rotating: bool,
    /// Proofs of the next key in a row that were not accepted.
    pub rejections: i64,
    /// When the next key may sign at the earliest, in seconds; 0 if there is none.
    pub earliest_promotion: i64,
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
        Self::default()
    }

    /// The text of `/metrics`. The gauges belong to this one answer, so that no other one can see
    /// them half filled.
    ///
    /// # Errors
    ///
    /// If the encoder fails, which it does not when it writes to memory.
    pub fn render(&self, gauges: &Gauges) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("bff");
        registry.register(
            "jwks_served",
            "Answers of the JWK Set, 304 included",
            self.jwks_served.clone(),
        );
        registry.register(
            "registrations",
            "Registration requests by outcome",
            self.registrations.clone(),
        );
        registry.register("proofs", "Proofs of a key by outcome", self.proofs.clone());
        let keys = Family::<Key, Gauge<i64, AtomicI64>>::default();
        for (labels, created) in &gauges.keys {
            keys.get_or_create(labels).set(*created);
        }
        registry.register(
            "key_created_timestamp_seconds",
            "When a key of the ring was made, by its present state",
            keys,
        );
        for (name, help, value) in [
            ("ready", "1 if /readyz is 200", i64::from(gauges.ready)),
            (
                "rotation_under_way",
                "1 while a next key is published",
                i64::from(gauges.rotating),
            ),
            (
                "rotation_rejections",
                "Proofs of the next key in a row that the IdP did not accept",
                gauges.rejections,
            ),
            (
                "rotation_earliest_promotion_timestamp_seconds",
                "When the next key may sign at the earliest, 0 if there is none",
                gauges.earliest_promotion,
            ),
        ] {
            let gauge = Gauge::<i64, AtomicI64>::default();
            gauge.set(value);
            registry.register(name, help, gauge);
        }
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn answers_at_the_same_time_have_each_key_once() {
        let metrics = Metrics::new();
        let gauges = |kid: &str| Gauges {
            keys: vec![(
                Key {
                    kid: kid.to_owned(),
                    state: "current".to_owned(),
                },
                1,
            )],
            ..Gauges::default()
        };

        thread::scope(|scope| {
            for kid in ["a", "b", "c", "d"] {
                let (metrics, gauges) = (&metrics, gauges(kid));
                scope.spawn(move || {
                    for _ in 0..200 {
                        let text = metrics.render(&gauges).unwrap();
                        let line = format!(r#"kid="{kid}",state="current"}} 1"#);
                        assert!(text.contains(&line), "{text}");
                        assert_eq!(text.matches("kid=").count(), 1, "{text}");
                        assert!(text.ends_with("# EOF\n"), "{text}");
                    }
                });
            }
        });
    }
}
