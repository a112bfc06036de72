//! From a source to the start of an orchestration: everything that is checked, and then
//! everything that is created, before the first agent.
//!
//! [`prepare`] looks and refuses, and creates nothing; [`Prepared::start`] takes the lock, files
//! the master issue and opens the journal. Both touch the repository's files and ask the forge;
//! they decide through [`crate::plan`], [`super::options`] and [`super::history`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::agent::Agent;
use crate::agent::environment::{Environment, inherited};
use crate::error::{Error, Result};
use crate::forge::marker::plan_identity;
use crate::forge::{
    Forge, ForgeError, Issue, LocalForge, Marker, MarkerKind, NewIssue, Reply, Request,
    State as IssueState,
};
use crate::plan::{self, Plan, PlanError, Tree, Validation, Verdict};
use crate::report::redact::Redactor;
use crate::supervisor::{Newlines, Outcome as UnitOutcome, UnitSpec, run_command};
use crate::workspace::cli::{Git, check_version};
use crate::workspace::exclude::{can_make, ensure_runtime, exclude_own_files};
use crate::workspace::{Base, Layout, Master, Workspace};
use crate::world::real::{RealWorld, Setting, read_journal, wall};

use serde::{Deserialize, Serialize};

use super::event::{Event, PlannedTask};
use super::history::{History, Todo};
use super::operation::Site;
use super::options::{Options, Resolved, Source};
use super::record::{Body, Filed, Settings, Start, TaskSpec};
use super::state::State;
use super::summary::Summary;

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
    options: Options,
    resolved: Resolved,
    text: String,
    identity: String,
    workspace: Workspace,
    layout: Layout,
    base: Base,
    git: Git,
    forge: Arc<dyn Forge>,
    agent: Agent,
    environment: Vec<(OsString, OsString)>,
    /// The master issue and its lock, where the plan was orchestrated before.
    known: Option<(u64, Lock)>,
    adopted: BTreeMap<u64, String>,
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

/// An orchestration that is about to run.
pub struct Ready {
    /// Its id.
    pub orchestration: String,
    /// The world that it runs in.
    pub world: RealWorld,
    /// What it works on.
    pub site: Site,
    /// What it starts from.
    pub start: Start,
    /// What was recorded before there was a journal.
    pub before: Vec<Body>,
    /// Held until the end.
    pub lock: Lock,
}

/// What [`Prepared::start`] leads to.
pub enum Next {
    /// This is to be run.
    Run(Box<Ready>),
    /// Nothing is left to do; this is what the latest orchestration came to.
    Done(Box<Summary>),
}

