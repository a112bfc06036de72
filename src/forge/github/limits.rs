//! What an answer says about asking again: limits, outages, and how long we put up with either.
//!
//! Pure: time and chance are handed in.
//!
//! GitHub's rules: a primary limit is a 403 or 429 with `x-ratelimit-remaining: 0`, over at
//! `x-ratelimit-reset`; a secondary one is a 403 or 429 with `Retry-After` or a message that says
//! so, and without a time one waits a minute, and longer each time.

use std::time::Duration;

/// A point in time: how long after 1970 it is.
pub type Moment = Duration;

/// How long we wait for a limit to pass: an hour, which is GitHub's window, and a margin.
const LONGEST_LIMIT: Duration = Duration::from_secs(70 * 60);

/// How long we put up with a network or a server that does not work.
const LONGEST_TROUBLE: Duration = Duration::from_secs(120);

const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
const SECONDARY_WAIT: Duration = Duration::from_secs(60);

/// After a reset everybody comes at once: up to so much later is early enough, and after a short
/// wait up to half of it.
const SPREAD: Duration = Duration::from_secs(5);

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard<'a> {
    /// A response.
    Response {
        /// Its HTTP status.
        status: u16,
        /// Of its headers, what is about limits.
        limits: Limits,
        /// Its `message`, else nothing.
        message: &'a str,
    },
    /// None, or one that cannot be read: the connection dropped or took too long.
    Nothing,
}

/// The headers about limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// `x-ratelimit-remaining`.
    pub remaining: Option<u64>,
    /// `x-ratelimit-reset`, in seconds since 1970.
    pub reset: Option<u64>,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is an answer, good or bad.
    Done,
    /// Nobody is to ask before that moment; then once more.
    Wait {
        /// The moment.
        until: Moment,
        /// Which limit.
        why: Limit,
    },
    /// Once more after a pause. Whether it was done is not known.
    Retry {
        /// The pause.
        after: Duration,
    },
    /// We have waited long enough, or would have to for too long.
    GiveUp {
        /// When a limit would be over, where it is one.
        until: Option<Moment>,
    },
}

/// The two kinds of limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// So many requests an hour.
    Primary,
    /// Too much at once.
    Secondary,
}

impl Limit {
    /// For a line that goes on with "waiting until".
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Primary => "GitHub's rate limit is used up",
            Self::Secondary => "GitHub asks for a pause (secondary rate limit)",
        }
    }
}

/// What one request has been through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Patience {
    troubles: u32,
    troubled_since: Option<Moment>,
    secondary: u32,
    limited_since: Option<Moment>,
}

impl Patience {
    /// What to do after `heard`, at `now`; `jitter` is a random number from 0 to 1.
    pub fn next(&mut self, heard: Heard<'_>, jitter: f64, now: Moment) -> Next {
        match heard {
            Heard::Nothing => self.trouble(jitter, now),
            Heard::Response {
                status,
                limits,
                message,
            } => match limit(status, limits, message) {
                Some(why) => self.limited(why, limits, jitter, now),
                None if status >= 500 => self.trouble(jitter, now),
                None => Next::Done,
            },
        }
    }

    fn trouble(&mut self, jitter: f64, now: Moment) -> Next {
        let since = *self.troubled_since.get_or_insert(now);
        let backoff = doubled(FIRST_BACKOFF, self.troubles).min(LONGEST_BACKOFF);
        self.troubles += 1;
        // Half of it is chance, so that those who failed together do not come back together.
        let after = backoff.mul_f64(0.5 + 0.5 * unit(jitter));
        if now + after > since + LONGEST_TROUBLE {
            return Next::GiveUp { until: None };
        }
        Next::Retry { after }
    }

    fn limited(&mut self, why: Limit, limits: Limits, jitter: f64, now: Moment) -> Next {
        let since = *self.limited_since.get_or_insert(now);
        let over = match (why, limits.retry_after, limits.reset) {
            (_, Some(seconds), _) => now.saturating_add(Duration::from_secs(seconds)),
            (Limit::Primary, None, Some(reset)) => Duration::from_secs(reset).max(now),
            _ => {
                let wait = doubled(SECONDARY_WAIT, self.secondary);
                self.secondary += 1;
                now + wait
            }
        };
        // A full second more, since GitHub's times are cut to seconds.
        let spread = SPREAD.min(over.saturating_sub(now) / 2);
        let until = over.saturating_add(Duration::from_secs(1) + spread.mul_f64(unit(jitter)));
        if over > since + LONGEST_LIMIT {
            return Next::GiveUp { until: Some(over) };
        }
        Next::Wait { until, why }
    }
}

fn limit(status: u16, limits: Limits, message: &str) -> Option<Limit> {
    if !matches!(status, 403 | 429) {
        return None;
    }
    let message = message.to_ascii_lowercase();
    if message.contains("secondary rate limit") || message.contains("abuse detection") {
        Some(Limit::Secondary)
    } else if limits.remaining == Some(0) {
        Some(Limit::Primary)
    } else if limits.retry_after.is_some() || status == 429 {
        Some(Limit::Secondary)
    } else {
        None
    }
}

fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(1 << times.min(16))
}

/// A number from 0 to 1, whatever is handed in.
const fn unit(number: f64) -> f64 {
    if number > 0.0 { number.min(1.0) } else { 0.0 }
}

/// How a request may be repeated when nobody knows whether it was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Reads.
    Get,
    /// Changes to the same content, however often.
    Patch,
    /// Makes something, each time.
    Post,
}

impl Verb {
    /// As HTTP has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Patch => "PATCH",
            Self::Post => "POST",
        }
    }

    /// Whether it may be sent again without a look at what is there.
    pub const fn is_repeatable(self) -> bool {
        matches!(self, Self::Get | Self::Patch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Moment = Duration::from_secs(1_800_000_000);

    fn response(status: u16, limits: Limits, message: &str) -> Heard<'_> {
        Heard::Response {
            status,
            limits,
            message,
        }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn limits(retry_after: Option<u64>, remaining: Option<u64>, reset: Option<u64>) -> Limits {
        Limits {
            retry_after,
            remaining,
            reset,
        }
    }

    #[test]
    fn an_ordinary_refusal_is_an_answer() {
        for status in [200, 201, 304, 401, 403, 404, 410, 422] {
            let heard = response(status, limits(None, Some(9), Some(1)), "Not here");
            assert_eq!(Patience::default().next(heard, 0.5, NOW), Next::Done);
        }
    }

    #[test]
    fn the_primary_limit_is_waited_for_until_its_reset() {
        let reset = NOW + seconds(900);
        for status in [403, 429] {
            let heard = response(
                status,
                limits(None, Some(0), Some(reset.as_secs())),
                "API rate limit exceeded",
            );
            let next = Patience::default().next(heard, 0.0, NOW);
            let until = reset + seconds(1);
            assert_eq!(
                next,
                Next::Wait {
                    until,
                    why: Limit::Primary
                }
            );
        }
    }

    #[test]
    fn a_secondary_limit_waits_as_long_as_it_says() {
        let heard = response(403, limits(Some(42), Some(100), None), "slow down");
        let Next::Wait { until, why } = Patience::default().next(heard, 0.0, NOW) else {
            panic!("no wait");
        };
        assert_eq!((until, why), (NOW + seconds(43), Limit::Secondary));
    }

    #[test]
    fn a_secondary_limit_without_a_time_waits_a_minute_and_then_twice_as_long() {
        let message = "You have exceeded a secondary rate limit. Please wait.";
        let mut patience = Patience::default();
        let mut now = NOW;
        for expected in [60, 120, 240] {
            let Next::Wait { until, .. } =
                patience.next(response(403, limits(None, None, None), message), 0.0, now)
            else {
                panic!("no wait");
            };
            assert_eq!(until, now + seconds(expected + 1));
            now = until;
        }
    }

    #[test]
    fn no_limit_is_waited_for_longer_than_its_window() {
        let far = limits(Some(24 * 3600), None, None);
        let next = Patience::default().next(response(429, far, ""), 0.5, NOW);
        let until = Some(NOW + seconds(24 * 3600));
        assert_eq!(next, Next::GiveUp { until });
    }

    #[test]
    fn trouble_backs_off_and_ends_after_about_two_minutes() {
        let mut patience = Patience::default();
        let mut now = NOW;
        let mut pauses = Vec::new();
        while let Next::Retry { after } = patience.next(Heard::Nothing, 1.0, now) {
            pauses.push(after.as_secs());
            now += after;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert!(now <= NOW + LONGEST_TROUBLE);
    }

    #[test]
    fn only_what_creates_must_be_settled_first() {
        assert!(Verb::Get.is_repeatable() && Verb::Patch.is_repeatable());
        assert!(!Verb::Post.is_repeatable());
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_patience_ends(
            answers in proptest::collection::vec(
                (any::<u16>(), any::<Option<u64>>(), proptest::option::of(0..3_u64),
                 any::<Option<u64>>(), any::<bool>(), -1.0..2.0_f64),
                0..300,
            ),
        ) {
            let mut patience = Patience::default();
            let mut now = NOW;
            for (status, retry_after, remaining, reset, lost, jitter) in answers {
                let heard = if lost {
                    Heard::Nothing
                } else {
                    response(status, limits(retry_after, remaining, reset), "secondary rate limit")
                };
                match patience.next(heard, jitter, now) {
                    Next::Done => {}
                    Next::Wait { until, .. } => { prop_assert!(until > now); now = until; }
                    Next::Retry { after } => { prop_assert!(after <= LONGEST_BACKOFF); now += after; }
                    Next::GiveUp { .. } => break,
                }
            }
            prop_assert!(now <= NOW + LONGEST_LIMIT + LONGEST_TROUBLE + SPREAD * 2);
        }
    }
}
