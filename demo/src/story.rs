//! The story, step by step.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use dev_idp::{DevIdp, Endpoint, Exchange, JwksCachePolicy};
use serde_json::{Value, json};

use crate::events::{Events, LOG};
use crate::exchange::outcome;
use crate::screen::Screen;
use crate::stage::{self, Admin, Service, Settings};

/// Time between two looks at the rotation.
const LOOK: Duration = Duration::from_millis(50);
/// Longest time that the rotation may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The demonstration under way.
pub(crate) struct Story {
    /// Where it is shown.
    pub(crate) screen: Screen,
    /// What happens.
    pub(crate) events: Events,
    /// The endpoints of which a request has been shown in full.
    pub(crate) shown: Vec<Endpoint>,
    /// What the provider has fetched for a request that it has not answered yet.
    pub(crate) fetches: Vec<Exchange>,
    directory: PathBuf,
}

impl Story {
    /// A story that has not begun; `directory` is for its files.
    pub(crate) fn new(screen: Screen, events: Events, directory: &Path) -> Self {
        Self {
            screen,
            events,
            shown: Vec::new(),
            fetches: Vec::new(),
            directory: directory.to_path_buf(),
        }
    }

    /// Tells everything; unless `once`, then shows what happens for as long as this is polled.
    pub(crate) async fn tell(&mut self, once: bool) -> anyhow::Result<()> {
        let (idp, service) = self.steps().await?;
        if !once {
            let now = "Requests to the IdP and bff's log follow. Press Ctrl-C to end.";
            self.screen.heading(now)?;
            self.screen.line("")?;
            self.watch("   ", std::future::pending::<()>()).await?;
        }
        service.stop().await;
        idp.shutdown().await;
        Ok(())
    }

    async fn steps(&mut self) -> anyhow::Result<(DevIdp, Service)> {
        self.introduce()?;
        let idp = self.start_idp().await?;
        let (service, settings) = self.start_bff(&idp).await?;
        let token = fs::read_to_string(self.file("admin-token"))?;
        let admin = Admin::new(&service.url(), &token)?;
        let jwks = "/.well-known/jwks.json";
        self.order(&admin, jwks, Value::Null).await?;
        self.watch("bff", service.bootstrap()).await??;
        self.rotate(&admin).await?;
        let service = self.restart(&idp, service, settings).await?;
        self.panel(&service.url(), &idp.issuer(), &admin).await?;
        Ok((idp, service))
    }

    fn introduce(&mut self) -> anyhow::Result<()> {
        let screen = &mut self.screen;
        screen.heading("How bff registers an OAuth client and rotates its key")?;
        screen.paragraph(
            "bff and an identity provider (IdP) for development run in this process, on loopback \
             only. The demo shows the HTTP requests between them. Secrets are shown as ***, and \
             a bearer token as # and a fingerprint. Lines after | are bff's log.",
        )?;
        screen.line("")?;
        let files = self.directory.display();
        screen.paragraph(&format!("The files are in {files} until the demo ends."))?;

        screen.step(
            "An operator makes a signing key",
            "bff signs with a private key from a PEM file. `bff keys generate` makes a key like \
             this one; if there is none, bff makes its own.",
        )?;
        screen.fact("file", "keys/first.pem (P-256, PKCS#8, mode 0600)")?;
        fs::create_dir(self.file("keys"))?;
        stage::keep(&self.file("keys/first.pem"), &stage::pem()?)
    }

    async fn start_idp(&mut self) -> anyhow::Result<DevIdp> {
        self.screen.step(
            "The IdP starts",
            "Whoever has an initial access token can register a client (RFC 7591). The IdP has \
             no clients yet.",
        )?;
        let builder = DevIdp::builder().jwks_cache(JwksCachePolicy::RefetchOnMiss {
            cooldown: Duration::ZERO,
        });
        #[cfg(test)]
        let builder = builder.remember_secrets();
        let idp = builder.start().await.context("the IdP cannot start")?;
        self.events.follow(idp.subscribe());
        self.screen.fact("issuer", &idp.issuer())?;

        let admin = Admin::new(&idp.admin_base_url(), idp.admin_token())?;
        let wish = json!({"label": "demo", "expires_in": 600, "max_uses": 1});
        let minted = admin.send("/dcr/initial-access-tokens", &wish);
        let (_, minted) = self.watch("you", minted).await??;
        let token = minted.get("token").and_then(Value::as_str);
        stage::keep(&self.file("iat"), token.context("the IdP minted no token")?)?;
        Ok(idp)
    }

    async fn start_bff(&mut self, idp: &DevIdp) -> anyhow::Result<(Service, Settings)> {
        self.screen.step(
            "bff starts and serves its JWK Set",
            "It does so before its first request to the IdP: some IdPs fetch the JWK Set while \
             they register a client, and some remember for a while that they could not.",
        )?;
        stage::keep(&self.file("admin-token"), &stage::token()?)?;
        let address = stage::free_address()?;
        let settings = stage::settings(address, &idp.issuer(), &self.directory);
        let directory = format!("{}/", self.directory.display());
        for (name, value) in &settings {
            let line = format!("    {name}={value}").replace(&directory, "");
            self.screen.line(line)?;
        }
        self.screen.line("")?;
        let start = Service::start(&settings, self.file("bff.toml"));
        let service = self.watch("bff", start).await??;
        self.screen.line("")?;
        Ok((service, settings))
    }