/// A lock file, held while this lives. The system gives it back however the program ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Parses, validates and checks; creates nothing.
///
/// `text` is the plan, for a source on standard input.
pub fn prepare(source: &str, text: Option<String>, options: Options) -> Result<Prepared> {
    let environment: Vec<_> = std::env::vars_os().collect();
    let resolved = options.resolve(|name| {
        let found = environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.to_string_lossy().into_owned())
    })?;
    let repository = PathBuf::from(options.repo.as_deref().unwrap_or("."));
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
    let forge = local_forge(&layout);
    let (text, identity) = match parsed {
        Source::Local(number) => {
            let issue = ask_issue(&*forge, number)?;
            (
                format!("# {}\n\n{}", issue.title, issue.body),
                format!("local#{number}"),
            )
        }
        _ => {
            let identity = plan_identity(workspace.root(), path.as_deref(), &text);
            (text, identity)
        }
    };
    let plan = parse(&text, Some(source))?;
    let base = workspace.base(options.base.as_deref())?;
    let tree = Tree::new(workspace.tree(&base.commit)?);
    let validation = plan::validate(&plan, Some(&tree));
    let adopted = adopted(&*forge, &plan)?;
    let agent = Agent::resolve(
        options.agent.as_deref(),
        resolved.delegate.as_deref(),
        options.model.as_deref(),
        options.permission_mode.as_deref(),
    )?;
    let variable = |name: &str| environment.iter().rev().find(|(known, _)| known == name);
    if find_executable(agent.executable(), &environment).is_none() {
        return Err(Error::AgentMissing {
            agent: agent.name().to_owned(),
            executable: agent.executable().to_owned(),
        });
    }
    let sandbox = variable("IS_SANDBOX").is_some_and(|(_, value)| !value.is_empty());
    agent.check_privileges(rustix::process::geteuid().is_root(), sandbox)?;
    let git = Git::new(
        git,
        ["GIT_SSH", "GIT_SSH_COMMAND"]
            .into_iter()
            .any(|name| variable(name).is_some())
            || workspace.ssh_is_set()?,
        workspace.identity_is_set()?,
    );
    let known = match known_master(&*forge, &identity)? {
        Some(number) if !options.dry_run => {
            Some((number, Lock::take(&layout.run_lock(Master::Local(number)))?))
        }
        _ => None,
    };
    Ok(Prepared {
        source: source.to_owned(),
        notices: agent.notices().to_vec(),
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

    /// Takes the lock, files the master issue, opens the journal.
    ///
    /// `listener` gets the public events.
    pub fn start(mut self, listener: impl FnMut(Event) + Send + 'static) -> Result<Next> {
        self.refuse_dependencies()?;
        if self.needs_confirmation() {
            return Err(Error::WarningsNotAccepted {
                warnings: self.validation.warnings.join("; "),
            });
        }
        ensure_runtime(self.workspace.root())?;
        exclude_own_files(self.workspace.common_dir())?;
        let (master, lock) = self.file_master()?;
        let number = master.number;
        let folder = self.layout.parallel(Master::Local(number));
        create_folder(&folder)?;
        let history = History::new(earlier(&folder)?);
        let tasks = match history.todo(self.tasks(), self.options.new) {
            Todo::Tasks(tasks) => tasks,
            Todo::Nothing(summary) => return Ok(Next::Done(summary)),
        };
        let label = Master::Local(number);
        let orchestration =
            label.orchestration_id(wall(), |id| self.layout.journal(label, id).exists());
        let logs = self.layout.logs(&orchestration);
        let redactor = Redactor::new(secrets(&self.environment));
        let setting = Setting {
            root: self.workspace.root().to_owned(),
            journal: self.layout.journal(label, &orchestration),
            logs: logs.clone(),
            worktree_lock: self.layout.worktree_lock(),
            git: self.git.clone(),
            env: self.environment.clone(),
            submodules: self.workspace.has_submodules(&self.base.commit)?,
            redactor: redactor.clone(),
            forge: Arc::clone(&self.forge),
            interval: self.resolved.interval,
        };
        let start = Start {
            orchestration: orchestration.clone(),
            label: label.slug(),
            source: self.source.clone(),
            master,
            local: true,
            title: self.title(),
            opening: self.plan.opening.clone(),
            base: self.base.name.clone(),
            base_commit: self.base.commit.clone(),
            worktrees: self.layout.worktrees().to_string_lossy().into_owned(),
            logs: self.layout.shown(&logs),
            summary_path: self.layout.shown(&self.layout.summary_markdown(label)),
            settings: self.settings(),
            tasks,
        };
        let before = self.before(&start);
        let site = Site::new(
            self.layout.clone(),
            label,
            self.agent.clone(),
            self.agents_environment(),
            redactor,
        );
        let world = RealWorld::open(setting, listener)?;
        Ok(Next::Run(Box::new(Ready {
            orchestration,
            world,
            site,
            start,
            before,
            lock,
        })))
    }

    fn title(&self) -> String {
        self.plan.title.clone().unwrap_or_else(|| {
            let name = Path::new(&self.source)
                .file_stem()
                .map(|stem| stem.to_string_lossy());
            match name {
                Some(name) if self.source != "-" => name.into_owned(),
                _ => "Plan".to_owned(),
            }
        })
    }

    fn settings(&self) -> Settings {
        Settings {
            max_workers: self.resolved.max_workers,
            batch_size: self.resolved.batch_size,
            timeout: self.resolved.timeout,
            interval: self.resolved.interval,
            threshold: self.resolved.threshold,
            setup: self.options.setup.clone(),
            verify: self.options.verify.clone(),
            keep_worktrees: self.options.keep_worktrees,
            draft: self.options.draft,
            agent: self.agent.name().to_owned(),
            model: self.options.model.clone(),
        }
    }

    /// The tasks, numbered as in the plan.
    fn tasks(&self) -> Vec<TaskSpec> {
        let closed = |number: &u64| !self.adopted.contains_key(number);
        self.plan
            .tasks
            .iter()
            .filter_map(|task| {
                let adopts = task.adopts.as_ref().map(|issue| issue.number);
                if adopts.as_ref().is_some_and(closed) {
                    return None;
                }
                let title = match adopts.and_then(|number| self.adopted.get(&number)) {
                    Some(title) => title.clone(),
                    None => task.title.clone(),
                };
                Some(TaskSpec {
                    agent: task.index,
                    key: plan::key(&task.title, task.occurrence),
                    title,
                    description: task.description.clone(),
                    acceptance: task.acceptance.clone(),
                    adopts,
                })
            })
            .collect()
    }

    fn before(&self, start: &Start) -> Vec<Body> {
        vec![
            Body::PlanParsed {
                source: self.source.clone(),
                title: start.title.clone(),
                tasks: start
                    .tasks
                    .iter()
                    .map(|task| PlannedTask {
                        agent: task.agent,
                        title: task.title.clone(),
                    })
                    .collect(),
            },
            Body::Validated {
                verdict: verdict_name(self.validation.verdict).to_owned(),
                warnings: self.validation.warnings.clone(),
            },
        ]
    }

    fn file_master(&mut self) -> Result<(Filed, Lock)> {
        if let Some((number, lock)) = self.known.take() {
            let issue = ask_issue(&*self.forge, number)?;
            return Ok((
                Filed {
                    number,
                    url: issue.url,
                    existed: true,
                },
                lock,
            ));
        }
        let reply = self.forge.perform(&Request::CreateIssue(NewIssue {
            marker: Marker::whole(self.identity.clone(), MarkerKind::Master),
            title: self.title(),
            body: self.text.clone(),
            labels: vec!["parallel-orchestration".to_owned()],
        }))?;
        let Reply::Created(created) = reply else {
            return Err(unexpected(&reply));
        };
        let lock = Lock::take(&self.layout.run_lock(Master::Local(created.number)))?;
        let filed = Filed {
            number: created.number,
            url: created.url,
            existed: created.existed,
        };
        Ok((filed, lock))
    }

    /// Agents commit with the user's identity, or with ours where there is none.
    fn agents_environment(&self) -> Environment {
        let mut environment = inherited(&self.environment, &self.options.pass_env);
        for (name, value) in self.git.identity_for_agents() {
            if !environment.iter().any(|(known, _)| *known == name) {
                environment.push((name, value));
            }
        }
        environment
    }
}

impl Lock {
    /// Takes the lock at `path`, or says who holds it.
    fn take(path: &Path) -> Result<Self> {
        let trouble = |error: std::io::Error| Error::File {
            action: "lock",
            path: path.to_owned(),
            reason: error.to_string(),
        };
        if let Some(folder) = path.parent() {
            create_folder(folder)?;
        }
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(trouble)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0).map_err(trouble)?;
                write!(file, "{}", std::process::id()).map_err(trouble)?;
                Ok(Self { _file: file })
            }
            Err(fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who holds it is a courtesy; not knowing stops nothing.
                let _ = file.read_to_string(&mut holder);
                let pid = holder.trim().parse().unwrap_or(0);
                Err(Error::Locked {
                    pid,
                    path: path.to_owned(),
                })
            }
            Err(fs::TryLockError::Error(error)) => Err(trouble(error)),
        }
    }
}

