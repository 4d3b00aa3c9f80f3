//! The `[astra]` table, and what it takes to use the database that it is about.

use std::ffi::OsString;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Error, Settings, StoreChoice};
use crate::domain::{Hex, Service};
use crate::dot_env::DotEnv;
use crate::secret::Secret;
use crate::store::astra;

/// The variable that holds the token unless another one is named.
pub(super) const TOKEN: &str = "ASTRA_DB_APPLICATION_TOKEN";

/// The `[astra]` table. The token itself is never in it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AstraSettings {
    /// The endpoint, instead of the variable.
    pub endpoint: Option<String>,
    /// The variable that holds the endpoint.
    pub endpoint_variable: Option<String>,
    /// The variable that holds the token.
    pub token_variable: Option<String>,
    /// The keyspace.
    pub keyspace: Option<String>,
    /// Who serves it.
    pub service: Option<ServiceChoice>,
    /// Whether the token may go to another machine in the clear.
    pub plain_http: Option<bool>,
    /// Only there to be refused.
    pub(super) token: Option<serde::de::IgnoredAny>,
}

/// Who serves a Data API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceChoice {
    /// Told by the host's name.
    #[default]
    Auto,
    /// Astra DB.
    Astra,
    /// HCD, DSE or Cassandra behind a Data API.
    SelfHosted,
}

impl AstraSettings {
    /// These settings where they say something, `other` where not.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            endpoint: self.endpoint.or(other.endpoint),
            endpoint_variable: self.endpoint_variable.or(other.endpoint_variable),
            token_variable: self.token_variable.or(other.token_variable),
            keyspace: self.keyspace.or(other.keyspace),
            service: self.service.or(other.service),
            plain_http: self.plain_http.or(other.plain_http),
            token: self.token.or(other.token),
        }
    }
}

/// The environment, and after it what a `.env` file says.
pub(super) struct Variables<'a, F> {
    pub(super) lookup: F,
    pub(super) dot_env: &'a DotEnv,
}

impl<F: Fn(&str) -> Option<OsString>> Variables<'_, F> {
    /// What the environment itself says.
    fn own(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name).map(|value| value.to_string_lossy().into_owned());
        value.filter(|value| !value.trim().is_empty())
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.own(name).or_else(|| self.dot_env.get(name))
    }
}

/// What it takes to use the database, if that is where the collection is.
pub(super) fn resolved(
    settings: &Settings,
    collection: &str,
    variables: &Variables<'_, impl Fn(&str) -> Option<OsString>>,
) -> Result<Option<astra::Settings>, Error> {
    let choice = settings.store.unwrap_or_default();
    if choice == StoreChoice::Embedded {
        return Ok(None);
    }
    let set = &settings.astra;
    let endpoint_name = variable_name(
        set.endpoint_variable.as_deref().unwrap_or("ASTRA_DB_API_ENDPOINT"),
        "astra.endpoint_variable",
    )?;
    let token_name = token_variable(set)?;
    let endpoint = match set.endpoint.clone().filter(|endpoint| !endpoint.is_empty()) {
        Some(endpoint) => Some(endpoint),
        // A file that lies in some folder does not say where the user's own
        // token goes.
        None if variables.own(&token_name).is_some() => variables.own(&endpoint_name),
        None => variables.get(&endpoint_name),
    };
    let token = variables.get(&token_name).and_then(|token| Secret::new(&token));
    let forced = choice == StoreChoice::Astra;
    if endpoint.is_none() || token.is_none() {
        // What is missing may be in what could not be read.
        let relevant = forced || variables.dot_env.is_of_database();
        if let Some(reason) = variables.dot_env.problem().filter(|_| relevant) {
            return Err(Error::Malformed { path: ".env".into(), reason: reason.to_owned() });
        }
        if !forced {
            return Ok(None);
        }
    }
    let endpoint = endpoint.ok_or(astra::Error::NoEndpoint { variable: endpoint_name })?;
    let token = token.ok_or(astra::Error::NoToken { variable: token_name })?;
    let keyspace = match variables.get("ASTRA_DB_KEYSPACE") {
        Some(keyspace) => keyspace.trim().to_owned(),
        None => set.keyspace.clone().unwrap_or_else(|| astra::DEFAULT_KEYSPACE.to_owned()),
    };
    let reading = astra::Reading {
        service: match set.service.unwrap_or_default() {
            ServiceChoice::Auto => None,
            ServiceChoice::Astra => Some(Service::Astra),
            ServiceChoice::SelfHosted => Some(Service::SelfHosted),
        },
        plain_http: set.plain_http.unwrap_or(false),
    };
    Ok(Some(astra::Settings {
        address: astra::Address::new(&endpoint, &keyspace, collection, reading)?,
        token,
        images: settings.images.clone().unwrap_or_default(),
        adopt: settings.adopt,
        patience: astra::Patience::default(),
    }))
}

/// The variable that holds the token.
pub(super) fn token_variable(set: &AstraSettings) -> Result<String, Error> {
    let name = set.token_variable.as_deref().unwrap_or(TOKEN);
    variable_name(name, "astra.token_variable")
}

/// `name` if a variable can be called so. What cannot is not repeated: it may
/// be the token itself.
fn variable_name(name: &str, setting: &'static str) -> Result<String, Error> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts_well = name.starts_with(|c: char| !c.is_ascii_digit());
    if starts_well && name.chars().all(fits) {
        return Ok(name.to_owned());
    }
    Err(Error::Value { setting, reason: "it is not the name of a variable".into() })
}

/// A name on this machine for a collection elsewhere: one for each.
pub(super) fn local_name(address: &astra::Address) -> String {
    format!("astra-{}", Hex(&Sha256::digest(address.to_string())[..6]))
}
