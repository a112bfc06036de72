//! The vocabulary of the supervisor: the facts it is told and the effects it asks for.
//!
//! Pure data. Nothing here may read a clock, start a process or touch a file; [`Chunk`] alone
//! reaches back to captured output, and only when somebody asks for its bytes.

use std::fmt;
use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;

/// Names one unit (one child process from its submission to its outcome) within one machine.
///
/// The submitter chooses the number; it must never be used twice in one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitId(pub u64);

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unit-{}", self.0)
    }
}

/// A point in time: microseconds since a start that the clock's owner chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// The time from `earlier` to this moment; zero where `earlier` is the later one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    /// Saturates, so that an absurdly long time limit means "never" instead of an overflow.
    fn add(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

/// The time limits of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long the unit may run, counted from its start. `None` and zero mean without limit.
    pub timeout: Option<Duration>,
    /// From TERM to KILL when the unit is timed out, or cancelled without haste.
    pub grace: Duration,
    /// From TERM to KILL when somebody waits at a keyboard or the program is being terminated.
    pub interrupt_grace: Duration,
    /// How long leftovers of a unit that ended by itself may hold its pipes or its group.
    pub leak_window: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: None,
            grace: Duration::from_secs(5),
            interrupt_grace: Duration::from_secs(1),
            leak_window: Duration::from_millis(500),
        }
    }
}

/// Why units are being cancelled, from the mildest to the most severe. A reason never falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CancelReason {
    /// The program asked for it, for example because an awaiting task was cancelled.
    Requested,
    /// The budget of the run is used up.
    Budget,
    /// Ctrl-C, or an exception that has to end the run quickly.
    Interrupted,
    /// The program itself is being terminated.
    Terminated,
    /// Asked a second time: no more grace.
    SecondSignal,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// It exited with this code; -1 where another part of the program took the exit status.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl Exit {
    /// The exit code as Python's `subprocess` counts: `-N` for death by signal N.
    pub const fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => -signal,
        }
    }
}

/// Why a child could not be started. The texts are Python's, which callers see and match on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// The executable is missing, not executable, or was refused by the kernel.
    #[error("{}", os_error(*.errno, .executable))]
    Executable {
        /// The system's error number.
        errno: i32,
        /// The executable as it was given.
        executable: String,
    },
    /// The working folder is missing or cannot be entered.
    #[error("{}", os_error(*.errno, .folder))]
    Folder {
        /// The system's error number.
        errno: i32,
        /// The folder as it was given.
        folder: String,
    },
    /// The file that raw output was to be appended to cannot be opened.
    #[error("{}", os_error(*.errno, .log))]
    Log {
        /// The system's error number.
        errno: i32,
        /// The path as it was given.
        log: String,
    },
    /// An argument, a variable or a path holds a NUL, which no system call can carry.
    #[error("embedded null byte")]
    NulByte,
    /// The system ran out of descriptors, processes or memory.
    #[error("[Errno {errno}] {}", strerror(*.errno))]
    Resources {
        /// The system's error number.
        errno: i32,
    },
}

impl SpawnError {
    /// Whether it may work later, when something else has ended.
    pub const fn is_shortage(&self) -> bool {
        matches!(self, Self::Resources { .. })
    }
}

/// Python's wording of an `OSError` with a file name.
fn os_error(errno: i32, name: &str) -> String {
    let quote = if name.contains('\'') && !name.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut quoted = String::with_capacity(name.len() + 2);
    for character in name.chars() {
        match character {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\'' if quote == '\'' => quoted.push_str("\\'"),
            other => quoted.push(other),
        }
    }
    format!(
        "[Errno {errno}] {}: {quote}{quoted}{quote}",
        strerror(errno)
    )
}

