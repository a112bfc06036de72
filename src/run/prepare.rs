//! From a source to what can be orchestrated: everything that is checked before anything is
//! created.
//!
//! Reads the plan, the repository and the forge, and writes nothing but a lock's file where the
//! plan was run before. Decides through [`crate::plan`] and [`super::options`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::error::{Error, Result};
use crate::plan::{self, Estimate, Pace, Past, Plan, PlanError, Tree, Validation, Verdict};
use crate::workspace::cli::Git;
use crate::workspace::{Base, Layout, Workspace};

use super::admission::Admission;
use super::again::{TakenUp, take_up, whose};
use super::earlier::{self, Earlier};
use super::interruption::Interruption;
use super::judge::Judged;
use super::lock::Lock;
use super::options::{Options, Resolved};
use super::origin::{Origin, Search, read_plan};
use super::remote::Clone;
use super::resources::{Disk, supply};
use super::source::Source;
use super::surroundings::{
    Environment, check_place, check_repository, find_executable, find_git, identity_is_set, layout,
    variable,
};

/// A source that can be orchestrated.
pub struct Prepared {
    /// The source as it was given.
    pub source: String,
    /// The plan.
    pub plan: Plan,
    /// What was found about its tasks.
    pub validation: Validation,
    /// Lines for standard error: what a person should know before it begins.
    pub notices: Vec<String>,
    pub(super) options: Options,
    pub(super) resolved: Resolved,
    pub(super) admission: Admission,
    pub(super) origin: Origin,
    pub(super) workspace: Workspace,
    pub(super) layout: Layout,
    pub(super) base: Base,
    pub(super) git: Git,
    pub(super) agent: Agent,
    /// Why no agent can be started, should one be needed.
    pub(super) unusable: Option<Error>,
    pub(super) environment: Vec<(OsString, OsString)>,
    /// The lock of the master issue, where that exists.
    pub(super) lock: Option<Lock>,
    /// The earlier orchestration that goes on.
    pub(super) taken_up: Option<TakenUp>,
    /// The titles of the open issues that tasks adopt, by number.
    pub(super) adopted: BTreeMap<u64, String>,
}

/// What is known before anything is created.
#[derive(Debug, Serialize, Deserialize)]
pub struct Preview {
    /// The source as it was given.
    pub source: String,
    /// It is an issue on GitHub, which the slash command takes.
    pub is_issue: bool,
    /// The plan.
    pub plan: Plan,
    /// What was found about its tasks.
    pub validation: Validation,
    /// What a person has to accept, one line each.
    pub warnings: Vec<String>,
    /// Whether somebody has to accept it.
    pub needs_confirmation: bool,
    /// Lines for standard error.
    pub notice: Vec<String>,
}

