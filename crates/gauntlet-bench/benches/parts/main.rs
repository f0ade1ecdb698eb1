//! Parts of the service alone, without network and database: what each costs at best.
//!
//! ```text
//! cargo bench -p gauntlet-bench
//! ```

#![expect(clippy::expect_used, reason = "a benchmark is no part of the product: what spoils it must end it")]

mod batcher;
mod codec;
mod rig;
mod rules;
mod splice;

fn main() {
    divan::main();
}
