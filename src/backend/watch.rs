//! Keeps the collection up to date with some folders, until told to stop.

use std::path::PathBuf;

use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};

use super::elsewhere::Vigil;
use super::load::{Ending, Load, canonical};
use super::message::{Event, Failure, Remark};
use super::watching::{Changed, Means, Watching};

/// Folders that are loaded, and loaded again whenever they change.
pub(super) struct Watch {
    pub(super) load: Load,
    pub(super) folders: Vec<PathBuf>,
}

/// A change that one of the folders told of.
struct News {
    folder: PathBuf,
    changed: Changed,
    /// How changes become known, if that is another way now.
    means: Option<Means>,
}

impl Watch {
    /// Ends when cancelled.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let folders = self.present().await?;
        let vigil = Vigil::begin(self.load.collection.on_this_machine());
        let _vigil =
            vigil.inspect_err(|error| tracing::warn!(%error, "others do not see this watch"));
        let (news, mut changes) = mpsc::channel(1);
        // Their tasks end with this.
        let mut watched = JoinSet::new();
        for folder in &folders {
            let watching = self.begin(folder.clone()).await?;
            watched.spawn(tell(folder.clone(), watching, news.clone()));
        }
        for folder in folders {
            let changed = Changed::Everything;
            let hidden = self.catch_up(News { folder, changed, means: None }).await?;
            self.load.hidden_before += hidden;
        }
        self.load.hidden_before = 0;
        let token = &self.load.control.token;
        while let Some(Some(news)) = token.run_until_cancelled(changes.recv()).await {
            self.catch_up(news).await?;
        }
        Ok(())
    }

    /// The folders by their canonical names. Of several, one that is not there
    /// may come back.
    async fn present(&self) -> Result<Vec<PathBuf>, Failure> {
        let mut present = Vec::new();
        for folder in &self.folders {
            let name = match canonical(folder) {
                Err(failure) if self.folders.len() > 1 => {
                    let hint = "it is loaded as soon as it is there".into();
                    let remark = Remark { text: failure.to_string(), hint };
                    self.load.reporter.report(Event::Remarked, remark).await;
                    folder.clone()
                }
                name => name?,
            };
            present.push(name);
        }
        Ok(present)
    }

    async fn begin(&self, folder: PathBuf) -> Result<Watching, Failure> {
        let collection = self.load.collection.on_this_machine().to_owned();
        let begin = spawn_blocking(move || Watching::begin(&folder, &collection));
        let watching = begin.await.map_err(|e| Failure::new("watching a folder", &e))?;
        self.explain(watching.means()).await;
        Ok(watching)
    }

    /// Returns how many pictures were hidden.
    async fn catch_up(&self, news: News) -> Result<usize, Failure> {
        if let Some(means) = news.means {
            self.explain(&means).await;
        }
        match self.load.clone().catch_up(&news.folder, &news.changed).await? {
            Ending::Finished(progress) => {
                let hidden = progress.hidden;
                self.load.reporter.report(Event::FolderUpToDate, progress).await;
                Ok(hidden)
            }
            Ending::Cancelled => Ok(0),
        }
    }

    async fn explain(&self, means: &Means) {
        let Means::Polling { every, reason } = means else { return };
        let hint = format!("carlens looks for changes by itself, every {} s", every.as_secs());
        let remark = Remark { text: reason.clone(), hint };
        self.load.reporter.report(Event::Remarked, remark).await;
    }
}

/// Tells of the changes of `folder`. While nobody listens they add up.
async fn tell(folder: PathBuf, mut watching: Watching, news: mpsc::Sender<News>) {
    loop {
        let before = watching.means().clone();
        let changed = watching.changed().await;
        let means = Some(watching.means().clone()).filter(|now| *now != before);
        if news.send(News { folder: folder.clone(), changed, means }).await.is_err() {
            return;
        }
    }
}
