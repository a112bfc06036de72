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

impl GitHubForge {
    pub(super) fn refuse_without_access(&self) -> Result<(), ForgeError> {
        // Only those who may write are told what others may.
        let are_we_trusted = lock(&self.people).values().any(Option::is_some);
        if are_we_trusted {
            return Ok(());
        }
        let call = Call::get(
            format!("/repos/{}", self.repository),
            format!("work in {}", self.repository),
        );
        let answer = self.client.ask(&call)?;
        let found: RepositoryShape = shape(&call, answer.body.clone())?;
        match self.objection(&found, &answer) {
            Some(message) => {
                let refused = Answer {
                    status: 403,
                    body: json!({ "message": message }),
                    ..answer
                };
                Err(self.client.refusal(&call, &refused))
            }
            None => Ok(()),
        }
    }

    /// What GitHub will answer 403 for.
    fn objection(&self, found: &RepositoryShape, answer: &Answer) -> Option<&'static str> {
        let granted = answer.headers.get("x-oauth-scopes");
        let granted = granted.and_then(|value| value.to_str().ok()).map(scopes);
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
