//! The full-size models a person can ask for by a short name.

use super::Repository;

/// A model of the hub with a name, and what to know before fetching it.
#[derive(Debug)]
pub struct Preset {
    /// What one types: `carlens model pull NAME`.
    pub name: &'static str,
    /// The repository it is known by.
    pub repository: Repository,
    /// Where else the same model is.
    pub alternatives: &'static [Repository],
    /// Its licence, in a few words.
    pub licence: &'static str,
    /// About how many bytes a pull brings.
    pub bytes: u64,
    /// What it is good for, in one sentence.
    pub summary: &'static str,
}

impl Preset {
    /// Every preset, in the order to show them.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &PRESETS
    }

    /// The preset called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// The one to offer.
    #[must_use]
    pub fn recommended() -> &'static Self {
        &PRESETS[1]
    }

    /// Every place the model may come from, the preferred one first; a copy of
    /// any that is already on this machine serves.
    pub fn sources(&self) -> impl Iterator<Item = &Repository> {
        std::iter::once(&self.repository).chain(self.alternatives)
    }
}

const OPENAI: Repository = Repository::known("openai/clip-vit-base-patch32");

/// The accuracies are those of `OpenCLIP`'s `docs/openclip_results.csv`, column
/// Stanford Cars.
static PRESETS: [Preset; 2] = [
    Preset {
        name: "clip-vit-b-32",
        // The main branch has long had pickled weights only; the conversion to
        // safetensors waits in a pull request. sentence-transformers publishes
        // the same weights, and is where Python's `clip-ViT-B-32` comes from.
        repository: OPENAI,
        alternatives: &[
            OPENAI.at("refs/pr/15"),
            Repository::known("sentence-transformers/clip-ViT-B-32").below("0_CLIPModel"),
        ],
        licence: "MIT",
        bytes: 605_157_884,
        summary: "OpenAI's original CLIP ViT-B/32: 59.6 % zero-shot on Stanford Cars; its card calls deployed use out of scope",
    },
    Preset {
        name: "clip-vit-b-32-256",
        repository: Repository::known("laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K"),
        alternatives: &[],
        licence: "MIT",
        bytes: 605_200_000,
        summary: "OpenCLIP ViT-B/32 at 256 px on DataComp, recommended for cars: 89.9 % zero-shot on Stanford Cars; its card calls deployed use out of scope",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_has_a_name_the_hub_allows() {
        for source in Preset::all().iter().flat_map(Preset::sources) {
            assert!(Repository::parse(source.name()).is_ok(), "{source}");
        }
    }

    #[test]
    fn a_preset_is_found_by_its_name_alone() {
        assert_eq!(Preset::named("clip-vit-b-32").unwrap().repository, OPENAI);
        assert!(Preset::named("clip").is_none());
    }
}
