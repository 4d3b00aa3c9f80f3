//! The settings: defaults ← file ← environment ← flags, resolved once.

mod database;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use etcetera::{AppStrategy, AppStrategyArgs, app_strategy::Xdg};
use serde::Deserialize;

use self::database::Variables;
pub use self::database::{AstraSettings, ServiceChoice};
use crate::backend::{Arithmetic, Collection, Instructions, ModelChoice, Precision};
use crate::domain::Printable;
use crate::dot_env::DotEnv;
use crate::secret::Secret;
use crate::store::astra::{self, Database};
use crate::ui::graphics::GraphicsChoice;
use crate::ui::{Keymap, Theme};

/// Nobody has more cores, and no system likes more threads.
const MOST_THREADS: usize = 1024;

/// Every setting with its default and a sentence about it.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// What the program works with.
#[derive(Debug)]
pub struct Config {
    /// Which model.
    pub model: ModelChoice,
    /// How its towers are computed.
    pub arithmetic: Arithmetic,
    /// On how many threads, if not on as many as there are cores.
    pub threads: Option<NonZero<usize>>,
    /// The folder to load when none is named.
    pub images: PathBuf,
    /// Which collection, of which store.
    pub collection: Collection,
    /// Whether this process knows the token of a database, in use or not.
    pub has_token: bool,
    /// Hits per search.
    pub limit: usize,
    /// How to draw pictures.
    pub graphics: GraphicsChoice,
    /// Which key does what.
    pub keymap: Keymap,
    /// Colours.
    pub theme: Theme,
    /// Whether the mouse is carlens'.
    pub mouse: bool,
    /// Whether the application watches folders from the start.
    pub watch: bool,
    /// Where the log and small notes to itself go.
    pub state_folder: PathBuf,
}

/// Settings that one source gives; the rest is left to the next one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// See `config/default.toml`, as for all of these.
    pub model: Option<String>,
    /// How exactly the model is computed.
    pub precision: Option<Precision>,
    /// Which instructions of the processor it may use.
    pub instructions: Option<Instructions>,
    /// On how many threads pictures are decoded and embedded.
    pub threads: Option<usize>,
    /// The folder to load when none is named.
    pub images: Option<PathBuf>,
    /// The collection's name.
    pub collection: Option<String>,
    /// Where collections are kept.
    pub data_folder: Option<PathBuf>,
    /// In which store the collection is.
    pub store: Option<StoreChoice>,
    /// The database that it may be in.
    #[serde(default)]
    pub astra: AstraSettings,
    /// Whether pictures of an unknown model are taken for those of this one.
    #[serde(skip)]
    pub adopt: bool,
    /// Hits per search.
    pub limit: Option<usize>,
    /// How to draw pictures.
    pub graphics: Option<GraphicsChoice>,
    /// Whether the mouse is carlens'.
    pub mouse: Option<bool>,
    /// Whether the application watches folders from the start.
    pub watch: Option<bool>,
    /// Keys of actions; the other actions keep theirs.
    #[serde(default)]
    pub keys: BTreeMap<String, Vec<String>>,
    /// Colours of parts; the other parts keep theirs.
    #[serde(default)]
    pub colors: BTreeMap<String, String>,
    /// No colours but those of pictures.
    #[serde(skip)]
    pub colourless: bool,
}

/// The `store` setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum StoreChoice {
    /// Astra if its endpoint and token are set, else embedded.
    #[default]
    Auto,
    /// A file of this machine.
    Embedded,
    /// Astra DB, or a Data API of one's own.
    Astra,
}

/// Why the settings make no sense.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file named by `--config` or found in its place could not be read.
    #[error("cannot read the settings in {}", Printable::new(path))]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is not TOML, or has a setting we do not know.
    #[error("the settings in {} make no sense: {reason}", Printable::new(path))]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// One setting has a value it cannot have.
    #[error("{setting}: {reason}")]
    Value {
        /// Which setting.
        setting: &'static str,
        /// Why.
        reason: String,
    },
    /// The database cannot be used as it is set.
    #[error("the settings of Astra DB")]
    Astra(#[from] astra::Error),
    /// The token itself stands in a settings file.
    #[error("the settings hold a token under [astra], where anybody may read it")]
    TokenInFile,
    /// There is no home folder to keep anything in.
    #[error("cannot find your home folder: set HOME, or XDG_DATA_HOME and XDG_STATE_HOME")]
    NoHome,
}

impl Error {
    /// What to try, where that is known.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Astra(error) => error.advice(),
            Self::TokenInFile => Some(
                "put the token into the variable ASTRA_DB_APPLICATION_TOKEN, or into one that \
                 `token_variable` names, and take it out of the file"
                    .into(),
            ),
            _ => None,
        }
    }
}

