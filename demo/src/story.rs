//! The story, step by step.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use bff::cli::{Failure, Running, serve};
use bff::clock::Clock;
use bff::idp::{AdminClient, HttpClient, ServiceClient, TokenWish};
use bff::jose::{Algorithm, SigningKey};
use bff::keyring::KeyRing;
use bff::secret::Secret;
use dev_idp::{DevIdp, JwksCachePolicy};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::events::Events;
use crate::log::Message;
use crate::panel;
use crate::screen::{INDENT, Line, Screen, Style};
use crate::stage::{self, Files, Settings};
use crate::teller::{Teller, View};
use crate::wire;

/// Pause between two looks at the rotation.
const LOOK: Duration = Duration::from_millis(20);
/// Longest time that the rotation may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The demonstration under way.
pub(crate) struct Story {
    teller: Teller,
    files: Files,
    once: bool,
    running: Option<Running>,
}

impl Story {
    /// A story that has not begun; `directory` is for its files.
    pub(crate) fn new(
        screen: Screen,
        log: UnboundedReceiver<Message>,
        directory: &Path,
        once: bool,
    ) -> Self {
        Self {
            teller: Teller {
                screen,
                events: Events::new(log),
            },
            files: Files::new(directory),
            once,
            running: None,
        }
    }

    /// Tells everything, and returns if it is told once only; else it goes on for as long as
    /// somebody waits for it.
    pub(crate) async fn tell(&mut self) -> anyhow::Result<()> {
        let idp = self.steps().await?;
        if !self.once {
            self.watch_on().await?;
        }
        idp.shutdown().await;
        Ok(())
    }

    async fn steps(&mut self) -> anyhow::Result<DevIdp> {
        self.introduce()?;
        self.make_key().await?;
        let idp = self.start_idp().await?;
        self.mint_token(&idp).await?;
        let settings = self.serve_key(&idp).await?;
        self.bootstrap(View::BFF).await?;
        self.rotate().await?;
        self.restart(&idp, settings).await?;
        let running = self.running.as_ref().context("bff is not running")?;
        panel::show(&mut self.teller.screen, running, &idp, &self.files)?;
        Ok(idp)
    }

    /// Stops `bff`, and gives the screen back.
    pub(crate) async fn finish(self) -> Screen {
        if let Some(running) = self.running {
            running.stop(std::future::pending()).await;
        }
        self.teller.screen
    }

    fn introduce(&mut self) -> io::Result<()> {
        let screen = &mut self.teller.screen;
        screen.blank()?;
        screen.rule("bff: from a PEM and a token to a client that is proven")?;
        screen.blank()?;
        screen.text(
            INDENT,
            Style::Plain,
            "bff and an identity provider (IdP) for development run in this process, on loopback \
             only. What follows is what goes over the wire. Secrets are shown as ***, tokens also \
             as a #fingerprint; lines behind ┊ are bff's own log.",
        )?;
        let place = format!("{}  (removed at the end)", self.files.directory().display());
        screen.blank()?;
        screen.fact("files", &place)
    }

    async fn make_key(&mut self) -> anyhow::Result<()> {
        self.teller
            .screen
            .step(
                "A signing key lies on the keys volume",
                "An operator brings a PEM. This one is fresh, made with bff's own library, as \
                 `bff keys generate` does.",
            )
            .await?;
        let key = SigningKey::generate(Algorithm::ES256)?;
        std::fs::create_dir(self.files.keys())?;
        stage::keep(&self.files.pem(), &key.to_pem(None)?)?;
        let what = format!(
            "{}  PKCS#8, P-256, readable by its owner alone",
            self.files.short(&self.files.pem())
        );
        self.teller.screen.fact("PEM", &what)?;
        self.teller.screen.fact("kid", key.kid().as_str())?;
        Ok(())
    }

