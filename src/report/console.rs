//! Which lines an event gives on standard output and on standard error.
//!
//! Pure: a fold over events that remembers only what later lines need. Standard output gets the
//! specification's lines and nothing else; notes are for standard error.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::lines;
use super::untrusted::inline_terminal;
use crate::run::event::{Event, EventKind, IssueRole};
use crate::run::resumption::Rerun;

/// A new line about progress comes with a new stage or after so many points.
const PROGRESS_STEP: u8 = 10;

/// How the run came to be, which decides two of its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// From a source.
    Fresh,
    /// The failed tasks of an earlier run.
    Retry,
}

/// Turns the events of one orchestration into lines.
#[derive(Debug)]
pub struct Console {
    zone: TimeZone,
    mode: Mode,
    batched: bool,
    /// It was said how many agents there are.
    deployed: bool,
    tasks: usize,
    /// How many of them run again, where an earlier run is taken up.
    again: Option<usize>,
    finished: usize,
    created: Vec<u64>,
    existing: Vec<u64>,
    progress: BTreeMap<u32, (String, u8)>,
}

impl Console {
    /// A console that shows times in `zone`.
    pub const fn new(zone: TimeZone, mode: Mode) -> Self {
        Self {
            zone,
            mode,
            batched: false,
            deployed: false,
            tasks: 0,
            again: None,
            finished: 0,
            created: Vec::new(),
            existing: Vec::new(),
            progress: BTreeMap::new(),
        }
    }

    /// The lines that an event gives; often none.
    pub fn lines(&mut self, event: &Event) -> Vec<String> {
        match &event.kind {
            EventKind::PlanParsed { source, tasks, .. } => {
                self.tasks = tasks.len();
                match self.mode {
                    Mode::Fresh => vec![lines::parsed(tasks.len(), &shown_source(source))],
                    Mode::Retry => Vec::new(),
                }
            }
            EventKind::OrchestrationResumed {
                retry,
                successful,
                total,
                tasks,
                ..
            } => self.resume(&event.orchestration, *retry, *successful, *total, tasks),
            EventKind::IssueCreated {
                role: IssueRole::SubIssue,
                number,
                existed,
                ..
            } => {
                if *existed {
                    &mut self.existing
                } else {
                    &mut self.created
                }
                .push(*number);
                Vec::new()
            }
            EventKind::BatchStarted {
                batch,
                agents,
                max_workers,
                batch_size,
                interval,
                ..
            } => self.batch(*batch, agents, *max_workers, *batch_size, *interval),
            EventKind::AgentStarted { agent, .. } => {
                self.progress.remove(agent);
                Vec::new()
            }
            EventKind::AgentProgress {
                agent,
                stage,
                percent,
            } => self.advance(&event.time, *agent, stage, *percent),
            EventKind::TaskFinished {
                agent,
                success,
                duration_seconds,
                pr_number,
                failure,
            } => {
                self.finished += 1;
                vec![match failure {
                    Some(failure) if !success => {
                        lines::failed(*agent, *duration_seconds, failure.error.label())
                    }
                    _ => lines::completed(*agent, *pr_number, *duration_seconds),
                }]
            }
            EventKind::DiagnosticCreated {
                number,
                title,
                existed,
                ..
            } => {
                let mut out = vec![lines::diagnostic(*number, title, *existed)];
                if self.finished < self.tasks {
                    out.push(lines::CONTINUING.to_owned());
                }
                out
            }
            EventKind::OrchestrationFinished { exit_code, summary } => {
                let (successful, total) = (summary.successful, summary.total_sub_tasks);
                let last = if self.mode == Mode::Retry && successful == total && total > 0 {
                    lines::RETRY_SUCCESSFUL.to_owned()
                } else {
                    let above = matches!(exit_code, 0 | 1);
                    lines::outcome(successful, total, above, summary.context.wall_seconds)
                };
                let apart = self.batched || self.mode == Mode::Retry;
                if apart {
                    vec![String::new(), last]
                } else {
                    vec![last]
                }
            }
            _ => Vec::new(),
        }
    }

    /// The lines that an event gives on standard error: what stops nothing and is worth knowing.
    pub fn notes(&self, event: &Event) -> Vec<String> {
        let note = match &event.kind {
            EventKind::Warning {
                agent: Some(agent),
                message,
            } => {
                format!("warning: Agent-{agent}: {message}")
            }
            EventKind::Warning {
                agent: None,
                message,
            } => format!("warning: {message}"),
            EventKind::PoolPaused { reason, until } => {
                format!(
                    "note: no agent starts until {}: {reason}",
                    self.clock(until)
                )
            }
            EventKind::PoolResumed => "note: agents start again".to_owned(),
            _ => return Vec::new(),
        };
        vec![inline_terminal(&note)]
    }

