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

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many descriptors children leave to the rest of the program. An orchestration opens about so
/// many at once for its journal, its logs and git.
const LEFT: u64 = 16;

/// What was done about the limit.
#[derive(Debug, Default)]
pub(super) struct DescriptorLimit {
    /// The limit before it was raised.
    original: Option<Rlimit>,
}

impl DescriptorLimit {
    /// Raises the limit as far as this program may; false where that was done, or cannot be.
    pub(super) fn raise(&mut self) -> bool {
        let original = getrlimit(Resource::Nofile);
        if self.original.is_some() || original.current == original.maximum {
            return false;
        }
        // macOS counts files in an `int`, and refuses "unlimited".
        let most = original
            .maximum
            .map_or(1 << 20, |maximum| maximum.min(1 << 20));
        let raised = Rlimit {
            current: Some(most),
            maximum: original.maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_err() {
            return false;
        }
        self.original = Some(original);
        true
    }

    /// The number from which on children take no descriptor; `crowded` says that some live.
    #[expect(
        clippy::unused_self,
        reason = "the limit is the system's, and may change"
    )]
    pub(super) fn last(&self, crowded: bool) -> RawFd {
        let limit = getrlimit(Resource::Nofile).current;
        let last = limit
            .filter(|_| crowded)
            .map(|limit| limit.saturating_sub(LEFT));
        last.and_then(|last| RawFd::try_from(last).ok())
            .unwrap_or(RawFd::MAX)
    }

    /// Gives a child the limit that it would have without us.
    pub(super) fn restore_in(&self, child: u32) {
        #[cfg(target_os = "linux")]
        if let Some(original) = &self.original {
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
}
