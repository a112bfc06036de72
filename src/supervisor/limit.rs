//! The limit of open descriptors, raised when it would stop a unit and not before.
//!
//! Hundreds of children need more descriptors than the 1,024 that most systems grant at first;
//! the hard limit is far above it. Children get the first limit back, since it is theirs too, a
//! moment after they began: to lower the program's own limit meanwhile would hurt its threads.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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
