//! Starting and signalling processes: the only place that does either, and the only one of the
//! crate's own with unsafe code (the bindings to Python have a signal handler).
//!
//! A child is started by `posix_spawn`, or inside a control group by [`clone`], leads a session of its own, gets three descriptors and
//! none of the parent's others, an empty signal mask, and the default action for the signals that
//! interpreters ignore. It is signalled only through its pidfd, or by number while it is unreaped,
//! so that no signal ever reaches a process that was given its number later.
//!
//! Never waits for a child that is not ours, and never waits at all but with `WNOHANG`.
#![expect(
    unsafe_code,
    reason = "posix_spawn, clone3 and group signals through a pidfd have no safe API"
)]

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod clone;
mod spawn;

use std::ffi::{CString, c_char};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::OnceLock;

use memmap2::Mmap;
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions};

use super::command::Command;
use super::event::{Exit, Signal};

/// A child process, and what is known about its end.
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    /// Readable when the child is dead. `None` where the system has no such thing.
    pidfd: Option<OwnedFd>,
    /// Whether its group can be reached through the pidfd.
    has_group_signals: bool,
    exit: Option<Exit>,
    reaped: bool,
}

/// What to send to a group.
#[derive(Debug, Clone, Copy)]
pub(super) enum GroupSignal {
    /// Nothing; only look whether somebody is there.
    Probe,
    Interrupt,
    Terminate,
    Kill,
}

impl GroupSignal {
    const fn number(self) -> i32 {
        match self {
            Self::Probe => 0,
            Self::Interrupt => libc::SIGINT,
            Self::Terminate => libc::SIGTERM,
            Self::Kill => libc::SIGKILL,
        }
    }
}

impl From<Signal> for GroupSignal {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt => Self::Interrupt,
            Signal::Terminate => Self::Terminate,
        }
    }
}

impl Child {
    /// Starts a command with these three descriptors as its standard input, output and error.
    ///
    /// The descriptors must be above 2 ([`lift`]), or placing one would overwrite another. Where
    /// the system starts nothing in the group, the child is started outside.
    pub(super) fn spawn(
        command: &Command,
        stdio: [BorrowedFd<'_>; 3],
        group: Option<BorrowedFd<'_>>,
    ) -> Result<Self, Errno> {
        let inside = group.and_then(|group| clone::spawn(command, stdio, group));
        let pid = inside.unwrap_or_else(|| spawn::spawn(command, stdio))?;
        let pidfd = pidfd_of(pid);
        Ok(Self {
            pid,
            has_group_signals: pidfd.as_ref().is_some_and(has_group_signals),
            pidfd,
            exit: None,
            reaped: false,
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The descriptor that becomes readable when the child is dead.
    pub(super) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// How the child ended; `None` while it lives.
    ///
    /// Where groups can be reached through the pidfd the child is reaped here and now, since the
    /// pidfd keeps its group apart from any later one. Elsewhere it stays a zombie until
    /// [`Child::release`], so that its number stays taken.
    pub(super) fn try_exit(&mut self) -> Option<Exit> {
        if self.exit.is_none() {
            let mut options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            let keep = !self.has_group_signals;
            options.set(WaitIdOptions::NOWAIT, keep);
            match rustix::process::waitid(self.wait_id(), options) {
                Ok(None) | Err(Errno::INTR) => {}
                Ok(Some(status)) => {
                    self.reaped = !keep;
                    self.exit = Some(match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => Exit::Code(code),
                        (None, signal) => Exit::Signal(signal.unwrap_or(libc::SIGKILL)),
                    });
                }
                // Somebody else took the exit status: the program waits for any child, or ignores
                // SIGCHLD.
                Err(_) => {
                    self.reaped = true;
                    let kept = self
                        .pidfd
                        .as_ref()
                        .and_then(|pidfd| pidfd_exit(pidfd.as_fd()));
                    self.exit = Some(kept.unwrap_or(Exit::Code(-1)));
                }
            }
        }
        self.exit
    }

    /// Sends to the child's whole group; false where nobody is left in it. A dead child that was
    /// not reaped yet counts as somebody.
    pub(super) fn signal_group(&self, signal: GroupSignal) -> bool {
        if let Some(pidfd) = self.pidfd.as_ref().filter(|_| self.has_group_signals) {
            return pidfd_signal_group(pidfd.as_fd(), signal) != Err(Errno::SRCH);
        }
        // The program may wait for any child, and reap this one before anybody here noticed.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if self.reaped || rustix::process::waitid(self.wait_id(), look).is_err() {
            return false;
        }
        // SAFETY: kill touches no memory. The number is ours while the child is unreaped.
        unsafe { libc::kill(-self.pid.as_raw_nonzero().get(), signal.number()) == 0 }
    }

    /// Whether it is certain that the child is dead and its group has nobody else in it.
    ///
    /// False where somebody is there, where only dead processes are that nobody reaped yet, and
    /// where the system cannot tell; then [`super::scan::Census`] knows.
    pub(super) fn is_surely_alone(&self) -> bool {
        self.exit.is_some() && self.reaped && !self.signal_group(GroupSignal::Probe)
    }

    /// Gives the child's number back to the system. Nothing is signalled afterwards.
    pub(super) fn release(&mut self) {
        if self.exit.is_some() && !self.reaped {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            let _ = rustix::process::waitid(self.wait_id(), options);
            self.reaped = true;
        }
    }

    fn wait_id(&self) -> WaitId<'_> {
        #[cfg(target_os = "linux")]
        if let Some(pidfd) = &self.pidfd {
            return WaitId::PidFd(pidfd.as_fd());
        }
        WaitId::Pid(self.pid)
    }
}

#[cfg(target_os = "linux")]
fn pidfd_of(pid: Pid) -> Option<OwnedFd> {
    #[cfg(test)]
    if tests::PRETEND_NO_PIDFDS.load(std::sync::atomic::Ordering::Relaxed) {
        return None;
    }
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()?;
    lift(pidfd).ok()
}

#[cfg(not(target_os = "linux"))]
fn pidfd_of(_pid: Pid) -> Option<OwnedFd> {
    None
}

fn has_group_signals(pidfd: &OwnedFd) -> bool {
    static SUPPORTED: OnceLock<bool> = OnceLock::new();
    #[cfg(test)]
    if tests::PRETEND_NO_GROUPS.load(std::sync::atomic::Ordering::Relaxed) {
        return false;
    }
    *SUPPORTED
        .get_or_init(|| pidfd_signal_group(pidfd.as_fd(), GroupSignal::Probe) != Err(Errno::INVAL))
}

/// `pidfd_send_signal` with `PIDFD_SIGNAL_PROCESS_GROUP` (Linux 6.9; EINVAL before).
#[cfg(target_os = "linux")]
fn pidfd_signal_group(pidfd: BorrowedFd<'_>, signal: GroupSignal) -> Result<(), Errno> {
    const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 1 << 2;
    // SAFETY: the descriptor is open, and no siginfo is passed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal.number(),
            ptr::null::<libc::siginfo_t>(),
            PIDFD_SIGNAL_PROCESS_GROUP,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(last_errno())
    }
}

