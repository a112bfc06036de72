//! Whether the tasks of a plan can run side by side.
//!
//! A dependency aborts, a shared file warns (DESIGN section 5, "Independence").
//!
//! Pure, deterministic, and linear in the number of tasks and of what is reported.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::estimate::{Complexity, Estimate, Pace, complexity, estimate};
use super::footprint::{Tree, Uses, is_folder, last_name};
use super::quote::{MOST_QUOTED, Reason, of_plan, quote};
use super::task::{Dependency, Plan, Target, Task};

/// What follows from a validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The tasks are independent.
    Proceed,
    /// They may get in each other's way.
    Warn,
    /// One waits for another, or for something outside.
    Abort,
}

/// Two tasks that touch the same file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// The task with the lower number.
    pub a: u32,
    /// The other one.
    pub b: u32,
    /// The file or folder.
    pub path: String,
    /// Why it is thought to be shared.
    pub reason: String,
    /// How likely they collide, from 0 to 1.
    pub score: f64,
}

/// The judgement on a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// What follows.
    pub verdict: Verdict,
    /// Who waits for what.
    pub dependencies: Vec<Dependency>,
    /// Which tasks touch the same files. Of more than 32 tasks that share one, only neighbours.
    pub overlaps: Vec<Overlap>,
    /// What people should know before they go on, one line each.
    pub warnings: Vec<String>,
    /// Whose words led to a warning, for those that come from the plan.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// The tasks in groups: each group can run when all before it are done.
    pub waves: Vec<Vec<u32>>,
    /// The tasks in an order in which they can run one after another.
    pub order: Vec<u32>,
    /// Tasks that wait for each other in a circle, if there are any.
    pub cycle: Option<Vec<u32>>,
    /// What the plan costs.
    pub estimate: Estimate,
    /// How much work each task is, in the order of the tasks.
    pub complexity: Vec<Complexity>,
    /// What the machine may lack, one line each; only whoever looks at a machine fills it in.
    #[serde(default)]
    pub resources: Vec<String>,
}

/// Beyond this many tasks that share a path only neighbours are listed as pairs.
const MAX_PAIRED: usize = 32;

/// Judges whether the tasks of `plan` can run side by side. Without a tree the text alone decides.
pub fn validate(plan: &Plan, tree: Option<&Tree>) -> Validation {
    let dependencies: Vec<Dependency> = plan
        .tasks
        .iter()
        .flat_map(|task| task.depends_on.iter().cloned())
        .collect();
    let (overlaps, mut reasons) = overlaps(plan, tree);
    reasons.extend(plan.shared.iter().map(|shared| Reason {
        warning: format!("Tasks {} may share {}", numbers(&shared.tasks), shared.what),
        quotes: vec![of_plan(&shared.words)],
    }));
    let warnings: Vec<_> = reasons
        .iter()
        .map(|reason| reason.warning.clone())
        .collect();
    reasons.retain_mut(|reason| {
        reason.quotes.retain(|quote| !quote.words.is_empty());
        !reason.quotes.is_empty()
    });
    let schedule = schedule(plan, &dependencies);
    let verdict = if !dependencies.is_empty() {
        Verdict::Abort
    } else if !warnings.is_empty() {
        Verdict::Warn
    } else {
        Verdict::Proceed
    };
    Validation {
        verdict,
        dependencies,
        overlaps,
        warnings,
        reasons,
        waves: schedule.waves,
        order: schedule.order,
        cycle: schedule.cycle,
        estimate: estimate(plan, &Pace::default()),
        complexity: plan.tasks.iter().map(complexity).collect(),
        resources: Vec::new(),
    }
}

