//! One pull, from the list of files to the finished snapshot.
//!
//! All blobs first, then their names, then the reference: at no moment is
//! there a snapshot that looks complete and is not.

use std::path::{Path, PathBuf};

use super::client::{Client, RemoteFile};
use super::layout::{self, Layout};
use super::listing::Listing;
use super::partial::{self, Lock, Partial, off_thread};
use super::patience::{Attempts, Patience};
use super::progress::{PullProgress, PullStep, Tally};
use super::repository::{Commit, Repository};
use super::{Error, Hub};

pub(super) struct Pull<'a> {
    client: Client,
    layout: Layout,
    patience: Patience,
    repository: &'a Repository,
}

impl<'a> Pull<'a> {
    pub(super) fn new(hub: &Hub, repository: &'a Repository) -> Result<Self, Error> {
        Ok(Self {
            client: Client::new(&hub.endpoint, hub.token.as_ref(), &hub.patience)?,
            layout: Layout::new(&hub.cache, repository),
            patience: hub.patience,
            repository,
        })
    }

    /// Fetches what is not here, and returns the folder of the checkpoint.
    pub(super) async fn run(
        &self,
        report: impl FnMut(PullProgress) + Send,
    ) -> Result<PathBuf, Error> {
        let listing = self.listing().await?;
        let files = self.files(&listing).await?;
        self.make_room(&files).await?;
        let mut tally = Tally::new(report, sum(files.iter().map(|file| file.size)));
        for file in &files {
            tally.begin(&file.path);
            self.fetch(file, &mut tally).await?;
            tally.finish(file.size);
        }
        self.publish(listing.commit, files).await
    }

    async fn listing(&self) -> Result<Listing, Error> {
        let mut attempts = Attempts::new(self.patience);
        loop {
            match self.client.listing(self.repository).await {
                Ok(listing) => return Ok(listing),
                Err(error) => attempts.failed(error).await?,
            }
        }
    }

    async fn files(&self, listing: &Listing) -> Result<Vec<RemoteFile>, Error> {
        let mut files = Vec::new();
        for path in listing.checkpoint(self.repository)? {
            files.push(self.describe(listing, &path).await?);
        }
        Ok(files)
    }

    async fn describe(&self, listing: &Listing, path: &str) -> Result<RemoteFile, Error> {
        let mut attempts = Attempts::new(self.patience);
        loop {
            match self.client.describe(self.repository, listing, path).await {
                Ok(file) => return Ok(file),
                Err(error) => attempts.failed(error).await?,
            }
        }
    }

    /// Makes the folders, and sees that the disk can take what is to come.
    async fn make_room(&self, files: &[RemoteFile]) -> Result<(), Error> {
        let folder = self.layout.blobs();
        let needed = sum(files.iter().map(|file| self.remaining(file)));
        let layout = self.layout.clone();
        let made = off_thread(move || layout.create().map(|()| free_space(&layout.blobs())));
        match made.await.map_err(|error| Error::from_disk("make", &folder, error))? {
            Some(free) if free < needed => {
                Err(Error::NoSpace { folder, needed: Some(needed), free: Some(free) })
            }
            _ => Ok(()),
        }
    }

    fn remaining(&self, file: &RemoteFile) -> u64 {
        let length = |path: PathBuf| path.metadata().map_or(0, |metadata| metadata.len());
        let here = length(self.layout.blob(&file.checksum))
            .max(length(self.layout.incomplete(&file.checksum)));
        file.size.saturating_sub(here)
    }

    /// Sees to it that the blob of `file` is there.
    async fn fetch<F: FnMut(PullProgress)>(
        &self,
        file: &RemoteFile,
        tally: &mut Tally<F>,
    ) -> Result<(), Error> {
        let lock = self.lock(file, tally).await?;
        let blob = self.layout.blob(&file.checksum);
        tally.report(PullStep::Verify, 0);
        if partial::is_intact(blob.clone(), file.checksum.clone(), file.size).await? {
            tally.resume(file.size);
            return Ok(());
        }
        let mut partial = Partial::open(self.layout.incomplete(&file.checksum), lock).await?;
        self.fill(file, &mut partial, tally).await?;
        tally.report(PullStep::Verify, file.size);
        if partial.finish(file.checksum.clone(), blob).await? {
            Ok(())
        } else {
            Err(Error::Damaged { what: file.what.clone(), property: file.checksum.kind() })
        }
    }

    async fn lock<F: FnMut(PullProgress)>(
        &self,
        file: &RemoteFile,
        tally: &mut Tally<F>,
    ) -> Result<Lock, Error> {
        loop {
            if let Some(lock) = Lock::take(self.layout.lock(&file.checksum)).await? {
                return Ok(lock);
            }
            tally.report(PullStep::Wait, 0);
            tokio::time::sleep(self.patience.lock).await;
        }
    }

    /// Appends to `partial` until it has the size of `file`.
    async fn fill<F: FnMut(PullProgress)>(
        &self,
        file: &RemoteFile,
        partial: &mut Partial,
        tally: &mut Tally<F>,
    ) -> Result<(), Error> {
        if partial.length() > file.size {
            partial.clear().await?;
        }
        tally.resume(partial.length());
        let mut attempts = Attempts::new(self.patience);
        while partial.length() < file.size {
            let before = partial.length();
            match self.receive(file, partial, tally).await {
                Ok(()) => {}
                Err(error) if error.is_wrong_range() && before > 0 => {
                    tally.discard(before);
                    partial.clear().await?;
                }
                Err(error) => {
                    attempts.received(partial.length().saturating_sub(before));
                    attempts.failed(error).await?;
                }
            }
        }
        Ok(())
    }

    /// One request for the rest of `file`.
    async fn receive<F: FnMut(PullProgress)>(
        &self,
        file: &RemoteFile,
        partial: &mut Partial,
        tally: &mut Tally<F>,
    ) -> Result<(), Error> {
        let mut body = self.client.open(file, partial.length()).await?;
        if body.start != partial.length() {
            tally.discard(partial.length());
            partial.clear().await?;
        }
        tally.report(PullStep::Receive, partial.length());
        while let Some(piece) = body.next().await? {
            partial.append(piece).await?;
            if partial.length() > file.size {
                partial.clear().await?;
                return Err(Error::Damaged { what: file.what.clone(), property: "size" });
            }
            tally.report(PullStep::Receive, partial.length());
        }
        if partial.length() < file.size {
            let (received, size) = (partial.length(), file.size);
            return Err(Error::CutShort { what: file.what.clone(), received, size });
        }
        Ok(())
    }

    async fn publish(&self, commit: Commit, files: Vec<RemoteFile>) -> Result<PathBuf, Error> {
        let layout = self.layout.clone();
        let linked = off_thread(move || {
            let entries =
                files.iter().map(|file| (file.path.as_str(), &file.checksum)).collect::<Vec<_>>();
            let folder = layout.link(&commit, &entries)?;
            let missing = layout::missing(&folder);
            if missing.is_none() {
                layout.refer(&commit)?;
            }
            Ok((folder, missing))
        });
        let cache = self.layout.blobs();
        match linked.await.map_err(|error| Error::from_disk("name the files of", &cache, error))? {
            (folder, None) => Ok(folder),
            (_, Some(missing)) => {
                Err(Error::Incomplete { repository: self.repository.to_string(), missing })
            }
        }
    }
}

/// A server may announce any size.
fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}

/// How many bytes this program may still write below `folder`, if the system
/// tells.
#[cfg(unix)]
fn free_space(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free_space(_: &Path) -> Option<u64> {
    None
}
