//! Key files that are encrypted anew, with a crash at each step.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bff::app::{ReencryptError, reencrypt};
use bff::clock::Clock;
use bff::config::KeysConfig;
use bff::disk::Disk;
use bff::jose::{Algorithm, Kid, PublicJwk, SigningKey, Wrapping};
use bff::secret::Secret;
use bff::state::{Rev, State};
use bff::store::{FileStore, Store};
use openssl::pkey::PKey;
use openssl::symm::Cipher;

use crate::disk::{Loss, Promise, SimDisk};
use crate::steps::{Random, Steps, Target};

const OLD: &str = "the old passphrase";

/// A volume with two keys whose files are encrypted as OpenSSL does it by itself.
struct Volume {
    disk: SimDisk,
    keys: Vec<PublicJwk>,
}

impl Volume {
    fn new() -> Self {
        let disk = SimDisk::new(Promise::AllKept);
        let store = store(&disk);
        let (mut keys, mut state) = (Vec::new(), State::default());
        for _ in 0..2 {
            let key = SigningKey::generate(Algorithm::ES256).unwrap();
            let pem = key.to_pem(None).unwrap();
            let pem = PKey::private_key_from_pem(pem.expose().as_bytes()).unwrap();
            let cipher = Cipher::aes_256_cbc();
            let pem = pem.private_key_to_pem_pkcs8_passphrase(cipher, OLD.as_bytes());
            let pem = Secret::new(String::from_utf8(pem.unwrap()).unwrap());
            store.write_key(key.kid(), &pem).unwrap();
            keys.push(key.public().clone());
        }
        let now = Clock::system().now();
        state.first_key(keys[0].clone(), "made", now).unwrap();
        state.intend_key(&keys[1].kid, keys[1].alg, now);
        store.commit(&state, Rev::default()).unwrap();
        Self { disk, keys }
    }

    fn run(&self, steps: &Arc<Steps>, passphrase: Option<&str>, old: Option<&str>) -> Outcome {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.mount(Arc::clone(steps), ErrorKind::Other));
        let old = old.map(Secret::new);
        let done = reencrypt(disk, &config(passphrase), old.as_ref(), "a test")?;
        Ok(done.into_iter().map(|key| (key.kid, key.written)).collect())
    }

    fn wrappings(&self, passphrase: Option<&str>) -> Vec<Wrapping> {
        let passphrase = passphrase.map(Secret::new);
        let wrapping = |jwk: &PublicJwk| {
            let text = store(&self.disk).read_key(&jwk.kid).unwrap();
            let pem = text.expose().as_bytes();
            let key = SigningKey::from_pem(pem, passphrase.as_ref(), None, None).unwrap();
            assert_eq!(key.public(), jwk);
            Wrapping::of(text.expose())
        };
        self.keys.iter().map(wrapping).collect()
    }
}

type Outcome = Result<Vec<(Kid, bool)>, ReencryptError>;

#[test]
fn a_crash_at_any_step_loses_no_key_and_the_next_run_goes_on() {
    let volume = Volume::new();
    let steps = Arc::new(Steps::new(Target::Nothing));
    volume.run(&steps, None, Some(OLD)).unwrap();
    let steps = steps.taken();
    assert!(steps.len() > 10, "{steps:?}");

    let mut mixed = 0;
    for (number, step) in steps.iter().enumerate() {
        for fault in step.kind.faults() {
            for loss in [Loss::Nothing, Loss::Everything, Loss::Tail, Loss::Some] {
                let volume = Volume::new();
                let steps = Arc::new(Steps::new(Target::Step(number, *fault)));
                let run = || volume.run(&steps, None, Some(OLD));
                drop(catch_unwind(AssertUnwindSafe(run)));
                volume.disk.crash(loss, &mut Random::new(number as u64));

                let found = volume.wrappings(Some(OLD));
                mixed += usize::from(found[0] != found[1]);
                let steps = Arc::new(Steps::new(Target::Nothing));
                volume.run(&steps, None, Some(OLD)).unwrap();

                let found = volume.wrappings(None);
                assert_eq!(found, [Wrapping::Clear; 2], "{fault:?} at {step:?}");
            }
        }
    }
    assert!(mixed > 0, "no crash left one key of each kind");
}

#[test]
fn a_wrong_old_passphrase_changes_nothing_and_a_second_run_writes_nothing() {
    let volume = Volume::new();
    let steps = Arc::new(Steps::new(Target::Nothing));

    for old in [None, Some("wrong")] {
        let error = volume.run(&steps, Some("new"), old).unwrap_err();
        assert!(error.hint().contains("BFF_KEY_PASSPHRASE_OLD"), "{error}");
        assert_eq!(volume.wrappings(Some(OLD)), [Wrapping::Other; 2]);
    }

    let first = volume.run(&steps, Some("new"), Some(OLD)).unwrap();
    assert!(first.iter().all(|(_, written)| *written));
    assert_eq!(volume.wrappings(Some("new")), [Wrapping::Current; 2]);
    let second = volume.run(&steps, Some("new"), None).unwrap();
    assert!(second.iter().all(|(_, written)| !written));
}

fn store(disk: &SimDisk) -> FileStore {
    let steps = Arc::new(Steps::new(Target::Nothing));
    let disk = Arc::new(disk.mount(steps, ErrorKind::Other));
    FileStore::new(disk, Path::new("/volume"), Path::new("/volume"))
}

fn config(passphrase: Option<&str>) -> KeysConfig {
    KeysConfig {
        keys_dir: PathBuf::from("/volume"),
        state_dir: PathBuf::from("/volume"),
        group: None,
        signing_key: None,
        passphrase: passphrase.map(Secret::new),
        kid: None,
        algorithm: None,
    }
}