/// Finds the paths that several tasks name, and the utilities that they are likely to share.
fn overlaps(plan: &Plan, tree: Option<&Tree>) -> (Vec<Overlap>, Vec<Reason>) {
    let mut uses = Uses::new();
    for task in &plan.tasks {
        for path in &task.paths {
            let tasks = uses.entry(meant(path, tree)).or_default();
            if tasks.last() != Some(&task.index) {
                tasks.push(task.index);
            }
        }
    }
    let mut found = Vec::new();
    let mut reasons = Vec::new();
    let mut seen = HashSet::new();
    for (path, users) in &uses {
        let mut all = users.clone();
        for (a, b) in pairs(users) {
            if seen.insert((a, b, path.clone())) {
                found.push(Overlap {
                    a,
                    b,
                    path: path.clone(),
                    reason: "both name it".into(),
                    score: if is_folder(path) { 0.6 } else { 1.0 },
                });
            }
        }
        for folder in folders(path) {
            let Some(owners) = uses.get(folder) else {
                continue;
            };
            let mut count = 0;
            'owners: for &owner in owners {
                for &user in users {
                    if count >= MAX_PAIRED * MAX_PAIRED {
                        break 'owners;
                    }
                    if owner == user {
                        continue;
                    }
                    let (a, b) = (owner.min(user), owner.max(user));
                    if seen.insert((a, b, path.clone())) {
                        count += 1;
                        all.push(owner);
                        found.push(Overlap {
                            a,
                            b,
                            path: path.clone(),
                            reason: format!("one names {folder}, which holds it"),
                            score: 0.8,
                        });
                    }
                }
            }
        }
        all.sort_unstable();
        all.dedup();
        if all.len() > 1 {
            reasons.push(because(
                plan,
                format!("Tasks {} name {path}", numbers(&all)),
                &all,
                |task| named_as(task, path, tree),
            ));
        }
    }
    if let Some(tree) = tree {
        utilities(plan, tree, &mut found, &mut reasons);
    }
    found.sort_by(|x, y| (x.a, x.b, &x.path).cmp(&(y.a, y.b, &y.path)));
    (found, reasons)
}

/// The file or folder that a text means, a folder with its slash.
fn meant(named: &str, tree: Option<&Tree>) -> String {
    let resolved = tree.and_then(|tree| tree.resolve(named).map(|found| (found, tree)));
    match resolved {
        Some((found, tree)) if !tree.is_file(found) => format!("{found}/"),
        Some((found, _)) => found.to_owned(),
        None => named.to_owned(),
    }
}

/// What a task calls a path, or a folder that holds it.
fn named_as<'t>(task: &'t Task, path: &str, tree: Option<&Tree>) -> Option<&'t str> {
    let holds = |named: &&String| {
        let meant = meant(named, tree);
        meant == path || (is_folder(&meant) && path.starts_with(&meant))
    };
    task.paths.iter().find(holds).map(String::as_str)
}

/// A warning with the words of its tasks; `part` is what each says of it.
fn because<'p>(
    plan: &'p Plan,
    warning: String,
    tasks: &[u32],
    part: impl Fn(&'p Task) -> Option<&'p str>,
) -> Reason {
    let tasks = tasks
        .iter()
        .filter_map(|number| plan.tasks.get(*number as usize - 1));
    let quotes = tasks
        .filter_map(|task| Some(quote(task, part(task)?)))
        .take(MOST_QUOTED)
        .collect();
    Reason { warning, quotes }
}

/// The folders above a path, each with its slash.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/')
        .map(|(at, _)| &path[..=at])
        .filter(move |folder| folder.len() < path.len())
}

/// All pairs of a small group, the neighbours of a large one.
fn pairs(users: &[u32]) -> Vec<(u32, u32)> {
    if users.len() > MAX_PAIRED {
        return users.windows(2).map(|pair| (pair[0], pair[1])).collect();
    }
    let mut pairs = Vec::new();
    for (at, &a) in users.iter().enumerate() {
        pairs.extend(users[at + 1..].iter().map(|&b| (a, b)));
    }
    pairs
}

/// Utilities of the repository whose name is a word in the titles of several tasks.
fn utilities(plan: &Plan, tree: &Tree, found: &mut Vec<Overlap>, reasons: &mut Vec<Reason>) {
    let mut by_word: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for task in &plan.tasks {
        let lower = task.title.to_lowercase();
        let words: HashSet<&str> = lower
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|word| word.len() > 2)
            .collect();
        for word in words {
            by_word.entry(word.to_owned()).or_default().push(task.index);
        }
    }
    for path in tree.utilities() {
        let stem = last_name(path)
            .split('.')
            .next()
            .unwrap_or_default()
            .to_lowercase();
        let Some(users) = by_word
            .get(&stem)
            .filter(|users| (2..=MAX_PAIRED).contains(&users.len()))
        else {
            continue;
        };
        for (a, b) in pairs(users) {
            found.push(Overlap {
                a,
                b,
                path: path.to_owned(),
                reason: "both are likely to use it".into(),
                score: 0.3,
            });
        }
        let warning = format!(
            "Tasks {} may share {} utilities",
            numbers(users),
            last_name(path)
        );
        reasons.push(Reason {
            warning,
            quotes: users
                .iter()
                .filter_map(|number| plan.tasks.get(*number as usize - 1))
                .map(|task| quote(task, &stem))
                .take(MOST_QUOTED)
                .collect(),
        });
    }
}

