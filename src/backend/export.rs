//! Copies pictures out of the folders they were loaded from.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::message::{Exported, Failure};
use crate::domain::{FileProblem, Printable};

/// Copies `pictures` into `folder`, which is made if it is not there. A name
/// that is taken gets a number; nothing is overwritten.
pub(super) async fn export(
    pictures: Vec<PathBuf>,
    folder: PathBuf,
    token: CancellationToken,
) -> Result<Exported, Failure> {
    let doing = format!("copying to {}", Printable::new(&folder));
    let copying = move || {
        fs::create_dir_all(&folder)?;
        let mut exported = Exported { folder, ..Exported::default() };
        for picture in pictures {
            if token.is_cancelled() {
                break;
            }
            match copy(&picture, &exported.folder) {
                Ok(()) => exported.copied += 1,
                Err(error) => exported
                    .failed
                    .push(FileProblem::new(picture, format!("is not copied: {error}"))),
            }
        }
        Ok(exported)
    };
    let copied = spawn_blocking(copying).await.map_err(|e| Failure::new(&doing, &e))?;
    copied.map_err(|e: io::Error| Failure::new(&doing, &e))
}

fn copy(picture: &Path, folder: &Path) -> io::Result<()> {
    let mut from = fs::File::open(picture)?;
    let mut number = 1_u32;
    let (path, mut to) = loop {
        let path = folder.join(numbered(picture, number));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => break (path, file),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && number < 10_000 => number += 1,
            Err(e) => return Err(e),
        }
    };
    io::copy(&mut from, &mut to).map(drop).inspect_err(|_| {
        // Half a picture is worse than none; that it cannot be copied is said.
        let _ = fs::remove_file(&path);
    })
}

/// `car.jpg`, `car (2).jpg`, `car (3).jpg`
fn numbered(picture: &Path, number: u32) -> OsString {
    if number == 1 {
        return picture.file_name().unwrap_or_default().to_owned();
    }
    let mut name = picture.file_stem().unwrap_or_default().to_owned();
    name.push(format!(" ({number})"));
    if let Some(extension) = picture.extension() {
        name.push(".");
        name.push(extension);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_overwritten_and_one_failure_stops_nothing() {
        let home = tempfile::tempdir().unwrap();
        let picture = |folder: &str, content: &str| {
            let path = home.path().join(folder).join("car.jpg");
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            path
        };
        let pictures =
            vec![picture("a", "first"), home.path().join("gone.jpg"), picture("b", "second")];
        let out = home.path().join("out/deep");
        let exported = export(pictures, out.clone(), CancellationToken::new()).await.unwrap();
        assert_eq!((exported.copied, exported.failed.len()), (2, 1));
        assert_eq!(fs::read_to_string(out.join("car.jpg")).unwrap(), "first");
        assert_eq!(fs::read_to_string(out.join("car (2).jpg")).unwrap(), "second");
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_a_failure() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "").unwrap();
        let folder = home.path().join("file/folder");
        let failure = export(Vec::new(), folder, CancellationToken::new()).await.unwrap_err();
        assert!(failure.doing.contains("file/folder"), "{failure}");
    }
}
