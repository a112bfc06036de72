//! How much work a task is, and how long the whole plan takes.
//!
//! Rough on purpose: the specification's dry run shows one word per task and a range of minutes.
//!
//! Pure.

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

    /// The minutes that an agent usually takes.
    const fn minutes(self) -> (u32, u32) {
        match self {
            Self::Low => (5, 10),
            Self::Medium => (10, 15),
            Self::High => (15, 20),
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
}

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

/// The minutes of one task.
fn minutes(task: &Task) -> (u32, u32) {
    stated_minutes(&task.title).map_or_else(
        || complexity(task).minutes(),
        |minutes| (minutes, minutes + minutes / 4),
    )
}

/// Estimates a plan on so many agents at a time; `None` means the default of five.
pub fn estimate(plan: &Plan, workers: Option<usize>) -> Estimate {
    let workers = workers
        .unwrap_or(DEFAULT_WORKERS)
        .clamp(1, plan.tasks.len().max(1));
    let (low, high): (Vec<u32>, Vec<u32>) = plan.tasks.iter().map(minutes).unzip();
    Estimate {
        parallel_minutes: (makespan(low, workers), makespan(high, workers)),
        pull_requests: u32::try_from(plan.tasks.len()).unwrap_or(u32::MAX),
    }
}

/// The time until the last one is done, the longest being started first.
fn makespan(mut minutes: Vec<u32>, workers: usize) -> u32 {
    use std::cmp::Reverse;
    minutes.sort_unstable_by_key(|&minutes| Reverse(minutes));
    let mut free: std::collections::BinaryHeap<Reverse<u32>> =
        (0..workers).map(|_| Reverse(0)).collect();
    let mut end = 0;
    for minutes in minutes {
        let Reverse(start) = free.pop().unwrap_or(Reverse(0));
        let done = start.saturating_add(minutes);
        end = end.max(done);
        free.push(Reverse(done));
    }
    end
}
