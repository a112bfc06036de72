//! Whether SIGINT has come, for waits outside the main thread.
//!
//! Python raises `KeyboardInterrupt` in the main thread alone. A helper that waits in another one
//! (`asyncio.to_thread`, a thread pool) would go on until its agents have ended by themselves, and
//! the program with it, since both wait for their threads. So while somebody watches, the handler
//! that the program has is called as before, and the arrivals are counted on the way to it.
//!
//! Touches the action of SIGINT, which is the program's again when nobody watches any more. A
//! program that sets a handler of its own meanwhile keeps that; the counting then ends.
#![expect(unsafe_code, reason = "a signal handler has no safe API")]

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use libc::{SA_SIGINFO, SIG_DFL, SIG_IGN, SIGINT, c_int, c_void, sigaction, siginfo_t};
use pyo3::prelude::*;

/// How many there have been while somebody watched.
static ARRIVALS: AtomicU64 = AtomicU64::new(0);

/// What [`count`] hands on to. It is never freed: a handler may be at work in any thread.
static PROGRAMS: AtomicPtr<sigaction> = AtomicPtr::new(ptr::null_mut());

/// How many watch.
static WATCHERS: Mutex<usize> = Mutex::new(0);

/// Tells whether SIGINT has come since the last look.
#[pyclass(name = "SigintWatch", module = "orchestration._core", frozen)]
pub(super) struct SigintWatch {
    seen: AtomicU64,
}

#[pymethods]
impl SigintWatch {
    #[new]
    fn new() -> Self {
        let mut watchers = WATCHERS.lock().unwrap_or_else(PoisonError::into_inner);
        *watchers += 1;
        install();
        Self {
            seen: AtomicU64::new(ARRIVALS.load(Ordering::SeqCst)),
        }
    }

    fn came(&self) -> bool {
        let arrivals = ARRIVALS.load(Ordering::SeqCst);
        self.seen.swap(arrivals, Ordering::SeqCst) != arrivals
    }
}

impl Drop for SigintWatch {
    fn drop(&mut self) {
        let mut watchers = WATCHERS.lock().unwrap_or_else(PoisonError::into_inner);
        *watchers -= 1;
        if *watchers == 0 {
            restore();
        }
    }
}

/// Puts [`count`] before the program's handler, where there is one and it is not there already.
fn install() {
    let Some(mut action) = current() else { return };
    let is_function = action.sa_sigaction != SIG_DFL && action.sa_sigaction != SIG_IGN;
    if !is_function || is_ours(&action) {
        return;
    }
    let known = PROGRAMS.load(Ordering::SeqCst);
    // SAFETY: what the pointer leads to is never freed and never written again.
    let same = unsafe { known.as_ref() }.is_some_and(|known| {
        known.sa_sigaction == action.sa_sigaction && known.sa_flags == action.sa_flags
    });
    if !same {
        PROGRAMS.store(Box::into_raw(Box::new(action)), Ordering::SeqCst);
    }
    action.sa_sigaction = count as *const () as usize;
    action.sa_flags |= SA_SIGINFO;
    set(&action);
}

/// Gives the program its handler back, unless it has set another one.
fn restore() {
    // SAFETY: see `install`.
    let programs = unsafe { PROGRAMS.load(Ordering::SeqCst).as_ref() };
    if let Some(programs) = programs
        && current().is_some_and(|action| is_ours(&action))
    {
        set(programs);
    }
}

fn is_ours(action: &sigaction) -> bool {
    action.sa_sigaction == count as *const () as usize
}

fn current() -> Option<sigaction> {
    let mut action = MaybeUninit::uninit();
    // SAFETY: with no new action it only writes the present one, which is whole where it returns 0.
    unsafe {
        (sigaction(SIGINT, ptr::null(), action.as_mut_ptr()) == 0).then(|| action.assume_init())
    }
}

fn set(action: &sigaction) {
    // SAFETY: the action holds a handler that may be called at any time, `count` or the program's.
    // It cannot fail for a signal that can be caught.
    unsafe {
        sigaction(SIGINT, action, ptr::null_mut());
    }
}

/// The handler: it counts, and calls the program's. It may interrupt anything, and does nothing
/// but two atomic operations and that call.
extern "C" fn count(signal: c_int, information: *mut siginfo_t, context: *mut c_void) {
    ARRIVALS.fetch_add(1, Ordering::SeqCst);
    // SAFETY: the pointer was stored before this handler was installed, and what it leads to is
    // never freed. The number in it is a function of the form that its flags tell.
    unsafe {
        let Some(programs) = PROGRAMS.load(Ordering::SeqCst).as_ref() else {
            return;
        };
        if programs.sa_flags & SA_SIGINFO == 0 {
            let handler: extern "C" fn(c_int) = std::mem::transmute(programs.sa_sigaction);
            handler(signal);
        } else {
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                std::mem::transmute(programs.sa_sigaction);
            handler(signal, information, context);
        }
    }
}
