//! The IdP.

use std::path::PathBuf;

use super::parse::{self, Wrong};
use super::reader::Reader;
use super::section::Section;
use super::settings::{
    BFF_ALLOW_INSECURE_HTTP, BFF_CA_FILE, BOOTSTRAP_ADMIN_TOKEN, DCR_REGISTRATION_ENDPOINT,
    IDP_ADMIN_BASE_URL, IDP_BASE_URL, OIDC_ISSUER, OIDC_TOKEN_URL,
};
use crate::oauth::EndpointUrl;
use crate::secret::Secret;

/// Where the IdP is, and how it is reached.
#[derive(Clone, Debug)]
pub struct IdpConfig {
    /// Where discovery starts; paths are appended to it.
    pub base_url: EndpointUrl,
    /// The expected `issuer`, as it was given: it is compared exactly (RFC 8414 §3.3).
    pub issuer: String,
    /// The same, to compare its origin.
    pub issuer_url: EndpointUrl,
    /// Counts instead of the discovered one.
    pub registration_endpoint: Option<EndpointUrl>,
    /// Counts instead of the discovered one.
    pub token_endpoint: Option<EndpointUrl>,
    /// Where tokens are minted and renewed.
    pub admin_base_url: EndpointUrl,
    /// A PEM file with more trust anchors.
    pub ca_file: Option<PathBuf>,
    /// Whether the IdP may be reached by `http:` off loopback.
    pub allow_insecure_http: bool,
}

impl IdpConfig {
    /// Where to register if discovery finds no endpoint and none is configured.
    pub fn fallback_registration_endpoint(&self) -> EndpointUrl {
        self.base_url.append("/dcr/register")
    }

    fn urls(&self) -> impl Iterator<Item = &EndpointUrl> {
        [&self.base_url, &self.admin_base_url]
            .into_iter()
            .chain(&self.registration_endpoint)
            .chain(&self.token_endpoint)
    }
}

/// For a command that cannot do without an IdP.
impl Section for IdpConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let idp = Option::<Self>::read(reader)?;
        if idp.is_none() {
            return reader.missing(
                IDP_BASE_URL,
                "expected the URL of the IdP, such as https://idp.example/api/oidc",
            );
        }
        idp
    }
}

/// Without `IDP_BASE_URL` there is none.
impl Section for Option<IdpConfig> {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let allow_insecure_http = reader.value(BFF_ALLOW_INSECURE_HTTP, parse::boolean);
        // A value that is not a boolean is reported by itself, and does not count as `false`.
        let permitted = allow_insecure_http.unwrap_or(true);
        let base = |text: &str| parse::base_url(text, permitted);
        let endpoint = |text: &str| parse::endpoint_url(text, permitted);

        let base_url = reader.optional(IDP_BASE_URL, |text| Ok((text.to_owned(), base(text)?)));
        let issuer = reader.optional(OIDC_ISSUER, |text| {
            // It is compared, not called.
            parse::base_url(text, true).map(|url| (text.to_owned(), url))
        });
        let registration_endpoint = reader.optional(DCR_REGISTRATION_ENDPOINT, endpoint);
        let token_endpoint = reader.optional(OIDC_TOKEN_URL, endpoint);
        let admin_base_url = reader.optional(IDP_ADMIN_BASE_URL, base);
        let ca_file = reader.optional(BFF_CA_FILE, readable_file);

        let Some((given, base_url)) = base_url? else {
            return Some(None);
        };
        let (issuer, issuer_url) = issuer?.unwrap_or_else(|| (given, base_url.clone()));
        let idp = IdpConfig {
            admin_base_url: admin_base_url?.unwrap_or_else(|| base_url.with_path("/api/admin")),
            issuer,
            issuer_url,
            base_url,
            registration_endpoint: registration_endpoint?,
            token_endpoint: token_endpoint?,
            ca_file: ca_file?,
            allow_insecure_http: allow_insecure_http?,
        };
        if let Some(url) = idp.urls().find(|url| url.is_insecure()) {
            reader.warn(
                BFF_ALLOW_INSECURE_HTTP.name,
                format!(
                    "tokens go to {} unencrypted, for anyone on the network path to read; use \
                     https outside a container network",
                    url.origin().ascii_serialization()
                ),
            );
        }
        Some(Some(idp))
    }
}

/// A path at which there is a file that can be read.
fn readable_file(text: &str) -> Result<PathBuf, Wrong> {
    let path = parse::path(text)?;
    match parse::open_regular(&path) {
        Ok(_) => Ok(path),
        Err(error) => Err(Wrong::expected(format!(
            "a readable file of PEM certificates ({error})"
        ))),
    }
}

/// What `bff mint-iat` needs.
#[derive(Clone, Debug)]
pub struct MintConfig {
    /// The IdP.
    pub idp: IdpConfig,
    /// The token of the IdP's administrator; without it the command asks for it.
    pub idp_admin_token: Option<Secret>,
}

impl Section for MintConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let idp = IdpConfig::read(reader);
        let idp_admin_token = reader.secret(BOOTSTRAP_ADMIN_TOKEN, parse::token);
        Some(Self {
            idp: idp?,
            idp_admin_token: idp_admin_token?,
        })
    }
}
