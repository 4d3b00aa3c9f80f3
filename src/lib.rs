//! carlens finds the car by words or by picture, in a terminal.
//!
//! A folder of pictures becomes a *collection* of CLIP embeddings; a query in
//! words or a picture is embedded by the same model, and the pictures whose
//! embeddings point the same way are shown.
//!
//! ```text
//!            main ── cli, config
//!           /    \
//!         ui    headless        two front ends of the same backend
//!           \    /
//!          backend              requests in, events out
//!       /    |    |    \
//!    clip store hub picture     each knows none of the others
//!       \    |    |    /
//!          domain               plain values
//! ```
//!
//! # Code map
//! - [`domain`]: embeddings, similarities, ids and records. No I/O.
//! - [`clip`]: checkpoints, tokenizer, preprocessor, both towers.
//! - [`picture`]: files to pixels, within limits, upright.
//! - [`store`]: the collection: in a file, searched exactly, or in Astra DB.
//! - [`hub`]: models of the Hugging Face hub: found, downloaded, verified.
//! - [`backend`]: owns them all; loads, searches, answers.
//! - [`headless`]: the commands.
//! - [`ui`]: the terminal application.
//! - [`cli`], [`config`] and [`dot_env`]: what was typed or set, and what it
//!   means.
//! - [`secret`]: what must not be seen.
//!
//! # Invariants
//! - Only `clip` uses candle, only `ui` ratatui, crossterm and viuer.
//!   `ui` and `headless` never touch `clip`, a store or the network.
//! - Every slow thing is a [`backend::Request`] with an id and exactly one
//!   final [`backend::Event`]; whoever receives it first checks that it is
//!   still wanted.
//! - Similarity is the plain cosine, everywhere.
//! - Embeddings of two models never meet: a space of a collection belongs to
//!   one checkpoint's fingerprint.
//! - `unsafe` is in five places, each of which says why it is sound: the kernels
//!   of `clip` and of `store`, which know nothing of each other, the maps of
//!   weights and of embeddings, and a variable that `ui` sets before there are
//!   threads. A test counts them.
//! - Nothing but `headless` and `main` prints. There is no global state but the
//!   name of the program that decodes pictures apart, which `main` gives.
//!
//! # Where do I add …
//! - a key: `ui/action.rs`, and the action's arm in `ui/update/mod.rs`;
//! - a request: `backend/message.rs`, and its arm in `backend/actor.rs`;
//! - a store: implement [`store::VectorStore`] and tell it the contract test;
//! - a setting: `config/default.toml` and `config`.

pub mod backend;
pub mod cli;
pub mod clip;
mod columns;
pub mod config;
pub mod domain;
pub mod dot_env;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod headless;
mod http;
pub mod hub;
mod pace;
pub mod picture;
mod progress;
pub mod secret;
pub mod store;
pub mod ui;
