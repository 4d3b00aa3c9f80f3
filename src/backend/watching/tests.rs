use std::collections::BTreeSet;

use super::*;

fn folders(paths: &[&str]) -> Changed {
    Changed::Folders(paths.iter().map(PathBuf::from).collect::<BTreeSet<_>>())
}

/// One that is told of nothing but what the test tells.
fn watched(folder: &Path) -> Watching {
    let watching = Watching::begin(folder, Path::new("/cars.db"));
    assert_eq!(watching.means(), &Means::Notifications);
    watching
}

fn below(root: &Path) -> Below {
    Below { root: root.to_owned(), collection: "/cars.db".into() }
}

fn tell(told: &Told, root: &Path, path: &str) {
    use notify::event::{CreateKind, EventKind};
    let event = notify::Event::new(EventKind::Create(CreateKind::File)).add_path(root.join(path));
    assert!(told.burst(|burst| burst.add(Ok(event), &below(root))));
    told.news.notify_one();
}

#[tokio::test]
async fn files_written_at_once_into_a_new_folder_are_told_of() {
    let home = tempfile::tempdir().unwrap();
    let mut watching = watched(home.path());
    fs::create_dir_all(home.path().join("new/below")).unwrap();
    fs::write(home.path().join("new/below/x.jpg"), "x").unwrap();
    assert_eq!(watching.changed().await, folders(&["new"]));
    fs::write(home.path().join("new/below/y.jpg"), "y").unwrap();
    assert_eq!(watching.changed().await, folders(&["new/below"]));
}

#[tokio::test]
async fn a_move_is_told_of_at_both_ends_and_a_read_nowhere() {
    let home = tempfile::tempdir().unwrap();
    for folder in ["a", "b", "c"] {
        fs::create_dir(home.path().join(folder)).unwrap();
        fs::write(home.path().join(folder).join("x.jpg"), "x").unwrap();
    }
    let mut watching = watched(home.path());
    fs::read(home.path().join("c/x.jpg")).unwrap();
    fs::write(home.path().join("c/y.jpg.part"), "y").unwrap();
    fs::rename(home.path().join("a/x.jpg"), home.path().join("b/y.jpg")).unwrap();
    assert_eq!(watching.changed().await, folders(&["a", "b"]));
}

#[tokio::test]
async fn a_folder_that_goes_and_comes_back_is_watched_again() {
    let home = tempfile::tempdir().unwrap();
    let (cars, away) = (home.path().join("cars"), home.path().join("away"));
    fs::create_dir(&cars).unwrap();
    let mut watching = watched(&cars);
    fs::rename(&cars, &away).unwrap();
    while watching.identity.is_some() {
        assert_eq!(watching.changed().await, Changed::Everything);
    }
    assert!(matches!(watching.means(), Means::Polling { .. }));
    fs::rename(&away, &cars).unwrap();
    assert_eq!(watching.changed().await, Changed::Everything);
    assert_eq!(watching.means(), &Means::Notifications);
    fs::create_dir(cars.join("new")).unwrap();
    assert_eq!(watching.changed().await, folders(&["new"]));
}

#[tokio::test(start_paused = true)]
async fn a_burst_that_never_settles_is_told_of_after_its_patience() {
    let home = tempfile::tempdir().unwrap();
    let mut watching = watched(home.path());
    let (told, root) = (Arc::clone(&watching.told), home.path().to_owned());
    tokio::spawn(async move {
        loop {
            tell(&told, &root, "a/x.jpg");
            tokio::time::sleep(SETTLED / 2).await;
        }
    });
    let begun = Instant::now();
    assert_eq!(watching.changed().await, folders(&["a"]));
    assert!(begun.elapsed() >= PATIENCE && begun.elapsed() < PATIENCE + SETTLED);
}

#[tokio::test(start_paused = true)]
async fn a_wait_given_up_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut watching = watched(home.path());
    tell(&watching.told, home.path(), "a/x.jpg");
    assert!(tokio::time::timeout(SETTLED / 2, watching.changed()).await.is_err());
    let given_up = Instant::now();
    assert_eq!(watching.changed().await, folders(&["a"]));
    assert!(given_up.elapsed() <= SETTLED);
}

#[tokio::test(start_paused = true)]
async fn when_watches_run_out_everything_is_looked_at_now_and_then() {
    let home = tempfile::tempdir().unwrap();
    let mut watching = watched(home.path());
    let error = notify::Error::new(notify::ErrorKind::MaxFilesWatch);
    watching.told.burst(|burst| burst.add(Err(error), &below(home.path())));
    watching.told.news.notify_one();
    assert_eq!(watching.changed().await, Changed::Everything);
    assert!(
        matches!(watching.means(), Means::Polling { reason, .. } if reason.contains("fs.inotify.max_user_watches"))
    );
    let begun = Instant::now();
    assert_eq!(watching.changed().await, Changed::Everything);
    assert!(begun.elapsed() >= POLLING && begun.elapsed() < POLLING + PRESENCE);
}
