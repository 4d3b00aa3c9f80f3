//! What crosses the line between a front end and the backend: plain data.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use image::DynamicImage;
use serde::{Deserialize, Serialize};

use super::roots::outermost;
use crate::clip::Tower;
use crate::domain::{
    Count, FileProblem, Formats, Hit, ImageId, ModelId, PixelSize, Place, SpaceSummary,
};
use crate::pace::Pace;
use crate::store::{BackedUp, Collection, Findings, Mended, Relocated, Restored, Wait};

/// Ties an [`Event`] to the [`Request`] it answers. Later is larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// What to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// A sentence.
    Text(String),
    /// Pictures like the one in this file.
    Picture(PathBuf),
    /// Pictures like the one at this `http` or `https` address.
    Address(String),
}

impl Query {
    /// Pictures like the one at `place`: a file, or an address of the web.
    #[must_use]
    pub fn of_picture(place: PathBuf) -> Self {
        let address = place.to_str().filter(|place| {
            let place = place.to_ascii_lowercase();
            place.starts_with("http://") || place.starts_with("https://")
        });
        match address {
            Some(address) => Self::Address(address.to_owned()),
            None => Self::Picture(place),
        }
    }
}

/// How a copy is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyHow {
    /// Pictures whose model is not recorded are those of the model in use.
    pub adopt: bool,
    /// What is there already is copied all the same.
    pub overwrite: bool,
}

/// How many pictures of a folder may be erased because their files are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prune {
    /// A fifth of the folder's: more, and a disk may be missing.
    Few,
    /// So many, as somebody was asked and said yes to that.
    Asked(usize),
    /// All of them.
    All,
}

/// What a front end may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Which model and collection are in use, and what they hold.
    Status {
        /// Answers carry it.
        id: RequestId,
    },
    /// Which files could not be embedded, as far as is remembered.
    Failed {
        /// Answers carry it.
        id: RequestId,
    },
    /// Embed the pictures below a folder and upsert them.
    Load {
        /// Answers carry it.
        id: RequestId,
        /// Which folder.
        folder: PathBuf,
        /// How many pictures loads of other folders have hidden in the same run:
        /// a disk that is missing may have held several of them.
        hidden: usize,
    },
    /// Load folders and keep the collection up to date with them, until
    /// cancelled.
    Watch {
        /// Answers carry it.
        id: RequestId,
        /// Which folders.
        folders: Vec<PathBuf>,
    },
    /// Count the pictures of a folder whose files are gone, hidden ones
    /// included.
    CountGone {
        /// Answers carry it.
        id: RequestId,
        /// Which folder.
        folder: PathBuf,
    },
    /// Erase the pictures of a folder whose files are gone, hidden ones
    /// included.
    Prune {
        /// Answers carry it.
        id: RequestId,
        /// Which folder.
        folder: PathBuf,
        /// How many at most.
        prune: Prune,
    },
    /// Find the most similar pictures. Supersedes a search still running.
    Search {
        /// Answers carry it.
        id: RequestId,
        /// What to look for.
        query: Query,
        /// How many hits at most.
        limit: usize,
        /// Only pictures below this folder.
        within: Option<PathBuf>,
    },
    /// Decode a picture for showing it.
    Thumbnail {
        /// Answers carry it.
        id: RequestId,
        /// Which file.
        path: PathBuf,
        /// It is shrunk to fit, never enlarged.
        bounds: PixelSize,
    },
    /// The models there are, and which are on this machine.
    Models {
        /// Answers carry it.
        id: RequestId,
    },
    /// Download a model by the name of its preset. Where the choice of model
    /// is left to carlens, it is used from then on.
    Pull {
        /// Answers carry it.
        id: RequestId,
        /// Which preset.
        preset: String,
    },
    /// Copy pictures into a folder, which is made if it is not there. Nothing
    /// there is overwritten.
    Export {
        /// Answers carry it.
        id: RequestId,
        /// Which files.
        pictures: Vec<PathBuf>,
        /// Into which folder.
        folder: PathBuf,
    },
    /// Copy one collection to another, embeddings and all, for the model in
    /// use. What is there already is left out.
    Copy {
        /// Answers carry it.
        id: RequestId,
        /// What is copied.
        from: Collection,
        /// Where to; made if it is not there.
        to: Collection,
        /// What is taken for granted, and what is done twice.
        how: CopyHow,
    },
    /// Copy the whole collection to a file.
    Backup {
        /// Answers carry it.
        id: RequestId,
        /// Which file.
        file: PathBuf,
        /// Whether it may be there already.
        replace: bool,
    },
    /// Put the backup in a file in the collection's place.
    Restore {
        /// Answers carry it.
        id: RequestId,
        /// Which file.
        file: PathBuf,
        /// Whether pictures may be lost by it; if not, and some would be, it
        /// answers [`Event::WouldReplace`].
        replace: bool,
    },
    /// Look for what is wrong with the collection.
    Check {
        /// Answers carry it.
        id: RequestId,
        /// Whether to mend it.
        repair: bool,
    },
    /// Follow a folder of the collection that was moved.
    Relocate {
        /// Answers carry it.
        id: RequestId,
        /// Where it was.
        old: PathBuf,
        /// Where it is.
        new: PathBuf,
        /// Whether to do so although its pictures are not there.
        force: bool,
    },
    /// Tell of loads into the same collection by other processes, until
    /// cancelled.
    FollowLoads {
        /// Answers carry it.
        id: RequestId,
    },
    /// Let a load rest, or go on with it. Has no event of its own; the load's
    /// progress tells.
    Pause {
        /// The load's id.
        load: RequestId,
        /// Whether it shall rest.
        paused: bool,
    },
    /// Give up on a request; it answers [`Event::Cancelled`].
    Cancel(RequestId),
}