impl Settings {
    /// Reads a settings file.
    ///
    /// # Errors
    /// If it cannot be read, is not TOML, or has an unknown setting.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
        let settings = Self::from_toml(&text).map_err(|e| Error::Malformed {
            path: path.to_owned(),
            reason: without_text(&e, &text),
        })?;
        match settings.astra.token {
            Some(_) => Err(Error::TokenInFile),
            None => Ok(settings),
        }
    }

    /// A test parses them.
    fn defaults() -> Self {
        Self::from_toml(DEFAULTS).expect("the defaults are TOML")
    }

    fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Reads the `CARLENS_...` variables; empty ones count as unset.
    ///
    /// # Errors
    /// If one has a value it cannot have.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let lookup = |name| lookup(name).filter(|value| !value.is_empty());
        let text = |name| lookup(name).map(|value| value.to_string_lossy().into_owned());
        let wrong = |setting, reason: String| Error::Value { setting, reason };
        let threads = text("CARLENS_THREADS").map(|threads| threads.parse()).transpose();
        let limit = text("CARLENS_LIMIT").map(|limit| limit.parse()).transpose();
        let graphics = text("CARLENS_GRAPHICS").map(|name| choice(&name)).transpose();
        let mouse = text("CARLENS_MOUSE").map(|mouse| mouse.parse()).transpose();
        let watch = text("CARLENS_WATCH").map(|watch| watch.parse()).transpose();
        let store = text("CARLENS_STORE").map(|name| choice(&name)).transpose();
        let store = store.map_err(|reason| wrong("CARLENS_STORE", reason))?;
        let precision = text("CARLENS_PRECISION").map(|name| choice(&name)).transpose();
        let instructions = text("CARLENS_INSTRUCTIONS").map(|name| choice(&name)).transpose();
        Ok(Self {
            model: text("CARLENS_MODEL"),
            precision: precision.map_err(|reason| wrong("CARLENS_PRECISION", reason))?,
            instructions: instructions.map_err(|reason| wrong("CARLENS_INSTRUCTIONS", reason))?,
            threads: threads.map_err(|_| wrong("CARLENS_THREADS", "it is not a number".into()))?,
            images: lookup("CARLENS_IMAGES").map(PathBuf::from),
            collection: text("CARLENS_COLLECTION"),
            data_folder: lookup("CARLENS_DATA_FOLDER").map(PathBuf::from),
            store,
            astra: AstraSettings::default(),
            adopt: false,
            limit: limit.map_err(|_| wrong("CARLENS_LIMIT", "it is not a number".into()))?,
            graphics: graphics.map_err(|reason| wrong("CARLENS_GRAPHICS", reason))?,
            mouse: mouse
                .map_err(|_| wrong("CARLENS_MOUSE", "it is neither true nor false".into()))?,
            watch: watch
                .map_err(|_| wrong("CARLENS_WATCH", "it is neither true nor false".into()))?,
            keys: BTreeMap::new(),
            colors: BTreeMap::new(),
            // By https://no-color.org, whatever it says.
            colourless: lookup("NO_COLOR").is_some(),
        })
    }

    /// These settings where they say something, `other` where not.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            model: self.model.or(other.model),
            precision: self.precision.or(other.precision),
            instructions: self.instructions.or(other.instructions),
            threads: self.threads.or(other.threads),
            images: self.images.or(other.images),
            collection: self.collection.or(other.collection),
            data_folder: self.data_folder.or(other.data_folder),
            store: self.store.or(other.store),
            astra: self.astra.or(other.astra),
            adopt: self.adopt || other.adopt,
            limit: self.limit.or(other.limit),
            graphics: self.graphics.or(other.graphics),
            mouse: self.mouse.or(other.mouse),
            watch: self.watch.or(other.watch),
            keys: either(self.keys, other.keys),
            colors: either(self.colors, other.colors),
            colourless: self.colourless || other.colourless,
        }
    }
}

impl Config {
    /// Resolves flags over environment over file over defaults. `file` is the
    /// one that was asked for, if any. What `dot_env` has of the database comes
    /// after the environment.
    ///
    /// # Errors
    /// If a source cannot be read or a value makes no sense.
    pub fn resolve(
        flags: Settings,
        file: Option<&Path>,
        lookup: impl Fn(&str) -> Option<OsString>,
        dot_env: &DotEnv,
    ) -> Result<Self, Error> {
        let folders = Folders::of_this_user()?;
        let from_file = match file {
            Some(path) => Settings::from_file(path)?,
            None => optional(Settings::from_file(&folders.config.join("config.toml")))?,
        };
        let defaults = Settings::defaults();
        let environment = Settings::from_environment(&lookup)?;
        let settings = flags.or(environment).or(from_file).or(defaults);
        Self::from_settings(settings, folders, &Variables { lookup, dot_env })
    }

