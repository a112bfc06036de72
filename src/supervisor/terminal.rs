//! A terminal as standard input whose questions are answered with empty lines (COMPATIBILITY 1).
//!
//! Touches only the pseudo-terminals it opened.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::{self, LocalModes, OptionalActions};

use super::process::lift;

/// Both ends of a pseudo-terminal. The child's end stays open here as well: it tells whether the
/// last line was read, and keeps the terminal from ending.
#[derive(Debug)]
pub(super) struct Terminal {
    ours: OwnedFd,
    childs: OwnedFd,
    /// How many ticks in a row found the last line unread, up to [`MOST_PASSED_OVER`].
    unread: u8,
    /// How many ticks are still passed over.
    pass_over: u8,
}

/// A child that does not read is looked at on every fourth tick only. It has a line to read
/// already, so it notices nothing.
const MOST_PASSED_OVER: u8 = 3;

impl Terminal {
    pub(super) fn open() -> Result<Self, Errno> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        #[cfg(target_os = "linux")]
        let flags = flags | OpenptFlags::CLOEXEC;
        let ours = lift(rustix::pty::openpt(flags)?)?;
        rustix::io::fcntl_setfd(&ours, rustix::io::FdFlags::CLOEXEC)?;
        rustix::pty::grantpt(&ours)?;
        rustix::pty::unlockpt(&ours)?;
        let childs = lift(open_peer(&ours)?)?;
        // Our lines must not come back to us.
        let mut modes = termios::tcgetattr(&childs)?;
        modes.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(&childs, OptionalActions::Now, &modes)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        Ok(Self {
            ours,
            childs,
            unread: 0,
            pass_over: 0,
        })
    }

    /// The end that the child gets.
    pub(super) fn child_end(&self) -> BorrowedFd<'_> {
        self.childs.as_fd()
    }

    /// Our end, readable when the child wrote to its terminal.
    pub(super) fn our_end(&self) -> BorrowedFd<'_> {
        self.ours.as_fd()
    }

    /// Types one empty line, unless the last one is still unread.
    pub(super) fn tick(&mut self) {
        if self.pass_over > 0 {
            self.pass_over -= 1;
        } else if matches!(rustix::io::ioctl_fionread(&self.childs), Ok(0)) {
            let _ = rustix::io::write(&self.ours, b"\n");
            self.unread = 0;
        } else {
            self.unread = (self.unread + 1).min(MOST_PASSED_OVER);
            self.pass_over = self.unread;
        }
    }

    /// Drops what the child wrote to its terminal, so that it never has to wait for a reader.
    pub(super) fn discard(&self, scratch: &mut [u8]) {
        for _ in 0..16 {
            if !matches!(rustix::io::read(&self.ours, &mut *scratch), Ok(1..)) {
                return;
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn open_peer(ours: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    rustix::pty::ioctl_tiocgptpeer(ours, flags)
}

#[cfg(not(target_os = "linux"))]
fn open_peer(ours: &OwnedFd) -> Result<OwnedFd, Errno> {
    use rustix::fs::{Mode, OFlags};
    let name = rustix::pty::ptsname(ours, Vec::new())?;
    rustix::fs::open(
        &*name,
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}
