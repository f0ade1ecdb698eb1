//! The allocator of the process: jemalloc, which can tell what memory is used for.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// What jemalloc is set up with, under the name by which it looks; the variable `MALLOC_CONF`
/// overrides it.
///
/// Sampling is there and not active: it costs nothing until `--profiles` makes it active.
/// `docs/decisions/06-jemalloc.md` says what the rest is for, with figures.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the name is jemalloc's; nothing else may define it")]
// SAFETY: jemalloc declares a `const char *` of this name, weakly, so that a program can define it.
// The text ends with a 0.
#[unsafe(export_name = "malloc_conf")]
static OPTIONS: &[u8; 69] = b"prof:true,prof_active:false,lg_prof_sample:19,background_thread:true\0";
