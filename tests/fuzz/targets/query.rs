//! What was typed or dropped.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| carlens::fuzzing::query(bytes));
