//! One child process with its pipes, as the reactor holds it. It reports facts and decides nothing.
//!
//! Reads and writes only the descriptors of its own child, and never waits for any of them.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::cgroup::UnitGroup;
use super::command::{self, Command};
use super::event::{Input, OutputStream, SpawnError, UnitId};
use super::mark::Mark;
use super::output::{Captured, CapturedStream};
use super::process::{Child, GroupSignal, lift};
use super::scan::Census;
use super::spec::{Stdin, UnitSpec};
use super::stream::{Output, Reading, Turn};
use super::terminal::Terminal;

/// Which of a unit's descriptors something happened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Output(OutputStream),
    Input,
    Exit,
}

/// A running child.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) id: UnitId,
    pub(super) child: Child,
    pub(super) mark: Mark,
    /// Where the child and all that it starts live, if there are such groups.
    group: Option<UnitGroup>,
    stdout: Output,
    stderr: Output,
    feed: Feed,
    tee: Option<File>,
    /// `Exited` was reported.
    pub(super) exit_reported: bool,
    /// The group was last seen with somebody in it.
    pub(super) group_lives: bool,
}

/// What the child reads.
#[derive(Debug)]
enum Feed {
    Nothing,
    /// The bytes are those of the spec.
    Bytes {
        pipe: OwnedFd,
        spec: Arc<UnitSpec>,
        written: usize,
    },
    Terminal(Terminal),
}

/// Why a unit was not started.
pub(super) enum Refusal {
    /// Its executable is being written by somebody; worth another try.
    Busy,
    Error(SpawnError),
}

impl Unit {
    /// Starts the child, unless that would take a descriptor from `last` on.
    pub(super) fn start(
        id: UnitId,
        spec: &Arc<UnitSpec>,
        mark: Mark,
        group: Option<UnitGroup>,
        captured: &Captured,
        last: RawFd,
    ) -> Result<Self, Refusal> {
        let command = Command::prepare(spec, Some(&mark)).map_err(Refusal::Error)?;
        let refuse = |errno| Refusal::Error(command::explain(errno, spec));
        let tee = spec
            .capture
            .tee
            .as_deref()
            .map(open_log)
            .transpose()
            .map_err(Refusal::Error)?;
        let (stdout, child_stdout) = pipe().map_err(refuse)?;
        let (stderr, child_stderr) = pipe().map_err(refuse)?;
        let (feed, child_stdin) = feed(spec).map_err(refuse)?;
        let input = match (&feed, &child_stdin) {
            (Feed::Terminal(terminal), _) => terminal.child_end(),
            (_, Some(stdin)) => stdin.as_fd(),
            (_, None) => return Err(refuse(Errno::BADF)),
        };
        let descriptors = [input, child_stdout.as_fd(), child_stderr.as_fd()];
        // The system gives the lowest number that is free, so those below a new one are taken.
        if descriptors.iter().any(|taken| taken.as_raw_fd() >= last) {
            return Err(refuse(Errno::MFILE));
        }
        let inside = group.as_ref().and_then(UnitGroup::open);
        let inside = inside.as_ref().map(AsFd::as_fd);
        let child = match Child::spawn(&command, descriptors, inside) {
            Ok(child) => child,
            Err(Errno::TXTBSY) => return Err(Refusal::Busy),
            Err(errno) => return Err(refuse(errno)),
        };
        let mirror = spec.capture.mirror;
        let output = |stream, pipe, captured: &CapturedStream| {
            Output::new(id, stream, pipe, captured.clone(), mirror)
        };
        Ok(Self {
            id,
            child,
            mark,
            group,
            stdout: output(OutputStream::Stdout, stdout, &captured.stdout),
            stderr: output(OutputStream::Stderr, stderr, &captured.stderr),
            feed,
            tee,
            exit_reported: false,
            group_lives: true,
        })
    }

