//! Keys and state on the disk.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf, absolute};

use super::parse;
use super::reader::Reader;
use super::section::Section;
use super::settings::{
    BFF_JWT_SIGNING_KEY, BFF_KEY_PASSPHRASE, BFF_KEY_PASSPHRASE_OLD, BFF_KEYS_DIR, BFF_KEYS_GROUP,
    BFF_KID, BFF_SIGNING_ALG, BFF_STATE_DIR, DCR_SIGNING_KEY,
};
use crate::jose::{Algorithm, Kid};
use crate::secret::Secret;

/// Where keys and state are, and what the first key is.
#[derive(Clone, Debug)]
pub struct KeysConfig {
    /// The keys volume.
    pub keys_dir: PathBuf,
    /// Where the state is written; `keys_dir` unless set apart.
    pub state_dir: PathBuf,
    /// The group that may read private keys.
    pub group: Option<u32>,
    /// The first signing key's PEM; none lets the service generate one.
    pub signing_key: Option<PathBuf>,
    /// Opens that PEM, and encrypts every key that is written.
    pub passphrase: Option<Secret>,
    /// The first key's `kid`; none means its RFC 7638 thumbprint.
    pub kid: Option<Kid>,
    /// The signature algorithm; none means by key.
    pub algorithm: Option<Algorithm>,
}

/// How the names of the files in the directories of keys and state begin, besides PEM files.
const OWN: [&str; 3] = ["state.", "bff.", "."];

impl KeysConfig {
    /// Whether a file of keys or state has this path, or could have it.
    pub(super) fn owns(&self, path: &Path) -> bool {
        let directory = |path: &Path| {
            let path = absolute(Path::new(".").join(path.parent()?)).ok()?;
            Some(path.canonicalize().unwrap_or_else(|_| without_dots(&path)))
        };
        let resolved = |path: &Path| Some(directory(path)?.join(path.file_name()?));
        let signing_key = self.signing_key.as_deref();
        if signing_key.is_some_and(|key| resolved(key) == resolved(path)) {
            return true;
        }
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let is_pem = path
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("pem"));
        (is_pem || OWN.iter().any(|own| name.starts_with(own)))
            && [&self.keys_dir, &self.state_dir]
                .into_iter()
                .any(|own| directory(&own.join("file")) == directory(path))
    }
}

/// A path of directories that do not exist yet, without `.` and `..`.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            component => plain.push(component),
        }
    }
    plain
}

impl Section for KeysConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let keys_dir = reader.value(BFF_KEYS_DIR, parse::path);
        let state_dir = reader.optional(BFF_STATE_DIR, parse::path);
        let group = reader.optional(BFF_KEYS_GROUP, parse::group);
        let signing_key = reader.either(BFF_JWT_SIGNING_KEY, DCR_SIGNING_KEY, parse::path);
        let passphrase = reader.secret(BFF_KEY_PASSPHRASE, parse::passphrase);
        let kid = reader.optional(BFF_KID, parse::kid);
        let algorithm = reader.optional(BFF_SIGNING_ALG, parse::algorithm);

        let keys_dir = keys_dir?;
        Some(Self {
            state_dir: state_dir?.unwrap_or_else(|| keys_dir.clone()),
            keys_dir,
            group: group?,
            signing_key: signing_key?,
            passphrase: passphrase?,
            kid: kid?,
            algorithm: algorithm?,
        })
    }
}

/// The passphrase that key files were encrypted with before.
#[derive(Clone, Debug)]
pub struct OldPassphrase(pub Option<Secret>);

impl Section for OldPassphrase {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let old = reader.secret(BFF_KEY_PASSPHRASE_OLD, parse::passphrase);
        old.map(Self)
    }
}
