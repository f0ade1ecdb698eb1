//! CPU profiles: a timer interrupts whichever thread uses processor time, and its stack is noted.

use std::{
    collections::HashMap,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::Duration,
};

use pprof::{Error as PprofError, Frames, ProfilerGuardBuilder, Report};
use tokio_util::sync::CancellationToken;

use super::{ProfileError, leaf, packed};

/// Samples for each second of processor time; not a whole divisor of what runs by the clock.
const FREQUENCY: i32 = 99;

/// Libraries in which no stack is taken, and where one ends. libgcc holds locks while it unwinds
/// for a heap sample, and the sampler asks it about addresses.
const LEFT_OUT: [&str; 1] = ["libgcc"];

/// A stack of fewer frames cannot be one of a task.
const SHALLOW: usize = 4;

/// Fewer samples say nothing about stacks.
const ENOUGH: isize = 10;

/// Takes a CPU profile for so long, or until `stop` is cancelled, as gzipped protobuf. When the
/// future is dropped, the profile ends at once.
pub(crate) async fn cpu(time: Duration, stop: &CancellationToken) -> Result<Vec<u8>, ProfileError> {
    let (finish, finished) = channel();
    // Naming functions reads all of the program's debugging information: not on a thread for tasks.
    let mut taken = tokio::task::spawn_blocking(move || take(time, &finished));
    let joined = tokio::select! {
        joined = &mut taken => joined,
        () = stop.cancelled() => {
            // It has ended by itself if nobody hears this.
            let _ended = finish.send(());
            taken.await
        }
    };
    joined.unwrap_or_else(|error| Err(failed(error)))
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ProfileError {
    ProfileError::failed("the CPU profile could not be taken")(error.into())
}

fn take(time: Duration, finished: &Receiver<()>) -> Result<Vec<u8>, ProfileError> {
    let guard = ProfilerGuardBuilder::default().frequency(FREQUENCY).blocklist(&LEFT_OUT).build();
    let guard = guard.map_err(|error| match error {
        PprofError::Running => ProfileError::Busy,
        // Whether it works is decided once in a process.
        PprofError::CreatingError => {
            failed("no temporary file: set TMPDIR to a folder that exists, and restart")
        }
        error => failed(error),
    })?;
    leaf::add().map_err(failed)?;
    if finished.recv_timeout(time) == Err(RecvTimeoutError::Disconnected) {
        return Err(ProfileError::Impossible("nobody waits for the profile any more".into()));
    }
    let samples = guard.report().build_unresolved().map_err(failed)?;
    // Sampling ends here: what naming costs is not in the profile.
    drop(guard);
    if !deep(samples.data.iter().map(|(stack, count)| (stack.frames.len(), *count))) {
        return Err(ProfileError::Impossible(
            "the stacks are cut off after a few functions: this program was built without frame pointers; build it \
             with RUSTFLAGS=\"-C force-frame-pointers=yes\", as .cargo/config.toml does"
                .into(),
        ));
    }
    let mut data = HashMap::new();
    for (stack, count) in samples.data {
        *data.entry(Frames::from(stack)).or_insert(0) += count;
    }
    // It keeps what it has read of the debugging information: tens of megabytes.
    backtrace::clear_symbol_cache();
    let profile = Report { data, timing: samples.timing }.pprof().map_err(failed)?;
    packed(&profile).map_err(failed)
}

/// Whether stacks are more than the interrupted function and what happens to be found above it:
/// frames of a stack, and how often it was seen. Too few samples are not held against it.
fn deep(stacks: impl Iterator<Item = (usize, isize)>) -> bool {
    let (all, deep) = stacks.fold((0, 0), |(all, deep), (frames, count)| {
        (all + count, if frames >= SHALLOW { deep + count } else { deep })
    });
    all < ENOUGH || deep * 4 >= all
}

#[cfg(test)]
mod tests {
    use std::{
        hint::black_box,
        sync::atomic::{AtomicBool, Ordering},
    };

    use super::*;

    #[test]
    fn stacks_without_frame_pointers_are_told_from_good_ones() {
        assert!(deep([].into_iter()));
        assert!(deep([(1, 9)].into_iter()), "too few to say");
        assert!(!deep([(1, 900), (2, 50), (30, 50)].into_iter()));
        assert!(deep([(1, 300), (3, 100), (30, 600)].into_iter()));
    }

    static DONE: AtomicBool = AtomicBool::new(false);

    /// Calls nothing, not even when it is built without optimisation: without the frame that we
    /// add it would be in no stack.
    #[inline(never)]
    fn the_leaf_that_spins(mut number: u64) -> u64 {
        let mut rounds = 1_000_000;
        while rounds > 0 {
            rounds -= 1;
            number = (number << 13) ^ (number >> 7) ^ 1;
        }
        number
    }

    #[inline(never)]
    fn the_caller_of_the_leaf() -> u64 {
        let mut number = 1;
        while !DONE.load(Ordering::Relaxed) {
            number = the_leaf_that_spins(black_box(number));
        }
        number
    }

    /// The names of a stack, the interrupted function first.
    fn names(profile: &pprof::protos::Profile, sample: &pprof::protos::Sample) -> Vec<String> {
        let at = |id: &u64| profile.location.iter().find(|location| location.id == *id).expect("a location");
        let name =
            |id: u64| profile.function.iter().find(|function| function.id == id).expect("a function").name;
        let text = |at: i64| profile.string_table[usize::try_from(at).expect("an index")].clone();
        sample.location_id.iter().map(|id| text(name(at(id).line[0].function_id))).collect()
    }

    /// One test, because there is one profiler in a process: another test would find it busy.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_interrupted_function_is_in_the_profile_and_a_second_profile_waits() {
        let spinning = std::thread::spawn(the_caller_of_the_leaf);
        let stop = CancellationToken::new();
        let mut first = tokio::task::JoinSet::new();
        first.spawn({
            let stop = stop.clone();
            async move { cpu(Duration::from_secs(60), &stop).await }
        });
        // The first runs when the second is refused; until then the second ends at once.
        let ended = CancellationToken::new();
        ended.cancel();
        while !matches!(cpu(Duration::from_secs(60), &ended).await, Err(ProfileError::Busy)) {
            assert!(first.try_join_next().is_none(), "the first profile has ended");
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
        stop.cancel();
        let packed = first.join_next().await.expect("one").expect("joined").expect("a profile");
        DONE.store(true, Ordering::Relaxed);
        spinning.join().expect("joined");

        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut bytes).expect("gzip");
        let profile: pprof::protos::Profile = pprof::protos::Message::decode(&bytes[..]).expect("protobuf");
        let stacks: Vec<_> = profile.sample.iter().map(|sample| names(&profile, sample)).collect();
        let leaf = stacks.iter().find(|stack| stack[0].contains("the_leaf_that_spins"));
        let leaf = leaf.unwrap_or_else(|| panic!("no stack ends with the leaf: {stacks:#?}"));
        assert!(leaf[1].contains("the_caller_of_the_leaf"), "{leaf:#?}");
    }
}
