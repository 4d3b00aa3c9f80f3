//! What may be typed on the command line. No meaning yet: that is `config`'s
//! and the front ends'.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::backend::{Instructions, Precision};
use crate::config::{Settings, StoreChoice};
use crate::ui::graphics::GraphicsChoice;

/// Find the car by words or by picture, in a terminal.
///
/// Without a command, opens the terminal application: type what the car looks
/// like, or the path of a picture of it.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do; the terminal application if left out.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings that override the file and the environment.
    #[command(flatten)]
    pub settings: Flags,
}

const EXAMPLES: &str = "\
Examples:
  carlens                              open the terminal application
  carlens load ~/Pictures/cars         embed a folder of pictures
  carlens search \"red tesla\"           find by words
  carlens search --image photo.jpg     find pictures like this one
  carlens search -0 suv | xargs -0 -n1 xdg-open

Exit codes: 0 found or done, 1 nothing found, 2 error, 130 interrupted.";

/// A command without a terminal application.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Embed the pictures of a folder; what is there already is skipped, and
    /// what is gone is hidden.
    Load(LoadArgs),
    /// Find pictures by words or by a picture.
    Search(SearchArgs),
    /// Copy a collection to another store, embeddings and all.
    Copy(CopyArgs),
    /// Copy the collection to one file, while others use it.
    Backup(BackupArgs),
    /// Put a backup in the collection's place, after asking.
    Restore(BackupArgs),
    /// Follow a folder of the collection that was moved; embeds nothing again.
    Move(MoveArgs),
    /// Look for what is wrong with the collection, and mend it.
    Check(CheckArgs),
    /// Say which model and collection are in use and what they hold.
    Status(StatusArgs),
    /// List, download or locate models.
    #[command(subcommand)]
    Model(ModelCommand),
}

/// `carlens load`.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// The folder. Left out: the folders of the collection again, or else the
    /// `images` setting.
    pub folder: Option<PathBuf>,
    /// Erase pictures whose files are gone, after asking. Without asking:
    /// =few (a fifth of the folder's at most) or =all.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "ask")]
    pub prune: Option<PruneChoice>,
    /// Go on until interrupted, and follow every change of the folder.
    #[arg(long, conflicts_with = "prune")]
    pub watch: bool,
    /// Take pictures that another program stored in Astra DB, without saying
    /// which model embedded them, for pictures of the model in use.
    #[arg(long)]
    pub adopt: bool,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// The `--prune` flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PruneChoice {
    /// However many, if the answer is yes.
    Ask,
    /// A fifth at most.
    Few,
    /// However many.
    All,
}

