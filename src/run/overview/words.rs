//! An orchestration in words: the table that `status` prints.
//!
//! Pure.

use crate::report::text::duration;
use crate::report::untrusted::inline_terminal;

use super::{Condition, Overview};

impl Overview {
    /// The table for people: what it is, how it is, and one line a task.
    pub fn lines(&self, now: i64) -> Vec<String> {
        let mut lines = vec![
            format!("{}: {}", self.orchestration, self.in_words(now)),
            format!(
                "#{} {}",
                self.issue,
                inline_terminal(&self.title).trim_end()
            ),
            String::new(),
        ];
        let rows: Vec<[String; 5]> = self.tasks.iter().map(cells).collect();
        let width = |column: usize| {
            let widths = rows.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or(0)
        };
        let widths = [width(0), width(1), width(2), width(3)];
        for [agent, status, time, at, title] in &rows {
            let [a, b, c, d] = widths;
            let line = format!("{agent:a$}  {status:b$}  {time:>c$}  {at:d$}  {title}");
            lines.push(line.trim_end().to_owned());
        }
        lines
    }

    /// `running for 2m 03s, process 4242`
    fn in_words(&self, now: i64) -> String {
        let since = |from: &str, to: i64| {
            duration(to.saturating_sub(milliseconds(from, to)).max(0) as f64 / 1e3)
        };
        let ended = self.ended.as_deref().unwrap_or_default();
        let until = milliseconds(&self.updated, now);
        match (self.state, self.exit_code) {
            (Condition::Running, _) => {
                let verb = if self.stopping { "stopping" } else { "running" };
                let process = match self.pid {
                    Some(pid) if pid > 0 => format!(", process {pid}"),
                    _ => String::new(),
                };
                format!("{verb}, begun {} ago{process}", since(&self.started, now))
            }
            (Condition::Finished, Some(0)) => {
                format!("all tasks succeeded, {} ago", since(ended, now))
            }
            (Condition::Finished, Some(code @ 1..=2)) => {
                format!(
                    "finished with failures, {} ago (exit code {code})",
                    since(ended, now)
                )
            }
            (Condition::Finished, code) => format!(
                "it broke, {} ago (exit code {})",
                since(ended, now),
                code.unwrap_or_default()
            ),
            (Condition::Interrupted, _) => format!("interrupted, {} ago", since(ended, now)),
            (Condition::Crashed, _) => format!(
                "its process died; last heard of {} ago",
                since(&self.updated, now)
            ),
            (Condition::Damaged, _) => format!(
                "its journal is damaged, and tells of the first {} alone",
                since(&self.started, until)
            ),
        }
    }
}

/// Since 1970; `otherwise` where that is no time.
fn milliseconds(time: &str, otherwise: i64) -> i64 {
    time.parse::<jiff::Timestamp>()
        .map_or(otherwise, jiff::Timestamp::as_millisecond)
}

/// Agent, status, time, what it is at or came to, title.
fn cells(row: &serde_json::Value) -> [String; 5] {
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    let status = text("status");
    let at = match status {
        "in_progress" => format!("{} ({}%)", text("stage"), row["percent"]),
        "completed" => row["pr_number"]
            .as_u64()
            .map_or_else(String::new, |pull| format!("PR #{pull}")),
        "failed" => text("error_label").to_owned(),
        _ => String::new(),
    };
    let seconds = row["duration_seconds"].as_f64().unwrap_or_default();
    [
        capitalized(text("agent_id")),
        match status {
            "in_progress" => "🤖 in progress".to_owned(),
            "completed" => "✅ completed".to_owned(),
            "failed" => "❌ failed".to_owned(),
            "unknown" => "❔ unknown".to_owned(),
            other => format!("⏳ {other}"),
        },
        if matches!(status, "pending" | "unknown") {
            String::new()
        } else {
            duration(seconds)
        },
        inline_terminal(&at).trim_end().to_owned(),
        inline_terminal(text("title")).trim_end().to_owned(),
    ]
}

/// `agent-3` as lines have it: `Agent-3`.
fn capitalized(agent: &str) -> String {
    agent.replacen('a', "A", 1)
}
