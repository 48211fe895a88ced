//! What is interrupted.

/// One start that is interrupted, and what was there before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Set at every start.
    pub(crate) always: &'static [(&'static str, &'static str)],
    /// Whether a client was registered before, with the redirect URI [`OLD`].
    pub(crate) registered: bool,
    /// Set from the interrupted start on.
    pub(crate) then: &'static [(&'static str, &'static str)],
    /// Set at the interrupted start alone.
    pub(crate) once: &'static [(&'static str, &'static str)],
    /// What the operator has a token for at the interrupted start.
    pub(crate) token: Token,
    /// Whether the client is to be another one at the end.
    pub(crate) replaces: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Token {
    /// None: nothing is to be registered.
    None,
    /// `DCR_IAT`.
    Initial,
    /// `BOOTSTRAP_ADMIN_TOKEN`.
    Admin,
}

pub(crate) const OLD: &str = "https://app.example/old";
pub(crate) const NEW: &str = "https://app.example/new";
/// Stands for an address that refuses connections.
pub(crate) const REFUSED: &str = "http://refused";

const FIRST: Scenario = Scenario {
    name: "first start",
    always: &[],
    registered: false,
    then: &[],
    once: &[],
    token: Token::Initial,
    replaces: false,
};

const WISHED: &[(&str, &str)] = &[("DCR_CLIENT_ID", "wished")];

pub(crate) const SCENARIOS: [Scenario; 11] = [
    FIRST,
    Scenario {
        name: "first start, keys and state apart",
        always: &[("BFF_STATE_DIR", "/volume/deep/state")],
        ..FIRST
    },
    Scenario {
        name: "first start with a wished client_id",
        always: WISHED,
        ..FIRST
    },
    Scenario {
        name: "first start with the administrator's token",
        token: Token::Admin,
        ..FIRST
    },
    Scenario {
        name: "first start with DCR_JWKS=value",
        always: &[("DCR_JWKS", "value")],
        ..FIRST
    },
    Scenario {
        name: "first start at a refused endpoint",
        once: &[("DCR_REGISTRATION_ENDPOINT", REFUSED)],
        ..FIRST
    },
    Scenario {
        name: "restart",
        registered: true,
        token: Token::None,
        ..FIRST
    },
    Scenario {
        name: "update",
        registered: true,
        then: &[("DCR_REDIRECT_URIS", NEW)],
        token: Token::None,
        ..FIRST
    },
    Scenario {
        name: "update with the administrator's token",
        registered: true,
        then: &[("DCR_REDIRECT_URIS", NEW)],
        token: Token::Admin,
        ..FIRST
    },
    Scenario {
        name: "replace, the new client first",
        registered: true,
        then: &[("DCR_REDIRECT_URIS", NEW), ("DCR_FORCE_REPLACE", "true")],
        replaces: true,
        ..FIRST
    },
    Scenario {
        name: "replace, the old client first",
        always: WISHED,
        registered: true,
        then: &[("DCR_REDIRECT_URIS", NEW), ("DCR_FORCE_REPLACE", "true")],
        replaces: true,
        ..FIRST
    },
];
