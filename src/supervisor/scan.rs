//! Who runs on this machine and belongs to us: a look through `/proc`.
//!
//! A process belongs to a mark when it carries it in its environment, descends from one that
//! does, or is in a session that such a one leads or is in. (Our children lead sessions of their
//! own, so no session of theirs holds a stranger.) Only used when something is ended by force.
//!
//! Reads `/proc`, and kills by pidfd after the identity was verified once more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::time::Duration;

use super::clock;
use super::event::Moment;
use super::mark::{self, Mark};

/// What is known of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) parent: u32,
    pub(super) group: u32,
    pub(super) session: u32,
    /// In clock ticks since the machine started. With the process id it is an identity.
    pub(super) start: u64,
    pub(super) dead: bool,
}

/// Takes apart `/proc/PID/stat` (`proc_pid_stat(5)`). The name in it may hold anything, so the
/// fields are counted from the last closing parenthesis.
fn parse_stat(text: &[u8]) -> Option<Process> {
    let text = String::from_utf8_lossy(text);
    let (pid, rest) = text.split_once(' ')?;
    let mut fields = rest[rest.rfind(')')? + 1..].split_ascii_whitespace();
    let dead = matches!(fields.next()?, "Z" | "X" | "x");
    Some(Process {
        pid: pid.parse().ok()?,
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
        session: fields.next()?.parse().ok()?,
        start: fields.nth(15)?.parse().ok()?,
        dead,
    })
}

/// One process; `None` once it is gone.
pub(super) fn process(pid: u32) -> Option<Process> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The numbers of all processes.
fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// All processes that are not dead.
fn processes() -> Vec<Process> {
    pids()
        .filter_map(process)
        .filter(|process| !process.dead)
        .collect()
}

/// A whole look: it lists again until nobody is new, for who was listed may have forked and died
/// before it was read.
#[derive(Debug, Default)]
struct Look {
    alive: Vec<Process>,
    /// Somebody vanished or died while it was made, and may have left a child that it missed.
    is_doubtful: bool,
}

/// How often a look lists again at most. Where processes are made faster, it is doubtful.
const LISTINGS: usize = 16;

impl Look {
    /// `dead` are those that were known to be dead before; it is brought up to date.
    fn make(dead: &mut BTreeSet<(u32, u64)>) -> Self {
        let mut look = Self::default();
        let mut seen = BTreeSet::new();
        let mut still_dead = BTreeSet::new();
        for listing in 0.. {
            let new: Vec<u32> = pids().filter(|pid| seen.insert(*pid)).collect();
            if new.is_empty() {
                break;
            }
            if listing == LISTINGS {
                look.is_doubtful = true;
                break;
            }
            for pid in new {
                match process(pid) {
                    None => look.is_doubtful = true,
                    Some(process) if process.dead => {
                        look.is_doubtful |= !dead.contains(&(pid, process.start));
                        still_dead.insert((pid, process.start));
                    }
                    Some(process) => look.alive.push(process),
                }
            }
        }
        *dead = still_dead;
        look
    }
}

/// Which process groups have living members. One look serves all that ask at about the same time.
#[derive(Debug, Default)]
pub(super) struct Census {
    groups: BTreeSet<u32>,
    expires: Moment,
}

impl Census {
    /// Whether somebody lived in the group a moment ago. A dead group never comes back to life,
    /// so an old "no" is still true; an old "yes" is asked again later.
    pub(super) fn lives(&mut self, group: u32) -> bool {
        if !cfg!(target_os = "linux") {
            // A group of zombies alone answers EPERM here, and an empty one ESRCH.
            let group = i32::try_from(group)
                .ok()
                .and_then(rustix::process::Pid::from_raw);
            return group
                .is_some_and(|group| rustix::process::test_kill_process_group(group).is_ok());
        }
        let begun = clock::now();
        if begun >= self.expires {
            self.groups = processes().iter().map(|process| process.group).collect();
            let ended = clock::now();
            // A machine full of processes takes a while to look through.
            self.expires = ended + MIN_AGE.max(ended.since(begun) * 4);
        }
        self.groups.contains(&group)
    }
}

/// How long a census is good for, at least.
const MIN_AGE: Duration = Duration::from_millis(8);

