//! Bytes on their way: broken off, taken up, wrong, too many, too few.

use std::fs;
use std::time::Duration;

use carlens::hub::{Error, Patience, PullProgress, PullStep};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::hub_stub::Fault;
use super::scene::{Scene, WEIGHTS};

#[tokio::test]
async fn a_dropped_connection_is_taken_up_where_it_broke() {
    let scene = Scene::new().await;
    scene.stub.fault("GET model.safetensors", Fault::DropAfter(1_000_000));
    scene.stub.fault("GET model.safetensors", Fault::DropAfter(500_000));
    let folder = scene.pull().await.unwrap();
    scene.assert_complete(&folder);
    let ranges = [None, Some("bytes=1000000-".to_owned()), Some("bytes=1500000-".to_owned())];
    assert_eq!(scene.stub.ranges(), ranges);
}

#[tokio::test]
async fn a_later_pull_goes_on_where_an_earlier_one_gave_up() {
    let scene = Scene::new().await;
    scene.stub.fault("GET model.safetensors", Fault::DropAfter(1_000_000));
    let error = scene.pull_from(&scene.impatient_hub()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.hint().contains("goes on from where it stopped"));
    scene.assert_nothing_found();
    assert_eq!(fs::metadata(scene.incomplete()).unwrap().len(), 1_000_000);

    let mut last = None;
    let cancel = CancellationToken::new();
    let report = |progress| last = Some(progress);
    let folder = scene.hub().pull(&scene.repository, report, &cancel).await.unwrap();
    scene.assert_complete(&folder);
    assert_eq!(scene.stub.ranges(), [None, Some("bytes=1000000-".to_owned())]);
    let last = last.unwrap();
    let total = 3_000_000 + 3 * 700;
    assert_eq!((last.done, last.total, last.resumed), (total, total, 1_000_000 + 3 * 700));
    assert!(!scene.incomplete().exists());
}

#[tokio::test]
async fn progress_never_goes_back_and_ends_at_the_total() {
    let scene = Scene::new().await;
    scene.stub.fault("GET model.safetensors", Fault::DropAfter(1_000_000));
    let mut reports = Vec::<PullProgress>::new();
    let cancel = CancellationToken::new();
    scene.hub().pull(&scene.repository, |report| reports.push(report), &cancel).await.unwrap();
    assert!(reports.is_sorted_by_key(|report| report.done));
    let last = reports.last().unwrap();
    assert_eq!((last.done, last.resumed), (last.total, 0));
    let of_weights = |report: &&PullProgress| report.file == WEIGHTS;
    assert!(reports.iter().filter(of_weights).count() > 4, "in small steps");
}

#[tokio::test]
async fn a_lie_about_the_hash_leaves_nothing_behind() {
    let scene = Scene::new().await;
    let other = vec![0; scene.weights().len()];
    scene.stub.fault("GET model.safetensors", Fault::Instead(other));
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::Damaged { property: "SHA-256", .. }), "{error:?}");
    scene.assert_nothing_found();
    assert!(!scene.incomplete().exists());
    assert!(!scene.blob(WEIGHTS).exists());
    scene.assert_complete(&scene.pull().await.unwrap());
}

#[tokio::test]
async fn a_lie_about_a_small_file_is_noticed_too() {
    let scene = Scene::new().await;
    scene.stub.fault("GET config.json", Fault::Instead(vec![0; 700]));
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::Damaged { property: "Git hash", .. }), "{error:?}");
    scene.assert_nothing_found();
}

#[tokio::test]
async fn more_bytes_than_announced_are_not_kept() {
    let scene = Scene::new().await;
    let longer = [scene.weights(), b"more"].concat();
    scene.stub.fault("GET model.safetensors", Fault::Instead(longer));
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::Damaged { property: "size", .. }), "{error:?}");
    scene.assert_nothing_found();
    assert_eq!(fs::metadata(scene.incomplete()).unwrap().len(), 0);
}

#[tokio::test]
async fn fewer_bytes_than_announced_are_asked_for_again() {
    let scene = Scene::new().await;
    let shorter = scene.weights()[..7_000].to_vec();
    scene.stub.fault("GET model.safetensors", Fault::Instead(shorter));
    scene.assert_complete(&scene.pull().await.unwrap());
    assert_eq!(scene.stub.ranges(), [None, Some("bytes=7000-".to_owned())]);
}

