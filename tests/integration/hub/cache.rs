//! What a pull leaves on the disk, and what it does with what it finds there.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use carlens::hub::{Error, Hub, Preset};
use tokio_util::sync::CancellationToken;

use super::hub_stub::etag;
use super::scene::{FILES, NAME, Scene, WEIGHTS, checkpoint, content};

#[tokio::test]
async fn a_pull_makes_the_layout_python_makes() {
    let scene = Scene::new().await;
    let folder = scene.pull().await.unwrap();
    let commit = &scene.revision.commit;
    assert_eq!(folder, scene.folder().join("snapshots").join(commit));
    scene.assert_complete(&folder);
    for name in FILES {
        let target = Path::new("../../blobs").join(etag(content(&scene.revision, name)));
        #[cfg(unix)]
        assert_eq!(fs::read_link(folder.join(name)).unwrap(), target);
        assert!(folder.join(target).is_file());
    }
    assert_eq!(fs::read_to_string(scene.folder().join("refs/main")).unwrap(), *commit);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), FILES.len(), "only what is needed");
    assert_eq!(fs::read_dir(scene.folder().join("blobs")).unwrap().count(), FILES.len());
    assert_eq!(scene.found(), Some(folder));
}

#[tokio::test]
async fn a_second_pull_fetches_nothing() {
    let scene = Scene::new().await;
    let folder = scene.pull().await.unwrap();
    scene.stub.forget_requests();
    assert_eq!(scene.pull().await.unwrap(), folder);
    let fetched = scene.stub.requests().into_iter().filter(|request| request.method == "GET");
    let paths = fetched.map(|request| request.path).collect::<Vec<_>>();
    assert_eq!(paths, [format!("/api/models/{NAME}/revision/main?blobs=true")]);
}

#[tokio::test]
async fn a_second_pull_mends_what_has_been_damaged() {
    let scene = Scene::new().await;
    let folder = scene.pull().await.unwrap();
    let mut damaged = scene.weights().to_vec();
    damaged[1_234_567] ^= 1;
    fs::write(scene.blob(WEIGHTS), damaged).unwrap();
    scene.pull().await.unwrap();
    scene.assert_complete(&folder);
}

#[tokio::test]
async fn a_newer_commit_replaces_the_one_found() {
    let mut scene = Scene::new().await;
    let old = scene.pull().await.unwrap();
    let mut revision = scene.revision.clone();
    revision.commit = "b".repeat(40);
    revision.files[0].1.push(b'!');
    scene.stub.publish(vec![revision.clone()]);
    scene.stub.forget_requests();
    let new = scene.pull().await.unwrap();
    assert_eq!(scene.stub.ranges(), [], "the same weights are there");
    assert_eq!(scene.found(), Some(new.clone()));
    scene.assert_complete(&old);
    scene.revision = revision;
    scene.assert_complete(&new);
}

#[tokio::test]
async fn a_repository_without_safetensors_says_so() {
    let scene = Scene::new().await;
    let mut pickled = scene.revision.clone();
    pickled.files.retain(|(name, _)| *name != WEIGHTS);
    scene.stub.publish(vec![pickled]);
    let error = scene.pull().await.unwrap_err();
    assert!(error.to_string().contains("weights in safetensors format"), "{error}");
}

#[tokio::test]
async fn a_preset_comes_from_the_first_place_that_has_it() {
    let scene = Scene::new().await;
    let mut pickled = scene.revision.clone();
    pickled.files.retain(|(name, _)| *name != WEIGHTS);
    let mut converted = checkpoint('c');
    converted.name = "refs/pr/15";
    scene.stub.publish(vec![pickled, converted.clone()]);
    let preset = Preset::named("clip-vit-b-32").unwrap();
    let cancel = CancellationToken::new();
    let folder = scene.hub().pull_preset(preset, |_| {}, &cancel).await.unwrap();
    assert_eq!(folder, scene.folder().join("snapshots").join("c".repeat(40)));
    // Python puts it there too.
    let reference = fs::read_to_string(scene.folder().join("refs/refs/pr/15")).unwrap();
    assert_eq!(reference, converted.commit);
    assert_eq!(scene.hub().find_preset(preset), Some(folder));
}

