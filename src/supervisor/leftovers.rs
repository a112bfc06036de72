//! What a program that died has left behind, and how it is ended.
//!
//! Its watcher does that at once; where the watcher died as well, whoever takes up the program's
//! work does. Only what is in the dead program's control group or belongs to its mark is touched:
//! that names the program's process id, its start time and a number that no other program has.

use std::ffi::OsStr;
use std::time::Duration;

use super::cgroup::Group;
use super::clock;
use super::engine::{Engine, EngineError};
use super::mark::Mark;
use super::scan;

/// How long something that forks while it is killed is followed. The watcher itself is to be gone
/// five seconds after its program.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long is waited between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// How many looks in a row must find nobody: two that are certain, or more where strangers come and
/// go so fast that hardly any is.
const CALM: u32 = 2 * CERTAIN;

/// As how many doubtful looks a certain one counts.
const CERTAIN: u32 = 15;

fn program_lives(mark: &Mark) -> bool {
    let Some((pid, start)) = mark.program() else {
        return false;
    };
    scan::process(pid).is_some_and(|process| !process.dead && process.start == start)
}

/// The mark of this program, as text that can be kept.
pub fn own_mark() -> Result<String, EngineError> {
    Ok(Engine::get()?.mark().to_string())
}

/// What dead programs have left running, by their marks. Nobody is touched.
pub fn find_leftovers(marks: &[&str]) -> Vec<Vec<u32>> {
    let parsed = marks.iter().map(|mark| Mark::parse(OsStr::new(mark)));
    let dead: Vec<_> = parsed
        .map(|mark| mark.filter(|mark| !program_lives(mark)))
        .collect();
    let known: Vec<_> = dead.iter().flatten().cloned().collect();
    if known.is_empty() {
        return vec![Vec::new(); marks.len()];
    }
    let mut found = scan::marked(&known).into_iter();
    let of = |mark: &Option<Mark>| mark.as_ref().and_then(|_| found.next());
    dead.iter().map(of).map(Option::unwrap_or_default).collect()
}

/// Kills everything that carries the mark of a dead program. Returns whether nothing is left.
///
/// A program that lives, this one perhaps, looks after its own; what is no mark has left nothing.
pub fn end_leftovers(mark: &str) -> bool {
    let Some(mark) = Mark::parse(OsStr::new(mark)).filter(|mark| !program_lives(mark)) else {
        return true;
    };
    end(&mark, 0, &Group::left_by(&mark))
}

/// Kills all that live in these control groups or belong to the mark, then removes the groups.
/// Returns whether nobody is left. What started before `since` does not belong to the mark.
pub(super) fn end(mark: &Mark, since: u64, groups: &[Group]) -> bool {
    let deadline = clock::now() + PATIENCE;
    let mut calm = 0;
    let mut hunt = scan::Hunt::default();
    let is_over = loop {
        let in_groups = groups.iter().filter(|group| group.kill()).count();
        let found = hunt.kill(std::slice::from_ref(mark), since);
        let is_alive = in_groups > 0 || found.alive == [true];
        calm = match (is_alive, found.is_certain) {
            (true, _) => 0,
            (false, true) => calm + CERTAIN,
            (false, false) => calm + 1,
        };
        if calm >= CALM || clock::now() >= deadline {
            break !is_alive;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "nothing tells when a stranger's last process is gone"
        )]
        std::thread::sleep(PAUSE);
    };
    groups.iter().for_each(Group::remove);
    is_over
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_lives_only_as_the_process_that_was_started_then() {
        let pid = std::process::id();
        let start = scan::process(pid).unwrap().start;
        assert!(program_lives(&Mark::new(pid, start, 7)));
        // The number was given to another process since.
        assert!(!program_lives(&Mark::new(pid, start + 1, 7)));
    }
}