#[tokio::test]
async fn a_server_without_ranges_starts_over() {
    let scene = Scene::new().await;
    scene.leave_incomplete(&scene.weights()[..400_000]);
    scene.stub.fault("GET model.safetensors", Fault::IgnoreRange);
    scene.assert_complete(&scene.pull().await.unwrap());
    assert_eq!(scene.stub.ranges(), [Some("bytes=400000-".to_owned())]);
}

#[tokio::test]
async fn the_page_of_a_captive_portal_costs_nothing() {
    let scene = Scene::new().await;
    scene.leave_incomplete(&scene.weights()[..400_000]);
    scene.stub.fault("GET model.safetensors", Fault::Portal(b"<html>log in</html>".to_vec()));
    let error = scene.pull().await.unwrap_err();
    assert!(matches!(error, Error::Answer { .. }), "{error:?}");
    assert_eq!(fs::metadata(scene.incomplete()).unwrap().len(), 400_000);
    scene.assert_complete(&scene.pull().await.unwrap());
}

#[tokio::test]
async fn a_range_that_does_not_exist_starts_over() {
    let scene = Scene::new().await;
    scene.leave_incomplete(&scene.weights()[..400_000]);
    scene.stub.fault("GET model.safetensors", Fault::Status(416));
    scene.assert_complete(&scene.pull().await.unwrap());
    assert_eq!(scene.stub.ranges(), [Some("bytes=400000-".to_owned()), None]);
}

#[tokio::test]
async fn a_part_that_is_whole_already_is_only_verified() {
    let scene = Scene::new().await;
    scene.leave_incomplete(scene.weights());
    scene.assert_complete(&scene.pull().await.unwrap());
    assert_eq!(scene.stub.ranges(), []);
}

#[tokio::test]
async fn a_part_that_is_too_long_is_thrown_away() {
    let scene = Scene::new().await;
    scene.leave_incomplete(&vec![7; 3_000_001]);
    scene.assert_complete(&scene.pull().await.unwrap());
    assert_eq!(scene.stub.ranges(), [None]);
}

#[tokio::test]
async fn a_cancelled_pull_is_continued_by_the_next() {
    let scene = Scene::new().await;
    scene.stub.fault("GET model.safetensors", Fault::HoldAfter(100_000));
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let at_hold = move |report: PullProgress| {
        if report.done == 100_000 + 3 * 700 {
            stop.cancel();
        }
    };
    let error = scene.hub().pull(&scene.repository, at_hold, &cancel).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error:?}");
    scene.assert_nothing_found();
    scene.assert_complete(&scene.pull().await.unwrap());
    assert_eq!(scene.stub.ranges(), [None, Some("bytes=100000-".to_owned())]);
}

#[tokio::test]
async fn a_pull_cancelled_before_it_starts_asks_nothing() {
    let scene = Scene::new().await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let outcome = scene.hub().pull(&scene.repository, |_| {}, &cancel).await;
    assert!(matches!(outcome, Err(Error::Cancelled)));
    assert_eq!(scene.stub.requests().len(), 0);
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let scene = Scene::new().await;
    scene.stub.fault("GET model.safetensors", Fault::HoldAfter(100_000));
    let patience =
        Patience { silence: Duration::from_millis(50), attempts: 1, ..Patience::default() };
    let error = scene.pull_from(&scene.hub().with_patience(patience)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    scene.assert_nothing_found();
}

#[tokio::test]
async fn two_pulls_at_once_fetch_once() {
    let scene = Scene::new().await;
    scene.stub.fault("GET model.safetensors", Fault::HoldAfter(100_000));
    let hub = scene.hub();
    let (cancel, (held, mut is_held)) = (CancellationToken::new(), mpsc::unbounded_channel());
    let tell = |report: PullProgress| held.send(report.done > 100_000).unwrap();
    let first = hub.pull(&scene.repository, tell, &cancel);
    let second = async {
        while is_held.recv().await != Some(true) {}
        let release_when_waiting = |report: PullProgress| {
            if report.step == PullStep::Wait {
                scene.stub.release();
            }
        };
        hub.pull(&scene.repository, release_when_waiting, &cancel).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(scene.stub.ranges(), [None]);
}
