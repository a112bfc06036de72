//! Containment: when the program dies, everything that it started dies with it.
//!
//! One small process watches the program through a pidfd. It is a program of its own (executed,
//! never merely forked), in a session of its own, and holds no descriptor of the program, so that
//! nothing that ends the program, its whole process group included, ends the watcher. While the
//! program lives it sleeps.
//!
//! Kills only what is in the dead program's control group, carries its mark, descends from such a
//! process, or shares a session with one ([`super::leftovers`]).

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::cgroup::{Group, UnitGroup};
use super::command::{self, Command};
use super::event::{Exit, SpawnError};
use super::mark::Mark;
use super::process::{self, Child};
use super::spec::UnitSpec;
use super::{leftovers, scan, unit};

/// Names the watcher's executable, for hosts that keep it somewhere else.
const VARIABLE: &str = "ORCHESTRATION_WATCHER";

/// The watcher's executable beside the program's own.
const NAME: &str = "orchestration-watcher";

/// Set to `marks`, it makes the engine do without control groups.
const REACH_VARIABLE: &str = "ORCHESTRATION_CONTAINMENT";

static COMMAND: OnceLock<Vec<OsString>> = OnceLock::new();

pub(super) fn set_command(command: Vec<OsString>) {
    // The first one wins, as documented at the public function.
    let _ = COMMAND.set(command);
}

/// The command that starts the watcher, without the arguments that [`main`] takes.
pub(super) fn command() -> Vec<OsString> {
    if let Some(command) = COMMAND.get() {
        return command.clone();
    }
    if let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return vec![path];
    }
    let beside = env::current_exe().ok().into_iter().flat_map(|executable| {
        let folders = executable.ancestors().skip(1).take(2);
        folders
            .map(|folder| folder.join(NAME))
            .collect::<Vec<PathBuf>>()
    });
    let found = beside.into_iter().find(|path| path.is_file());
    vec![found.map_or_else(|| NAME.into(), PathBuf::into_os_string)]
}

/// Who is held when the program dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Everything that was started: it lives in a control group, which nobody can leave.
    Group,
    /// Everything but what has cleared its environment, leads a session of its own, and has no
    /// ancestor left.
    Marks,
    /// Nobody: there is no watcher, or it could not find anything here.
    Nobody,
}

impl Reach {
    /// Its name for others.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Group => "cgroup",
            Self::Marks => "marks",
            Self::Nobody => "none",
        }
    }
}

/// The watcher of this program, before and after it was started.
pub(super) struct Containment {
    /// What to start; `None` once that was tried.
    command: Option<UnitSpec>,
    mark: Mark,
    /// Whether control groups are wanted.
    wants_group: bool,
    group: Option<Group>,
    has_watcher: bool,
}

impl Containment {
    /// Where the program `pid`, started at `start`, marks its children with `mark`.
    pub(super) fn new(command: Vec<OsString>, pid: u32, start: u64, mark: &Mark) -> Self {
        let mut words = command.into_iter();
        let program = words.next().unwrap_or_default();
        let own = [pid.to_string(), start.to_string(), mark.to_string()];
        let env = Some(env::vars_os().collect());
        let working_dir = Some("/".into());
        let args = words.chain(own.into_iter().map(OsString::from));
        let command = UnitSpec {
            env,
            working_dir,
            ..UnitSpec::new(program).args(args)
        };
        Self {
            command: Some(command),
            mark: mark.clone(),
            wants_group: env::var_os(REACH_VARIABLE).is_none_or(|reach| reach != "marks"),
            group: None,
            has_watcher: false,
        }
    }

    /// Starts the watcher, once, and makes the control group. Without a watcher the engine goes on,
    /// after one warning.
    ///
    /// The child that is returned ends at once: the watcher itself goes on detached, so that a
    /// program which waits for all of its children does not wait for it.
    pub(super) fn start(&mut self) -> Option<Child> {
        let mut spec = self.command.take()?;
        let place = self
            .wants_group
            .then(|| Group::place_of_program(&self.mark));
        let place = place.flatten();
        spec.args.extend(place.clone().map(OsString::from));
        match start(&spec) {
            Ok(child) => {
                self.has_watcher = true;
                // Not before somebody is there who removes it.
                self.group = place.and_then(Group::of_program);
                Some(child)
            }
            Err(reason) => {
                self.give_up(&reason.to_string());
                None
            }
        }
    }

