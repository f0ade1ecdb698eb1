//! Profiles from the server's operations port: where its processor time and its memory are.

use std::{collections::HashMap, io::Read as _, time::Duration};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::Method;
use prost::Message as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{http::Http, units::float};

/// Longest window of a processor profile, in seconds; the answer must come within the 30 s that
/// the lab waits for one.
const LONGEST: f64 = 15.0;
/// Largest profile that is read, unpacked.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Share of the whole below which a frame is left out.
const LEAST: f64 = 0.003;
/// Deepest frame that is kept.
const DEEPEST: usize = 80;
/// Functions in the list.
const TOP: usize = 15;
/// Longest name that is kept, in characters.
const NAME: usize = 140;

/// One profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProfileFound {
    /// `CPU` or `memory in use`, and of which process where there are several.
    pub name: String,
    /// When it was begun, in seconds of the run.
    pub at_seconds: f64,
    /// How long the window was; 0: it is of one moment.
    pub window_seconds: f64,
    /// `s` of processor time, or `bytes`.
    pub unit: String,
    /// The whole.
    pub total: f64,
    /// The functions in which most of it is.
    pub top: Vec<TopFunction>,
    /// The stacks, callers before what they call; frames below 0.3 % are left out.
    pub frames: Vec<Frame>,
}

/// A function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TopFunction {
    /// Its name.
    pub name: String,
    /// In itself.
    pub own: f64,
    /// With what it calls.
    pub with_callees: f64,
}

/// A frame of the flame graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Frame {
    /// Which function.
    pub name: String,
    /// How many callers it has.
    pub depth: usize,
    /// Where it begins, as a share of the whole.
    pub start: f64,
    /// How much of the whole it is.
    pub share: f64,
}

/// A profile that was asked for, and whether there is one.
pub(super) type Taken = (String, Result<ProfileFound, String>);

/// Takes a profile of the processor, then one of the memory. `of`: of which process, where there are
/// several; `left`: seconds until the load ends.
pub(super) async fn take(http: Http, of: String, at: f64, left: f64) -> Vec<Taken> {
    let window = left.mul_add(0.6, 0.0).clamp(1.0, LONGEST).round();
    let (cpu, memory) = (format!("CPU{of}"), format!("memory in use{of}"));
    let path = format!("/debug/pprof/profile?seconds={window:.0}");
    let of_cpu = one(&http, &path, &cpu, at, window).await;
    let of_memory = one(&http, "/debug/pprof/heap", &memory, at + window, 0.0).await;
    vec![(cpu, of_cpu), (memory, of_memory)]
}

async fn one(http: &Http, path: &str, name: &str, at: f64, window: f64) -> Result<ProfileFound, String> {
    let reply = http
        .call(Method::GET, path, "", Bytes::new())
        .await
        .map_err(|cause| format!("{}: {}", cause.class, cause.reason))?;
    if reply.status != 200 {
        let said: String = String::from_utf8_lossy(&reply.body).trim().chars().take(160).collect();
        return Err(format!("HTTP {}: {said}", reply.status));
    }
    // Unpacking takes a while, and calls must not begin late because of it.
    let body = reply.body;
    let read = tokio::task::spawn_blocking(move || read(&body)).await.map_err(|lost| lost.to_string())??;
    let mut found = fold(&read).ok_or(
        "it has no samples: the server did nothing, or was built without frame \
                                       pointers",
    )?;
    (found.name, found.at_seconds, found.window_seconds) = (name.to_owned(), at, window);
    Ok(found)
}

/// The parts of pprof's `profile.proto` that are used.
#[derive(Clone, PartialEq, prost::Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    types: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    locations: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    functions: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    strings: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    what: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    locations: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    values: Vec<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(message, repeated, tag = "4")]
    lines: Vec<Line>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
}

fn read(body: &[u8]) -> Result<Profile, String> {
    let mut unpacked = Vec::new();
    GzDecoder::new(body)
        .take(MAX_BYTES)
        .read_to_end(&mut unpacked)
        .map_err(|error| format!("it cannot be unpacked: {error}"))?;
    Profile::decode(unpacked.as_slice()).map_err(|error| format!("it cannot be read: {error}"))
}

/// A function called from the same place, and what it calls.
#[derive(Default)]
struct Node<'a> {
    value: u64,
    own: u64,
    calls: HashMap<&'a str, Node<'a>>,
}