    /// The descriptors to watch, for reading or (the second) for writing.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = (Part, BorrowedFd<'_>)> {
        let outputs = [&self.stdout, &self.stderr]
            .into_iter()
            .filter_map(|output| Some((Part::Output(output.stream()), output.pipe()?)));
        let input = match &self.feed {
            Feed::Nothing => None,
            Feed::Bytes { pipe, .. } => Some((Part::Input, pipe.as_fd())),
            Feed::Terminal(terminal) => Some((Part::Input, terminal.our_end())),
        };
        let exit = self.child.pidfd().map(|pidfd| (Part::Exit, pidfd));
        outputs.chain(input).chain(exit)
    }

    /// Whether the child's standard input is written to, rather than read from.
    pub(super) const fn feeds_bytes(&self) -> bool {
        matches!(self.feed, Feed::Bytes { .. })
    }

    /// Whether the child's standard input is a terminal, which wants [`Unit::tick`].
    pub(super) const fn has_terminal(&self) -> bool {
        matches!(self.feed, Feed::Terminal(_))
    }

    /// Gives the terminal, where there is one, an empty line to read.
    pub(super) fn tick(&mut self) {
        if let Feed::Terminal(terminal) = &mut self.feed {
            terminal.tick();
        }
    }

    /// Something happened to a descriptor. `ended` says that its other side is closed.
    ///
    /// Returns true where there is more to do, but others should have their turn first.
    pub(super) fn ready(
        &mut self,
        part: Part,
        ended: bool,
        scratch: &mut [u8],
        facts: &mut VecDeque<Input>,
    ) -> bool {
        match part {
            Part::Output(stream) => {
                let output = match stream {
                    OutputStream::Stdout => &mut self.stdout,
                    OutputStream::Stderr => &mut self.stderr,
                };
                if !output.is_open() {
                    return false;
                }
                let turn = if ended { Turn::ToTheEnd } else { Turn::Short };
                let tee = self.tee.as_mut();
                let more = output.read(
                    turn,
                    &mut Reading {
                        scratch,
                        tee,
                        facts,
                    },
                );
                if !self.stdout.is_open() && !self.stderr.is_open() {
                    facts.push_back(Input::Drained { unit: self.id });
                }
                more
            }
            Part::Input => {
                self.write(scratch);
                false
            }
            Part::Exit => self.look_at_exit(scratch, facts),
        }
    }

    /// Reports the child's end, after everything that it wrote before.
    fn look_at_exit(&mut self, scratch: &mut [u8], facts: &mut VecDeque<Input>) -> bool {
        if self.exit_reported {
            return false;
        }
        let Some(exit) = self.child.try_exit() else {
            return false;
        };
        self.exit_reported = true;
        self.feed = Feed::Nothing;
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            self.ready(Part::Output(stream), true, scratch, facts);
        }
        for output in [&mut self.stdout, &mut self.stderr] {
            output.report_rest(facts);
        }
        let alone = self.child.is_surely_alone();
        self.group_lives = !alone;
        facts.push_back(Input::Exited {
            unit: self.id,
            exit,
            alone,
        });
        false
    }

    /// Looks whether the last of a dead child's group has gone, and reports it once.
    pub(super) fn look_at_group(&mut self, census: &mut Census, facts: &mut VecDeque<Input>) {
        if self.exit_reported
            && self.group_lives
            && (self.child.is_surely_alone() || !census.lives(self.child.pid()))
        {
            self.group_lives = false;
            facts.push_back(Input::GroupEmpty { unit: self.id });
        }
    }

    /// Signals the whole group, as far as it lives.
    pub(super) fn signal(&self, signal: GroupSignal) {
        if !self.exit_reported || self.group_lives {
            self.child.signal_group(signal);
        }
    }

    /// Kills whoever is left in the unit's control group. Returns whether anybody was.
    pub(super) fn clear_group(&self) -> bool {
        self.group.as_ref().is_some_and(UnitGroup::kill)
    }

    /// Takes what is left in the pipes, closes everything, and hands the child back.
    pub(super) fn release(mut self, scratch: &mut [u8]) -> Child {
        let facts = &mut VecDeque::new();
        for output in [&mut self.stdout, &mut self.stderr] {
            output.release(&mut Reading {
                scratch,
                tee: self.tee.as_mut(),
                facts,
            });
        }
        self.child.release();
        self.child
    }

    fn write(&mut self, scratch: &mut [u8]) {
        match &mut self.feed {
            Feed::Nothing => {}
            Feed::Terminal(terminal) => terminal.discard(scratch),
            Feed::Bytes {
                pipe,
                spec,
                written,
            } => {
                let Stdin::Bytes(bytes) = &spec.stdin else {
                    return;
                };
                while *written < bytes.len() {
                    match rustix::io::write(&*pipe, &bytes[*written..]) {
                        Ok(count) => *written += count,
                        Err(Errno::INTR) => {}
                        Err(Errno::AGAIN) => return,
                        // The child does not want the rest.
                        Err(_) => break,
                    }
                }
                self.feed = Feed::Nothing;
            }
        }
    }
}

/// A pipe whose reading end is ours and never blocks.
fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (read, write) = raw_pipe()?;
    rustix::io::ioctl_fionbio(&read, true)?;
    Ok((read, write))
}

fn raw_pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    #[cfg(target_os = "linux")]
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    #[cfg(not(target_os = "linux"))]
    let (read, write) = {
        let ends = rustix::pipe::pipe()?;
        rustix::io::fcntl_setfd(&ends.0, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::fcntl_setfd(&ends.1, rustix::io::FdFlags::CLOEXEC)?;
        ends
    };
    Ok((lift(read)?, lift(write)?))
}

/// Our side and, where it is another descriptor, the child's side of its standard input.
fn feed(spec: &Arc<UnitSpec>) -> Result<(Feed, Option<OwnedFd>), Errno> {
    match spec.stdin {
        Stdin::Null => Ok((Feed::Nothing, Some(null_device()?))),
        Stdin::Bytes(_) => {
            let (read, write) = raw_pipe()?;
            rustix::io::ioctl_fionbio(&write, true)?;
            Ok((
                Feed::Bytes {
                    pipe: write,
                    spec: Arc::clone(spec),
                    written: 0,
                },
                Some(read),
            ))
        }
        Stdin::Terminal => Ok((Feed::Terminal(Terminal::open()?), None)),
    }
}

/// `/dev/null` for reading and writing.
pub(super) fn null_device() -> Result<OwnedFd, Errno> {
    use rustix::fs::{Mode, OFlags};
    lift(rustix::fs::open(
        "/dev/null",
        OFlags::RDWR | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

fn open_log(path: &Path) -> Result<File, SpawnError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            Some(errno @ (libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => {
                SpawnError::Resources { errno }
            }
            errno => SpawnError::Log {
                errno: errno.unwrap_or(0),
                log: path.to_string_lossy().into_owned(),
            },
        })
}
