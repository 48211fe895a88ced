//! An answer of the client configuration endpoint.

use bff::oauth::{ClientMetadata, EndpointUrl, Management};
use bff::registration::{
    Drift, ManagementOutcome, RatNews, RawAnswer, RedirectUpdate, Registered, foreign_members,
    has_arrived, kept, patch_body, token_answer_text, update_body,
};
use bff::secret::Secret;
use bff::state::{Adoption, Rev, State};
use jiff::Timestamp;
use serde_json::json;

use crate::answer::{answer, said};
use crate::checks;

const CLIENT_ID: &str = "c1";

const REDIRECTS: [RedirectUpdate; 4] = [
    RedirectUpdate::Auto,
    RedirectUpdate::Merge,
    RedirectUpdate::None,
    RedirectUpdate::Replace,
];

/// Carries an answer to a read and to an update as far as the state that is committed.
///
/// It shows no secret, a token is only taken from a success and stays on its origin, an update
/// repeats nothing that only the server sets, and every state on the way commits.
pub fn management_answer(data: &[u8]) {
    let answer = checks::marked(answer(data));
    let outcome = ManagementOutcome::of(&answer);
    checks::hides_secrets(&format!("{outcome:?}"));
    match &outcome {
        ManagementOutcome::Is(information) => update(&information.metadata),
        ManagementOutcome::Refused(_, Some(error)) => {
            checks::is_tidy(&error.to_string());
            checks::hides_secrets(&error.to_string());
        }
        ManagementOutcome::Unknown(what) => checks::is_tidy(what),
        _ => {}
    }
    checks::is_tidy(&token_answer_text(answer.status, said(&answer).as_deref()));
    for was_read in [true, false] {
        news(&answer, was_read);
    }
}

/// What an update would send to an IdP that has `idp`.
fn update(idp: &ClientMetadata) {
    let (client, desired) = (client(), metadata("openid email"));
    for redirects in REDIRECTS {
        let drift = Drift::between(&desired, &client, Some(idp), redirects);
        assert!(drift.is_empty() || !drift.settings().is_empty());
        let mut body = update_body(&desired, &client, Some(idp), redirects);
        let foreign = foreign_members(&body, &client, idp);
        for (name, value) in foreign.0 {
            assert!(body.0.insert(name, value).is_none(), "ours is replaced");
        }
        for body in [patch_body(&body, &client), body] {
            assert_eq!(body.text("client_id"), Some(CLIENT_ID));
            for name in bff::oauth::SERVER_ONLY_MEMBERS {
                assert!(!body.0.contains_key(name), "{name} is repeated");
            }
            assert!(!body.0.contains_key("client_secret"));
        }
    }
    let _ = has_arrived(&desired, &client, idp);
    // A server that answers exactly as it was asked leaves nothing to do.
    let same = Drift::between(&client.sent, &client, Some(&client.granted), REDIRECTS[0]);
    assert!(same.is_empty());
}

/// What is stored of the token and of what was seen.
fn news(answer: &RawAnswer, was_read: bool) {
    let now = Timestamp::UNIX_EPOCH;
    let client = client();
    let mut state = State::default();
    state.adopt(client.clone(), None, Adoption::Registered, now);
    state
        .rat_leaves(CLIENT_ID, now)
        .expect("the client is ours");
    let news = RatNews::of(answer, CLIENT_ID, &client.sent, was_read);
    checks::hides_secrets(&format!("{news:?}"));
    if let Some(news) = news {
        let is_success = (200..=299).contains(&answer.status);
        assert!(is_success || news.access.registration_access_token.is_none());
        state
            .rat_answered(CLIENT_ID, &news)
            .expect("the client is ours");
        if let Some(seen) = news.seen {
            let (metadata, _) = kept(&client.sent, seen.metadata.clone());
            assert_eq!(metadata, seen.metadata, "what is kept is kept again");
            state
                .updated(CLIENT_ID, client.sent.clone(), metadata, "scope", now)
                .expect("the client is ours");
        }
    }
    let management = state
        .registration()
        .and_then(|ours| ours.management.as_ref());
    let management = management.expect("the access stays");
    checks::is_at_the_idp(&management.uri);
    assert!(!management.token.expose().is_empty());
    checks::hides_secrets(&format!("{state:?}"));
    checks::journal_is_tidy(&state);
    checks::commits(&state, Rev::default());
}

fn client() -> Registered {
    let sent = metadata("openid profile");
    let management = Management {
        uri: EndpointUrl::parse("https://idp.example/register/c1", false).expect("a URL"),
        token: Secret::new("rat-of-before"),
    };
    Registered {
        management: Some(management),
        ..Registered::new(
            "https://idp.example",
            CLIENT_ID,
            sent.clone(),
            sent,
            Timestamp::UNIX_EPOCH,
        )
    }
}

fn metadata(scope: &str) -> ClientMetadata {
    let members = json!({
        "client_name": "bff-server",
        "redirect_uris": ["https://app.example/callback"],
        "grant_types": ["authorization_code"],
        "scope": scope,
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks_uri": "https://app.example/.well-known/jwks.json",
    });
    ClientMetadata(members.as_object().expect("an object").clone())
}
