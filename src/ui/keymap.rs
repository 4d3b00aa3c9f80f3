//! Which key asks for what: the defaults, changed by the settings. Keys never
//! act; they are looked up here.

use std::collections::BTreeMap;

use super::action::{Action, ENTRIES, Entry, Scope};
use super::key::{Key, UnknownKey};

/// The keys of every action.
#[derive(Clone, Debug)]
pub struct Keymap {
    /// In the order of [`ENTRIES`].
    bindings: Vec<Binding>,
}

#[derive(Clone, Debug)]
struct Binding {
    entry: usize,
    /// Each a sequence of keys; none if the action was unbound.
    sequences: Vec<Vec<Key>>,
}

/// What a sequence of keys asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// This.
    Action(Action),
    /// It depends on the next key.
    Prefix,
    /// Nothing.
    Nothing,
}

/// Why the keys in the settings make no sense.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is called so.
    #[error("there is no action `{name}`; there are: {known}")]
    UnknownAction {
        /// What was written.
        name: String,
        /// What could have been.
        known: String,
    },
    /// No key is called so.
    #[error("the keys of `{action}`: {source}")]
    UnknownKey {
        /// Whose keys.
        action: String,
        /// Which key.
        source: UnknownKey,
    },
    /// A key cannot ask for two things at a time.
    #[error("`{key}` is bound to both `{first}` and `{second}`: give one of them another key")]
    Ambiguous {
        /// The keys.
        key: String,
        /// An action.
        first: &'static str,
        /// Another one.
        second: &'static str,
    },
    /// Or there would be no way out.
    #[error("`quit` needs at least one key")]
    NoWayOut,
}

impl Default for Keymap {
    fn default() -> Self {
        // A test builds it.
        Self::new(&BTreeMap::new()).expect("the default keys are unambiguous")
    }
}

impl Keymap {
    /// The default keys, where `settings` do not give an action others. Each
    /// is a key or several one after the other, separated by spaces; an action
    /// may be left without.
    ///
    /// # Errors
    /// If a name is unknown, two actions would have the same key, or no key
    /// quits.
    pub fn new(settings: &BTreeMap<String, Vec<String>>) -> Result<Self, Error> {
        let known = |name: &String| ENTRIES.iter().any(|entry| entry.name == name);
        if let Some(name) = settings.keys().find(|name| !known(name)) {
            let known = ENTRIES.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ");
            return Err(Error::UnknownAction { name: name.clone(), known });
        }
        let mut bindings = Vec::new();
        for (n, entry) in ENTRIES.iter().enumerate() {
            let sequences = match settings.get(entry.name) {
                Some(keys) => sequences(keys.iter().map(String::as_str)),
                None => sequences(entry.keys.iter().copied()),
            };
            let sequences = sequences
                .map_err(|source| Error::UnknownKey { action: entry.name.into(), source })?;
            bindings.push(Binding { entry: n, sequences });
        }
        let mut map = Self { bindings };
        map.give_way(settings);
        map.check()?;
        Ok(map)
    }

    /// A key that the settings give to an action is taken from those that have
    /// it by default only.
    fn give_way(&mut self, settings: &BTreeMap<String, Vec<String>>) {
        let chosen: Vec<(Scope, Vec<Key>)> = self
            .bindings
            .iter()
            .filter(|binding| settings.contains_key(binding.entry().name))
            .flat_map(|b| b.sequences.iter().map(|keys| (b.entry().scope, keys.clone())))
            .collect();
        for binding in &mut self.bindings {
            let entry = binding.entry();
            if !settings.contains_key(entry.name) {
                binding.sequences.retain(|keys| {
                    !chosen.iter().any(|(scope, taken)| {
                        meet(*scope, entry.scope) && hide_one_another(keys, taken)
                    })
                });
            }
        }
    }

    fn check(&self) -> Result<(), Error> {
        let all: Vec<(&Entry, &Vec<Key>)> = self
            .bindings
            .iter()
            .flat_map(|b| b.sequences.iter().map(move |keys| (b.entry(), keys)))
            .collect();
        for (n, (first, keys)) in all.iter().enumerate() {
            let clash = all[n + 1..].iter().find(|(second, others)| {
                meet(first.scope, second.scope) && hide_one_another(keys, others)
            });
            if let Some((second, _)) = clash {
                let key = shown(keys);
                return Err(Error::Ambiguous { key, first: first.name, second: second.name });
            }
        }
        if self.keys(Action::Quit, Scope::Always).is_none() {
            return Err(Error::NoWayOut);
        }
        Ok(())
    }

    /// What `keys`, pressed one after the other, ask for in `scope`.
    pub(super) fn find(&self, scope: Scope, keys: &[Key]) -> Match {
        let mut prefix = false;
        for binding in self.bindings.iter().filter(|b| meet(scope, b.entry().scope)) {
            for sequence in &binding.sequences {
                if sequence == keys {
                    return Match::Action(binding.entry().action);
                }
                prefix |= sequence.starts_with(keys);
            }
        }
        if prefix { Match::Prefix } else { Match::Nothing }
    }

