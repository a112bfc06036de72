//! The lines on standard output, one function each.
//!
//! Pure. Emojis and spacing are the specification's; nobody may "mend" them.

use super::text::{duration, range, references};
use super::untrusted::inline_terminal;

/// `🔍 DRY RUN MODE`
pub const DRY_RUN: &str = "🔍 DRY RUN MODE";

/// `🔄 Retry mode: Loading previous orchestration state`
pub const RETRY: &str = "🔄 Retry mode: Loading previous orchestration state";

/// `🎉 Retry successful! Original orchestration now complete.`
pub const RETRY_SUCCESSFUL: &str = "🎉 Retry successful! Original orchestration now complete.";

/// `⏱️  Continuing with remaining agents...`
pub const CONTINUING: &str = "⏱️  Continuing with remaining agents...";

/// `🚀 Parsed 5 sub-tasks from issue #1234`; `source` is `issue #1234` or a plan's path.
pub fn parsed(tasks: usize, source: &str) -> String {
    let noun = if tasks == 1 { "sub-task" } else { "sub-tasks" };
    format!("🚀 Parsed {tasks} {noun} from {}", inline_terminal(source))
}

/// `📝 Created sub-issues: #1235, #1236`
pub fn created_sub_issues(numbers: &[u64]) -> String {
    let noun = if numbers.len() == 1 {
        "sub-issue"
    } else {
        "sub-issues"
    };
    format!("📝 Created {noun}: {}", references(numbers))
}

/// `📝 Using existing sub-issues: #1235`, for those that were adopted or found again.
pub fn existing_sub_issues(numbers: &[u64]) -> String {
    let noun = if numbers.len() == 1 {
        "sub-issue"
    } else {
        "sub-issues"
    };
    format!("📝 Using existing {noun}: {}", references(numbers))
}

/// `🤖 Deployed 5 agents (max_workers=5)`
pub fn deployed(agents: usize, max_workers: usize) -> String {
    format!("🤖 Deployed {} (max_workers={max_workers})", count(agents))
}

/// `🤖 Deployed 10 agents in batches (batch_size=3)`
pub fn deployed_in_batches(agents: usize, batch_size: usize) -> String {
    format!(
        "🤖 Deployed {} in batches (batch_size={batch_size})",
        count(agents)
    )
}

/// `🤖 Deployed 1 agent for retry`
pub fn deployed_for_retry(agents: usize) -> String {
    format!("🤖 Deployed {} for retry", count(agents))
}

fn count(agents: usize) -> String {
    if agents == 1 {
        "1 agent".to_owned()
    } else {
        format!("{agents} agents")
    }
}

/// `[Batch 1: Agents 1-3]`
pub fn batch(number: u32, agents: &[u32]) -> String {
    let noun = if agents.len() == 1 { "Agent" } else { "Agents" };
    let agents: Vec<_> = agents.iter().copied().map(u64::from).collect();
    format!("[Batch {number}: {noun} {}]", range(&agents))
}

/// `⏱️  Monitoring progress (updates every 30s)...`
pub fn monitoring(interval: u64) -> String {
    format!("⏱️  Monitoring progress (updates every {interval}s)...")
}

/// `⏱️  Monitoring batch 1...`
pub fn monitoring_batch(number: u32) -> String {
    format!("⏱️  Monitoring batch {number}...")
}

/// `[12:05] Agent-1: Implementing feature (45%)`; `clock` is `12:05`, local time.
pub fn progress(clock: &str, agent: u32, stage: &str, percent: u8) -> String {
    format!(
        "[{clock}] Agent-{agent}: {} ({percent}%)",
        inline_terminal(stage)
    )
}

/// `✅ Agent-2 completed → PR #1241 (15m 22s)`
pub fn completed(agent: u32, pull: Option<u64>, seconds: f64) -> String {
    let pull = pull
        .map(|number| format!(" → PR #{number}"))
        .unwrap_or_default();
    format!("✅ Agent-{agent} completed{pull} ({})", duration(seconds))
}

/// `❌ Agent-3 failed after 28m: Test timeout`
pub fn failed(agent: u32, seconds: f64, label: &str) -> String {
    format!(
        "❌ Agent-{agent} failed after {}: {}",
        duration(seconds),
        inline_terminal(label)
    )
}

