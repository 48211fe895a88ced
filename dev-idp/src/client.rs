//! The registered clients, in memory and in `clients.yaml`.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One client as the provider knows it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of RFC 7591")]
pub(crate) struct Client {
    pub(crate) client_id: String,
    /// Seconds since the epoch.
    pub(crate) client_id_issued_at: i64,
    /// Hash of the token that may manage it; `None` once that token has been destroyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) registration_access_token_sha256: Option<String>,
    /// RFC 7591 §2, without nulls.
    #[serde(flatten)]
    pub(crate) metadata: Map<String, Value>,
}

impl Client {
    /// A metadata member that is a string.
    pub(crate) fn text(&self, member: &str) -> Option<&str> {
        self.metadata.get(member)?.as_str()
    }

    /// Whether a metadata member that is an array holds `value`.
    pub(crate) fn lists(&self, member: &str, value: &str) -> bool {
        self.metadata
            .get(member)
            .and_then(Value::as_array)
            .is_some_and(|values| values.iter().any(|have| have == value))
    }
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Document {
    #[serde(default)]
    clients: Vec<Client>,
}

/// All clients; every change is in the file before it is in memory.
#[derive(Debug)]
pub(crate) struct Clients {
    all: Vec<Client>,
    file: Option<PathBuf>,
}

impl Clients {
    /// The clients of `file`, which need not exist yet; without a file they live in memory.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not a list of clients.
    pub(crate) fn open(file: Option<PathBuf>) -> io::Result<Self> {
        let all = match file.as_deref().map(fs::read_to_string) {
            None => Vec::new(),
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Some(Err(error)) => return Err(error),
            Some(Ok(yaml)) if yaml.trim().is_empty() => Vec::new(),
            Some(Ok(yaml)) => {
                serde_saphyr::from_str::<Document>(&yaml)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?
                    .clients
            }
        };
        Ok(Self { all, file })
    }

    pub(crate) fn all(&self) -> &[Client] {
        &self.all
    }

    pub(crate) fn find(&self, client_id: &str) -> Option<&Client> {
        self.all.iter().find(|client| client.client_id == client_id)
    }

    /// Adds the client, or replaces the one with its `client_id`.
    pub(crate) fn put(&mut self, client: Client) -> io::Result<()> {
        let mut next = self.all.clone();
        match next
            .iter_mut()
            .find(|have| have.client_id == client.client_id)
        {
            Some(have) => *have = client,
            None => next.push(client),
        }
        self.commit(next)
    }

    /// Removes a client; says whether it was there.
    pub(crate) fn remove(&mut self, client_id: &str) -> io::Result<bool> {
        let next: Vec<_> = self
            .all
            .iter()
            .filter(|client| client.client_id != client_id)
            .cloned()
            .collect();
        let removed = next.len() < self.all.len();
        if removed {
            self.commit(next)?;
        }
        Ok(removed)
    }

    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.commit(Vec::new())
    }

    fn commit(&mut self, next: Vec<Client>) -> io::Result<()> {
        let document = Document { clients: next };
        if let Some(file) = &self.file {
            let yaml = serde_saphyr::to_string(&document).map_err(io::Error::other)?;
            write_atomically(file, &yaml)?;
        }
        self.all = document.clients;
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this program has no layer for files"
)]
fn write_atomically(file: &Path, text: &str) -> io::Result<()> {
    let temporary = file.with_extension("yaml.tmp");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&temporary)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    fs::rename(&temporary, file)?;
    let directory = match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::File::open(directory)?.sync_all()
}
