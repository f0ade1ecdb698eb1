//! The program from outside.
#![cfg(test)]

mod cli;
mod journey;
mod process;
mod structure;
