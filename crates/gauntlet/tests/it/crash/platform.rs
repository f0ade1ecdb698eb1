//! The reward platform of the harness; it lives in the test's process and survives every kill.

use std::collections::BTreeMap;

use super::episode::{Class, Kill};

#[derive(Debug)]
pub(super) struct Platform {}

impl Platform {
    pub(super) fn new(_class: Class, _seed: u64) -> Self {
        Self {}
    }
    pub(super) fn settings(&self) -> Vec<String> {
        Vec::new()
    }
    pub(super) fn disturb(&self, _kill: Kill) {}
    pub(super) fn calm(&self) {}
    pub(super) fn handed_out(&self) -> BTreeMap<(String, String), u32> {
        BTreeMap::new()
    }
}
