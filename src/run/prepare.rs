//! From a source to what can be orchestrated: everything that is checked before anything is
//! created.
//!
//! Reads the plan, the repository and the forge, and writes nothing but a lock's file where the
//! plan was run before. Decides through [`crate::plan`] and [`super::options`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::error::{Error, Result};
use crate::forge::marker::plan_identity;
use crate::forge::{
    Forge, ForgeError, Issue, LocalForge, MarkerKind, Reply, Request, State as IssueState,
};
use crate::plan::{self, Plan, PlanError, Tree, Validation, Verdict};
use crate::workspace::cli::Git;
use crate::workspace::{Base, Layout, Master, Workspace};
use crate::world::real::{reason, wall};

use super::lock::Lock;
use super::options::{Options, Resolved, Source};
use super::resources::Resources;
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
    pub(super) text: String,
    pub(super) identity: String,
    pub(super) workspace: Workspace,
    pub(super) layout: Layout,
    pub(super) base: Base,
    pub(super) git: Git,
    pub(super) forge: Arc<dyn Forge>,
    pub(super) agent: Agent,
    pub(super) environment: Vec<(OsString, OsString)>,
    /// The master issue and its lock, where the plan was orchestrated before.
    pub(super) known: Option<(u64, Lock)>,
    pub(super) adopted: BTreeMap<u64, String>,
}

/// What is known before anything is created.
#[derive(Debug, Serialize, Deserialize)]
pub struct Preview {
    /// The source as it was given.
    pub source: String,
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
    let environment: Vec<_> = std::env::vars_os().collect();
    let resolved = options.resolve(|name| {
        variable(&environment, name).map(|value| value.to_string_lossy().into_owned())
    })?;
    let repository = PathBuf::from(options.repo.as_deref().unwrap_or("."));
    // Errors name the folder itself, not the way to it.
    let repository = repository.canonicalize().unwrap_or(repository);
    let parsed = Source::parse(source);
    let (text, path) = match &parsed {
        Source::Issue(_) => {
            return Err(Error::SourceUnsupported {
                source_name: source.to_owned(),
                reason: "this version orchestrates Markdown plans only".to_owned(),
            });
        }
        Source::Stdin => (text.unwrap_or_default(), None),
        Source::File(path) => {
            let (text, path) = read_plan(path)?;
            (text, Some(path))
        }
        Source::Local(_) => (String::new(), None),
    };
    let git = find_git(&environment)?;
    let workspace = Workspace::discover(&repository)?;
    let layout = layout(&workspace, &resolved, &environment);
    refuse_unspeakable(&layout)?;
    let forge = local_forge(&workspace, &layout)?;
    let (text, identity) = if let Source::Local(number) = parsed {
        let issue = ask_issue(&*forge, number)?;
        let text = format!("# {}\n\n{}", issue.title, issue.body);
        (text, format!("local#{number}"))
    } else {
        let identity = plan_identity(workspace.root(), path.as_deref(), &text);
        (text, identity)
    };
    let plan = parse(&text, Some(source))?;
    let base = workspace.base(options.base.as_deref())?;
    let tree = Tree::new(workspace.tree(&base.commit)?);
    let mut validation = plan::validate(&plan, Some(&tree));
    check_resources(&mut validation, &workspace, &layout, resolved.max_workers)?;
    let adopted = adopted(&*forge, &plan)?;
    let agent = find_agent(&options, &resolved, &environment, &mut validation)?;
    let identity_is_set = identity_is_set(&git, workspace.root(), &environment);
    let git = Git::new(
        git,
        ["GIT_SSH", "GIT_SSH_COMMAND"]
            .into_iter()
            .any(|name| variable(&environment, name).is_some())
            || workspace.ssh_is_set()?,
        identity_is_set,
    );
    let known = match known_master(&*forge, &identity)? {
        Some(number) if !options.dry_run => {
            Some((number, Lock::take(&layout.run_lock(Master::Local(number)))?))
        }
        _ => None,
    };
    Ok(Prepared {
        source: source.to_owned(),
        notices: agent
            .notices()
            .iter()
            .chain(&validation.resources)
            // Warnings are shown as such.
            .filter(|line| !validation.warnings.contains(line))
            .cloned()
            .collect(),
        plan,
        validation,
        options,
        resolved,
        text,
        identity,
        workspace,
        layout,
        base,
        git,
        forge,
        agent,
        environment,
        known,
        adopted,
    })
}

