//! Products by AVX-512's instructions for bf16 and int8, on x86-64 processors.
//! The one module of the layers that is unsafe.
//!
//! It rests on two invariants.
//!
//! - **The processor has the instructions.** A [`Bf16`] and an [`Int8`] exist
//!   only where all the features are there that their functions are compiled
//!   for: nothing but `detect` makes them. That makes calling these functions
//!   sound, and nothing else does, as the compiler refuses to call them safely.
//! - **Memory is only reached through arrays.** A vector is read from and
//!   written to a reference to an array of its very size, by the functions of
//!   [`vector`]; where in a slice that array is, is found by safe code. No
//!   address is computed here, and the only other one that the processor gets
//!   is the one of a slice that is asked for and not read.
//!
//! The tests of this module and of [`super::kernel`] hold it against the same
//! arithmetic in whole numbers and in f64. Neither Miri, which stops where
//! numbers are rounded, nor Valgrind 3.19 knows the instructions; LLVM's address
//! sanitizer does (`tests/memory address`).

#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "a processor's own instructions"))]

#[cfg(target_arch = "x86_64")]
mod bf16;
#[cfg(not(target_arch = "x86_64"))]
mod elsewhere;
#[cfg(target_arch = "x86_64")]
mod fetch;
#[cfg(target_arch = "x86_64")]
mod int8;
#[cfg(target_arch = "x86_64")]
mod vector;

#[cfg(target_arch = "x86_64")]
pub(super) use bf16::Bf16;
#[cfg(not(target_arch = "x86_64"))]
pub(super) use elsewhere::{Bf16, Int8, fetch};
#[cfg(target_arch = "x86_64")]
pub(super) use fetch::fetch;
#[cfg(target_arch = "x86_64")]
pub(super) use int8::Int8;
