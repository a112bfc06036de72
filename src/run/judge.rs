//! From an origin to its tasks, and to the answer whether they may run side by side.
//!
//! Reads the repository's tree and asks the forge for issues that tasks name; creates nothing.
//! Decides through [`crate::plan`].

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::forge::{ForgeError, Issue, Reply, Request, State};
use crate::plan::{self, IssueRef, Plan, Target, Tree, Validation, Verdict};
use crate::workspace::{Base, Workspace};

use super::facts::Start;
use super::origin::{Origin, unexpected};
use super::prepare::parse;

/// The tasks, and what is known of them.
pub(super) struct Judged {
    /// The tasks.
    pub(super) plan: Plan,
    /// Whether they may run side by side.
    pub(super) validation: Validation,
    /// The open issues that they adopt, by number.
    pub(super) adopted: BTreeMap<u64, Issue>,
    /// Where agents start from.
    pub(super) base: Base,
}

impl Judged {
    /// Reads the tasks, and judges them.
    pub(super) fn new(
        origin: &Origin,
        source: &str,
        workspace: &Workspace,
        base: Base,
    ) -> Result<Self> {
        let mut plan = read_tasks(origin, source)?;
        let adopted = adopted(origin, &mut plan)?;
        let tree = Tree::new(workspace.tree(&base.commit)?);
        let mut validation = plan::validate(&plan, Some(&tree));
        warn_of_strangers(&mut validation, origin, &adopted);
        refuse_too_many(origin, &plan)?;
        Ok(Self {
            plan,
            validation,
            adopted,
            base,
        })
    }

    /// What was judged when the orchestration began.
    pub(super) fn begun(start: &Start) -> Self {
        let plan = Plan::default();
        Self {
            validation: plan::validate(&plan, None),
            plan,
            adopted: BTreeMap::new(),
            base: Base {
                name: start.base.clone(),
                commit: start.base_commit.clone(),
            },
        }
    }
}

/// The tasks of the text, and those that are sub-issues of the master already.
fn read_tasks(origin: &Origin, source: &str) -> Result<Plan> {
    let foreign: Vec<_> = origin.foreign_sub_issues().collect();
    let mut plan = match (parse(&origin.text, Some(source)), &origin.master) {
        (Ok(plan), _) => plan,
        (Err(_), Some(master)) if !foreign.is_empty() => {
            Plan::of_issues(&master.title, &master.body)
        }
        (Err(error), _) => return Err(error),
    };
    own_references(origin, &mut plan);
    once_each(origin, &mut plan)?;
    plan.adopt(
        foreign
            .iter()
            .map(|issue| (issue.number, &*issue.title, &*issue.body)),
    );
    Ok(plan)
}

/// A master is no task of its own, and an issue that is named twice is one task.
fn once_each(origin: &Origin, plan: &mut Plan) -> Result<()> {
    let mut seen = BTreeMap::new();
    for task in &plan.tasks {
        let Some(issue) = &task.adopts else { continue };
        let refuse = |reason: String| Error::CannotAdopt {
            task: task.index,
            reason,
        };
        if let Some(master) = &origin.master
            && issue.repository.is_none()
            && issue.number == master.number
        {
            return Err(refuse(format!("{issue} is the master issue itself")));
        }
        if let Some(before) = seen.insert(issue.clone(), task.index) {
            return Err(refuse(format!("{issue} is task {before} already")));
        }
    }
    Ok(())
}

/// `octo/shop#12` in an issue of octo/shop is #12.
fn own_references(origin: &Origin, plan: &mut Plan) {
    let Some(remote) = &origin.remote else { return };
    let own = remote.repository.to_string();
    let shorten = |issue: &mut IssueRef| {
        let named = issue.repository.as_deref();
        if named.is_some_and(|named| named.eq_ignore_ascii_case(&own)) {
            issue.repository = None;
        }
    };
    for task in &mut plan.tasks {
        task.adopts.iter_mut().for_each(shorten);
        for dependency in &mut task.depends_on {
            if let Target::Issue(issue) = &mut dependency.to {
                shorten(issue);
            }
        }
    }
}

/// The open issues that tasks adopt, by number. Closed ones count as done, and nobody waits for
/// them.
fn adopted(origin: &Origin, plan: &mut Plan) -> Result<BTreeMap<u64, Issue>> {
    let mut open = BTreeMap::new();
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
        match look_up(origin, reference.number)? {
            Some(issue) if issue.state == State::Open => {
                open.insert(reference.number, issue);
            }
            Some(_) => {}
            None => {
                let forge = origin.remote.as_ref().map_or_else(
                    || "the local forge".to_owned(),
                    |remote| remote.repository.to_string(),
                );
                return Err(refuse(format!("{reference} is no issue of {forge}")));
            }
        }
    }
    for task in &mut plan.tasks {
        let waits = std::mem::take(&mut task.depends_on);
        for dependency in waits {
            let is_closed = match &dependency.to {
                Target::Issue(issue) if issue.repository.is_none() => {
                    look_up(origin, issue.number)?.is_some_and(|issue| issue.state != State::Open)
                }
                _ => false,
            };
            if !is_closed {
                task.depends_on.push(dependency);
            }
        }
    }
    Ok(open)
}

/// An issue of the master's forge, asked for only where it is not known.
fn look_up(origin: &Origin, number: u64) -> Result<Option<Issue>> {
    let known = origin.sub_issues.iter().chain(&origin.master);
    if let Some(issue) = known.into_iter().find(|issue| issue.number == number) {
        return Ok(Some(issue.clone()));
    }
    match origin.forge.perform(&Request::Issue { number }) {
        Ok(Reply::Issue(issue)) => Ok(Some(issue)),
        Ok(other) => Err(unexpected(&other)),
        Err(ForgeError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What somebody wrote who may not write to the repository is not to be run unseen.
fn warn_of_strangers(validation: &mut Validation, origin: &Origin, adopted: &BTreeMap<u64, Issue>) {
    let Some(remote) = &origin.remote else { return };
    for issue in origin.master.iter().chain(adopted.values()) {
        if let Some(stranger) = &issue.stranger {
            validation.warnings.push(format!(
                "issue #{} was written by {stranger}, who may not write to {}",
                issue.number, remote.repository
            ));
            if validation.verdict == Verdict::Proceed {
                validation.verdict = Verdict::Warn;
            }
        }
    }
}

/// GitHub links so many sub-issues to one issue, and no more.
const MOST_SUB_ISSUES: usize = 100;

fn refuse_too_many(origin: &Origin, plan: &Plan) -> Result<()> {
    if origin.remote.is_none() {
        return Ok(());
    }
    let linked = origin.sub_issues.len();
    let is_linked = |number| origin.sub_issues.iter().any(|issue| issue.number == number);
    let ours = origin.sub_issues.iter().filter_map(|issue| {
        let marker = issue.marker.as_ref()?;
        marker.task.as_deref()
    });
    let ours: Vec<_> = ours.collect();
    let new = plan.tasks.iter().filter(|task| match &task.adopts {
        Some(issue) => !is_linked(issue.number),
        None => !ours.contains(&&*plan::key(&task.title, task.occurrence)),
    });
    let total = linked + new.count();
    if total > MOST_SUB_ISSUES {
        return Err(Error::TooManySubIssues {
            total,
            most: MOST_SUB_ISSUES,
        });
    }
    Ok(())
}
