//! The lab against servers with known faults: what it says must name each, with the exact count.

mod faults;
mod stub;
