//! Every setting: its name, its default and its meaning.

/// One setting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Setting {
    /// The name of its environment variable.
    pub name: &'static str,
    /// The default, written as in the environment; empty if there is none or if it follows from
    /// other settings, as `meaning` then says.
    pub default: &'static str,
    /// What kind of value it has.
    pub kind: Kind,
    /// What it is for, in one line of Markdown.
    pub meaning: &'static str,
}

impl Setting {
    /// Its key in the TOML file: the name in lower case.
    pub fn key(&self) -> String {
        self.name.to_ascii_lowercase()
    }

    /// Whether the value must never be shown.
    ///
    /// A secret can also be given as the path of a file that holds it: see [`Setting::file_name`].
    pub fn is_secret(&self) -> bool {
        self.kind == Kind::Secret
    }

    /// For a secret, the variable that names a file with the value.
    pub fn file_name(&self) -> Option<String> {
        self.is_secret().then(|| format!("{}_FILE", self.name))
    }
}

/// Whether a value may be shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// May be shown.
    Plain,
    /// Must never be shown.
    Secret,
}

/// The variable that names the TOML file; the one setting that the file cannot hold.
pub const CONFIG_VARIABLE: &str = "BFF_CONFIG";

macro_rules! settings {
    ($($name:ident $default:literal $kind:ident $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $name: Setting = Setting {
                name: stringify!($name),
                default: $default,
                kind: Kind::$kind,
                meaning: $meaning,
            };
        )*

        /// All settings, in the order in which they are documented.
        pub const SETTINGS: &[Setting] = &[$($name),*];
    };
}