impl Request {
    /// Which request this is, or is about.
    #[must_use]
    pub fn id(&self) -> RequestId {
        match *self {
            Self::Status { id }
            | Self::Load { id, .. }
            | Self::Watch { id, .. }
            | Self::Failed { id }
            | Self::CountGone { id, .. }
            | Self::Prune { id, .. }
            | Self::Search { id, .. }
            | Self::Thumbnail { id, .. }
            | Self::Models { id }
            | Self::Pull { id, .. }
            | Self::Export { id, .. }
            | Self::Copy { id, .. }
            | Self::FollowLoads { id }
            | Self::Backup { id, .. }
            | Self::Restore { id, .. }
            | Self::Check { id, .. }
            | Self::Relocate { id, .. }
            | Self::Pause { load: id, .. }
            | Self::Cancel(id) => id,
        }
    }
}

/// What the backend says. Every request gets exactly one final event.
#[derive(Clone, Debug)]
pub enum Event {
    /// Which model and collection are in use.
    StatusReported(RequestId, Status),
    /// A tower of the model, which a load or a search waits for, has been read
    /// this far. Comes only where that takes a while. Not final.
    ModelProgress(RequestId, ModelProgress),
    /// The database is waited for; or it no longer is. Not final.
    Waiting(RequestId, Option<Wait>),
    /// Something to know before the answer. Not final.
    Remarked(RequestId, Remark),
    /// What a load is about to do. Not final.
    LoadPlanned(RequestId, LoadPlan),
    /// A load has got this far. Not final.
    LoadProgress(RequestId, LoadProgress),
    /// A picture could not be embedded; the load goes on. Not final.
    PictureFailed(RequestId, FileProblem),
    /// A folder that is watched is up to date, and changes are waited for. Not
    /// final.
    FolderUpToDate(RequestId, LoadProgress),
    /// A load is complete.
    LoadFinished(RequestId, LoadProgress),
    /// The files that could not be embedded, by absolute path.
    FailedListed(RequestId, Vec<FileProblem>),
    /// So many pictures have files that are gone.
    GoneCounted(RequestId, usize),
    /// So many pictures are erased.
    Pruned(RequestId, usize),
    /// The picture at the address that is searched for, to be shown. Not final.
    QueryPicture(RequestId, Thumbnail),
    /// A search is answered.
    SearchFinished(RequestId, Answer),
    /// A picture is ready to be shown.
    ThumbnailReady(RequestId, Thumbnail),
    /// The models there are.
    ModelsListed(RequestId, Vec<ModelEntry>),
    /// A download has got this far. Not final.
    PullProgress(RequestId, PullProgress),
    /// A model has been downloaded to this folder.
    Pulled(RequestId, PathBuf),
    /// Pictures have been copied.
    Exported(RequestId, Exported),
    /// A copy has got this far. Not final.
    CopyProgress(RequestId, CopyProgress),
    /// A collection has been copied, and compared with the original.
    Copied(RequestId, Copied),
    /// The collection has been copied to a file.
    BackedUp(RequestId, BackedUp),
    /// A backup is in the collection's place.
    Restored(RequestId, Restored),
    /// A backup is not restored, as something would be lost.
    WouldReplace(RequestId, Replacement),
    /// A check has got this far. Not final.
    CheckProgress(RequestId, CheckProgress),
    /// The collection has been checked, and mended if that was asked for.
    Checked(RequestId, Checked),
    /// The pictures of a folder have their new names.
    Relocated(RequestId, Relocated),
    /// The loads of other processes, as they are now. Not final.
    LoadsElsewhere(RequestId, Vec<LoadElsewhere>),
    /// Whether another process loads whatever changes in its folders.
    WatchedElsewhere(RequestId, bool),
    /// A load of another process has ended like this. Not final.
    LoadEndedElsewhere(RequestId, Box<LoadElsewhere>),
    /// The request was given up.
    Cancelled(RequestId),
    /// The request could not be carried out.
    Failed(RequestId, Failure),
}

