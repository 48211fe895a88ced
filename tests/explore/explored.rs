//! One world, in which a history happens.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bff::registrar::Occasion;
use dev_idp::Fault;

use crate::bench::Bench;
use crate::contents::Door;
use crate::disk::{Promise as DiskPromise, SimDisk};
use crate::history::{History, Operation, Purpose};
use crate::program::{End, Program, Slot, Work};
use crate::record::Record;
use crate::steps::{Random, Steps, Target};
use crate::truth::{self, Books, Complaint, Promise};

/// The longest that one start may take.
const LONGEST: Duration = Duration::from_secs(20);

/// Starts after which a world has to be at rest.
const SETTLING: usize = 3;

const VOLUME: &str = "/volume/keys";

struct World<'a> {
    bench: &'a Bench,
    disk: SimDisk,
    settings: BTreeMap<&'static str, String>,
    record: Record,
    books: Books,
    tokens: Vec<String>,
    /// The client that was accepted, if nothing has happened since that may change that.
    accepted: Option<String>,
    /// Whether the volume may be too full.
    narrow: bool,
}

/// Lets it happen, and says what was wrong first.
/// `restarts` are watched at the end.
pub(crate) async fn explore(
    bench: &Bench,
    history: &History,
    restarts: usize,
) -> Option<Complaint> {
    let mut world = World::new(bench);
    for operation in &history.operations {
        if let Some(complaint) = world.happen(operation).await {
            return Some(complaint);
        }
    }
    if let Some(complaint) = world.rest(restarts).await {
        return Some(complaint);
    }
    world.lose_power()
}

impl<'a> World<'a> {
    fn new(bench: &'a Bench) -> Self {
        bench.idp.forget_everything().unwrap();
        bench.idp.faults().clear();
        bench.wires.mend();
        bench.wires.forget();
        bench.wall.set_ahead(0);
        Self {
            bench,
            disk: SimDisk::new(DiskPromise::AllKept),
            settings: BTreeMap::from([
                ("IDP_BASE_URL", format!("{}/api/oidc", bench.origin)),
                ("BFF_BASE_URL", format!("http://{}", bench.jwks)),
                ("BFF_KEYS_DIR", VOLUME.to_owned()),
                ("BFF_SIGNING_ALG", "ES256".to_owned()),
                ("DCR_REDIRECT_URIS", "https://app.example/old".to_owned()),
            ]),
            record: Record::default(),
            books: Books::open(bench),
            tokens: Vec::new(),
            accepted: None,
            narrow: false,
        }
    }

    async fn happen(&mut self, operation: &Operation) -> Option<Complaint> {
        let (faults, wires) = (self.bench.idp.faults(), &self.bench.wires);
        match operation.clone() {
            Operation::Start(purpose) => return self.start(purpose, Target::Nothing, 0).await,
            Operation::Interrupted(purpose, number, how, loss, random) => {
                let target = Target::Any(number, how);
                let complaint = self.start(purpose, target, how).await;
                self.disk.crash(loss, &mut Random::new(random));
                return complaint;
            }
            Operation::ReadOnly(purpose) => return self.start(purpose, Target::ReadOnly, 0).await,
            Operation::Set(name, value) => {
                self.settings.insert(name, value.to_owned());
            }
            Operation::Unset(name) => {
                self.settings.remove(name);
            }
            Operation::NewToken => {
                // One that could be spent again, so that it shows if it is.
                let token = self.bench.idp.mint_iat_with(9, Duration::from_hours(5));
                self.settings.insert("DCR_IAT", token.clone());
                self.tokens.push(token);
            }
            Operation::OldToken => {
                if let Some(token) = self.tokens.iter().rev().nth(1) {
                    self.settings.insert("DCR_IAT", token.clone());
                }
            }
            Operation::NoToken => {
                self.settings.remove("DCR_IAT");
            }
            Operation::Administrator(true) => {
                let token = self.bench.idp.admin_token().to_owned();
                self.settings.insert("BOOTSTRAP_ADMIN_TOKEN", token);
            }
            Operation::Administrator(false) => {
                self.settings.remove("BOOTSTRAP_ADMIN_TOKEN");
            }
            Operation::Clock(seconds) => self.bench.wall.move_on(seconds),
            Operation::Distort(door, odd, times) => wires.distort(door, odd, times),
            Operation::Fault(fault, Some(times)) => faults.set_times(fault, times),
            Operation::Fault(fault, None) => faults.set(fault),
            Operation::Mend => {
                faults.clear();
                wires.mend();
            }
            Operation::Room(bytes) => {
                self.narrow = true;
                self.disk.limit_room(bytes);
            }
            Operation::Roomy => {
                self.narrow = false;
                self.disk.limit_room(usize::MAX / 2);
            }
        }
        None
    }