    fn from_settings(
        settings: Settings,
        folders: Folders,
        variables: &Variables<'_, impl Fn(&str) -> Option<OsString>>,
    ) -> Result<Self, Error> {
        let wrong = |setting, reason: String| Error::Value { setting, reason };
        let model = settings.model.clone().unwrap_or_default();
        let name = settings.collection.clone().unwrap_or_default();
        let given = settings.data_folder.clone().filter(|folder| !folder.as_os_str().is_empty());
        let data = given.unwrap_or(folders.data);
        let token = database::token_variable(&settings.astra)?;
        let has_token = [&*token, database::TOKEN].iter().any(|name| variables.get(name).is_some());
        let collection = match database::resolved(&settings, &name, variables)? {
            Some(settings) => {
                let local = data.join(database::local_name(&settings.address));
                Collection::Astra(Database::new(settings), local)
            }
            None => Collection::Embedded(
                data.join(collection_file(&name).map_err(|reason| wrong("collection", reason))?),
            ),
        };
        let theme = if settings.colourless {
            Theme::colourless()
        } else {
            Theme::new(&settings.colors).map_err(|e| wrong("colors", e.to_string()))?
        };
        Ok(Self {
            keymap: Keymap::new(&settings.keys).map_err(|e| wrong("keys", e.to_string()))?,
            theme,
            mouse: settings.mouse.unwrap_or(true),
            watch: settings.watch.unwrap_or(false),
            arithmetic: Arithmetic {
                precision: settings.precision.unwrap_or_default(),
                instructions: settings.instructions.unwrap_or_default(),
            },
            threads: match settings.threads {
                Some(threads) if threads > MOST_THREADS => {
                    return Err(wrong("threads", format!("it must be at most {MOST_THREADS}")));
                }
                threads => threads.and_then(NonZero::new),
            },
            model: ModelChoice::parse(&model).map_err(|reason| wrong("model", reason))?,
            images: settings.images.unwrap_or_default(),
            collection,
            has_token,
            limit: match settings.limit {
                Some(0) | None => return Err(wrong("limit", "it must be at least 1".into())),
                Some(limit) => limit,
            },
            graphics: settings.graphics.unwrap_or(GraphicsChoice::Auto),
            state_folder: folders.state,
        })
    }
}

/// The choice called `name`, or a sentence with those there are.
fn choice<T: ValueEnum>(name: &str) -> Result<T, String> {
    T::from_str(name, true).map_err(|_| {
        let names = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let names: Vec<String> = names.map(|value| value.get_name().to_owned()).collect();
        format!("there is no {:?}: choose {}", Printable::new(name).to_string(), names.join(", "))
    })
}

/// What is wrong and where, without the line itself: it may hold a secret.
fn without_text(error: &toml::de::Error, text: &str) -> String {
    let message = Secret::hide_tokens(error.message());
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}

/// All of both; where they differ, `ours`.
fn either<T>(ours: BTreeMap<String, T>, mut others: BTreeMap<String, T>) -> BTreeMap<String, T> {
    others.extend(ours);
    others
}

/// A name that stays in its folder on every file system.
fn collection_file(name: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 48 || !name.chars().all(fits) {
        return Err("a collection's name has 1 to 48 letters, digits, _ and -".into());
    }
    Ok(format!("{name}.db"))
}

/// Where this program keeps things, by the XDG base directory specification
/// on every system.
struct Folders {
    config: PathBuf,
    data: PathBuf,
    state: PathBuf,
}

impl Folders {
    fn of_this_user() -> Result<Self, Error> {
        let names = AppStrategyArgs {
            top_level_domain: String::new(),
            author: String::new(),
            app_name: "carlens".into(),
        };
        let xdg = Xdg::new(names).map_err(|_| Error::NoHome)?;
        let state = xdg.state_dir().unwrap_or_else(|| xdg.data_dir());
        Ok(Self { config: xdg.config_dir(), data: xdg.data_dir(), state })
    }
}