    /// Looks how the child ended that was to go on detached as the watcher.
    pub(super) fn report_start(&mut self, exit: Exit) {
        if exit != Exit::Code(0) {
            self.give_up(&format!("it ended with {}", exit.code()));
        }
    }

    /// There is no watcher, so nobody would remove the control group.
    fn give_up(&mut self, reason: &str) {
        tracing::warn!(%reason, "no watcher: if this program is killed, its children live on");
        self.has_watcher = false;
        if let Some(group) = self.group.take() {
            group.remove();
        }
    }

    /// The control group for a unit, where there are such groups.
    pub(super) fn group_of_unit(&self, serial: u64) -> Option<UnitGroup> {
        self.group.as_ref()?.of_unit(serial)
    }

    pub(super) fn reach(&self) -> Reach {
        match (self.has_watcher, &self.group) {
            (true, Some(_)) => Reach::Group,
            (true, None) if cfg!(target_os = "linux") => Reach::Marks,
            _ => Reach::Nobody,
        }
    }
}

fn start(spec: &UnitSpec) -> Result<Child, SpawnError> {
    let command = Command::prepare(spec, None)?;
    let refused = |errno| command::explain(errno, spec);
    let null = unit::null_device().map_err(refused)?;
    Child::spawn(&command, [null.as_fd(), null.as_fd(), null.as_fd()], None).map_err(refused)
}

/// The watcher's whole life. Returns its exit code: 0 when nothing of the program is left.
///
/// `args` are the watched program's process id, its start time, its mark and, where it has one, its
/// control group; [`Pool`] adds them to the command of [`set_watcher_command`].
///
/// [`Pool`]: super::Pool
/// [`set_watcher_command`]: super::set_watcher_command
pub fn main<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> u8 {
    let words: Vec<OsString> = args
        .into_iter()
        .map(|arg| arg.as_ref().to_owned())
        .collect();
    let Some((pid, start, mark, group)) = parse(&words) else {
        return 64;
    };
    if process::detach().is_err() {
        return 71;
    }
    process::block_signals();
    u8::from(!watch(pid, start, &mark, group.as_slice()))
}

/// Waits for the program's end, and ends what is left. Returns whether nothing is.
pub(super) fn watch(pid: u32, start: u64, mark: &Mark, groups: &[Group]) -> bool {
    wait_for_end(pid, start);
    leftovers::end(mark, start, groups)
}

fn parse(words: &[OsString]) -> Option<(u32, u64, Mark, Option<Group>)> {
    let (words, group) = words.split_at_checked(3)?;
    let [pid, start, mark] = words else {
        return None;
    };
    let mark = Mark::parse(mark)?;
    let group = group
        .first()
        .and_then(|folder| Group::parse(folder.as_ref(), &mark));
    Some((
        pid.to_str()?.parse().ok()?,
        start.to_str()?.parse().ok()?,
        mark,
        group,
    ))
}

/// Sleeps until the program is dead, which it also is when its number belongs to another.
#[cfg(target_os = "linux")]
fn wait_for_end(pid: u32, start: u64) {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(pidfd) => {
            if is_alive(pid, start) {
                wait(Some(pidfd.as_fd()), None);
            }
        }
        // Without pidfds there is nothing to sleep on.
        Err(rustix::io::Errno::NOSYS) => look_until_dead(pid, start),
        Err(_) => {}
    }
}

#[cfg(not(target_os = "linux"))]
fn wait_for_end(pid: u32, start: u64) {
    look_until_dead(pid, start);
}

fn look_until_dead(pid: u32, start: u64) {
    while is_alive(pid, start) {
        wait(None, Some(Duration::from_millis(500)));
    }
}

#[cfg(target_os = "linux")]
fn is_alive(pid: u32, start: u64) -> bool {
    scan::process(pid).is_some_and(|process| process.start == start && !process.dead)
}

#[cfg(not(target_os = "linux"))]
fn is_alive(pid: u32, _start: u64) -> bool {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// Sleeps until the descriptor is readable, for at most so long.
fn wait(descriptor: Option<std::os::fd::BorrowedFd<'_>>, timeout: Option<Duration>) {
    let timeout = timeout.map(|timeout| Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let mut descriptors: Vec<PollFd<'_>> = descriptor
        .into_iter()
        .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
        .collect();
    while let Err(error) = rustix::event::poll(&mut descriptors, timeout.as_ref()) {
        if io::Error::from(error).kind() != io::ErrorKind::Interrupted {
            return;
        }
    }
}
