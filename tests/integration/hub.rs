//! Pulling a checkpoint, from a hub that does everything a network can do.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the message")]

mod answers;
mod cache;
mod find;
#[cfg(target_os = "linux")]
mod full_disk;
#[path = "support/hub_stub.rs"]
mod hub_stub;
mod python;
mod scene;
mod switch;
mod transfer;
