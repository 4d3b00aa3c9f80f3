//! The pictures below a folder: sorted, each once, junk left out.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::domain::FileProblem;
use crate::picture;

/// Walks what is at or below some places in a folder, in the order of names;
/// hidden files, unfinished ones and what operating systems leave behind are
/// passed over.
///
/// Symbolic links are followed where they lead to what is not met otherwise:
/// one to a file or folder that a walk of the folder, or of one of the `others`,
/// meets by its own name is passed over, and so is a second one to the same file
/// or folder. That cuts every loop of them, and any number of links to links
/// costs no more than what they lead to.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// Canonical.
    pub(super) folder: PathBuf,
    pub(super) starts: Vec<PathBuf>,
    /// Folders that are walked for themselves.
    pub(super) others: Vec<PathBuf>,
}

impl Walk {
    /// What is there, as long as it is to `go_on`.
    pub(super) fn find(&self, go_on: impl Fn() -> bool) -> Found {
        let Self { folder, starts, others } = self;
        let mut found = Found::default();
        // One that is not there meets nothing.
        let real = |other: &PathBuf| other.canonicalize().unwrap_or_else(|_| other.clone());
        let roots: Vec<PathBuf> = others.iter().map(real).chain([folder.clone()]).collect();
        let entries = starts.iter().flat_map(|start| entries(folder, start, &roots));
        for entry in entries.take_while(|_| go_on()) {
            match entry {
                Ok(entry) => match is_picture(&entry) {
                    Ok(true) => found.pictures.push(relative(entry.path(), folder)),
                    Ok(false) => {}
                    Err(_) => found.unknown.push(relative(entry.path(), folder)),
                },
                Err(error) => found.problems.extend(problem(&error, folder)),
            }
        }
        found
    }
}

/// What a walk comes by, by paths relative to the folder that is walked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) pictures: Vec<PathBuf>,
    /// Folders and links that could not be followed, so that nothing is known
    /// of what is below them.
    pub(super) problems: Vec<FileProblem>,
    /// Files that could not be opened and have no name of a picture: they may
    /// be anything.
    pub(super) unknown: Vec<PathBuf>,
}

/// A link to a folder that a walk follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// Where it is, relative to the folder that is walked.
    pub(super) place: PathBuf,
    /// The folder it leads to, as the system names it.
    pub(super) target: PathBuf,
}

/// The links to folders that a walk of all of the canonical `folder` follows.
pub(super) fn links(folder: &Path) -> impl Iterator<Item = Link> + use<> {
    let root = folder.to_owned();
    entries(folder, folder, std::slice::from_ref(&root)).filter_map(Result::ok).filter_map(
        move |entry| {
            let is_link = entry.path_is_symlink() && entry.file_type().is_dir();
            // One that is gone already leads nowhere.
            let target = entry.path().canonicalize().ok().filter(|_| is_link)?;
            Some(Link { place: relative(entry.path(), &root), target })
        },
    )
}

/// All that a walk comes by, of what no link leads to in the canonical `roots`,
/// of which the folder is one.
fn entries(
    folder: &Path,
    start: &Path,
    roots: &[PathBuf],
) -> impl Iterator<Item = walkdir::Result<DirEntry>> + use<> {
    let mut links = Links::on_the_way(folder, start, roots);
    WalkDir::new(start)
        .follow_links(true)
        .min_depth(1)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(move |entry| !is_junk(entry.file_name()) && links.leads_on(entry))
}

/// The links met so far.
struct Links {
    /// Canonical.
    folder: PathBuf,
    /// It and the folders that are walked for themselves, canonical.
    roots: Vec<PathBuf>,
    /// Files and folders that were come by behind links, by their own names.
    followed: HashSet<PathBuf>,
    /// Where the walk entered them.
    entered: HashSet<PathBuf>,
}

impl Links {
    /// Those that lead to `start`.
    fn on_the_way(folder: &Path, start: &Path, roots: &[PathBuf]) -> Self {
        let below = start.ancestors().take_while(|above| *above != folder);
        let entered: HashSet<PathBuf> =
            below.filter(|above| above.is_symlink()).map(Path::to_owned).collect();
        let followed = entered.iter().filter_map(|link| link.canonicalize().ok()).collect();
        Self { folder: folder.to_owned(), roots: roots.to_owned(), followed, entered }
    }

    /// Whether `entry` is not behind a link, or is what is not met otherwise.
    fn leads_on(&mut self, entry: &DirEntry) -> bool {
        let is_link = entry.path_is_symlink();
        let is_folder = entry.file_type().is_dir();
        let is_behind = || entry.path().ancestors().any(|above| self.entered.contains(above));
        if !is_link && (is_folder || !is_behind()) {
            return true;
        }
        // What cannot be followed is told of when it is tried.
        let Ok(target) = entry.path().canonicalize() else { return true };
        let is_finished = is_folder || !target.file_name().is_some_and(is_unfinished);
        if is_finished && self.roots.iter().any(|root| meets(root, &target)) {
            return false;
        }
        if is_folder && self.folder.starts_with(&target) || !self.followed.insert(target) {
            return false;
        }
        if is_folder {
            self.entered.insert(entry.path().to_owned());
        }
        true
    }
}

