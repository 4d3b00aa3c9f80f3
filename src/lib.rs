//! carlens finds the car by words or by picture, in a terminal.

pub mod clip;
pub mod domain;
pub mod hub;
pub mod picture;
pub mod ui;
