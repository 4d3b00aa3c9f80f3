//! Processors that have none of these instructions.

use std::ops::Range;

use crate::clip::packed::kernel::{Kernel, Vectors};
use crate::clip::packed::matrix::{Factor, Matrix, Weights};

/// What is never detected, and so never is.
#[derive(Clone, Copy, Debug)]
pub(in crate::clip) enum Never {}

pub(in crate::clip) type Bf16 = Never;

pub(in crate::clip) type Int8 = Never;

/// Where memory is only fetched when it is read.
pub(in crate::clip::packed) fn fetch<T>(_: &[T]) {}

impl Never {
    pub(in crate::clip::packed) fn detect(_: Vectors) -> Option<Self> {
        None
    }
}

impl Kernel for Never {
    type Part = f32;
    type Whole = ();
    type Weights = Weights<f32>;

    fn pack(&self, _: &[f32], _: usize) -> Weights<f32> {
        match *self {}
    }

    fn round(&self, _: &[f32], _: &mut [f32]) {
        match *self {}
    }

    fn complete(&self, _: &Matrix<f32>, (): &mut ()) {
        match *self {}
    }

    fn multiply(
        &self,
        _: &Factor<Self>,
        _: Range<usize>,
        _: &Weights<f32>,
        _: usize,
        _: &mut [f32],
    ) {
        match *self {}
    }

    fn vectors(&self) -> Vectors {
        match *self {}
    }
}
