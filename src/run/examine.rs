//! What `doctor` wants to know: this machine, the repository, the agent and the forge as they are.
//!
//! Looks, and judges nothing: what the facts mean is said where they are shown. What cannot be
//! looked at is told with its reason, and the rest goes on. Nothing is created, nothing is asked
//! twice, and of a token only its source is told.

mod repository;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::geteuid;
use serde::Serialize;

use crate::agent::Agent;
use crate::agent::environment::inherited;
use crate::error::Error;
use crate::forge::Forge;
use crate::forge::github::address::IssueAddress;
use crate::forge::github::time::RealTime;
use crate::forge::github::{GitHubForge, Setting, Standing};
use crate::report::untrusted::one_line;
use crate::supervisor::{CapturedStream, Limits, Newlines, Outcome, UnitSpec};
use crate::workspace::Workspace;
use crate::world::real::can_watch;

use super::admission::Supply;
use super::interruption::Interruption;
use super::options::Options;
use super::origin::{api_of, token_for};
use super::prepare::{missing, user_git};
use super::remote::Clone;
use super::resources::{Disk, supply};
use super::surroundings::{Environment, find_executable, find_versioned_git, layout, variable};

use self::repository::Repository;

/// What was looked for, or why it could not be had.
type Told<T> = Result<T, Trouble>;

/// How long Claude Code is waited for.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The first version of Claude Code that knows `auth status`.
const FIRST_WITH_LOGIN: [u32; 3] = [2, 1, 41];

/// An error as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// What happened.
    pub message: String,
    /// The way out.
    pub hint: String,
    /// The exit code of its kind.
    pub exit_code: u8,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self {
            message: error.to_string(),
            hint: error.hint(),
            exit_code: error.exit_code(),
        }
    }
}

/// Everything that was found.
#[derive(Debug, Serialize)]
pub struct Examination {
    /// How many agents would be at work at once, by the options and variables.
    pub agents: Told<usize>,
    /// The user's git.
    pub git: Told<Git>,
    /// The repository.
    pub repository: Told<Repository>,
    /// The agent.
    pub agent: Told<AgentFound>,
    /// The forge of the remote that an issue's number means; `None` without such a remote, or
    /// without what is needed to look for one.
    pub github: Option<Told<GitHub>>,
    /// The machine.
    pub machine: Machine,
}

/// The user's git.
#[derive(Debug, Serialize)]
pub struct Git {
    /// Where it is.
    pub path: PathBuf,
    /// `2.47`.
    pub version: String,
}

/// The agent.
#[derive(Debug, Serialize)]
pub struct AgentFound {
    /// As people know it.
    pub name: String,
    /// Where its executable is.
    pub executable: PathBuf,
    /// What is worth a warning.
    pub notices: Vec<String>,
    /// Why it would refuse to run for this user.
    pub refused: Option<Trouble>,
    /// What Claude Code says of itself; others are not asked, since any argument may start them.
    pub claude: Option<Claude>,
}

/// What Claude Code says of itself.
#[derive(Debug, Serialize)]
pub struct Claude {
    /// What it prints for `--version`, else why it printed nothing.
    pub version: Result<String, String>,
    /// What it prints for `auth status`: JSON. Older ones would take that for a prompt.
    pub login: Option<Result<String, String>>,
}

/// A forge and how we stand there.
#[derive(Debug, Serialize)]
pub struct GitHub {
    /// The remote's name.
    pub remote: String,
    /// `octo/shop`.
    pub repository: String,
    /// `github.com`.
    pub host: String,
    /// The address of its API.
    pub api: String,
    /// Where the token comes from.
    pub token: Told<String>,
    /// How we stand; `None` without a token.
    pub standing: Option<Told<Access>>,
}

/// What the forge says of our token.
#[derive(Debug, Serialize)]
pub struct Access {
    /// What an orchestration would be refused for.
    pub objection: Option<Trouble>,
    /// What a classic token may do.
    pub scopes: Option<Vec<String>>,
    /// Requests that are left until the reset.
    pub remaining: Option<u64>,
    /// Requests that may be made between two resets.
    pub limit: Option<u64>,
    /// When the reset comes, in seconds since 1970.
    pub reset: Option<u64>,
    /// How far this machine's clock is ahead, in seconds.
    pub clock_ahead: Option<i64>,
}

