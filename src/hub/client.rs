//! The three requests of a pull. Each is asked once: [`super::patience`]
//! decides about asking again.

use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue,
    RANGE,
};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};

use super::checksum::Checksum;
use super::endpoint::{Endpoint, host_of};
use super::listing::Listing;
use super::patience::Patience;
use super::repository::Repository;
use super::{Error, Secret};
use crate::http;

/// A file on the hub, and how to know it when it is here.
#[derive(Debug)]
pub(super) struct RemoteFile {
    /// Its name in the repository.
    pub(super) path: String,
    /// What to call it in messages.
    pub(super) what: String,
    pub(super) size: u64,
    pub(super) checksum: Checksum,
    url: Url,
}

/// The bytes of a file from some offset on.
pub(super) struct Body {
    /// Where they start: the offset asked for, or 0 if the server knows no
    /// ranges.
    pub(super) start: u64,
    response: Response,
    what: String,
}

/// Talks to one hub.
pub(super) struct Client {
    endpoint: Endpoint,
    token: Option<HeaderValue>,
    /// Follows redirects to wherever the bytes are. The token does not travel:
    /// reqwest drops it when host, port or scheme changes.
    following: reqwest::Client,
    /// Follows redirects within the hub only (a renamed repository), since
    /// the hub itself and not its storage knows the hash.
    staying: reqwest::Client,
}

impl Client {
    pub(super) fn new(
        endpoint: &Endpoint,
        token: Option<&Secret>,
        patience: &Patience,
    ) -> Result<Self, Error> {
        Ok(Self {
            endpoint: endpoint.clone(),
            token: token.map(bearer).transpose()?,
            following: build(endpoint, patience, || Policy::limited(MOST_REDIRECTS))?,
            staying: build(endpoint, patience, || within(endpoint.clone()))?,
        })
    }

    /// What the revision of `repository` holds.
    pub(super) async fn listing(&self, repository: &Repository) -> Result<Listing, Error> {
        let what = &format!("the list of files of {repository}");
        let url = self.endpoint.listing(repository);
        let response = self.send(what, self.following.get(url)).await?;
        let body = read_at_most(LONGEST_LISTING, what, response).await?;
        let why = "the answer is not that of a Hugging Face hub";
        Listing::parse(&body).ok_or_else(|| Error::Answer { what: what.clone(), why })
    }

    /// Size and hash of the file `path`. The headers of the file itself come
    /// first, the listing fills what a mirror leaves out.
    pub(super) async fn describe(
        &self,
        repository: &Repository,
        listing: &Listing,
        path: &str,
    ) -> Result<RemoteFile, Error> {
        let what = format!("{path} of {repository}");
        let url = self.endpoint.file(repository, &listing.commit, path);
        let request = self.staying.request(Method::HEAD, url.clone());
        let response = self.send(&what, request).await?;
        let checksum = checksum_in(response.headers()).or_else(|| listing.checksum(path));
        let size = size_in(&response).or_else(|| listing.size(path));
        let lacks = |why| Error::Answer { what: what.clone(), why };
        Ok(RemoteFile {
            checksum: checksum.ok_or_else(|| lacks("the server gives no hash to verify it by"))?,
            size: size.ok_or_else(|| lacks("the server does not say how large it is"))?,
            path: path.to_owned(),
            url,
            what,
        })
    }

    /// The content of `file` from byte `start` on.
    pub(super) async fn open(&self, file: &RemoteFile, start: u64) -> Result<Body, Error> {
        let mut request = self.following.get(file.url.clone());
        if start > 0 {
            request = request.header(RANGE, format!("bytes={start}-"));
        }
        let response = self.send(&file.what, request).await?;
        let refuse = |why| Error::Answer { what: file.what.clone(), why };
        let start = match response.status() {
            StatusCode::PARTIAL_CONTENT => range_start(response.headers(), file.size)
                .filter(|&actual| actual == start)
                .ok_or_else(|| refuse("the server sent another part of the file than asked for"))?,
            _ => 0,
        };
        // The page of a captive portal, say, for which nothing is thrown away.
        if length(response.headers()).is_some_and(|length| length != file.size - start) {
            return Err(refuse("the server sent something of another size"));
        }
        Ok(Body { start, response, what: file.what.clone() })
    }

    async fn send(&self, what: &str, request: RequestBuilder) -> Result<Response, Error> {
        // Compressed on the way, a body would have neither the size nor the
        // ranges of the file.
        let mut request = request.header(ACCEPT_ENCODING, "identity");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        let response = request.send().await.map_err(|error| Error::from_request(what, error))?;
        self.check(what, response)
    }

