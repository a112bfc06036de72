//! How much work a task is, and how long the whole plan takes.
//!
//! Rough on purpose: the specification's dry run shows one word per task and a range of minutes.
//! What tasks took in the same repository before says more than any rule of thumb, so that counts
//! where there is any.
//!
//! Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::task::{Plan, Task};

/// How much work a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Complexity {
    /// About ten minutes of an agent.
    Low,
    /// About a quarter of an hour.
    Medium,
    /// About twenty minutes and more.
    High,
}

impl Complexity {
    /// The word that is shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// The seconds that an agent usually takes.
    const fn seconds(self) -> (u32, u32) {
        match self {
            Self::Low => (5 * MINUTE, 10 * MINUTE),
            Self::Medium => (10 * MINUTE, 15 * MINUTE),
            Self::High => (15 * MINUTE, 20 * MINUTE),
        }
    }
}

impl std::fmt::Display for Complexity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a plan costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// The least and the most minutes until the last agent is done.
    pub parallel_minutes: (u32, u32),
    /// One pull request per task.
    pub pull_requests: u32,
    /// What it is reckoned from; `None` is a rule of thumb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past: Option<Past>,
}

/// What tasks took that succeeded in the same repository before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// How many they were.
    pub tasks: usize,
    /// What half of them took at most, in seconds.
    pub median_seconds: u32,
    /// What the middle half of them took, from and to, in seconds.
    pub usual_seconds: (u32, u32),
}

impl Past {
    /// Sums up durations in seconds; `None` where there are none.
    pub fn of(durations: impl IntoIterator<Item = f64>) -> Option<Self> {
        let whole = |duration: f64| Duration::try_from_secs_f64(duration.round()).ok();
        let mut seconds: Vec<u32> = durations
            .into_iter()
            .filter_map(|duration| u32::try_from(whole(duration)?.as_secs()).ok())
            .collect();
        seconds.sort_unstable();
        let last = seconds.len().checked_sub(1)?;
        Some(Self {
            tasks: seconds.len(),
            median_seconds: seconds[last / 2],
            usual_seconds: (seconds[last / 4], seconds[last - last / 4]),
        })
    }
}

/// How a plan is worked through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// Agents at a time; `None` is the default of five.
    pub workers: Option<usize>,
    /// A batch of so many ends before the next begins.
    pub batch: Option<usize>,
    /// What tasks took before.
    pub past: Option<Past>,
}

const MINUTE: u32 = 60;

/// The agents at work where nobody says how many (DESIGN section 3).
const DEFAULT_WORKERS: usize = 5;

/// Words that make a task larger or smaller than usual.
const WEIGHTS: &[(&str, i32)] = &[
    ("implement", 1),
    ("design", 1),
    ("module", 1),
    ("management", 1),
    ("api", 1),
    ("integration", 1),
    ("integrate", 1),
    ("engine", 1),
    ("framework", 1),
    ("architecture", 1),
    ("migrate", 1),
    ("migration", 1),
    ("rewrite", 1),
    ("refactor", 1),
    ("system", 1),
    ("pipeline", 1),
    ("service", 1),
    ("protocol", 1),
    ("provider", 1),
    ("concurrency", 1),
    ("distributed", 1),
    ("encryption", 1),
    ("oauth2", 1),
    ("parser", 1),
    ("scheduler", 1),
    ("support", 1),
    ("convert", 1),
    ("end-to-end", 1),
    ("fix", -1),
    ("typo", -1),
    ("rename", -1),
    ("bump", -1),
    ("button", -1),
    ("label", -1),
    ("document", -1),
    ("readme", -1),
    ("comment", -1),
    ("remove", -1),
    ("delete", -1),
    ("update", -1),
    ("tooltip", -1),
    ("icon", -1),
    ("changelog", -1),
    ("color", -1),
    ("link", -1),
    ("format", -1),
    ("formatting", -1),
];

/// How much work a task is.
pub(super) fn complexity(task: &Task) -> Complexity {
    if let Some(minutes) = stated_minutes(&task.title).or_else(|| stated_minutes(&task.description))
    {
        return match minutes {
            0..=10 => Complexity::Low,
            11..=30 => Complexity::Medium,
            _ => Complexity::High,
        };
    }
    let title = task.title.to_lowercase();
    let mut score: i32 = title
        .split(|c: char| !c.is_alphanumeric() && c != '-')
        .filter_map(|word| WEIGHTS.iter().find(|(name, _)| *name == word))
        .map(|(_, weight)| weight)
        .sum();
    score += i32::from(task.description.len() > 600) + i32::from(task.description.len() > 2000);
    score += i32::from(task.acceptance.len() > 3) + i32::from(task.paths.len() > 3);
    match score {
        ..=0 => Complexity::Low,
        1 => Complexity::Medium,
        _ => Complexity::High,
    }
}

