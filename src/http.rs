//! What every HTTP client of this program is built from.

use std::sync::Once;

/// A client that says who asks, and can do TLS.
pub(crate) fn client() -> reqwest::ClientBuilder {
    install_crypto();
    reqwest::Client::builder()
        .user_agent(concat!("carlens/", env!("CARGO_PKG_VERSION")))
        .referer(false)
}

/// ring rather than rustls' default: it builds with a C compiler alone.
fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that the program has chosen one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
