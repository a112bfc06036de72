//! What a program that died has left behind.
//!
//! Its watcher ends that within seconds; where the watcher died as well, whoever takes up its
//! work does. Only what carries the dead program's mark is touched: that names the program's
//! process id, its start time and a number that no other program has.

use std::ffi::OsStr;
use std::time::Duration;

use super::clock;
use super::engine::{Engine, EngineError};
use super::mark::Mark;
use super::scan;

/// How long something that forks while it is killed is followed.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long is waited between two looks.
const PAUSE: Duration = Duration::from_millis(20);

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

/// Kills everything that carries the mark of a dead program. Returns whether nothing is left.
///
/// A program that lives, this one perhaps, looks after its own; what is no mark has left nothing.
pub fn end_leftovers(mark: &str) -> bool {
    let Some(mark) = Mark::parse(OsStr::new(mark)).filter(|mark| !program_lives(mark)) else {
        return true;
    };
    let until = clock::now() + PATIENCE;
    let mut hunt = scan::Hunt::default();
    loop {
        let found = hunt.kill(std::slice::from_ref(&mark), 0);
        let is_alive = found.alive == [true];
        if !is_alive && found.is_certain {
            return true;
        }
        if clock::now() >= until {
            return !is_alive;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "nothing tells when a stranger's last process is gone"
        )]
        std::thread::sleep(PAUSE);
    }
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
