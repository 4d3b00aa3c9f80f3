//! With a disk of a megabyte, which only root may mount.

use std::fs;

use carlens::hub::{Error, PullProgress};
use tokio_util::sync::CancellationToken;

use super::hub_stub::Fault;
use super::scene::Scene;
use crate::small_disk::SmallDisk;

#[tokio::test]
async fn a_disk_that_is_too_small_is_noticed_before_the_first_byte() {
    let scene = Scene::new().await;
    let Some(disk) = SmallDisk::mount(&scene.folder(), "1m") else { return };
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::NoSpace { needed: Some(_), free: Some(_), .. }), "{error:?}");
    assert!(error.to_string().contains("4 MB are needed, 1 MB are free"), "{error}");
    assert_eq!(scene.stub.ranges(), []);
    scene.assert_nothing_found();
    drop(disk);
}

#[tokio::test]
async fn a_disk_that_fills_up_meanwhile_keeps_what_can_be_continued() {
    let scene = Scene::new().await;
    let Some(disk) = SmallDisk::mount(&scene.folder(), "5m") else { return };
    scene.stub.fault("GET model.safetensors", Fault::HoldAfter(1_000_000));
    let ballast = disk.path().join("ballast");
    let fill_at_hold = |report: PullProgress| {
        if report.done == 1_000_000 + 3 * 700 {
            // Fails for want of room, having taken what there was.
            fs::write(&ballast, vec![0; 5 << 20]).unwrap_err();
            scene.stub.release();
        }
    };
    let cancel = CancellationToken::new();
    let error = scene.hub().pull(&scene.repository, fill_at_hold, &cancel).await.unwrap_err();
    assert!(matches!(error, Error::NoSpace { .. }), "{error:?}");
    scene.assert_nothing_found();

    fs::remove_file(&ballast).unwrap();
    scene.assert_complete(&scene.pull().await.unwrap());
    assert!(scene.stub.ranges()[1].is_some(), "it went on");
    drop(disk);
}
