//! One identity, from its first start to its last.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bff::registrar::Occasion;
use bff::registration::{Registered, TokenFingerprint};
use bff::state::{Event, State};
use dev_idp::Fault as IdpFault;

use crate::bench::Bench;
use crate::disk::{Loss, Promise, SimDisk};
use crate::program::{End, Program, Slot, Work};
use crate::record::{Record, Wrong};
use crate::scenario::{NEW, OLD, REFUSED, Scenario, Token};
use crate::steps::{Kind, Random, Step, Steps, Target};
use crate::truth::{self, Books};
use crate::varied::Varied;

/// What is deliberately broken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Broken {
    pub(crate) promise: Promise,
    /// The store acknowledges each state before it is durable.
    pub(crate) lagging: bool,
}

pub(crate) struct World<'a> {
    bench: &'a Bench,
    scenario: Scenario,
    broken: Broken,
    disk: SimDisk,
    settings: BTreeMap<&'static str, String>,
    record: Record,
    /// The initial access tokens that the operator was given.
    tokens: Vec<String>,
    key: Option<String>,
    /// What the next start is for.
    occasion: Occasion,
    /// What paid for the client that was there before.
    first: Vec<TokenFingerprint>,
    /// If answers are odd. The exact end is open then, and what is promised whatever is answered
    /// is compared instead.
    books: Option<Books>,
}

/// Starts in which a world must come to rest.
const ROUNDS: usize = 8;

/// With odd answers: starts with help from the operator, and those after which a world has to be
/// at rest without.
const HELPED: usize = 4;
const SETTLING: usize = 3;

const NEWEST: &str = "https://app.example/newest";

