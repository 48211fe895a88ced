//! What the application reads follows the document, whatever happens to it.

use std::fs;
use std::time::Duration;

use bff::oauth::{ClientMetadata, ServerMetadata};
use bff::registration::Registered;
use bff::rotator::{Mode, Order};
use bff::state::Adoption;
use dev_idp::Fault;

use crate::scene::{
    KeysOnly, Scene, TICK, active, agree, commit_beside, current, member, pass, rotated, signs,
    store,
};
use crate::support::volume::Volume;
use crate::support::{elapse, eventually};
use crate::wall::Wall;

const ISSUER: &str = "https://idp.example";

#[tokio::test(start_paused = true)]
async fn after_compromised_the_client_file_names_the_new_key_at_once() {
    let volume = Volume::new();
    let service = with_client(&volume).await;
    let file = volume.file("client.json");
    let old = current(&service.app);
    assert_eq!(member(&file, "kid").as_deref(), Some(old.as_str()));
    let order = Order {
        mode: Mode::Compromised,
        alg: None,
    };

    let new = service.rotator.order(order).await.unwrap().kid.unwrap();

    assert_ne!(new, old);
    assert_eq!(member(&file, "kid").as_deref(), Some(new.as_str()));
    agree(&service.app, &volume, &new);
}

#[tokio::test]
async fn after_a_fall_back_the_client_file_names_the_key_that_signs_again() {
    let scene = Scene::new().await;
    let running = scene.serve(&[]).await;
    let old = current(&running.app);
    let new = rotated(&running).await;
    names(&scene, new.as_str()).await;
    assert!(running.stop(std::future::pending()).await);
    let running = scene.resume().await;
    let kid = new.as_str().to_owned();
    scene.idp.faults().set(Fault::RefuseKey { kid });

    pass(Duration::from_secs(16)).await;

    signs(&running.app, &old).await;
    names(&scene, old.as_str()).await;
    agree(&running.app, &scene.volume, &old);
    assert!(running.stop(std::future::pending()).await);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_overwrites_or_removes_is_restored_at_the_next_tick() {
    let volume = Volume::new();
    let service = with_client(&volume).await;
    let (file, link) = (volume.file("client.json"), volume.file("active.pem"));
    let kid = current(&service.app);
    let whole = fs::read(&file).unwrap();
    let elsewhere = "another.pem";

    for damage in 0..2 {
        fs::remove_file(&link).unwrap();
        if damage == 0 {
            fs::write(&file, "{}").unwrap();
            std::os::unix::fs::symlink(elsewhere, &link).unwrap();
        } else {
            fs::remove_file(&file).unwrap();
        }

        elapse(TICK).await;

        assert_eq!(fs::read(&file).ok().as_ref(), Some(&whole), "{damage}");
        assert_eq!(active(&volume).as_deref(), Some(kid.as_str()), "{damage}");
    }

    // What is not ours stays.
    fs::remove_file(&link).unwrap();
    fs::write(&link, "no link").unwrap();
    elapse(TICK).await;
    assert_eq!(fs::read_to_string(&link).unwrap(), "no link");
}

async fn names(scene: &Scene, kid: &str) {
    eventually("the client file names the key", async || {
        (member(&scene.client_file(), "kid")? == kid).then_some(())
    })
    .await;
}

/// A service with a client and a client file, at an IdP that nobody asks.
async fn with_client(volume: &Volume) -> KeysOnly {
    let wall = Wall::new();
    let service = KeysOnly::open(volume, &wall, &[("DCR_ENABLED", "false")]).await;
    service.app.shutdown.finish(std::future::pending()).await;
    drop(service);
    commit_beside(&store(volume.path()), |state| {
        let metadata = ClientMetadata::default();
        let client = Registered::new(ISSUER, "c1", metadata.clone(), metadata, wall.now());
        state.adopt(client, None, Adoption::Registered, wall.now());
        let endpoint = format!("{ISSUER}/token");
        let text = serde_json::json!({"issuer": ISSUER, "token_endpoint": endpoint}).to_string();
        let known = ServerMetadata::parse(text.as_bytes()).unwrap();
        state.learn_metadata(ISSUER, known);
    });
    let file = volume.file("client.json");
    let settings = [
        ("IDP_BASE_URL", ISSUER),
        ("SKIP_DCR_BOOTSTRAP", "true"),
        ("BFF_CLIENT_CRED_PATH", file.to_str().unwrap()),
    ];
    KeysOnly::open(volume, &wall, &settings).await
}
