//! How fast content is created: GitHub frowns on bursts long before its limits are used up
//! (DESIGN section 8, "Limits of agents").
//!
//! Pure: time is handed in.

use std::collections::VecDeque;
use std::time::Duration;

use super::limits::Moment;

/// So many at once.
const BURST: f64 = 20.0;

/// Then so many a minute.
const PER_MINUTE: f64 = 60.0;

/// And never more in an hour.
const PER_HOUR: usize = 500;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// No number of warnings slows down further than this.
const SLOWEST: u32 = 8;

/// Gives out turns.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    /// Turns that are left; below zero, so many were promised ahead of time.
    tokens: Option<f64>,
    filled: Moment,
    /// The turns of the last hour and those to come.
    turns: VecDeque<Moment>,
    warned: Option<(Moment, u32)>,
}

impl Pace {
    /// When the next one may go ahead; the turn is taken.
    pub fn turn(&mut self, now: Moment) -> Moment {
        let slowness = self.slowness(now);
        let rate = PER_MINUTE / 60.0 / f64::from(slowness);
        let burst = BURST / f64::from(slowness);
        let since = now.saturating_sub(self.filled).as_secs_f64();
        let tokens = self
            .tokens
            .map_or(burst, |left| (left + since * rate).min(burst))
            - 1.0;
        self.tokens = Some(tokens);
        self.filled = self.filled.max(now);
        let by_minute = now + Duration::from_secs_f64((-tokens).max(0.0) / rate);
        let turn = by_minute.max(self.by_hour(now, slowness));
        self.turns.push_back(turn);
        turn
    }

    /// GitHub complained: half as fast for an hour.
    pub fn warn(&mut self, now: Moment) {
        let slowness = self.slowness(now);
        self.warned = Some((now, (slowness * 2).min(SLOWEST)));
        let burst = BURST / f64::from(slowness * 2);
        self.tokens = self.tokens.map(|left| left.min(burst));
    }

    fn slowness(&self, now: Moment) -> u32 {
        match self.warned {
            Some((when, slowness)) if now < when + HOUR => slowness,
            _ => 1,
        }
    }

    fn by_hour(&mut self, now: Moment, slowness: u32) -> Moment {
        while self.turns.front().is_some_and(|turn| *turn + HOUR <= now) {
            self.turns.pop_front();
        }
        let most = PER_HOUR / slowness as usize;
        match self.turns.len().checked_sub(most) {
            Some(first) => self.turns.get(first).map_or(now, |turn| *turn + HOUR),
            None => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Moment = Duration::from_secs(1_800_000_000);

    fn waits(pace: &mut Pace, count: usize) -> Vec<u64> {
        let wait = |_| pace.turn(NOW).saturating_sub(NOW).as_millis();
        (0..count)
            .map(wait)
            .map(|wait| u64::try_from(wait).unwrap())
            .collect()
    }

    #[test]
    fn twenty_go_at_once_and_then_one_a_second() {
        let mut pace = Pace::default();
        assert_eq!(waits(&mut pace, 20), [0; 20]);
        assert_eq!(waits(&mut pace, 3), [1000, 2000, 3000]);
    }

    #[test]
    fn a_pause_fills_the_bucket_again() {
        let mut pace = Pace::default();
        waits(&mut pace, 20);
        let later = NOW + Duration::from_secs(5);
        for _ in 0..5 {
            assert_eq!(pace.turn(later), later);
        }
        assert!(pace.turn(later) > later);
    }

    #[test]
    fn a_warning_halves_the_speed_for_an_hour() {
        let mut pace = Pace::default();
        pace.warn(NOW);
        assert_eq!(waits(&mut pace, 10), [0; 10]);
        assert_eq!(waits(&mut pace, 2), [2000, 4000]);
        let later = NOW + HOUR * 2;
        assert!((0..20).all(|_| pace.turn(later) == later));
    }

    #[test]
    fn no_hour_sees_more_than_five_hundred() {
        let mut pace = Pace::default();
        let turns: Vec<Moment> = (0..1200).map(|_| pace.turn(NOW)).collect();
        for window in turns.windows(PER_HOUR + 1) {
            assert!(*window.last().unwrap() >= window[0] + HOUR);
        }
    }

    proptest! {
        #[test]
        fn turns_never_lie_in_the_past(steps in proptest::collection::vec((0..100_000_u64, any::<bool>()), 1..200)) {
            let mut pace = Pace::default();
            let mut now = NOW;
            for (step, warned) in steps {
                now += Duration::from_millis(step);
                if warned {
                    pace.warn(now);
                }
                prop_assert!(pace.turn(now) >= now);
            }
        }
    }
}
