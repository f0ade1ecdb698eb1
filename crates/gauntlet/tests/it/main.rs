//! The program from outside.
#![cfg(test)]

mod cli;
#[cfg(any(debug_assertions, feature = "crash-points"))]
mod crash;
mod journey;
mod process;
mod structure;
