//! `bff rotate`.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value, json};

use super::{Context, Exit, Failure, block_on, output, service};
use crate::config::ListenConfig;
use crate::idp::ServiceClient;
use crate::jose::Algorithm;

/// Without a flag, a new key is published, proven and switched to, which takes its time.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Arguments {
    /// Does not wait until every copy of the JWK Set is renewed; the proof stays.
    #[arg(long, conflicts_with = "compromised")]
    now: bool,
    /// The keys are known to somebody else: a new one signs at once, all others leave the set.
    #[arg(long)]
    compromised: bool,
    /// The algorithm of the new key (default: that of the present one).
    #[arg(long)]
    alg: Option<Algorithm>,
    /// Shows where a rotation stands, and orders none.
    #[arg(long, conflicts_with_all = ["now", "compromised", "alg"])]
    show: bool,
    /// Waits until the new key signs, and shows how it goes.
    #[arg(long)]
    wait: bool,
}

/// Pause between two looks at a rotation that is waited for.
const LOOK: Duration = Duration::from_secs(1);

pub(super) fn command(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let listen = context.read::<ListenConfig>()?;
    let client = service::client(&listen)?;
    block_on(run(context, arguments, &client))?
}

async fn run(
    context: &Context,
    arguments: &Arguments,
    client: &ServiceClient,
) -> Result<(), Failure> {
    let status = if arguments.show {
        look(client).await?
    } else {
        let answer = client.post("/admin/rotate", &order(arguments)).await;
        service::accepted(answer.map_err(service::unreachable)?)?
    };
    if context.json {
        output::line(&status.to_string());
    } else {
        output::line(&told(&status));
        if let Some(note) = text(&status, "note") {
            output::note(note);
        }
    }
    match text(&status, "kid") {
        Some(kid) if arguments.wait && !arguments.compromised => follow(client, kid).await,
        _ => Ok(()),
    }
}

fn order(arguments: &Arguments) -> Value {
    let mode = match (arguments.now, arguments.compromised) {
        (_, true) => "compromised",
        (true, false) => "now",
        (false, false) => "scheduled",
    };
    let mut order = Map::new();
    order.insert("mode".to_owned(), json!(mode));
    if let Some(alg) = arguments.alg {
        order.insert("alg".to_owned(), json!(alg));
    }
    Value::Object(order)
}

/// Shows each change of where it stands until `kid` signs.
async fn follow(client: &ServiceClient, kid: &str) -> Result<(), Failure> {
    let on_terminal = io::stderr().is_terminal();
    let mut last = String::new();
    loop {
        let status = look(client).await?;
        if text(&status, "kid") != Some(kid) {
            return conclude(client, kid, on_terminal).await;
        }
        let line = told(&status);
        if on_terminal {
            output::progress(&line);
        } else if line != last {
            output::note(&line);
        }
        last = line;
        tokio::time::sleep(LOOK).await;
    }
}

async fn conclude(client: &ServiceClient, kid: &str, on_terminal: bool) -> Result<(), Failure> {
    if on_terminal {
        output::progress("");
    }
    let answer = client.get("/admin/status").await;
    let status = service::accepted(answer.map_err(service::unreachable)?)?;
    let current = status
        .get("keys")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|key| text(key, "state") == Some("current"))
        .and_then(|key| text(key, "kid"));
    if current == Some(kid) {
        output::note(&format!("key `{kid}` signs now"));
        return Ok(());
    }
    Err(Failure::new(
        Exit::Failure,
        anyhow::anyhow!("key `{kid}` does not sign, and the rotation to it is over"),
        "`bff status` shows what happened",
    ))
}

async fn look(client: &ServiceClient) -> Result<Value, Failure> {
    let answer = client.get("/admin/rotate").await;
    service::accepted(answer.map_err(service::unreachable)?)
}

fn told(status: &Value) -> String {
    let mut parts = vec![text(status, "phase").unwrap_or("steady").to_owned()];
    for (name, label) in [
        ("kid", "key"),
        ("waiting_for", "waiting for"),
        ("earliest_promotion", "signs from"),
    ] {
        parts.extend(text(status, name).map(|value| format!("{label} {value}")));
    }
    if let Some(rejections) = status.get("rejections").and_then(Value::as_u64) {
        parts.push(format!("rejected {rejections} times"));
    }
    parts.join("  ")
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}
