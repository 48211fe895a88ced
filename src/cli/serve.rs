//! `bff serve`: everything together, in the order that loses nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use tokio::net::TcpListener;

use super::{Context, Exit, Failure, block_on_all};
use crate::app::{App, Backoff, Registrar, Rotator, Signals};
use crate::clock::Clock;
use crate::config::Config;
use crate::http;
use crate::telemetry;

/// Flags of `bff serve`, each stronger than its variable.
#[derive(Args, Debug, Default)]
pub(super) struct Arguments {
    /// The address of the public listener (`BFF_LISTEN`).
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The filter of the log (`BFF_LOG`).
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

/// A service that serves, for who runs it inside another program.
#[derive(Debug)]
pub struct Running {
    /// The service.
    pub app: Arc<App>,
    /// Where the public listener is.
    pub address: SocketAddr,
    /// Where the listener of `/admin` is, if it has one of its own.
    pub admin_address: Option<SocketAddr>,
    /// Who rotates the keys.
    pub rotator: Arc<Rotator>,
    registrar: Option<Arc<Registrar>>,
}

pub(super) fn command(mut context: Context, arguments: &Arguments) -> Result<(), Failure> {
    for (name, value) in [
        ("BFF_LISTEN", &arguments.listen),
        ("BFF_LOG", &arguments.log),
    ] {
        if let Some(value) = value {
            context.overrides.set(name, value);
        }
    }
    let config = Config::load(&context.env, context.config.as_deref(), &context.overrides)?;
    telemetry::init(&config.log.filter, config.log.text, config.log.colour).map_err(|error| {
        Failure::new(
            Exit::Configuration,
            anyhow::anyhow!("cannot start the log: {error}"),
            "check BFF_LOG",
        )
    })?;
    block_on_all(until_a_signal(config))?.map_err(Failure::log)
}

/// Runs the service until a signal ends it.
async fn until_a_signal(config: Config) -> Result<(), Failure> {
    let mut signals = Signals::take()?;
    let allow_failure = config.dcr.allow_failure;
    let running = run(config, Clock::system()).await?;
    let result = tokio::select! {
        signal = signals.next() => {
            tracing::info!("{signal}: stopping");
            Ok(())
        }
        result = running.bootstrap() => match result {
            Err(failure) if !allow_failure => Err(failure),
            _ => {
                let signal = signals.next().await;
                tracing::info!("{signal}: stopping");
                Ok(())
            }
        }
    };
    let again = async {
        signals.next().await;
    };
    if !running.stop(again).await {
        tracing::warn!("Stopped with work unfinished");
    }
    result
}

/// Opens the store, loads the keys, and serves them: the IdP has not heard of us yet.
///
/// # Errors
///
/// [`Failure`] with the way out.
pub async fn run(config: Config, clock: Clock) -> Result<Running, Failure> {
    announce(&config);
    let app = Arc::new(App::open(config, clock).await?);
    let idp = app.config.idp.clone().filter(|_| app.config.dcr.enabled);
    let registrar = match idp {
        Some(idp) => Some(Arc::new(Registrar::new(Arc::clone(&app), idp)?)),
        None => None,
    };
    let listen = &app.config.listen;
    let public = bind("BFF_LISTEN", listen.listen).await?;
    let operator = match listen.admin_listen {
        Some(address) => Some(bind("BFF_ADMIN_LISTEN", address).await?),
        None => None,
    };
    let address = public.local_addr()?;
    let admin_address = operator.as_ref().map(TcpListener::local_addr).transpose()?;
    let rotator = Arc::new(Rotator::new(Arc::clone(&app), registrar.clone()));
    let parts = http::Parts {
        app: Arc::clone(&app),
        registrar: registrar.clone(),
        rotator: Arc::clone(&rotator),
    };
    let stop = &app.shutdown;
    let router = http::router(&parts, operator.is_none());
    stop.spawn(http::serve(public, router, stop.clone()));
    if let Some(operator) = operator {
        let router = http::admin_router(&parts);
        stop.spawn(http::serve(operator, router, stop.clone()));
    }
    app.serving().await?;
    app.show_active_key().await;
    stop.spawn(Arc::clone(&rotator).run());
    tracing::info!(
        address = %address,
        key.kid = %app.keys.current().kid(),
        "Serving the JWK Set at http://{address}/.well-known/jwks.json"
    );
    Ok(Running {
        app,
        address,
        admin_address,
        rotator,
        registrar,
    })
}

impl Running {
    /// Registers and proves the key; returns when that is done, or has failed for good.
    ///
    /// With `ALLOW_BOOTSTRAP_FAILURE` what is transient is tried for as long as it takes. The
    /// work goes on to a safe point even if this future is dropped.
    ///
    /// # Errors
    ///
    /// The failure, which the log has told if the service goes on.
    pub async fn bootstrap(&self) -> Result<(), Failure> {
        let Some(registrar) = self.registrar.clone() else {
            tracing::info!("Registration is off (DCR_ENABLED): only the keys are served");
            return Ok(());
        };
        let app = Arc::clone(&self.app);
        self.app
            .shutdown
            .see_through(async move { keep_trying(&app, &registrar).await })
            .await
    }

    /// Stops: lets requests at hand finish, for [`Shutdown::GRACE`] at most or until
    /// `impatience` completes. Says whether all of them did.
    ///
    /// [`Shutdown::GRACE`]: crate::app::Shutdown::GRACE
    pub async fn stop(self, impatience: impl Future<Output = ()>) -> bool {
        self.app.shutdown.finish(impatience).await
    }
}

async fn keep_trying(app: &App, registrar: &Registrar) -> Result<(), Failure> {
    let dcr = &app.config.dcr;
    let mut pause = Backoff::endless(&app.shutdown);
    loop {
        let backoff = Backoff::until(dcr.bootstrap_timeout, &app.shutdown);
        let error = match registrar.bootstrap(backoff).await {
            Ok(()) => {
                tracing::info!("Ready");
                return Ok(());
            }
            Err(error) => error,
        };
        let again = dcr.allow_failure && error.is_transient();
        let failure = Failure::from(error);
        if !dcr.allow_failure {
            return Err(failure);
        }
        let failure = failure.log();
        if !again {
            tracing::warn!(
                "Going on without a usable registration (ALLOW_BOOTSTRAP_FAILURE): the keys are \
                 served, and nothing is tried until a restart or `bff register`"
            );
            return Err(failure);
        }
        if !pause.pause(None).await {
            return Err(failure);
        }
    }
}

/// What an operator should know about the configuration before anything happens.
fn announce(config: &Config) {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "bff starts");
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
}

async fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
        .map_err(|error| {
            let hint =
                format!("choose another address in {setting}, or stop what listens there already");
            Failure::new(Exit::Failure, error, hint)
        })
}