    async fn start(&mut self, purpose: Purpose, target: Target, how: u64) -> Option<Complaint> {
        let spares = self.only_registration_fails();
        let steps = Arc::new(Steps::new(target));
        let slot = Slot::default();
        let program = Program {
            config: self.bench.config(&self.settings),
            record: self.record.clone(),
            lagging: false,
            wires: Arc::clone(&self.bench.wires),
            clock: self.bench.wall.clock(),
            slot: Arc::clone(&slot),
            work: match purpose {
                Purpose::Start => Work::Bootstrap(Occasion::Start),
                Purpose::Order => Work::Bootstrap(Occasion::Order),
                Purpose::Refresh => Work::Refresh,
                Purpose::Revoke => Work::Revoke,
            },
        };
        let errors = [
            ErrorKind::Other,
            ErrorKind::StorageFull,
            ErrorKind::ReadOnlyFilesystem,
        ];
        let error = match target {
            Target::ReadOnly => ErrorKind::ReadOnlyFilesystem,
            _ => errors[usize::try_from(how % 3).unwrap()],
        };
        let mount = self.disk.mount(Arc::clone(&steps), error);
        let mut task = tokio::spawn(program.run(mount));
        self.bench.wires.connect(Some(Arc::clone(&steps)));
        let ended = async {
            tokio::select! {
                joined = &mut task => joined,
                () = steps.killed() => {
                    task.abort();
                    (&mut task).await
                }
            }
        };
        let joined = tokio::time::timeout(LONGEST, ended).await.ok();
        task.abort();
        self.bench.wires.connect(None);
        let end = match joined {
            None => return Some(Complaint::new(Promise::Ends, "a start hangs")),
            Some(_) if steps.is_dead() => End::Killed,
            Some(Ok(Ok(()))) => End::Ready,
            Some(Ok(Err((error, hint)))) => End::Failed { error, hint },
            Some(Err(error)) => {
                let what = format!("a start panics: {error}");
                return Some(Complaint::new(Promise::Ends, what));
            }
        };
        let app = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ready = app.as_ref().is_some_and(|app| app.is_ready());
        if let Some(app) = &app {
            self.record.shown(&app.ledger.state());
        }
        let whole = matches!(target, Target::Nothing) && !self.narrow;
        let may_store = whole || matches!(target, Target::ReadOnly);
        if let Some(complaint) = self.check(&end, may_store, whole) {
            return Some(complaint);
        }
        self.check_ready(purpose, spares && whole, ready, &end)
    }

