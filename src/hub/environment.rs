//! What the environment says about the hub, with the precedence of Python's
//! `huggingface_hub`, so that both programs use the same folder.
//!
//! An empty variable counts as unset.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::{Error, Secret};

/// The variables, read and resolved.
#[derive(Debug, PartialEq)]
pub(super) struct Environment {
    pub(super) endpoint: Option<String>,
    pub(super) cache: PathBuf,
    pub(super) token: Token,
    pub(super) offline: bool,
}

/// Where the token comes from.
#[derive(Debug, PartialEq)]
pub(super) enum Token {
    None,
    Given(Secret),
    File(PathBuf),
}

impl Environment {
    /// Resolves the variables that `lookup` knows.
    pub(super) fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let variables = Variables(lookup);
        let home = variables.hub_home();
        let below_home = |name: &str| home.as_ref().map(|home| home.join(name));
        let cache = variables.folder("HF_HUB_CACHE");
        let cache = cache.or_else(|| variables.folder("HUGGINGFACE_HUB_CACHE"));
        Ok(Self {
            endpoint: variables.text("HF_ENDPOINT"),
            cache: cache.or_else(|| below_home("hub")).ok_or(Error::NoCacheFolder)?,
            token: variables.token(below_home("token")),
            offline: variables.is_set("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"),
        })
    }
}

struct Variables<F>(F);

impl<F: Fn(&str) -> Option<OsString>> Variables<F> {
    fn get(&self, name: &str) -> Option<OsString> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| value.to_string_lossy().into_owned())
    }

    fn is_set(&self, name: &str, older_name: &str) -> bool {
        let value = self.text(name).or_else(|| self.text(older_name)).unwrap_or_default();
        matches!(value.to_ascii_lowercase().as_str(), "1" | "on" | "yes" | "true")
    }

    /// `~/.cache/huggingface` on every system, as in Python.
    fn hub_home(&self) -> Option<PathBuf> {
        let caches = || self.folder("XDG_CACHE_HOME").or_else(|| Some(self.home()?.join(".cache")));
        self.folder("HF_HOME").or_else(|| Some(caches()?.join("huggingface")))
    }

    fn home(&self) -> Option<PathBuf> {
        self.get("HOME").or_else(|| self.get("USERPROFILE")).map(PathBuf::from)
    }

    fn token(&self, usual_file: Option<PathBuf>) -> Token {
        if self.is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN", "") {
            return Token::None;
        }
        let given = self.text("HF_TOKEN").or_else(|| self.text("HUGGING_FACE_HUB_TOKEN"));
        let file = || self.folder("HF_TOKEN_PATH").or(usual_file);
        given
            .and_then(|text| Secret::new(&text))
            .map(Token::Given)
            .or_else(|| file().map(Token::File))
            .unwrap_or(Token::None)
    }

    fn folder(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(|value| self.expand(&value))
    }

    /// Replaces a leading `~` and any `$NAME` or `${NAME}` that is set. A path
    /// that is not UTF-8 has its `~` replaced only.
    fn expand(&self, path: &OsStr) -> PathBuf {
        let path = Path::new(path);
        let path = match (path.strip_prefix("~"), self.home()) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => path.to_owned(),
        };
        match path.to_str() {
            Some(text) if text.contains('$') => PathBuf::from(self.expand_variables(text)),
            _ => path,
        }
    }

    fn expand_variables(&self, text: &str) -> OsString {
        let mut expanded = OsString::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            expanded.push(before);
            let (name, length) = variable_name(after);
            match self.get(name) {
                Some(value) => expanded.push(value),
                None => expanded.push(&rest[before.len()..=before.len() + length]),
            }
            rest = &after[length..];
        }
        expanded.push(rest);
        expanded
    }
}

/// The name that follows a `$`, and how many bytes it takes with its braces.
fn variable_name(after: &str) -> (&str, usize) {
    if let Some((name, _)) = after.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
        return (name, name.len() + 2);
    }
    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
    (&after[..end], end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `NAME=value` lines, one after the other, are read as.
    fn read(lines: &[&str]) -> Environment {
        let lookup = |name: &str| {
            let mut pairs = lines.iter().filter_map(|line| line.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        };
        Environment::read(lookup).unwrap()
    }

    #[test]
    fn the_cache_is_the_one_python_uses() {
        let cases: &[(&[&str], &str)] = &[
            (&["HOME=/h"], "/h/.cache/huggingface/hub"),
            (&["HOME=/h", "XDG_CACHE_HOME=/x"], "/x/huggingface/hub"),
            (&["HOME=/h", "XDG_CACHE_HOME=/x", "HF_HOME=/y"], "/y/hub"),
            (&["HF_HOME=/y", "HUGGINGFACE_HUB_CACHE=/old"], "/old"),
            (&["HF_HOME=/y", "HUGGINGFACE_HUB_CACHE=/old", "HF_HUB_CACHE=/new"], "/new"),
            (&["HOME=/h", "HF_HOME=", "HF_HUB_CACHE="], "/h/.cache/huggingface/hub"),
            (&["HOME=/h", "HF_HOME=~/y"], "/h/y/hub"),
            (&["D=/data", "HF_HOME=$D/y", "HF_HUB_CACHE=${D}x/$NONE/$"], "/datax/$NONE/$"),
        ];
        for (lines, cache) in cases {
            assert_eq!(read(lines).cache, Path::new(cache), "{lines:?}");
        }
    }

    #[test]
    fn without_any_home_there_is_no_cache() {
        assert!(matches!(Environment::read(|_| None), Err(Error::NoCacheFolder)));
    }

    #[test]
    fn a_token_in_a_variable_comes_before_one_in_a_file() {
        let given = |text| Token::Given(Secret::new(text).unwrap());
        let file = |path| Token::File(PathBuf::from(path));
        let cases: &[(&[&str], Token)] = &[
            (&["HF_HOME=/y"], file("/y/token")),
            (&["HF_HOME=/y", "HF_TOKEN_PATH=/t"], file("/t")),
            (&["HF_HOME=/y", "HF_TOKEN_PATH=/t", "HUGGING_FACE_HUB_TOKEN=old"], given("old")),
            (&["HF_HOME=/y", "HUGGING_FACE_HUB_TOKEN=old", "HF_TOKEN= new\n"], given("new")),
            (&["HF_HOME=/y", "HF_TOKEN= "], file("/y/token")),
            (&["HF_HOME=/y", "HF_TOKEN=a", "HF_HUB_DISABLE_IMPLICIT_TOKEN=1"], Token::None),
        ];
        for (lines, token) in cases {
            assert_eq!(&read(lines).token, token, "{lines:?}");
        }
    }

    #[test]
    fn the_network_is_forbidden_by_a_yes_only() {
        for yes in ["1", "true", "YES", "On"] {
            assert!(read(&["HOME=/h", &format!("HF_HUB_OFFLINE={yes}")]).offline, "{yes}");
        }
        for no in ["0", "false", "no", ""] {
            assert!(!read(&["HOME=/h", &format!("HF_HUB_OFFLINE={no}")]).offline, "{no}");
        }
        assert!(read(&["HOME=/h", "TRANSFORMERS_OFFLINE=1"]).offline);
        assert!(!read(&["HOME=/h", "HF_HUB_OFFLINE=0", "TRANSFORMERS_OFFLINE=1"]).offline);
    }
}