/// Task numbers as people read them: `3-4` where they are contiguous, else `1, 3`.
fn numbers(tasks: &[u32]) -> String {
    let contiguous = tasks.windows(2).all(|pair| pair[1] == pair[0] + 1);
    match tasks {
        [first, .., last] if contiguous => format!("{first}-{last}"),
        _ => tasks.iter().fold(String::new(), |mut out, task| {
            let comma = if out.is_empty() { "" } else { ", " };
            let _ = write!(out, "{comma}{task}");
            out
        }),
    }
}

struct Schedule {
    waves: Vec<Vec<u32>>,
    order: Vec<u32>,
    cycle: Option<Vec<u32>>,
}

/// Orders the tasks by their dependencies, lowest numbers first. A circle is broken at its lowest
/// number, so that every task is scheduled once.
fn schedule(plan: &Plan, dependencies: &[Dependency]) -> Schedule {
    let count = plan.tasks.len();
    let mut waiting = vec![0_usize; count + 1];
    let mut followers: Vec<Vec<u32>> = vec![Vec::new(); count + 1];
    for dependency in dependencies {
        if let Target::Task(to) = dependency.to
            && (1..=count).contains(&(to as usize))
            && (1..=count).contains(&(dependency.from as usize))
        {
            waiting[dependency.from as usize] += 1;
            followers[to as usize].push(dependency.from);
        }
    }
    let last = u32::try_from(count).unwrap_or(u32::MAX);
    let mut level = vec![0_usize; count + 1];
    let mut done = vec![false; count + 1];
    let mut ready: BinaryHeap<Reverse<u32>> = (1..=last)
        .filter(|&task| waiting[task as usize] == 0)
        .map(Reverse)
        .collect();
    let mut order = Vec::with_capacity(count);
    let mut cycle = None;
    let mut next_stuck = 1;
    while order.len() < count {
        let task = if let Some(Reverse(task)) = ready.pop() {
            task
        } else {
            while done[next_stuck as usize] {
                next_stuck += 1;
            }
            if cycle.is_none() {
                cycle = Some(find_cycle(plan, &done, next_stuck));
            }
            next_stuck
        };
        if done[task as usize] {
            continue;
        }
        done[task as usize] = true;
        order.push(task);
        for &follower in &followers[task as usize] {
            let at = follower as usize;
            level[at] = level[at].max(level[task as usize] + 1);
            waiting[at] = waiting[at].saturating_sub(1);
            if waiting[at] == 0 && !done[at] {
                ready.push(Reverse(follower));
            }
        }
    }
    let mut waves: Vec<Vec<u32>> = Vec::new();
    for task in 1..=last {
        let at = level[task as usize];
        if waves.len() <= at {
            waves.resize_with(at + 1, Vec::new);
        }
        waves[at].push(task);
    }
    waves.retain(|wave| !wave.is_empty());
    Schedule {
        waves,
        order,
        cycle,
    }
}

/// Follows unmet dependencies from a stuck task until one comes round again.
fn find_cycle(plan: &Plan, done: &[bool], from: u32) -> Vec<u32> {
    let mut path = vec![from];
    let mut position = BTreeMap::from([(from, 0_usize)]);
    loop {
        let task = path[path.len() - 1];
        let next = plan.tasks[task as usize - 1]
            .depends_on
            .iter()
            .find_map(|dependency| match dependency.to {
                Target::Task(to) if done.get(to as usize) == Some(&false) => Some(to),
                _ => None,
            });
        let Some(next) = next else { return path };
        if let Some(&start) = position.get(&next) {
            return path.split_off(start);
        }
        position.insert(next, path.len());
        path.push(next);
    }
}
