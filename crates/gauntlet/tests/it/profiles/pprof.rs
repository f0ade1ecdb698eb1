//! As much of pprof's format as it takes to see what is in a profile.

use std::io::Read as _;

use prost::Message as _;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "10")]
    pub(super) duration_nanos: i64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
}

/// A stack with what was measured of it: names of functions, the interrupted one first.
#[derive(Debug)]
pub(super) struct Stack {
    pub(super) names: Vec<String>,
    pub(super) values: Vec<i64>,
}

impl Profile {
    /// Reads what the service sends: gzipped protobuf.
    pub(super) fn read(bytes: &[u8]) -> Self {
        Self::decode(&unpacked(bytes)[..]).expect("protobuf")
    }

    fn text(&self, at: i64) -> &str {
        &self.string_table[usize::try_from(at).expect("an index")]
    }

    /// What is measured, such as `cpu/nanoseconds`.
    pub(super) fn measured(&self) -> Vec<String> {
        self.sample_type
            .iter()
            .map(|kind| format!("{}/{}", self.text(kind.kind), self.text(kind.unit)))
            .collect()
    }

    pub(super) fn stacks(&self) -> Vec<Stack> {
        let function = |id: u64| self.function.iter().find(|function| function.id == id).expect("a function");
        let location =
            |id: &u64| self.location.iter().find(|location| location.id == *id).expect("a location");
        let names = |sample: &Sample| {
            let lines = sample.location_id.iter().flat_map(|id| &location(id).line);
            lines.map(|line| self.text(function(line.function_id).name).to_owned()).collect()
        };
        self.sample
            .iter()
            .map(|sample| Stack { names: names(sample), values: sample.value.clone() })
            .collect()
    }
}

/// Without gzip.
pub(super) fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).expect("gzip");
    plain
}