    /// A success, or a redirect that was left alone, passes.
    fn check(&self, what: &str, response: Response) -> Result<Response, Error> {
        let status = response.status();
        if status.is_success() || status.is_redirection() {
            return Ok(response);
        }
        let (what, host) = (what.to_owned(), host_of(response.url()));
        let is_hub = self.endpoint.is_origin_of(response.url());
        Err(match status.as_u16() {
            404 | 410 => Error::NotFound { what, host },
            status @ (401 | 403) if is_hub => {
                Error::Refused { what, host, status, with_token: self.token.is_some() }
            }
            status => Error::Status { what, host, status },
        })
    }
}

impl Body {
    /// The next piece, or `None` at the end.
    pub(super) async fn next(
        &mut self,
    ) -> Result<Option<impl AsRef<[u8]> + Send + 'static>, Error> {
        self.response.chunk().await.map_err(|error| Error::from_request(&self.what, error))
    }
}

const MOST_REDIRECTS: usize = 10;

/// Hundreds of times that of a large repository.
const LONGEST_LISTING: usize = 16 << 20;

fn build(
    endpoint: &Endpoint,
    patience: &Patience,
    policy: impl Fn() -> Policy,
) -> Result<reqwest::Client, Error> {
    http::client_for(endpoint.url(), |builder| {
        builder.connect_timeout(patience.connect).read_timeout(patience.silence).redirect(policy())
    })
    .map_err(Error::Client)
}

fn within(endpoint: Endpoint) -> Policy {
    Policy::custom(move |attempt| {
        if !endpoint.is_origin_of(attempt.url()) {
            attempt.stop()
        } else if attempt.previous().len() > MOST_REDIRECTS {
            attempt.error("too many redirects")
        } else {
            attempt.follow()
        }
    })
}

fn bearer(token: &Secret) -> Result<HeaderValue, Error> {
    let mut value =
        HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| Error::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Where the content lies elsewhere, the `ETag` may be the storage's own.
fn checksum_in(headers: &HeaderMap) -> Option<Checksum> {
    let linked = text(headers, "x-linked-etag").and_then(Checksum::parse);
    linked.or_else(|| Checksum::parse(text(headers, ETAG.as_str())?))
}

/// The length of a redirect is that of its own body.
fn size_in(response: &Response) -> Option<u64> {
    let linked = text(response.headers(), "x-linked-size").and_then(|size| size.parse().ok());
    let own = || length(response.headers()).filter(|_| !response.status().is_redirection());
    linked.or_else(own)
}

fn length(headers: &HeaderMap) -> Option<u64> {
    text(headers, CONTENT_LENGTH.as_str())?.parse().ok()
}

/// The first byte of a part of a file of `size` bytes.
fn range_start(headers: &HeaderMap, size: u64) -> Option<u64> {
    let range = text(headers, CONTENT_RANGE.as_str())?.strip_prefix("bytes ")?;
    let (range, whole) = range.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    (whole == "*" || whole.parse() == Ok(size)).then_some(start.parse().ok())?
}

async fn read_at_most(limit: usize, what: &str, mut response: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(piece) =
        response.chunk().await.map_err(|error| Error::from_request(what, error))?
    {
        body.extend_from_slice(&piece);
        if body.len() > limit {
            return Err(Error::Answer { what: what.to_owned(), why: "the answer has no end" });
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content_range(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_RANGE, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_part_of_another_file_is_not_taken() {
        assert_eq!(range_start(&content_range("bytes 5-9/10"), 10), Some(5));
        assert_eq!(range_start(&content_range("bytes 5-9/*"), 10), Some(5));
        for wrong in ["bytes 5-9/11", "bytes */10", "5-9/10", "bytes -/10"] {
            assert_eq!(range_start(&content_range(wrong), 10), None, "{wrong}");
        }
    }

    #[test]
    fn the_hash_of_the_content_comes_before_that_of_its_place() {
        let hash = |digit: &str| digit.repeat(64);
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, hash("a").parse().unwrap());
        headers.insert("x-linked-etag", format!("\"{}\"", hash("b")).parse().unwrap());
        assert_eq!(checksum_in(&headers), Checksum::parse(&hash("b")));
    }

    #[test]
    fn a_token_with_a_line_break_inside_is_refused() {
        let token = Secret::new("a\u{7f}b").unwrap();
        assert!(matches!(bearer(&token), Err(Error::Token)));
    }
}