#[tokio::test]
async fn a_preset_that_is_nowhere_says_what_its_own_repository_lacks() {
    let scene = Scene::new().await;
    let mut pickled = scene.revision.clone();
    pickled.files.retain(|(name, _)| *name != WEIGHTS);
    scene.stub.publish(vec![pickled]);
    let preset = Preset::named("clip-vit-b-32").unwrap();
    let cancel = CancellationToken::new();
    let error = scene.hub().pull_preset(preset, |_| {}, &cancel).await.unwrap_err();
    assert!(matches!(error, Error::Incomplete { .. }), "{error:?}");
}

#[tokio::test]
async fn a_checkpoint_in_a_folder_of_its_repository_is_pulled_and_found() {
    let scene = Scene::new().await;
    let mut revision = checkpoint('d');
    revision.repository = "sentence-transformers/clip-ViT-B-32";
    revision.files = vec![
        ("modules.json", b"[]".to_vec()),
        ("0_CLIPModel/config.json", b"config".to_vec()),
        ("0_CLIPModel/preprocessor_config.json", b"preprocessor".to_vec()),
        ("0_CLIPModel/vocab.json", b"vocabulary".to_vec()),
        ("0_CLIPModel/merges.txt", b"merges".to_vec()),
        ("0_CLIPModel/model.safetensors", vec![3; 20_000]),
    ];
    scene.stub.publish(vec![revision]);
    let preset = Preset::named("clip-vit-b-32").unwrap();
    let cancel = CancellationToken::new();
    let folder = scene.hub().pull_preset(preset, |_| {}, &cancel).await.unwrap();
    assert!(folder.ends_with("0_CLIPModel"));
    assert_eq!(fs::read(folder.join("merges.txt")).unwrap(), b"merges");
    #[cfg(unix)]
    assert!(fs::read_link(folder.join("merges.txt")).unwrap().starts_with("../../../blobs"));
    assert_eq!(scene.hub().find_preset(preset), Some(folder));
}

#[tokio::test]
async fn offline_nothing_is_asked() {
    let scene = Scene::new().await;
    let lookup = |name: &str| match name {
        "HF_HUB_OFFLINE" => Some(OsString::from("1")),
        "HF_ENDPOINT" => Some(scene.stub.endpoint().into()),
        "HF_HUB_CACHE" => Some(scene.cache.path().into()),
        _ => None,
    };
    let hub = Hub::from_environment(lookup).unwrap();
    let error = scene.pull_from(&hub).await.unwrap_err();
    assert!(error.to_string().contains("HF_HUB_OFFLINE"), "{error}");
    assert_eq!(scene.stub.requests().len(), 0);
    let folder = scene.pull().await.unwrap();
    assert_eq!(scene.pull_from(&hub).await.unwrap(), folder, "what is here is as good");
}

#[test]
fn the_token_file_is_read_from_the_home_of_the_hub() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("token"), "hf_from_file\n").unwrap();
    let hub =
        Hub::from_environment(|name| (name == "HF_HOME").then(|| home.path().into())).unwrap();
    assert_eq!(hub.cache(), home.path().join("hub"));
    assert!(format!("{hub:?}").contains("Some([hidden])"));
}

#[tokio::test]
async fn a_snapshot_that_turns_out_to_lack_something_is_not_found() {
    let scene = Scene::new().await;
    let mut revision = scene.revision.clone();
    revision.files = vec![
        ("open_clip_config.json", br#"{"model_cfg":{}}"#.to_vec()),
        ("tokenizer.json", b"{}".to_vec()),
        ("open_clip_model.safetensors", vec![1; 20_000]),
    ];
    scene.stub.publish(vec![revision]);
    let error = scene.pull().await.unwrap_err();
    assert!(error.to_string().contains("preprocessing"), "{error}");
    assert_eq!(scene.found(), None);
    assert!(!scene.folder().join("refs").exists());
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_named() {
    let scene = Scene::new().await;
    fs::write(scene.folder(), "a file where a folder should be").unwrap();
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::Disk { .. }), "{error:?}");
    assert!(error.to_string().contains("models--openai--clip"), "{error}");
    assert!(error.hint().contains("HF_HOME"));
}