/// Whether a walk of all of `root` comes by the folder `target` by its own
/// name, or is one of it.
pub(super) fn meets(root: &Path, target: &Path) -> bool {
    target.strip_prefix(root).is_ok_and(|path| !path.iter().any(is_junk))
}

/// By its name or else by its first bytes. Only regular files are opened.
fn is_picture(entry: &DirEntry) -> io::Result<bool> {
    let path = entry.path();
    if entry.file_type().is_dir() || is_unfinished(entry.file_name()) {
        return Ok(false);
    }
    if picture::named_like_a_picture(path) || !entry.file_type().is_file() {
        return Ok(picture::named_like_a_picture(path));
    }
    picture::looks_like_a_picture(path)
}

fn is_junk(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let junk: [&[u8]; 6] = [
        b"Thumbs.db",
        b"desktop.ini",
        b"$RECYCLE.BIN",
        b"System Volume Information",
        b"@eaDir",
        b"lost+found",
    ];
    name.starts_with(b".") || junk.iter().any(|junk| junk.eq_ignore_ascii_case(name))
}

/// Whether an editor or a browser names so what it has not finished.
fn is_unfinished(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes().to_ascii_lowercase();
    let endings: [&[u8]; 5] = [b"~", b".tmp", b".part", b".crdownload", b".swp"];
    endings.iter().any(|ending| name.ends_with(ending))
}

/// Whether a walk passes over what is at this place in its folder, whatever it
/// is.
pub(super) fn passes_over(path: &Path) -> bool {
    path.iter().any(is_junk) || path.file_name().is_some_and(is_unfinished)
}

fn relative(path: &Path, root: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_owned()
}

/// What was in the way, if it may have cost a picture. A link back to where
/// the walk already is costs none, nor does a dangling one with another name.
fn problem(error: &walkdir::Error, root: &Path) -> Option<FileProblem> {
    let path = relative(error.path().unwrap_or(root), root);
    let reason = match error.io_error() {
        None => return None,
        Some(e) if e.kind() == io::ErrorKind::NotFound => {
            picture::named_like_a_picture(&path).then(|| "is a link to nothing".to_owned())?
        }
        Some(e) => format!("cannot be opened: {e}"),
    };
    Some(FileProblem::new(path, reason))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn pictures(folder: &Path, start: &str) -> Vec<PathBuf> {
        let start = if start.is_empty() { folder.to_owned() } else { folder.join(start) };
        let walk = Walk { folder: folder.to_owned(), starts: vec![start], others: Vec::new() };
        walk.find(|| true).pictures
    }

    /// A folder with a link to one outside, in which a link leads back up, and
    /// with links to what is met anyway.
    fn linked(home: &Path) -> PathBuf {
        let (cars, out) = (home.join("cars"), home.join("out"));
        fs::create_dir_all(cars.join("here")).unwrap();
        fs::create_dir_all(out.join("deep")).unwrap();
        fs::write(out.join("x.jpg"), "x").unwrap();
        fs::write(out.join("deep/y.jpg"), "y").unwrap();
        symlink("../out", cars.join("away")).unwrap();
        symlink("../out", cars.join("twin")).unwrap();
        symlink("here", cars.join("again")).unwrap();
        symlink("..", cars.join("up")).unwrap();
        symlink("../../out", out.join("deep/back")).unwrap();
        cars.canonicalize().unwrap()
    }

    #[test]
    fn a_walk_that_starts_behind_a_link_does_not_follow_it_once_more() {
        let home = tempfile::tempdir().unwrap();
        let cars = linked(home.path());
        let all = ["away/deep/y.jpg", "away/x.jpg"].map(PathBuf::from);
        assert_eq!(pictures(&cars, ""), all);
        assert_eq!(pictures(&cars, "away"), all);
        assert_eq!(pictures(&cars, "away/deep"), all[..1]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_cannot_be_opened_may_be_a_picture() {
        use std::fs::Permissions;
        use std::os::unix::fs::PermissionsExt as _;
        use std::thread;

        use rustix::thread::set_thread_res_uid;

        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
        for name in ["closed", "closed.jpg", "text"] {
            fs::write(home.path().join(name), "a text").unwrap();
        }
        for name in ["closed", "closed.jpg"] {
            fs::set_permissions(home.path().join(name), Permissions::from_mode(0o000)).unwrap();
        }
        let folder = home.path().canonicalize().unwrap();
        let walk = Walk { starts: vec![folder.clone()], folder, others: Vec::new() };
        // Root may open everything. Only this thread is somebody else.
        let find = move || {
            let nobody = rustix::fs::Uid::from_raw(65534);
            let _ = set_thread_res_uid(nobody, nobody, nobody);
            walk.find(|| true)
        };
        let found = thread::spawn(find).join().unwrap();
        let [closed, picture] = ["closed", "closed.jpg"].map(PathBuf::from);
        let expected = Found { pictures: vec![picture], unknown: vec![closed], problems: vec![] };
        assert_eq!(found, expected);
    }

    #[test]
    fn the_links_that_a_walk_follows_are_known() {
        let home = tempfile::tempdir().unwrap();
        let cars = linked(home.path());
        let link = Link { place: "away".into(), target: cars.with_file_name("out") };
        assert_eq!(links(&cars).collect::<Vec<_>>(), [link]);
    }
}