    async fn start_idp(&mut self) -> anyhow::Result<DevIdp> {
        self.teller
            .screen
            .step(
                "The IdP starts",
                "It registers clients dynamically (RFC 7591) for whoever holds an initial access \
                 token, and knows no client yet.",
            )
            .await?;
        let listener = stage::idp_listener(self.teller.screen.is_watched()).await?;
        let builder = DevIdp::builder()
            .listener(listener)
            .clients_file(self.files.clients())
            .jwks_cache(JwksCachePolicy::RefetchOnMiss {
                cooldown: Duration::ZERO,
            });
        #[cfg(test)]
        let builder = builder.remember_secrets();
        let provider = builder.start().await.context("the IdP cannot start")?;
        self.teller.screen.fact("issuer", &provider.issuer())?;
        self.teller.events.follow(provider.subscribe());
        Ok(provider)
    }

    async fn mint_token(&mut self, idp: &DevIdp) -> anyhow::Result<()> {
        self.teller
            .screen
            .step(
                "Its administrator mints an initial access token",
                "Good for one registration within ten minutes. `bff mint-iat` sends this request.",
            )
            .await?;
        let admin = AdminClient::new(
            HttpClient::new(None)?,
            idp.admin_base_url().parse()?,
            Secret::new(idp.admin_token()),
        );
        let wish = TokenWish {
            label: Some("demo".to_owned()),
            expires_in: Some(600),
            max_uses: Some(1),
        };
        let minted = admin.mint_initial_access_token(&wish);
        let minted = self.teller.watch(View::OPERATOR, minted).await??;
        stage::keep(&self.files.initial_access_token(), &minted.token.0)?;
        Ok(())
    }

    async fn serve_key(&mut self, idp: &DevIdp) -> anyhow::Result<Settings> {
        self.teller
            .screen
            .step(
                "bff starts, and publishes its key",
                "The JWK Set is up before the IdP hears of bff: some IdPs fetch it while they \
                 register a client, and some remember for a minute that they could not.",
            )
            .await?;
        stage::make_token(&self.files.admin_token())?;
        let address = stage::bff_address(self.teller.screen.is_watched()).await?;
        let settings = Settings::new(address, &idp.issuer(), &self.files);
        let directory = format!("{}/", self.files.directory().display());
        for (name, value) in settings.iter() {
            let line = Line::indented(INDENT)
                .with(Style::Name, name)
                .with(Style::Faint, "=")
                .plain(value.replace(&directory, ""));
            self.teller.screen.line(&line)?;
        }
        self.teller.screen.blank()?;
        let address = self.start(&settings, View::BFF).await?;
        self.teller.screen.blank()?;

        let url = format!("http://{address}/.well-known/jwks.json");
        let answer = HttpClient::new(None)?.probe(&url).await?;
        let set: Value = serde_json::from_slice(answer.bytes())?;
        let screen = &mut self.teller.screen;
        let request = "GET /.well-known/jwks.json";
        wire::show_own(screen, request, &Value::Null, answer.status, &set)?;
        Ok(settings)
    }

    async fn rotate(&mut self) -> anyhow::Result<()> {
        self.teller
            .screen
            .step(
                "bff rotates its key",
                "A new key is published, proven three times, and only then signs; the old one \
                 stays published for what it has signed. A rotation that is due waits between \
                 publishing and proving until every copy of the JWK Set is renewed, ten minutes \
                 by default: mode \"now\" leaves out the wait, not the proof.",
            )
            .await?;
        let running = self.running.as_ref().context("bff is not running")?;
        let token = std::fs::read_to_string(self.files.admin_token())?;
        let client = ServiceClient::new(
            HttpClient::new(None)?,
            running.address,
            Secret::new(token.trim()),
        );
        let order = json!({"mode": "now"});
        let answer = client.post("/admin/rotate", &order).await?;
        let screen = &mut self.teller.screen;
        wire::show_own(
            screen,
            "POST /admin/rotate",
            &order,
            answer.status,
            &answer.body,
        )?;
        let rotator = &running.rotator;
        let switched = async {
            // What was promoted is watched for a while: that comes last.
            while rotator.status().waiting_for != Some("probation") {
                tokio::time::sleep(LOOK).await;
            }
        };
        let switched = tokio::time::timeout(PATIENCE, switched);
        let switched = self.teller.watch(View::BFF_IN_BRIEF, switched).await?;
        switched.context("the rotation does not come to its end")?;

        let state = running.app.ledger.state();
        self.teller.screen.blank()?;
        for (key, state) in state.ring.iter().flat_map(KeyRing::keys) {
            self.teller
                .screen
                .fact(state.word(), key.jwk.kid.as_str())?;
        }
        Ok(())
    }

