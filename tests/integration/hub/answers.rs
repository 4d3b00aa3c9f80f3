//! What servers say, and what they are told.

use std::time::Duration;

use carlens::hub::{Error, Hub, Patience, Repository, Secret};

use super::hub_stub::{Fault, SIGNATURE, Server};
use super::scene::Scene;

#[tokio::test]
async fn an_overloaded_server_is_asked_again() {
    let scene = Scene::new().await;
    for request in ["GET listing", "HEAD config.json", "GET config.json", "GET model.safetensors"] {
        scene.stub.fault(request, Fault::Status(503));
        scene.stub.fault(request, Fault::Status(429));
    }
    scene.assert_complete(&scene.pull().await.unwrap());
}

#[tokio::test]
async fn a_broken_server_is_not_asked_for_ever() {
    let scene = Scene::new().await;
    for _ in 0..9 {
        scene.stub.fault("GET model.safetensors", Fault::Status(500));
    }
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::Status { status: 500, .. }), "{error:?}");
    assert_eq!(scene.stub.ranges().len(), 3);
    scene.assert_nothing_found();
}

#[tokio::test]
async fn nobody_at_the_address_is_an_error_with_a_way_out() {
    let scene = Scene::new().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let hub = Hub::new(&format!("http://127.0.0.1:{port}"), scene.cache.path()).unwrap();
    let hub =
        hub.with_patience(Patience { attempts: 2, pause: Duration::ZERO, ..Patience::default() });
    let error = scene.pull_from(&hub).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.hint().contains("HF_ENDPOINT"), "{}", error.hint());
}

#[tokio::test]
async fn an_unknown_repository_is_not_found() {
    let mut scene = Scene::new().await;
    scene.repository = Repository::parse("openai/klip").unwrap();
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    assert!(error.to_string().contains("openai/klip"), "{error}");
}

#[tokio::test]
async fn a_listed_file_that_is_gone_is_not_found() {
    let scene = Scene::new().await;
    scene.stub.fault("HEAD tokenizer.json", Fault::Status(404));
    let error = scene.pull().await.unwrap_err();
    assert!(error.to_string().starts_with("could not fetch tokenizer.json of openai/"), "{error}");
    scene.assert_nothing_found();
}

#[tokio::test]
async fn a_file_that_vanishes_from_the_storage_leaves_no_half_model() {
    let scene = Scene::new().await;
    scene.stub.fault("GET model.safetensors", Fault::Status(404));
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    scene.assert_nothing_found();
}

#[tokio::test]
async fn a_gated_repository_asks_for_a_token() {
    let scene = Scene::new().await;
    scene.stub.fault("HEAD config.json", Fault::Status(401));
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 401, with_token: false, .. }), "{error:?}");
    assert!(error.hint().contains("HF_TOKEN"));
}

#[tokio::test]
async fn a_refused_token_is_never_shown() {
    let scene = Scene::new().await;
    scene.stub.fault("GET listing", Fault::Status(403));
    let hub = scene.hub().with_token(Secret::new("hf_do_not_show").unwrap());
    let error = scene.pull_from(&hub).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 403, with_token: true, .. }), "{error:?}");
    let said = format!("{error} {error:?} {} {hub:?}", error.hint());
    assert!(!said.contains("hf_do_not_show"), "{said}");
}

#[tokio::test]
async fn the_token_goes_to_the_hub_and_nowhere_else() {
    let scene = Scene::new().await;
    let hub = scene.hub().with_token(Secret::new("hf_token").unwrap());
    scene.pull_from(&hub).await.unwrap();
    let requests = scene.stub.requests();
    assert!(requests.iter().any(|request| request.server == Server::Storage));
    for request in requests {
        let expected = (request.server == Server::Hub).then_some("Bearer hf_token");
        assert_eq!(request.authorization.as_deref(), expected, "{request:?}");
    }
}

#[tokio::test]
async fn the_signature_of_a_redirect_is_never_shown() {
    for fault in [Fault::Status(403), Fault::HangUp, Fault::DropAfter(5), Fault::Circle] {
        let scene = Scene::new().await;
        scene.stub.fault("GET model.safetensors", fault);
        let error = scene.pull_from(&scene.impatient_hub()).await.unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(!said.contains(SIGNATURE), "{said}");
    }
}

#[tokio::test]
async fn redirects_without_end_are_not_followed_without_end() {
    let scene = Scene::new().await;
    scene.stub.fault("GET model.safetensors", Fault::Circle);
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::Redirects(_)), "{error:?}");
    assert!(scene.stub.ranges().len() <= 11);
    scene.assert_nothing_found();
}

#[tokio::test]
async fn a_mirror_that_omits_the_hubs_headers_serves_by_its_listing() {
    let scene = Scene::new().await;
    scene.stub.fault("HEAD model.safetensors", Fault::Bare);
    scene.assert_complete(&scene.pull().await.unwrap());
}

#[tokio::test]
async fn what_cannot_be_verified_is_not_fetched() {
    let scene = Scene::new().await;
    scene.stub.fault("GET listing", Fault::Bare);
    scene.stub.fault("HEAD model.safetensors", Fault::Bare);
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::Answer { .. }), "{error:?}");
    assert_eq!(scene.stub.ranges(), []);
}

#[tokio::test]
async fn a_file_that_moved_within_the_hub_is_followed() {
    let scene = Scene::new().await;
    scene.stub.fault("GET listing", Fault::Bare);
    scene.stub.fault("HEAD config.json", Fault::Moved);
    scene.stub.fault("GET config.json", Fault::Moved);
    scene.assert_complete(&scene.pull().await.unwrap());
}