settings! {
    BFF_LISTEN "0.0.0.0:8000" Plain "Address of the public listener.";
    BFF_ADMIN_LISTEN "" Plain "A second listener for `/admin` and `/metrics`.";
    BFF_ADMIN_TOKEN "" Secret "Bearer token of `/admin`.";
    BFF_BASE_URL "" Plain "Public URL of this service, under which the IdP finds `/.well-known/jwks.json`.";
    DCR_JWKS_URI "" Plain "The `jwks_uri` to register, if it is not `BFF_BASE_URL` + `/.well-known/jwks.json`.";
    BFF_KEYS_DIR "keys" Plain "The keys volume: PEM files and the state.";
    BFF_STATE_DIR "" Plain "Where the state is kept, if the keys are mounted read-only; default `BFF_KEYS_DIR`.";
    BFF_KEYS_GROUP "" Plain "Group, by name or number, that may read private keys, for an application that signs by itself.";
    BFF_JWT_SIGNING_KEY "" Plain "Path of the first signing key's PEM; made there if it is the first PEM directly in an empty `BFF_KEYS_DIR`.";
    DCR_SIGNING_KEY "" Plain "Another name of `BFF_JWT_SIGNING_KEY`.";
    BFF_KEY_PASSPHRASE "" Secret "Encrypts every private key that `bff` writes, and opens those that are encrypted.";
    BFF_KEY_PASSPHRASE_OLD "" Secret "The passphrase before this one, for `bff keys reencrypt`.";
    BFF_KID "" Plain "`kid` of the first key; default its RFC 7638 thumbprint.";
    BFF_SIGNING_ALG "" Plain "Signature algorithm; default by key.";
    BFF_JWKS_MAX_AGE "300" Plain "Cache lifetime of the JWK Set, 1 s to 24 h.";
    BFF_JWK_ROTATE_AFTER_DAYS "30" Plain "Age in days at which a key is replaced; `0` only by hand.";
    BFF_JWK_RETIRE_AFTER_DAYS "60" Plain "Age in days at which a replaced key leaves the JWK Set.";
    BFF_JWK_MAX_KEYS "3" Plain "Published keys at most.";
    BFF_ROTATION_PREPUBLISH "10m" Plain "How long a new key is published before it may sign; at least `BFF_JWKS_MAX_AGE` + 60 s.";
    DCR_ENABLED "" Plain "Whether to register a client; default `true` if `IDP_BASE_URL` is set.";
    SKIP_DCR_BOOTSTRAP "false" Plain "Use the stored registration; send the IdP nothing at a start.";
    ALLOW_BOOTSTRAP_FAILURE "false" Plain "Keep serving keys when the registration fails, instead of exiting.";
    IDP_BASE_URL "" Plain "Where discovery of the IdP starts.";
    OIDC_ISSUER "" Plain "The expected `issuer`; default `IDP_BASE_URL`.";
    DCR_REGISTRATION_ENDPOINT "" Plain "Overrides the discovered registration endpoint.";
    OIDC_TOKEN_URL "" Plain "Overrides the discovered token endpoint.";
    IDP_ADMIN_BASE_URL "" Plain "Where tokens are minted and renewed; default the origin of `IDP_BASE_URL` + `/api/admin`.";
    DCR_IAT "" Secret "Initial access token, used once.";
    BOOTSTRAP_ADMIN_TOKEN "" Secret "Lets `bff` mint an initial or renew a registration access token itself.";
    DCR_CLIENT_ID "" Plain "Requested `client_id`, sent only if set.";
    AUTH_CLIENT_ID "" Plain "Another name of `DCR_CLIENT_ID`.";
    DCR_CLIENT_NAME "" Plain "`client_name`; default `DCR_CLIENT_ID`, else `bff-server`.";
    DCR_CLIENT_PROFILE "" Plain "`client_profile`, sent only if set.";
    DCR_REDIRECT_URIS "" Plain "`redirect_uris`: https, or http on loopback.";
    DCR_SCOPE "" Plain "`scope`.";
    OIDC_SCOPES "" Plain "Another name of `DCR_SCOPE`.";
    DCR_GRANT_TYPES "authorization_code" Plain "`grant_types`.";
    DCR_REDIRECT_UPDATE_MODE "auto" Plain "How changed redirect URIs are updated: `auto`, `replace`, `merge` or `none`.";
    DCR_ROTATION_SAFE "false" Plain "`true` means `DCR_REDIRECT_UPDATE_MODE=merge`.";
    DCR_FORCE_REPLACE "false" Plain "Replace the client, once per `DCR_IAT`.";
    DCR_JWKS "uri" Plain "`uri` registers `jwks_uri`, `value` registers `jwks`.";
    DCR_EXTRA_METADATA "" Plain "A JSON object merged into the registration request.";
    DCR_SOFTWARE_STATEMENT "" Secret "Software statement (RFC 7591 §2.3).";
    MS_BFF_TOKEN_AUTH_METHOD "private_key_jwt" Plain "The one authentication method that is supported.";
    BFF_ASSERTION_AUDIENCE "auto" Plain "`aud` of client assertions: `auto`, `issuer` or `endpoint`.";
    BFF_ASSERTION_TYPE "auto" Plain "`typ` of client assertions: `auto`, `client-authentication+jwt` or `JWT`.";
    BFF_PROOF_INTERVAL "6h" Plain "How often the key that signs is proven again; `0` only at a start and after a rejection.";
    BFF_DRIFT_CHECK "24h" Plain "How often the registration is read at the IdP and compared; `0` or `off` never.";
    BFF_CLIENT_CRED_PATH "" Plain "Also write the client's public data here, for the application.";
    BFF_BOOTSTRAP_TIMEOUT "60s" Plain "How long transient failures are retried at start.";
    BFF_CA_FILE "" Plain "Extra trust anchors for the IdP; default the system's roots.";
    BFF_ALLOW_INSECURE_HTTP "false" Plain "Permit `http:` to an IdP that is not on loopback.";
    BFF_LOG "info" Plain "Log filter.";
    BFF_LOG_FORMAT "" Plain "`text` or `json`; default `text` on a terminal, else `json`.";
}

/// The known variable whose name is nearest to `name`, if any is near.
pub(super) fn nearest(name: &str) -> Option<String> {
    let name = name.to_ascii_uppercase();
    let limit = (name.len() / 3).max(2);
    known_names()
        .filter_map(|known| {
            let begins = known.starts_with(&name) || name.starts_with(&known);
            let begins = begins && name.len() > 4;
            // The distance is at least the difference of the lengths, and dear.
            if !begins && known.len().abs_diff(name.len()) > limit {
                return None;
            }
            let distance = strsim::osa_distance(&name, &known);
            (begins || distance <= limit).then_some((distance, known))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// Whether `name` is a variable that this program reads.
pub(super) fn is_known(name: &str) -> bool {
    known_names().any(|known| known == name)
}

fn known_names() -> impl Iterator<Item = String> {
    SETTINGS
        .iter()
        .flat_map(|setting| [Some(setting.name.to_owned()), setting.file_name()])
        .flatten()
        .chain([CONFIG_VARIABLE.to_owned()])
}