/// The system's text for an error number, without Rust's "(os error N)".
fn strerror(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    match text.rfind(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// How a unit ended: every unit ends in exactly one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It exited with code 0 and left nothing behind.
    Success,
    /// It exited with another code and left nothing behind.
    Failed(i32),
    /// A signal that was not ours killed it.
    Signalled(i32),
    /// It ran into its time limit and was ended.
    TimedOut,
    /// It exited by itself, but something that it had started still held its pipes, or did not
    /// leave its group when asked to. The exit is the unit's own.
    Leaked(Exit),
    /// It never started.
    SpawnError(SpawnError),
    /// It was ended, or never started, because somebody cancelled it.
    Cancelled(CancelReason),
}

/// Which of a unit's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Something that can hand out the bytes of a [`Chunk`] later.
pub trait ChunkSource: Send + Sync {
    /// The chunk's bytes, exactly as the child wrote them.
    fn bytes(&self) -> Vec<u8>;

    /// Nobody needs the bytes any more.
    fn release(&self) {}
}

impl ChunkSource for Vec<u8> {
    fn bytes(&self) -> Vec<u8> {
        self.clone()
    }
}

/// A piece of a unit's output: whole lines, but for the last piece of a stream.
///
/// It usually is a range of the captured stream, so that a slow reader costs no memory.
#[derive(Clone)]
pub struct Chunk(Arc<dyn ChunkSource>);

impl Chunk {
    /// Wraps a source, or plain bytes.
    pub fn new(source: impl ChunkSource + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// The bytes, exactly as the child wrote them.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.bytes()
    }

    /// Gives back the disk that this chunk and all before it take. For whoever listens to a stream
    /// and does not read it at its end: there is nothing left of it.
    pub fn release(self) {
        self.0.release();
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({:?})", String::from_utf8_lossy(&self.bytes()))
    }
}

impl PartialEq for Chunk {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Chunk {}

/// What the machine is told: wishes of the program and facts from the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A new unit waits for a slot.
    Submit {
        /// A number that was never used before.
        unit: UnitId,
        /// Its time limits.
        limits: Limits,
    },
    /// The child runs, and leads a session and a group of the same number.
    Spawned {
        /// The unit.
        unit: UnitId,
        /// The child's process id.
        pid: u32,
    },
    /// There is no child.
    SpawnFailed {
        /// The unit.
        unit: UnitId,
        /// Why.
        error: SpawnError,
        /// Other children of this program live, and what they hold comes free when they end.
        crowded: bool,
    },
    /// The child wrote something, and the unit asked to be told.
    Output {
        /// The unit.
        unit: UnitId,
        /// Where it wrote to.
        stream: OutputStream,
        /// What it wrote.
        chunk: Chunk,
    },
    /// The child is dead. Its id is not free for reuse before [`Effect::Reap`].
    Exited {
        /// The unit.
        unit: UnitId,
        /// How it ended.
        exit: Exit,
        /// Nobody else lived in its group. Where this is false, [`Input::GroupEmpty`] follows
        /// as soon as that has changed.
        alone: bool,
    },
    /// Both output streams are at their end.
    Drained {
        /// The unit.
        unit: UnitId,
    },
    /// The last process of the dead child's group is gone.
    GroupEmpty {
        /// The unit.
        unit: UnitId,
    },
    /// The answer to [`Effect::Sweep`]: nothing that carries the unit's mark lives any more.
    Swept {
        /// The unit.
        unit: UnitId,
    },
    /// The unit's timer fired.
    Timer {
        /// The unit.
        unit: UnitId,
    },
    /// Start no more units; those that run go on.
    Pause,
    /// Start units again.
    Resume,
    /// End one unit, or all of them for good.
    Cancel {
        /// The unit; `None` for all, those not yet submitted included.
        unit: Option<UnitId>,
        /// Why, which decides how much grace there is.
        reason: CancelReason,
    },
    /// Ask for a [`Snapshot`].
    Query,
}

/// A signal that asks; [`Effect::Kill`] is the one that does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// What the machine wants done. The shell carries effects out in order, and decides nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Start the child; answered by [`Input::Spawned`] or [`Input::SpawnFailed`]. After the
    /// latter it may be asked for again.
    Spawn {
        /// The unit.
        unit: UnitId,
    },
    /// Send a signal to the unit's whole group.
    Signal {
        /// The unit.
        unit: UnitId,
        /// What to send.
        signal: Signal,
    },
    /// Send KILL to the unit's whole group.
    Kill {
        /// The unit.
        unit: UnitId,
    },
    /// Find and KILL everything that carries the unit's mark, wherever it hid, until nothing is
    /// left; answered by [`Input::Swept`].
    Sweep {
        /// The unit.
        unit: UnitId,
    },
    /// Start the unit's timer, replacing the one it may have: a unit has at most one.
    StartTimer {
        /// The unit.
        unit: UnitId,
        /// When it fires.
        at: Moment,
    },
    /// Stop the unit's timer.
    StopTimer {
        /// The unit.
        unit: UnitId,
    },
    /// Release the child: take what is left in its pipes, close them, wait for it, and hand
    /// over what it wrote. Nothing more is reported about the unit, and nothing signals it.
    Reap {
        /// The unit.
        unit: UnitId,
    },
    /// Tell the program.
    Emit(Event),
    /// The unit is over.
    Finish {
        /// The unit.
        unit: UnitId,
        /// How it ended.
        outcome: Outcome,
        /// When, and how its process ended.
        times: Times,
    },
}

/// What happened to a unit, as plain data for the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The unit runs.
    Started {
        /// The unit.
        unit: UnitId,
        /// Its process id, which is also its group and its session.
        pid: u32,
    },
    /// The unit wrote something.
    Output {
        /// The unit.
        unit: UnitId,
        /// Where it wrote to.
        stream: OutputStream,
        /// What it wrote.
        chunk: Chunk,
    },
    /// The answer to [`Input::Query`].
    Snapshot(Snapshot),
}

/// The timeline of a finished unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When it was submitted.
    pub submitted: Moment,
    /// When its process ran; `None` where it never did.
    pub started: Option<Moment>,
    /// When it was over.
    pub finished: Moment,
    /// How its process ended; `None` where it never started or could not be killed.
    pub exit: Option<Exit>,
}

/// How many units are in which phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Units that wait for a slot.
    pub queued: usize,
    /// Units that hold a slot: starting, running or ending.
    pub active: usize,
    /// Units that are over.
    pub finished: usize,
    /// Whether the pool is paused.
    pub paused: bool,
    /// Whether, and why, the pool was cancelled.
    pub cancelled: Option<CancelReason>,
}
