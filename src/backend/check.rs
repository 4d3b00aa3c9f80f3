//! Looks for what is wrong with the collection, and mends it where asked to.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::message::{CheckProgress, Checked, Event, Failure, RequestId};
use super::reporter::Reporter;
use super::upkeep::Upkeep;
use crate::domain::ImageId;
use crate::store::{self, Collection, Fault, Findings, Listed, Page, VectorStore, embedded};

/// Pictures of a database looked at between two reports.
const BATCH: usize = 256;

/// What there is for a collection in a database instead.
const LOAD: &str = "load its folders again, which stores what is missing or broken; `carlens check` \
                    without `--repair` says what that is";

impl Upkeep {
    /// Checks the collection, then mends it and looks again, if it is to
    /// `repair` it. `store` opens one that is in a database.
    pub(super) async fn check(
        &self,
        id: RequestId,
        repair: bool,
        store: impl Future<Output = Result<Arc<dyn VectorStore>, Failure>>,
    ) -> Result<Event, Failure> {
        if repair {
            return self.repair(id).await;
        }
        let doing = format!("checking the collection {}", self.collection.place());
        let findings = match &self.collection {
            Collection::Embedded(path) => self.look(path, &doing).await?,
            Collection::Astra(..) => {
                let looking = async { self.look_through(store.await?, &doing).await };
                let stopped = || Failure::because(&doing, "it was stopped");
                self.token.run_until_cancelled(looking).await.ok_or_else(stopped)??
            }
        };
        Ok(Event::Checked(id, Checked { findings, mended: None, left: None }))
    }

    async fn repair(&self, id: RequestId) -> Result<Event, Failure> {
        let doing = format!("repairing the collection {}", self.collection.place());
        let path = self.file(&doing, LOAD)?;
        let repairing = async {
            let findings = self.look(path, &doing).await?;
            if findings.is_clean() {
                return Ok(Checked { findings, mended: None, left: None });
            }
            let mended = embedded::repair(path, &self.token, self.tell()).await;
            let mended = mended.map_err(|e| Failure::new(&doing, &e))?;
            // What is done is told of, also if it was to be stopped meanwhile.
            let left = self.look_until(path, &doing, &CancellationToken::new()).await?;
            Ok(Checked { findings, mended: Some(mended), left: Some(left) })
        };
        Ok(Event::Checked(id, self.alone(&doing, repairing).await?))
    }

    async fn look(&self, path: &Path, doing: &str) -> Result<Findings, Failure> {
        self.look_until(path, doing, &self.token).await
    }

    async fn look_until(
        &self,
        path: &Path,
        doing: &str,
        token: &CancellationToken,
    ) -> Result<Findings, Failure> {
        let findings = embedded::check(path, token, self.tell()).await;
        findings.map_err(|e| Failure::new(doing, &e))
    }

    fn tell(&self) -> impl Fn(u64, u64) + Send + 'static {
        // What comes before the first picture takes time of its own.
        let (reporter, began) = (self.reporter.clone(), OnceLock::new());
        move |looked, total| {
            tell(&reporter, *began.get_or_init(Instant::now), looked, total);
        }
    }

    /// Looks at a collection through what every store can do.
    async fn look_through(
        &self,
        store: Arc<dyn VectorStore>,
        doing: &str,
    ) -> Result<Findings, Failure> {
        let failed = |error: store::Error| Failure::new(doing, &error);
        let (began, mut looked) = (Instant::now(), 0);
        let (mut findings, mut seen) = (Findings::default(), HashSet::new());
        let total = store.count().await.map_err(failed)?.pictures;
        let mut page = Some(Page::default());
        while let Some(this) = page {
            let listing = store.list(this).await.map_err(failed)?;
            for batch in listing.pictures.chunks(BATCH) {
                look_at(&store, batch, &mut seen, &mut findings).await.map_err(failed)?;
                looked += batch.len() as u64;
                tell(&self.reporter, began, looked, total.max(looked));
            }
            page = listing.next;
        }
        Ok(findings)
    }
}

fn tell(reporter: &Reporter, began: Instant, looked: u64, total: u64) {
    let progress = CheckProgress { looked, total, elapsed: began.elapsed() };
    reporter.report_if_free(Event::CheckProgress, progress);
}

/// Whether each of `batch` is there once and with an embedding, and has its
/// file if its folder is one of this machine.
async fn look_at(
    store: &Arc<dyn VectorStore>,
    batch: &[Listed],
    seen: &mut HashSet<PathBuf>,
    findings: &mut Findings,
) -> Result<(), store::Error> {
    let ids = batch.iter().map(|listed| listed.id.clone()).collect();
    let sound: HashSet<_> = store.get(ids).await?.into_iter().map(|record| record.id).collect();
    let name = |listed: &Listed| listed.id.location().to_string_lossy().into_owned();
    let mut good = Vec::new();
    for listed in batch {
        if !seen.insert(listed.id.location()) {
            findings.add(Fault::Duplicate, || name(listed));
        } else if !sound.contains(&listed.id) {
            findings.add(Fault::Vector, || name(listed));
        } else {
            good.push((listed.id.clone(), listed.known.hidden));
        }
    }
    let hidden = good.iter().filter(|(_, hidden)| *hidden).count() as u64;
    findings.hidden += hidden;
    findings.pictures += good.len() as u64 - hidden;
    let missing = move || {
        let is_missing = |id: &ImageId| id.folder().is_dir() && !id.location().exists();
        good.iter().filter(|(id, hidden)| !hidden && is_missing(id)).count() as u64
    };
    findings.missing += spawn_blocking(missing).await.unwrap_or_default();
    Ok(())
}
