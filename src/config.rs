//! The settings: defaults ← file ← environment ← flags, resolved once.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use etcetera::{AppStrategy, AppStrategyArgs, app_strategy::Xdg};
use serde::Deserialize;

use crate::backend::ModelChoice;
use crate::domain::Printable;
use crate::ui::graphics::GraphicsChoice;
use crate::ui::{Keymap, Theme};

/// Every setting with its default and a sentence about it.
pub const DEFAULTS: &str = include_str!("../config/default.toml");

/// What the program works with.
#[derive(Debug)]
pub struct Config {
    /// Which model.
    pub model: ModelChoice,
    /// The folder to load when none is named.
    pub images: PathBuf,
    /// The collection's file.
    pub collection: PathBuf,
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
    /// Where the log and small notes to itself go.
    pub state_folder: PathBuf,
}

/// Settings that one source gives; the rest is left to the next one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// See `config/default.toml`, as for all of these.
    pub model: Option<String>,
    /// The folder to load when none is named.
    pub images: Option<PathBuf>,
    /// The collection's name.
    pub collection: Option<String>,
    /// Where collections are kept.
    pub data_folder: Option<PathBuf>,
    /// Hits per search.
    pub limit: Option<usize>,
    /// How to draw pictures.
    pub graphics: Option<GraphicsChoice>,
    /// Whether the mouse is carlens'.
    pub mouse: Option<bool>,
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
    /// There is no home folder to keep anything in.
    #[error("cannot find your home folder: set HOME, or XDG_DATA_HOME and XDG_STATE_HOME")]
    NoHome,
}

impl Settings {
    /// Reads a settings file.
    ///
    /// # Errors
    /// If it cannot be read, is not TOML, or has an unknown setting.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
        Self::from_toml(&text).map_err(|e| Error::Malformed {
            path: path.to_owned(),
            reason: e.to_string().trim_end().to_owned(),
        })
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
        let limit = text("CARLENS_LIMIT").map(|limit| limit.parse()).transpose();
        let graphics =
            text("CARLENS_GRAPHICS").map(|name| GraphicsChoice::from_str(&name, true)).transpose();
        let mouse = text("CARLENS_MOUSE").map(|mouse| mouse.parse()).transpose();
        Ok(Self {
            model: text("CARLENS_MODEL"),
            images: lookup("CARLENS_IMAGES").map(PathBuf::from),
            collection: text("CARLENS_COLLECTION"),
            data_folder: lookup("CARLENS_DATA_FOLDER").map(PathBuf::from),
            limit: limit.map_err(|_| wrong("CARLENS_LIMIT", "it is not a number".into()))?,
            graphics: graphics.map_err(|reason| wrong("CARLENS_GRAPHICS", reason))?,
            mouse: mouse
                .map_err(|_| wrong("CARLENS_MOUSE", "it is neither true nor false".into()))?,
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
            images: self.images.or(other.images),
            collection: self.collection.or(other.collection),
            data_folder: self.data_folder.or(other.data_folder),
            limit: self.limit.or(other.limit),
            graphics: self.graphics.or(other.graphics),
            mouse: self.mouse.or(other.mouse),
            keys: either(self.keys, other.keys),
            colors: either(self.colors, other.colors),
            colourless: self.colourless || other.colourless,
        }
    }
}

impl Config {
    /// Resolves flags over environment over file over defaults. `file` is the
    /// one that was asked for, if any.
    ///
    /// # Errors
    /// If a source cannot be read or a value makes no sense.
    pub fn resolve(
        flags: Settings,
        file: Option<&Path>,
        lookup: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Error> {
        let folders = Folders::of_this_user()?;
        let from_file = match file {
            Some(path) => Settings::from_file(path)?,
            None => optional(Settings::from_file(&folders.config.join("config.toml")))?,
        };
        let defaults = Settings::defaults();
        let settings = flags.or(Settings::from_environment(lookup)?).or(from_file).or(defaults);
        Self::from_settings(settings, folders)
    }

    fn from_settings(settings: Settings, folders: Folders) -> Result<Self, Error> {
        let wrong = |setting, reason: String| Error::Value { setting, reason };
        let model = settings.model.unwrap_or_default();
        let name = settings.collection.unwrap_or_default();
        let given = settings.data_folder.filter(|folder| !folder.as_os_str().is_empty());
        let theme = if settings.colourless {
            Theme::colourless()
        } else {
            Theme::new(&settings.colors).map_err(|e| wrong("colors", e.to_string()))?
        };
        Ok(Self {
            keymap: Keymap::new(&settings.keys).map_err(|e| wrong("keys", e.to_string()))?,
            theme,
            mouse: settings.mouse.unwrap_or(true),
            model: ModelChoice::parse(&model).map_err(|reason| wrong("model", reason))?,
            images: settings.images.unwrap_or_default(),
            collection: given
                .unwrap_or(folders.data)
                .join(collection_file(&name).map_err(|reason| wrong("collection", reason))?),
            limit: match settings.limit {
                Some(0) | None => return Err(wrong("limit", "it must be at least 1".into())),
                Some(limit) => limit,
            },
            graphics: settings.graphics.unwrap_or(GraphicsChoice::Auto),
            state_folder: folders.state,
        })
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
            images,
            collection,
            data_folder,
            limit,
            graphics,
            mouse,
            keys,
            colors,
            ..
        } = Settings::from_toml(DEFAULTS).unwrap();
        assert_eq!(mouse, Some(true));
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
        let config = Config::resolve(flags, Some(&file), environment).unwrap();
        assert_eq!(config.limit, 5);
        assert!(config.collection.ends_with("environment.db"), "{:?}", config.collection);
        assert_eq!(config.images, PathBuf::from("from-file"));
    }

    #[test]
    fn an_unknown_setting_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "modle = \"compact\"").unwrap();
        let error = Config::resolve(Settings::default(), Some(&file), nothing).unwrap_err();
        assert!(error.to_string().contains("modle"), "{error}");
    }

    #[test]
    fn a_collection_cannot_leave_its_folder() {
        for name in ["", "../x", "a/b", "a b", "ü"] {
            assert!(collection_file(name).is_err(), "{name}");
        }
        assert_eq!(collection_file("car_images").unwrap(), "car_images.db");
    }
}
