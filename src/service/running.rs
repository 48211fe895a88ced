//! Starting, running and stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;

use super::service_error::ServiceError;
use crate::app::{App, Backoff, Bootstrap, Panicked, Retry, UpdateError, chain};
use crate::clock::Clock;
use crate::config::Config;
use crate::http;
use crate::registrar::{BootstrapError, Occasion, Registrar, RegistrationOrder};
use crate::rotator::Rotator;

/// A service that serves.
#[derive(Debug)]
pub struct Running {
    /// What its tasks share.
    pub app: Arc<App>,
    /// Where the public listener is.
    pub address: SocketAddr,
    /// Where the listener of `/admin` is, if it has one of its own.
    pub admin_address: Option<SocketAddr>,
    /// Rotates the keys.
    pub rotator: Arc<Rotator>,
    registrar: Option<Arc<Registrar>>,
}

/// Opens the store, loads the keys, and serves them: the IdP has not been called yet.
///
/// # Errors
///
/// [`ServiceError`].
pub async fn start(config: Config, clock: Clock) -> Result<Running, ServiceError> {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "bff starts");
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    // It holds the whole configuration, and would make every future around it as large.
    let app = Arc::new(Box::pin(App::open(config, clock)).await?);
    let listen = &app.config.listen;
    let (public, address) = bind("BFF_LISTEN", listen.listen).await?;
    let operator = match listen.admin_listen {
        Some(address) => Some(bind("BFF_ADMIN_LISTEN", address).await?),
        None => None,
    };
    // Reading the trust anchors takes as long as everything else: who connects meanwhile waits.
    let idp = app.config.idp.clone().filter(|_| app.config.dcr.enabled);
    let registrar = match idp {
        Some(idp) => Some(Arc::new(Registrar::new(Arc::clone(&app), idp)?)),
        None => None,
    };
    let rotator = Arc::new(Rotator::new(Arc::clone(&app), registrar.clone()));
    let parts = http::Parts {
        app: Arc::clone(&app),
        registrar: registrar.clone(),
        rotator: Arc::clone(&rotator),
    };
    let router = http::router(&parts, operator.is_none());
    listen_on("public listener", public, router, &app);
    let mut admin_address = None;
    if let Some((operator, address)) = operator {
        listen_on("admin listener", operator, http::admin_router(&parts), &app);
        admin_address = Some(address);
    }
    match app.serving().await {
        // The set is served all the same, and the rotator tries again.
        Err(UpdateError::Commit(error)) => tracing::error!(
            "It could not be stored since when the JWK Set is served: {}; hint: {}",
            chain(&error),
            error.hint()
        ),
        result => result?,
    }
    app.show_locally().await;
    let task = Arc::clone(&rotator);
    app.supervision
        .spawn("rotator", move || Arc::clone(&task).run());
    if let Some(registrar) = &registrar {
        let task = Arc::clone(registrar);
        app.supervision
            .spawn("proof", move || Arc::clone(&task).keep_proven());
        let task = Arc::clone(registrar);
        app.supervision.spawn("replacement", move || {
            Arc::clone(&task).keep_trying_candidate()
        });
        let task = Arc::clone(registrar);
        app.supervision
            .spawn("registration", move || Arc::clone(&task).keep_read());
    }
    let state = app.ledger.state();
    let kid = state.ring().map(|ring| ring.current().jwk.kid.as_str());
    tracing::info!(
        address = %address,
        key.kid = kid,
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
    /// Registers and proves the key; returns when that is done, or has failed finally.
    ///
    /// With `ALLOW_BOOTSTRAP_FAILURE` transient failures are retried without limit. Where a client
    /// is registered, no failure of the IdP is an error. The work goes on to a safe point even if
    /// this future is dropped.
    ///
    /// # Errors
    ///
    /// The failure; it is in the log already if the service goes on.
    pub async fn bootstrap(&self) -> Result<(), ServiceError> {
        let Some(registrar) = self.registrar.clone() else {
            tracing::info!("Registration is off (DCR_ENABLED): only the keys are served");
            return Ok(());
        };
        loop {
            let (app, registrar) = (Arc::clone(&self.app), Arc::clone(&registrar));
            let work = async move { keep_trying(&app, &registrar).await };
            if let Ok(ended) = self.app.shutdown.see_through(work).await {
                self.app.condition.set_retry(None);
                return ended;
            }
            let error = BootstrapError::from(Panicked);
            self.app.condition.set_bootstrap(Bootstrap::Failed {
                error: error.chain(),
                hint: error.hint(),
                class: error.class(),
                transient: false,
            });
            let error = ServiceError::from(error);
            if !self.app.config.dcr.allow_failure {
                return Err(error);
            }
            let _ = error.log();
            let mut pause = Backoff::endless(&self.app.shutdown);
            if !wait(&self.app, &mut pause, None, 1).await {
                return Err(error);
            }
        }
    }

    /// Carries out what an operator has ordered: what was refused is tried again, and every failure
    /// is an error. The work goes on to a safe point even if this future is dropped.
    ///
    /// # Errors
    ///
    /// The failure.
    pub async fn order(&self, order: RegistrationOrder) -> Result<(), ServiceError> {
        let Some(registrar) = self.registrar.clone() else {
            tracing::info!("Registration is off (DCR_ENABLED): only the keys are served");
            return Ok(());
        };
        let backoff = Backoff::until(self.app.config.dcr.bootstrap_timeout, &self.app.shutdown);
        let work = async move { Box::pin(registrar.carry_out(order, backoff)).await };
        let ended = self.app.shutdown.see_through(work).await;
        ended.unwrap_or_else(|panicked| Err(panicked.into()))?;
        tracing::info!("Ready");
        Ok(())
    }

    /// Stops as [`Shutdown::finish`] does. Says whether all present work was finished.
    ///
    /// [`Shutdown::finish`]: crate::app::Shutdown::finish
    pub async fn stop(self, impatience: impl Future<Output = ()>) -> bool {
        self.app.shutdown.finish(impatience).await
    }
}