#[cfg(not(target_os = "linux"))]
fn pidfd_signal_group(_pidfd: BorrowedFd<'_>, _signal: GroupSignal) -> Result<(), Errno> {
    Err(Errno::INVAL)
}

/// How a child ended that is reaped already, from what the system keeps for its pidfd (Linux 6.15).
#[cfg(target_os = "linux")]
fn pidfd_exit(pidfd: BorrowedFd<'_>) -> Option<Exit> {
    /// `struct pidfd_info` in its first version, with the fields in between left out.
    #[repr(C)]
    struct Info {
        mask: u64,
        others: [u32; 13],
        exit_code: i32,
    }
    const PIDFD_INFO_EXIT: u64 = 1 << 3;
    const PIDFD_GET_INFO: rustix::ioctl::Opcode =
        rustix::ioctl::opcode::read_write::<Info>(0xff, 11);
    let mut info = Info {
        mask: PIDFD_INFO_EXIT,
        others: [0; 13],
        exit_code: 0,
    };
    // SAFETY: the structure has the layout and the size that the request tells the kernel.
    unsafe {
        let request = rustix::ioctl::Updater::<PIDFD_GET_INFO, Info>::new(&mut info);
        rustix::ioctl::ioctl(pidfd, request).ok()?;
    }
    if info.mask & PIDFD_INFO_EXIT == 0 {
        return None;
    }
    let status = info.exit_code;
    Some(if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    })
}

#[cfg(not(target_os = "linux"))]
fn pidfd_exit(_pidfd: BorrowedFd<'_>) -> Option<Exit> {
    None
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// The same open file under a number above 2. A program that closed its own standard streams is
/// handed such low numbers for pipes.
pub(super) fn lift(descriptor: OwnedFd) -> Result<OwnedFd, Errno> {
    if descriptor.as_raw_fd() > 2 {
        return Ok(descriptor);
    }
    rustix::io::fcntl_dupfd_cloexec(&descriptor, 3)
}

/// Maps a temporary file of ours for reading.
pub(super) fn map_private(file: &File) -> io::Result<Mmap> {
    // SAFETY: the file has no name and no other user, so nobody can change or shorten it.
    unsafe { Mmap::map(file) }
}

/// Blocks every signal in this thread, so that handlers run in the program's own threads.
pub(super) fn block_signals() {
    let mut all = MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the set before it is used.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut());
    }
}

/// Goes on in a child of this process while this process ends, so that whoever started it has no
/// child that never ends. Only for a program with a single thread.
pub(super) fn detach() -> io::Result<()> {
    // SAFETY: the caller has one thread, so the child finds no lock held by another.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(()),
        // SAFETY: _exit runs nothing of this process that the child will run again.
        _ => unsafe { libc::_exit(0) },
    }
}

fn pointers(strings: &[CString]) -> Vec<*mut c_char> {
    let pointers = strings.iter().map(|string| string.as_ptr().cast_mut());
    pointers.chain([ptr::null_mut()]).collect()
}

/// Whether children can be started in a control group.
pub(super) fn can_start_in(group: &OwnedFd) -> bool {
    clone::is_possible(group.as_fd())
}

/// Where nobody has tried `clone3`, no child is started in a group.
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
mod clone {
    use super::{BorrowedFd, Command, Errno, Pid};

    pub(super) fn spawn(
        _command: &Command,
        _stdio: [BorrowedFd<'_>; 3],
        _group: BorrowedFd<'_>,
    ) -> Option<Result<Pid, Errno>> {
        None
    }

    pub(super) fn is_possible(_group: BorrowedFd<'_>) -> bool {
        false
    }
}

#[cfg(test)]
mod recycled;
#[cfg(test)]
mod tests;
