//! The program from outside.
#![cfg(test)]

mod aborts;
mod cli;
mod clients;
mod full_disk;
mod journey;
mod power;
mod process;
mod races;
mod replicas;
mod restarts;
mod structure;
