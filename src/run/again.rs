//! Which earlier orchestration is taken up again, and whose a sub-issue is (DESIGN section 8,
//! "Running again").
//!
//! Decides through [`super::resumption`]; reads journals through [`super::earlier`].

use crate::error::{Error, Result};
use crate::forge::github::address::IssueAddress;
use crate::workspace::{Layout, Master};

use super::earlier::{self, Earlier};
use super::options::Options;
use super::resumption::{Rerun, Which};
use super::source::Source;

/// An earlier orchestration that goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct TakenUp {
    /// The orchestration.
    pub earlier: Earlier,
    /// Those of its tasks that run again.
    pub reruns: Vec<Rerun>,
}

/// For a retry SOURCE may be a sub-issue: its master, and the agent that it belongs to.
pub(super) fn whose(layout: &Layout, source: Source) -> (Source, Option<u32>) {
    let is_master = |master| layout.parallel(master).is_dir();
    match &source {
        Source::Local(number) if !is_master(Master::Local(*number)) => {
            match earlier::of_sub_issue(layout, Master::Local(*number)) {
                Some((master, agent)) => (Source::Local(master.number()), Some(agent)),
                None => (source, None),
            }
        }
        Source::Issue(text) => {
            let Ok(address) = IssueAddress::parse(text) else {
                return (source, None);
            };
            let issue = Master::GitHub(address.number);
            if is_master(issue) {
                return (source, None);
            }
            match earlier::of_sub_issue(layout, issue) {
                Some((master, agent)) => {
                    let number = master.number();
                    let text = match address.repository {
                        Some((_, owner, name)) => format!("{owner}/{name}#{number}"),
                        None => number.to_string(),
                    };
                    (Source::Issue(text), Some(agent))
                }
                None => (source, None),
            }
        }
        _ => (source, None),
    }
}

/// The orchestration that is to be taken up again, if one is (DESIGN section 8, "Running again").
pub(super) fn take_up(
    source: &str,
    mut earlier: Vec<Earlier>,
    options: &Options,
    only: Option<u32>,
) -> Result<Option<TakenUp>> {
    let Some(latest) = earlier.pop() else {
        return if options.retry {
            Err(never_run(source))
        } else {
            Ok(None)
        };
    };
    let broken_off = latest.state.is_broken_off();
    if options.retry {
        let which = only.map_or(Which::Failed, Which::Only);
        let reruns = latest.state.reruns(which);
        if reruns.is_empty() && !broken_off {
            let id = &latest.state.start.orchestration;
            return Err(Error::NothingToRetry {
                source_name: source.to_owned(),
                reason: match only {
                    Some(agent) if latest.state.task(agent).is_none() => {
                        format!("Agent-{agent} had no part in {id}, which is the latest")
                    }
                    Some(agent) => format!("Agent-{agent} succeeded in {id}"),
                    None => format!("every task succeeded in {id}"),
                },
            });
        }
        Ok(Some(TakenUp {
            earlier: latest,
            reruns,
        }))
    } else if broken_off && !options.new {
        let reruns = latest.state.reruns(Which::BrokenOff);
        Ok(Some(TakenUp {
            earlier: latest,
            reruns,
        }))
    } else {
        Ok(None)
    }
}

fn never_run(source: &str) -> Error {
    Error::NothingToRetry {
        source_name: source.to_owned(),
        reason: "it was never orchestrated here".to_owned(),
    }
}