async fn keep_trying(app: &App, registrar: &Registrar) -> Result<(), ServiceError> {
    let dcr = &app.config.dcr;
    let mut pause = Backoff::endless(&app.shutdown);
    let mut attempts = 0;
    loop {
        attempts += 1;
        let backoff = Backoff::until(dcr.bootstrap_timeout, &app.shutdown);
        let error = match registrar.bootstrap(Occasion::Start, backoff).await {
            Ok(()) => {
                tracing::info!("Ready");
                return Ok(());
            }
            Err(error) => error,
        };
        let (again, at_least) = (error.is_transient(), error.retry_after());
        let spared = error.spares_the_registration();
        let error = ServiceError::from(error);
        // What is registered goes on serving and signing, and is proven again by itself.
        let registered = spared && app.has_proven_registration();
        if !dcr.allow_failure && !registered {
            return Err(error);
        }
        if app.shutdown.is_begun() {
            return Err(error);
        }
        let _ = error.log();
        if !again {
            if registered {
                tracing::warn!(
                    "Continuing with the stored registration; what failed is not tried again \
                     until a restart or `bff register`"
                );
                return Ok(());
            }
            tracing::warn!(
                "Continuing without a registration (ALLOW_BOOTSTRAP_FAILURE); it is not retried \
                 until a restart or `bff register`"
            );
            return Err(error);
        }
        if !wait(app, &mut pause, at_least, attempts).await {
            return Err(error);
        }
    }
}

/// Waits for the next try, and says meanwhile when that is.
async fn wait(app: &App, backoff: &mut Backoff, at_least: Option<Duration>, attempts: u32) -> bool {
    let Some(pause) = backoff.next(at_least) else {
        return false;
    };
    let now = app.clock.now();
    app.condition.set_retry(Some(Retry {
        attempts,
        next_try: now.checked_add(pause).unwrap_or(now),
    }));
    backoff.wait(pause).await
}

fn listen_on(name: &'static str, listener: TcpListener, router: Router, app: &App) {
    let (listener, stop) = (Arc::new(listener), app.shutdown.clone());
    app.supervision.spawn(name, move || {
        http::serve(Arc::clone(&listener), router.clone(), stop.clone())
    });
}

async fn bind(
    setting: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), ServiceError> {
    let failed = |source| ServiceError::Listen {
        setting,
        address,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