    fn resume(
        &mut self,
        id: &str,
        retry: bool,
        successful: usize,
        total: usize,
        tasks: &[Rerun],
    ) -> Vec<String> {
        self.tasks = total;
        self.finished = total - tasks.len().min(total);
        self.again = Some(tasks.len());
        self.batched = false;
        self.deployed = false;
        self.created.clear();
        self.existing.clear();
        self.progress.clear();
        if retry {
            self.mode = Mode::Retry;
            let failed: Vec<_> = tasks
                .iter()
                .map(|task| {
                    let words = task.failed.clone();
                    (
                        task.agent,
                        words.unwrap_or_else(|| "Not finished".to_owned()),
                    )
                })
                .collect();
            let head = lines::retry_head(id, successful, total, &failed);
            head.lines()
                .map(str::to_owned)
                .chain([String::new()])
                .collect()
        } else {
            self.mode = Mode::Fresh;
            lines::resumed(id, successful, total)
        }
    }

    fn clock(&self, time: &str) -> String {
        time.parse::<Timestamp>().map_or_else(
            |_| "--:--".to_owned(),
            |time| {
                time.to_zoned(self.zone.clone())
                    .strftime("%H:%M")
                    .to_string()
            },
        )
    }

    fn batch(
        &mut self,
        batch: u32,
        agents: &[u32],
        max_workers: usize,
        batch_size: Option<usize>,
        interval: u64,
    ) -> Vec<String> {
        let mut out = Vec::new();
        if !std::mem::replace(&mut self.deployed, true) {
            for (numbers, line) in [
                (
                    &mut self.created,
                    lines::created_sub_issues as fn(&[u64]) -> String,
                ),
                (&mut self.existing, lines::existing_sub_issues),
            ] {
                numbers.sort_unstable();
                if !numbers.is_empty() && self.mode == Mode::Fresh {
                    out.push(line(numbers));
                }
            }
            let agents = self.again.unwrap_or(self.tasks);
            out.push(match (self.mode, batch_size) {
                (Mode::Retry, _) => lines::deployed_for_retry(agents),
                (Mode::Fresh, Some(size)) => lines::deployed_in_batches(agents, size),
                (Mode::Fresh, None) => lines::deployed(agents, max_workers),
            });
        }
        if batch_size.is_some() {
            self.batched = true;
            out.extend([String::new(), lines::batch(batch, agents)]);
            out.push(lines::monitoring_batch(batch));
        } else {
            out.push(lines::monitoring(interval));
        }
        out
    }

    fn advance(&mut self, time: &str, agent: u32, stage: &str, percent: u8) -> Vec<String> {
        let is_news = self
            .progress
            .get(&agent)
            .is_none_or(|(last_stage, last_percent)| {
                last_stage != stage || percent >= last_percent.saturating_add(PROGRESS_STEP)
            });
        if !is_news {
            return Vec::new();
        }
        self.progress.insert(agent, (stage.to_owned(), percent));
        let clock = self.clock(time);
        vec![lines::progress(&clock, agent, stage, percent)]
    }
}

