//! What happens, by a seed.

use std::fmt;

use dev_idp::{Endpoint, Fault};
use serde_json::json;

use crate::contents::{Door, Odd};
use crate::disk::Loss;
use crate::steps::Random;

/// What happens in one world, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) operations: Vec<Operation>,
}

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// A start, and what it is for. It ends when it has come to rest.
    Start(Purpose),
    /// The step of this number goes wrong in a start, in a way that the second number chooses, and
    /// the disk loses what the third makes it lose.
    Interrupted(Purpose, usize, u64, Loss, u64),
    /// A start on a volume that can only be read.
    ReadOnly(Purpose),
    Set(&'static str, &'static str),
    Unset(&'static str),
    NewToken,
    /// The token before the one that is configured.
    OldToken,
    NoToken,
    Administrator(bool),
    /// The clock goes by so many seconds.
    Clock(i64),
    /// The answers of the IdP are changed on their way.
    Distort(Door, Odd, Option<u32>),
    Fault(Fault, Option<u32>),
    Mend,
    /// So many bytes are left on the volume.
    Room(usize),
    Roomy,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    Start,
    Order,
    Refresh,
    Revoke,
}

const SETTINGS: [(&str, &[&str]); 9] = [
    (
        "DCR_REDIRECT_URIS",
        &[
            "https://app.example/old",
            "https://app.example/new",
            "https://app.example/new,https://app.example/newest",
        ],
    ),
    (
        "DCR_SCOPE",
        &["openid", "openid profile", "profile openid", "forbidden"],
    ),
    ("DCR_CLIENT_ID", &["wished", "wished-too"]),
    ("DCR_CLIENT_NAME", &["one", "another"]),
    ("DCR_FORCE_REPLACE", &["true", "false"]),
    (
        "DCR_REDIRECT_UPDATE_MODE",
        &["auto", "replace", "merge", "none"],
    ),
    ("DCR_JWKS", &["value", "uri"]),
    (
        "DCR_GRANT_TYPES",
        &["authorization_code", "authorization_code refresh_token"],
    ),
    ("BFF_ASSERTION_AUDIENCE", &["issuer", "endpoint"]),
];

const DOORS: [Door; 8] = [
    Door::Register,
    Door::Update,
    Door::Read,
    Door::Renew,
    Door::Mint,
    Door::Delete,
    Door::Token,
    Door::Discovery,
];

const TIMES: [Option<u32>; 4] = [Some(1), Some(1), Some(2), None];

impl History {
    pub(crate) fn of(seed: u64) -> Self {
        let mut random = Random::new(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let mut operations = Vec::new();
        for _ in 0..random.below(4) {
            operations.push(Operation::setting(&mut random));
        }
        if random.below(3) == 0 {
            operations.push(Operation::Fault(Fault::RotateOnRead, None));
            operations.push(Operation::Fault(Fault::RotateOnUpdate, None));
        }
        let beginning = if random.below(5) == 0 {
            Operation::Administrator(true)
        } else {
            Operation::NewToken
        };
        operations.push(beginning);
        if random.below(4) > 0 {
            operations.push(Operation::Start(Purpose::Start));
        }
        for _ in 0..random.below(14) + 2 {
            operations.push(Operation::any(&mut random));
        }
        if random.coin() {
            operations.push(Operation::Mend);
        }
        Self { operations }
    }
}

impl Operation {
    fn any(random: &mut Random) -> Self {
        match random.below(32) {
            0..=6 => Self::Start(purpose(random)),
            7..=10 => {
                let (number, how) = (random.below(90), random.next());
                let losses = [Loss::Nothing, Loss::Everything, Loss::Tail, Loss::Some];
                let loss = pick(random, &losses);
                Self::Interrupted(purpose(random), number, how, loss, random.next())
            }
            11 => Self::ReadOnly(purpose(random)),
            12..=15 => Self::setting(random),
            16..=18 => Self::NewToken,
            19 if random.coin() => Self::OldToken,
            19 => Self::NoToken,
            20 => Self::Administrator(random.below(3) > 0),
            21 => Self::Clock(pick(
                random,
                &[30, 3_700, 90_000, 40 * 86_400, -3_700, -90_000],
            )),
            22..=26 => {
                let weighted = if random.coin() { 3 } else { DOORS.len() };
                let door = DOORS[random.below(weighted)];
                Self::Distort(door, Odd::any(random), pick(random, &TIMES))
            }
            27..=29 => Self::Fault(fault(random), pick(random, &TIMES)),
            30 => Self::Mend,
            _ if random.coin() => Self::Roomy,
            _ => {
                let room = random.below(4) * random.below(40_000);
                Self::Room(room)
            }
        }
    }

    fn setting(random: &mut Random) -> Self {
        let (name, values) = pick(random, &SETTINGS);
        if name != "DCR_REDIRECT_URIS" && random.below(4) == 0 {
            return Self::Unset(name);
        }
        Self::Set(name, pick(random, values))
    }
}

fn purpose(random: &mut Random) -> Purpose {
    match random.below(10) {
        0..=5 => Purpose::Start,
        6 | 7 => Purpose::Order,
        8 => Purpose::Refresh,
        _ => Purpose::Revoke,
    }
}

fn fault(random: &mut Random) -> Fault {
    const AT: [Endpoint; 8] = [
        Endpoint::Register,
        Endpoint::Register,
        Endpoint::Read,
        Endpoint::Update,
        Endpoint::Management,
        Endpoint::Mint,
        Endpoint::Renew,
        Endpoint::Token,
    ];
    const REFUSALS: [u16; 9] = [400, 401, 403, 404, 405, 409, 429, 500, 503];
    let on = pick(random, &AT);
    match random.below(22) {
        0 => Fault::DropBefore { on },
        1 => Fault::DropAfter { on },
        2 => Fault::CutBody { on },
        3 => Fault::BadGatewayAfter { on },
        4..=6 => Fault::Status {
            on,
            status: pick(random, &REFUSALS),
        },
        7 => Fault::Redirect { on },
        8 => Fault::EmptyErrors,
        9 => Fault::HtmlErrors,
        10 => Fault::NoManagement,
        11 => Fault::RotateOnRead,
        12 => Fault::RotateOnUpdate,
        13 => Fault::BareManagementAnswers,
        14 => Fault::ForeignManagementUri,
        15 => Fault::RefuseJwksUri,
        16 => Fault::RefuseIssuerAudience,
        17 => Fault::ForgetClients,
        18 => Fault::IssueSecret { expires_in: None },
        19 => {
            let (member, value) = pick(
                random,
                &[
                    ("scope", "email"),
                    ("token_endpoint_auth_method", "client_secret_basic"),
                    ("client_name", "theirs"),
                ],
            );
            Fault::SubstituteMember {
                member: member.to_owned(),
                value: json!(value),
            }
        }
        20 => Fault::OmitMember {
            member: pick(random, &["scope", "redirect_uris", "jwks_uri"]).to_owned(),
        },
        _ => Fault::ForeignMember {
            member: "x_theirs".to_owned(),
            value: json!({"a": [1, null]}),
        },
    }
}

fn pick<T: Copy>(random: &mut Random, all: &[T]) -> T {
    all[random.below(all.len())]
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for operation in &self.operations {
            let text = format!("{operation:?}");
            let shown: String = text.chars().take(240).collect();
            writeln!(f, "    {shown}")?;
        }
        Ok(())
    }
}
