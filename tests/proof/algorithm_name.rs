//! `EdDSA` and `Ed25519` are one algorithm with two names (RFC 9864).

use bff::jose::Algorithm;
use bff::registration::AuthenticationOutcome::Accepted;
use dev_idp::{Config, DevIdp, Endpoint};
use serde_json::Value;

use crate::scene::{Scene, current};
use crate::servers::verdict;
use crate::support::http;

async fn idp_that_lists(algorithms: &[&str]) -> Scene {
    let mut config = Config::shipped().unwrap();
    config.policy.allowed_signing_algs = algorithms.iter().map(|alg| (*alg).to_owned()).collect();
    Scene::with(DevIdp::builder().config(config)).await
}

#[tokio::test]
async fn the_name_that_the_idp_lists_is_used_everywhere() {
    for (listed, configured, used) in [
        (&["Ed25519", "ES256"][..], "EdDSA", "Ed25519"),
        (&["EdDSA"][..], "Ed25519", "EdDSA"),
        (&["EdDSA", "Ed25519"][..], "Ed25519", "Ed25519"),
        (&["EdDSA", "Ed25519"][..], "EdDSA", "EdDSA"),
    ] {
        let scene = idp_that_lists(listed).await;
        let settings = [("BFF_SIGNING_ALG", configured)];

        let running = scene.serve(&settings).await;

        assert_eq!(verdict(&running), Some(Accepted), "{listed:?}");
        let clients = scene.idp.clients();
        assert_eq!(clients[0].1["token_endpoint_auth_signing_alg"], used);
        let requests = scene.idp.requests();
        let mut at_token = requests.iter().filter(|e| e.endpoint == Endpoint::Token);
        let header = &at_token.next().unwrap().request["client_assertion"]["header"];
        assert_eq!(header["alg"], used);
        let set: Value = http::get(&scene.url("/.well-known/jwks.json")).await.json();
        assert_eq!(set["keys"][0]["alg"], used);
        let kid = current(&running.app);
        assert!(running.stop(std::future::pending()).await);
        // A restart with the same setting leaves it so.
        let running = scene.serve(&settings).await;
        assert_eq!(current(&running.app), kid);
        let state = running.app.ledger.state();
        let alg = state.ring().unwrap().current().jwk.alg;
        assert_eq!(alg, used.parse::<Algorithm>().unwrap());
        assert!(running.stop(std::future::pending()).await);
    }
}
