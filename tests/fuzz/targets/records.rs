//! What is in a collection and the matrix file beside it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| carlens::fuzzing::records(bytes));