/// `📋 Created diagnostic issue #1246: "Agent-3 Test Timeout Investigation"`, or `Updated` where it
/// was there before.
pub fn diagnostic(number: u64, title: &str, existed: bool) -> String {
    let done = if existed { "Updated" } else { "Created" };
    format!(
        "📋 {done} diagnostic issue #{number}: \"{}\"",
        inline_terminal(title)
    )
}

/// The last line of a run: `🎉 All agents succeeded! Total duration: 18m 03s`,
/// `🎉 9/10 agents succeeded! Total duration: 52m`, or below the threshold
/// `❌ 2/5 agents succeeded. Total duration: 52m`.
///
/// No success at all is always below the threshold (DESIGN section 3).
pub fn outcome(successful: usize, total: usize, above_threshold: bool, seconds: f64) -> String {
    let duration = duration(seconds);
    if successful == total && total > 0 {
        format!("🎉 All agents succeeded! Total duration: {duration}")
    } else if above_threshold && successful > 0 {
        format!("🎉 {successful}/{total} agents succeeded! Total duration: {duration}")
    } else {
        format!("❌ {successful}/{total} agents succeeded. Total duration: {duration}")
    }
}

/// The head of a retry: what was found, and which tasks run again.
///
/// `failed` holds the agents and the words for their errors.
pub fn retry_head(id: &str, successful: usize, total: usize, failed: &[(u32, String)]) -> String {
    let tasks: Vec<_> = failed
        .iter()
        .map(|(agent, label)| format!("\n- Agent-{agent}: {}", inline_terminal(label)))
        .collect();
    let tasks = tasks.concat();
    format!(
        "{RETRY}\n📂 Found orchestration: {id}\n\
         📋 Previous results: {successful}/{total} succeeded, {} failed\n\n\
         Retrying failed tasks:{tasks}\n",
        total.saturating_sub(successful),
    )
}

/// The head of a run that goes on where it was broken off.
pub fn resumed(id: &str, successful: usize, total: usize) -> Vec<String> {
    vec![
        format!("📂 Found orchestration: {id}"),
        format!("📋 Previous results: {successful}/{total} succeeded"),
    ]
}

/// What a dry run found about the tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A line without its sign: `Tasks 3-4 may share user.py utilities`.
    pub line: String,
    /// Why, a line each.
    pub because: Vec<String>,
}

impl From<String> for Finding {
    fn from(line: String) -> Self {
        Self {
            line,
            because: Vec::new(),
        }
    }
}

/// What a dry run shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryRun<'a> {
    /// `issue #1234`, or a plan's path.
    pub source: &'a str,
    /// Title and estimated complexity (`low`, `medium`, `high`) of each task.
    pub tasks: &'a [(String, &'a str)],
    /// Files that several tasks touch.
    pub conflicts: &'a [Finding],
    /// Tasks that wait for others.
    pub dependencies: &'a [Finding],
    /// Other warnings.
    pub warnings: &'a [Finding],
    /// The estimated duration in minutes, from and to.
    pub minutes: (u64, u64),
    /// What that is reckoned from.
    pub reckoned_from: &'a str,
    /// What the verdict recommends: `Proceed with orchestration`.
    pub recommendation: &'a str,
    /// The command that runs it, where it may run.
    pub command: Option<&'a str>,
}

