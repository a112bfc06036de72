//! The supervisor's clock: microseconds since it was first looked at.

use std::sync::OnceLock;
use std::time::Instant;

use super::event::Moment;

/// The current moment.
pub(super) fn now() -> Moment {
    static START: OnceLock<Instant> = OnceLock::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "the shell's one clock; everything else is told"
    )]
    let now = Instant::now();
    let start = *START.get_or_init(|| now);
    Moment(u64::try_from(now.saturating_duration_since(start).as_micros()).unwrap_or(u64::MAX))
}