/// Stacks that begin alike become one tree; `None`: there are no samples.
fn fold(profile: &Profile) -> Option<ProfileFound> {
    let string =
        |at: i64| usize::try_from(at).ok().and_then(|at| profile.strings.get(at)).map(String::as_str);
    let unit_of = |at: usize| profile.types.get(at).and_then(|kind| string(kind.unit)).unwrap_or_default();
    // Counts of samples stand beside what they are worth.
    let wanted = ["nanoseconds", "bytes"];
    let column = (0..profile.types.len()).rev().find(|at| wanted.contains(&unit_of(*at)))?;
    let (unit, scale) = if unit_of(column) == "bytes" { ("bytes", 1.0) } else { ("s", 1e9) };
    let functions: HashMap<u64, &str> = profile
        .functions
        .iter()
        .map(|function| (function.id, string(function.name).unwrap_or("?")))
        .collect();
    let locations: HashMap<u64, Vec<&str>> = profile
        .locations
        .iter()
        .map(|location| {
            let names =
                location.lines.iter().map(|line| functions.get(&line.function).copied().unwrap_or("?"));
            (location.id, names.collect())
        })
        .collect();
    let mut root = Node::default();
    let mut per_function: HashMap<&str, (u64, u64)> = HashMap::new();
    for sample in &profile.samples {
        let value = sample.values.get(column).copied().and_then(|value| u64::try_from(value).ok());
        let Some(value) = value.filter(|value| *value > 0) else { continue };
        // The innermost function comes first, in the stack and within a location.
        let stack: Vec<&str> = sample
            .locations
            .iter()
            .flat_map(|location| locations.get(location).map_or(&["?"][..], Vec::as_slice))
            .copied()
            .filter(|name| !is_plumbing(name))
            .collect();
        let mut node = &mut root;
        node.value += value;
        for name in stack.iter().rev().take(DEEPEST) {
            node = node.calls.entry(name).or_default();
            node.value += value;
        }
        node.own += value;
        for (at, name) in stack.iter().enumerate() {
            let counts = per_function.entry(name).or_default();
            counts.0 += if at == 0 { value } else { 0 };
            // A function that calls itself is counted once for each stack.
            counts.1 += if stack[..at].contains(name) { 0 } else { value };
        }
    }
    if root.value == 0 {
        return None;
    }
    let mut top: Vec<TopFunction> = per_function
        .into_iter()
        .map(|(name, (own, all))| TopFunction {
            name: short(name),
            own: float(own) / scale,
            with_callees: float(all) / scale,
        })
        .collect();
    top.sort_by(|one, other| other.own.total_cmp(&one.own).then_with(|| one.name.cmp(&other.name)));
    top.truncate(TOP);
    let mut frames = Vec::new();
    flatten(&root, 0, 0.0, float(root.value), &mut frames);
    Some(ProfileFound {
        name: String::new(),
        at_seconds: 0.0,
        window_seconds: 0.0,
        unit: unit.to_owned(),
        total: float(root.value) / scale,
        top,
        frames,
    })
}

fn flatten(node: &Node<'_>, depth: usize, start: f64, total: f64, into: &mut Vec<Frame>) {
    let mut calls: Vec<(&&str, &Node<'_>)> = node.calls.iter().collect();
    calls.sort_by(|one, other| other.1.value.cmp(&one.1.value).then_with(|| one.0.cmp(other.0)));
    let mut at = start;
    for (name, call) in calls {
        let share = float(call.value) / total;
        if share >= LEAST {
            into.push(Frame { name: short(name), depth, start: at, share });
            flatten(call, depth + 1, at, total, into);
        }
        at += share;
    }
}

/// What stands between the functions that somebody wrote: it would make a graph twice as high.
fn is_plumbing(name: &str) -> bool {
    const WHOLE: [&str; 4] = ["catch_unwind", "do_call", "__rust_try", "__rust_begin_short_backtrace"];
    WHOLE.iter().any(|whole| name == *whole || name.ends_with(&format!("::{whole}")))
        || name.contains("core::ops::function::FnOnce")
        || name.contains("AssertUnwindSafe<")
}

/// A name without the hash that the compiler adds, and not longer than a line.
fn short(name: &str) -> String {
    let hash = name.rfind("::h").filter(|at| {
        let hash = &name[at + 3..];
        hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    let name = hash.map_or(name, |at| &name[..at]);
    if name.chars().count() <= NAME {
        name.to_owned()
    } else {
        name.chars().take(NAME).chain("...".chars()).collect()
    }
}

/// When profiles are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProfilePlan {
    /// At which time of the run; `None`: in its middle.
    pub at: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        let strings =
            ["", "samples", "count", "cpu", "nanoseconds", "main", "work::h0123456789abcdef", "idle"];
        let function = |id, name| Function { id, name };
        let location = |id, functions: &[u64]| Location {
            id,
            lines: functions.iter().map(|function| Line { function: *function }).collect(),
        };
        let sample =
            |locations: &[u64], value| Sample { locations: locations.to_vec(), values: vec![1, value] };
        Profile {
            types: vec![ValueType { what: 1, unit: 2 }, ValueType { what: 3, unit: 4 }],
            // The second location has `work` inlined into `main`.
            samples: vec![
                sample(&[2], 6_000_000_000),
                sample(&[3, 1], 3_000_000_000),
                sample(&[1], 1_000_000_000),
                sample(&[3], 0),
            ],
            locations: vec![location(1, &[1]), location(2, &[2, 1]), location(3, &[3])],
            functions: vec![function(1, 5), function(2, 6), function(3, 7)],
            strings: strings.map(str::to_owned).to_vec(),
        }
    }

    #[test]
    fn stacks_become_a_tree_and_functions_a_list() {
        let found = fold(&profile()).unwrap();
        assert_eq!((found.total.to_string(), found.unit.as_str()), ("10".to_owned(), "s"));
        let frames: Vec<_> = found
            .frames
            .iter()
            .map(|frame| {
                (frame.name.as_str(), frame.depth, (frame.start * 10.0).round(), (frame.share * 10.0).round())
            })
            .collect();
        assert_eq!(frames, [("main", 0, 0.0, 10.0), ("work", 1, 0.0, 6.0), ("idle", 1, 6.0, 3.0)]);
        let top: Vec<_> =
            found.top.iter().map(|top| format!("{} {} {}", top.name, top.own, top.with_callees)).collect();
        assert_eq!(top, ["work 6 6", "idle 3 3", "main 1 10"]);
        assert_eq!(fold(&Profile::default()), None);
    }

    #[test]
    fn profiles_travel_packed() {
        use std::io::Write as _;
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&profile().encode_to_vec()).unwrap();
        assert_eq!(read(&packed.finish().unwrap()).unwrap(), profile());
        assert!(read(b"<html>").unwrap_err().contains("cannot be unpacked"));
    }
}