/// `carlens search`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("query").required(true).args(["words", "image"]))]
pub struct SearchArgs {
    /// What the car looks like.
    pub words: Vec<String>,
    /// Find pictures like this one, a file or an http or https address.
    #[arg(short, long, value_name = "PICTURE")]
    pub image: Option<PathBuf>,
    /// How many pictures to find at most.
    #[arg(short = 'n', long, value_name = "N")]
    pub limit: Option<usize>,
    /// Only pictures below this folder.
    #[arg(long = "in", value_name = "DIR")]
    pub within: Option<PathBuf>,
    /// Print only paths, each followed by a NUL, as `xargs -0` reads them.
    #[arg(short = '0', long, conflicts_with = "json")]
    pub print0: bool,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `carlens copy`.
#[derive(Debug, Args)]
pub struct CopyArgs {
    /// What is copied: embedded or astra, with a collection's name behind a
    /// colon if it is not the one in use, as in embedded:trucks.
    #[arg(long, value_name = "STORE")]
    pub from: StoredAt,
    /// Where to, likewise. What is there already is left out.
    #[arg(long, value_name = "STORE")]
    pub to: StoredAt,
    /// Copy what is there already all the same.
    #[arg(long)]
    pub overwrite: bool,
    /// Take pictures that another program stored, without saying which model
    /// embedded them, for pictures of the model in use.
    #[arg(long)]
    pub adopt: bool,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `carlens backup` and `carlens restore`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The backup.
    pub file: PathBuf,
    /// Replace what is there without asking.
    #[arg(long)]
    pub force: bool,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `carlens move`.
#[derive(Debug, Args)]
pub struct MoveArgs {
    /// Where the folder was.
    pub old: PathBuf,
    /// Where it is.
    pub new: PathBuf,
    /// Also if it is not there, or has none of the pictures.
    #[arg(long)]
    pub force: bool,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `carlens check`.
#[derive(Clone, Copy, Debug, Args)]
pub struct CheckArgs {
    /// Mend what is wrong: remove what is of no use, and make a new file of
    /// what can be read of a damaged one, which is kept.
    #[arg(long)]
    pub repair: bool,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// A store, and which collection in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAt {
    /// The store.
    pub store: StoreChoice,
    /// The collection; the one in use if left out.
    pub collection: Option<String>,
}

impl FromStr for StoredAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (store, collection) = match text.split_once(':') {
            Some((store, collection)) => (store, Some(collection.to_owned())),
            None => (text, None),
        };
        match StoreChoice::from_str(store, false) {
            Ok(store) if store != StoreChoice::Auto => Ok(Self { store, collection }),
            _ => Err("choose embedded or astra".into()),
        }
    }
}

/// `carlens status`.
#[derive(Clone, Copy, Debug, Args)]
pub struct StatusArgs {
    /// List the files that could not be embedded, and why.
    #[arg(long)]
    pub failed: bool,
    /// Follow the load that another process carries out, to its end.
    #[arg(long, conflicts_with = "failed")]
    pub follow: bool,
    /// How to print.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// How a command prints.
#[derive(Clone, Copy, Debug, Args)]
pub struct OutputArgs {
    /// Print one JSON object, as README.md describes it.
    #[arg(long)]
    pub json: bool,
}

/// `carlens model`.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// The models there are, and which are on this machine.
    List(OutputArgs),
    /// Download a model.
    Pull {
        /// Its name in the list.
        name: String,
    },
    /// Print the folder of a model.
    Path {
        /// Its name in the list; left out, the model in use.
        name: Option<String>,
    },
}

/// Flags for settings; see `config/default.toml`.
#[derive(Debug, Args)]
pub struct Flags {
    /// A settings file instead of the usual one.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// auto, compact, clip-vit-b-32-256, clip-vit-b-32, or a folder.
    #[arg(long, global = true)]
    pub model: Option<String>,
    /// How exactly the model is computed.
    #[arg(long, global = true, value_enum)]
    pub precision: Option<Precision>,
    /// Which instructions of the processor it may use.
    #[arg(long, global = true, value_enum)]
    pub instructions: Option<Instructions>,
    /// On how many threads pictures are decoded and embedded; 0 is one for each
    /// core.
    #[arg(long, global = true, value_name = "COUNT")]
    pub threads: Option<usize>,
    /// The name of the collection.
    #[arg(long, global = true, value_name = "NAME")]
    pub collection: Option<String>,
    /// Where collections are kept.
    #[arg(long, global = true, value_name = "DIR")]
    pub data_folder: Option<PathBuf>,
    /// Where the collection is: auto, embedded (this machine) or astra.
    #[arg(long, global = true, value_enum)]
    pub store: Option<StoreChoice>,
    /// How commands tell of their progress on standard error: auto is a bar on
    /// a terminal and a line every few seconds in a log; json, JSON lines.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "HOW")]
    pub progress: ProgressChoice,
    /// How to draw pictures in the terminal application.
    #[arg(long, global = true, value_enum)]
    pub graphics: Option<GraphicsChoice>,
}

/// The `--progress` flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProgressChoice {
    /// A bar on a terminal, else lines.
    #[default]
    Auto,
    /// A bar that is painted over.
    Bar,
    /// A line every few seconds.
    Lines,
    /// JSON lines, also for failures and warnings.
    Json,
    /// No progress.
    None,
}

impl Cli {
    /// The settings that were given as flags.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let limit = match &self.command {
            Some(Command::Search(search)) => search.limit,
            _ => None,
        };
        Settings {
            model: self.settings.model.clone(),
            precision: self.settings.precision,
            instructions: self.settings.instructions,
            threads: self.settings.threads,
            images: None,
            collection: self.settings.collection.clone(),
            data_folder: self.settings.data_folder.clone(),
            store: self.settings.store,
            adopt: match &self.command {
                Some(Command::Load(load)) => load.adopt,
                Some(Command::Copy(copy)) => copy.adopt,
                _ => false,
            },
            limit,
            graphics: self.settings.graphics,
            ..Settings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_copy_names_two_stores() {
        let cli =
            Cli::parse_from(["carlens", "copy", "--from", "embedded:trucks", "--to", "astra"]);
        let Some(Command::Copy(copy)) = cli.command else { panic!("{cli:?}") };
        let trucks = Some("trucks".to_owned());
        assert_eq!(copy.from, StoredAt { store: StoreChoice::Embedded, collection: trucks });
        assert_eq!(copy.to, StoredAt { store: StoreChoice::Astra, collection: None });
        let auto = Cli::try_parse_from(["carlens", "copy", "--from", "auto", "--to", "astra"]);
        assert!(auto.is_err());
    }
}