/// Parses, validates and checks; creates nothing.
///
/// `text` is the plan, for a source on standard input.
/// `interruption` ends it early: it fails then.
pub fn prepare(
    source: &str,
    text: Option<String>,
    options: Options,
    interruption: &Interruption,
) -> Result<Prepared> {
    options.check()?;
    let environment: Vec<_> = std::env::vars_os().collect();
    let lookup =
        |name: &str| variable(&environment, name).map(|value| value.to_string_lossy().into_owned());
    let resolved = options.resolve(lookup)?;
    let repository = PathBuf::from(options.repo.as_deref().unwrap_or("."));
    // Errors name the folder itself, not the way to it.
    let repository = repository.canonicalize().unwrap_or(repository);
    let parsed = Source::parse(source);
    let plan = read_source(&parsed, text, interruption)?;
    let git = find_git(&environment)?;
    let workspace = Workspace::discover(&repository)?;
    let layout = layout(&workspace, &resolved, &environment);
    refuse_unspeakable(&layout)?;
    let git = user_git(git, &workspace, &environment)?;
    let clone = Clone {
        root: workspace.root(),
        git: &git,
        environment: &environment,
        interruption,
    };
    let (parsed, only) = if options.retry {
        whose(&layout, parsed)
    } else {
        (parsed, None)
    };
    let origin = Search {
        source,
        plan,
        forge: options.forge.as_deref(),
        workspace: &workspace,
        layout: &layout,
        clone,
    }
    .find(&parsed)?;
    let earlier = look_back(&origin, &layout, &options)?;
    let known = marks(&earlier);
    // Where it has run before, perhaps nothing is left to do, which needs no agent.
    let may_be_done = !earlier.is_empty() && !options.new && !options.retry;
    let taken_up = take_up(source, earlier, &options, only)?;
    let (options, layout) = match &taken_up {
        Some(taken_up) => {
            let start = &taken_up.earlier.state.start;
            let layout = layout.with_worktrees(Path::new(&start.worktrees));
            (options.inherit(&start.settings), layout)
        }
        None => (options, layout),
    };
    let resolved = options.resolve(lookup)?;
    let Judged {
        plan,
        mut validation,
        adopted,
        base,
    } = match &taken_up {
        Some(taken_up) => Judged::begun(&taken_up.earlier.state.start),
        None => check_disk(
            judge_against_base(source, &origin, &clone, &workspace, &options)?,
            &workspace,
            &layout,
            options.dry_run,
        )?,
    };
    let admission = admit(&resolved, taken_up.as_ref(), &mut validation);
    let mut standing = None;
    if options.dry_run {
        let workers = Some(admission.agents);
        validation.estimate = reckon(&plan, workers, resolved.batch_size, &layout);
        standing = stands(&origin, &layout, &options);
    }
    let (agent, unusable) = find_agent(&options, &resolved, &environment, &mut validation)?;
    let unusable =
        match unusable.or_else(|| find_place(&workspace, &layout, &options, &mut validation)) {
            Some(error) if !may_be_done || taken_up.is_some() => return Err(error),
            other => other,
        };
    let lock = lock(&origin, &layout, &options, &known)?;
    Ok(Prepared {
        taken_up,
        source: source.to_owned(),
        notices: notices(&agent, &validation, standing),
        adopted: adopted
            .into_iter()
            .map(|(number, issue)| (number, issue.title))
            .collect(),
        plan,
        validation,
        options,
        resolved,
        admission,
        origin,
        workspace,
        layout,
        base,
        git,
        agent,
        unusable,
        environment,
        lock,
    })
}

/// Judges the tasks against the base that they start from.
fn judge_against_base(
    source: &str,
    origin: &Origin,
    clone: &Clone<'_>,
    workspace: &Workspace,
    options: &Options,
) -> Result<Judged> {
    let base = match &origin.remote {
        Some(remote) => clone.base(&remote.name, options.base.as_deref())?,
        None => workspace.base(options.base.as_deref())?,
    };
    let judged = Judged::new(origin, source, workspace, base)?;
    if !options.dry_run {
        origin.forge.check_access()?;
    }
    Ok(judged)
}

/// The earlier orchestrations of the master issue, oldest first, where it exists. A dry run asks
/// for none.
fn look_back(origin: &Origin, layout: &Layout, options: &Options) -> Result<Vec<Earlier>> {
    match &origin.master {
        Some(master) if !options.dry_run => earlier::of_master(layout, origin.label(master.number)),
        _ => Ok(Vec::new()),
    }
}

/// What a dry run says of an earlier orchestration, which a run would go on from.
fn stands(origin: &Origin, layout: &Layout, options: &Options) -> Option<String> {
    let master = origin.master.as_ref().filter(|_| !options.new)?;
    // A damaged journal is for the run to refuse.
    let earlier = earlier::of_master(layout, origin.label(master.number)).ok()?;
    let state = &earlier.last()?.state;
    let done = state.tasks.iter().filter(|task| task.succeeded()).count();
    Some(format!(
        "note: {} has run this before, and {done} of its {} tasks succeeded; what succeeded is not run again",
        state.start.orchestration,
        state.tasks.len(),
    ))
}

/// Locks the master issue where it exists, last of all, since that makes a file. What was decided
/// before has to hold still.
fn lock(
    origin: &Origin,
    layout: &Layout,
    options: &Options,
    known: &[(PathBuf, u64)],
) -> Result<Option<Lock>> {
    let Some(master) = origin.master.as_ref().filter(|_| !options.dry_run) else {
        return Ok(None);
    };
    let path = layout.run_lock(origin.label(master.number));
    let lock = Lock::take(&path)?;
    if marks(&look_back(origin, layout, options)?) != known {
        // One that ran meanwhile has just ended.
        return Err(Error::Locked { pid: 0, path });
    }
    Ok(Some(lock))
}