/// All lines of a dry run.
pub fn dry_run(run: &DryRun<'_>) -> String {
    let mut lines = vec![
        DRY_RUN.to_owned(),
        parsed(run.tasks.len(), run.source),
        String::new(),
    ];
    lines.push("Sub-tasks identified:".to_owned());
    for (index, (title, complexity)) in run.tasks.iter().enumerate() {
        let title = inline_terminal(title);
        lines.push(format!(
            "{}. {title} (estimated complexity: {complexity})",
            index + 1
        ));
    }
    lines.extend([String::new(), "Independence validation:".to_owned()]);
    let mut check = |found: &[Finding], sign: &str, none: &str| {
        if found.is_empty() && !none.is_empty() {
            lines.push(format!("✅ {none}"));
        }
        for Finding { line, because } in found {
            lines.push(format!("{sign}{}", inline_terminal(line)));
            let because = because.iter().map(|why| inline_terminal(why));
            lines.extend(because.map(|why| format!("    {why}")));
        }
    };
    check(run.conflicts, "⚠️  ", "No file conflicts detected");
    check(run.dependencies, "❌ ", "No sequential dependencies");
    check(run.warnings, "⚠️  ", "");
    let (from, to) = run.minutes;
    let minutes = match (from, to) {
        (1, 1) => "1 minute".to_owned(),
        _ if from == to => format!("{from} minutes"),
        _ => format!("{from}-{to} minutes"),
    };
    lines.extend([
        String::new(),
        format!("Estimated duration: {minutes} (parallel)"),
        format!("Estimated PRs: {}", run.tasks.len()),
        format!("Estimated from: {}", run.reckoned_from),
        String::new(),
        format!("Recommendation: {}", run.recommendation),
    ]);
    lines.extend(run.command.map(|command| format!("To run: {command}")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_reads_as_in_the_specification() {
        let tasks = [
            ("Add authentication module", "medium"),
            ("Add authorization middleware", "low"),
            ("Implement JWT tokens", "medium"),
            ("Add user management API", "high"),
            ("Create integration tests", "medium"),
        ]
        .map(|(title, complexity)| (title.to_owned(), complexity));
        let text = dry_run(&DryRun {
            source: "issue #1234",
            tasks: &tasks,
            conflicts: &[],
            dependencies: &[],
            warnings: &["Tasks 3-4 may share user.py utilities".to_owned().into()],
            minutes: (15, 20),
            reckoned_from: "a rule of thumb",
            recommendation: "Proceed with orchestration",
            command: Some("/amplihack:parallel-orchestrate 1234"),
        });
        insta::assert_snapshot!(text, @r"
        🔍 DRY RUN MODE
        🚀 Parsed 5 sub-tasks from issue #1234

        Sub-tasks identified:
        1. Add authentication module (estimated complexity: medium)
        2. Add authorization middleware (estimated complexity: low)
        3. Implement JWT tokens (estimated complexity: medium)
        4. Add user management API (estimated complexity: high)
        5. Create integration tests (estimated complexity: medium)

        Independence validation:
        ✅ No file conflicts detected
        ✅ No sequential dependencies
        ⚠️  Tasks 3-4 may share user.py utilities

        Estimated duration: 15-20 minutes (parallel)
        Estimated PRs: 5
        Estimated from: a rule of thumb

        Recommendation: Proceed with orchestration
        To run: /amplihack:parallel-orchestrate 1234
        ");
    }

    #[test]
    fn a_retry_reads_as_in_the_specification() {
        let failed = [(3, "Import resolution error".to_owned())];
        let text = retry_head("orch-1234-20251201-1200", 4, 5, &failed);
        insta::assert_snapshot!(format!("{text}\n{}", deployed_for_retry(1)), @r"
        🔄 Retry mode: Loading previous orchestration state
        📂 Found orchestration: orch-1234-20251201-1200
        📋 Previous results: 4/5 succeeded, 1 failed

        Retrying failed tasks:
        - Agent-3: Import resolution error

        🤖 Deployed 1 agent for retry
        ");
    }

    #[test]
    fn the_last_line_tells_all_some_and_too_few_apart() {
        assert_eq!(
            outcome(5, 5, true, 1083.0),
            "🎉 All agents succeeded! Total duration: 18m 03s"
        );
        assert_eq!(
            outcome(9, 10, true, 3120.0),
            "🎉 9/10 agents succeeded! Total duration: 52m"
        );
        assert_eq!(
            outcome(2, 5, false, 3120.0),
            "❌ 2/5 agents succeeded. Total duration: 52m"
        );
        assert_eq!(
            outcome(0, 5, true, 1.0),
            "❌ 0/5 agents succeeded. Total duration: 1s"
        );
    }

    #[test]
    fn an_agent_cannot_write_to_the_terminal_through_its_stage() {
        let line = progress("12:05", 1, "\u{1b}[2JImplementing\nfeature", 45);
        assert_eq!(line, "[12:05] Agent-1: Implementing feature (45%)");
    }
}