impl<'a> World<'a> {
    /// A world in which the interrupted start comes next.
    pub(crate) async fn new(bench: &'a Bench, scenario: Scenario, broken: Broken) -> World<'a> {
        Self::begun(bench, scenario, broken, None).await
    }

    /// A world in which answers are odd from the interrupted start on.
    pub(crate) async fn odd(bench: &'a Bench, scenario: Scenario, broken: Broken) -> World<'a> {
        let books = Books::open(bench);
        Self::begun(bench, scenario, broken, Some(books)).await
    }

    async fn begun(
        bench: &'a Bench,
        scenario: Scenario,
        broken: Broken,
        books: Option<Books>,
    ) -> World<'a> {
        bench.idp.forget_everything().unwrap();
        bench.idp.faults().clear();
        bench.wires.mend();
        bench.wall.set_ahead(0);
        bench.idp.faults().set(IdpFault::RotateOnRead);
        bench.idp.faults().set(IdpFault::RotateOnUpdate);
        let mut world = Self {
            bench,
            scenario,
            broken,
            disk: SimDisk::new(broken.promise),
            settings: BTreeMap::from([
                ("IDP_BASE_URL", format!("{}/api/oidc", bench.origin)),
                ("BFF_BASE_URL", format!("http://{}", bench.jwks)),
                ("BFF_KEYS_DIR", "/volume/keys".to_owned()),
                ("BFF_SIGNING_ALG", "ES256".to_owned()),
                ("DCR_REDIRECT_URIS", OLD.to_owned()),
                ("DCR_REDIRECT_UPDATE_MODE", "replace".to_owned()),
            ]),
            record: Record::default(),
            tokens: Vec::new(),
            key: None,
            first: Vec::new(),
            occasion: Occasion::Start,
            books,
        };
        world.set(scenario.always);
        if scenario.registered {
            world.mint();
            let (end, _) = world.start(Target::Nothing, ErrorKind::Other).await;
            assert!(matches!(end, End::Ready), "{end:?}");
            world.settings.remove("DCR_IAT");
            let state = world.record.acknowledged().unwrap_or_default();
            world.first = state.spent().to_vec();
        }
        bench.wires.forget();
        world.set(scenario.then);
        match scenario.token {
            Token::None => {}
            Token::Initial => world.mint(),
            Token::Admin => world.ask_administrator(),
        }
        world
    }

    /// The start that is interrupted, and what the disk makes of it.
    pub(crate) async fn interrupted(
        &mut self,
        target: Target,
        random: &mut Random,
    ) -> (End, Vec<Step>) {
        self.set(self.scenario.once);
        let errors = [
            ErrorKind::Other,
            ErrorKind::StorageFull,
            ErrorKind::ReadOnlyFilesystem,
        ];
        let ended = self.start(target, errors[random.below(3)]).await;
        for (name, _) in self.scenario.once {
            self.settings.remove(name);
        }
        let losses = [Loss::Nothing, Loss::Everything, Loss::Tail, Loss::Some];
        self.disk.crash(losses[random.below(4)], random);
        ended
    }

    /// Starts without faults, doing what the hints say, until all is as it should be.
    pub(crate) async fn recover(&mut self) {
        for _ in 0..ROUNDS {
            let (end, _) = self.start(Target::Nothing, ErrorKind::Other).await;
            match end {
                End::Ready if self.is_settled() => {
                    self.lose_power();
                    self.make_manageable().await;
                    return;
                }
                End::Ready => self.press_on(),
                End::Failed { error, hint } => {
                    if !self.follow(hint) {
                        let what = format!("{error}; hint: {hint}");
                        self.record.wrong(Wrong::Stuck(what));
                    }
                }
                End::Killed => {}
            }
            if !self.record.found().is_empty() {
                return;
            }
        }
        let what = format!("not settled after {ROUNDS} starts");
        self.record.wrong(Wrong::Stuck(what));
    }

    /// Starts as [`World::recover`] does, to an end that may be one that only a human can resolve.
    /// From there on nothing is changed, and restarts have to come to rest. Says whether an odd
    /// answer has come.
    pub(crate) async fn come_to_rest(&mut self) -> bool {
        for _ in 0..HELPED {
            let (end, _) = self.start(Target::Nothing, ErrorKind::Other).await;
            if !self.record.found().is_empty() {
                return self.was_distorted();
            }
            match end {
                End::Ready if self.is_settled() => break,
                End::Ready => self.press_on(),
                End::Failed { hint, .. } if self.follow(hint) => {}
                End::Failed { .. } | End::Killed => break,
            }
        }
        let odd = self.was_distorted();
        self.bench.wires.mend();
        let mut settled = 0;
        for _ in 0..=SETTLING {
            settled = self.writes().len();
            self.start(Target::Nothing, ErrorKind::Other).await;
            if !self.record.found().is_empty() {
                return odd;
            }
        }
        let pushes = self.settings.get("DCR_JWKS").is_some_and(|j| j == "value");
        let mut since = self.writes().split_off(settled);
        since.retain(|write| !(pushes && matches!(write.as_str(), "PUT" | "renew")));
        if !since.is_empty() {
            let what = format!("a restart with nothing changed sent {since:?}");
            self.record.wrong(Wrong::Unkept(what));
        }
        self.lose_power();
        odd
    }

    /// Changes one answer on its way.
    pub(crate) fn distort(&self, varied: &Varied) {
        let odd = varied.odd.clone();
        self.bench.wires.distort(varied.door, odd, Some(1));
    }

    /// Whether that answer has come.
    pub(crate) fn was_distorted(&self) -> bool {
        !self.bench.wires.has_counted()
    }

    pub(crate) fn found(&self) -> Vec<Wrong> {
        self.record.found()
    }

    /// The changes that were asked of the IdP since the world was made.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.bench.wires.writes()
    }

    /// A start on a disk that can only be read.
    pub(crate) async fn read_only(&mut self) -> (End, Vec<Step>) {
        self.start(Target::ReadOnly, ErrorKind::ReadOnlyFilesystem)
            .await
    }

    /// Leaves no room on the disk.
    pub(crate) fn fill_disk(&self) {
        self.disk.limit_room(0);
    }

