//! Change requests: found by their branch, which has one that is open at most.

use serde_json::json;

use super::answer::Answer;
use super::client::Call;
use super::shapes::{PullShape, StateShape};
use super::{GitHubForge, Made, fitting, shape};
use crate::forge::{Created, ForgeError, Marker, NewPull};
use crate::report::untrusted::title;

impl GitHubForge {
    pub(super) fn create_pull(&self, pull: &NewPull) -> Result<Created, ForgeError> {
        let call = self.pull_call(pull, pull.draft);
        match self.post_pull(&call, pull)? {
            Made::Answered(answer) if pull.draft && refuses_drafts(&answer) => {
                self.client
                    .tell("the repository takes no drafts: opened for review instead");
                let call = self.pull_call(pull, false);
                let made = self.post_pull(&call, pull)?;
                self.take_pull(&call, pull, made)
            }
            made => self.take_pull(&call, pull, made),
        }
    }

    fn pull_call(&self, pull: &NewPull, draft: bool) -> Call {
        let body = json!({
            "title": title(&pull.title),
            "body": fitting(pull.marker.lead(&pull.body)),
            "head": pull.head,
            "base": pull.base,
            "draft": draft,
        });
        Call::post(
            self.path("pulls"),
            body,
            format!("open a pull request from {} to {}", pull.head, pull.base),
        )
    }

    fn post_pull(&self, call: &Call, pull: &NewPull) -> Result<Made<PullShape>, ForgeError> {
        self.create(call, || self.find_pull(pull))
    }

    fn take_pull(
        &self,
        call: &Call,
        pull: &NewPull,
        made: Made<PullShape>,
    ) -> Result<Created, ForgeError> {
        let answer = match made {
            Made::Found(found) => return Ok(created(found, false)),
            Made::Answered(answer) => answer,
        };
        // The agent may have opened it itself, or an earlier run, and people may have merged it.
        if answer.status == 422
            && let Some(found) = self.find_pull(pull)?
        {
            return Ok(created(found, true));
        }
        let answer = self.client.accept(call, answer)?;
        Ok(created(shape(call, answer.body)?, false))
    }

    /// The open one of this branch, whoever made it, else one of ours that is closed.
    fn find_pull(&self, pull: &NewPull) -> Result<Option<PullShape>, ForgeError> {
        let owner = &self.repository.owner;
        let head = query(&format!("{owner}:{}", pull.head));
        let found: Vec<PullShape> = self.first_page(
            &format!("pulls?head={head}&state=all&per_page=100"),
            &format!("look for the pull request of {}", pull.head),
        )?;
        let is_ours = |found: &PullShape| {
            Marker::split(found.body.as_deref().unwrap_or_default())
                .0
                .as_ref()
                == Some(&pull.marker)
        };
        let rank = |found: &PullShape| {
            let is_open = found.state == StateShape::Open;
            let fits = found
                .base
                .as_ref()
                .is_some_and(|base| base.name == pull.base);
            (is_open || is_ours(found)).then_some((is_open, fits))
        };
        Ok(found
            .into_iter()
            .filter_map(|found| Some((rank(&found)?, found)))
            .max_by_key(|(rank, _)| *rank)
            .map(|(_, found)| found))
    }
}

fn created(pull: PullShape, existed: bool) -> Created {
    Created {
        number: pull.number,
        url: pull.html_url,
        existed,
    }
}

fn refuses_drafts(answer: &Answer) -> bool {
    answer.status == 422 && answer.complaint().contains("draft")
}

/// Percent-encodes a value of a query.
fn query(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'/' | b':' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_stays_within_its_value() {
        assert_eq!(query("octo:feat/issue-7"), "octo:feat/issue-7");
        assert_eq!(query("a&state=x#ü"), "a%26state%3Dx%23%C3%BC");
    }
}
