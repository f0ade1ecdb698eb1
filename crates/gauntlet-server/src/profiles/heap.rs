//! Heap profiles: jemalloc notes the stack of one allocation in some 512 KiB, and forgets it when
//! that is freed. What it knows is what is in use.

use std::{error::Error, io::Read as _};

use flate2::read::GzDecoder;
use jemalloc_pprof::PROF_CTL;
use pprof::protos::{Message as _, Profile, Sample};
use tikv_jemalloc_ctl::profiling;

use super::{ProfileError, packed};

/// Whether the allocator was built and set up to sample. The binary sees to both
/// (`gauntlet/src/allocator.rs`); other programs with this library need not.
fn can_sample() -> bool {
    profiling::prof::read().unwrap_or(false)
}

pub(super) async fn begin() {
    if can_sample() {
        jemalloc_pprof::activate_jemalloc_profiling().await;
    } else {
        tracing::warn!("heap profiles cannot be taken: the allocator does not sample");
    }
}

/// What is in use, as gzipped protobuf.
pub(crate) async fn heap() -> Result<Vec<u8>, ProfileError> {
    if !can_sample() {
        return Err(ProfileError::Impossible(
            "the allocator does not sample: this is another allocator, or MALLOC_CONF switches it off".into(),
        ));
    }
    let taken = tokio::task::spawn_blocking(|| {
        let control = PROF_CTL.as_ref()?;
        let mut control = control.blocking_lock();
        let profile = control.activated().then(|| control.dump_pprof());
        // It keeps what it has read of the debugging information: tens of megabytes.
        backtrace::clear_symbol_cache();
        profile
    });
    let failed = ProfileError::failed("the heap profile could not be taken");
    match taken.await {
        Ok(Some(Ok(profile))) => without_allocator(&profile).map_err(failed),
        Ok(Some(Err(error))) => Err(failed(error.into())),
        Ok(None) => Err(ProfileError::Impossible("nothing has begun to sample allocations".into())),
        Err(error) => Err(failed(error.into())),
    }
}

/// What functions of the allocator begin with, in C and in Rust.
const ALLOCATOR: [&str; 12] = [
    "_rjem_",
    "prof_",
    "malloc",
    "calloc",
    "realloc",
    "do_rallocx",
    "mallocx",
    "rallocx",
    "posix_memalign",
    "aligned_alloc",
    "__rust_",
    "__rustc::__rust_",
];

/// How many functions of the allocator can stand on top of each other.
const DEEPEST: usize = 12;

/// Without the allocator's own functions, so that stacks begin with who wants memory. jemalloc notes
/// its own, and all of the memory would be theirs.
fn without_allocator(profile: &[u8]) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let mut bytes = Vec::new();
    GzDecoder::new(profile).read_to_end(&mut bytes)?;
    let mut profile = Profile::decode(&bytes[..])?;
    let mut samples = std::mem::take(&mut profile.sample);
    for sample in &mut samples {
        trim(sample, &profile);
    }
    profile.sample = samples;
    Ok(packed(&profile)?)
}

fn trim(sample: &mut Sample, profile: &Profile) {
    let is_allocators = |location: &u64| {
        name(profile, *location).is_some_and(|name| {
            name.contains("tikv_jemallocator")
                || ALLOCATOR.iter().any(|beginning| name.starts_with(beginning))
        })
    };
    let top = sample.location_id.len().min(DEEPEST);
    if let Some(last) = sample.location_id[..top].iter().rposition(is_allocators) {
        sample.location_id.drain(..=last);
    }
}

/// The name of the outermost function at a location; the others are inlined into it.
fn name(profile: &Profile, location: u64) -> Option<&str> {
    // Ids count from 1, in the order of the tables.
    let entry = |id: u64| usize::try_from(id).ok()?.checked_sub(1);
    let line = profile.location.get(entry(location)?)?.line.last()?;
    let name = profile.function.get(entry(line.function_id)?)?.name;
    profile.string_table.get(usize::try_from(name).ok()?).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use pprof::protos::{Function, Line, Location};

    use super::*;

    #[test]
    fn stacks_begin_with_who_wants_memory() {
        let names = ["", "prof_backtrace_impl", "_rjem_je_malloc_default", "malloc", "sqlite3Malloc", "main"];
        let all = 1..names.len() as u64;
        let line = |function_id| Line { function_id, line: 1 };
        let at = |id| Location { id, line: vec![line(id)], ..Location::default() };
        let function = |id: u64| Function { id, name: id.cast_signed(), ..Function::default() };
        let sample =
            |stack: &[u64]| Sample { location_id: stack.to_vec(), value: vec![7], ..Sample::default() };
        let profile = Profile {
            sample: vec![sample(&[1, 2, 3, 4, 5]), sample(&[4, 5]), sample(&[]), sample(&[99, 5])],
            location: all.clone().map(at).collect(),
            function: all.map(function).collect(),
            string_table: names.map(str::to_owned).to_vec(),
            ..Profile::default()
        };
        let trimmed = without_allocator(&packed(&profile).expect("packed")).expect("trimmed");
        let mut bytes = Vec::new();
        GzDecoder::new(&trimmed[..]).read_to_end(&mut bytes).expect("gzip");
        let trimmed = Profile::decode(&bytes[..]).expect("protobuf");
        let stacks: Vec<_> = trimmed.sample.iter().map(|sample| sample.location_id.clone()).collect();
        assert_eq!(stacks, [vec![4, 5], vec![4, 5], vec![], vec![99, 5]]);
        assert!(trimmed.sample.iter().all(|sample| sample.value == [7]));
    }
}
