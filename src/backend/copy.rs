//! From one collection to another: the embeddings as they are, page by page,
//! what is there already left out; and a look at whether they arrived.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::message::{Copied, CopyHow, CopyProgress, Event, Failure, Verification};
use super::reporter::Reporter;
use crate::domain::{CollectionSpec, FileProblem, ImageId, Printable, Record};
use crate::store::{self, Collection, Listed, Page, Refused, VectorStore};

/// Pictures copied at a time: what a database takes in several requests at
/// once, and the most a cancel throws away.
const BATCH: usize = 400;

/// Embeddings compared one by one.
const SAMPLE: usize = 32;

/// Embeddings whose nearest pictures are compared.
const SEARCHED: usize = 8;

/// How many of them.
const NEIGHBOURS: usize = 10;

/// Embeddings are kept in half precision in a file; this is far below what
/// that costs, and far above what another picture's would have.
const ALIKE: f32 = 0.9999;

/// One copy under way.
pub(super) struct Copy {
    pub(super) spec: CollectionSpec,
    pub(super) from: Collection,
    pub(super) to: Collection,
    pub(super) how: CopyHow,
    pub(super) reporter: Reporter,
    pub(super) token: CancellationToken,
}

/// The two stores, open.
struct Stores {
    from: Arc<dyn VectorStore>,
    to: Arc<dyn VectorStore>,
}

impl Copy {
    /// Copies what is missing or different; `None` if cancelled.
    pub(super) async fn run(self) -> Result<Option<Copied>, Failure> {
        let token = self.token.clone();
        token.run_until_cancelled(self.copy()).await.transpose()
    }

    async fn copy(self) -> Result<Copied, Failure> {
        let doing = || format!("copying from {} to {}", self.from.place(), self.to.place());
        if self.from == self.to {
            return Err(Failure::because(doing(), "both are the same collection"));
        }
        let failed = |error: store::Error| Failure::new(doing(), &error);
        let from = self.from.open(&self.spec).await.map_err(failed)?;
        if !from.is_of_known_origin() && !self.how.adopt {
            let unknown = "the source does not say which model embedded its pictures";
            let model = Printable::new(&self.spec.model.name);
            return Err(Failure::because(doing(), unknown).hint(format!(
                "if you know that {model} did, say so with `--adopt`; else choose the right one \
                 with `--model` first (the DataStax article's loader uses clip-vit-b-32)"
            )));
        }
        let to = self.to.create(&self.spec).await.map_err(failed)?;
        let stores = Stores { from, to };
        let (began, mut copied, mut ids) = (Instant::now(), Copied::default(), Vec::new());
        let mut seen = HashSet::new();
        copied.progress.total = stores.from.count().await.map_err(failed)?;
        let mut page = Some(Page::default());
        while let Some(this) = page {
            let mut listing = stores.from.list(this).await.map_err(failed)?;
            // Two programs may have stored the same picture.
            listing
                .pictures
                .retain(|listed| !listed.known.hidden && seen.insert(listed.id.clone()));
            for batch in listing.pictures.chunks(BATCH) {
                stores.copy_batch(batch, self.how.overwrite, &mut copied).await.map_err(failed)?;
                ids.extend(batch.iter().map(|listed| listed.id.clone()));
                copied.progress.elapsed = began.elapsed();
                self.reporter.report(Event::CopyProgress, copied.progress.clone()).await;
            }
            page = listing.next;
        }
        stores.to.optimize().await;
        copied.verification = stores.verify(&ids).await.map_err(failed)?;
        Ok(copied)
    }
}

impl Stores {
    async fn copy_batch(
        &self,
        batch: &[Listed],
        overwrite: bool,
        copied: &mut Copied,
    ) -> Result<(), store::Error> {
        let missing = if overwrite {
            batch.iter().map(|listed| listed.id.clone()).collect()
        } else {
            self.missing(batch).await?
        };
        let progress = &mut copied.progress;
        progress.unchanged += batch.len() - missing.len();
        let asked = missing.len();
        let records = self.from.get(missing.clone()).await?;
        copied.failed.extend(unreadable(&missing, &records));
        let stored = records.len();
        let refused = if records.is_empty() { Vec::new() } else { self.to.upsert(records).await? };
        progress.copied += stored - refused.len();
        progress.failed += asked - stored + refused.len();
        copied.failed.extend(refused.into_iter().map(problem));
        Ok(())
    }