impl Event {
    /// Which request this answers.
    #[must_use]
    pub fn request(&self) -> RequestId {
        match *self {
            Self::StatusReported(id, _)
            | Self::ModelProgress(id, _)
            | Self::Waiting(id, _)
            | Self::Remarked(id, _)
            | Self::LoadPlanned(id, _)
            | Self::LoadProgress(id, _)
            | Self::PictureFailed(id, _)
            | Self::FolderUpToDate(id, _)
            | Self::LoadFinished(id, _)
            | Self::FailedListed(id, _)
            | Self::GoneCounted(id, _)
            | Self::Pruned(id, _)
            | Self::SearchFinished(id, _)
            | Self::ThumbnailReady(id, _)
            | Self::ModelsListed(id, _)
            | Self::PullProgress(id, _)
            | Self::Pulled(id, _)
            | Self::QueryPicture(id, _)
            | Self::Exported(id, _)
            | Self::CopyProgress(id, _)
            | Self::Copied(id, _)
            | Self::BackedUp(id, _)
            | Self::Restored(id, _)
            | Self::WouldReplace(id, _)
            | Self::CheckProgress(id, _)
            | Self::Checked(id, _)
            | Self::Relocated(id, _)
            | Self::LoadsElsewhere(id, _)
            | Self::WatchedElsewhere(id, _)
            | Self::LoadEndedElsewhere(id, _)
            | Self::Cancelled(id)
            | Self::Failed(id, _) => id,
        }
    }

    /// Whether no further event follows for this request.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(
            self,
            Self::ModelProgress(..)
                | Self::Waiting(..)
                | Self::Remarked(..)
                | Self::LoadPlanned(..)
                | Self::LoadProgress(..)
                | Self::PictureFailed(..)
                | Self::FolderUpToDate(..)
                | Self::PullProgress(..)
                | Self::QueryPicture(..)
                | Self::CopyProgress(..)
                | Self::CheckProgress(..)
                | Self::LoadsElsewhere(..)
                | Self::WatchedElsewhere(..)
                | Self::LoadEndedElsewhere(..)
        )
    }
}

/// The model and collection in use.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The model.
    pub model: ModelId,
    /// Components per embedding.
    pub dimension: usize,
    /// Whether it is the compact model that comes with the program.
    pub compact: bool,
    /// A better model that could be downloaded.
    pub offer: Option<Offer>,
    /// Where the collection is, or will be.
    pub collection: Place,
    /// What it holds, one entry per model; empty if there is no collection
    /// yet.
    pub spaces: Vec<SpaceSummary>,
}

impl Status {
    /// What the collection holds for the model in use.
    #[must_use]
    pub fn space(&self) -> Option<&SpaceSummary> {
        // A model that is not recorded may be this one.
        let is_ours = |space: &&SpaceSummary| match &space.model {
            Some(model) => *model == self.model,
            None => space.dimension == self.dimension,
        };
        self.spaces.iter().find(is_ours)
    }

    /// The folders of this machine to load so that all are, of those that the
    /// collection has for the model in use, or else for another one; or else
    /// `fallback`.
    #[must_use]
    pub fn folders_or(&self, fallback: PathBuf) -> Vec<PathBuf> {
        let space = self.space().into_iter().chain(&self.spaces);
        let folders = space
            .map(|space| {
                let here = space.folders.iter().filter(|folder| folder.here);
                here.map(|folder| folder.path.clone()).collect::<Vec<_>>()
            })
            .find(|folders| !folders.is_empty());
        outermost(folders.unwrap_or_else(|| vec![fallback]))
    }
}

