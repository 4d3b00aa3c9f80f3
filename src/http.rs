//! What every HTTP client of this program is built from.

use std::net::IpAddr;
use std::sync::Once;

use reqwest::{Client, ClientBuilder, Url};

/// A client for the server at `url`, which says who asks and can do TLS;
/// `finish` adds what is particular. The system's proxies are used, except
/// for this machine itself.
pub(crate) fn client_for(
    url: &Url,
    finish: impl Fn(ClientBuilder) -> ClientBuilder,
) -> reqwest::Result<Client> {
    let builder = || {
        let builder = finish(client());
        if is_loopback(url) { builder.no_proxy() } else { builder }
    };
    // A system without certificates can still ask a plain server.
    let without_certificates = |error| match url.scheme() {
        "http" => builder().tls_certs_only([]).build(),
        _ => Err(error),
    };
    builder().build().or_else(without_certificates)
}

/// A client for any server.
pub(crate) fn client() -> ClientBuilder {
    install_crypto();
    Client::builder().user_agent(concat!("carlens/", env!("CARGO_PKG_VERSION"))).referer(false)
}

/// Whether the server is this machine, where no proxy belongs between and
/// nobody reads along.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// ring rather than rustls' default: it builds with a C compiler alone.
fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that the program has chosen one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