/// The values of variables that are named like tokens and keys.
fn secrets(environment: &[(OsString, OsString)]) -> Vec<String> {
    let named_like_one = |name: &str| {
        let name = name.to_uppercase();
        [
            "TOKEN",
            "SECRET",
            "PASSWORD",
            "PASSWD",
            "API_KEY",
            "APIKEY",
            "PRIVATE_KEY",
            "CREDENTIAL",
        ]
        .iter()
        .any(|part| name.contains(part))
    };
    environment
        .iter()
        .filter(|(name, _)| name.to_str().is_some_and(named_like_one))
        .filter_map(|(_, value)| value.to_str().map(str::to_owned))
        .collect()
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
        _ => unreadable(crate::world::real::reason(&error)),
    })?;
    let text =
        String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8 text".to_owned()))?;
    let path = path
        .canonicalize()
        .map_err(|error| unreadable(crate::world::real::reason(&error)))?;
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

/// The user's git, once it is known to be there and recent enough.
fn find_git(environment: &[(OsString, OsString)]) -> Result<PathBuf> {
    let path = find_executable("git", environment).ok_or(Error::GitMissing)?;
    let spec = UnitSpec {
        env: Some(environment.to_vec()),
        ..UnitSpec::new(&path).args(["--version"])
    };
    let finished = run_command(spec).map_err(|error| Error::Engine {
        reason: error.to_string(),
    })?;
    if finished.outcome != UnitOutcome::Success {
        return Err(Error::GitMissing);
    }
    check_version(&finished.captured.stdout.text(Newlines::Universal))?;
    Ok(path)
}