impl Prepared {
    /// What is known so far.
    pub fn preview(&self) -> Preview {
        Preview {
            source: self.source.clone(),
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
    validation: &mut Validation,
    workspace: &Workspace,
    layout: &Layout,
    max_workers: usize,
) -> Result<()> {
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
    Ok(())
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
        None,
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

fn read_plan(given: &str) -> Result<(String, PathBuf)> {
    let path = PathBuf::from(given);
    let unreadable = |reason: String| Error::PlanUnreadable {
        path: PathBuf::from(given),
        reason,
    };
    let bytes = fs::read(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::PlanMissing { path: path.clone() },
        std::io::ErrorKind::IsADirectory => unreadable("it is a folder".to_owned()),
        _ => unreadable(reason(&error)),
    })?;
    let text =
        String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8 text".to_owned()))?;
    let path = path
        .canonicalize()
        .map_err(|error| unreadable(reason(&error)))?;
    Ok((text, path))
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

/// The forge of this repository. A forge that was deleted begins above the branches that it left
/// behind, so that no task takes up another one's work.
fn local_forge(workspace: &Workspace, layout: &Layout) -> Result<Arc<dyn Forge>> {
    let folder = layout.forge();
    let shown = layout.shown(&folder);
    let branches = workspace.branches()?;
    let taken = branches
        .iter()
        .filter_map(|branch| Master::local_sub_issue(branch))
        .max();
    Ok(Arc::new(
        LocalForge::new(&folder, &shown, wall).after(taken.unwrap_or(0)),
    ))
}

pub(super) fn ask_issue(forge: &dyn Forge, number: u64) -> Result<Issue> {
    match forge.perform(&Request::Issue { number })? {
        Reply::Issue(issue) => Ok(issue),
        other => Err(unexpected(&other)),
    }
}

/// The master issue of a plan that was orchestrated before.
fn known_master(forge: &dyn Forge, identity: &str) -> Result<Option<u64>> {
    if let Some(number) = identity
        .strip_prefix("local#")
        .and_then(|text| text.parse().ok())
    {
        return Ok(Some(number));
    }
    match forge.perform(&Request::Marked {
        master: identity.to_owned(),
    })? {
        Reply::Marked { found } => Ok(found
            .iter()
            .find(|object| object.marker.kind == MarkerKind::Master)
            .map(|object| object.number)),
        other => Err(unexpected(&other)),
    }
}

/// The titles of the open issues that tasks adopt, by number. Closed ones count as done.
fn adopted(forge: &dyn Forge, plan: &Plan) -> Result<BTreeMap<u64, String>> {
    let mut titles = BTreeMap::new();
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
        let issue = match forge.perform(&Request::Issue {
            number: reference.number,
        }) {
            Ok(Reply::Issue(issue)) => issue,
            Ok(other) => return Err(unexpected(&other)),
            Err(ForgeError::NotFound { .. }) => {
                return Err(refuse(format!(
                    "{reference} is no issue of the local forge"
                )));
            }
            Err(error) => return Err(error.into()),
        };
        if issue.state == IssueState::Open {
            titles.insert(reference.number, issue.title);
        }
    }
    Ok(titles)
}

pub(super) fn unexpected(reply: &Reply) -> Error {
    Error::Engine {
        reason: format!("the forge answered {reply:?}"),
    }
}

fn join(numbers: &[u32], between: &str) -> String {
    numbers
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(between)
}
