//! A picture at an address of the web, as a query.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, Url};

use super::message::Failure;
use crate::domain::Printable;
use crate::http;

/// More than any photo on a web page has.
const MOST_BYTES: usize = 50 << 20;

/// Long enough for a large photo over a slow line.
const LONGEST: Duration = Duration::from_mins(1);

/// How long a server may keep silent.
const SILENCE: Duration = Duration::from_secs(15);

/// The content of the file at `address`.
pub(super) async fn fetch(address: &str) -> Result<Vec<u8>, Failure> {
    let doing = format!("fetching {}", Printable::new(&without_secrets(address)));
    let failed = |cause: String| Failure::because(&doing, cause);
    let client = client().map_err(|e| failed(plain(&e)))?;
    let response = client.get(address).send().await.map_err(|e| failed(plain(&e)))?;
    if !response.status().is_success() {
        return Err(failed(format!("the server answers {}", response.status())));
    }
    if is_page(&response) {
        return Err(failed("it is a web page, not a picture".into())
            .hint("copy the address of the picture itself"));
    }
    let body = body(response).await;
    body.map_err(|e| failed(plain(&e)))?
        .ok_or_else(|| failed(format!("it has more than {} MB", MOST_BYTES >> 20)))
}

fn client() -> reqwest::Result<Client> {
    let builder = || http::client().timeout(LONGEST).read_timeout(SILENCE).connect_timeout(SILENCE);
    // A system without certificates can still ask a plain server.
    builder().build().or_else(|_| builder().tls_certs_only([]).build())
}

/// A server's page about an error, or the page around a picture.
fn is_page(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().starts_with("text/html"))
}

/// Nothing if it does not end.
async fn body(mut response: Response) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        body.extend_from_slice(&piece);
        if body.len() > MOST_BYTES {
            return Ok(None);
        }
    }
    Ok(Some(body))
}

/// The innermost cause says most, and none of them the address: it may hold a
/// password.
fn plain(error: &reqwest::Error) -> String {
    if error.is_builder() {
        return "it is no address of the web".into();
    }
    if error.is_timeout() {
        return "the server takes too long".into();
    }
    let causes = std::iter::successors(std::error::Error::source(error), |e| e.source());
    let innermost =
        causes.last().map_or_else(|| "the connection failed".into(), ToString::to_string);
    Printable::new(&innermost).to_string()
}

/// The address without user, password and query, for people to read.
fn without_secrets(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else { return address.to_owned() };
    // They cannot fail for an address that has a host; one without has no
    // password either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        assert_eq!(
            without_secrets("https://me:secret@cars.example/red.jpg?token=secret#x"),
            "https://cars.example/red.jpg"
        );
        assert_eq!(without_secrets("not an address"), "not an address");
    }
}
