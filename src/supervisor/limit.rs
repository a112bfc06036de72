//! The limit of open descriptors, raised when it would stop a unit and not before.
//!
//! Hundreds of children need more descriptors than the 1,024 that most systems grant at first;
//! the hard limit is far above it. Children get the first limit back, since it is theirs too, a
//! moment after they began: to lower the program's own limit meanwhile would hurt its threads.
//! A program that waits with `select`, which knows no number above 1,023, is no worse off: without
//! more descriptors it would have failed where it now gets such a number.
//!
//! Children leave the last descriptors to the program, which has files to open and pipes to make
//! while they live. Only the first child may take those.

use std::os::fd::RawFd;
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many descriptors children leave to the rest of the program. An orchestration opens about so
/// many at once for its journal, its logs and git.
const LEFT: u64 = 16;

/// The most that is asked for. macOS counts files in an `int`, and refuses "unlimited".
const MOST: u64 = 1 << 20;

/// The limit of this program before it was raised.
static ORIGINAL: OnceLock<Rlimit> = OnceLock::new();

/// How many descriptors this program may have once the limit is raised; `None` for any number.
pub fn descriptor_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

/// Raises the limit where it is below what is needed, as far as this program may.
pub fn ensure_descriptors(needed: u64) {
    let limit = getrlimit(Resource::Nofile).current;
    if limit.is_some_and(|limit| limit < needed) {
        raise();
    }
}

/// Raises the limit as far as this program may; false where that was done, or cannot be.
pub(super) fn raise() -> bool {
    let original = getrlimit(Resource::Nofile);
    if original.current == original.maximum {
        return false;
    }
    let mut is_raised = false;
    ORIGINAL.get_or_init(|| {
        let most = original.maximum.map_or(MOST, |maximum| maximum.min(MOST));
        let raised = Rlimit {
            current: Some(most),
            maximum: original.maximum,
        };
        is_raised = setrlimit(Resource::Nofile, raised).is_ok();
        original
    });
    is_raised
}

/// The number from which on children take no descriptor; `crowded` says that some live.
pub(super) fn last(crowded: bool) -> RawFd {
    let limit = getrlimit(Resource::Nofile).current.filter(|_| crowded);
    let last = limit.map(|limit| limit.saturating_sub(LEFT));
    last.and_then(|last| RawFd::try_from(last).ok())
        .unwrap_or(RawFd::MAX)
}

/// Gives a child the limit that it would have without us.
pub(super) fn restore_in(child: u32) {
    #[cfg(target_os = "linux")]
    if let Some(original) = ORIGINAL.get() {
        let original = Rlimit {
            current: original.current,
            maximum: original.maximum,
        };
        let child = i32::try_from(child)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        // A child that is dead already needs no limit.
        let _ = rustix::process::prlimit(child, Resource::Nofile, original);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = child;
}