    /// Those of `batch` that the target lacks, or has of another file.
    async fn missing(&self, batch: &[Listed]) -> Result<Vec<ImageId>, store::Error> {
        let ids = |known: bool| {
            let of_kind = batch.iter().filter(move |listed| listed.known.stamp.is_some() == known);
            of_kind.map(|listed| listed.id.clone()).collect::<Vec<_>>()
        };
        let known = self.to.known(ids(true)).await?;
        // Without a stamp, being there has to be enough.
        let there: HashSet<ImageId> = match ids(false) {
            unknown if unknown.is_empty() => HashSet::new(),
            unknown => self.to.get(unknown).await?.into_iter().map(|record| record.id).collect(),
        };
        let is_missing = |listed: &&Listed| match listed.known.stamp {
            // One that is hidden there is stored again, and thereby shown.
            Some(_) => known.get(&listed.id) != Some(&listed.known),
            None => !there.contains(&listed.id),
        };
        Ok(batch.iter().filter(is_missing).map(|listed| listed.id.clone()).collect())
    }

    /// Compares what is on both sides: all names, some embeddings, and what
    /// some of them find.
    async fn verify(&self, ids: &[ImageId]) -> Result<Verification, store::Error> {
        let there = all(self.to.as_ref()).await?;
        // By their files: a store may have another name for the folder.
        let is_missing = |id: &&ImageId| !there.contains(&id.location());
        let missing: Vec<ImageId> = ids.iter().filter(is_missing).cloned().collect();
        let step = (ids.len() / SAMPLE).max(1);
        let sample: Vec<ImageId> = ids.iter().step_by(step).take(SAMPLE).cloned().collect();
        let ours = self.from.get(sample.clone()).await?;
        let theirs = self.to.get(sample).await?;
        let (mut alike, mut same, mut neighbours) = (0, 0, 0);
        for (n, ours) in ours.iter().enumerate() {
            let theirs = theirs.iter().find(|theirs| theirs.id == ours.id);
            alike += usize::from(theirs.is_some_and(|theirs| {
                theirs.embedding.similarity(&ours.embedding).cosine() >= ALIKE
            }));
            if n < SEARCHED {
                let found =
                    self.neighbours(ours, there.len() - (ids.len() - missing.len())).await?;
                same += found.0;
                neighbours += found.1;
            }
        }
        Ok(Verification {
            in_source: ids.len(),
            in_target: there.len(),
            missing,
            compared: ours.len(),
            alike,
            neighbours,
            same_neighbours: same,
        })
    }

    /// How many of the pictures nearest to `record` are so on the other side
    /// as well, and of how many. What is only there may come in between.
    async fn neighbours(
        &self,
        record: &Record,
        others: usize,
    ) -> Result<(usize, usize), store::Error> {
        let ours = self.from.search(record.embedding.clone(), NEIGHBOURS).await?;
        let most = NEIGHBOURS.saturating_add(others.min(NEIGHBOURS * NEIGHBOURS));
        let theirs = self.to.search(record.embedding.clone(), most).await?;
        let theirs: HashSet<PathBuf> = theirs.iter().map(|hit| hit.id.location()).collect();
        let same = ours.iter().filter(|hit| theirs.contains(&hit.id.location())).count();
        Ok((same, ours.len()))
    }
}

/// The files of all pictures.
async fn all(store: &dyn VectorStore) -> Result<HashSet<PathBuf>, store::Error> {
    let (mut all, mut page) = (HashSet::new(), Some(Page::default()));
    while let Some(this) = page {
        let listing = store.list(this).await?;
        all.extend(listing.pictures.into_iter().map(|listed| listed.id.location()));
        page = listing.next;
    }
    Ok(all)
}

/// Pictures that were listed, but have no embedding that could be copied.
fn unreadable(asked: &[ImageId], records: &[Record]) -> Vec<FileProblem> {
    let read: HashSet<&ImageId> = records.iter().map(|record| &record.id).collect();
    let unreadable = asked.iter().filter(|id| !read.contains(id));
    let problem =
        |id: &ImageId| FileProblem::new(id.location(), "has no embedding of this model".into());
    unreadable.map(problem).collect()
}

fn problem(refused: Refused) -> FileProblem {
    FileProblem::new(refused.id.location(), refused.reason)
}

impl CopyProgress {
    /// Pictures that are done with, one way or another.
    #[must_use]
    pub fn done(&self) -> usize {
        self.copied + self.unchanged + self.failed
    }
}
