//! The lock that one run of a master issue holds.
//!
//! Touches one file. The system gives the lock back however the program ends.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::error::{Error, Result};
use crate::world::real::{create_folder, reason};

/// A lock, held while this lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock at `path`, or says who holds it.
    pub fn take(path: &Path) -> Result<Self> {
        let trouble = |error: std::io::Error| Error::File {
            action: "lock",
            path: path.to_owned(),
            reason: reason(&error),
        };
        if let Some(folder) = path.parent() {
            create_folder(folder)?;
        }
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(trouble)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                file.set_len(0).map_err(trouble)?;
                write!(file, "{}", std::process::id()).map_err(trouble)?;
                Ok(Self { _file: file })
            }
            Err(Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // Who holds it is a courtesy; not knowing stops nothing.
                let _ = file.read_to_string(&mut holder);
                let pid = holder.trim().parse().unwrap_or(0);
                Err(Error::Locked {
                    pid,
                    path: path.to_owned(),
                })
            }
            Err(errno) => Err(trouble(errno.into())),
        }
    }
}

/// The process that holds the lock at `path`, seen from outside; 0 where it is not known by number.
///
/// The lock is asked for only where the process that took it last is alive. So a run that is about
/// to take it is not in anybody's way: while its process lives, asking gets nothing.
pub fn holder(path: &Path) -> Option<u32> {
    let text = fs::read_to_string(path).ok()?;
    // Empty for the moment between taking it and saying so.
    let pid: i32 = match text.trim() {
        "" => 0,
        digits => digits.parse().ok()?,
    };
    if Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH)) {
        return None;
    }
    let file = File::open(path).ok()?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => u32::try_from(pid).ok(),
        _ => None,
    }
}
