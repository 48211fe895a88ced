//! What a registration endpoint really answers: no client is forgotten, no token is spent twice, and
//! nothing is repeated by a restart that has no reason to.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use dev_idp::{DevIdp, Endpoint, Fault};
use serde_json::json;

use support::child::Bff;
use support::environment::Env;
use support::world::World;

const REGISTER: Endpoint = Endpoint::Register;

#[tokio::test]
async fn a_success_by_any_name_registers_with_its_token() {
    for (status, body) in [
        (200, "{answer}"),
        (202, "{answer}"),
        (203, "{answer}"),
        (201, "\u{feff}{answer}"),
        (
            201,
            r#"{"x_ratio":3.899367208872129e-13,"n":-0.0,"big":1e300,{members}}"#,
        ),
    ] {
        let world = World::new().await;
        world.idp.faults().set_times(reply(status, body), 1);

        world.run(&world.env_with_token()).await;
        world.run(&world.env()).await;

        assert_eq!(world.clients(), [world.client_id()], "{status} {body}");
        let client = &world.volume.state()["registration"];
        assert!(client["management"].is_object(), "{status} {body}");
        assert_eq!(world.received(REGISTER).len(), 1, "{status} {body}");
    }
}

#[tokio::test]
async fn an_answer_that_nests_deep_loses_neither_client_nor_token() {
    for depth in [125, 5_000] {
        let world = World::new().await;
        let deep = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let body = format!(r#"{{"policy":{deep},{{members}}}}"#);
        world.idp.faults().set_times(reply(201, &body), 1);

        world.run(&world.env_with_token()).await;
        world.run(&world.env()).await;

        assert_eq!(world.clients(), [world.client_id()], "{depth}");
        assert_eq!(world.received(REGISTER).len(), 1, "{depth}");
    }
}

#[tokio::test]
async fn what_may_have_made_a_client_is_never_sent_again_with_the_same_token() {
    for fault in [
        redirect(303, "/clients/c1"),
        redirect(302, "/login"),
        redirect(301, "https://elsewhere.example/"),
        reply(408, ""),
        reply(204, ""),
        reply(201, r#"{"client_id":"other",{members}}"#),
        reply(201, r#"{"client_id":"\u001b[2Jx"}"#),
        reply(201, "{answer} and more"),
    ] {
        let world = World::new().await;
        world.idp.faults().set_times(fault.clone(), 1);
        // It could be spent again, so that it shows if it is.
        let token = several(&world);
        let env = world.env().set("DCR_IAT", &token);

        let ended = Bff::serve(&env).ended().await;
        ended.fails(69, &["is unknown", "DCR_IAT"]);
        for _ in 0..3 {
            let ended = Bff::serve(&env).ended().await;
            ended.fails(1, &["a client may exist"]);
        }
        let ordered = Bff::start(&["register"], &env, "").ended().await;
        ordered.is_refused(1, &["a client may exist"]);

        assert_eq!(world.idp.iat_uses(&token), Some(1), "{fault:?}");
        assert_eq!(world.received(REGISTER).len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_read_as_far_as_it_goes() {
    let long = "x".repeat(300_000);
    for (status, body, code, words) in [
        // What only the end of it says does not matter.
        (
            400,
            format!("<html><title>Not now</title>{long}"),
            78,
            "Not now",
        ),
        (201, format!("{{answer}}{}", " ".repeat(300_000)), 0, ""),
        (
            201,
            format!(r#"{{"logo":"{long}",{{members}}}}"#),
            69,
            "more than 256 KiB",
        ),
    ] {
        let world = World::new().await;
        world.idp.faults().set_times(reply(status, &body), 1);

        if code == 0 {
            world.registered().await;
            assert_eq!(world.clients(), [world.client_id()]);
        } else {
            let ended = Bff::serve(&world.env_with_token()).ended().await;
            ended.fails(code, &[words]);
        }

        assert_eq!(world.received(REGISTER).len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_member_that_comes_twice_is_shown_with_both_values() {
    let world = World::new().await;
    let twice = reply(201, r#"{"client_id":"the-other-one",{members}}"#);
    world.idp.faults().set_times(twice, 1);

    let ended = Bff::serve(&world.env_with_token()).ended().await;

    let client_id = world.clients().remove(0);
    ended.fails(
        69,
        &["client_id more than once", "the-other-one", &client_id],
    );
    let state = world.volume.state();
    let body = state["attempt"]["answer"]["body"].as_str().unwrap();
    assert!(body.contains("the-other-one"), "kept as it came: {body}");
}

#[tokio::test]
async fn a_proxy_that_only_redirects_is_told_from_an_answer_and_the_token_stays_good() {
    let world = World::new().await;
    let token = several(&world);
    let env = world.env().set("DCR_IAT", &token);
    let endpoint = format!("{}/dcr/register", world.idp.issuer());
    for location in [format!("{endpoint}/"), endpoint.replace("http:", "https:")] {
        let fault = redirect(301, &location);
        world.idp.faults().set_times(fault, 1);
        let ended = Bff::start(&["register"], &env, "").ended().await;
        ended.is_refused(78, &["HTTP 301", &location, "DCR_REGISTRATION_ENDPOINT"]);
    }
    assert!(world.volume.state().get("attempt").is_none());
}

#[tokio::test]
async fn a_granted_secret_settles_the_start_until_somebody_acts() {
    for admin in [false, true] {
        let world = World::new().await;
        let (member, value) = ("token_endpoint_auth_method", json!("client_secret_basic"));
        world.idp.faults().set(Fault::SubstituteMember {
            member: member.to_owned(),
            value,
        });
        let env = if admin {
            administered(&world)
        } else {
            world.env().set("DCR_IAT", several(&world))
        };

        let ended = Bff::serve(&env).ended().await;
        ended.fails(1, &["client_secret_basic", "private_key_jwt"]);
        for _ in 0..4 {
            let ended = Bff::serve(&env).ended().await;
            ended.fails(1, &["client_secret_basic", "DCR_CLIENT_PROFILE"]);
        }

        assert_eq!(world.received(REGISTER).len(), 1, "admin: {admin}");
        assert!(world.received(Endpoint::Mint).len() <= 1);
        assert!(world.clients().is_empty(), "{:?}", world.clients());
        world.idp.faults().clear();
        if admin {
            // An order mints another token; one that is configured has to be replaced.
            let ordered = Bff::start(&["register"], &env, "").ended().await;
            assert_eq!(ordered.code, Some(0), "{ordered}");
        } else {
            world.run(&world.env_with_token()).await;
        }
    }
}

#[tokio::test]
async fn a_policy_that_refuses_is_asked_once_an_hour_and_at_once_on_order() {
    for status in [400, 403] {
        for admin in [false, true] {
            let world = World::new().await;
            let on = REGISTER;
            world.idp.faults().set(Fault::Status { on, status });
            let env = if admin {
                administered(&world)
            } else {
                world.env_with_token()
            };

            let first = Bff::serve(&env).ended().await;
            assert_ne!(first.code, Some(0), "{first}");
            for _ in 0..4 {
                let ended = Bff::serve(&env).ended().await;
                ended.fails(77, &["sent again after", "bff register"]);
            }
            assert_eq!(world.received(REGISTER).len(), 1, "{status} {admin}");
            world.idp.faults().clear();
            let ordered = Bff::start(&["register"], &env, "").ended().await;

            assert_eq!(ordered.code, Some(0), "{ordered}");
            assert_eq!(world.received(REGISTER).len(), 2);
            assert!(world.received(Endpoint::Mint).len() <= 1);
        }
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_not_tried_again_by_restarts() {
    for admin in [false, true] {
        let world = World::new().await;
        let (on, status) = (REGISTER, 401);
        world.idp.faults().set(Fault::Status { on, status });
        let env = if admin {
            administered(&world)
        } else {
            world.env_with_token()
        };

        for _ in 0..5 {
            let ended = Bff::serve(&env).ended().await;
            assert_eq!(ended.code, Some(77), "{ended}");
        }

        assert_eq!(world.received(REGISTER).len(), 1, "admin: {admin}");
        assert!(world.received(Endpoint::Mint).len() <= 1);
        world.idp.faults().clear();
        let ordered = Bff::start(&["register"], &env, "").ended().await;
        assert_eq!(ordered.code, Some(0), "{ordered}");
    }
}

#[tokio::test]
async fn what_the_idp_issues_is_stored_as_it_came_whatever_it_looks_like() {
    let world = World::new().await;
    let token = world.idp.mint_iat();
    let client_id = format!("client-{token}");
    let env = world
        .env()
        .set("DCR_IAT", &token)
        .set("DCR_CLIENT_ID", &client_id);

    world.run(&env).await;

    assert_eq!(world.client_id(), client_id);
    assert_eq!(world.clients(), [client_id]);
}

#[tokio::test]
async fn a_minted_token_goes_to_the_idp_that_it_was_minted_for_and_nowhere_else() {
    let world = World::new().await;
    let (on, status) = (REGISTER, 403);
    world.idp.faults().set(Fault::Status { on, status });
    let ended = Bff::serve(&administered(&world)).ended().await;
    assert_ne!(ended.code, Some(0), "{ended}");
    let minted = world.volume.state()["minted"]["token"].clone();
    let other = DevIdp::builder().start().await.unwrap();
    let env = world
        .env()
        .set("IDP_BASE_URL", other.issuer())
        .set("BOOTSTRAP_ADMIN_TOKEN", other.admin_token());

    world.run(&env).await;

    let sent = format!("{:?}", other.requests());
    assert!(minted.is_string() && !sent.contains(minted.as_str().unwrap()));
    assert_eq!(other.clients().len(), 1);
}

#[tokio::test]
async fn an_old_token_replaces_nothing_however_long_ago_it_was_used() {
    let world = World::new().await;
    let tokens = [world.idp.mint_iat(), world.idp.mint_iat()];
    for token in &tokens {
        let env = world
            .env()
            .set("DCR_IAT", token)
            .set("DCR_CLIENT_ID", "shop");
        world.run(&env.set("DCR_FORCE_REPLACE", "true")).await;
    }
    let writes = world.writes().len();

    for token in &tokens {
        let env = world
            .env()
            .set("DCR_IAT", token)
            .set("DCR_CLIENT_ID", "shop");
        world.run(&env.set("DCR_FORCE_REPLACE", "true")).await;
    }

    assert_eq!(world.writes().len(), writes);
    assert_eq!(world.clients(), ["shop"]);
}

fn reply(status: u16, body: &str) -> Fault {
    Fault::ReplyAfter {
        on: REGISTER,
        status,
        location: None,
        body: body.to_owned(),
    }
}

fn redirect(status: u16, location: &str) -> Fault {
    Fault::ReplyAfter {
        on: REGISTER,
        status,
        location: Some(location.to_owned()),
        body: String::new(),
    }
}

/// A token for several registrations.
fn several(world: &World) -> String {
    world
        .idp
        .mint_iat_with(10, std::time::Duration::from_hours(1))
}

fn administered(world: &World) -> Env {
    world
        .env()
        .set("BOOTSTRAP_ADMIN_TOKEN", world.idp.admin_token())
}
