//! The members of the registration request.

#![expect(
    clippy::option_option,
    reason = "a wrong value and an unset one are different answers"
)]

use serde_json::{Map, Value};

use crate::config::parse;
use crate::config::reader::Reader;
use crate::config::settings::{
    DCR_EXTRA_METADATA, DCR_REDIRECT_UPDATE_MODE, DCR_REDIRECT_URIS, DCR_ROTATION_SAFE, DCR_SCOPE,
    OIDC_SCOPES, Setting,
};

/// Members of a registration that have a setting of their own or follow from others, and what to
/// use instead.
const OWN_MEMBERS: [(&str, &str); 17] = [
    ("client_id", "set DCR_CLIENT_ID"),
    ("client_id_issued_at", "the IdP chooses it"),
    ("client_name", "set DCR_CLIENT_NAME"),
    ("client_profile", "set DCR_CLIENT_PROFILE"),
    ("client_secret", "this client has none"),
    ("client_secret_expires_at", "this client has no secret"),
    ("grant_types", "set DCR_GRANT_TYPES"),
    ("jwks", "set DCR_JWKS=value"),
    ("jwks_uri", "set DCR_JWKS_URI"),
    ("redirect_uris", "set DCR_REDIRECT_URIS"),
    ("registration_access_token", "the IdP chooses it"),
    ("registration_client_uri", "the IdP chooses it"),
    ("response_types", "it follows from DCR_GRANT_TYPES"),
    ("scope", "set DCR_SCOPE"),
    ("software_statement", "set DCR_SOFTWARE_STATEMENT"),
    ("token_endpoint_auth_method", "it is always private_key_jwt"),
    ("token_endpoint_auth_signing_alg", "set BFF_SIGNING_ALG"),
];

/// How changed redirect URIs are updated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RedirectUpdateMode {
    /// As the IdP allows.
    Auto,
    /// Add ours to those that the IdP has.
    Merge,
    /// Leave those that the IdP has.
    None,
    /// Put ours in place of those that the IdP has.
    Replace,
}

pub(super) fn scope(reader: &mut Reader<'_>) -> Option<Option<String>> {
    let wished = reader.list(DCR_SCOPE, char::is_whitespace, parse::scope_token);
    let same = reader.list(OIDC_SCOPES, char::is_whitespace, parse::scope_token);
    let (mut wished, mut same) = (wished?, same?);
    for (setting, values) in [(DCR_SCOPE, &wished), (OIDC_SCOPES, &same)] {
        if values.iter().any(|value| value.contains(',')) {
            reader.warn(
                setting.name,
                "contains a comma, which counts as part of a scope; separate scopes with spaces",
            );
        }
    }
    let mut seen = Vec::new();
    wished.retain(|value| first(&mut seen, value));
    seen.clear();
    same.retain(|value| first(&mut seen, value));

    let differs = wished.len() != same.len() || wished.iter().any(|value| !same.contains(value));
    if !wished.is_empty() && !same.is_empty() && differs {
        return reader.disagree(DCR_SCOPE, &wished.join(" "), OIDC_SCOPES, &same.join(" "));
    }
    let scope = if wished.is_empty() { same } else { wished };
    Some((!scope.is_empty()).then(|| scope.join(" ")))
}

pub(super) fn redirect_update_mode(reader: &mut Reader<'_>) -> Option<RedirectUpdateMode> {
    let mode = reader.value(
        DCR_REDIRECT_UPDATE_MODE,
        parse::choice(&[
            ("auto", RedirectUpdateMode::Auto),
            ("replace", RedirectUpdateMode::Replace),
            ("merge", RedirectUpdateMode::Merge),
            ("none", RedirectUpdateMode::None),
        ]),
    );
    let safe = reader.value(DCR_ROTATION_SAFE, parse::boolean);
    match (mode?, safe?) {
        (mode, false) => Some(mode),
        (RedirectUpdateMode::Auto | RedirectUpdateMode::Merge, true) => {
            Some(RedirectUpdateMode::Merge)
        }
        (RedirectUpdateMode::None | RedirectUpdateMode::Replace, true) => reader.wrong(
            DCR_ROTATION_SAFE,
            "expected false with this DCR_REDIRECT_UPDATE_MODE, because true means merge; keep one \
             of them",
        ),
    }
}

pub(super) fn extra_metadata(reader: &mut Reader<'_>) -> Option<Map<String, Value>> {
    let members = reader.object(DCR_EXTRA_METADATA)?;
    let mut right = true;
    for (name, instead) in OWN_MEMBERS {
        if members.contains_key(name) {
            reader.wrong::<()>(
                DCR_EXTRA_METADATA,
                format!("expected no member `{name}`: {instead}"),
            );
            right = false;
        }
    }
    right.then_some(members)
}

pub(super) fn check_redirects(
    reader: &mut Reader<'_>,
    grant_types: &[String],
    redirect_uris: &[String],
    registers: bool,
) -> Option<()> {
    let redirecting = grant_types
        .iter()
        .any(|grant| grant == "authorization_code");
    if registers && redirecting && redirect_uris.is_empty() {
        return reader.missing(
            DCR_REDIRECT_URIS,
            "expected at least one redirect URI, such as https://app.example/cb, to register; or \
             set DCR_GRANT_TYPES=client_credentials",
        );
    }
    if !redirecting && !redirect_uris.is_empty() {
        reader.warn(
            DCR_REDIRECT_URIS.name,
            "has no effect, because no grant type in DCR_GRANT_TYPES redirects",
        );
    }
    Some(())
}

pub(super) fn without_repeats(
    reader: &mut Reader<'_>,
    setting: Setting,
    mut values: Vec<String>,
) -> Vec<String> {
    let given = values.len();
    let mut seen = Vec::new();
    values.retain(|value| first(&mut seen, value));
    if values.len() < given {
        reader.warn(setting.name, "lists a value twice; once is enough");
    }
    values
}

/// Whether a value has not been seen yet.
fn first(seen: &mut Vec<String>, value: &str) -> bool {
    let first = !seen.iter().any(|other| other == value);
    if first {
        seen.push(value.to_owned());
    }
    first
}