/// `issue #1234` for a number, as the specification has it; any other source as it was given.
pub fn shown_source(source: &str) -> String {
    if source == "-" {
        return "standard input".to_owned();
    }
    let number = source.strip_prefix('#').unwrap_or(source);
    if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("issue #{number}")
    } else {
        source.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::summary::tests::example;
    use crate::run::event::PlannedTask;
    use crate::run::failure::{ErrorType, Failure, Stage};
    use crate::run::summary::Summary;

    fn parsed(tasks: u32) -> EventKind {
        let tasks = (1..=tasks)
            .map(|agent| PlannedTask {
                agent,
                title: "t".into(),
            })
            .collect();
        EventKind::PlanParsed {
            source: "1234".into(),
            title: "t".into(),
            tasks,
        }
    }

    fn sub_issue(number: u64, existed: bool) -> EventKind {
        EventKind::IssueCreated {
            role: IssueRole::SubIssue,
            agent: Some(1),
            number,
            title: "t".into(),
            url: "u".into(),
            existed,
        }
    }

    fn batch(batch: u32, agents: &[u32], batch_size: Option<usize>) -> EventKind {
        EventKind::BatchStarted {
            batch,
            batches: 4,
            agents: agents.to_vec(),
            max_workers: 5,
            batch_size,
            interval: 30,
        }
    }

    fn progress(agent: u32, stage: &str, percent: u8) -> EventKind {
        EventKind::AgentProgress {
            agent,
            stage: stage.into(),
            percent,
        }
    }

    fn finished(agent: u32, pr_number: Option<u64>, duration_seconds: f64) -> EventKind {
        let failure = Failure::new(Stage::Testing, ErrorType::TestTimeout, "pytest did not end");
        EventKind::TaskFinished {
            agent,
            success: pr_number.is_some(),
            duration_seconds,
            pr_number,
            failure: pr_number.is_none().then_some(failure),
        }
    }

    fn diagnostic(number: u64) -> EventKind {
        let title = "Agent-3 Test Timeout Investigation".into();
        EventKind::DiagnosticCreated {
            agent: 3,
            number,
            title,
            url: "u".into(),
            existed: false,
        }
    }

    fn end(successful: usize, total: usize, exit_code: u8, seconds: f64) -> EventKind {
        let mut summary = Summary {
            successful,
            total_sub_tasks: total,
            ..example()
        };
        summary.context.wall_seconds = seconds;
        EventKind::OrchestrationFinished {
            exit_code,
            summary: Box::new(summary),
        }
    }

    fn show(mode: Mode, kinds: Vec<EventKind>) -> String {
        let mut console = Console::new(TimeZone::fixed(jiff::tz::offset(1)), mode);
        let lines: Vec<_> = (1..)
            .zip(kinds)
            .flat_map(|(seq, kind)| {
                console.lines(&Event {
                    v: 1,
                    seq,
                    time: "2025-12-01T11:05:00.000Z".into(),
                    orchestration: "o".into(),
                    kind,
                })
            })
            .collect();
        lines.join("\n")
    }

    #[test]
    fn a_run_reads_as_in_the_specification() {
        let mut events = vec![parsed(5)];
        events.extend((1235..=1239).map(|number| sub_issue(number, false)));
        events.push(batch(1, &[1, 2, 3, 4, 5], None));
        events.push(progress(1, "Implementing feature", 45));
        events.push(progress(1, "Implementing feature", 54));
        events.push(progress(1, "Implementing feature", 55));
        events.push(finished(2, Some(1241), 922.0));
        events.push(finished(3, None, 1680.0));
        events.push(diagnostic(1246));
        events.extend([
            finished(1, Some(1240), 765.0),
            finished(4, Some(1243), 857.0),
        ]);
        events.extend([finished(5, Some(1244), 1011.0), end(4, 5, 1, 1083.0)]);
        insta::assert_snapshot!(show(Mode::Fresh, events), @r#"
        🚀 Parsed 5 sub-tasks from issue #1234
        📝 Created sub-issues: #1235, #1236, #1237, #1238, #1239
        🤖 Deployed 5 agents (max_workers=5)
        ⏱️  Monitoring progress (updates every 30s)...
        [12:05] Agent-1: Implementing feature (45%)
        [12:05] Agent-1: Implementing feature (55%)
        ✅ Agent-2 completed → PR #1241 (15m 22s)
        ❌ Agent-3 failed after 28m: Test timeout
        📋 Created diagnostic issue #1246: "Agent-3 Test Timeout Investigation"
        ⏱️  Continuing with remaining agents...
        ✅ Agent-1 completed → PR #1240 (12m 45s)
        ✅ Agent-4 completed → PR #1243 (14m 17s)
        ✅ Agent-5 completed → PR #1244 (16m 51s)
        🎉 4/5 agents succeeded! Total duration: 18m 03s
        "#);
    }

    #[test]
    fn batches_read_as_in_the_specification() {
        let mut events = vec![parsed(10)];
        events.extend((1235..=1244).map(|number| sub_issue(number, false)));
        events.extend([
            batch(1, &[1, 2, 3], Some(3)),
            finished(1, Some(1245), 600.0),
        ]);
        events.extend([batch(4, &[10], Some(3)), finished(10, Some(1253), 600.0)]);
        events.push(end(10, 10, 0, 3120.0));
        insta::assert_snapshot!(show(Mode::Fresh, events), @r"
        🚀 Parsed 10 sub-tasks from issue #1234
        📝 Created sub-issues: #1235-#1244
        🤖 Deployed 10 agents in batches (batch_size=3)

        [Batch 1: Agents 1-3]
        ⏱️  Monitoring batch 1...
        ✅ Agent-1 completed → PR #1245 (10m)

        [Batch 4: Agent 10]
        ⏱️  Monitoring batch 4...
        ✅ Agent-10 completed → PR #1253 (10m)

        🎉 All agents succeeded! Total duration: 52m
        ");
    }

    #[test]
    fn a_pause_says_until_when() {
        let console = Console::new(TimeZone::fixed(jiff::tz::offset(1)), Mode::Fresh);
        let note = |kind| {
            console.notes(&Event {
                v: 1,
                seq: 1,
                time: "2025-12-01T11:05:00.000Z".into(),
                orchestration: "o".into(),
                kind,
            })
        };
        let reason = "usage limit".to_owned();
        let until = "2025-12-01T12:30:00Z".to_owned();
        let pause = EventKind::PoolPaused { reason, until };
        assert_eq!(
            note(pause),
            ["note: no agent starts until 13:30: usage limit"]
        );
        let warning = EventKind::Warning {
            agent: Some(2),
            message: "kept /w".into(),
        };
        assert_eq!(note(warning), ["warning: Agent-2: kept /w"]);
        assert!(note(finished(1, Some(1), 1.0)).is_empty());
    }

    #[test]
    fn a_retry_that_completes_says_so() {
        let events = vec![
            parsed(1),
            sub_issue(1237, true),
            batch(1, &[3], None),
            finished(3, Some(1245), 600.0),
            end(5, 5, 0, 600.0),
        ];
        insta::assert_snapshot!(show(Mode::Retry, events), @r"
        🤖 Deployed 1 agent for retry
        ⏱️  Monitoring progress (updates every 30s)...
        ✅ Agent-3 completed → PR #1245 (10m)

        🎉 Retry successful! Original orchestration now complete.
        ");
    }
}
