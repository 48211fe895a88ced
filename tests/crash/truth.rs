//! What has to hold, by the documents, the log and the IdP's own books.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use bff::disk::Disk;
use bff::local_files::Directories;
use bff::state::{Event, State};
use bff::store::{FileStore, Store};
use serde_json::Value;

use crate::bench::Bench;
use crate::contents::Door;
use crate::disk::{Loss, SimDisk};
use crate::net::Delivered;
use crate::program::End;
use crate::record::Record;
use crate::steps::{Random, Steps, Target};
use crate::support::log::Log;

/// What is promised.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Promise {
    /// Every document that was committed is there and can be loaded.
    Durable,
    /// A token is in one request at most that was not refused for certain.
    TokenOnce,
    /// No client exists that is named nowhere.
    Named,
    /// A registration access token that was received is on the disk.
    Kept,
    /// Restarts with nothing changed change nothing at the IdP.
    Restful,
    /// What was accepted stays accepted while only registration and management fail.
    Ready,
    /// No secret is in the log.
    Secret,
    /// A start comes to an end.
    Ends,
}

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub(crate) struct Complaint {
    pub(crate) promise: Promise,
    pub(crate) what: String,
}

impl Complaint {
    pub(crate) fn new(promise: Promise, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { promise, what }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.promise, self.what)
    }
}

/// What was said and sent in one world.
pub(crate) struct Books {
    pub(crate) log: Log,
    /// What the program said when it ended.
    said: String,
    /// Clients of which the program was never told the identifier.
    lied: Vec<String>,
    /// How many secrets the IdP had issued before.
    earlier: usize,
}

impl Books {
    pub(crate) fn open(bench: &Bench) -> Self {
        Self {
            // The IdP in this process has a log too, which is none of ours.
            log: Log::capture_with("off,bff=trace"),
            said: String::new(),
            lied: Vec::new(),
            earlier: bench.idp.issued_secrets().len(),
        }
    }

    /// What must hold whenever a run has ended. `fair` says that what was received could be
    /// stored, or was not to be asked for; `whole` that nothing was wrong with the disk.
    pub(crate) fn check(
        &mut self,
        bench: &Bench,
        record: &Record,
        initial: &[String],
        end: &End,
        (fair, whole): (bool, bool),
    ) -> Option<Complaint> {
        if let End::Failed { error, hint } = end {
            let said = format!("{error}; hint: {hint}\n");
            self.said.push_str(&said);
        }
        let delivered = bench.wires.delivered();
        self.lied.extend(lied(&delivered));
        let state = record.acknowledged().unwrap_or_default();
        if let Some(wrong) = record.found().first() {
            return Some(Complaint::new(Promise::Durable, wrong.what()));
        }
        let log = self.log.text() + &self.said;
        let mut issued = bench.idp.issued_secrets().split_off(self.earlier);
        // It makes identifiers in the same way.
        issued.retain(|secret| !secret.starts_with("client-"));
        issued.push(bench.idp.admin_token().to_owned());
        tokens(bench, initial)
            .or_else(|| clients(bench, &state, &log, &self.lied))
            .or_else(|| {
                let lives = fair && !matches!(end, End::Killed);
                // None leaves where the next one cannot be stored.
                let excused = if whole { log.as_str() } else { "" };
                lives
                    .then(|| registration_access_tokens(bench, &delivered, &state, excused))
                    .flatten()
            })
            .or_else(|| secrets(&issued, &log))
    }
}

/// The power goes: what was acknowledged is there, and so is the key.
pub(crate) fn lose_power(
    disk: &SimDisk,
    (keys, state): (&Path, &Path),
    record: &Record,
) -> Option<Complaint> {
    let acknowledged = record.acknowledged().unwrap_or_default();
    let kid = acknowledged.ring().map(|ring| &ring.current().jwk.kid);
    disk.crash(Loss::Everything, &mut Random::new(0));
    let steps = Arc::new(Steps::new(Target::Nothing));
    let mount: Arc<dyn Disk> = Arc::new(disk.mount(steps, ErrorKind::Other));
    let _directories = Directories::open(Arc::clone(&mount), keys, state, "the end").unwrap();
    let store = FileStore::new(mount, keys, state);
    record.loaded(&store.load());
    let error = store.read_key(kid?).err()?;
    Some(Complaint::new(Promise::Durable, error.to_string()))
}

/// Each token that was sent, and how often it has paid.
pub(crate) fn tokens(bench: &Bench, tokens: &[String]) -> Option<Complaint> {
    for token in tokens {
        let uses = bench.idp.iat_uses(token);
        if uses.is_some_and(|uses| uses > 1) {
            let what = format!("a token was spent {uses:?} times");
            return Some(Complaint::new(Promise::TokenOnce, what));
        }
    }
    let posts = bench.wires.posts();
    for (index, post) in posts.iter().enumerate() {
        let mut earlier = posts[..index].iter();
        if post.token.is_some()
            && earlier.any(|earlier| earlier.token == post.token && !earlier.refused)
        {
            let what = format!("a token that may be spent was sent again, in POST {index}");
            return Some(Complaint::new(Promise::TokenOnce, what));
        }
    }
    None
}