/// A stated effort: `(10min)`, `~2h`, `3 days`.
fn stated_minutes(text: &str) -> Option<u32> {
    let open = text.rfind('(')?;
    let close = text[open..].find(')')? + open;
    let inner = text[open + 1..close]
        .trim()
        .trim_start_matches(['~', '≈'])
        .trim()
        .to_lowercase();
    let digits = inner
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(inner.len());
    let number: u32 = inner[..digits].parse().ok()?;
    let factor = match inner[digits..].trim() {
        "m" | "min" | "mins" | "minute" | "minutes" | "minuten" | "мин" | "分" | "分钟" | "분" => {
            1
        }
        "h" | "hr" | "hrs" | "hour" | "hours" | "std" | "stunden" | "ч" | "小时" | "時間"
        | "시간" => 60,
        "d" | "day" | "days" | "tage" | "дня" | "天" | "日" | "일" => 480,
        _ => return None,
    };
    Some(number.saturating_mul(factor))
}

/// The seconds of one task. What the plan says itself outweighs all else.
fn seconds(task: &Task, past: Option<Past>) -> (u32, u32) {
    match (stated_minutes(&task.title), past) {
        (Some(minutes), _) => {
            let stated = minutes.saturating_mul(MINUTE);
            (stated, stated.saturating_add(stated / 4))
        }
        (None, Some(past)) => past.usual_seconds,
        (None, None) => complexity(task).seconds(),
    }
}

/// Estimates a plan.
pub fn estimate(plan: &Plan, pace: &Pace) -> Estimate {
    let workers = pace.workers.unwrap_or(DEFAULT_WORKERS);
    let batch = pace.batch.unwrap_or(usize::MAX).max(1);
    let tasks: Vec<_> = plan
        .tasks
        .iter()
        .map(|task| seconds(task, pace.past))
        .collect();
    let minutes = |of: fn(&(u32, u32)) -> u32| {
        let spans = tasks
            .chunks(batch)
            .map(|batch| makespan(batch.iter().map(of).collect(), workers));
        let end = spans.fold(0, u32::saturating_add);
        end.div_ceil(MINUTE).max(1)
    };
    Estimate {
        parallel_minutes: (minutes(|range| range.0), minutes(|range| range.1)),
        pull_requests: u32::try_from(plan.tasks.len()).unwrap_or(u32::MAX),
        past: pace.past,
    }
}

/// The time until the last one is done, the longest being started first.
fn makespan(mut seconds: Vec<u32>, workers: usize) -> u32 {
    use std::cmp::Reverse;
    seconds.sort_unstable_by_key(|&seconds| Reverse(seconds));
    let workers = workers.clamp(1, seconds.len().max(1));
    let mut free: std::collections::BinaryHeap<Reverse<u32>> =
        (0..workers).map(|_| Reverse(0)).collect();
    let mut end = 0;
    for seconds in seconds {
        let Reverse(start) = free.pop().unwrap_or(Reverse(0));
        let done = start.saturating_add(seconds);
        end = end.max(done);
        free.push(Reverse(done));
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::parse;

    fn plan(tasks: usize) -> Plan {
        let lines: Vec<_> = (1..=tasks).map(|n| format!("- [ ] Add page {n}")).collect();
        parse(&lines.join("\n"), None).unwrap()
    }

    fn minutes(tasks: usize, pace: Pace) -> (u32, u32) {
        estimate(&plan(tasks), &pace).parallel_minutes
    }

    fn past(durations: &[f64]) -> Pace {
        Pace {
            past: Past::of(durations.iter().copied()),
            ..Pace::default()
        }
    }

    #[test]
    fn what_tasks_took_here_outweighs_the_rule_of_thumb() {
        let pace = past(&[100.0, 180.0, 240.0, 241.0, 3000.0]);
        assert_eq!(minutes(5, pace), (3, 5));
        assert_eq!(minutes(6, pace), (6, 9), "the sixth waits for one of five");
        assert_eq!(pace.past.map(|past| past.median_seconds), Some(240));
        assert_eq!(minutes(5, Pace::default()), (5, 10));
    }

    #[test]
    fn what_the_plan_says_itself_outweighs_the_past() {
        let plan = parse("- [ ] Add login form (20min)\n", None).unwrap();
        let estimate = estimate(&plan, &past(&[60.0]));
        assert_eq!(estimate.parallel_minutes, (20, 25));
    }

    #[test]
    fn agents_and_batches_count() {
        let pace = |workers, batch| Pace {
            workers: Some(workers),
            batch,
            ..past(&[60.0])
        };
        assert_eq!(minutes(6, pace(2, None)), (3, 3));
        assert_eq!(minutes(6, pace(6, Some(4))), (2, 2));
        assert_eq!(minutes(6, pace(2, Some(3))), (4, 4));
    }

    #[test]
    fn few_past_tasks_are_enough_and_none_is_no_past() {
        assert_eq!(Past::of([]), None);
        let one = Past::of([0.2]).unwrap();
        assert_eq!((one.tasks, one.usual_seconds), (1, (0, 0)));
        assert_eq!(minutes(1, past(&[0.2])), (1, 1), "nothing takes no time");
        let two = Past::of([90.0, 30.0]).unwrap();
        assert_eq!((two.median_seconds, two.usual_seconds), (30, (30, 90)));
    }
}
