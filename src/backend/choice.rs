//! Which model: what the configuration says, resolved to a checkpoint on this
//! machine.

use std::path::PathBuf;

use super::message::{Failure, ModelEntry, Offer};
use crate::clip::{Arithmetic, Checkpoint};
use crate::domain::Printable;
use crate::hub::{Hub, Preset};

/// The `model` setting.
#[derive(Clone, Debug)]
pub enum ModelChoice {
    /// A full model if one is on this machine, the recommended one first,
    /// else the compact one.
    Auto,
    /// The model that comes with the program.
    Compact,
    /// A model of the Hugging Face hub.
    Preset(&'static Preset),
    /// A checkpoint in a folder.
    Folder(PathBuf),
}

impl ModelChoice {
    /// Reads the setting: `auto`, `compact`, a preset's name, or a folder
    /// (anything with a path separator in it, or that exists).
    ///
    /// # Errors
    /// If it is none of these, with the choices.
    pub fn parse(setting: &str) -> Result<Self, String> {
        let path = PathBuf::from(setting);
        match setting {
            "auto" => Ok(Self::Auto),
            "compact" => Ok(Self::Compact),
            name => match Preset::named(name) {
                Some(preset) => Ok(Self::Preset(preset)),
                None if path.components().count() > 1 || path.is_dir() => Ok(Self::Folder(path)),
                None => Err(format!(
                    "there is no model {:?}: choose auto, compact, {}, or a folder",
                    Printable::new(name).to_string(),
                    Preset::all().iter().map(|p| p.name).collect::<Vec<_>>().join(", "),
                )),
            },
        }
    }

    /// Whether the choice is left to carlens.
    pub(super) fn is_auto(&self) -> bool {
        matches!(self, Self::Auto)
    }

    /// Opens the checkpoint of this choice, to be computed in this way.
    pub(super) fn open(&self, arithmetic: Arithmetic, hub: &Hub) -> Result<Checkpoint, Failure> {
        let opened = match self {
            Self::Compact => Checkpoint::bundled(),
            Self::Folder(folder) => Checkpoint::open(&folder.to_string_lossy(), folder),
            Self::Preset(preset) => match hub.find_preset(preset) {
                Some(folder) => Checkpoint::open(preset.name, &folder),
                None => return Err(not_here(preset)),
            },
            Self::Auto => match on_this_machine(hub) {
                Some((preset, folder)) => Checkpoint::open(preset.name, &folder),
                None => Checkpoint::bundled(),
            },
        };
        let computed = opened.map(|checkpoint| checkpoint.computed(arithmetic));
        computed.map_err(|e| Failure::new(format!("opening the model {self}"), &e))
    }

    /// The download to offer where the compact model is in use for want of
    /// another.
    pub(super) fn offer(&self, hub: &Hub) -> Option<Offer> {
        let wanting = self.is_auto() && !hub.is_offline() && on_this_machine(hub).is_none();
        wanting.then(|| {
            let preset = Preset::recommended();
            Offer {
                preset: preset.name.into(),
                bytes: preset.bytes,
                licence: preset.licence.into(),
            }
        })
    }
}

impl std::fmt::Display for ModelChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Compact => f.write_str("compact"),
            Self::Preset(preset) => f.write_str(preset.name),
            Self::Folder(folder) => write!(f, "{}", Printable::new(folder)),
        }
    }
}

/// Every model with a name, and whether it is on this machine. `in_use` is a
/// name as well.
pub(super) fn models(hub: &Hub, in_use: &str) -> Vec<ModelEntry> {
    let compact = ModelEntry {
        name: "compact".into(),
        bytes: Checkpoint::bundled_bytes(),
        licence: "research and demonstration only, see its model card".into(),
        summary: "comes with carlens, for trying it out".into(),
        installed: true,
        folder: None,
        in_use: in_use == "compact",
    };
    let full = Preset::all().iter().map(|preset| {
        let folder = hub.find_preset(preset);
        ModelEntry {
            name: preset.name.into(),
            bytes: preset.bytes,
            licence: preset.licence.into(),
            summary: preset.summary.into(),
            installed: folder.is_some(),
            folder,
            in_use: in_use == preset.name,
        }
    });
    std::iter::once(compact).chain(full).collect()
}

/// The first full model that is here, the recommended one before others.
fn on_this_machine(hub: &Hub) -> Option<(&'static Preset, PathBuf)> {
    let recommended = Preset::recommended();
    let others = Preset::all().iter().filter(|preset| preset.name != recommended.name);
    std::iter::once(recommended)
        .chain(others)
        .find_map(|preset| Some((preset, hub.find_preset(preset)?)))
}

fn not_here(preset: &Preset) -> Failure {
    Failure::because(
        format!("opening the model {}", preset.name),
        "it is not on this machine".to_owned(),
    )
    .hint(format!(
        "download it with `carlens model pull {}` ({} MB), or use `--model compact`",
        preset.name,
        preset.bytes / 1_000_000,
    ))
}
