//! Where the tasks of an orchestration come from, and where they are filed: a plan in the local
//! forge, a plan on GitHub, or an issue on GitHub.
//!
//! Reads the plan, asks the forge for the issue and the clone for its remotes; creates nothing.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::forge::github::address::{IssueAddress, NoAddress, api_address, host_of_api};
use crate::forge::github::time::RealTime;
use crate::forge::github::token::{GH, Sources, Token};
use crate::forge::github::{GitHubForge, Setting};
use crate::forge::marker::plan_identity;
use crate::forge::{Forge, Issue, LocalForge, MarkerKind, Reply, Request, State};
use crate::workspace::{Layout, Master, Workspace};
use crate::world::real::{reason, wall};

use super::interruption::Interruption;
use super::remote::{Clone, Remote};
use super::source::Source;
use super::surroundings::{Environment, find_executable, variable};

/// Where tasks come from, and where they are filed.
pub struct Origin {
    /// Title and text of the plan or the issue, as Markdown.
    pub text: String,
    /// What markers call a plan: its path, or a hash of its text. An issue needs none.
    pub identity: Option<String>,
    /// Where issues and change requests go.
    pub forge: Arc<dyn Forge>,
    /// The remote that branches are pushed to; none with the local forge.
    pub remote: Option<Remote>,
    /// The master issue, where it exists.
    pub master: Option<Issue>,
    /// Its native sub-issues.
    pub sub_issues: Vec<Issue>,
    /// The forge's token, which nothing may show.
    pub token: Option<String>,
}

/// What an origin is looked for with.
pub struct Search<'a> {
    /// SOURCE as it was given.
    pub source: &'a str,
    /// The plan, where SOURCE is one, and its file.
    pub plan: (String, Option<PathBuf>),
    /// `--forge`.
    pub forge: Option<&'a str>,
    /// The repository.
    pub workspace: &'a Workspace,
    /// Where things are.
    pub layout: &'a Layout,
    /// The clone and its git.
    pub clone: Clone<'a>,
}

impl Search<'_> {
    /// Finds the origin of SOURCE.
    pub fn find(self, source: &Source) -> Result<Origin> {
        let wants_github = self.forge == Some("github");
        match source {
            Source::Issue(_) if self.forge == Some("local") => {
                Err(self.refuse("it is an issue on GitHub, and --forge is local"))
            }
            Source::Local(_) if wants_github => {
                Err(self.refuse("it is an issue of the local forge, and --forge is github"))
            }
            Source::Issue(text) => self.issue(text),
            Source::Local(number) => self.local_issue(*number),
            Source::File(_) | Source::Stdin => self.plan(wants_github),
        }
    }

    fn refuse(&self, reason: &str) -> Error {
        Error::SourceUnsupported {
            source_name: self.source.to_owned(),
            reason: reason.to_owned(),
        }
    }

    fn issue(&self, text: &str) -> Result<Origin> {
        let address = IssueAddress::parse(text)
            .map_err(|error: NoAddress| self.refuse(&error.to_string()))?;
        let remote = self.clone.remote_of(self.source, &address)?;
        let (forge, token) = self.github(&remote)?;
        let master = ask_issue(&*forge, address.number)?;
        let sub_issues = match forge.perform(&Request::SubIssues {
            number: master.number,
        })? {
            Reply::Issues { issues } => issues,
            other => return Err(unexpected(&other)),
        };
        Ok(Origin {
            text: with_title(&master),
            identity: None,
            forge,
            remote: Some(remote),
            master: Some(master),
            sub_issues,
            token: Some(token.expose().to_owned()),
        })
    }

    fn local_issue(&self, number: u64) -> Result<Origin> {
        let forge = self.local_forge()?;
        let master = ask_issue(&*forge, number)?;
        Ok(Origin {
            text: with_title(&master),
            identity: None,
            forge,
            remote: None,
            master: Some(master),
            sub_issues: Vec::new(),
            token: None,
        })
    }

    fn plan(self, on_github: bool) -> Result<Origin> {
        let (text, path) = &self.plan;
        let identity = plan_identity(self.workspace.root(), path.as_deref(), text);
        let (forge, remote, token) = if on_github {
            let address = IssueAddress {
                number: 0,
                repository: None,
            };
            let remote = self.clone.remote_of(self.source, &address)?;
            let (forge, token) = self.github(&remote)?;
            (forge, Some(remote), Some(token.expose().to_owned()))
        } else {
            (self.local_forge()?, None, None)
        };
        let master = match known_master(&*forge, &identity)? {
            Some(number) => Some(ask_issue(&*forge, number)?),
            None => None,
        };
        Ok(Origin {
            text: self.plan.0,
            identity: Some(identity),
            forge,
            remote,
            master,
            sub_issues: Vec::new(),
            token,
        })
    }

    /// The forge of this repository. A forge that was deleted begins above the branches that it
    /// left behind, so that no task takes up another one's work.
    fn local_forge(&self) -> Result<Arc<dyn Forge>> {
        let folder = self.layout.forge();
        let shown = self.layout.shown(&folder);
        // Also where the forge was lost with an earlier clone, and worktrees were not.
        let registered = self.workspace.worktrees()?.into_iter().map(|at| at.path);
        let standing = fs::read_dir(self.layout.worktrees()).into_iter().flatten();
        let standing = standing.filter_map(|entry| Some(entry.ok()?.path()));
        let worktrees = registered.chain(standing);
        let branches = self.workspace.branches()?;
        let taken = worktrees
            .filter_map(|worktree| Layout::branch_of(&worktree))
            .chain(branches)
            .filter_map(|branch| Master::local_sub_issue(&branch))
            .max();
        Ok(Arc::new(
            LocalForge::new(&folder, &shown, wall).after(taken.unwrap_or(0)),
        ))
    }

    fn github(&self, remote: &Remote) -> Result<(Arc<dyn Forge>, Token)> {
        let api = api_of(remote, self.clone.environment)?;
        let token = token_for(&api, &self.clone)?;
        let forge = GitHubForge::new(Setting {
            repository: remote.repository.clone(),
            api: api.address,
            token: token.clone(),
            time: Arc::new(RealTime::default()),
        })?;
        let forge: Arc<dyn Forge> = Arc::new(forge);
        self.clone.interruption.watch(&forge);
        Ok((forge, token))
    }
}