impl From<Standing> for Access {
    fn from(standing: Standing) -> Self {
        Self {
            objection: standing.objection.map(|error| Error::from(error).into()),
            scopes: standing.scopes,
            remaining: standing.remaining,
            limit: standing.limit,
            reset: standing.reset,
            clock_ahead: standing.clock_ahead,
        }
    }
}

/// The machine.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// Free bytes where worktrees will be.
    pub disk_free: Option<u64>,
    /// Why they will not fit.
    pub disk_shortage: Option<String>,
    /// Memory that can be used, in bytes.
    pub memory: Option<u64>,
    /// Why it is too little.
    pub memory_shortage: Option<String>,
    /// How many descriptors this program may have.
    pub descriptors: Option<u64>,
    /// Why they are too few.
    pub descriptor_shortage: Option<String>,
    /// Why no folder can be watched.
    pub no_file_events: Option<String>,
}

/// Looks at everything.
pub fn examine(options: &Options, interruption: &Interruption) -> Examination {
    let environment: Vec<_> = std::env::vars_os().collect();
    let lookup =
        |name: &str| variable(&environment, name).map(|value| value.to_string_lossy().into_owned());
    let folder = PathBuf::from(options.repo.as_deref().unwrap_or("."));
    let folder = folder.canonicalize().unwrap_or(folder);
    let resolved = options.resolve(lookup).map_err(Trouble::from);
    let workspace = Workspace::discover(&folder).map_err(Trouble::from);
    let git = find_versioned_git(&environment).map_err(Trouble::from);
    let place = workspace.as_ref().ok().zip(git.as_ref().ok());
    let user_git = place.and_then(|(workspace, (path, _))| {
        let found = user_git(path.clone(), workspace, &environment);
        Some((workspace, found.ok()?))
    });
    let layout = workspace
        .as_ref()
        .ok()
        .zip(resolved.as_ref().ok())
        .map(|(workspace, resolved)| layout(workspace, resolved, &environment));
    let agents = resolved.as_ref().map_or(1, |resolved| resolved.max_workers);
    let delegate = resolved.as_ref().ok().and_then(|it| it.delegate.as_deref());
    Examination {
        agent: find_agent(options, delegate, &environment, interruption),
        github: user_git.as_ref().and_then(|(workspace, git)| {
            let clone = Clone {
                root: workspace.root(),
                git,
                environment: &environment,
                interruption,
            };
            look_at_forge(&clone).transpose()
        }),
        machine: Machine::look(
            layout.as_ref().map_or(&folder, |layout| layout.worktrees()),
            workspace.as_ref().ok().map_or(&folder, |it| it.root()),
            workspace.as_ref().ok(),
            agents,
        ),
        repository: workspace.as_ref().map_err(Trouble::clone).map(|workspace| {
            let git = user_git.as_ref().map(|(_, git)| git);
            repository::look(workspace, layout.as_ref(), git, &environment)
        }),
        agents: resolved.as_ref().map_err(Trouble::clone).map(|_| agents),
        git: git.map(|(path, (major, minor))| Git {
            path,
            version: format!("{major}.{minor}"),
        }),
    }
}

fn find_agent(
    options: &Options,
    delegate: Option<&str>,
    environment: &Environment,
    interruption: &Interruption,
) -> Told<AgentFound> {
    let mode = options.permission_mode.as_deref();
    let agent = Agent::resolve(options.agent.as_deref(), delegate, None, mode, None)?;
    let executable =
        find_executable(agent.executable(), environment).ok_or_else(|| missing(&agent))?;
    let sandbox = variable(environment, "IS_SANDBOX").is_some_and(|value| !value.is_empty());
    let refused = agent.check_privileges(geteuid().is_root(), sandbox);
    let ask = |arguments: &[&str]| ask_claude(&executable, arguments, environment, interruption);
    let claude = agent.is_claude().then(|| {
        let version = ask(&["--version"]);
        let login = version.as_ref().is_ok_and(|text| knows_login(text));
        Claude {
            login: login.then(|| ask(&["auth", "status"])),
            version,
        }
    });
    Ok(AgentFound {
        name: agent.name().to_owned(),
        notices: agent.notices().to_vec(),
        refused: refused.err().map(Trouble::from),
        executable,
        claude,
    })
}