/// Which orchestrations there are, and how far each has come.
fn marks(earlier: &[Earlier]) -> Vec<(PathBuf, u64)> {
    let mark = |earlier: &Earlier| (earlier.journal.clone(), earlier.seq);
    earlier.iter().map(mark).collect()
}

/// What a person should know beforehand; warnings are shown as such.
fn notices(agent: &Agent, validation: &Validation, standing: Option<String>) -> Vec<String> {
    let lines = agent.notices().iter().chain(&validation.resources);
    lines
        .filter(|line| !validation.warnings.contains(line))
        .cloned()
        .chain(standing)
        .collect()
}

/// The text of a plan, and where it stands; an issue's is read from its forge.
fn read_source(
    source: &Source,
    text: Option<String>,
    interruption: &Interruption,
) -> Result<(String, Option<PathBuf>)> {
    Ok(match source {
        Source::File(path) => {
            read_plan(path, interruption).map(|(text, path)| (text, Some(path)))?
        }
        Source::Stdin => (text.unwrap_or_default(), None),
        Source::Issue(_) | Source::Local(_) => (String::new(), None),
    })
}

/// The user's git, with what is known about how to run it.
pub(super) fn user_git(
    path: PathBuf,
    workspace: &Workspace,
    environment: &Environment,
) -> Result<Git> {
    let identity_is_set = identity_is_set(&path, workspace.root(), environment);
    let ssh_is_set = ["GIT_SSH", "GIT_SSH_COMMAND"]
        .into_iter()
        .any(|name| variable(environment, name).is_some())
        || workspace.ssh_is_set()?;
    Ok(Git::new(path, ssh_is_set, identity_is_set))
}

impl Prepared {
    /// What is known so far.
    pub fn preview(&self) -> Preview {
        Preview {
            source: self.source.clone(),
            is_issue: matches!(Source::parse(&self.source), Source::Issue(_)),
            plan: self.plan.clone(),
            validation: self.validation.clone(),
            warnings: self.validation.warnings.clone(),
            needs_confirmation: self.needs_confirmation(),
            notice: self.notices.clone(),
        }
    }

    /// Somebody has seen the warnings, and goes on.
    pub fn accept_warnings(mut self) -> Self {
        self.options.yes = true;
        self
    }

    /// Whether a person has to agree before it starts.
    pub fn needs_confirmation(&self) -> bool {
        self.validation.verdict == Verdict::Warn && !self.options.yes
    }

    /// Refuses what cannot run side by side.
    pub fn refuse_dependencies(&self) -> Result<()> {
        if self.validation.verdict != Verdict::Abort {
            return Ok(());
        }
        let reasons: Vec<_> = self
            .validation
            .dependencies
            .iter()
            .map(|found| found.reason.clone())
            .collect();
        let order = match &self.validation.cycle {
            Some(cycle) => format!("tasks {} wait for each other", join(cycle, " → ")),
            None => format!(
                "run them one after another, in the order {}",
                join(&self.validation.order, ", ")
            ),
        };
        Err(Error::Dependencies {
            reasons: reasons.join("; "),
            order,
        })
    }
}

/// Adds that the disk may be too small, which is a warning. Where nothing is left of it nobody can
/// accept that.
fn check_disk(
    mut judged: Judged,
    workspace: &Workspace,
    layout: &Layout,
    dry_run: bool,
) -> Result<Judged> {
    let validation = &mut judged.validation;
    let tasks = validation.complexity.len() as u64;
    let disk = Disk::look(layout.worktrees(), tasks, workspace.checkout_size()?);
    if disk.is_full() && !dry_run {
        return Err(Error::File {
            action: "make worktrees in",
            path: layout.worktrees().to_owned(),
            reason: "No space left on device".to_owned(),
        });
    }
    if let Some(shortage) = disk.shortage() {
        validation.resources.push(shortage.clone());
        validation.warnings.push(shortage);
        if validation.verdict == Verdict::Proceed {
            validation.verdict = Verdict::Warn;
        }
    }
    Ok(judged)
}

