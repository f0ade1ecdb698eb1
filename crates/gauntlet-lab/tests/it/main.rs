//! The lab against servers with known faults: what it says must name each, with the exact count.
#![cfg(test)]

mod faults;
mod known;
mod lab;
mod stub;