/// No settings file is no error.
fn optional(read: Result<Settings, Error>) -> Result<Settings, Error> {
    match read {
        Err(Error::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(Settings::default())
        }
        read => read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<OsString> {
        None
    }

    #[test]
    fn the_default_file_names_every_setting() {
        let Settings {
            model,
            precision,
            instructions,
            images,
            collection,
            data_folder,
            store,
            astra,
            limit,
            graphics,
            mouse,
            watch,
            keys,
            colors,
            ..
        } = Settings::from_toml(DEFAULTS).unwrap();
        assert_eq!(precision, Some(Precision::Auto));
        assert_eq!(instructions, Some(Instructions::Auto));
        assert_eq!(mouse, Some(true));
        assert_eq!(watch, Some(false));
        assert_eq!(store, Some(StoreChoice::Auto));
        let AstraSettings { endpoint_variable, token_variable, keyspace, service, .. } = astra;
        assert_eq!(endpoint_variable.as_deref(), Some("ASTRA_DB_API_ENDPOINT"));
        assert_eq!(token_variable.as_deref(), Some("ASTRA_DB_APPLICATION_TOKEN"));
        assert_eq!(keyspace.as_deref(), Some(astra::DEFAULT_KEYSPACE));
        assert_eq!((service, astra.plain_http), (Some(ServiceChoice::Auto), Some(false)));
        assert!(keys.is_empty() && colors.is_empty());
        assert_eq!(model.as_deref(), Some("auto"));
        assert_eq!(images, Some("static/images".into()));
        assert_eq!(collection.as_deref(), Some("car_images"));
        assert_eq!(data_folder, Some(PathBuf::new()));
        assert_eq!(limit, Some(10));
        assert_eq!(graphics, Some(GraphicsChoice::Auto));
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "limit = 3\nimages = \"from-file\"\ncollection = \"file\"").unwrap();
        let environment = |name: &str| match name {
            "CARLENS_LIMIT" => Some("4".into()),
            "CARLENS_COLLECTION" => Some("environment".into()),
            _ => None,
        };
        let flags = Settings { limit: Some(5), ..Settings::default() };
        let config = Config::resolve(flags, Some(&file), environment, &DotEnv::default()).unwrap();
        assert_eq!(config.limit, 5);
        let Collection::Embedded(path) = &config.collection else { panic!("{config:?}") };
        assert!(path.ends_with("environment.db"), "{path:?}");
        assert_eq!(config.images, PathBuf::from("from-file"));
    }

    #[test]
    fn an_unknown_setting_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "modle = \"compact\"").unwrap();
        let error = Config::resolve(Settings::default(), Some(&file), nothing, &DotEnv::default());
        let error = error.unwrap_err();
        assert!(error.to_string().contains("modle"), "{error}");
    }

    #[test]
    fn how_the_model_is_computed_is_a_setting() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "precision = \"bf16\"\ninstructions = \"avx2\"").unwrap();
        let lookup = |name: &str| (name == "CARLENS_INSTRUCTIONS").then(|| "plain".into());
        let resolve = |flags| Config::resolve(flags, Some(&file), lookup, &DotEnv::default());
        let set = |flags| resolve(flags).unwrap().arithmetic;
        let arithmetic = |precision, instructions| Arithmetic { precision, instructions };
        let expected = arithmetic(Precision::Bf16, Instructions::Plain);
        assert_eq!(set(Settings::default()), expected);
        let flags = Settings { precision: Some(Precision::F32), ..Settings::default() };
        assert_eq!(set(flags), arithmetic(Precision::F32, Instructions::Plain));
    }

    #[test]
    fn an_unknown_way_to_compute_is_answered_with_those_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let dot_env = DotEnv::default();
        for (setting, variable, others) in [
            ("precision", "CARLENS_PRECISION", ["auto", "f32", "bf16", "int8"].as_slice()),
            ("instructions", "CARLENS_INSTRUCTIONS", &["auto", "avx2", "plain"]),
        ] {
            std::fs::write(&file, "").unwrap();
            let lookup = |name: &str| (name == variable).then(|| "best".into());
            let by_variable = Config::resolve(Settings::default(), Some(&file), lookup, &dot_env);
            std::fs::write(&file, format!("{setting} = \"best\"")).unwrap();
            let by_file = Config::resolve(Settings::default(), Some(&file), nothing, &dot_env);
            for (name, error) in [(variable, by_variable), ("line 1", by_file)] {
                let said = error.unwrap_err().to_string();
                assert!(said.contains(name) && said.contains("best"), "{said}");
                assert!(others.iter().all(|other| said.contains(other)), "{said}");
            }
        }
    }

    #[test]
    fn a_collection_cannot_leave_its_folder() {
        for name in ["", "../x", "a/b", "a b", "ü"] {
            assert!(collection_file(name).is_err(), "{name}");
        }
        assert_eq!(collection_file("car_images").unwrap(), "car_images.db");
    }

    const ENDPOINT: &str = "https://0-us-east-2.apps.astra.datastax.com";
    const TOKEN: &str = "AstraCS:abc:0f1e2d";

    /// The store that is in use with these variables set, the rest as `flags`.
    fn store(variables: &[(&str, &str)], dot_env: &DotEnv, flags: Settings) -> String {
        let lookup = |wanted: &str| {
            let set = variables.iter().find(|(name, _)| *name == wanted);
            set.map(|(_, value)| OsString::from(value))
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "").unwrap();
        match Config::resolve(flags, Some(&file), lookup, dot_env) {
            Ok(config) => {
                let shown = format!("{config:?}");
                assert!(!shown.contains(TOKEN), "{shown}");
                config.collection.place().to_string()
            }
            Err(error) => format!("{error}: {:?}", std::error::Error::source(&error)),
        }
    }

    #[test]
    fn astra_is_in_use_when_both_variables_are_set_and_nothing_else_is_said() {
        let both = [("ASTRA_DB_API_ENDPOINT", ENDPOINT), ("ASTRA_DB_APPLICATION_TOKEN", TOKEN)];
        let none = DotEnv::default();
        let astra = format!("car_images in default_keyspace of Astra DB at {ENDPOINT}");
        assert_eq!(store(&both, &none, Settings::default()), astra);
        for one in both {
            let place = store(&[one], &none, Settings::default());
            assert!(place.ends_with("car_images.db"), "{place}");
        }
        let embedded = Settings { store: Some(StoreChoice::Embedded), ..Settings::default() };
        assert!(store(&both, &none, embedded).ends_with("car_images.db"));
        let forced = || Settings { store: Some(StoreChoice::Astra), ..Settings::default() };
        let lacking = store(&both[..1], &none, forced());
        assert!(lacking.contains("NoToken"), "{lacking}");
        let keyspace = [both[0], both[1], ("ASTRA_DB_KEYSPACE", "cars")];
        assert!(store(&keyspace, &none, forced()).starts_with("car_images in cars of"));
    }

    #[test]
    fn a_dot_env_file_comes_after_the_environment() {
        let text =
            format!("ASTRA_DB_API_ENDPOINT={ENDPOINT}\nASTRA_DB_APPLICATION_TOKEN='{TOKEN}'");
        let dot_env = DotEnv::of(&text);
        assert!(store(&[], &dot_env, Settings::default()).ends_with(ENDPOINT));
        // Where the user's own token goes is not for a file to say.
        let own = [("ASTRA_DB_APPLICATION_TOKEN", TOKEN)];
        assert!(store(&own, &dot_env, Settings::default()).ends_with("car_images.db"));
        let other = [("ASTRA_DB_API_ENDPOINT", "https://db.example")];
        assert!(store(&other, &dot_env, Settings::default()).ends_with("https://db.example"));
        let forced = || Settings { store: Some(StoreChoice::Astra), ..Settings::default() };
        let broken = DotEnv::of(&format!("ASTRA_DB_APPLICATION_TOKEN = {TOKEN} {TOKEN}\n="));
        for settings in [Settings::default(), forced()] {
            let said = store(&[], &broken, settings);
            assert!(said.contains(".env") && !said.contains(TOKEN), "{said}");
        }
        // Nobody whose file is about something else is troubled.
        let other = DotEnv::of("A=don't\n=");
        assert!(store(&[], &other, Settings::default()).ends_with("car_images.db"));
        assert!(store(&[], &other, forced()).contains(".env"));
    }

    #[test]
    fn a_token_in_a_settings_file_is_refused_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        for text in [
            format!("[astra]\ntoken = \"{TOKEN}\""),
            format!("[astra]\ntokens = \"{TOKEN}\""),
            format!("[astra]\ntoken = \"{TOKEN}"),
            format!("astra = \"{TOKEN}\""),
            format!("limit = \"{TOKEN}\""),
            format!("[astra]\ntoken_variable = \"{TOKEN}\""),
            format!("store = \"astra\"\n[astra]\nendpoint_variable = \"{TOKEN}\""),
            "limit = \"Cassandra:abc:0f1e2d\"".to_owned(),
        ] {
            std::fs::write(&file, &text).unwrap();
            let resolved =
                Config::resolve(Settings::default(), Some(&file), nothing, &DotEnv::default());
            let error = resolved.unwrap_err();
            let said = format!("{error} {error:?} {:?}", error.advice());
            assert!(!said.contains("0f1e2d"), "{said}");
        }
    }
}
