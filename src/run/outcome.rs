//! What an orchestration has come to: its exit code, its summary and its timeline, from its state.
//!
//! Pure.

use super::facts::Filed;
use super::facts::Role;
use super::failure::{ErrorType, Failure, Stage};
use super::state::State;
use super::summary::{Context, MergeConflict, Summary, TaskStatus, TaskSummary};
use super::task::{Ending, Span, Task, seconds};
use crate::report::timeline::{Bar, Look, Row, Timeline};

impl State {
    /// The exit code that follows from the outcomes (DESIGN section 3).
    pub fn exit_code(&self) -> u8 {
        if let Some(code) = self.cancelled {
            return code;
        }
        let done = self.tasks.iter().filter(|task| task.succeeded()).count();
        let threshold = usize::from(self.start.settings.threshold);
        match done {
            n if n == self.tasks.len() => 0,
            0 => 2,
            n if n * 100 >= threshold * self.tasks.len() => 1,
            _ => 2,
        }
    }

    /// What it has come to so far.
    pub fn summary(&self) -> Summary {
        let rows: Vec<TaskSummary> = self.tasks.iter().map(|task| self.row(task)).collect();
        let successful = self.tasks.iter().filter(|task| task.succeeded()).count();
        let total = rows.len();
        let wall_seconds = seconds(self.at);
        Summary {
            master_issue: self.start.master.number,
            total_sub_tasks: total,
            successful,
            failed: total - successful,
            prs_created: rows.iter().filter_map(|row| row.pr_number).collect(),
            follow_up_issues: rows.iter().filter_map(|row| row.follow_up_issue).collect(),
            duration_seconds: self.at / 1_000_000,
            lines_of_code: rows.iter().map(|row| row.lines_of_code).sum(),
            orchestration_id: self.start.orchestration.clone(),
            exit_code: self.exit_code(),
            success_rate: if total == 0 {
                0.0
            } else {
                100.0 * successful as f64 / total as f64
            },
            context: Context {
                title: self.start.title.clone(),
                source: self.start.source.clone(),
                logs: self.start.logs.clone(),
                summary_path: self.start.summary_path.clone(),
                wall_seconds,
                sequential_seconds: rows.iter().map(|row| row.duration_seconds).sum(),
                peak_concurrency: self.peak,
                threshold: self.start.settings.threshold,
                local: self.start.local,
                interrupted: self.cancelled.is_some(),
                base: self.start.base.clone(),
                merge_problem: self
                    .merges
                    .as_ref()
                    .and_then(|merges| merges.problem.clone()),
            },
            merge_order: self.merge_order(),
            merge_conflicts: self.merge_conflicts(),
            tasks: rows,
        }
    }

    fn merge_order(&self) -> Vec<u64> {
        let Some(merges) = &self.merges else {
            return Vec::new();
        };
        let done = self.tasks.iter().filter(|task| task.succeeded());
        let agents: Vec<_> = done.map(|task| task.spec.agent).collect();
        let order = merges.order(&agents).into_iter();
        order.filter_map(|agent| self.pull(agent)).collect()
    }

    fn merge_conflicts(&self) -> Vec<MergeConflict> {
        let collisions = self.merges.iter().flat_map(|merges| &merges.collisions);
        collisions
            .filter_map(|collision| {
                Some(MergeConflict {
                    pr: self.pull(collision.agent)?,
                    other_pr: match collision.other {
                        Some(other) => Some(self.pull(other)?),
                        None => None,
                    },
                    files: collision.paths.clone(),
                })
            })
            .collect()
    }

    fn pull(&self, agent: u32) -> Option<u64> {
        Some(self.task(agent)?.pull.as_ref()?.number)
    }

    /// When which agent was at work, up to now.
    pub fn timeline(&self) -> Timeline {
        let bar = |label: String, from: u64, to: Option<u64>, look: Look| Bar {
            label,
            from: self.wall(from),
            to: self.wall(to.unwrap_or(self.at)),
            look,
        };
        let row = |task: &Task| Row {
            agent: task.spec.agent,
            title: task.spec.title.clone(),
            bars: task
                .spans
                .iter()
                .map(|span| {
                    let (label, look) = describe(span);
                    bar(label, span.from, span.to, look)
                })
                .collect(),
        };
        let pause = |(from, to): &(u64, Option<u64>)| {
            bar("No agent starts".to_owned(), *from, *to, Look::Aside)
        };
        Timeline {
            rows: self.tasks.iter().map(row).collect(),
            pauses: self.paused_spans.iter().map(pause).collect(),
        }
    }

    /// The row of one task in the summary, as far as it has come.
    pub(super) fn row(&self, task: &Task) -> TaskSummary {
        let succeeded = task.succeeded();
        let failure = task.failure.clone().or_else(|| {
            (!succeeded && self.cancelled.is_some()).then(|| {
                Failure::new(
                    Stage::Implementation,
                    ErrorType::Cancelled,
                    "the run was interrupted",
                )
            })
        });
        let url = |filed: &Option<Filed>| filed.as_ref().map(|filed| filed.url.clone());
        let number = |filed: &Option<Filed>| filed.as_ref().map(|filed| filed.number);
        TaskSummary {
            agent_id: format!("agent-{}", task.spec.agent),
            agent: task.spec.agent,
            sub_issue: number(&task.sub_issue),
            sub_issue_url: url(&task.sub_issue),
            title: task.spec.title.clone(),
            status: if succeeded {
                TaskStatus::Completed
            } else {
                TaskStatus::Failed
            },
            pr_number: number(&task.pull),
            pr_url: url(&task.pull),
            branch: task.branch.clone(),
            duration_seconds: task.seconds(self.at),
            lines_of_code: if succeeded {
                task.proof.as_ref().map_or(0, |proof| proof.insertions)
            } else {
                0
            },
            attempts: task.attempts,
            cost_usd: task.usage().cost_usd,
            tests_passing: task.verified,
            error: failure.as_ref().map(Failure::status_text),
            error_label: failure
                .as_ref()
                .map(|failure| failure.error.label().to_owned()),
            failure_stage: failure.as_ref().map(|failure| failure.stage),
            timed_out: failure.as_ref().is_some_and(|failure| failure.timed_out),
            follow_up_issue: number(&task.diagnostic),
            follow_up_url: url(&task.diagnostic),
            worktree: task.worktree.clone(),
        }
    }
}

/// What a span is called, and how it looks.
fn describe(span: &Span) -> (String, Look) {
    let (label, look) = match span.role {
        Role::Agent => (format!("Attempt {}", span.attempt), Look::Work),
        Role::Setup => ("Setup".to_owned(), Look::Aside),
        Role::Verify => ("Verify".to_owned(), Look::Aside),
    };
    match span.ending {
        Ending::Well => (label, look),
        Ending::Failed => (label, Look::Failure),
        Ending::Refused => (format!("{label} refused"), Look::Aside),
    }
}
