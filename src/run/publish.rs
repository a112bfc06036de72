//! Public events as a projection of journal records.
//!
//! Pure. Nothing is published but what a record says, and each record gives one event at most.

use super::event::{Event, EventKind, IssueRole, SCHEMA_VERSION};
use super::facts::Start;
use super::record::{Body, Record};

/// The public event that a record is seen as, if it is.
///
/// `start` is what the orchestration started from, once that is known.
pub fn publish(record: &Record, start: Option<&Start>) -> Option<Event> {
    let kind = event_kind(&record.body, start)?;
    Some(Event {
        v: SCHEMA_VERSION,
        seq: record.seq,
        time: rfc3339(record.time),
        orchestration: start.map(|s| s.orchestration.clone()).unwrap_or_default(),
        kind,
    })
}

/// Milliseconds since 1970 as RFC 3339 in UTC, with milliseconds.
pub fn rfc3339(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds)
        .map(|t| t.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
        .unwrap_or_default()
}

#[expect(clippy::too_many_lines, reason = "one arm a record: a table")]
fn event_kind(body: &Body, start: Option<&Start>) -> Option<EventKind> {
    Some(match body {
        Body::PlanParsed {
            source,
            title,
            tasks,
        } => EventKind::PlanParsed {
            source: source.clone(),
            title: title.clone(),
            tasks: tasks.clone(),
        },
        Body::Validated { verdict, warnings } => EventKind::Validated {
            verdict: verdict.clone(),
            warnings: warnings.clone(),
        },
        Body::Started(start) => EventKind::IssueCreated {
            role: IssueRole::Master,
            agent: None,
            number: start.master.number,
            title: start.title.clone(),
            url: start.master.url.clone(),
            existed: start.master.existed,
        },
        Body::Resumed(resumption) => EventKind::OrchestrationResumed {
            retry: resumption.retry,
            successful: resumption.successful,
            total: resumption.total,
            max_workers: resumption.settings.max_workers,
            tasks: resumption.tasks.clone(),
        },
        Body::SubIssueFiled {
            agent,
            filed,
            title,
        } => EventKind::IssueCreated {
            role: IssueRole::SubIssue,
            agent: Some(*agent),
            number: filed.number,
            title: title.clone(),
            url: filed.url.clone(),
            existed: filed.existed,
        },
        Body::BatchStarted {
            batch,
            batches,
            agents,
        } => {
            let settings = &start?.settings;
            EventKind::BatchStarted {
                batch: *batch,
                batches: *batches,
                agents: agents.clone(),
                max_workers: settings.max_workers,
                batch_size: settings.batch_size,
                interval: settings.interval,
            }
        }
        Body::Prepared {
            agent,
            path,
            branch,
            ..
        } => EventKind::WorktreeCreated {
            agent: *agent,
            path: path.clone(),
            branch: branch.clone(),
        },
        Body::AgentSpawned {
            agent,
            pid,
            pgid,
            attempt,
        } => EventKind::AgentStarted {
            agent: *agent,
            attempt: *attempt,
            pid: *pid,
            pgid: *pgid,
        },
        Body::AgentProgress {
            agent,
            stage,
            percent,
        } => EventKind::AgentProgress {
            agent: *agent,
            stage: stage.clone(),
            percent: *percent,
        },
        Body::AgentEnded {
            agent,
            attempt,
            end,
        } => EventKind::AgentFinished {
            agent: *agent,
            attempt: *attempt,
            outcome: match end.again {
                Some(_) => "refused".to_owned(),
                None => end.outcome.clone(),
            },
            exit_code: end.exit_code,
            duration_seconds: end.seconds,
        },
        Body::AgentUsed { agent, usage } => EventKind::AgentUsage {
            agent: *agent,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cost_usd: usage.cost_usd,
        },
        Body::Pushed { agent, branch } => EventKind::Pushed {
            agent: *agent,
            branch: branch.clone(),
        },
        Body::PoolPaused { reason, until } => EventKind::PoolPaused {
            reason: reason.clone(),
            until: rfc3339(*until),
        },
        Body::PoolResumed => EventKind::PoolResumed,
        Body::ForgeAllowance { remaining, reset } => EventKind::ForgeAllowance {
            remaining: *remaining,
            reset: rfc3339(*reset),
        },
        Body::VerifyEnded { agent, end } => EventKind::VerifyFinished {
            agent: *agent,
            passed: end.failure.is_none(),
            exit_code: end.exit_code,
            duration_seconds: end.seconds,
        },
        Body::PullOpened { agent, filed } => EventKind::PullCreated {
            agent: *agent,
            number: filed.number,
            url: filed.url.clone(),
            existed: filed.existed,
        },
        Body::DiagnosticFiled {
            agent,
            filed,
            title,
        } => EventKind::DiagnosticCreated {
            agent: *agent,
            number: filed.number,
            title: title.clone(),
            url: filed.url.clone(),
            existed: filed.existed,
        },
        Body::DiagnosticFailed { agent, reason } => EventKind::Warning {
            agent: Some(*agent),
            message: format!("no diagnostic issue for Agent-{agent}: {reason}"),
        },
        Body::DiagnosticClosed {
            agent,
            problem: Some(problem),
            ..
        } => EventKind::Warning {
            agent: Some(*agent),
            message: format!("its diagnostic issue stays open: {problem}"),
        },
        Body::DiagnosticClosed { agent, numbers, .. } => EventKind::DiagnosticClosed {
            agent: *agent,
            number: *numbers.first()?,
        },
        Body::Cleaned {
            agent,
            kept: Some(reason),
        } => EventKind::Warning {
            agent: Some(*agent),
            message: reason.clone(),
        },
        Body::Warned { agent, message } => EventKind::Warning {
            agent: *agent,
            message: message.clone(),
        },
        Body::SummaryWritten {
            problem: Some(problem),
        } => EventKind::Warning {
            agent: None,
            message: format!("no summary file: {problem}"),
        },
        Body::CommentPosted { url } => EventKind::CommentPosted {
            issue: start?.master.number,
            url: url.clone(),
        },
        Body::CommentFailed { reason } => EventKind::Warning {
            agent: None,
            message: format!("no comment on the master issue: {reason}"),
        },
        Body::Finished { exit_code, summary } => EventKind::OrchestrationFinished {
            exit_code: *exit_code,
            summary: summary.clone(),
        },
        Body::Broken {
            kind,
            message,
            hint,
            exit_code,
        } => EventKind::Error {
            kind: kind.clone(),
            message: message.clone(),
            hint: hint.clone(),
            exit_code: *exit_code,
        },
        Body::TaskEnded {
            agent,
            failure,
            seconds,
            pr_number,
        } => EventKind::TaskFinished {
            agent: *agent,
            success: failure.is_none(),
            duration_seconds: *seconds,
            pr_number: *pr_number,
            failure: failure.clone(),
        },
        Body::Intended { .. }
        | Body::SessionChosen { .. }
        | Body::WorktreeGone { .. }
        | Body::SetupEnded { .. }
        | Body::MergesTried { .. }
        | Body::Inspected { .. }
        | Body::StepFailed { .. }
        | Body::CancelRequested { .. }
        | Body::Cleaned { kept: None, .. }
        | Body::SummaryWritten { problem: None } => return None,
    })
}