/// For every process that belongs to one of the marks, the index of the mark.
fn belonging(
    processes: &[Process],
    mut mark_of: impl FnMut(&Process) -> Option<usize>,
) -> BTreeMap<u32, usize> {
    let mut found = BTreeMap::new();
    let mut sessions = BTreeMap::new();
    for process in processes {
        if let Some(mark) = mark_of(process) {
            found.insert(process.pid, mark);
            sessions.insert(process.session, mark);
        }
    }
    loop {
        let before = found.len();
        for process in processes {
            if found.contains_key(&process.pid) {
                continue;
            }
            // A session that began outside of this process namespace has no number here.
            let session = Some(process.session).filter(|session| *session != 0);
            let owner = found
                .get(&process.parent)
                .or_else(|| sessions.get(&session?));
            if let Some(&mark) = owner {
                found.insert(process.pid, mark);
                sessions.insert(process.session, mark);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// The processes that belong to each of the marks, in one look. Nobody is touched.
pub(super) fn marked(marks: &[Mark]) -> Vec<Vec<u32>> {
    let mut of = vec![Vec::new(); marks.len()];
    let found = belonging(&processes(), |process| {
        let environment = fs::read(format!("/proc/{}/environ", process.pid)).ok()?;
        let value = mark::value_in(&environment)?;
        marks.iter().position(|mark| mark.is_in(value))
    });
    for (pid, mark) in found {
        if pid != std::process::id() {
            of[mark].push(pid);
        }
    }
    of
}

/// Looks for what belongs to marks, again and again, and kills it.
#[derive(Debug, Default)]
pub(super) struct Hunt {
    /// Those that the look before has seen dead and not yet reaped.
    dead: BTreeSet<(u32, u64)>,
}

/// What one look of a [`Hunt`] came to.
#[derive(Debug)]
pub(super) struct Found {
    /// For each mark, whether anything of it was alive. It is killed now.
    pub(super) alive: Vec<bool>,
    /// Nothing can have been missed.
    pub(super) is_certain: bool,
}

impl Hunt {
    /// Kills everything that belongs to the marks.
    ///
    /// One look is not enough where something forks: repeat until a certain one has found nothing.
    /// Processes that started before `since` (clock ticks since the machine started) are passed
    /// over.
    pub(super) fn kill(&mut self, marks: &[Mark], since: u64) -> Found {
        let own = std::process::id();
        let Look {
            alive: mut processes,
            mut is_doubtful,
        } = Look::make(&mut self.dead);
        processes.retain(|process| process.start >= since && process.pid != own);
        let mut environment = Vec::new();
        let found = belonging(&processes, |process| {
            environment.clear();
            let path = format!("/proc/{}/environ", process.pid);
            let read = File::open(path).and_then(|mut file| file.read_to_end(&mut environment));
            if read.is_err_and(|error| error.kind() != std::io::ErrorKind::PermissionDenied) {
                is_doubtful = true;
            }
            let value = mark::value_in(&environment)?;
            marks.iter().position(|mark| mark.is_in(value))
        });
        let mut alive = vec![false; marks.len()];
        for process in &processes {
            if let Some(&mark) = found.get(&process.pid) {
                alive[mark] = true;
                kill(process);
            }
        }
        Found {
            alive,
            is_certain: !is_doubtful,
        }
    }
}

/// One look for what belongs to the marks, which it kills; for each mark, whether anything of it
/// was found.
pub(super) fn kill_marked(marks: &[Mark], since: u64) -> Vec<bool> {
    Hunt::default().kill(marks, since).alive
}

/// Kills exactly this process.
pub(super) fn kill(process: &Process) {
    let is_it = |now: Process| now.start == process.start;
    kill_if(process.pid, || {
        self::process(process.pid).is_some_and(is_it)
    });
}

/// Kills the process that has this number, if it is the one that is meant: it is asked while the
/// process is held, so that a later one with its number is never killed for it.
#[cfg(target_os = "linux")]
pub(super) fn kill_if(pid: u32, is_it: impl FnOnce() -> bool) {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    if is_it() {
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn kill_if(_pid: u32, _is_it: impl FnOnce() -> bool) {}

#[cfg(test)]
mod tests {
    use super::*;

    fn process_of(pid: u32, parent: u32, session: u32) -> Process {
        Process {
            pid,
            parent,
            group: session,
            session,
            start: 0,
            dead: false,
        }
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_is_no_obstacle() {
        let line = b"42 (a) b (c)) S 1 2 3 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 777 0 0";
        let process = parse_stat(line).unwrap();
        assert_eq!((process.pid, process.parent, process.start), (42, 1, 777));
        assert_eq!(
            (process.group, process.session, process.dead),
            (2, 3, false)
        );
    }

    #[test]
    fn this_process_is_found_in_proc() {
        let own = process(std::process::id()).unwrap();
        assert_eq!(own.pid, std::process::id());
        assert!(!own.dead && own.start > 0);
    }

    #[test]
    fn descendants_and_members_of_sessions_belong_though_they_lost_the_mark() {
        let processes = [
            process_of(10, 1, 10),
            process_of(11, 10, 10),
            process_of(12, 11, 12),
            process_of(13, 1, 12),
            process_of(20, 1, 20),
        ];
        let found = belonging(&processes, |process| (process.pid == 10).then_some(0));
        assert_eq!(found.into_keys().collect::<Vec<_>>(), [10, 11, 12, 13]);
    }
}