    /// The first key of an action in `scope`, for people; nothing if it has
    /// none.
    pub(super) fn keys(&self, action: Action, scope: Scope) -> Option<String> {
        let of_action = |b: &&Binding| b.entry().action == action && meet(scope, b.entry().scope);
        let mut bound = self.bindings.iter().filter(of_action);
        bound.find_map(|binding| binding.sequences.first()).map(|keys| shown(keys))
    }

    /// Every action that has a key, for the help: keys, scope and sentence.
    pub(super) fn help(&self) -> impl Iterator<Item = (String, Scope, &'static str)> {
        self.bindings.iter().filter(|binding| !binding.sequences.is_empty()).map(|binding| {
            let keys: Vec<String> = binding.sequences.iter().map(|keys| shown(keys)).collect();
            (keys.join(", "), binding.entry().scope, binding.entry().help)
        })
    }
}

impl Binding {
    fn entry(&self) -> &'static Entry {
        &ENTRIES[self.entry]
    }
}

fn sequences<'a>(keys: impl Iterator<Item = &'a str>) -> Result<Vec<Vec<Key>>, UnknownKey> {
    keys.map(|text| {
        let keys: Vec<Key> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(UnknownKey::named(text)) } else { Ok(keys) }
    })
    .collect()
}

fn shown(keys: &[Key]) -> String {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    // `gg`, but `Ctrl-X Ctrl-S`.
    if keys.iter().all(|key| key.chars().count() == 1) { keys.concat() } else { keys.join(" ") }
}

/// Whether both are in force at the same time.
fn meet(a: Scope, b: Scope) -> bool {
    a == b || a == Scope::Always || b == Scope::Always
}

/// Whether after one of them the other can no longer be typed.
fn hide_one_another(a: &[Key], b: &[Key]) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<Key> {
        text.split_whitespace().map(|key| key.parse().unwrap()).collect()
    }

    fn settings(entries: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        entries
            .iter()
            .map(|(name, keys)| {
                ((*name).to_owned(), keys.iter().map(|k| (*k).to_owned()).collect())
            })
            .collect()
    }

    #[test]
    fn no_letter_is_a_command_while_typing() {
        let map = Keymap::default();
        for c in ('!'..='~').chain(['é', '赤']) {
            assert_eq!(map.find(Scope::Typing, &keys(&c.to_string())), Match::Nothing, "{c}");
        }
        assert_eq!(map.find(Scope::Typing, &keys("space")), Match::Nothing);
    }

    #[test]
    fn every_action_has_a_name_of_its_own_and_a_key() {
        let mut names: Vec<_> = ENTRIES.iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ENTRIES.len());
        assert_eq!(Keymap::default().help().count(), ENTRIES.len());
    }

    #[test]
    fn the_readme_names_every_action_and_its_keys() {
        let readme = include_str!("../../README.md");
        let mut map = Keymap::default();
        map.bindings.sort_by_key(|binding| binding.entry);
        for binding in &map.bindings {
            let keys: Vec<String> = binding.sequences.iter().map(|keys| shown(keys)).collect();
            let Entry { name, help, .. } = binding.entry();
            let row = format!("| {} | {help} | `{name}` |", keys.join(", "));
            assert!(readme.contains(&row), "README.md lacks {row}");
        }
    }

    #[test]
    fn a_sequence_is_awaited_to_its_end() {
        let map = Keymap::default();
        assert_eq!(map.find(Scope::Browsing, &keys("g")), Match::Prefix);
        assert_eq!(map.find(Scope::Browsing, &keys("g g")), Match::Action(Action::First));
        assert_eq!(map.find(Scope::Browsing, &keys("g x")), Match::Nothing);
        assert_eq!(map.keys(Action::First, Scope::Browsing).as_deref(), Some("gg"));
    }

    #[test]
    fn the_settings_give_an_action_other_keys_and_take_them_from_the_defaults() {
        let map = Keymap::new(&settings(&[("open", &["m", "ctrl-o"]), ("mark", &[])])).unwrap();
        assert_eq!(map.find(Scope::Browsing, &keys("m")), Match::Action(Action::Open));
        assert_eq!(map.find(Scope::Browsing, &keys("ctrl-o")), Match::Action(Action::Open));
        assert_eq!(map.find(Scope::Browsing, &keys("o")), Match::Nothing);
        assert_eq!(map.find(Scope::Browsing, &keys("space")), Match::Nothing);
        assert_eq!(map.keys(Action::MoreLikeThis, Scope::Browsing), None);
    }

    #[test]
    fn settings_that_make_no_sense_are_explained() {
        for (entries, expected) in [
            (&[("opne", &["o"][..])][..], "there is no action `opne`"),
            (&[("open", &["return"])], "`return` is no key"),
            (&[("open", &["x"]), ("mark", &["x"])], "`x` is bound to both `open` and `mark`"),
            (&[("open", &["x"]), ("mark", &["x y"])], "bound to both"),
            (&[("quit", &[])], "`quit` needs at least one key"),
        ] {
            let error = Keymap::new(&settings(entries)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
