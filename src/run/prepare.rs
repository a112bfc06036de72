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
use crate::forge::github::address::IssueAddress;
use crate::forge::{ForgeError, Issue, Reply, Request, State as IssueState};
use crate::plan::{self, IssueRef, Plan, PlanError, Target, Tree, Validation, Verdict};
use crate::workspace::cli::Git;
use crate::workspace::{Base, Layout, Master, Workspace};

use super::earlier::{self, Earlier};
use super::lock::Lock;
use super::options::{Options, Resolved, Source};
use super::origin::{Origin, Search, read_plan, unexpected};
use super::record::Start;
use super::remote::Clone;
use super::resources::Resources;
use super::resumption::{Rerun, Which};
use super::surroundings::{
    Environment, find_executable, find_git, identity_is_set, layout, variable,
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
    pub(super) origin: Origin,
    pub(super) workspace: Workspace,
    pub(super) layout: Layout,
    pub(super) base: Base,
    pub(super) git: Git,
    pub(super) agent: Agent,
    pub(super) environment: Vec<(OsString, OsString)>,
    /// The lock of the master issue, where that exists.
    pub(super) lock: Option<Lock>,
    /// The earlier orchestration that is taken up again, and which of its tasks run.
    pub(super) taken_up: Option<(Earlier, Vec<Rerun>)>,
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
pub fn prepare(source: &str, text: Option<String>, options: Options) -> Result<Prepared> {
    options.check()?;
    let environment: Vec<_> = std::env::vars_os().collect();
    let lookup =
        |name: &str| variable(&environment, name).map(|value| value.to_string_lossy().into_owned());
    let resolved = options.resolve(lookup)?;
    let repository = PathBuf::from(options.repo.as_deref().unwrap_or("."));
    // Errors name the folder itself, not the way to it.
    let repository = repository.canonicalize().unwrap_or(repository);
    let parsed = Source::parse(source);
    let plan = match &parsed {
        Source::File(path) => read_plan(path).map(|(text, path)| (text, Some(path)))?,
        Source::Stdin => (text.unwrap_or_default(), None),
        Source::Issue(_) | Source::Local(_) => (String::new(), None),
    };
    let git = find_git(&environment)?;
    let workspace = Workspace::discover(&repository)?;
    let layout = layout(&workspace, &resolved, &environment);
    refuse_unspeakable(&layout)?;
    let git = user_git(git, &workspace, &environment)?;
    let clone = Clone {
        root: workspace.root(),
        git: &git,
        environment: &environment,
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
    let master = origin
        .master
        .as_ref()
        .map(|master| origin.label(master.number));
    let lock = match master {
        Some(master) if !options.dry_run => Some(Lock::take(&layout.run_lock(master))?),
        _ => None,
    };
    let taken_up = match master {
        Some(master) if !options.dry_run => {
            take_up(source, earlier::of_master(&layout, master)?, &options, only)?
        }
        None if options.retry => return Err(never_run(source)),
        _ => None,
    };
    let (options, resolved, layout) = match &taken_up {
        Some((earlier, _)) => {
            let start = &earlier.state.start;
            let options = options.inherit(&start.settings);
            let resolved = options.resolve(lookup)?;
            let layout = layout.with_worktrees(Path::new(&start.worktrees));
            (options, resolved, layout)
        }
        None => (options, resolved, layout),
    };
    let Judged {
        plan,
        mut validation,
        adopted,
        base,
    } = match &taken_up {
        // It was judged when it began.
        Some((earlier, _)) => Judged::begun(&earlier.state.start),
        None => {
            let base = match &origin.remote {
                Some(remote) => clone.base(&remote.name, options.base.as_deref())?,
                None => workspace.base(options.base.as_deref())?,
            };
            let judged = Judged::new(&origin, source, &workspace, base)?;
            if !options.dry_run {
                origin.forge.check_access()?;
            }
            check_resources(judged, &workspace, &layout, resolved.max_workers)?
        }
    };
    let agent = find_agent(&options, &resolved, &environment, &mut validation)?;
    Ok(Prepared {
        taken_up,
        source: source.to_owned(),
        notices: agent
            .notices()
            .iter()
            .chain(&validation.resources)
            // Warnings are shown as such.
            .filter(|line| !validation.warnings.contains(line))
            .cloned()
            .collect(),
        adopted: adopted
            .into_iter()
            .map(|(number, issue)| (number, issue.title))
            .collect(),
        plan,
        validation,
        options,
        resolved,
        origin,
        workspace,
        layout,
        base,
        git,
        agent,
        environment,
        lock,
    })
}

/// The tasks, and what is known of them.
struct Judged {
    plan: Plan,
    validation: Validation,
    adopted: BTreeMap<u64, Issue>,
    base: Base,
}

impl Judged {
    fn new(origin: &Origin, source: &str, workspace: &Workspace, base: Base) -> Result<Self> {
        let mut plan = read_tasks(origin, source)?;
        let adopted = adopted(origin, &mut plan)?;
        let tree = Tree::new(workspace.tree(&base.commit)?);
        let mut validation = plan::validate(&plan, Some(&tree));
        warn_of_strangers(&mut validation, origin, &adopted);
        refuse_too_many(origin, &plan)?;
        Ok(Self {
            plan,
            validation,
            adopted,
            base,
        })
    }

    fn begun(start: &Start) -> Self {
        let plan = Plan::default();
        Self {
            validation: plan::validate(&plan, None),
            plan,
            adopted: BTreeMap::new(),
            base: Base {
                name: start.base.clone(),
                commit: start.base_commit.clone(),
            },
        }
    }
}

/// For a retry SOURCE may be a sub-issue: its master, and the agent that it belongs to.
fn whose(layout: &Layout, source: Source) -> (Source, Option<u32>) {
    let is_master = |master| layout.parallel(master).is_dir();
    match &source {
        Source::Local(number) if !is_master(Master::Local(*number)) => {
            match earlier::of_sub_issue(layout, Master::Local(*number)) {
                Some((master, agent)) => (Source::Local(master.number()), Some(agent)),
                None => (source, None),
            }
        }
        Source::Issue(text) => {
            let Ok(address) = IssueAddress::parse(text) else {
                return (source, None);
            };
            let issue = Master::GitHub(address.number);
            if is_master(issue) {
                return (source, None);
            }
            match earlier::of_sub_issue(layout, issue) {
                Some((master, agent)) => {
                    let number = master.number();
                    let text = match address.repository {
                        Some((_, owner, name)) => format!("{owner}/{name}#{number}"),
                        None => number.to_string(),
                    };
                    (Source::Issue(text), Some(agent))
                }
                None => (source, None),
            }
        }
        _ => (source, None),
    }
}

/// The orchestration that is to be taken up again, if one is (DESIGN section 8, "Running again").
fn take_up(
    source: &str,
    mut earlier: Vec<Earlier>,
    options: &Options,
    only: Option<u32>,
) -> Result<Option<(Earlier, Vec<Rerun>)>> {
    let Some(latest) = earlier.pop() else {
        return if options.retry {
            Err(never_run(source))
        } else {
            Ok(None)
        };
    };
    let broken_off = latest.state.is_broken_off();
    if options.retry {
        let which = only.map_or(Which::Failed, Which::Only);
        let reruns = latest.state.reruns(which);
        if reruns.is_empty() && !broken_off {
            let id = &latest.state.start.orchestration;
            return Err(Error::NothingToRetry {
                source_name: source.to_owned(),
                reason: match only {
                    Some(agent) => format!("Agent-{agent} succeeded in {id}"),
                    None => format!("every task succeeded in {id}"),
                },
            });
        }
        Ok(Some((latest, reruns)))
    } else if broken_off && !options.new {
        let reruns = latest.state.reruns(Which::BrokenOff);
        Ok(Some((latest, reruns)))
    } else {
        Ok(None)
    }
}

fn never_run(source: &str) -> Error {
    Error::NothingToRetry {
        source_name: source.to_owned(),
        reason: "it was never orchestrated here".to_owned(),
    }
}

/// The user's git, with what is known about how to run it.
fn user_git(path: PathBuf, workspace: &Workspace, environment: &Environment) -> Result<Git> {
    let identity_is_set = identity_is_set(&path, workspace.root(), environment);
    let ssh_is_set = ["GIT_SSH", "GIT_SSH_COMMAND"]
        .into_iter()
        .any(|name| variable(environment, name).is_some())
        || workspace.ssh_is_set()?;
    Ok(Git::new(path, ssh_is_set, identity_is_set))
}

/// The tasks of the text, and those that are sub-issues of the master already.
fn read_tasks(origin: &Origin, source: &str) -> Result<Plan> {
    let foreign: Vec<_> = origin.foreign_sub_issues().collect();
    let mut plan = match (parse(&origin.text, Some(source)), &origin.master) {
        (Ok(plan), _) => plan,
        (Err(_), Some(master)) if !foreign.is_empty() => {
            Plan::of_issues(&master.title, &master.body)
        }
        (Err(error), _) => return Err(error),
    };
    own_references(origin, &mut plan);
    plan.adopt(
        foreign
            .iter()
            .map(|issue| (issue.number, &*issue.title, &*issue.body)),
    );
    Ok(plan)
}

/// `octo/shop#12` in an issue of octo/shop is #12.
fn own_references(origin: &Origin, plan: &mut Plan) {
    let Some(remote) = &origin.remote else { return };
    let own = remote.repository.to_string();
    let shorten = |issue: &mut IssueRef| {
        let named = issue.repository.as_deref();
        if named.is_some_and(|named| named.eq_ignore_ascii_case(&own)) {
            issue.repository = None;
        }
    };
    for task in &mut plan.tasks {
        task.adopts.iter_mut().for_each(shorten);
        for dependency in &mut task.depends_on {
            if let Target::Issue(issue) = &mut dependency.to {
                shorten(issue);
            }
        }
    }
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

/// Adds what the machine may lack. Too little disk is a warning; little memory is said.
fn check_resources(
    mut judged: Judged,
    workspace: &Workspace,
    layout: &Layout,
    max_workers: usize,
) -> Result<Judged> {
    let validation = &mut judged.validation;
    let tasks = validation.complexity.len() as u64;
    let agents = tasks.min(max_workers as u64);
    let resources = Resources::look(
        layout.worktrees(),
        tasks,
        workspace.checkout_size()?,
        agents,
    );
    validation.resources.extend(resources.memory_shortage());
    if let Some(shortage) = resources.disk_shortage() {
        validation.resources.push(shortage.clone());
        validation.warnings.push(shortage);
        if validation.verdict == Verdict::Proceed {
            validation.verdict = Verdict::Warn;
        }
    }
    Ok(judged)
}

/// The agent, once it is known that it can be started. A dry run only says that it cannot.
fn find_agent(
    options: &Options,
    resolved: &Resolved,
    environment: &Environment,
    validation: &mut Validation,
) -> Result<Agent> {
    let agent = Agent::resolve(
        options.agent.as_deref(),
        resolved.delegate.as_deref(),
        options.model.as_deref(),
        options.permission_mode.as_deref(),
        options.agent_budget_usd,
    )?;
    let agent = match find_executable(agent.executable(), environment) {
        // Agents run elsewhere, so a path is meant as seen from here.
        Some(path) => agent.at(&std::path::absolute(&path).unwrap_or(path)),
        None if options.dry_run => {
            validation.resources.push(missing(&agent).to_string());
            agent
        }
        None => return Err(missing(&agent)),
    };
    let sandbox = variable(environment, "IS_SANDBOX").is_some_and(|value| !value.is_empty());
    if !options.dry_run {
        agent.check_privileges(rustix::process::geteuid().is_root(), sandbox)?;
    }
    Ok(agent)
}

fn missing(agent: &Agent) -> Error {
    Error::AgentMissing {
        agent: agent.name().to_owned(),
        executable: agent.executable().to_owned(),
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

/// The open issues that tasks adopt, by number. Closed ones count as done, and nobody waits for
/// them.
fn adopted(origin: &Origin, plan: &mut Plan) -> Result<BTreeMap<u64, Issue>> {
    let mut open = BTreeMap::new();
    for task in &plan.tasks {
        let Some(reference) = &task.adopts else {
            continue;
        };
        let refuse = |reason: String| Error::CannotAdopt {
            task: task.index,
            reason,
        };
        if reference.repository.is_some() {
            return Err(refuse(format!("{reference} is in another repository")));
        }
        match look_up(origin, reference.number)? {
            Some(issue) if issue.state == IssueState::Open => {
                open.insert(reference.number, issue);
            }
            Some(_) => {}
            None => {
                let forge = origin.remote.as_ref().map_or_else(
                    || "the local forge".to_owned(),
                    |remote| remote.repository.to_string(),
                );
                return Err(refuse(format!("{reference} is no issue of {forge}")));
            }
        }
    }
    for task in &mut plan.tasks {
        let waits = std::mem::take(&mut task.depends_on);
        for dependency in waits {
            let is_closed = match &dependency.to {
                Target::Issue(issue) if issue.repository.is_none() => {
                    look_up(origin, issue.number)?
                        .is_some_and(|issue| issue.state != IssueState::Open)
                }
                _ => false,
            };
            if !is_closed {
                task.depends_on.push(dependency);
            }
        }
    }
    Ok(open)
}

/// An issue of the master's forge, asked for only where it is not known.
fn look_up(origin: &Origin, number: u64) -> Result<Option<Issue>> {
    let known = origin.sub_issues.iter().chain(&origin.master);
    if let Some(issue) = known.into_iter().find(|issue| issue.number == number) {
        return Ok(Some(issue.clone()));
    }
    match origin.forge.perform(&Request::Issue { number }) {
        Ok(Reply::Issue(issue)) => Ok(Some(issue)),
        Ok(other) => Err(unexpected(&other)),
        Err(ForgeError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What somebody wrote who may not write to the repository is not to be run unseen.
fn warn_of_strangers(validation: &mut Validation, origin: &Origin, adopted: &BTreeMap<u64, Issue>) {
    let Some(remote) = &origin.remote else { return };
    for issue in origin.master.iter().chain(adopted.values()) {
        if let Some(stranger) = &issue.stranger {
            validation.warnings.push(format!(
                "issue #{} was written by {stranger}, who may not write to {}",
                issue.number, remote.repository
            ));
            if validation.verdict == Verdict::Proceed {
                validation.verdict = Verdict::Warn;
            }
        }
    }
}

/// GitHub links so many sub-issues to one issue, and no more.
const MOST_SUB_ISSUES: usize = 100;

fn refuse_too_many(origin: &Origin, plan: &Plan) -> Result<()> {
    if origin.remote.is_none() {
        return Ok(());
    }
    let linked = origin.sub_issues.len();
    let is_linked = |number| origin.sub_issues.iter().any(|issue| issue.number == number);
    let ours = origin.sub_issues.iter().filter_map(|issue| {
        let marker = issue.marker.as_ref()?;
        marker.task.as_deref()
    });
    let ours: Vec<_> = ours.collect();
    let new = plan.tasks.iter().filter(|task| match &task.adopts {
        Some(issue) => !is_linked(issue.number),
        None => !ours.contains(&&*plan::key(&task.title, task.occurrence)),
    });
    let total = linked + new.count();
    if total > MOST_SUB_ISSUES {
        return Err(Error::TooManySubIssues {
            total,
            most: MOST_SUB_ISSUES,
        });
    }
    Ok(())
}

fn join(numbers: &[u32], between: &str) -> String {
    numbers
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(between)
}
