//! A file as a picture.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    // Panics of decoders are caught, and libFuzzer's hook would abort at them.
    // Those that are not caught end the run all the same.
    init: drop(std::panic::take_hook()),
    |bytes: &[u8]| carlens::fuzzing::picture(bytes)
);
