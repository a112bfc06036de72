//! One engine per program: a thread that owns every child, started with the first one.
//!
//! After a `fork` the child process has no such thread. It finds that the engine belongs to
//! another process, and starts one of its own, which knows nothing of the parent's children.

use std::ffi::OsString;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, mpsc};

use mio::{Poll, Waker};

use super::mark::{self, Mark};
use super::reactor::{Command, Inbox, OwnerId, Reactor, WAKER};
use super::watcher::{self, Containment, Reach};
use super::{output, process, scan};

/// The engine's thread needs little stack: it calls nothing deep.
const STACK: usize = 512 * 1024;

/// How deep programs that use the engine may fork from each other.
const GENERATIONS: usize = 64;

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The system refused the engine's thread or its descriptors.
    #[error("cannot start the engine: {0}")]
    Start(#[from] io::Error),
    /// The object was made before a `fork`, and lives on in the parent process only.
    #[error("this pool belongs to process {owner}, from which this one was forked")]
    Forked {
        /// The process that made it.
        owner: u32,
    },
    /// The engine's thread has ended, which only a bug can bring about; the watcher still ends
    /// what it started when the program ends.
    #[error("the engine has broken down")]
    Gone,
    /// Programs that use the engine were forked from each other too many times in a row.
    #[error("forked {GENERATIONS} times in a row")]
    TooManyForks,
}

/// The way to the engine's thread.
pub(super) struct Engine {
    pid: u32,
    mark: Mark,
    inbox: Inbox,
    waker: Waker,
    next_owner: AtomicU64,
    gone: Arc<AtomicBool>,
}

impl Engine {
    /// What everything that this program starts carries.
    pub(super) const fn mark(&self) -> &Mark {
        &self.mark
    }

    /// The engine of this very process.
    ///
    /// A forked child inherits the filled places of its ancestors and takes the next one. No lock
    /// is held, since a lock that another thread held at the fork would never be freed.
    pub(super) fn get() -> Result<&'static Self, EngineError> {
        static ENGINES: [OnceLock<Engine>; GENERATIONS] = [const { OnceLock::new() }; GENERATIONS];
        let pid = std::process::id();
        if let Some(engine) = ENGINES
            .iter()
            .map_while(OnceLock::get)
            .find(|own| own.pid == pid)
        {
            return Ok(engine);
        }
        let (engine, reactor) = Self::prepare(pid)?;
        let mut engine = engine;
        for place in &ENGINES {
            match place.set(engine) {
                Ok(()) => {
                    reactor.start()?;
                    return place.get().ok_or(EngineError::TooManyForks);
                }
                Err(back) => engine = back,
            }
            // Another thread of this process was faster.
            if let Some(other) = place.get().filter(|other| other.pid == pid) {
                return Ok(other);
            }
        }
        Err(EngineError::TooManyForks)
    }

    fn prepare(pid: u32) -> Result<(Self, Unstarted), EngineError> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let inbox = Inbox::default();
        let start = scan::process(pid).map_or(0, |own| own.start);
        #[expect(
            clippy::disallowed_methods,
            reason = "the mark must differ between programs"
        )]
        let nonce = uuid::Uuid::new_v4().as_u128();
        let mark = Mark::new(pid, start, nonce);
        // What depends on the environment is looked up here, in a thread of the program.
        output::spool_folder();
        let own_mark = mark.clone();
        let containment = Containment::new(watcher::command(), pid, start, &mark);
        let gone = Arc::new(AtomicBool::new(false));
        let end = End {
            inbox: Arc::clone(&inbox),
            gone: Arc::clone(&gone),
        };
        let reactor = Unstarted {
            poll,
            inbox: Arc::clone(&inbox),
            mark,
            containment,
            end,
        };
        Ok((
            Self {
                pid,
                mark: own_mark,
                inbox,
                waker,
                next_owner: AtomicU64::new(0),
                gone,
            },
            reactor,
        ))
    }

    /// Refuses a process that is not the one the engine belongs to, and an engine that is gone.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        if self.pid != std::process::id() {
            Err(EngineError::Forked { owner: self.pid })
        } else if self.gone.load(Ordering::Acquire) {
            Err(EngineError::Gone)
        } else {
            Ok(())
        }
    }

    pub(super) fn new_owner(&self) -> OwnerId {
        OwnerId(self.next_owner.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends a command; carried out soon, in order.
    pub(super) fn send(&self, command: Command) {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        if self.gone.load(Ordering::Acquire) {
            return;
        }
        inbox.push(command);
        let first = inbox.len() == 1;
        drop(inbox);
        if first && let Err(error) = self.waker.wake() {
            tracing::error!(%error, "the engine cannot be woken");
        }
    }
}

/// A reactor without its thread.
struct Unstarted {
    poll: Poll,
    inbox: Inbox,
    mark: Mark,
    containment: Containment,
    end: End,
}

/// Marks the engine as gone when its thread ends, and drops what nobody will read, so that those
/// who wait learn of it.
struct End {
    inbox: Inbox,
    gone: Arc<AtomicBool>,
}

impl Drop for End {
    fn drop(&mut self) {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        self.gone.store(true, Ordering::Release);
        inbox.clear();
    }
}

impl Unstarted {
    fn start(self) -> io::Result<()> {
        let run = move || {
            let _end = self.end;
            process::block_signals();
            Reactor::new(self.poll, self.inbox, self.mark, self.containment).run();
        };
        std::thread::Builder::new()
            .name("orchestration".into())
            .stack_size(STACK)
            .spawn(run)?;
        Ok(())
    }
}

/// Says how the containment watcher is started: the command, to which its own arguments are added.
///
/// To be called before the first unit, or it has no effect. Without it the watcher is the program
/// in the variable `ORCHESTRATION_WATCHER`, else `orchestration-watcher` beside the executable.
pub fn set_watcher_command(command: Vec<OsString>) {
    watcher::set_command(command);
}

/// The variable, and its value, by which the watcher knows what this program started.
///
/// For children that the program starts by other ways than a unit. The watcher is a process of its
/// own when this returns, so that not even the program's death in the next moment escapes it.
pub fn contain() -> Result<(&'static str, OsString), EngineError> {
    containment()?;
    let outer = std::env::var_os(mark::VARIABLE);
    let mark = Engine::get()?.mark();
    Ok((mark::VARIABLE, mark.value(outer.as_deref())))
}

/// How far containment reaches here, once its watcher is there.
pub fn containment() -> Result<Reach, EngineError> {
    let engine = Engine::get()?;
    engine.check()?;
    let (answer, answered) = mpsc::channel();
    engine.send(Command::Contain(answer));
    answered.recv().map_err(|_| EngineError::Gone)
}