    async fn restart(&mut self, idp: &DevIdp, settings: Settings) -> anyhow::Result<()> {
        self.teller
            .screen
            .step(
                "bff restarts, and registers nothing",
                "The token is out of the configuration, as the log advised. A start with nothing \
                 changed sends the IdP no write: bff shows that its key is still accepted, and is \
                 ready.",
            )
            .await?;
        if let Some(running) = self.running.take() {
            running.stop(std::future::pending()).await;
        }
        std::fs::remove_file(self.files.initial_access_token())?;
        let before = writes(idp);
        let settings = settings.without("DCR_IAT_FILE");
        self.start(&settings, View::BFF_IN_BRIEF).await?;
        self.bootstrap(View::BFF_IN_BRIEF).await?;
        let sent = format!("{} sent", writes(idp) - before);
        self.teller.screen.blank()?;
        self.teller.screen.fact("writes", &sent)?;
        Ok(())
    }

    async fn watch_on(&mut self) -> anyhow::Result<()> {
        self.teller.screen.blank()?;
        self.teller.screen.rule("serving")?;
        self.teller.screen.blank()?;
        self.teller.screen.text(
            1,
            Style::Strong,
            "What reaches the IdP from now on is shown here. Ctrl-C ends it.",
        )?;
        self.teller.screen.blank()?;
        self.teller
            .watch(View::ANYBODY, std::future::pending())
            .await?;
        Ok(())
    }

    async fn start(&mut self, settings: &Settings, view: View) -> anyhow::Result<SocketAddr> {
        let config = settings.load(&self.files)?;
        let start = Box::pin(serve(config, Clock::system()));
        let running = self.teller.watch(view, start).await?.map_err(explain)?;
        let address = running.address;
        self.running = Some(running);
        Ok(address)
    }

    /// Three steps, as `bff` takes them: each begins with the first request of its kind.
    async fn bootstrap(&mut self, view: View) -> anyhow::Result<()> {
        let running = self.running.as_ref().context("bff is not running")?;
        let bootstrap = self.teller.watch(view, running.bootstrap());
        bootstrap.await?.map_err(explain)
    }
}

/// Requests so far that ask to change a registration.
fn writes(idp: &DevIdp) -> usize {
    let requests = idp.requests();
    requests.iter().filter(|request| request.write).count()
}

fn explain(failure: Failure) -> anyhow::Error {
    match failure.hint {
        Some(hint) => failure.error.context(format!("bff failed (hint: {hint})")),
        None => failure.error,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::log;

    #[tokio::test]
    async fn no_secret_is_shown_or_logged() {
        let directory = tempfile::tempdir().unwrap();
        let log_file = directory.path().join(log::FILE);
        let (subscriber, log) = log::subscriber(&log_file).unwrap();
        let guard = tracing::subscriber::set_default(subscriber);
        let shown = Shown::default();
        let screen = Screen::to(shown.clone(), 80);
        let mut story = Story::new(screen, log, directory.path(), true);

        let idp = story.steps().await.unwrap();

        let files = Files::new(directory.path());
        let mut secrets = idp.issued_secrets();
        secrets.push(idp.admin_token().to_owned());
        secrets.push(fs::read_to_string(files.admin_token()).unwrap());
        let pem = fs::read_to_string(files.pem()).unwrap();
        secrets.extend(pem.lines().map(str::to_owned));
        let shown = String::from_utf8(shown.0.lock().unwrap().clone()).unwrap();
        let logged = fs::read_to_string(log_file).unwrap();
        assert!(secrets.len() >= 6, "{secrets:?}");
        for secret in secrets {
            assert!(!shown.contains(&secret), "{secret} is shown");
            assert!(!logged.contains(&secret), "{secret} is logged");
        }
        assert!(shown.contains("Client registered: demo-app (201 Created)"));
        drop(guard);
    }

    #[derive(Clone, Default)]
    struct Shown(Arc<Mutex<Vec<u8>>>);

    impl Write for Shown {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(text)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
