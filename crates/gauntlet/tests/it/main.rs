//! The program from outside.
#![cfg(test)]

mod aborts;
mod cli;
mod clients;
#[cfg(any(debug_assertions, feature = "crash-points"))]
mod crash;
mod deploy;
mod full_disk;
mod hostile;
mod journey;
mod load;
mod logs;
mod overload;
mod power;
mod process;
mod profiles;
mod races;
mod reload;
mod replicas;
mod restarts;
mod structure;
mod tokens;
mod traces;
mod warm;
