//! All integration tests in one binary, so that candle is linked once. A new
//! test belongs beside its subject:

#![allow(clippy::unwrap_used, reason = "in a test a panic is the message")]

mod astra;
mod backend;
mod clip;
mod clip_arithmetic;
mod commands;
#[path = "support/data_api_stub/mod.rs"]
mod data_api_stub;
mod demo;
mod hub;
mod layers;
mod living_folder;
mod pictures;
#[cfg(unix)]
mod pty;
#[path = "support/random_checkpoint.rs"]
mod random_checkpoint;
#[cfg(unix)]
#[path = "support/small_disk.rs"]
mod small_disk;
mod store_backup;
mod store_check;
mod store_contract;
mod store_crash;
mod store_files;
mod store_samples;
mod upkeep;
mod upkeep_crash;
#[path = "support/web_stub.rs"]
mod web_stub;
