//! What the simulated git and forge make of an operation.

use super::super::{Completion, Operation, Workplace};
use super::SimWorld;
use crate::forge::Request;
use crate::run::facts::{Filed, Proof};
use crate::run::failure::{ErrorType, Failure, Stage};
use crate::run::merging::{Collision, Merges};
use crate::run::record::Intent;

impl SimWorld {
    fn ask_forge(&mut self, intent: Intent, request: &Request) -> Completion {
        let failed = |reason: &str| Completion::ForgeFailed {
            intent,
            reason: reason.to_owned(),
            remedy: "wait".to_owned(),
        };
        if self.strikes(self.hostility.forge) {
            return failed("the forge is down");
        }
        let mut done = self.perform(intent, request);
        if self.strikes(self.hostility.answer) {
            // It came twice.
            done = self.perform(intent, request);
        }
        if self.strikes(self.hostility.answer) {
            self.lost_answers += 1;
            return failed("the answer was lost");
        }
        done.unwrap_or_else(|| failed("not asked in a run"))
    }

    /// Does what is asked; `None` where no run asks it.
    fn perform(&mut self, intent: Intent, request: &Request) -> Option<Completion> {
        let marker = match request {
            Request::CreateIssue(issue) => &issue.marker,
            Request::CreatePull(pull) => &pull.marker,
            Request::Comment(comment) => &comment.marker,
            Request::Adopt { marker, .. } => marker,
            Request::CloseMarked { marker, .. } => {
                let key = (marker.task.clone(), marker.kind);
                let numbers = self.forge.remove(&key).map(|filed| filed.number);
                return Some(Completion::Closed {
                    intent,
                    numbers: numbers.into_iter().collect(),
                });
            }
            Request::Issue { .. }
            | Request::SubIssues { .. }
            | Request::Marked { .. }
            | Request::Close { .. } => return None,
        };
        let key = (marker.task.clone(), marker.kind);
        let number = self.forge.len() as u64 + 2;
        let existed = self.forge.contains_key(&key);
        let filed = self.forge.entry(key).or_insert_with(|| Filed {
            number,
            url: format!("forge/{number}.md"),
            existed: false,
        });
        let filed = Filed {
            existed,
            ..filed.clone()
        };
        Some(Completion::Filed { intent, filed })
    }

    pub(super) fn carry_out(&mut self, operation: Operation) -> Completion {
        match operation {
            Operation::Forge { intent, request } => self.ask_forge(intent, &request),
            Operation::Prepare(place) => {
                if self.strikes(self.hostility.git) {
                    let failure = Failure::new(
                        Stage::Parsing,
                        ErrorType::FileConflict,
                        "git worktree add failed: the branch exists",
                    );
                    return Completion::Failed {
                        agent: place.agent,
                        failure,
                    };
                }
                let head = place.base_commit.clone();
                Completion::Prepared { place, head }
            }
            Operation::Inspect { place, .. } => self.inspect(&place),
            Operation::Push { place, .. } => {
                let verified = self
                    .truth
                    .get(&place.agent)
                    .and_then(|truth| truth.verified);
                if self.verifies && verified != Some(true) {
                    let text = format!("{} was pushed unverified", place.branch);
                    self.processes.violations.push(text);
                }
                if self.strikes(self.hostility.git) {
                    let failure = Failure::new(Stage::Pr, ErrorType::ApiError, "git push failed");
                    return Completion::Failed {
                        agent: place.agent,
                        failure,
                    };
                }
                Completion::Pushed {
                    agent: place.agent,
                    branch: place.branch,
                }
            }
            Operation::Clean(place) => {
                let kept = self
                    .strikes(self.hostility.git)
                    .then(|| "the worktree has uncommitted files".to_owned());
                Completion::Cleaned {
                    agent: place.agent,
                    kept,
                }
            }
            Operation::TryMerges { tips, .. } => {
                let mut collisions = Vec::new();
                for pair in tips.windows(2) {
                    if self.strikes(4) {
                        collisions.push(Collision {
                            agent: pair[0].0,
                            other: Some(pair[1].0),
                            paths: vec!["README.md".to_owned()],
                        });
                    }
                }
                Completion::MergesTried(Merges {
                    collisions,
                    problem: None,
                })
            }
        }
    }

    fn inspect(&mut self, place: &Workplace) -> Completion {
        let agent = place.agent;
        if self.strikes(self.hostility.git) {
            let failure = Failure::new(
                Stage::Implementation,
                ErrorType::FileConflict,
                "git commit failed",
            );
            return Completion::Failed { agent, failure };
        }
        let commits = self.truth.entry(agent).or_default().commits;
        let proof = Proof {
            commits,
            files: commits,
            insertions: commits * 10,
            ..Proof::default()
        };
        Completion::Inspected { agent, proof }
    }
}
