//! What carrying out an intent means: the operation or the unit that it stands for.
//!
//! Pure: a function of the state and of the [`Site`], which knows the places and the agent.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::agent::environment::{Assignment, Environment, ask_for_todos, set};
use crate::agent::prompt::{Brief, prompt};
use crate::agent::{Agent, Invocation, Session};
use crate::forge::{
    Changes, CloseReason, Marker, MarkerKind, NewComment, NewIssue, NewPull, Request,
};
use crate::report::diagnostic::Diagnostic;
use crate::report::issue::{DIAGNOSTIC_LABELS, Pull, SUB_ISSUE_LABELS, SubIssue};
use crate::report::redact::Redactor;
use crate::report::summary;
use crate::supervisor::{Capture, Limits, Stdin, UnitSpec};
use crate::workspace::{AGENT_STATUS_FILE, Layout, Master};
use crate::world::{Operation, Workplace};

use super::facts::Role;
use super::record::{Body, Intent};
use super::state::{State, Task};

/// Where an orchestration works, and with which agent.
#[derive(Debug)]
pub struct Site {
    layout: Layout,
    master: Master,
    agent: Agent,
    environment: Environment,
    redactor: Redactor,
}

/// How an intent is carried out.
#[derive(Debug)]
pub enum Step {
    /// By an operation of the world.
    Operation(Box<Operation>),
    /// By a supervised unit, for an agent's task.
    Unit(Role, u32, Box<UnitSpec>),
    /// By writing the summary files.
    Summary,
}

impl Step {
    fn operation(operation: Operation) -> Self {
        Self::Operation(Box::new(operation))
    }
}

impl Site {
    /// A site; `environment` is what agents, setup and verify commands start from.
    pub const fn new(
        layout: Layout,
        master: Master,
        agent: Agent,
        environment: Environment,
        redactor: Redactor,
    ) -> Self {
        Self {
            layout,
            master,
            agent,
            environment,
            redactor,
        }
    }

    /// Whether the agent can be given a session id to resume by.
    pub fn takes_session(&self) -> bool {
        self.agent.takes_session()
    }

    /// Whether the agent streams what it does.
    pub fn streams(&self) -> bool {
        self.agent.streams()
    }

    /// A record without the secrets in what git, agents and the forge have said. What the user
    /// wrote, the plan above all, stays as it is.
    pub fn redact_record(&self, body: Body) -> Body {
        let is_ours = matches!(
            body,
            Body::PlanParsed { .. }
                | Body::Validated { .. }
                | Body::Started(_)
                | Body::Resumed(_)
                | Body::Intended { .. }
                | Body::SubIssueFiled { .. }
                | Body::BatchStarted { .. }
                | Body::AgentUsed { .. }
                | Body::ForgeAllowance { .. }
                | Body::Finished { .. }
        );
        if is_ours {
            return body;
        }
        let Ok(mut value) = serde_json::to_value(&body) else {
            return body;
        };
        if !self.redact_texts(&mut value) {
            return body;
        }
        // The same shape with other texts is the same kind of record.
        serde_json::from_value(value).unwrap_or(body)
    }