/// A model that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelEntry {
    /// What to call it.
    pub name: String,
    /// Length of its files, about.
    pub bytes: u64,
    /// Under what terms.
    pub licence: String,
    /// What it is good for.
    pub summary: String,
    /// Whether it is on this machine.
    pub installed: bool,
    /// Its folder, if it is on this machine and has one.
    pub folder: Option<PathBuf>,
    /// Whether it is the one in use.
    pub in_use: bool,
}

/// How much of a model's tower has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelProgress {
    /// What the model is called.
    pub model: String,
    /// Which half of it.
    pub tower: Tower,
    /// Bytes that are read.
    pub read: u64,
    /// Bytes of the whole tower.
    pub total: u64,
    /// Since the first of them.
    pub elapsed: Duration,
}

/// A model that could be downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Name of its preset.
    pub preset: String,
    /// Length of the download.
    pub bytes: u64,
    /// Under what terms.
    pub licence: String,
}

/// What a load is about to do.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadPlan {
    /// The folder, absolute.
    pub folder: PathBuf,
    /// The model that will embed.
    pub model: ModelId,
    /// What the collection holds of other models; it stays as it is.
    pub other_models: Vec<SpaceSummary>,
    /// Whether the collection has nothing of this model yet.
    pub new_space: bool,
}

/// How far a load has got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadProgress {
    /// Pictures found so far; final once `walked`.
    pub found: usize,
    /// Whether the whole folder has been listed.
    pub walked: bool,
    /// Pictures embedded and stored.
    pub embedded: usize,
    /// Pictures that were there already, unchanged.
    pub unchanged: usize,
    /// Pictures whose content was there by another name, as after a rename:
    /// stored, but not embedded again.
    #[serde(default)]
    pub recognised: usize,
    /// Pictures that were hidden, and whose files are back.
    #[serde(default)]
    pub returned: usize,
    /// Pictures that could not be embedded.
    pub failed: usize,
    /// Those of them whose format is known but not decoded.
    #[serde(default)]
    pub failed_by_format: Formats,
    /// Files that could not be embedded at an earlier load, and have not
    /// changed: not tried again.
    #[serde(default)]
    pub failed_before: usize,
    /// Those of them whose format is known but not decoded.
    #[serde(default)]
    pub failed_before_by_format: Formats,
    /// Pictures hidden, as their files are gone or are no pictures any more.
    #[serde(default)]
    pub hidden: usize,
    /// Pictures whose files are gone and which are not hidden, as they are so
    /// many at once that a disk may be missing.
    #[serde(default)]
    pub missing: usize,
    /// Pictures removed, as their files have other names now.
    #[serde(default)]
    pub removed: usize,
    /// The file last finished, relative to the folder. Other processes are
    /// told in words, as not every path can be written as JSON.
    #[serde(skip)]
    pub current: Option<PathBuf>,
    /// Since the load began, without the time it rested.
    pub elapsed: Duration,
    /// What its threads were busy with.
    #[serde(default)]
    pub stages: Box<StageTimes>,
    /// Whether it rests.
    pub paused: bool,
}

/// How long the threads of a load were at each of its stages, of which several go
/// on at once; what several threads do at a time counts for each of them.
/// Decoding, resizing and encoding keep a processor busy, whose time for them
/// this is; reading and storing may wait, which counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageTimes {
    /// Looking files up in the collection, reading and hashing them.
    pub reading: Duration,
    /// From a file's bytes to pixels.
    pub decoding: Duration,
    /// From pixels to what the model takes.
    pub resizing: Duration,
    /// By the model, which has to be read first.
    pub encoding: Duration,
    /// Putting embeddings into the collection.
    pub storing: Duration,
}

impl LoadProgress {
    /// Takes in how far it is: pictures that are stored already cost no time.
    pub(crate) fn add_to(&self, pace: &mut Pace) {
        let costly = self.embedded + self.failed;
        pace.observe(self.elapsed, costly as u64, (self.done() - costly) as u64);
    }

    /// How long the rest takes, at this pace.
    pub(crate) fn time_left(&self, pace: &Pace) -> Option<Duration> {
        let rest = self.found.saturating_sub(self.done());
        pace.left(rest as u64).filter(|_| self.walked)
    }

    /// What was found to be other than before.
    #[must_use]
    pub fn changed(&self) -> usize {
        let Self { embedded, recognised, returned, failed, hidden, removed, .. } = self;
        embedded + recognised + returned + failed + hidden + removed
    }

