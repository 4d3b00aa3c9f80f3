//! All integration tests in one binary, so that candle is linked once. A new
//! test belongs beside its subject:

mod clip;
mod hub;
#[cfg(unix)]
mod pty;
mod store_contract;
mod store_samples;