    /// Whether there was anything to take out.
    fn redact_texts(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => {
                let clean = self.redactor.text(text);
                let differs = clean != *text;
                *text = clean;
                differs
            }
            Value::Array(values) => values
                .iter_mut()
                .fold(false, |found, value| self.redact_texts(value) | found),
            Value::Object(fields) => fields
                .values_mut()
                .fold(false, |found, value| self.redact_texts(value) | found),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// A text of an agent without its secrets.
    pub fn redact(&self, text: &str) -> String {
        self.redactor.text(text)
    }

    /// The status file of an agent.
    pub fn status_path(&self, agent: u32) -> PathBuf {
        self.layout.status_file(self.master, agent)
    }

    /// The summary for people and the one for programs.
    pub fn summary_files(&self, state: &State) -> [(PathBuf, String); 2] {
        let summary = state.summary();
        let json = serde_json::to_string_pretty(&summary).unwrap_or_default() + "\n";
        [
            (
                self.layout.summary_markdown(self.master),
                summary::markdown(&summary, &state.timeline()),
            ),
            (self.layout.summary_json(self.master), json),
        ]
    }

    /// How an intent is carried out; `None` where the state has not what it takes, which is a bug.
    pub fn step(&self, state: &State, intent: Intent) -> Option<Step> {
        let task = match intent.agent() {
            Some(agent) => Some(state.task(agent)?),
            None => None,
        };
        Some(match (intent, task) {
            (Intent::FileSubIssue { .. }, Some(task)) => {
                Step::operation(forge(intent, Self::file_sub_issue(state, task)))
            }
            (Intent::Prepare { agent }, Some(task)) => {
                let branch = self.master.branch(task.sub_issue.as_ref()?.number, agent);
                Step::operation(Operation::Prepare(Workplace {
                    agent,
                    path: self.layout.worktree(&branch),
                    branch,
                    base_commit: state.start.base_commit.clone(),
                }))
            }
            (Intent::Setup { agent }, Some(task)) => {
                let command = state.start.settings.setup.as_deref()?;
                Step::Unit(
                    Role::Setup,
                    agent,
                    Box::new(self.shell(state, task, command)?),
                )
            }
            (Intent::StartAgent { agent, .. }, Some(task)) => {
                Step::Unit(Role::Agent, agent, Box::new(self.start(state, task)?))
            }
            (Intent::Inspect { .. }, Some(task)) => Step::operation(Operation::Inspect {
                place: place(state, task)?,
                subject: task.spec.title.clone(),
            }),
            (Intent::Verify { agent }, Some(task)) => {
                let command = state.start.settings.verify.as_deref()?;
                Step::Unit(
                    Role::Verify,
                    agent,
                    Box::new(self.shell(state, task, command)?),
                )
            }
            (Intent::Push { .. }, Some(task)) => Step::operation(Operation::Push {
                place: place(state, task)?,
                commit: task.proof.as_ref()?.head.clone(),
                remote: state.start.remote.clone()?,
            }),
            (Intent::OpenPull { .. }, Some(task)) => {
                Step::operation(forge(intent, Self::open_pull(state, task)?))
            }
            (Intent::FileDiagnostic { agent }, Some(task)) => {
                let request = diagnostic(state, task, |found| {
                    Request::CreateIssue(NewIssue {
                        marker: marker(state, task, MarkerKind::Diagnostic),
                        title: found.title(),
                        body: found.body(&self.redactor),
                        labels: DIAGNOSTIC_LABELS.map(str::to_owned).into(),
                        parent: None,
                    })
                });
                debug_assert_eq!(agent, task.spec.agent);
                Step::operation(forge(intent, request?))
            }
            (Intent::CloseDiagnostic { .. }, Some(task)) => Step::operation(forge(
                intent,
                Request::CloseMarked {
                    marker: marker(state, task, MarkerKind::Diagnostic),
                    why: CloseReason::Completed,
                },
            )),
            (Intent::Clean { .. }, Some(task)) => {
                Step::operation(Operation::Clean(place(state, task)?))
            }
            (Intent::TryMerges, None) => Step::operation(Operation::TryMerges {
                start: state.start.base_commit.clone(),
                base: base_reference(state),
                tips: tips(state),
            }),
            (Intent::WriteSummary, None) => Step::Summary,
            (Intent::PostComment, None) => Step::operation(forge(
                intent,
                Request::Comment(NewComment {
                    issue: state.start.master.number,
                    marker: Marker::whole(master(state), MarkerKind::Summary),
                    body: summary::comment(&state.summary(), &state.timeline()),
                }),
            )),
            _ => return None,
        })
    }

    /// The title of a task's sub-issue.
    pub fn sub_issue_title(&self, state: &State, agent: u32) -> String {
        state
            .task(agent)
            .map_or_else(String::new, |task| match task.spec.adopts {
                Some(_) => task.spec.title.clone(),
                None => sub_issue(state, task).title(),
            })
    }

    /// The title of a failed task's diagnostic issue.
    pub fn diagnostic_title(&self, state: &State, agent: u32) -> String {
        state
            .task(agent)
            .and_then(|task| {
                #[expect(
                    clippy::redundant_closure_for_method_calls,
                    reason = "the path is not general enough over lifetimes"
                )]
                diagnostic(state, task, |found| found.title())
            })
            .unwrap_or_default()
    }

    fn file_sub_issue(state: &State, task: &Task) -> Request {
        let marker = marker(state, task, MarkerKind::SubIssue);
        let labels = SUB_ISSUE_LABELS.map(str::to_owned).into();
        let parent = Some(state.start.master.number);
        if let Some(number) = task.spec.adopts {
            return Request::Adopt {
                number,
                marker,
                labels,
                parent,
            };
        }
        let issue = sub_issue(state, task);
        Request::CreateIssue(NewIssue {
            marker,
            title: issue.title(),
            body: issue.body(),
            labels,
            parent,
        })
    }

    fn open_pull(state: &State, task: &Task) -> Option<Request> {
        let proof = task.proof.as_ref()?;
        let branch = task.branch.as_deref()?;
        let pull = Pull {
            master: state.start.master.number,
            sub_issue: task.sub_issue.as_ref()?.number,
            title: &task.spec.title,
            branch,
            base: &state.start.base,
            commits: proof.commits,
            insertions: proof.insertions,
            deletions: proof.deletions,
            file_count: proof.files,
            files: &proof.paths,
            verified_by: state.start.settings.verify.as_deref(),
            agent: task.spec.agent,
            orchestration: &state.start.orchestration,
        };
        Some(Request::CreatePull(NewPull {
            marker: marker(state, task, MarkerKind::Pull),
            title: pull.title(),
            body: pull.body(),
            head: branch.to_owned(),
            base: state.start.base.clone(),
            commit: proof.head.clone(),
            draft: state.start.settings.draft,
            changes: Changes {
                files: proof.files,
                insertions: proof.insertions,
                deletions: proof.deletions,
            },
        }))
    }

    fn start(&self, state: &State, task: &Task) -> Option<UnitSpec> {
        let worktree = task.worktree.as_deref()?;
        let status_file = status_file(worktree);
        let text = prompt(&Brief {
            title: &task.spec.title,
            description: &task.spec.description,
            acceptance: &task.spec.acceptance,
            master_title: &state.start.title,
            context: &state.start.opening,
            branch: task.branch.as_deref()?,
            working_dir: worktree,
            status_file: &status_file,
            verify: state.start.settings.verify.as_deref(),
            resumes: task.resumes,
            previous: task
                .previous
                .as_ref()
                .map(|previous| (&*previous.error, &*previous.excerpt)),
        });
        let session = task.session.as_deref().map(|id| {
            if task.resumes {
                Session::Resume(id)
            } else {
                Session::New(id)
            }
        });
        let Invocation {
            program,
            args,
            stdin,
        } = self.agent.invocation(&text, session);
        let mut spec = self.unit(state, task, program, args, Stdin::Bytes(stdin))?;
        if self.agent.streams()
            && let Some(environment) = &mut spec.env
        {
            ask_for_todos(environment);
        }
        Some(spec)
    }

    fn shell(&self, state: &State, task: &Task, command: &str) -> Option<UnitSpec> {
        let args = vec!["-c".into(), command.into()];
        self.unit(state, task, "sh".into(), args, Stdin::Null)
    }

    fn unit(
        &self,
        state: &State,
        task: &Task,
        program: OsString,
        args: Vec<OsString>,
        stdin: Stdin,
    ) -> Option<UnitSpec> {
        let worktree = task.worktree.as_deref()?;
        let timeout = state.start.settings.timeout;
        let mut environment = self.environment.clone();
        Assignment {
            agent: task.spec.agent,
            master: state.start.master.number,
            sub_issue: task.sub_issue.as_ref().map(|issue| issue.number),
            branch: task.branch.as_deref()?,
            working_dir: worktree,
            status_file: &status_file(worktree),
            timeout,
            orchestration: &state.start.orchestration,
        }
        .apply(&mut environment);
        // A shell's own idea of where it is, inherited, would point at the user's checkout.
        set(&mut environment, "PWD", worktree);
        Some(UnitSpec {
            env: Some(environment),
            working_dir: Some(worktree.into()),
            stdin,
            limits: Limits {
                timeout: timeout.map(Duration::from_secs_f64),
                ..Limits::default()
            },
            capture: Capture {
                mirror: true,
                ..Capture::default()
            },
            ..UnitSpec::new(program).args(args)
        })
    }

    /// A site of which nothing exists.
    #[cfg(test)]
    pub(crate) fn for_simulation(start: &super::facts::Start) -> Self {
        let layout = Layout::beside(std::path::Path::new("/sim/repository"));
        let agent = Some(&*start.settings.agent);
        let agent = Agent::resolve(agent, None, None, None, None).unwrap();
        let master = Master::Local(start.master.number);
        Self::new(layout, master, agent, Vec::new(), Redactor::default())
    }
}

