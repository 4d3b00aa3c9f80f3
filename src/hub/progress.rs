//! How far a pull is.

/// How far a pull is. Reported after every piece that arrives, which is often:
/// whoever shows it chooses the pace. The rate is what [`PullProgress::done`]
/// without [`PullProgress::resumed`] has grown by over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullProgress {
    /// The file in hand, by its name in the repository.
    pub file: String,
    /// What is being done with it.
    pub step: PullStep,
    /// Bytes of the whole pull that are here, those of earlier pulls included.
    pub done: u64,
    /// Bytes of the whole pull.
    pub total: u64,
    /// Those of [`PullProgress::done`] that this pull did not have to fetch.
    pub resumed: u64,
}

/// What is being done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullStep {
    /// Another program is fetching the same file; it is waited for.
    Wait,
    /// Its bytes are arriving.
    Receive,
    /// It is here and its hash is being computed.
    Verify,
}

/// Keeps count over the files of a pull.
pub(super) struct Tally<F> {
    report: F,
    file: String,
    /// Bytes of the files before the one in hand.
    before: u64,
    total: u64,
    resumed: u64,
}

impl<F: FnMut(PullProgress)> Tally<F> {
    pub(super) fn new(report: F, total: u64) -> Self {
        Self { report, file: String::new(), before: 0, total, resumed: 0 }
    }

    pub(super) fn begin(&mut self, file: &str) {
        file.clone_into(&mut self.file);
    }

    /// `bytes` of the file in hand were here already.
    pub(super) fn resume(&mut self, bytes: u64) {
        self.resumed += bytes;
    }

    /// `bytes` of the file in hand turned out to be of no use.
    pub(super) fn discard(&mut self, bytes: u64) {
        self.resumed = self.resumed.saturating_sub(bytes);
    }

    /// `bytes` of the file in hand are here.
    pub(super) fn report(&mut self, step: PullStep, bytes: u64) {
        (self.report)(PullProgress {
            file: self.file.clone(),
            step,
            done: self.before + bytes,
            total: self.total,
            resumed: self.resumed,
        });
    }

    pub(super) fn finish(&mut self, size: u64) {
        self.before += size;
        self.report(PullStep::Receive, 0);
    }
}