    async fn start(&mut self, target: Target, error: ErrorKind) -> (End, Vec<Step>) {
        let steps = Arc::new(Steps::new(target));
        let slot = Slot::default();
        let program = Program {
            config: self.bench.config(&self.settings),
            record: self.record.clone(),
            lagging: self.broken.lagging,
            wires: Arc::clone(&self.bench.wires),
            clock: self.bench.wall.clock(),
            slot: Arc::clone(&slot),
            work: Work::Bootstrap(std::mem::replace(&mut self.occasion, Occasion::Start)),
        };
        let mount = self.disk.mount(Arc::clone(&steps), error);
        let mut task = tokio::spawn(program.run(mount));
        self.bench.wires.connect(Some(Arc::clone(&steps)));
        let joined = tokio::select! {
            joined = &mut task => joined,
            () = steps.killed() => {
                task.abort();
                task.await
            }
        };
        self.bench.wires.connect(None);
        let end = match joined {
            _ if steps.is_dead() => End::Killed,
            Ok(Ok(())) => End::Ready,
            Ok(Err((error, hint))) => End::Failed { error, hint },
            Err(error) => {
                let what = format!("a start panics: {error}");
                self.record.wrong(Wrong::Stuck(what));
                End::Killed
            }
        };
        let app = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(app) = app {
            self.record.shown(&app.ledger.state());
        }
        let taken = steps.taken();
        let is_of_the_disk = |number: usize| {
            let step = taken.get(number);
            step.is_some_and(|step| !matches!(step.kind, Kind::Request | Kind::Fetch))
        };
        let whole = match target {
            Target::Nothing => true,
            Target::Step(number, _) | Target::Any(number, _) => !is_of_the_disk(number),
            Target::ReadOnly => false,
        };
        self.check(&end, (whole, whole));
        (end, taken)
    }

    fn set(&mut self, settings: &[(&'static str, &'static str)]) {
        for &(name, value) in settings {
            let value = if value == REFUSED {
                let address = self.bench.refused.local_addr().unwrap();
                format!("http://{}/register", address.as_socket().unwrap())
            } else {
                value.to_owned()
            };
            self.settings.insert(name, value);
        }
    }

    fn mint(&mut self) {
        // One that could be spent again, so that it shows if it is.
        let hour = Duration::from_hours(1);
        let token = self.bench.idp.mint_iat_with(9, hour);
        self.settings.insert("DCR_IAT", token.clone());
        self.tokens.push(token);
    }

    fn ask_administrator(&mut self) {
        let token = self.bench.idp.admin_token().to_owned();
        self.settings.insert("BOOTSTRAP_ADMIN_TOKEN", token);
    }

    /// What must hold whenever a run has ended.
    fn check(&mut self, end: &End, fair: (bool, bool)) {
        let Some(state) = self.record.acknowledged() else {
            return;
        };
        self.check_key(&state);
        if let Some(books) = &mut self.books {
            let complaint = books.check(self.bench, &self.record, &self.tokens, end, fair);
            // What was found otherwise is noted already.
            if let Some(complaint) = complaint
                && self.record.found().is_empty()
            {
                self.record.wrong(Wrong::Unkept(complaint.to_string()));
            }
            return;
        }
        self.check_tokens();
        self.check_clients(&state);
    }

    fn check_key(&mut self, state: &State) {
        let key = state.ring().map(|ring| ring.current().jwk.kid.to_string());
        if self.key.is_some() && self.key != key {
            let what = format!("key {:?} has become {key:?}", self.key);
            self.record.wrong(Wrong::Lost(what));
        }
        self.key = key.or(self.key.take());
    }

    fn check_tokens(&self) {
        if let Some(complaint) = truth::tokens(self.bench, &self.tokens) {
            self.record.wrong(Wrong::Doubled(complaint.what));
        }
    }

    /// Every client at the IdP is known, or the state says that there may be one.
    fn check_clients(&self, state: &State) {
        let possible = usize::from(state.attempt().is_some())
            + state
                .journal()
                .entries()
                .filter(|entry| entry.event == Event::AttemptAbandoned)
                .count();
        let unknown = self.strangers(state);
        if unknown.len() > possible {
            let what = format!("{unknown:?} exist and nobody knows of them");
            self.record.wrong(Wrong::Lost(what));
        }
        if let Some(registered) = state.registration()
            && !registered.is_manageable()
            && !state
                .journal()
                .entries()
                .any(|entry| matches!(entry.event, Event::Unmanageable | Event::ClientFound))
        {
            let what = format!("the means to manage {} are gone", registered.client_id);
            self.record.wrong(Wrong::Lost(what));
        }
    }