/// How many agents this machine can carry. Fewer than were asked for is worth a line, and nobody
/// has to agree.
fn admit(
    resolved: &Resolved,
    taken_up: Option<&TakenUp>,
    validation: &mut Validation,
) -> Admission {
    // Of an earlier run all that may be worked on, those included that never began.
    let left = |taken_up: &TakenUp| {
        let tasks = taken_up.earlier.state.tasks.iter();
        tasks.filter(|task| !task.succeeded()).count()
    };
    let tasks = taken_up.map_or(validation.complexity.len(), left);
    let admission = supply().admit(resolved.max_workers, tasks);
    if let Some(shortage) = &admission.shortage {
        validation.resources.push(shortage.clone());
        validation.warnings.push(shortage.clone());
    }
    admission
}

/// How long the plan takes, by what tasks took in this repository before.
fn reckon(plan: &Plan, workers: Option<usize>, batch: Option<usize>, layout: &Layout) -> Estimate {
    let past = Past::of(earlier::durations(layout));
    plan::estimate(
        plan,
        &Pace {
            workers,
            batch,
            past,
        },
    )
}

/// The agent, and why it cannot be started, if so. A dry run only says that it is not there.
fn find_agent(
    options: &Options,
    resolved: &Resolved,
    environment: &Environment,
    validation: &mut Validation,
) -> Result<(Agent, Option<Error>)> {
    let agent = Agent::resolve(
        options.agent.as_deref(),
        resolved.delegate.as_deref(),
        options.model.as_deref(),
        options.permission_mode.as_deref(),
        options.agent_budget_usd,
    )?;
    let Some(path) = find_executable(agent.executable(), environment) else {
        let missing = missing(&agent);
        if options.dry_run {
            validation.resources.push(missing.to_string());
            return Ok((agent, None));
        }
        return Ok((agent, Some(missing)));
    };
    // Agents run elsewhere, so a path is meant as seen from here.
    let agent = agent.at(&std::path::absolute(&path).unwrap_or(path));
    let sandbox = variable(environment, "IS_SANDBOX").is_some_and(|value| !value.is_empty());
    let is_root = rustix::process::geteuid().is_root();
    let refused = (!options.dry_run).then(|| agent.check_privileges(is_root, sandbox));
    Ok((agent, refused.and_then(Result::err)))
}

/// Why there is no place for worktrees and their branches, if so. A dry run only says it.
fn find_place(
    workspace: &Workspace,
    layout: &Layout,
    options: &Options,
    validation: &mut Validation,
) -> Option<Error> {
    let place = check_place(layout).and_then(|()| check_repository(workspace));
    let nowhere = place.err()?;
    if options.dry_run {
        validation.resources.push(nowhere.to_string());
        return None;
    }
    Some(nowhere)
}

/// That an agent's executable is not there.
pub(super) fn missing(agent: &Agent) -> Error {
    let (agent, executable) = (agent.name().to_owned(), agent.executable().to_owned());
    let path = PathBuf::from(&executable);
    if executable.contains('/') && path.exists() {
        Error::AgentNotExecutable { agent, path }
    } else {
        Error::AgentMissing { agent, executable }
    }
}

/// Parses a plan; errors name the source.
pub fn parse(text: &str, source: Option<&str>) -> Result<Plan> {
    let source_name = match source {
        Some("-") => "standard input",
        Some(source) => source,
        None => "the plan",
    };
    let source_name = source_name.to_owned();
    plan::parse(text, source).map_err(|error| match error {
        PlanError::NoTasks => Error::NoTasks { source_name },
        PlanError::AllDone { count } => Error::AllDone { count, source_name },
    })
}

/// Judges a plan, against the files of a repository where one is named.
pub fn judge(plan: &Plan, repository: Option<&str>) -> Result<Validation> {
    let tree = match repository {
        Some(path) => {
            let workspace = Workspace::discover(Path::new(path))?;
            Some(Tree::new(workspace.tree(&workspace.base(None)?.commit)?))
        }
        None => None,
    };
    Ok(plan::validate(plan, tree.as_ref()))
}

/// Journal, status files and the agents' environment hold paths as text.
fn refuse_unspeakable(layout: &Layout) -> Result<()> {
    let paths = [layout.root(), layout.worktrees()];
    match paths.into_iter().find(|path| path.to_str().is_none()) {
        Some(path) => Err(Error::PathNotText {
            path: path.to_owned(),
        }),
        None => Ok(()),
    }
}

fn join(numbers: &[u32], between: &str) -> String {
    numbers
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(between)
}
