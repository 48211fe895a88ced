//! A table of broken inputs, and what holds for all of them.

use std::any::Any;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use bff::config::settings::SETTINGS;
use serde_json::Value;

use super::child::{Bff, Ended};
use super::environment::Env;
use super::volume::Volume;
use super::world::World;

/// Stands in every secret that a case makes up.
pub(crate) const MARK: &str = "hush-7f3a";

/// One way to start the program wrongly, and what it has to answer.
struct Case {
    name: &'static str,
    arguments: Vec<String>,
    env: Env,
    /// The exit code.
    code: i32,
    /// What the message must hold: what is wrong, and the setting or command that mends it.
    words: Vec<String>,
    /// What must not change on the volume.
    untouched: Untouched,
    /// Kept until the end of the case.
    held: Option<Box<dyn Any>>,
}

/// How much of the volume must be as it was.
#[derive(Clone, Copy, PartialEq)]
enum Untouched {
    /// Every file.
    All,
    /// The keys and the registration: that the IdP was asked is on record.
    Identity,
}

/// Fills a case in.
pub(crate) struct Table<'a> {
    world: &'a World,
    cases: Vec<Case>,
}

impl<'a> Table<'a> {
    pub(crate) fn of(world: &'a World) -> Self {
        let cases = Vec::new();
        Self { world, cases }
    }

    /// One more case: the settings of a good start, but for one `change`.
    pub(crate) fn add<T: AsRef<str>>(
        &mut self,
        name: &'static str,
        code: i32,
        words: &[T],
        change: impl FnOnce(Env) -> Env,
    ) {
        let env = self
            .world
            .env_with_token()
            .set("BFF_ADMIN_TOKEN", format!("{MARK}-admin-token"));
        self.cases.push(Case {
            name,
            arguments: Vec::new(),
            env: change(env),
            code,
            words: words.iter().map(|word| word.as_ref().to_owned()).collect(),
            untouched: Untouched::All,
            held: None,
        });
    }

    /// Other arguments for the last case.
    pub(crate) fn arguments(&mut self, arguments: &[&str]) {
        let owned = arguments.iter().map(|argument| (*argument).to_owned());
        self.cases.last_mut().unwrap().arguments = owned.collect();
    }

    /// Keeps something until the last case is over.
    pub(crate) fn hold(&mut self, held: impl Any) {
        self.cases.last_mut().unwrap().held = Some(Box::new(held));
    }

    /// The last case may leave a note in the state.
    pub(crate) fn identity_only(&mut self) {
        self.cases.last_mut().unwrap().untouched = Untouched::Identity;
    }

    /// Runs the cases.
    pub(crate) async fn check(&mut self, secrets: &[&str]) {
        for case in self.cases.drain(..) {
            let before = self.world.volume.snapshot();
            let identity = identity_in(&self.world.volume);
            let arguments: Vec<&str> = case.arguments.iter().map(String::as_str).collect();

            let ended = Bff::start(&arguments, &case.env, "").ended().await;

            check_message(&case, &ended, secrets);
            match case.untouched {
                Untouched::All => assert_eq!(before, self.world.volume.snapshot(), "{}", case.name),
                Untouched::Identity => {
                    assert_eq!(identity, identity_in(&self.world.volume), "{}", case.name);
                }
            }
        }
    }
}

fn check_message(case: &Case, ended: &Ended, secrets: &[&str]) {
    let name = case.name;
    assert_eq!(ended.code, Some(case.code), "{name}: {ended}");
    let printed = ended
        .stderr
        .lines()
        .filter(|line| line.starts_with("error: "));
    let logged = ended.messages("ERROR");
    assert_eq!(
        printed.count() + logged.len(),
        1,
        "one message: {name}: {ended}"
    );
    if case.code != 64 {
        assert!(ended.stderr.contains("hint: "), "{name}: {ended}");
    }
    let message = match logged.first() {
        Some(message) => message,
        None => &ended.stderr,
    };
    for word in &case.words {
        assert!(message.contains(word), "{name}: no `{word}` in {ended}");
    }
    for noise in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
        assert!(!ended.said().contains(noise), "{name}: {ended}");
    }
    let own = SETTINGS.iter().filter(|setting| setting.is_secret());
    let own = own.filter_map(|setting| case.env.get(setting.name));
    for secret in own.chain(secrets.iter().copied()).chain([MARK]) {
        let shown = secret.lines().any(|line| ended.said().contains(line));
        assert!(!shown, "{name}: a secret in {ended}");
    }
}

/// What a volume holds of keys and client; nothing before the first start.
fn identity_in(volume: &Volume) -> (BTreeSet<PathBuf>, Option<[Value; 2]>) {
    let files = volume.snapshot().into_keys().collect();
    let state = fs::read(volume.file("state.json")).unwrap_or_default();
    let state = serde_json::from_slice::<Value>(&state).ok();
    let identity = state.map(|state| ["ring", "registration"].map(|name| state[name].clone()));
    (files, identity)
}
