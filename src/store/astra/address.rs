//! Where a Data API is asked: the endpoint, and the keyspace and collection
//! below it.

use std::fmt;

use reqwest::Url;

use super::Error;
use crate::domain::{DatabasePlace, Place, Service};
use crate::http;

/// Where the article's database, and every new one of Astra, keeps things.
pub const DEFAULT_KEYSPACE: &str = "default_keyspace";

/// A collection behind a Data API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Scheme, host and port; nothing secret.
    base: Url,
    service: Service,
    keyspace: String,
    collection: String,
}

/// Which part of a database a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Keyspace,
    Collection,
}

/// How an endpoint is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Who serves it; told by the host's name if left out.
    pub service: Option<Service>,
    /// Whether the token may travel in the clear to another machine.
    pub plain_http: bool,
}

impl Address {
    /// Reads an endpoint as people paste it: with or without the scheme, a
    /// trailing slash, or the path of an API below it.
    ///
    /// # Errors
    /// If it is no web address, a name cannot be one, or the token would
    /// travel in the clear.
    pub fn new(
        endpoint: &str,
        keyspace: &str,
        collection: &str,
        reading: Reading,
    ) -> Result<Self, Error> {
        let base = base(endpoint)?;
        let host = base.host_str().unwrap_or_default();
        let service = reading.service.unwrap_or_else(|| service_at(host));
        let plain = base.scheme() == "http";
        let astra_host = service_at(host) == Service::Astra;
        if plain && (astra_host || !(reading.plain_http || http::is_loopback(&base))) {
            return Err(Error::PlainHttp { host: host.into(), astra: astra_host });
        }
        for (what, name) in [("keyspace", keyspace), ("collection", collection)] {
            if !is_name(name) {
                return Err(Error::Name { what, name: name.into() });
            }
        }
        Ok(Self { base, service, keyspace: keyspace.into(), collection: collection.into() })
    }

    /// For people.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::Database(Box::new(DatabasePlace {
            service: self.service,
            endpoint: self.base.as_str().trim_end_matches('/').into(),
            keyspace: self.keyspace.clone(),
            collection: self.collection.clone(),
        }))
    }

    pub(super) fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    pub(super) fn keyspace(&self) -> &str {
        &self.keyspace
    }

    pub(super) fn collection(&self) -> &str {
        &self.collection
    }

    /// Where commands of this scope are sent.
    pub(super) fn url(&self, scope: Scope) -> Url {
        let prefix = match self.service {
            Service::Astra => "api/json/v1",
            Service::SelfHosted => "v1",
        };
        let mut url = self.base.clone();
        url.set_path(&match scope {
            Scope::Keyspace => format!("{prefix}/{}", self.keyspace),
            Scope::Collection => format!("{prefix}/{}/{}", self.keyspace, self.collection),
        });
        url
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place().fmt(f)
    }
}

/// Scheme, host and port of `endpoint`. What is not shown cannot be leaked:
/// an address may carry a password or a token in all its other parts.
fn base(endpoint: &str) -> Result<Url, Error> {
    let endpoint = endpoint.trim();
    let complete =
        if endpoint.contains("://") { endpoint.to_owned() } else { format!("https://{endpoint}") };
    let mut base = Url::parse(&complete).map_err(|e| Error::Endpoint { reason: e.to_string() })?;
    let is_web = matches!(base.scheme(), "http" | "https");
    if !is_web || base.host_str().is_none_or(str::is_empty) {
        return Err(Error::Endpoint { reason: "it is no http or https address".into() });
    }
    base.set_path("");
    base.set_query(None);
    base.set_fragment(None);
    // They fail only for addresses without a host.
    let _ = base.set_username("");
    let _ = base.set_password(None);
    Ok(base)
}

/// Astra's own hosts, as in `DataStax`'s clients: the production, development
/// and test domains.
fn service_at(host: &str) -> Service {
    let astra = ["astra", "astra-dev", "astra-test"]
        .map(|domain| format!(".apps.{domain}.datastax.com"))
        .iter()
        .any(|domain| host.ends_with(domain));
    if astra { Service::Astra } else { Service::SelfHosted }
}

/// As the Data API names keyspaces and collections.
fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=48).contains(&name.len()) && name.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASTRA: &str =
        "https://01234567-89ab-cdef-0123-456789abcdef-us-east-2.apps.astra.datastax.com";

    fn at(endpoint: &str) -> Result<Address, Error> {
        Address::new(endpoint, "default_keyspace", "car_images", Reading::default())
    }

    fn url(endpoint: &str) -> String {
        at(endpoint).unwrap().url(Scope::Collection).into()
    }

    #[test]
    fn astra_and_a_data_api_of_ones_own_differ_in_the_path() {
        assert_eq!(url(ASTRA), format!("{ASTRA}/api/json/v1/default_keyspace/car_images"));
        let own = "http://127.0.0.1:8181";
        assert_eq!(url(own), format!("{own}/v1/default_keyspace/car_images"));
        let keyspace = at(own).unwrap().url(Scope::Keyspace);
        assert_eq!(keyspace.as_str(), format!("{own}/v1/default_keyspace"));
        let forced = Reading { service: Some(Service::Astra), plain_http: false };
        let forced = Address::new(own, "k", "c", forced).unwrap();
        assert_eq!(forced.url(Scope::Collection).as_str(), format!("{own}/api/json/v1/k/c"));
    }

    #[test]
    fn an_endpoint_is_read_as_people_paste_it() {
        let bare = ASTRA.trim_start_matches("https://");
        for pasted in [
            format!(" {ASTRA}/\n"),
            format!("{ASTRA}/api/json/v1/default_keyspace"),
            format!("{ASTRA}/api/json?token=AstraCS:x"),
            bare.to_owned(),
        ] {
            assert_eq!(at(&pasted).unwrap(), at(ASTRA).unwrap(), "{pasted}");
        }
    }

    #[test]
    fn what_is_secret_in_an_address_is_dropped() {
        let address = at("https://me:secret@db.example:8181/v1?secret#secret").unwrap();
        let shown = format!("{address} {address:?} {}", address.url(Scope::Keyspace));
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn the_token_goes_to_no_other_machine_in_the_clear() {
        assert!(matches!(at("http://db.example:8181"), Err(Error::PlainHttp { astra: false, .. })));
        for here in ["http://localhost:8181", "http://127.0.0.2:8181", "http://[::1]:8181"] {
            assert!(at(here).is_ok(), "{here}");
        }
        let forced = Reading { service: None, plain_http: true };
        assert!(Address::new("http://db.example", "k", "c", forced).is_ok());
        let plain = ASTRA.replace("https", "http");
        let refused = Address::new(&plain, "k", "c", forced);
        assert!(matches!(refused, Err(Error::PlainHttp { astra: true, .. })), "{refused:?}");
    }

    #[test]
    fn what_is_no_address_or_no_name_is_refused() {
        for wrong in ["", "ftp://db.example", "https://", "a b"] {
            assert!(matches!(at(wrong), Err(Error::Endpoint { .. })), "{wrong}");
        }
        for wrong in ["", "a-b", "ü", &"x".repeat(49)] {
            let refused = Address::new(ASTRA, "k", wrong, Reading::default());
            assert!(matches!(refused, Err(Error::Name { .. })), "{wrong}");
        }
    }
}