/// Every client at the IdP is named, or an attempt says that there may be one. `lied` are those
/// whose identifier the program was never told truly.
fn clients(bench: &Bench, state: &State, log: &str, lied: &[String]) -> Option<Complaint> {
    let abandoned = |event: &Event| matches!(event, Event::AttemptAbandoned);
    let journal: Vec<_> = state.journal().entries().collect();
    let possible = usize::from(state.attempt().is_some())
        + journal.iter().filter(|e| abandoned(&e.event)).count();
    let document = serde_json::to_string(state).unwrap();
    let unnamed: Vec<String> = bench
        .idp
        .clients()
        .into_iter()
        .map(|(client_id, _)| client_id)
        .filter(|client_id| !lied.contains(client_id))
        .filter(|client_id| !document.contains(client_id) && !log.contains(client_id))
        .collect();
    (unnamed.len() > possible).then(|| {
        let what = format!("{unnamed:?} exist, and {possible} may");
        Complaint::new(Promise::Named, what)
    })
}

/// Identifiers that the program was told wrongly, and which client they were about.
fn lied(delivered: &[Delivered]) -> Vec<String> {
    let client_id = |body: &[u8]| -> Option<String> {
        let body: Value = serde_json::from_slice(body).ok()?;
        Some(body["client_id"].as_str()?.to_owned())
    };
    let registered = delivered.iter().filter(|d| d.door == Door::Register);
    registered
        .filter_map(|delivered| {
            let told = client_id(&delivered.body)?;
            client_id(&delivered.original).filter(|truth| *truth != told)
        })
        .collect()
}

/// The last registration access token that was received for each client is in the document, if
/// the client still exists. `excused` is a log that may say that one is lost.
fn registration_access_tokens(
    bench: &Bench,
    delivered: &[Delivered],
    state: &State,
    excused: &str,
) -> Option<Complaint> {
    let mut last = BTreeMap::new();
    for delivered in delivered {
        if delivered.door == Door::Renew || lies_about_the_token(delivered) {
            last.clear();
        }
        // The one before is void, whatever of this answer can be understood.
        if let Some(client_id) = told_anew(delivered) {
            last.remove(&client_id);
        }
        if let Some((client_id, rat)) = received(bench, delivered) {
            last.insert(client_id, (delivered.door, rat));
        }
    }
    let document = serde_json::to_string(state).unwrap();
    let clients = bench.idp.clients();
    for (client_id, (door, rat)) in last {
        let exists = clients.iter().any(|(other, _)| *other == client_id);
        let named_as_lost = excused.contains("is dropped") || excused.contains("cannot be stored");
        if exists && !document.contains(&rat) && !named_as_lost {
            let what = format!("the token of {client_id} that came from {door:?} is not stored");
            return Some(Complaint::new(Promise::Kept, what));
        }
    }
    None
}

/// The client of which the IdP has told a registration access token.
fn told_anew(delivered: &Delivered) -> Option<String> {
    let original: Value = serde_json::from_slice(&delivered.original).ok()?;
    original["registration_access_token"].as_str()?;
    Some(original["client_id"].as_str()?.to_owned())
}

/// Whether another registration access token was received than the IdP has issued.
fn lies_about_the_token(delivered: &Delivered) -> bool {
    let token = |body: &[u8]| {
        let body: Option<Value> = serde_json::from_slice(body).ok();
        body.map(|body| body["registration_access_token"].clone())
    };
    token(&delivered.body) != token(&delivered.original)
}

/// The client and the registration access token of a success that can be understood.
fn received(bench: &Bench, delivered: &Delivered) -> Option<(String, String)> {
    let describes = matches!(delivered.door, Door::Register | Door::Read | Door::Update);
    if !describes || !(200..300).contains(&delivered.status) || delivered.status == 204 {
        return None;
    }
    // What is longer is cut before it is stored.
    if delivered.body.len() > 256 * 1024 {
        return None;
    }
    let text = std::str::from_utf8(&delivered.body).ok()?;
    let once = |name: &str| text.matches(&format!("\"{name}\":")).count() == 1;
    let body: Value = serde_json::from_str(text).ok()?;
    let original: Value = serde_json::from_slice(&delivered.original).ok()?;
    let rat = body["registration_access_token"].as_str()?;
    // One for another origin is never sent, and told as a difference.
    let uri = body["registration_client_uri"].as_str().unwrap_or_default();
    let sane = once("registration_access_token")
        && once("registration_client_uri")
        && uri.starts_with(&bench.origin)
        && body["registration_access_token"] == original["registration_access_token"]
        && body["client_id"] == original["client_id"]
        && body["registration_client_uri"] == original["registration_client_uri"]
        && once("client_id");
    let client_id = original["client_id"].as_str()?;
    sane.then(|| (client_id.to_owned(), rat.to_owned()))
}

/// No secret of this world is in its log.
fn secrets(secrets: &[String], log: &str) -> Option<Complaint> {
    let shown = secrets
        .iter()
        .find(|secret| log.contains(secret.as_str()))?;
    let kind = shown.split('-').next().unwrap_or_default();
    let line = log.lines().find(|line| line.contains(shown.as_str()))?;
    let line: String = line.chars().take(400).collect();
    Some(Complaint::new(Promise::Secret, format!("{kind}: {line}")))
}
