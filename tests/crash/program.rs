//! The program on a simulated disk, and how it ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bff::app::{App, Backoff, Parts};
use bff::clock::Clock;
use bff::config::Config;
use bff::disk::Disk;
use bff::local_files::{Directories, Outlets};
use bff::registrar::{Occasion, Registrar};
use bff::rotator::{Mode, Order, Rotator};
use bff::store::{FileStore, Store};

use crate::disk::Mount;
use crate::net::Wires;
use crate::record::{Record, Recorded};

/// How a run ended.
#[derive(Debug)]
pub(crate) enum End {
    Ready,
    Failed { error: String, hint: &'static str },
    Killed,
}

pub(crate) type Slot = Arc<Mutex<Option<Arc<App>>>>;

/// One run of the program.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) config: Config,
    pub(crate) record: Record,
    /// Whether the store acknowledges each state before it is durable.
    pub(crate) lagging: bool,
    pub(crate) wires: Arc<Wires>,
    pub(crate) clock: Clock,
    pub(crate) slot: Slot,
    pub(crate) work: Work,
}

/// What the program does once it serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Work {
    Bootstrap(Occasion),
    /// Bootstrap, and then the keys are replaced at once, because they may be known.
    Revoke,
    /// Bootstrap, and then an update that nothing calls for.
    Refresh,
}

type Complaint = (String, &'static str);

impl Program {
    /// Runs it, from its start to readiness.
    pub(crate) async fn run(self, mount: Mount) -> Result<(), Complaint> {
        let Self {
            config,
            record,
            lagging,
            ..
        } = &self;
        let (keys, state) = (&config.keys.keys_dir, &config.keys.state_dir);
        let disk: Arc<dyn Disk> = Arc::new(mount);
        let directories = Directories::open(Arc::clone(&disk), keys, state, "a run")
            .map_err(|error| (error.to_string(), error.hint()))?;
        let store = Arc::new(Recorded {
            store: FileStore::new(Arc::clone(&disk), keys, state),
            record: record.clone(),
            begun: Mutex::new(false),
            lagging: (*lagging).then(Mutex::default),
        });
        let parts = Parts {
            store: Arc::clone(&store) as Arc<dyn Store>,
            directories,
            outlets: Outlets::new(disk, keys, state, None),
        };
        let result = Box::pin(self.serve(parts)).await;
        store.catch_up();
        result
    }

    async fn serve(self, parts: Parts) -> Result<(), Complaint> {
        let Self { config, wires, .. } = self;
        let app = App::open_with(parts, config, self.clock)
            .await
            .map_err(|error| (error.to_string(), error.hint()))?;
        let app = Arc::new(app);
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&app));
        wires.publish(app.ledger.published());
        app.serving()
            .await
            .map_err(|error| (error.to_string(), "the state is not as it was"))?;
        app.show_locally().await;
        let idp = app.config.idp.clone().unwrap();
        let registrar = Registrar::with_client(Arc::clone(&app), idp, wires.http.clone());
        let registrar = Arc::new(registrar);
        let backoff = Backoff::until(Duration::ZERO, &app.shutdown);
        let occasion = match self.work {
            Work::Bootstrap(occasion) => occasion,
            Work::Revoke | Work::Refresh => Occasion::Start,
        };
        let started = registrar.bootstrap(occasion, backoff).await;
        match self.work {
            Work::Bootstrap(_) => {}
            Work::Revoke => {
                let order = Order {
                    mode: Mode::Compromised,
                    alg: None,
                };
                let rotator = Rotator::new(app, Some(registrar));
                rotator
                    .order(order)
                    .await
                    .map_err(|error| (error.to_string(), "the keys are as they were"))?;
            }
            Work::Refresh => {
                registrar.refresh().await;
            }
        }
        started.map_err(|error| (error.chain(), error.hint()))
    }
}
