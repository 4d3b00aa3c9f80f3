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
    Below { root: root.to_owned(), collection: "/cars.db".into(), links: OnceLock::new() }
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
    while watching.known.folder.is_some() {
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

/// What links do to watching.
#[cfg(unix)]
mod links {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Two folders beside each other, the first of which is watched.
    fn two(home: &Path) -> (PathBuf, PathBuf) {
        let (cars, out) = (home.join("cars"), home.join("out"));
        fs::create_dir(&cars).unwrap();
        fs::create_dir(&out).unwrap();
        (cars, out)
    }

    #[tokio::test]
    async fn what_a_new_link_leads_to_is_watched_as_long_as_the_link_is_there() {
        let home = tempfile::tempdir().unwrap();
        let (cars, out) = two(home.path());
        let mut watching = watched(&cars);
        symlink("../out", cars.join("lk")).unwrap();
        assert_eq!(watching.changed().await, Changed::Everything);
        fs::write(out.join("x.jpg"), "x").unwrap();
        assert_eq!(watching.changed().await, folders(&["lk"]));
        fs::create_dir(out.join("new")).unwrap();
        fs::write(out.join("new/x.jpg"), "x").unwrap();
        assert_eq!(watching.changed().await, folders(&["lk/new"]));
        fs::remove_file(out.join("new/x.jpg")).unwrap();
        assert_eq!(watching.changed().await, folders(&["lk/new"]));
        fs::remove_file(cars.join("lk")).unwrap();
        assert_eq!(watching.changed().await, Changed::Everything);
        fs::write(out.join("y.jpg"), "y").unwrap();
        fs::write(cars.join("y.jpg"), "y").unwrap();
        assert_eq!(watching.changed().await, folders(&[""]));
    }

    #[tokio::test]
    async fn links_in_a_folder_that_appears_are_followed() {
        let home = tempfile::tempdir().unwrap();
        let (cars, out) = two(home.path());
        let aside = home.path().join("aside");
        fs::create_dir_all(aside.join("deep")).unwrap();
        symlink(&out, aside.join("deep/lk")).unwrap();
        let mut watching = watched(&cars);
        fs::rename(&aside, cars.join("aside")).unwrap();
        assert_eq!(watching.changed().await, Changed::Everything);
        fs::write(out.join("x.jpg"), "x").unwrap();
        assert_eq!(watching.changed().await, folders(&["aside/deep/lk"]));
        fs::rename(cars.join("aside"), &aside).unwrap();
        assert_eq!(watching.changed().await, Changed::Everything);
    }

    #[tokio::test]
    async fn links_to_what_is_met_anyway_are_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let (cars, out) = two(home.path());
        fs::create_dir(cars.join("here")).unwrap();
        for (target, link) in [("here", "again"), ("..", "up"), ("../out", "away")] {
            symlink(target, cars.join(link)).unwrap();
        }
        let mut watching = watched(&cars);
        fs::write(cars.join("here/x.jpg"), "x").unwrap();
        assert_eq!(watching.changed().await, folders(&["here"]));
        symlink("here", cars.join("once more")).unwrap();
        symlink(&out, cars.join("twin")).unwrap();
        assert_eq!(watching.changed().await, folders(&[""]));
        fs::write(cars.join("here/y.jpg"), "y").unwrap();
        fs::write(out.join("y.jpg"), "y").unwrap();
        assert_eq!(watching.changed().await, folders(&["away", "here"]));
    }

    #[tokio::test]
    async fn many_ways_to_a_folder_are_one() {
        let home = tempfile::tempdir().unwrap();
        let (cars, out) = two(home.path());
        for level in 0..24 {
            fs::create_dir(out.join(format!("{level}"))).unwrap();
            for way in ["a", "b"] {
                let next = out.join(format!("{}", level + 1));
                symlink(next, out.join(format!("{level}/{way}"))).unwrap();
            }
        }
        fs::create_dir(out.join("24")).unwrap();
        symlink(out.join("0"), cars.join("lk")).unwrap();
        let mut watching = watched(&cars);
        fs::write(out.join("2/x.jpg"), "x").unwrap();
        assert_eq!(watching.changed().await, folders(&["lk/a/a"]));
    }

    #[tokio::test]
    async fn what_a_link_leads_to_may_go_and_come_back() {
        let home = tempfile::tempdir().unwrap();
        let (cars, out) = two(home.path());
        symlink(&out, cars.join("lk")).unwrap();
        let mut watching = watched(&cars);
        fs::rename(&out, home.path().join("away")).unwrap();
        assert_eq!(watching.changed().await, Changed::Everything);
        fs::rename(home.path().join("away"), &out).unwrap();
        assert_eq!(watching.changed().await, Changed::Everything);
        fs::write(out.join("x.jpg"), "x").unwrap();
        assert_eq!(watching.changed().await, folders(&["lk"]));
    }
}

#[tokio::test]
async fn a_folder_made_while_events_were_lost_is_watched_from_then_on() {
    use notify::event::{EventKind, Flag};

    let home = tempfile::tempdir().unwrap();
    let mut watching = watched(home.path());
    let told = Arc::clone(&watching.told);
    // As the system would have it that has not told of a new folder.
    let lost = notify::Event::new(EventKind::Other).set_flag(Flag::Rescan);
    assert!(told.burst(|burst| burst.add(Ok(lost), &below(home.path()))));
    told.news.notify_one();
    let before = Arc::as_ptr(&watching.watched.as_ref().unwrap().below);
    assert_eq!(watching.changed().await, Changed::Everything);
    assert_ne!(Arc::as_ptr(&watching.watched.as_ref().unwrap().below), before);
}