    async fn rotate(&mut self, admin: &Admin) -> anyhow::Result<()> {
        self.screen.step(
            "bff rotates its key",
            "bff publishes a new key, proves that the IdP accepts it, and only then signs with \
             it. The old key stays in the JWK Set, so that its signatures can still be verified. \
             Mode \"now\" does not wait until cached copies of the JWK Set have expired (ten \
             minutes by default), so bff proves the new key eight times instead of three. The first \
             proof comes 15 seconds after the unknown key of before, because some IdPs fetch the \
             JWK Set every ten seconds at most.",
        )?;
        let mode = json!({"mode": "now"});
        self.order(admin, "/admin/rotate", mode).await?;
        let promoted = async {
            // On probation the new key signs, and is given up if the IdP rejects it.
            while admin.status("/rotation/waiting_for").await? != "probation" {
                tokio::time::sleep(LOOK).await;
            }
            anyhow::Ok(())
        };
        let promoted = tokio::time::timeout(PATIENCE, promoted);
        let promoted = self.watch("bff", promoted).await?;
        promoted.context("the rotation does not end")?
    }

    async fn restart(
        &mut self,
        idp: &DevIdp,
        service: Service,
        mut settings: Settings,
    ) -> anyhow::Result<Service> {
        self.screen.step(
            "bff restarts",
            "The initial access token is used up, so DCR_IAT_FILE is no longer set. Nothing else \
             has changed: bff proves its key again, and sends no request that changes the \
             registration.",
        )?;
        service.stop().await;
        fs::remove_file(self.file("iat"))?;
        settings.retain(|(name, _)| *name != "DCR_IAT_FILE");
        let writes = || idp.requests().iter().filter(|r| r.write).count();
        let before = writes();
        let start = Service::start(&settings, self.file("bff.toml"));
        let service = self.watch("bff", start).await??;
        self.watch("bff", service.bootstrap()).await??;
        let sent = (writes() - before).to_string();
        self.screen.line("")?;
        self.screen.fact("writes sent", &sent)?;
        Ok(service)
    }

    async fn panel(&mut self, bff: &str, issuer: &str, admin: &Admin) -> anyhow::Result<()> {
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let client = admin.status("/registration/client_id").await?;
        let proof = admin.status("/proof/outcome").await?;
        let screen = &mut self.screen;
        screen.heading("The result")?;
        screen.fact("client", &word(&client))?;
        let keys = admin.status("/keys").await?;
        for key in keys.as_array().into_iter().flatten() {
            let name = format!("{} ({})", word(&key["kid"]), word(&key["state"]));
            screen.fact("key", &name)?;
        }
        screen.fact("last proof", &word(&proof))?;

        screen.heading("To open in a browser")?;
        screen.fact("JWK Set", &format!("{bff}/.well-known/jwks.json"))?;
        screen.fact("health", &format!("{bff}/healthz"))?;
        screen.fact("metrics", &format!("{bff}/metrics"))?;
        screen.fact("IdP", &format!("{issuer}/.well-known/openid-configuration"))?;

        screen.heading("To paste into another terminal")?;
        let directory = self.directory.display();
        screen.line(format_args!("    cd {directory}"))?;
        screen.line("    A=\"Authorization: Bearer $(cat admin-token)\"")?;
        screen.line(format_args!("    curl -H \"$A\" {bff}/admin/status"))?;
        let order = r#"curl -H "$A" -d '{"mode": "now"}'"#;
        screen.line(format_args!("    {order} {bff}/admin/rotate"))?;
        screen.line(format_args!("    less {LOG}"))?;
        Ok(())
    }

    /// Sends a request to `bff` and shows it.
    async fn order(&mut self, admin: &Admin, path: &str, body: Value) -> anyhow::Result<()> {
        let (status, answer) = admin.send(path, &body).await?;
        let method = if body.is_null() { "GET" } else { "POST" };
        let request = format!("{method} {path}");
        self.show("you -> bff", &request)?;
        self.body(&body, |_, _| true)?;
        self.show("you <- bff", &outcome(Some(status)))?;
        self.body(&answer, |_, _| true)?;
        ensure!(status < 300, "{request} is answered {status}");
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a test makes its own files")]
    async fn no_secret_is_shown_or_logged_and_80_columns_are_enough() {
        console::set_colors_enabled(false);
        let directory = tempfile::tempdir().unwrap();
        let file = |name| directory.path().join(name);
        let events = Events::default();
        let subscriber = events.clone().subscriber(&file(LOG)).unwrap();
        let guard = tracing::subscriber::set_default(subscriber);
        let screen = Screen::new(fs::File::create(file("shown")).unwrap(), 80);
        let mut story = Story::new(screen, events, directory.path());

        let (idp, _service) = story.steps().await.unwrap();

        let read = |name| fs::read_to_string(file(name)).unwrap();
        let (shown, logged) = (read("shown"), read(LOG));
        let mut secrets = idp.issued_secrets();
        secrets.extend([idp.admin_token().to_owned(), read("admin-token")]);
        secrets.extend(read("keys/first.pem").lines().map(str::to_owned));
        assert!(secrets.len() >= 6, "{secrets:?}");
        for secret in secrets {
            assert!(!shown.contains(&secret), "{secret} is shown");
            assert!(!logged.contains(&secret), "{secret} is logged");
        }
        for line in shown.lines() {
            let columns = textwrap::core::display_width(line);
            let alone = !line.trim().contains(' ');
            assert!(columns <= 80 || alone, "{columns} columns: {line}");
        }
        let at = |text| shown.find(text).unwrap();
        assert!(at("POST /api/oidc/dcr/register") < at("Client registered: demo-app (201"));
        drop(guard);
    }
}
