//! A file where a collection is expected.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| carlens::fuzzing::collection(bytes));