/// Looks an executable up as the supervisor will: a path as it is, a name in `PATH`.
fn find_executable(name: &str, environment: &[(OsString, OsString)]) -> Option<PathBuf> {
    let runnable = |path: &Path| {
        path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
    };
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| runnable(path));
    }
    let (_, path) = environment
        .iter()
        .rev()
        .find(|(known, _)| known == "PATH")?;
    std::env::split_paths(path)
        .map(|folder| folder.join(name))
        .find(|path| runnable(path))
}

/// Beside the repository, unless another place is named or that one cannot be written.
fn layout(
    workspace: &Workspace,
    resolved: &Resolved,
    environment: &[(OsString, OsString)],
) -> Layout {
    let root = workspace.root();
    if let Some(folder) = &resolved.worktree_dir {
        return Layout::within(root, Path::new(folder));
    }
    let beside = Layout::beside(root);
    if can_make(beside.worktrees()) {
        return beside;
    }
    let variable = |name: &str| {
        environment
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    };
    let home = variable("HOME").map_or_else(std::env::temp_dir, PathBuf::from);
    let state = variable("XDG_STATE_HOME").map(Path::new);
    Layout::within(root, &Layout::fallback_folder(&home, state))
}

fn local_forge(layout: &Layout) -> Arc<dyn Forge> {
    let folder = layout.forge();
    let shown = layout.shown(&folder);
    Arc::new(LocalForge::new(&folder, &shown, wall))
}

fn ask_issue(forge: &dyn Forge, number: u64) -> Result<Issue> {
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

/// The states of the earlier orchestrations of a master, oldest first.
fn earlier(folder: &Path) -> Result<Vec<State>> {
    let mut journals: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .collect();
    journals.sort();
    let mut states = Vec::new();
    for path in journals {
        if let Some(state) = State::replay(&read_journal(&path)?.records) {
            states.push(state);
        }
    }
    states.sort_by_key(|state| state.origin);
    Ok(states)
}

fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Error::File {
        action: "create",
        path: path.to_owned(),
        reason: crate::world::real::reason(&error),
    })
}

fn unexpected(reply: &Reply) -> Error {
    Error::Engine {
        reason: format!("the forge answered {reply:?}"),
    }
}

const fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Proceed => "proceed",
        Verdict::Warn => "warn",
        Verdict::Abort => "abort",
    }
}

fn join(numbers: &[u32], between: &str) -> String {
    numbers
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(between)
}