    /// Clients at the IdP that the state does not name.
    fn strangers(&self, state: &State) -> Vec<String> {
        let clients = self.bench.idp.clients().into_iter();
        clients
            .map(|(client_id, _)| client_id)
            .filter(|client_id| {
                let ours = state.registration();
                let candidate = state.candidate().map(|candidate| &candidate.client);
                let mut ours = ours.into_iter().chain(candidate);
                ours.all(|ours| ours.client_id != *client_id)
                    && !state.orphans().iter().any(|o| o.client_id == *client_id)
            })
            .collect()
    }

    /// Whether there is one client, and it is as the configuration wants it.
    fn is_settled(&self) -> bool {
        let state = self.record.acknowledged().unwrap_or_default();
        let Some(registered) = state.registration() else {
            return false;
        };
        let replaced = !self.scenario.replaces || self.first != state.spent();
        let redirect_uris = self.redirect_uris(&registered.client_id);
        replaced
            && state.attempt().is_none()
            && state.candidate().is_none()
            && self.strangers(&state).is_empty()
            && redirect_uris.as_deref() == Some(&[self.settings["DCR_REDIRECT_URIS"].clone()])
    }

    fn redirect_uris(&self, client_id: &str) -> Option<Vec<String>> {
        let clients = self.bench.idp.clients();
        let (_, metadata) = clients.iter().find(|(id, _)| id == client_id)?;
        serde_json::from_value(metadata["redirect_uris"].clone()).ok()
    }

    /// The service works, but something is left for the operator.
    fn press_on(&mut self) {
        let state = self.record.acknowledged().unwrap_or_default();
        self.delete_strangers(&state);
        let unmanaged = |state: &State| {
            let registered = state.registration();
            registered.is_some_and(|registered| !registered.is_manageable())
        };
        // What was refused is asked again on order; a lost token is renewed with the
        // administrator's.
        self.occasion = Occasion::Order;
        if self.scenario.replaces {
            self.mint();
        }
        if unmanaged(&state) {
            self.ask_administrator();
        }
    }

    /// Does what a hint says, and says whether it says anything.
    fn follow(&mut self, hint: &'static str) -> bool {
        let state = self.record.acknowledged().unwrap_or_default();
        let mut followed = false;
        if hint.contains("delete") {
            self.delete_strangers(&state);
            followed = true;
        }
        if hint.contains("bff mint-iat") {
            self.mint();
            followed = true;
        }
        if hint.contains("bff register") {
            self.occasion = Occasion::Order;
            followed = true;
        }
        followed
    }

    fn delete_strangers(&self, state: &State) {
        for client_id in self.strangers(state) {
            self.bench.idp.delete_client(&client_id).unwrap();
        }
    }

    /// The power goes when all is done: what was acknowledged is there.
    fn lose_power(&mut self) {
        let (keys, state) = self.directories();
        let lost = truth::lose_power(&self.disk, (&keys, &state), &self.record);
        if let Some(complaint) = lost {
            self.record.wrong(Wrong::Lost(complaint.what));
        }
        self.check(&End::Ready, (false, false));
    }

    fn directories(&self) -> (PathBuf, PathBuf) {
        let keys = self.settings["BFF_KEYS_DIR"].as_str();
        let state = self.settings.get("BFF_STATE_DIR");
        let state = state.map_or(keys, String::as_str);
        (Path::new(keys).to_owned(), Path::new(state).to_owned())
    }

    /// A client that cannot be managed can be again with the administrator's help.
    async fn make_manageable(&mut self) {
        let state = self.record.acknowledged().unwrap_or_default();
        let managed = |state: &State| {
            let registered = state.registration();
            registered.is_some_and(Registered::is_manageable)
        };
        if managed(&state) {
            return;
        }
        self.ask_administrator();
        for uri in [NEWEST, NEW] {
            self.settings.insert("DCR_REDIRECT_URIS", uri.to_owned());
            let (end, _) = self.start(Target::Nothing, ErrorKind::Other).await;
            let state = self.record.acknowledged().unwrap_or_default();
            if !(matches!(end, End::Ready) && managed(&state) && self.is_settled()) {
                let what = format!("not manageable with the administrator's token: {end:?}");
                self.record.wrong(Wrong::Stuck(what));
            }
        }
    }
}
