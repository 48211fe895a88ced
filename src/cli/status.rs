//! `bff status`.

use serde_json::{Value, json};

use super::{Context, Failure, block_on, keys, output, service};
use crate::config::{KeysConfig, ListenConfig};
use crate::http::describe;

pub(super) fn command(context: &Context) -> Result<(), Failure> {
    let (keys, listen) = context.read::<(KeysConfig, ListenConfig)>()?;
    let status = match from_service(&listen) {
        Some(status) => status,
        // Nobody runs, or nobody may ask: the files know most of it.
        None => describe(&keys::view(&keys)?, json!({}), None),
    };
    if context.json {
        output::line(&status.to_string());
    } else {
        print(&status);
    }
    Ok(())
}

fn from_service(listen: &ListenConfig) -> Option<Value> {
    listen.admin_token.as_ref()?;
    let client = service::client(listen).ok()?;
    let answer = block_on(client.get("/admin/status")).ok()?.ok()?;
    service::accepted(answer).ok()
}

fn print(status: &Value) {
    let text = |value: &Value, name: &str| {
        value
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or("-")
            .to_owned()
    };
    let list = |name: &str| {
        status
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let registration = status.get("registration").cloned().unwrap_or_default();
    output::line(&format!(
        "registration  {}  client {}  at {}  since {}",
        text(&registration, "state"),
        text(&registration, "client_id"),
        text(&registration, "issuer"),
        text(&registration, "registered_at"),
    ));
    for drifted in registration
        .get("drift")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        output::line(&format!("  drifted     {drifted}"));
    }
    for key in list("keys") {
        output::line(&format!(
            "key           {:<8}  {}  {}  published {}",
            text(&key, "state"),
            text(&key, "alg"),
            text(&key, "kid"),
            text(&key, "published_at"),
        ));
    }
    if let Some(proof) = status.get("proof") {
        output::line(&format!(
            "last proof    {}  at {}  {}",
            text(proof, "outcome"),
            text(proof, "at"),
            text(proof, "said"),
        ));
    }
    for orphan in list("orphans") {
        output::line(&format!(
            "orphan        client {} at {} since {}: delete it at the IdP",
            text(&orphan, "client_id"),
            text(&orphan, "issuer"),
            text(&orphan, "since"),
        ));
    }
    for entry in list("journal") {
        output::line(&format!(
            "journal       {}  {}  {}  {}",
            text(&entry, "at"),
            text(&entry, "event"),
            text(&entry, "client_id"),
            text(&entry, "detail"),
        ));
    }
}
