//! The interrupted function in CPU profiles.
//!
//! pprof walks by frame pointers from the frame of the interrupted function, and so begins with
//! its caller: the function that used the processor would be in no profile. Between the signal and
//! pprof's handler stands one of ours, that hands over a stack with one frame more.

#![expect(unsafe_code, reason = "a signal handler gets the interrupted registers as a raw pointer")]

use std::{
    ffi::{c_int, c_void},
    io, mem, ptr,
    sync::atomic::{AtomicUsize, Ordering},
};

/// Where pprof's handler is. 0: there is none.
static HANDLER: AtomicUsize = AtomicUsize::new(0);

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// Puts our handler in front of the one that pprof has just installed. It stays until pprof removes
/// its own.
pub(super) fn add() -> io::Result<()> {
    // SAFETY: an all-zero `sigaction` is a valid one; the kernel fills it in.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: both pointers are good for the call; a null pointer means "change nothing".
    if unsafe { libc::sigaction(libc::SIGPROF, ptr::null(), &raw mut action) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let plain = [libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction);
    if plain || action.sa_flags & libc::SA_SIGINFO == 0 {
        return Err(io::Error::other("the profiler's signal handler is not where it was expected"));
    }
    let ours: Handler = with_leaf;
    HANDLER.store(action.sa_sigaction, Ordering::Release);
    action.sa_sigaction = ours as usize;
    // SAFETY: the handler is a function that lives as long as the program and does only what is
    // allowed in a signal handler: it copies registers and calls pprof's.
    if unsafe { libc::sigaction(libc::SIGPROF, &raw const action, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A frame as functions lay it down: where the frame of the caller is, and where to return to.
#[repr(C)]
struct Frame {
    caller: usize,
    back_to: usize,
}

extern "C" fn with_leaf(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let handler = HANDLER.load(Ordering::Acquire);
    if handler == 0 || context.is_null() {
        return;
    }
    // SAFETY: what `add` has stored is the address of a handler with this signature: the action had
    // the flag SA_SIGINFO.
    let handler = unsafe { mem::transmute::<usize, Handler>(handler) };
    // SAFETY: the kernel hands a handler of this kind the interrupted thread's registers.
    let mut context = unsafe { ptr::read(context.cast::<libc::ucontext_t>()) };
    let mut frame = Frame { caller: 0, back_to: 0 };
    insert(&mut frame, &mut context);
    handler(signal, info, ptr::from_mut(&mut context).cast());
    // It lives until the handler has walked over it.
    std::hint::black_box(&frame);
}

/// Makes `frame` the newest of the stack: one that returns to where the thread was interrupted.
/// Addresses in stacks are those behind a call, and whoever names functions takes one off them.
#[cfg(target_arch = "x86_64")]
fn insert(frame: &mut Frame, context: &mut libc::ucontext_t) {
    const AT: usize = libc::REG_RIP.cast_unsigned() as usize;
    const FRAME: usize = libc::REG_RBP.cast_unsigned() as usize;
    let registers = &mut context.uc_mcontext.gregs;
    let address = |register: i64| usize::try_from(register.cast_unsigned()).unwrap_or(0);
    *frame = Frame { caller: address(registers[FRAME]), back_to: address(registers[AT]).saturating_add(1) };
    registers[FRAME] = (ptr::from_mut(frame).expose_provenance() as u64).cast_signed();
}

/// As above.
#[cfg(target_arch = "aarch64")]
fn insert(frame: &mut Frame, context: &mut libc::ucontext_t) {
    const FRAME: usize = 29;
    let machine = &mut context.uc_mcontext;
    let address = |register: u64| usize::try_from(register).unwrap_or(0);
    *frame = Frame { caller: address(machine.regs[FRAME]), back_to: address(machine.pc).saturating_add(1) };
    machine.regs[FRAME] = ptr::from_mut(frame).expose_provenance() as u64;
}

/// Elsewhere stacks begin with the caller.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn insert(_frame: &mut Frame, _context: &mut libc::ucontext_t) {}