    /// Whether nothing is wrong at the IdP, except when it registers and manages clients.
    fn only_registration_fails(&self) -> bool {
        let there = |fault: &Fault| {
            use dev_idp::Endpoint::{Management, Mint, Read, Register, Renew, Update};
            match fault {
                Fault::DropBefore { on }
                | Fault::DropAfter { on }
                | Fault::CutBody { on }
                | Fault::BadGatewayAfter { on }
                | Fault::Status { on, .. }
                | Fault::Redirect { on } => {
                    matches!(on, Mint | Renew | Register | Read | Update | Management)
                }
                Fault::NoManagement
                | Fault::RotateOnRead
                | Fault::RotateOnUpdate
                | Fault::BareManagementAnswers
                | Fault::ForeignManagementUri
                | Fault::RefuseJwksUri
                | Fault::IssueSecret { .. }
                | Fault::OmitMember { .. }
                | Fault::ForeignMember { .. } => true,
                Fault::SubstituteMember { member, .. } => member != "token_endpoint_auth_method",
                _ => false,
            }
        };
        let elsewhere = |door: &Door| matches!(door, Door::Token | Door::Discovery);
        let faults = self.bench.idp.faults().active();
        faults.iter().all(|active| there(&active.fault))
            && !self.bench.wires.distorted().iter().any(elsewhere)
    }

    /// What must hold whenever a run has ended.
    fn check(&mut self, end: &End, fair: bool, whole: bool) -> Option<Complaint> {
        let (bench, tokens) = (self.bench, &self.tokens);
        self.books
            .check(bench, &self.record, tokens, end, (fair, whole))
    }

    fn check_ready(
        &mut self,
        purpose: Purpose,
        fair: bool,
        ready: bool,
        end: &End,
    ) -> Option<Complaint> {
        if !self.only_registration_fails() || purpose == Purpose::Revoke {
            self.accepted = None;
        }
        let works = |client_id: &String| {
            let clients = self.bench.idp.clients();
            let client = clients.iter().find(|(other, _)| other == client_id);
            client.is_some_and(|(_, metadata)| {
                metadata["token_endpoint_auth_method"] == "private_key_jwt"
            })
        };
        let accepted = self.accepted.take().filter(works);
        if fair && !ready && accepted.is_some() {
            let what = format!("{accepted:?} works, but the service is not ready: {end:?}");
            return Some(Complaint::new(Promise::Ready, what));
        }
        self.accepted = accepted;
        if ready && matches!(end, End::Ready) && purpose != Purpose::Revoke {
            let state = self.record.acknowledged().unwrap_or_default();
            self.accepted = state.registration().map(|ours| ours.client_id.clone());
        }
        None
    }

    /// Nothing is changed any more.
    async fn rest(&mut self, restarts: usize) -> Option<Complaint> {
        self.disk.limit_room(usize::MAX / 2);
        self.narrow = false;
        let pushes = self
            .settings
            .get("DCR_JWKS")
            .is_some_and(|jwks| jwks == "value");
        let before = |world: &Self| world.bench.wires.writes().len();
        let mut settled = 0;
        for round in 0..SETTLING + restarts {
            if round == SETTLING {
                settled = before(self);
            }
            let complaint = self.start(Purpose::Start, Target::Nothing, 0).await;
            if complaint.is_some() {
                return complaint;
            }
            // What is wrong a counted number of times is a change in itself.
            if round + 1 == SETTLING && self.is_counted() {
                return None;
            }
        }
        let mut since = self.bench.wires.writes().split_off(settled);
        since.retain(|write| !(pushes && matches!(write.as_str(), "PUT" | "renew")));
        (!since.is_empty()).then(|| {
            let what = format!("{restarts} restarts sent {since:?}; {}", self.last_words());
            Complaint::new(Promise::Restful, what)
        })
    }

    fn is_counted(&self) -> bool {
        let faults = self.bench.idp.faults().active();
        faults.iter().any(|active| active.times.is_some()) || self.bench.wires.has_counted()
    }

    fn last_words(&self) -> String {
        let log = self.books.log.text();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.len().saturating_sub(14);
        lines[last..].join("\n      ")
    }

    /// The power goes when all is done: what was acknowledged is there.
    fn lose_power(&mut self) -> Option<Complaint> {
        let volume = Path::new(VOLUME);
        truth::lose_power(&self.disk, (volume, volume), &self.record)
            .or_else(|| self.check(&End::Ready, false, false))
    }
}
