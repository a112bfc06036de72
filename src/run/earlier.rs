//! The journals of earlier orchestrations, read back.
//!
//! Reads the runtime folder, and writes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::workspace::{Layout, Master};
use crate::world::real::read_journal;

use super::state::State;
use super::summary::{Summary, TaskStatus};

/// An earlier orchestration.
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    /// Its journal.
    pub journal: PathBuf,
    /// What it came to.
    pub state: State,
    /// The number of its last record.
    pub seq: u64,
    /// How many bytes of the journal are whole lines.
    pub good_bytes: u64,
}

/// The earlier orchestrations of a master, oldest first.
pub fn of_master(layout: &Layout, master: Master) -> Result<Vec<Earlier>> {
    in_folder(&layout.parallel(master))
}

/// The master whose latest orchestration has this sub-issue, and the agent of that.
pub fn of_sub_issue(layout: &Layout, sub_issue: Master) -> Option<(Master, u32)> {
    let mut found = None;
    for folder in folders(&layout.all_parallel()) {
        // A damaged journal of another master is none of this one's trouble.
        for earlier in in_folder(&folder).unwrap_or_default() {
            let state = &earlier.state;
            let is_local = matches!(sub_issue, Master::Local(_));
            if state.start.local != is_local {
                continue;
            }
            let task = state.tasks.iter().find(|task| {
                let issue = task.sub_issue.as_ref();
                issue.is_some_and(|issue| issue.number == sub_issue.number())
            });
            if let Some(task) = task {
                let number = state.start.master.number;
                let master = match sub_issue {
                    Master::Local(_) => Master::Local(number),
                    Master::GitHub(_) => Master::GitHub(number),
                };
                found = found.max(Some((state.wall(0), master, task.spec.agent)));
            }
        }
    }
    found.map(|(_, master, agent)| (master, agent))
}

/// The earlier orchestrations in the folder of one master, oldest first.
pub fn in_folder(folder: &Path) -> Result<Vec<Earlier>> {
    let mut all = Vec::new();
    for journal in files(folder) {
        let read = read_journal(&journal)?;
        if let Some(state) = State::replay(&read.records) {
            all.push(Earlier {
                seq: read.records.last().map_or(0, |record| record.seq),
                good_bytes: read.good_bytes as u64,
                journal,
                state,
            });
        }
    }
    all.sort_by_key(|earlier| earlier.state.wall(0));
    Ok(all)
}

/// What the tasks took, in seconds, that succeeded in the latest orchestration of each master. A
/// summary that cannot be read tells of none.
pub fn durations(layout: &Layout) -> Vec<f64> {
    let folders = folders(&layout.all_parallel());
    let summaries = folders.iter().filter_map(|folder| {
        let text = fs::read(folder.join("summary.json")).ok()?;
        serde_json::from_slice::<Summary>(&text).ok()
    });
    summaries
        .flat_map(|summary| summary.tasks)
        .filter(|task| task.status == TaskStatus::Completed && task.attempts > 0)
        .map(|task| task.duration_seconds)
        .collect()
}

/// The folders of all masters.
pub fn folders(parent: &Path) -> Vec<PathBuf> {
    let mut found = entries(parent);
    found.retain(|path| path.is_dir());
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = entries(folder);
    found.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
    found
}

/// In the order of their names, whatever order the system has; a folder that is not there is
/// empty.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    paths
}