/// The API that knows a remote.
pub struct Api {
    /// Its address.
    pub address: String,
    /// Whose token it gets, and where that is looked for.
    pub sources: Sources,
}

/// The API that knows a remote.
pub fn api_of(remote: &Remote, environment: &Environment) -> Result<Api> {
    let explicit = text(environment, "GITHUB_API_URL");
    if let Some(url) = explicit.as_deref().filter(|url| host_of_api(url).is_none()) {
        return Err(Error::OutOfRange {
            name: "GITHUB_API_URL".to_owned(),
            value: url.to_owned(),
            expected: "the address of an API, such as https://api.github.com".to_owned(),
        });
    }
    let host = &remote.repository.host;
    let gh_host = text(environment, "GH_HOST");
    let address = api_address(host, explicit.as_deref(), gh_host.as_deref());
    Ok(Api {
        sources: Sources::of(&address, explicit.is_some()),
        address,
    })
}

/// The token for an API.
pub fn token_for(api: &Api, clone: &Clone<'_>) -> Result<Token> {
    let lookup = |name: &str| text(clone.environment, name);
    if let Some(token) = api.sources.from_environment(lookup) {
        return Ok(token);
    }
    if find_executable(GH, clone.environment).is_none() {
        return Err(api.sources.missing(lookup, None));
    }
    let printed = clone
        .interruption
        .ask(&api.sources.command, clone.environment);
    let token = printed.and_then(|printed| api.sources.from_command(&printed));
    token.map_err(|reason| api.sources.missing(lookup, Some(&reason)))
}

/// A variable that is set to something.
fn text(environment: &Environment, name: &str) -> Option<String> {
    let value = variable(environment, name)?.to_str()?;
    (!value.trim().is_empty()).then(|| value.to_owned())
}

impl Origin {
    /// The master of this number, in the sequence of this forge.
    pub const fn label(&self, number: u64) -> Master {
        match self.remote {
            Some(_) => Master::GitHub(number),
            None => Master::Local(number),
        }
    }

    /// The open sub-issues that nobody here has filed: tasks of their own.
    pub fn foreign_sub_issues(&self) -> impl Iterator<Item = &Issue> {
        let open = self.sub_issues.iter();
        open.filter(|issue| issue.state == State::Open && issue.marker.is_none())
    }
}

fn with_title(issue: &Issue) -> String {
    format!("# {}\n\n{}", issue.title, issue.body)
}

/// The text of a plan, and its absolute path.
///
/// A pipe may stay silent: then an interruption ends the wait.
pub fn read_plan(given: &str, interruption: &Interruption) -> Result<(String, PathBuf)> {
    let path = PathBuf::from(given);
    let unreadable = |reason: String| Error::PlanUnreadable {
        path: PathBuf::from(given),
        reason,
    };
    let bytes = read_at_most(&path, interruption).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::PlanMissing { path: path.clone() },
        io::ErrorKind::IsADirectory => unreadable("it is a folder".to_owned()),
        _ => unreadable(reason(&error)),
    })?;
    let text =
        String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8 text".to_owned()))?;
    let path = path
        .canonicalize()
        .map_err(|error| unreadable(reason(&error)))?;
    Ok((text, path))
}

/// The longest plan, in bytes.
const LONGEST_PLAN: u64 = 64 * 1024 * 1024;

fn read_at_most(path: &Path, interruption: &Interruption) -> io::Result<Vec<u8>> {
    let read = |path: PathBuf| {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(LONGEST_PLAN + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LONGEST_PLAN {
            return Err(io::Error::other("it is larger than 64 MB"));
        }
        Ok(bytes)
    };
    let path = path.to_owned();
    if fs::metadata(&path).is_ok_and(|found| found.is_file() || found.is_dir()) {
        return read(path);
    }
    let (teller, answer) = channel();
    std::thread::spawn(move || {
        // Nobody listens any more after an interruption.
        let _ = teller.send(read(path));
    });
    loop {
        match answer.recv_timeout(LOOK) {
            Ok(read) => return read,
            Err(RecvTimeoutError::Timeout) if !interruption.has_fired() => {}
            Err(_) => return Err(io::Error::other("interrupted")),
        }
    }
}

/// Between two looks for an interruption, while a pipe is silent.
const LOOK: Duration = Duration::from_millis(100);

/// An issue, as it is now.
pub fn ask_issue(forge: &dyn Forge, number: u64) -> Result<Issue> {
    match forge.perform(&Request::Issue { number })? {
        Reply::Issue(issue) => Ok(issue),
        other => Err(unexpected(&other)),
    }
}

/// The master issue of a plan that was orchestrated before.
fn known_master(forge: &dyn Forge, identity: &str) -> Result<Option<u64>> {
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

/// A forge that answers something else than it was asked has a bug.
pub fn unexpected(reply: &Reply) -> Error {
    Error::Engine {
        reason: format!("the forge answered {reply:?}"),
    }
}