/// What Claude Code prints, in the environment that agents get. It prints its answer to
/// `auth status` also where that is no, and fails then.
fn ask_claude(
    executable: &Path,
    arguments: &[&str],
    environment: &Environment,
    interruption: &Interruption,
) -> Result<String, String> {
    let spec = UnitSpec {
        env: Some(inherited(environment, &[])),
        limits: Limits {
            timeout: Some(TIME_LIMIT),
            grace: Duration::from_secs(1),
            ..Limits::default()
        },
        ..UnitSpec::new(executable).args(arguments)
    };
    let finished = interruption.run(spec).map_err(|error| error.to_string())?;
    let printed = |stream: &CapturedStream| one_line(&stream.text(Newlines::Universal));
    let (out, err) = (
        printed(&finished.captured.stdout),
        printed(&finished.captured.stderr),
    );
    match (finished.outcome, out.is_empty(), err.is_empty()) {
        (Outcome::TimedOut, ..) => {
            Err(format!("no answer within {} seconds", TIME_LIMIT.as_secs()))
        }
        (Outcome::SpawnError(error), ..) => Err(error.to_string()),
        (_, false, _) => Ok(out),
        (_, true, false) => Err(err),
        (_, true, true) => Err("it said nothing".to_owned()),
    }
}

/// Whether this is the version of one that can be asked for its login: `2.1.332 (Claude Code)`.
fn knows_login(version: &str) -> bool {
    let number = version.split_whitespace().next().unwrap_or_default();
    let parts: Option<Vec<u32>> = number.split('.').map(|part| part.parse().ok()).collect();
    parts.is_some_and(|parts| parts.as_slice() >= FIRST_WITH_LOGIN.as_slice())
}

/// The forge that an issue's number alone would mean.
fn look_at_forge(clone: &Clone<'_>) -> Told<Option<GitHub>> {
    if clone.remotes()?.is_empty() {
        return Ok(None);
    }
    let any = IssueAddress {
        number: 0,
        repository: None,
    };
    let remote = clone.remote_of("the remotes", &any)?;
    let api = api_of(&remote, clone.environment)?;
    let token = token_for(&api, clone).map_err(Trouble::from);
    let standing = token.as_ref().ok().map(|token| {
        let forge = GitHubForge::new(Setting {
            repository: remote.repository.clone(),
            api: api.address.clone(),
            token: token.clone(),
            time: Arc::new(RealTime::default()),
        });
        let forge = Arc::new(forge.map_err(Error::from)?);
        let watched: Arc<dyn Forge> = forge.clone();
        clone.interruption.watch(&watched);
        Ok(forge.standing().map_err(Error::from)?.into())
    });
    Ok(Some(GitHub {
        remote: remote.name,
        repository: remote.repository.to_string(),
        host: remote.repository.host,
        api: api.address,
        token: token.map(|token| token.source().to_owned()),
        standing,
    }))
}

impl Machine {
    /// `worktrees` is where those will be, and `watched` a folder that is there.
    fn look(
        worktrees: &Path,
        watched: &Path,
        workspace: Option<&Workspace>,
        agents: usize,
    ) -> Self {
        let size = workspace.and_then(|workspace| workspace.checkout_size().ok());
        let disk = Disk::look(worktrees, agents as u64, size.unwrap_or(0));
        let supply = supply();
        let alone = |supply: Supply| supply.admit(agents, agents).shortage;
        Self {
            disk_free: disk.free,
            disk_shortage: disk.shortage(),
            memory: supply.memory,
            memory_shortage: alone(Supply {
                descriptors: None,
                ..supply
            }),
            descriptors: supply.descriptors,
            descriptor_shortage: alone(Supply {
                memory: None,
                ..supply
            }),
            no_file_events: can_watch(watched).err(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_version_that_knows_of_logins_is_asked_for_one() {
        for version in ["2.1.41 (Claude Code)", "2.1.332 (Claude Code)", "3.0.0"] {
            assert!(knows_login(version), "{version}");
        }
        for version in [
            "2.1.40 (Claude Code)",
            "1.0.128 (Claude Code)",
            "",
            "unknown",
        ] {
            assert!(!knows_login(version), "{version}");
        }
    }
}