fn diagnostic<T>(
    state: &State,
    task: &Task,
    use_it: impl FnOnce(&Diagnostic<'_>) -> T,
) -> Option<T> {
    let sub_issue = task.sub_issue.as_ref().map(|issue| issue.number);
    let error = task.failure.as_ref()?.error;
    let earlier: Vec<_> = state
        .tasks
        .iter()
        .filter(|other| {
            other
                .failure
                .as_ref()
                .is_some_and(|failure| failure.error == error)
        })
        .filter_map(|other| other.diagnostic.as_ref().map(|issue| issue.number))
        .collect();
    let log_path = format!("{}/agent-{}.log", state.start.logs, task.spec.agent);
    let retry = summary::retry_command(&state.summary(), sub_issue);
    Some(use_it(&Diagnostic {
        master: state.start.master.number,
        sub_issue,
        title: &task.spec.title,
        agent: task.spec.agent,
        attempt: task.attempts,
        seconds: task.seconds(state.at),
        failure: task.failure.as_ref()?,
        log: task.excerpt.as_deref().unwrap_or_default(),
        log_path: &log_path,
        worktree: task.worktree.as_deref(),
        branch: task.branch.as_deref(),
        earlier: &earlier,
        retry: &retry,
    }))
}

fn forge(intent: Intent, request: Request) -> Operation {
    Operation::Forge { intent, request }
}

fn sub_issue<'a>(state: &'a State, task: &'a Task) -> SubIssue<'a> {
    SubIssue {
        master: state.start.master.number,
        number: task.spec.agent,
        title: &task.spec.title,
        description: &task.spec.description,
        acceptance: &task.spec.acceptance,
        opening: &state.start.opening,
    }
}

fn marker(state: &State, task: &Task, kind: MarkerKind) -> Marker {
    Marker::task(master(state), task.spec.key.clone(), kind)
}

fn master(state: &State) -> String {
    state.start.master.number.to_string()
}

fn place(state: &State, task: &Task) -> Option<Workplace> {
    Some(Workplace {
        agent: task.spec.agent,
        path: task.worktree.as_deref()?.into(),
        branch: task.branch.clone()?,
        base_commit: state.start.base_commit.clone(),
    })
}

/// Where the base is now, as far as this clone knows.
fn base_reference(state: &State) -> String {
    let base = &state.start.base;
    match &state.start.remote {
        Some(remote) => format!("refs/remotes/{remote}/{base}"),
        None => format!("refs/heads/{base}"),
    }
}

/// The commits that are to be merged, by agent.
fn tips(state: &State) -> Vec<(u32, String)> {
    let done = state.tasks.iter().filter(|task| task.succeeded());
    done.filter_map(|task| Some((task.spec.agent, task.proof.as_ref()?.head.clone())))
        .collect()
}

fn status_file(worktree: &str) -> String {
    format!("{worktree}/{AGENT_STATUS_FILE}")
}
