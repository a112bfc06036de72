//! Whether we may do here what an orchestration does, asked before anything is created.
//!
//! Anybody may file an issue in a public repository, but GitHub drops its labels, and neither a
//! link nor a pull request would follow.

use serde_json::json;

use super::answer::Answer;
use super::client::{Call, lock};
use super::refusal::scopes;
use super::shapes::RepositoryShape;
use super::{GitHubForge, shape};
use crate::forge::ForgeError;

/// How we stand with a repository, as far as one answer tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What an orchestration would be refused for.
    pub objection: Option<ForgeError>,
    /// What a classic token may do; those of the other kinds are not told.
    pub scopes: Option<Vec<String>>,
    /// Requests that are left until the reset.
    pub remaining: Option<u64>,
    /// Requests that may be made between two resets.
    pub limit: Option<u64>,
    /// When the reset comes, in seconds since 1970.
    pub reset: Option<u64>,
    /// How far this machine's clock is ahead of the server's, in seconds.
    pub clock_ahead: Option<i64>,
}

impl GitHubForge {
    pub(super) fn refuse_without_access(&self) -> Result<(), ForgeError> {
        // Only those who may write are told what others may.
        let are_we_trusted = lock(&self.people).values().any(Option::is_some);
        if are_we_trusted {
            return Ok(());
        }
        let call = self.question();
        let answer = self.client.ask(&call)?;
        let found: RepositoryShape = shape(&call, answer.body.clone())?;
        match self.objection(&found, &answer) {
            Some(message) => Err(self.refused(&call, answer, 403, message)),
            None => Ok(()),
        }
    }

    /// Asks once how we stand here. It waits for no limit, and an error is that there was no
    /// answer.
    pub fn standing(&self) -> Result<Standing, ForgeError> {
        let call = self.question();
        let answer = self.client.glance(&call)?;
        let limits = answer.limits();
        Ok(Standing {
            scopes: granted(&answer).map(|scopes| scopes.into_iter().map(str::to_owned).collect()),
            remaining: limits.remaining,
            limit: answer.number("x-ratelimit-limit"),
            reset: limits.reset,
            clock_ahead: self.client.clock_ahead(&answer),
            objection: self.objection_to(&call, answer).err(),
        })
    }

    fn objection_to(&self, call: &Call, answer: Answer) -> Result<(), ForgeError> {
        if let Some(until) = self.client.closed_until(&answer) {
            let until = i64::try_from(until.as_secs()).ok();
            return Err(ForgeError::Limited { until });
        }
        let answer = self.client.accept(call, answer)?;
        let found: RepositoryShape = shape(call, answer.body.clone())?;
        if let Some(message) = self.objection(&found, &answer) {
            return Err(self.refused(call, answer, 403, message));
        }
        if found.has_issues == Some(false) {
            return Err(self.refused(call, answer, 410, "issues are disabled in this repository"));
        }
        Ok(())
    }

    fn question(&self) -> Call {
        Call::get(
            format!("/repos/{}", self.repository),
            format!("work in {}", self.repository),
        )
    }

    /// The refusal that would come later, in GitHub's form.
    fn refused(&self, call: &Call, answer: Answer, status: u16, message: &str) -> ForgeError {
        let refused = Answer {
            status,
            body: json!({ "message": message }),
            ..answer
        };
        self.client.refusal(call, &refused)
    }

    /// What GitHub will answer 403 for.
    fn objection(&self, found: &RepositoryShape, answer: &Answer) -> Option<&'static str> {
        let granted = granted(answer);
        let is_enough =
            |scope: &&str| *scope == "repo" || (*scope == "public_repo" && !found.private);
        if found.archived {
            Some("the repository is archived, and so read-only")
        } else if granted.is_some_and(|granted| !granted.iter().any(is_enough)) {
            Some("the token has no scope that allows it")
        } else if self.client.is_of_person() && found.permissions.is_some_and(|may| !may.push) {
            Some("the user of the token may not write to it")
        } else {
            None
        }
    }
}

/// The scopes that GitHub says a classic token has.
fn granted(answer: &Answer) -> Option<Vec<&str>> {
    let granted = answer.headers.get("x-oauth-scopes")?;
    granted.to_str().ok().map(scopes)
}
