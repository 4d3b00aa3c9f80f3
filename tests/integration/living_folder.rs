//! A folder that lives on between loads: what is new, changed, renamed, gone
//! and back is told apart, and costs no more than it must.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, SystemTime};

use carlens::backend::{
    Backend, Collection, Event, LoadProgress, Prune, Request, RequestId, Status,
};
use carlens::domain::{CollectionSpec, Embedding, ImageId, Record};
use carlens::store::{Collection as Stored, Page};
use sha2::{Digest as _, Sha256};

use crate::backend::{Scene, TINY, answer, failed, last};
use crate::commands::Machine;
use crate::store_samples::Random;

/// A folder, its collection, and a backend that loads the one into the other.
struct Library {
    scene: Scene,
    backend: Backend,
    asked: u64,
}

impl Library {
    fn with(pictures: u16) -> Self {
        let scene = Scene::with(pictures);
        let backend = scene.backend_on(TINY, Collection::Embedded(scene.collection()));
        Self { scene, backend, asked: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scene.cars().join(name)
    }

    /// Beside the folder.
    fn beside(&self, name: &str) -> PathBuf {
        self.scene.cars().with_file_name(name)
    }

    async fn ask(&mut self, folder: &Path) -> Vec<Event> {
        self.asked += 1;
        let folder = folder.to_owned();
        let load = Request::Load { id: RequestId(self.asked), folder, hidden: 0 };
        answer(&mut self.backend, load).await
    }

    /// Begins to load, and rests at the first pictures.
    async fn begin(&mut self) {
        self.asked += 1;
        let load = RequestId(self.asked);
        let folder = self.scene.cars();
        self.backend.send(Request::Load { id: load, folder, hidden: 0 }).await;
        self.backend.send(Request::Pause { load, paused: true }).await;
        loop {
            match self.backend.next_event().await.unwrap() {
                Event::LoadProgress(_, progress) if progress.paused => break,
                event => assert!(!event.is_final(), "{event:?}"),
            }
        }
    }

    /// Goes on with that load to its end.
    async fn go_on(&mut self) -> Vec<Event> {
        let load = RequestId(self.asked);
        self.backend.send(Request::Pause { load, paused: false }).await;
        let mut events = Vec::new();
        while !events.last().is_some_and(Event::is_final) {
            events.push(self.backend.next_event().await.unwrap());
        }
        events
    }

    async fn load_folder(&mut self, folder: &Path) -> LoadProgress {
        match self.ask(folder).await.pop() {
            Some(Event::LoadFinished(_, progress)) => progress,
            event => panic!("{event:?}"),
        }
    }

    /// The next change of a folder that is watched, once it is stored.
    async fn change(&mut self) -> LoadProgress {
        loop {
            match self.backend.next_event().await.unwrap() {
                Event::FolderUpToDate(_, progress) if progress.changed() > 0 => return progress,
                event => assert!(!event.is_final(), "{event:?}"),
            }
        }
    }

    /// Gives up on a request, and waits for its end.
    async fn cancel(&mut self, id: RequestId) {
        self.backend.send(Request::Cancel(id)).await;
        let ended = loop {
            let event = self.backend.next_event().await.unwrap();
            if event.is_final() {
                break event;
            }
        };
        assert!(matches!(ended, Event::Cancelled(of) if of == id), "{ended:?}");
    }

    async fn load(&mut self) -> LoadProgress {
        self.load_folder(&self.scene.cars()).await
    }

    /// Erases what is gone; returns how many that were.
    async fn prune(&mut self, prune: Prune) -> usize {
        let folder = self.scene.cars();
        match self.prune_folder(&folder, prune).await {
            Event::Pruned(_, erased) => erased,
            event => panic!("{event:?}"),
        }
    }

    async fn prune_folder(&mut self, folder: &Path, prune: Prune) -> Event {
        self.asked += 1;
        let (id, folder) = (RequestId(self.asked), folder.to_owned());
        last(&mut self.backend, Request::Prune { id, folder, prune }).await
    }

    /// A subfolder with the first three pictures, loaded for itself.
    async fn subfolder(&mut self) -> PathBuf {
        let sub = self.path("sub");
        fs::create_dir(&sub).unwrap();
        for n in 0..3 {
            let name = format!("{n:03}.png");
            fs::rename(self.path(&name), sub.join(name)).unwrap();
        }
        self.load_folder(&sub).await;
        sub
    }

    async fn status(&mut self) -> Box<Status> {
        self.asked += 1;
        match last(&mut self.backend, Request::Status { id: RequestId(self.asked) }).await {
            Event::StatusReported(_, status) => status.into(),
            event => panic!("{event:?}"),
        }
    }

    /// What a load of everything loads.
    async fn folders(&mut self) -> Vec<PathBuf> {
        let mut folders = self.status().await.folders_or(PathBuf::new());
        folders.sort();
        folders
    }

    /// Begins with an empty collection.
    async fn forget(&mut self) {
        let collection = Collection::Embedded(self.scene.collection());
        let backend = self.scene.backend_on(TINY, collection);
        std::mem::replace(&mut self.backend, backend).shutdown().await;
        fs::remove_file(self.scene.collection()).unwrap();
    }

    /// Every picture that a search may find.
    async fn shown(&mut self) -> Vec<Record> {
        let status = self.status().await;
        let spec = CollectionSpec { model: status.model, dimension: status.dimension };
        let store = Stored::Embedded(self.scene.collection()).open(&spec).await.unwrap();
        let (mut ids, mut page) = (Vec::new(), Some(Page::default()));
        while let Some(this) = page {
            let listing = store.list(this).await.unwrap();
            let shown = listing.pictures.into_iter().filter(|listed| !listed.known.hidden);
            ids.extend(shown.map(|listed| listed.id));
            page = listing.next;
        }
        // What is searched is what is listed, each once.
        let query = Embedding::normalize(vec![1.0; status.dimension]).unwrap();
        let hits = store.search(query, usize::MAX).await.unwrap();
        let found: BTreeSet<PathBuf> = hits.iter().map(|hit| hit.id.location()).collect();
        let listed: BTreeSet<PathBuf> = ids.iter().map(ImageId::location).collect();
        assert_eq!((found.len(), &found), (hits.len(), &listed));
        store.get(ids).await.unwrap()
    }

    async fn names(&mut self) -> Vec<String> {
        let root = self.scene.cars();
        let relative = |record: Record| {
            let location = record.id.location();
            location.strip_prefix(&root).unwrap().to_str().unwrap().to_owned()
        };
        let mut names: Vec<String> = self.shown().await.into_iter().map(relative).collect();
        names.sort();
        names
    }
}

/// Long ago, so that a file written now has another time.
fn make_old(path: &Path) {
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_hours(300_000);
    File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
}

#[tokio::test]
async fn a_rename_a_move_a_copy_and_a_touch_embed_nothing() {
    let mut library = Library::with(8);
    assert_eq!(library.load().await.embedded, 8);
    fs::rename(library.path("000.png"), library.path("red.png")).unwrap();
    fs::create_dir(library.path("deep")).unwrap();
    fs::rename(library.path("001.png"), library.path("deep/001.png")).unwrap();
    fs::copy(library.path("002.png"), library.path("copy.png")).unwrap();
    make_old(&library.path("003.png"));
    let progress = library.load().await;
    assert_eq!(
        (progress.embedded, progress.recognised, progress.unchanged, progress.removed),
        (0, 3, 6, 2)
    );
    let expected = [
        "002.png",
        "003.png",
        "004.png",
        "005.png",
        "006.png",
        "007.png",
        "copy.png",
        "deep/001.png",
        "red.png",
    ];
    assert_eq!(library.names().await, expected);
    let progress = library.load().await;
    assert_eq!((progress.unchanged, progress.done()), (9, 9));
}

#[tokio::test]
async fn what_vanishes_is_hidden_and_comes_back_by_itself() {
    let mut library = Library::with(12);
    library.load().await;
    let aside = tempfile::tempdir().unwrap();
    let kept = aside.path().join("000.png");
    fs::copy(library.path("000.png"), &kept).unwrap();
    let modified = fs::metadata(library.path("000.png")).unwrap().modified().unwrap();
    fs::remove_file(library.path("000.png")).unwrap();
    fs::remove_file(library.path("001.png")).unwrap();
    let progress = library.load().await;
    assert_eq!((progress.hidden, progress.missing, progress.unchanged), (2, 0, 10));
    assert_eq!(library.names().await.len(), 10);
    assert_eq!(library.load().await.hidden, 0, "they are hidden already");
    fs::copy(&kept, library.path("000.png")).unwrap();
    let back = File::options().write(true).open(library.path("000.png")).unwrap();
    back.set_modified(modified).unwrap();
    let progress = library.load().await;
    assert_eq!((progress.returned, progress.embedded), (1, 0));
    assert_eq!(library.names().await.len(), 11);
    assert_eq!(library.names().await[0], "000.png");
}

#[tokio::test]
async fn what_comes_back_with_another_time_is_back_all_the_same() {
    let mut library = Library::with(10);
    library.load().await;
    let (path, aside) = (library.path("003.png"), library.beside("aside.png"));
    fs::rename(&path, &aside).unwrap();
    assert_eq!(library.load().await.hidden, 1);
    fs::copy(&aside, &path).unwrap();
    make_old(&path);
    let progress = library.load().await;
    assert_eq!((progress.returned, progress.unchanged, progress.embedded), (1, 9, 0));
    assert_eq!(library.names().await.len(), 10);
}

#[tokio::test]
async fn what_changes_in_a_watched_folder_is_loaded_as_it_happens() {
    let mut library = Library::with(12);
    let (id, folders) = (RequestId(100), vec![library.scene.cars()]);
    library.backend.send(Request::Watch { id, folders }).await;
    assert_eq!(library.change().await.embedded, 12);

    fs::rename(library.path("000.png"), library.path("moved.png")).unwrap();
    let renamed = library.change().await;
    assert_eq!((renamed.embedded, renamed.recognised, renamed.removed), (0, 1, 1));

    fs::create_dir_all(library.path("new/below")).unwrap();
    write(&library.path("new/below/a.png"), 77);
    assert_eq!(library.change().await.embedded, 1);

    fs::remove_file(library.path("001.png")).unwrap();
    assert_eq!(library.change().await.hidden, 1);

    write(&library.path("../b.png"), 78);
    fs::copy(library.path("../b.png"), library.path("b.png.part")).unwrap();
    fs::rename(library.path("b.png.part"), library.path("b.png")).unwrap();
    assert_eq!(library.change().await.embedded, 1);

    library.cancel(id).await;
    let names = library.names().await;
    assert_eq!(names.len(), 13);
    for name in ["moved.png", "new/below/a.png", "b.png"] {
        assert!(names.iter().any(|known| known == name), "{name} is not in {names:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_a_link_leads_to_is_followed_from_when_the_link_appears() {
    use std::os::unix::fs::symlink;

    let mut library = Library::with(12);
    let outside = library.path("../outside");
    fs::create_dir(&outside).unwrap();
    write(&outside.join("a.png"), 90);
    let (id, folders) = (RequestId(100), vec![library.scene.cars()]);
    library.backend.send(Request::Watch { id, folders }).await;
    assert_eq!(library.change().await.embedded, 12);
    symlink("../outside", library.path("lk")).unwrap();
    assert_eq!(library.change().await.embedded, 1);
    write(&outside.join("b.png"), 91);
    assert_eq!(library.change().await.embedded, 1);
    fs::remove_file(outside.join("a.png")).unwrap();
    assert_eq!(library.change().await.hidden, 1);
    fs::remove_file(library.path("lk")).unwrap();
    assert_eq!(library.change().await.hidden, 1);
    library.cancel(id).await;
    assert_eq!(library.names().await.len(), 12);
}

#[tokio::test]
async fn watching_a_folder_holds_no_other_load_up() {
    let mut library = Library::with(3);
    let (id, folders) = (RequestId(100), vec![library.scene.cars()]);
    library.backend.send(Request::Watch { id, folders }).await;
    assert_eq!(library.change().await.embedded, 3);
    let mut other =
        library.scene.backend_on(TINY, Collection::Embedded(library.scene.collection()));
    let load = Request::Load { id: RequestId(1), folder: library.scene.cars(), hidden: 0 };
    let loaded = last(&mut other, load).await;
    assert!(matches!(loaded, Event::LoadFinished(_, at) if at.unchanged == 3));
}

#[tokio::test]
async fn a_picture_written_over_with_something_else_is_hidden_until_it_is_one_again() {
    let mut library = Library::with(5);
    library.load().await;
    let (path, kept) = (library.path("001.png"), library.scene.cars().join("../kept.png"));
    fs::rename(&path, &kept).unwrap();
    fs::write(&path, "not a picture").unwrap();
    let progress = library.load().await;
    assert_eq!((progress.failed, progress.hidden, progress.missing), (1, 1, 0), "{progress:?}");
    assert_eq!(library.names().await, ["000.png", "002.png", "003.png", "004.png"]);
    let progress = library.load().await;
    assert_eq!((progress.failed, progress.failed_before, progress.hidden), (0, 1, 0));
    assert_eq!(library.prune(Prune::All).await, 0, "its file is there");
    fs::rename(&kept, &path).unwrap();
    let progress = library.load().await;
    assert_eq!((progress.embedded, progress.returned), (0, 1), "{progress:?}");
    assert_eq!(library.names().await.len(), 5);
}

#[tokio::test]
async fn a_disk_that_gives_empty_files_hides_nothing() {
    let mut library = Library::with(10);
    library.load().await;
    for n in 0..3 {
        fs::write(library.path(&format!("{n:03}.png")), "").unwrap();
    }
    let progress = library.load().await;
    assert_eq!((progress.failed, progress.hidden, progress.missing), (3, 0, 3), "{progress:?}");
    assert_eq!(library.names().await.len(), 10);
}

#[tokio::test]
async fn what_is_hidden_and_there_is_not_erased() {
    let mut library = Library::with(10);
    library.load().await;
    let (path, aside) = (library.path("001.png"), library.path("../aside.png"));
    fs::rename(&path, &aside).unwrap();
    assert_eq!(library.load().await.hidden, 1);
    fs::rename(&aside, &path).unwrap();
    assert_eq!(library.prune(Prune::All).await, 0);
    assert_eq!(library.load().await.returned, 1);
}

#[tokio::test]
async fn a_hidden_folder_that_was_loaded_for_itself_is_left_alone_by_those_above() {
    let mut library = Library::with(10);
    let inner = library.path(".more");
    fs::create_dir(&inner).unwrap();
    for n in 0..2 {
        let name = format!("{n:03}.png");
        fs::rename(library.path(&name), inner.join(name)).unwrap();
    }
    // In whatever order, the inner one is a folder of the collection.
    for folders in [[&inner, &library.scene.cars()], [&library.scene.cars(), &inner]] {
        for folder in folders {
            library.load_folder(folder).await;
        }
        let progress = library.load().await;
        assert_eq!((progress.found, progress.hidden, progress.missing), (8, 0, 0), "{progress:?}");
        assert_eq!(library.names().await.len(), 10);
        assert_eq!(library.folders().await, [library.scene.cars(), inner.clone()]);
        // By whichever name a link leads there.
        #[cfg(unix)]
        {
            let link = library.path("link");
            std::os::unix::fs::symlink(".more", &link).unwrap();
            assert_eq!(library.load().await.found, 8);
            fs::remove_file(link).unwrap();
        }
        library.forget().await;
    }
}

#[tokio::test]
async fn no_more_is_erased_than_was_asked_about() {
    let mut library = Library::with(10);
    library.load().await;
    fs::remove_file(library.path("001.png")).unwrap();
    fs::remove_file(library.path("002.png")).unwrap();
    let refused = library.prune_folder(&library.scene.cars(), Prune::Asked(1)).await;
    assert!(failed(&refused).to_string().contains("2 of 10 are gone now, not 1"), "{refused:?}");
    assert_eq!(library.names().await.len(), 10);
    assert_eq!(library.prune(Prune::Asked(2)).await, 2);
}

#[tokio::test]
async fn a_folder_whose_pictures_were_all_moved_out_is_loaded_on() {
    let mut library = Library::with(10);
    let inbox = library.path("../inbox");
    fs::create_dir(&inbox).unwrap();
    let inbox = inbox.canonicalize().unwrap();
    fs::write(inbox.join("notes.txt"), "notes").unwrap();
    write(&inbox.join("new.png"), 90);
    library.load_folder(&inbox).await;
    fs::rename(inbox.join("new.png"), library.path("new.png")).unwrap();
    library.load().await;
    assert_eq!(library.load_folder(&inbox).await.hidden, 1);
    assert_eq!(library.folders().await, [library.scene.cars(), inbox]);
    assert_eq!(library.shown().await.len(), 11);
}

#[tokio::test]
async fn a_disk_that_held_several_folders_counts_as_one() {
    let mut library = Library::with(10);
    library.load().await;
    for name in ["001.png", "002.png"] {
        fs::remove_file(library.path(name)).unwrap();
    }
    // Another load of the same run has hidden one more, of eleven.
    library.asked += 1;
    let (id, folder) = (RequestId(library.asked), library.scene.cars());
    let event = last(&mut library.backend, Request::Load { id, folder, hidden: 1 }).await;
    let Event::LoadFinished(_, progress) = event else { panic!("{event:?}") };
    assert_eq!((progress.hidden, progress.missing), (0, 2), "{progress:?}");
    assert_eq!(library.load().await.hidden, 2, "a fifth and no more");
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_moved_and_left_a_link_is_followed() {
    use std::os::unix::fs::symlink;

    let mut library = Library::with(6);
    fs::create_dir(library.path("sub")).unwrap();
    symlink("../000.png", library.path("sub/twin.png")).unwrap();
    library.load().await;
    let (folder, moved) = (library.scene.cars(), library.path("../elsewhere"));
    fs::rename(&folder, &moved).unwrap();
    symlink("elsewhere", &folder).unwrap();
    let moved = folder.canonicalize().unwrap();
    for named in [&folder, &moved, &folder.join("sub")] {
        let progress = library.load_folder(named).await;
        assert_eq!((progress.embedded, progress.recognised), (0, 0), "{progress:?}");
        assert_eq!(library.folders().await, std::slice::from_ref(&moved));
        assert_eq!(library.shown().await.len(), 6);
    }
    fs::remove_file(moved.join("001.png")).unwrap();
    assert_eq!(library.load().await.missing, 0);
    assert_eq!(library.shown().await.len(), 5);
    assert_eq!(library.prune(Prune::Few).await, 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_in_the_place_of_a_folder_above_that_leads_into_another_is_followed() {
    use std::os::unix::fs::symlink;

    let mut library = Library::with(6);
    let [one, other] = ["above/one", "other"].map(|name| library.beside(name));
    for (folder, numbers) in [(&one, 10..14), (&other, 20..24)] {
        fs::create_dir_all(folder).unwrap();
        numbers.for_each(|n| write(&folder.join(format!("{n}.png")), n));
        library.load_folder(folder).await;
    }
    fs::rename(library.beside("above"), other.join("in")).unwrap();
    symlink("other/in", library.beside("above")).unwrap();
    let progress = library.load_folder(&other).await;
    assert_eq!((progress.embedded, progress.unchanged), (0, 8), "{progress:?}");
    assert_eq!(library.folders().await, std::slice::from_ref(&other));
    assert_eq!(library.shown().await.len(), 8);
    fs::remove_file(other.join("20.png")).unwrap();
    assert_eq!(library.load_folder(&one).await.found, 4);
    assert_eq!(library.load_folder(&other).await.hidden, 1);
    assert_eq!(library.shown().await.len(), 7);
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_was_copied_and_left_a_link_is_there_once() {
    use std::os::unix::fs::symlink;

    let mut library = Library::with(6);
    library.load().await;
    let (folder, copied) = (library.scene.cars(), library.path("../elsewhere"));
    fs::create_dir(&copied).unwrap();
    for n in 0..6 {
        let name = format!("{n:03}.png");
        fs::copy(folder.join(&name), copied.join(&name)).unwrap();
        make_old(&copied.join(name));
    }
    fs::remove_dir_all(&folder).unwrap();
    symlink("elsewhere", &folder).unwrap();
    let copied = folder.canonicalize().unwrap();
    let progress = library.load().await;
    assert_eq!((progress.embedded, progress.found), (0, 6), "{progress:?}");
    assert_eq!(library.folders().await, std::slice::from_ref(&copied));
    assert_eq!(library.shown().await.len(), 6);
    write(&copied.join("001.png"), 99);
    fs::remove_file(copied.join("002.png")).unwrap();
    let progress = library.load().await;
    assert_eq!((progress.embedded, progress.hidden), (1, 1), "{progress:?}");
    assert_eq!(library.shown().await.len(), 5);
}

#[cfg(unix)]
#[tokio::test]
async fn pictures_in_whose_folder_s_place_is_a_link_to_others_are_gone() {
    use std::os::unix::fs::symlink;

    let mut library = Library::with(12);
    let [one, other] = ["one", "other"].map(|name| library.beside(name));
    fs::create_dir(&one).unwrap();
    (20..22).for_each(|n| write(&one.join(format!("{n}.png")), n));
    library.load_folder(&one).await;
    library.load().await;
    fs::rename(&one, library.beside("kept")).unwrap();
    fs::create_dir(&other).unwrap();
    write(&other.join("30.png"), 30);
    symlink("other", &one).unwrap();
    assert_eq!(library.load().await.hidden, 0, "what the link leads to was not looked at");
    let progress = library.load_folder(&one).await;
    assert_eq!((progress.embedded, progress.hidden), (1, 2), "{progress:?}");
    assert_eq!(library.shown().await.len(), 13);
    let Event::Pruned(_, erased) = library.prune_folder(&other, Prune::All).await else { panic!() };
    assert_eq!(erased, 2);
    assert_eq!(library.shown().await.len(), 13);
}

#[tokio::test]
async fn a_folder_that_was_renamed_and_loaded_again_gives_way() {
    let mut library = Library::with(20);
    let [old, new] = ["old", "new"].map(|name| library.beside(name));
    fs::create_dir(&old).unwrap();
    (50..60).for_each(|n| write(&old.join(format!("{n}.png")), n));
    library.load().await;
    library.load_folder(&old).await;
    for there in [&new, &library.path("in")] {
        fs::rename(&old, there).unwrap();
        let of = if *there == new { new.clone() } else { library.scene.cars() };
        let progress = library.load_folder(&of).await;
        assert_eq!((progress.embedded, progress.recognised), (0, 10), "{progress:?}");
        assert_eq!(library.shown().await.len(), 30);
        assert!(!library.folders().await.contains(&old), "nothing of it is missed");
        // As a disk that was missing.
        fs::rename(there, &old).unwrap();
        let progress = library.load_folder(&old).await;
        assert_eq!((progress.embedded, progress.returned), (0, 10), "{progress:?}");
        library.load().await;
        let shown = library.shown().await;
        assert_eq!(shown.len(), 30);
        assert!(shown.iter().all(|record| record.id.location().exists()));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_to_other_pictures_moves_nothing() {
    use std::os::unix::fs::symlink;

    let mut library = Library::with(3);
    let [one, other, kept] = ["one", "other", "kept"].map(|name| library.beside(name));
    for (folder, numbers) in [(&one, 10..14), (&other, 20..24)] {
        fs::create_dir(folder).unwrap();
        for (name, n) in numbers.enumerate() {
            write(&folder.join(format!("{name}.png")), n);
        }
        library.load_folder(folder).await;
    }
    fs::rename(&one, &kept).unwrap();
    symlink("other", &one).unwrap();
    library.load_folder(&other).await;
    fs::remove_file(&one).unwrap();
    fs::rename(&kept, &one).unwrap();
    assert_eq!(library.load_folder(&one).await.unchanged, 4, "they wait for their folder");
    assert_eq!(library.shown().await.len(), 8);
}

#[tokio::test]
async fn a_folder_all_of_whose_pictures_are_known_by_others_is_loaded_on() {
    let mut library = Library::with(3);
    library.subfolder().await;
    assert_eq!(library.load().await.unchanged, 3);
    assert_eq!(library.folders().await, [library.scene.cars()]);
    // Also one with nothing but a file that is no picture yet.
    let late = library.path("../late");
    fs::create_dir(&late).unwrap();
    let late = late.canonicalize().unwrap();
    fs::write(late.join("a.png"), "no picture yet").unwrap();
    assert_eq!(library.load_folder(&late).await.failed, 1);
    assert_eq!(library.folders().await, [library.scene.cars(), late.clone()]);
    // And one whose pictures are erased, as long as it is there itself.
    write(&late.join("a.png"), 70);
    fs::write(late.join("bad.png"), "no picture").unwrap();
    library.load_folder(&late).await;
    fs::remove_file(late.join("a.png")).unwrap();
    library.prune_folder(&late, Prune::All).await;
    assert_eq!(library.folders().await, [library.scene.cars(), late.clone()]);
    fs::remove_dir_all(&late).unwrap();
    library.prune_folder(&late, Prune::All).await;
    assert_eq!(library.folders().await, [library.scene.cars()]);
    library.asked += 1;
    let id = RequestId(library.asked);
    let failed = last(&mut library.backend, Request::Failed { id }).await;
    assert!(matches!(&failed, Event::FailedListed(_, all) if all.is_empty()), "{failed:?}");
}

#[tokio::test]
async fn a_subfolder_that_was_loaded_for_itself_may_be_renamed() {
    let mut library = Library::with(30);
    let sub = library.subfolder().await;
    library.load().await;
    fs::rename(&sub, library.path("renamed")).unwrap();
    let progress = library.load().await;
    assert_eq!((progress.recognised, progress.removed, progress.missing), (3, 3, 0));
    assert_eq!(library.names().await.len(), 30);
    assert_eq!(library.folders().await, [library.scene.cars()]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_is_stored_once_whatever_links_lead_to_it() {
    use std::os::unix::fs::symlink;

    let mut library = Library::with(4);
    let outside = library.path("../outside");
    fs::create_dir_all(&outside).unwrap();
    fs::create_dir_all(library.path("sub")).unwrap();
    write(&outside.join("a.png"), 60);
    write(&outside.join("b.png"), 61);
    symlink(outside.join("a.png"), library.path("first.png")).unwrap();
    symlink(outside.join("a.png"), library.path("second.png")).unwrap();
    symlink(&outside, library.path("link")).unwrap();
    symlink(&outside, library.path("sub/link")).unwrap();
    library.load().await;
    let names = ["000.png", "001.png", "002.png", "003.png", "first.png", "link/b.png"];
    assert_eq!(library.names().await, names);
    // A part of the folder knows nothing of the other links.
    library.load_folder(&library.path("sub")).await;
    assert_eq!(library.names().await, names);
    // As a folder of the collection, it has its pictures by their own names.
    library.load_folder(&outside).await;
    library.load().await;
    assert_eq!(library.shown().await.len(), 6);
    let folders = library.folders().await;
    assert_eq!(folders, [library.scene.cars(), outside.canonicalize().unwrap()]);
}

#[tokio::test]
async fn a_collection_that_is_removed_under_a_carlens_is_made_anew() {
    let mut library = Library::with(5);
    library.load().await;
    for name in ["cars.db", "cars.db-wal", "cars.db-shm"] {
        let _ = fs::remove_file(library.scene.collection().with_file_name(name));
    }
    assert!(!library.scene.collection().exists());
    assert_eq!(library.load().await.embedded, 5);
    assert!(library.scene.collection().exists());
    assert_eq!(library.names().await.len(), 5);
}

#[cfg(unix)]
#[tokio::test]
async fn a_load_of_a_subfolder_passes_links_over_as_that_of_the_whole_does() {
    use std::os::unix::fs::symlink;

    let mut library = Library::with(6);
    fs::create_dir(library.path("sub")).unwrap();
    symlink("../000.png", library.path("sub/twin.png")).unwrap();
    write(&library.path("sub/own.png"), 50);
    fs::write(library.path("sub/kept.jpg~"), fs::read(library.path("sub/own.png")).unwrap())
        .unwrap();
    symlink("kept.jpg~", library.path("sub/kept.jpg")).unwrap();
    library.load().await;
    let names = library.names().await;
    assert_eq!(names[6..], ["sub/kept.jpg", "sub/own.png"]);
    assert_eq!(library.load_folder(&library.path("sub")).await.found, 2);
    assert_eq!(library.names().await, names);
}

#[cfg(unix)]
#[tokio::test]
async fn a_picture_in_whose_place_something_else_is_that_a_load_passes_over_is_hidden() {
    let mut library = Library::with(20);
    fs::copy(library.path("003.png"), library.path("named like nothing")).unwrap();
    library.load().await;
    for name in ["001.png", "002.png", "named like nothing"] {
        fs::remove_file(library.path(name)).unwrap();
    }
    std::os::unix::fs::symlink("004.png", library.path("001.png")).unwrap();
    fs::create_dir(library.path("002.png")).unwrap();
    fs::write(library.path("named like nothing"), "a text").unwrap();
    let progress = library.load().await;
    assert_eq!((progress.hidden, progress.removed), (2, 1), "{progress:?}");
    let expected: Vec<String> =
        (0..20).filter(|n| ![1, 2].contains(n)).map(|n| format!("{n:03}.png")).collect();
    assert_eq!(library.names().await, expected);
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_moves_to_where_it_was_linked_from_is_there_once() {
    let mut library = Library::with(3);
    let outside = library.scene.cars().join("../outside");
    fs::create_dir(&outside).unwrap();
    for n in 10..13 {
        write(&outside.join(format!("{n}.png")), n);
    }
    std::os::unix::fs::symlink(&outside, library.path("link")).unwrap();
    library.load().await;
    assert_eq!(library.names().await.len(), 6);
    fs::rename(&outside, library.path("inside")).unwrap();
    fs::remove_file(library.path("link")).unwrap();
    std::os::unix::fs::symlink("inside", library.path("link")).unwrap();
    let progress = library.load().await;
    assert_eq!((progress.embedded, progress.removed), (0, 3), "{progress:?}");
    let names =
        ["000.png", "001.png", "002.png", "inside/10.png", "inside/11.png", "inside/12.png"];
    assert_eq!(library.names().await, names);
}

#[tokio::test]
async fn a_name_whose_file_has_changed_since_is_no_proof_of_a_rename() {
    let mut library = Library::with(20);
    let (one, other) = (library.path("001.png"), library.scene.cars().join("../other"));
    fs::create_dir(&other).unwrap();
    fs::copy(&one, other.join("copy.png")).unwrap();
    library.load().await;
    library.load_folder(&other).await;
    write(&other.join("copy.png"), 77);
    let kept = other.join("../kept.png");
    fs::rename(&one, &kept).unwrap();
    let progress = library.load().await;
    assert_eq!((progress.hidden, progress.removed), (1, 0), "{progress:?}");
    library.load_folder(&other).await;
    fs::rename(&kept, &one).unwrap();
    let progress = library.load().await;
    assert_eq!((progress.returned, progress.embedded), (1, 0), "{progress:?}");
}

#[tokio::test]
async fn a_disk_that_is_not_mounted_hides_nothing() {
    let mut library = Library::with(10);
    library.load().await;
    let aside = library.path("../aside");
    fs::create_dir(&aside).unwrap();
    for n in 0..10 {
        let name = format!("{n:03}.png");
        fs::rename(library.path(&name), aside.join(&name)).unwrap();
    }
    let progress = library.load().await;
    assert_eq!((progress.hidden, progress.missing, progress.found), (0, 10, 0));
    assert_eq!(library.names().await.len(), 10);
    fs::rename(aside.join("000.png"), library.path("000.png")).unwrap();
    let progress = library.load().await;
    assert_eq!((progress.hidden, progress.missing), (0, 9), "more than a fifth");
}

#[tokio::test]
async fn a_fifth_is_one_of_all_folders_however_often_they_are_loaded() {
    let mut library = Library::with(40);
    let folders = ["a", "b", "c", "d"].map(|name| library.path(name));
    let name = |folder: usize, n: usize| format!("{:03}.png", 10 * folder + n);
    for (folder, path) in folders.iter().enumerate() {
        fs::create_dir(path).unwrap();
        for n in 0..10 {
            let name = name(folder, n);
            fs::rename(library.path(&name), path.join(&name)).unwrap();
        }
        assert_eq!(library.load_folder(path).await.embedded, 10);
    }
    for (folder, path) in folders.iter().enumerate() {
        (0..4).for_each(|n| fs::remove_file(path.join(name(folder, n))).unwrap());
    }
    for path in folders.iter().chain(&folders) {
        let progress = library.load_folder(path).await;
        assert_eq!((progress.hidden, progress.missing), (0, 4), "{}", path.display());
    }
    // What is still missing of a disk that is not there is another matter.
    fs::rename(&folders[0], library.beside("a")).unwrap();
    for (folder, path) in folders.iter().enumerate().skip(1) {
        fs::copy(path.join(name(folder, 9)), path.join("other.png")).unwrap();
        (0..4).for_each(|n| {
            fs::copy(path.join("other.png"), path.join(name(folder, n))).unwrap();
        });
        fs::remove_file(path.join("other.png")).unwrap();
        library.load_folder(path).await;
    }
    fs::remove_file(folders[1].join(name(1, 5))).unwrap();
    assert_eq!(library.load_folder(&folders[1]).await.hidden, 1);
}

#[tokio::test]
async fn a_disk_that_goes_away_during_a_load_is_missed() {
    let mut library = Library::with(400);
    let cars = library.scene.cars();
    library.begin().await;
    let away = library.beside("away");
    fs::rename(&cars, &away).unwrap();
    let ended = library.go_on().await.pop().unwrap();
    assert!(failed(&ended).causes[0].contains("of 400 files went away"), "{ended:?}");
    fs::rename(&away, &cars).unwrap();
    let progress = library.load().await;
    assert!(progress.unchanged + progress.embedded == 400, "{progress:?}");
    assert_eq!(library.names().await.len(), 400);
}

#[tokio::test]
async fn a_few_files_that_go_away_during_a_load_are_told_of() {
    let mut library = Library::with(400);
    library.begin().await;
    fs::remove_file(library.path("398.png")).unwrap();
    fs::remove_file(library.path("399.png")).unwrap();
    let events = library.go_on().await;
    let Some(Event::LoadFinished(_, progress)) = events.last() else { panic!("{events:?}") };
    assert_eq!((progress.found, progress.embedded), (398, 398));
    let is_told = |event: &Event| matches!(event, Event::Remarked(_, remark) if remark.text.starts_with("2 files of "));
    assert!(events.iter().any(is_told), "{events:?}");
}

#[tokio::test]
async fn a_folder_of_which_nothing_can_be_embedded_yet_is_loaded_on() {
    let mut library = Library::with(0);
    fs::write(library.path("broken.jpg"), "nothing").unwrap();
    assert_eq!(library.load().await.failed, 1);
    assert_eq!(library.folders().await, [library.scene.cars()]);
}

#[tokio::test]
async fn a_load_into_a_collection_that_is_removed_does_not_succeed() {
    let mut library = Library::with(200);
    library.begin().await;
    fs::remove_file(library.scene.collection()).unwrap();
    let ended = library.go_on().await.pop().unwrap();
    assert!(failed(&ended).causes[0].contains("was removed meanwhile"), "{ended:?}");
    assert_eq!(library.load().await.embedded, 200);
}

#[tokio::test]
async fn what_failed_is_remembered_while_its_disk_is_missing() {
    let mut library = Library::with(3);
    let broken = library.path("broken.jpg");
    fs::write(&broken, b"\xff\xd8\xff nothing").unwrap();
    make_old(&broken);
    assert_eq!(library.load().await.failed, 1);
    let (cars, away) = (library.scene.cars(), library.beside("away"));
    fs::rename(&cars, &away).unwrap();
    fs::create_dir(&cars).unwrap();
    assert_eq!(library.load().await.missing, 3);
    fs::remove_dir(&cars).unwrap();
    fs::rename(&away, &cars).unwrap();
    let progress = library.load().await;
    assert_eq!((progress.failed, progress.failed_before), (0, 1));
}

#[tokio::test]
async fn a_picture_is_stored_once_whichever_folder_above_it_is_loaded() {
    let mut library = Library::with(6);
    fs::create_dir_all(library.path("a/b")).unwrap();
    fs::rename(library.path("000.png"), library.path("a/b/000.png")).unwrap();
    fs::rename(library.path("001.png"), library.path("a/001.png")).unwrap();
    assert_eq!(library.load_folder(&library.path("a/b")).await.embedded, 1);
    let progress = library.load().await;
    assert_eq!((progress.embedded, progress.unchanged), (5, 1));
    assert_eq!(library.load_folder(&library.path("a")).await.unchanged, 2);
    assert_eq!(library.names().await.len(), 6);
}

#[tokio::test]
async fn a_file_that_failed_is_not_tried_again_before_it_changes() {
    let mut library = Library::with(3);
    let broken = library.path("broken.jpg");
    fs::write(&broken, b"\xff\xd8\xff nothing").unwrap();
    make_old(&broken);
    let problems = |events: &[Event]| -> Vec<PathBuf> {
        let problem = |event: &Event| match event {
            Event::PictureFailed(_, problem) => Some(problem.path.clone()),
            _ => None,
        };
        events.iter().filter_map(problem).collect()
    };
    let folder = library.scene.cars();
    let events = library.ask(&folder).await;
    assert_eq!(problems(&events), [PathBuf::from("broken.jpg")]);
    let events = library.ask(&folder).await;
    assert!(problems(&events).is_empty(), "{events:?}");
    let Some(Event::LoadFinished(_, progress)) = events.last() else { panic!("{events:?}") };
    assert_eq!((progress.failed, progress.failed_before, progress.done()), (0, 1, 4));
    let listed = last(&mut library.backend, Request::Failed { id: RequestId(90) }).await;
    let Event::FailedListed(_, listed) = listed else { panic!("{listed:?}") };
    assert_eq!(listed.iter().map(|problem| &problem.path).collect::<Vec<_>>(), [&broken]);
    // Changed, but no better; then well.
    fs::write(&broken, b"\xff\xd8\xff nothing again").unwrap();
    assert_eq!(problems(&library.ask(&folder).await), [PathBuf::from("broken.jpg")]);
    fs::copy(library.path("000.png"), &broken).unwrap();
    assert_eq!(library.load().await.failed_before, 0);
    let listed = last(&mut library.backend, Request::Failed { id: RequestId(91) }).await;
    assert!(matches!(&listed, Event::FailedListed(_, failed) if failed.is_empty()), "{listed:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_may_not_be_read_hides_nothing_below_it() {
    use std::os::unix::fs::symlink;

    let mut library = Library::with(12);
    fs::create_dir(library.path("aside")).unwrap();
    fs::rename(library.path("000.png"), library.path("aside/000.png")).unwrap();
    library.load().await;
    // A loop of links in the place of the folder is met as an error, for root
    // as well.
    fs::rename(library.path("aside"), library.path("../aside")).unwrap();
    symlink("aside", library.path("aside")).unwrap();
    let events = library.ask(&library.scene.cars()).await;
    let Some(Event::LoadFinished(_, progress)) = events.last() else { panic!("{events:?}") };
    assert_eq!(progress.hidden, 0);
    assert_eq!(library.names().await.len(), 12);
}

#[cfg(unix)]
#[tokio::test]
async fn links_to_what_is_met_anyway_are_passed_over() {
    use std::os::unix::fs::symlink;

    let mut library = Library::with(4);
    let outside = library.path("../outside");
    fs::create_dir_all(outside.join("deep")).unwrap();
    fs::rename(library.path("000.png"), outside.join("deep/000.png")).unwrap();
    fs::create_dir(library.path(".annex")).unwrap();
    fs::rename(library.path("001.png"), library.path(".annex/001")).unwrap();
    symlink(".annex/001", library.path("001.png")).unwrap();
    symlink("002.png", library.path("twin.png")).unwrap();
    // Two ways into each folder, on many levels.
    for level in 0..24 {
        fs::create_dir(outside.join(format!("{level}"))).unwrap();
        for way in ["a", "b"] {
            let next = outside.join(format!("{}", level + 1));
            symlink(next, outside.join(format!("{level}/{way}"))).unwrap();
        }
    }
    fs::create_dir(outside.join("24")).unwrap();
    symlink(&outside, library.path("away")).unwrap();
    symlink("..", library.path("up")).unwrap();
    library.load().await;
    let names = ["001.png", "002.png", "003.png", "away/deep/000.png"];
    assert_eq!(library.names().await, names);
}

#[tokio::test]
async fn a_folder_that_is_not_there_says_so() {
    let mut library = Library::with(1);
    let events = library.ask(Path::new("/no/such/folder")).await;
    assert!(failed(events.last().unwrap()).to_string().contains("no such folder"));
}

/// What is in the folder, by name: the number of a content, or none for a file
/// that is no picture.
type Files = BTreeMap<String, Option<u64>>;

/// A picture whose content is that of `number` and no other.
fn write(path: &Path, number: u64) {
    let level = |shift: u64| u8::try_from((number * 7919) >> shift & 0xff).unwrap();
    let colour = image::Rgb([level(0), level(4), level(8)]);
    let picture = image::RgbImage::from_fn(16, 16, |x, y| {
        if u64::from(x * 16 + y) < number % 256 { colour } else { image::Rgb([9, 9, 9]) }
    });
    picture.save(path).unwrap();
}

/// A folder that a load of the one above passes over, and that is loaded for
/// itself.
const HIDDEN: &str = ".more";

/// One random thing that people do to their folders.
fn disturb(root: &Path, files: &mut Files, next: &mut u64, random: &mut Random) {
    let names: Vec<String> = files.keys().cloned().collect();
    let any = |random: &mut Random| {
        let at = usize::try_from(random.below(names.len().max(1) as u64)).unwrap();
        names.get(at).cloned()
    };
    *next += 1;
    let folders = ["a", "b", "b/c", HIDDEN];
    let folder = folders[usize::try_from(random.below(4)).unwrap()];
    let new = format!("{folder}/{next}.png");
    match (random.below(10), any(random)) {
        (0 | 1, _) | (_, None) => {
            write(&root.join(&new), *next);
            files.insert(new, Some(*next));
        }
        (2, Some(name)) => {
            write(&root.join(&name), *next);
            files.insert(name, Some(*next));
        }
        (3, Some(name)) => {
            fs::rename(root.join(&name), root.join(&new)).unwrap();
            let content = files.remove(&name).unwrap();
            files.insert(new, content);
        }
        (4, Some(name)) => {
            fs::copy(root.join(&name), root.join(&new)).unwrap();
            let content = files[&name];
            files.insert(new, content);
        }
        (5, Some(name)) => {
            fs::remove_file(root.join(&name)).unwrap();
            files.remove(&name);
        }
        (6, Some(name)) => make_old(&root.join(name)),
        (7, Some(name)) => {
            fs::write(root.join(&name), format!("no picture any more {next}")).unwrap();
            files.insert(name, None);
        }
        // It is there by its own name.
        #[cfg(unix)]
        (8, Some(name)) => std::os::unix::fs::symlink(root.join(name), root.join(new)).unwrap(),
        (_, _) => {
            fs::write(root.join(&new), format!("no picture {next}")).unwrap();
            files.insert(new, None);
        }
    }
}

#[tokio::test]
async fn whatever_is_done_to_a_folder_the_collection_follows() {
    for seed in 1..=12 {
        let mut random = Random(seed);
        // Enough others that a few deletions are never a missing disk.
        let mut library = Library::with(40);
        let root = library.scene.cars();
        for folder in ["a", "b/c", HIDDEN] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let (mut files, mut next) = (Files::new(), seed * 1000);
        // Emptied, it would look like a disk that is missing.
        let stays = root.join(HIDDEN).join("stays.png");
        write(&stays, 1);
        // Links between folders are followed until both are the collection's.
        library.load_folder(&root.join(HIDDEN)).await;
        library.load().await;
        for round in 0..10 {
            for _ in 0..random.below(7) {
                disturb(&root, &mut files, &mut next, &mut random);
            }
            let mut folders = [root.clone(), root.join(HIDDEN)];
            if random.below(2) == 0 {
                folders.reverse();
            }
            for folder in &folders {
                let progress = library.load_folder(folder).await;
                assert_eq!(progress.missing, 0, "seed {seed}, round {round}: {progress:?}");
                assert_eq!(progress.done(), progress.found, "seed {seed}, round {round}");
            }
            if random.below(3) == 0 {
                library.prune(Prune::All).await;
            }
            let shown = library.shown().await;
            let good = files.iter().filter(|(_, content)| content.is_some());
            let mut expected: BTreeSet<PathBuf> = good.map(|(name, _)| root.join(name)).collect();
            expected.extend((0..40).map(|n| root.join(format!("{n:03}.png"))));
            expected.insert(stays.clone());
            let found: BTreeSet<PathBuf> = shown.iter().map(|r| r.id.location()).collect();
            assert_eq!(found, expected, "seed {seed}, round {round}");
            for record in &shown {
                let content: [u8; 32] =
                    Sha256::digest(fs::read(record.id.location()).unwrap()).into();
                assert_eq!(record.stamp.unwrap().hash, content, "{:?}", record.id);
            }
            let again = library.load().await;
            assert_eq!(again.embedded + again.recognised + again.failed, 0, "{again:?}");
        }
        // The same vectors as if everything was embedded anew.
        let kept = library.shown().await;
        library.backend.shutdown().await;
        fs::remove_file(library.scene.collection()).unwrap();
        library.backend =
            library.scene.backend_on(TINY, Collection::Embedded(library.scene.collection()));
        for folder in [&root.join(HIDDEN), &root, &root.join(HIDDEN)] {
            library.load_folder(folder).await;
        }
        let fresh: BTreeMap<PathBuf, Embedding> =
            library.shown().await.into_iter().map(|r| (r.id.location(), r.embedding)).collect();
        assert_eq!(kept.len(), fresh.len());
        for record in kept {
            let similarity = record.embedding.similarity(&fresh[&record.id.location()]);
            assert!(similarity.cosine() > 0.9999, "{:?} {similarity:?}", record.id);
        }
    }
}

/// The files of the library, changed here and there: the content of each is
/// another one, and they are still pictures.
fn rewrite_some(library: &Library, pictures: u16, random: &mut Random) {
    for _ in 0..40 {
        let name = format!("{:03}.png", random.below(pictures.into()));
        let mut file = File::options().append(true).open(library.path(&name)).unwrap();
        file.write_all(&random.below(u64::MAX).to_le_bytes()).unwrap();
    }
}

#[tokio::test]
async fn a_load_killed_two_hundred_times_leaves_every_picture_there_once() {
    const PICTURES: u16 = 200;
    let mut library = Library::with(PICTURES);
    let home = library.scene.collection().parent().unwrap().to_owned();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let begin = || {
        Machine::new()
            .command()
            .args(["--collection", "cars", "--data-folder"])
            .arg(&home)
            .arg("--model")
            .arg(fixtures.join(TINY))
            .arg("load")
            .arg(library.scene.cars())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let (mut random, mut killed, mut completed) = (Random(3), 0, 0);
    while killed < 200 {
        let mut load = begin();
        // No event is waited for: any moment is to be survived.
        thread::sleep(Duration::from_micros(random.below(150_000)));
        if let Some(status) = load.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            completed += 1;
            rewrite_some(&library, PICTURES, &mut random);
        } else {
            load.kill().unwrap();
            load.wait().unwrap();
            killed += 1;
        }
    }
    let last = library.load().await;
    assert_eq!((last.done(), last.failed), (PICTURES.into(), 0), "{completed} were completed");
    let kept = library.shown().await;
    assert_eq!(kept.len(), usize::from(PICTURES));
    library.backend.shutdown().await;
    fs::remove_file(library.scene.collection()).unwrap();
    let collection = Collection::Embedded(library.scene.collection());
    library.backend = library.scene.backend_on(TINY, collection);
    library.load().await;
    let fresh: BTreeMap<PathBuf, Embedding> =
        library.shown().await.into_iter().map(|r| (r.id.location(), r.embedding)).collect();
    for record in kept {
        let similarity = record.embedding.similarity(&fresh[&record.id.location()]);
        assert!(similarity.cosine() > 0.9999, "{:?} {similarity:?}", record.id);
    }
}
