//! A commit of which nobody can tell whether it took effect.

use std::io;
use std::sync::{Arc, Mutex};

use bff::app::NoSigner;
use bff::jose::Kid;
use bff::rotator::{Mode, Order};
use bff::secret::Secret;
use bff::state::{Rev, State};
use bff::store::{CommitError, FileStore, KeyStoreError, LoadError, Loaded, Place, Store};

use crate::scene::{KeysOnly, MINUTE, agree, current, store};
use crate::support::elapse;
use crate::support::volume::Volume;
use crate::wall::Wall;

#[tokio::test(start_paused = true)]
async fn while_a_revocation_is_in_doubt_nothing_is_signed_and_then_what_is_in_place_decides() {
    for takes_effect in [true, false] {
        let (volume, wall) = (Volume::new(), Wall::new());
        let (store, service) = open(&volume, &wall).await;
        let old = current(&service.app);
        store.lose_at_next_ring(takes_effect);
        let order = Order {
            mode: Mode::Compromised,
            alg: None,
        };

        let error = service.rotator.order(order).await.unwrap_err();

        assert!(error.hint().contains("a test"), "{error}: {}", error.hint());
        let in_doubt = Some(NoSigner::InDoubt(old.clone()));
        assert_eq!(service.app.signer.current().err(), in_doubt);
        elapse(3 * MINUTE).await;
        assert_eq!(service.app.signer.current().err(), in_doubt);

        store.mend();
        elapse(MINUTE).await;

        let signs = service.app.signer.current().unwrap().kid().clone();
        assert_eq!(signs != old, takes_effect);
        agree(&service.app, &volume, &signs);
        assert!(service.app.ledger.doubt().is_none());
        let order = Order {
            mode: Mode::Compromised,
            alg: None,
        };
        let next = service.rotator.order(order).await.unwrap().kid.unwrap();
        agree(&service.app, &volume, &next);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_both_states_publish_signs_on_while_a_rotation_is_in_doubt() {
    for takes_effect in [true, false] {
        let (volume, wall) = (Volume::new(), Wall::new());
        let (store, service) = open(&volume, &wall).await;
        let old = current(&service.app);
        store.lose_at_next_ring(takes_effect);

        service.rotator.order(Order::default()).await.unwrap_err();

        assert!(service.app.ledger.doubt().is_some());
        assert_eq!(service.app.signer.current().unwrap().kid(), &old);
        store.mend();
        elapse(MINUTE).await;
        agree(&service.app, &volume, &old);
        let state = service.app.ledger.state();
        assert_eq!(state.ring().unwrap().next().is_some(), takes_effect);
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_decides_anew_once_the_store_can_be_read() {
    let (volume, wall) = (Volume::new(), Wall::new());
    let (store, service) = open(&volume, &wall).await;
    store.lose_at_next_ring(true);
    let order = Order {
        mode: Mode::Compromised,
        alg: None,
    };
    service.rotator.order(order).await.unwrap_err();
    store.mend();

    let kid = service.rotator.order(order).await.unwrap().kid.unwrap();

    agree(&service.app, &volume, &kid);
    let state = service.app.ledger.state();
    let gone = state.ring().unwrap().retired();
    assert_eq!(
        gone.len(),
        2,
        "the first key, and that of the order in doubt"
    );
}

async fn open(volume: &Volume, wall: &Wall) -> (Arc<Unreliable>, KeysOnly) {
    let store = Arc::new(Unreliable {
        inner: store(volume.path()),
        trouble: Mutex::default(),
    });
    let settings = [("DCR_ENABLED", "false")];
    let same: Arc<dyn Store> = Arc::<Unreliable>::clone(&store);
    let service = KeysOnly::open_with(volume, same, wall, &settings).await;
    (store, service)
}

/// A store that loses the answer to a commit, and cannot be read until it is mended.
#[derive(Debug)]
struct Unreliable {
    inner: FileStore,
    trouble: Mutex<Trouble>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Trouble {
    #[default]
    None,
    /// The next commit that changes which keys are published is lost.
    AtNextRing {
        takes_effect: bool,
    },
    Unreadable,
}

impl Unreliable {
    fn lose_at_next_ring(&self, takes_effect: bool) {
        *self.trouble.lock().unwrap() = Trouble::AtNextRing { takes_effect };
    }

    fn mend(&self) {
        *self.trouble.lock().unwrap() = Trouble::None;
    }

    fn readable(&self) -> Result<(), LoadError> {
        match *self.trouble.lock().unwrap() {
            Trouble::Unreadable => Err(LoadError::Unreadable {
                place: Place::new("the store"),
                source: io::Error::other("away"),
                hint: "mend the store of a test",
            }),
            _ => Ok(()),
        }
    }
}

impl Store for Unreliable {
    fn load(&self) -> Result<Loaded, LoadError> {
        self.readable()?;
        self.inner.load()
    }

    fn begin(&self) -> Result<Loaded, LoadError> {
        self.readable()?;
        self.inner.begin()
    }

    fn commit(&self, state: &State, base: Rev) -> Result<Rev, CommitError> {
        let unknown = || CommitError::Unknown {
            place: Place::new("the store"),
            source: io::Error::other("away"),
            hint: "mend the store of a test",
        };
        let mut trouble = self.trouble.lock().unwrap();
        match *trouble {
            Trouble::None => self.inner.commit(state, base),
            Trouble::Unreadable => Err(unknown()),
            Trouble::AtNextRing { takes_effect } => {
                if published(state) == published(&self.inner.load().unwrap().state) {
                    return self.inner.commit(state, base);
                }
                if takes_effect {
                    self.inner.commit(state, base)?;
                }
                *trouble = Trouble::Unreadable;
                Err(unknown())
            }
        }
    }

    fn watch(&self, seen: Rev) -> Result<Option<Rev>, LoadError> {
        self.readable()?;
        self.inner.watch(seen)
    }

    fn reserve(&self, bytes: usize) -> Result<(), CommitError> {
        self.inner.reserve(bytes)
    }

    fn release(&self) {
        self.inner.release();
    }

    fn read_key(&self, kid: &Kid) -> Result<Secret, KeyStoreError> {
        self.inner.read_key(kid)
    }

    fn write_key(&self, kid: &Kid, pem: &Secret) -> Result<(), KeyStoreError> {
        self.inner.write_key(kid, pem)
    }
}

fn published(state: &State) -> Vec<Kid> {
    let ring = state.ring().into_iter();
    ring.flat_map(|ring| ring.published().map(|jwk| jwk.kid.clone()))
        .collect()
}
