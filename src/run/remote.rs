//! The remotes of a clone: which repositories they are, and what they have.
//!
//! Asks the user's own git, so that `insteadOf`, credentials and SSH count, and `ssh -G` what an
//! alias stands for. Fetches; touches no branch and no work tree.

use std::path::Path;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::forge::github::address::{IssueAddress, Repository};
use crate::supervisor::{Newlines, Outcome};
use crate::workspace::Base;
use crate::workspace::answers::remote_head;
use crate::workspace::cli::{Git, GitCommand};
use crate::world::real::git_unit;

use super::interruption::Interruption;
use super::surroundings::Environment;
use super::unit::ended_well;

/// How long a command that may ask the network is waited for.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// A remote that is a repository on GitHub or one of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its name: `origin`.
    pub name: String,
    /// What it is.
    pub repository: Repository,
}

/// The clone, as far as its remotes are concerned.
#[derive(Clone, Copy)]
pub struct Clone<'a> {
    /// The main worktree.
    pub root: &'a Path,
    /// The user's git.
    pub git: &'a Git,
    /// Ours, which git gets.
    pub environment: &'a Environment,
    /// Ends what takes too long for whoever waits.
    pub interruption: &'a Interruption,
}

impl Clone<'_> {
    /// The remote that an issue is in. A number alone means `origin`, or else the only remote.
    pub fn remote_of(&self, source: &str, issue: &IssueAddress) -> Result<Remote> {
        let refuse = |reason: String| Error::SourceUnsupported {
            source_name: source.to_owned(),
            reason,
        };
        let remotes = self.remotes()?;
        if remotes.is_empty() {
            let reason = "no remote of this clone is a GitHub repository";
            return Err(refuse(reason.to_owned()));
        }
        let names = || {
            let name = |remote: &Remote| format!("{} ({})", remote.name, remote.repository);
            remotes.iter().map(name).collect::<Vec<_>>().join(", ")
        };
        if issue.repository.is_some() {
            let found = remotes
                .iter()
                .find(|remote| issue.is_in(&remote.repository));
            return found.cloned().ok_or_else(|| {
                refuse(format!(
                    "no remote of this clone is that repository: {}",
                    names()
                ))
            });
        }
        let origin = remotes.iter().find(|remote| remote.name == "origin");
        match (origin, &remotes[..]) {
            (Some(origin), _) => Ok(origin.clone()),
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err(refuse(format!(
                "none of the remotes is origin, so OWNER/REPO#N has to name one: {}",
                names()
            ))),
        }
    }

    /// Those that are repositories on GitHub or one of its kind.
    pub fn remotes(&self) -> Result<Vec<Remote>> {
        let names = self.ask(&self.git.remotes(self.root))?;
        let mut remotes = Vec::new();
        for name in names.lines().filter(|name| !name.is_empty()) {
            let url = self.ask(&self.git.remote_address(self.root, name))?;
            let Some(mut repository) = Repository::from_remote(&url) else {
                continue;
            };
            if is_ssh(&url) {
                repository.host = self.unalias(repository.host);
            }
            remotes.push(Remote {
                name: name.to_owned(),
                repository,
            });
        }
        Ok(remotes)
    }

    /// The host behind a name in the user's SSH configuration. Without SSH it is itself.
    fn unalias(&self, host: String) -> String {
        let command = ["ssh", "-G", "--", &host].map(str::to_owned);
        let settings = self
            .interruption
            .ask(&command, self.environment)
            .unwrap_or_default();
        let found = settings
            .lines()
            .find_map(|line| line.strip_prefix("hostname "));
        match found {
            // GitHub's SSH over the port of HTTPS.
            Some("ssh.github.com") => "github.com".to_owned(),
            Some(found) => found.to_ascii_lowercase(),
            None => host,
        }
    }

    /// The branch that agents start from, as it is on the remote now: the one named, or the one
    /// that is checked out there. It is fetched.
    pub fn base(&self, remote: &str, branch: Option<&str>) -> Result<Base> {
        let answer = self.ask(&self.git.remote_branch(self.root, remote, branch))?;
        let (name, commit) = remote_head(&answer).ok_or_else(|| Error::BaseMissing {
            name: branch.map_or_else(
                || format!("branch of the remote {remote}"),
                |branch| format!("{branch} of the remote {remote}"),
            ),
            path: self.root.to_owned(),
        })?;
        self.ask(&self.git.fetch(self.root, remote, &name))?;
        Ok(Base { name, commit })
    }

    /// What a git command prints.
    pub fn ask(&self, command: &GitCommand) -> Result<String> {
        let finished = self
            .interruption
            .run(git_unit(command, self.environment, TIME_LIMIT))
            .map_err(|error| Error::Engine {
                reason: error.to_string(),
            })?;
        match finished.outcome {
            // A connection that SSH keeps, or a daemon that keeps passwords, is none of our business.
            outcome if ended_well(&outcome) => {
                Ok(finished.captured.stdout.text(Newlines::Universal))
            }
            Outcome::TimedOut => Err(Error::Git {
                command: command.name.to_owned(),
                reason: format!("it did not end within {} seconds", TIME_LIMIT.as_secs()),
            }),
            _ => Err(command.failure(&finished.captured.stderr.text(Newlines::Universal))),
        }
    }
}

/// Whether a URL goes through SSH, where a host may be an alias.
fn is_ssh(url: &str) -> bool {
    url.split_once("://")
        .is_none_or(|(scheme, _)| scheme.contains("ssh"))
}
