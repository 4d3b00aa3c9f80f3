//! What Python's own library does with our cache, and we with its.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::scene::{FILES, NAME, Scene, WEIGHTS};

/// Runs `script` with `snapshot_download` imported; returns its output.
async fn python(scene: &Scene, script: &str) -> String {
    let python = std::env::var("CARLENS_PYTHON").expect("CARLENS_PYTHON names a python3");
    let script =
        format!("from huggingface_hub import hf_hub_download, snapshot_download\nprint({script})");
    let mut command = Command::new(python);
    command.args(["-c", &script]).env("HF_HUB_CACHE", scene.cache.path());
    command.env("HF_ENDPOINT", scene.stub.endpoint()).env_remove("HF_HUB_OFFLINE");
    let output = command.output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
#[ignore = "needs Python's huggingface_hub: CARLENS_PYTHON=/path/to/python3"]
async fn python_finds_what_carlens_pulled() {
    let scene = Scene::new().await;
    let folder = scene.pull().await.unwrap();
    scene.stub.forget_requests();
    let script = format!("snapshot_download('{NAME}', local_files_only=True)");
    assert_eq!(Path::new(&python(&scene, &script).await), folder);
    let script = format!("hf_hub_download('{NAME}', '{WEIGHTS}', local_files_only=True)");
    assert_eq!(Path::new(&python(&scene, &script).await), folder.join(WEIGHTS));
    let of_ours = scene.stub.requests().into_iter().filter(|request| request.path.contains(NAME));
    assert_eq!(of_ours.count(), 0);
}

#[tokio::test]
#[ignore = "needs Python's huggingface_hub: CARLENS_PYTHON=/path/to/python3"]
async fn carlens_finds_what_python_pulled() {
    let scene = Scene::new().await;
    let script = format!("snapshot_download('{NAME}')");
    let folder = PathBuf::from(python(&scene, &script).await);
    scene.assert_complete(&folder);
    assert_eq!(scene.found(), Some(folder.clone()));
    scene.stub.forget_requests();
    assert_eq!(scene.pull().await.unwrap(), folder);
    assert_eq!(scene.stub.ranges(), []);
}

#[tokio::test]
#[ignore = "needs Python's huggingface_hub: CARLENS_PYTHON=/path/to/python3"]
async fn both_make_the_same_tree() {
    let (ours, theirs) = (Scene::new().await, Scene::new().await);
    ours.pull().await.unwrap();
    let wanted = FILES.map(|name| format!("'{name}'")).join(",");
    python(&theirs, &format!("snapshot_download('{NAME}', allow_patterns=[{wanted}])")).await;
    assert_eq!(tree(&ours.folder()), tree(&theirs.folder()));
}

/// Every file below blobs, snapshots and refs, and what it points to.
fn tree(folder: &Path) -> Vec<(PathBuf, Option<PathBuf>)> {
    let walk = ["blobs", "snapshots", "refs"]
        .into_iter()
        .flat_map(|part| walkdir::WalkDir::new(folder.join(part)).sort_by_file_name())
        .map(|entry| entry.unwrap().into_path());
    let relative = |path: &Path| path.strip_prefix(folder).unwrap().to_owned();
    walk.map(|path| (relative(&path), fs::read_link(&path).ok())).collect()
}