    /// Pictures that are done with, one way or another.
    #[must_use]
    pub fn done(&self) -> usize {
        let Self { embedded, unchanged, recognised, returned, failed, failed_before, .. } = self;
        embedded + unchanged + recognised + returned + failed + failed_before
    }
}

/// How a load came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It is complete.
    Finished,
    /// The user stopped it.
    Stopped,
    /// Something kept it from going on.
    Failed,
}

/// A load that another process carries out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadElsewhere {
    /// The process.
    pub process: u32,
    /// The folder that is loaded, for people.
    pub folder: String,
    /// How far it is.
    pub progress: LoadProgress,
    /// The file last finished, for people.
    #[serde(default)]
    pub current: Option<String>,
    /// Pictures embedded or failed per second, lately.
    #[serde(default)]
    pub rate: Option<f64>,
    /// How long the rest takes.
    #[serde(default)]
    pub left: Option<Duration>,
    /// The files that failed last, with the reasons, for people.
    #[serde(default)]
    pub failed: Vec<String>,
    /// How it ended; of one that has ended without a word, its process was
    /// killed.
    #[serde(default)]
    pub ended: Option<Ended>,
}

/// What became of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Where the copies are.
    pub folder: PathBuf,
    /// How many pictures were copied.
    pub copied: usize,
    /// Those that could not be.
    pub failed: Vec<FileProblem>,
}

/// How far a copy has got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyProgress {
    /// Pictures of the source.
    pub total: Count,
    /// Pictures copied.
    pub copied: usize,
    /// Pictures that were there already, of the same file.
    pub unchanged: usize,
    /// Pictures that could not be copied.
    pub failed: usize,
    /// Since the copy began.
    pub elapsed: Duration,
}

/// What became of a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// The final count.
    pub progress: CopyProgress,
    /// What could not be copied.
    pub failed: Vec<FileProblem>,
    /// How source and target compare.
    pub verification: Verification,
}

/// How the target of a copy compares with its source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Pictures of the source.
    pub in_source: usize,
    /// Pictures of the target; it may have had others before.
    pub in_target: usize,
    /// Those of the source that the target lacks.
    pub missing: Vec<ImageId>,
    /// Embeddings compared.
    pub compared: usize,
    /// Those that are the same but for rounding.
    pub alike: usize,
    /// Pictures that the source finds nearest to some of them.
    pub neighbours: usize,
    /// Those that the target finds as well.
    pub same_neighbours: usize,
}

impl Verification {
    /// Whether the target is as good as the source. A database finds
    /// neighbours approximately, so that one in ten may be another.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.missing.is_empty()
            && self.alike == self.compared
            && self.same_neighbours * 10 >= self.neighbours * 9
    }
}

/// How far a check has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckProgress {
    /// Pictures looked at.
    pub looked: u64,
    /// Pictures of the collection, hidden ones included.
    pub total: u64,
    /// Since the check began.
    pub elapsed: Duration,
}

/// What became of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What was found.
    pub findings: Findings,
    /// What was mended of it, if there was anything and that was asked for.
    pub mended: Option<Mended>,
    /// What was found after that.
    pub left: Option<Findings>,
}

/// What a restore would replace, and by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// Pictures of the collection; `None` if it is damaged.
    pub held: Option<u64>,
    /// Pictures of the backup.
    pub pictures: u64,
}

/// Answer to a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Best first.
    pub hits: Vec<Hit>,
    /// How many pictures were searched.
    pub searched: Count,
}

/// A picture ready to be shown, upright and no larger than asked.
#[derive(Clone)]
pub struct Thumbnail {
    /// The pixels.
    pub picture: Arc<DynamicImage>,
    /// Size of the whole picture.
    pub pixels: PixelSize,
}

impl fmt::Debug for Thumbnail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thumbnail").field("pixels", &self.pixels).finish_non_exhaustive()
    }
}

/// How far a download has got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// The file under way.
    pub file: String,
    /// Bytes here, of all files, those of an earlier attempt included.
    pub done: u64,
    /// Bytes of all files.
    pub total: u64,
    /// Bytes that came with this attempt.
    pub received: u64,
    /// Since this attempt began.
    pub elapsed: Duration,
}

/// Something to know before an answer is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What.
    pub text: String,
    /// What to do about it.
    pub hint: String,
}

/// An error as a person reads it: what was tried, why it failed, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was being done.
    pub doing: String,
    /// Why it failed, outermost cause first.
    pub causes: Vec<String>,
    /// What to try, where that is known.
    pub hint: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.causes.join(": "))
    }
}
