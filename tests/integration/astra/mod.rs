//! Collections behind the Data API: against a server on loopback that does
//! what the real one does, and against a real one where it is named.

mod article;
mod commands;
mod copy;
mod faults;
mod live;
mod load;
mod python;
mod scene;
mod store;
