//! The engine's pool as Python drives it: start, wait for news, cancel.
//!
//! Waiting releases the interpreter and looks for signals twenty times a second; asyncio waits on
//! [`PyPool::fileno`] instead, without any thread. News come in batches, since crossing into
//! Python costs more than most of what is said there.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::ended::Ended;
use super::watcher;
use crate::error::Error;
use crate::supervisor::{
    CancelReason, Capture, EngineError, Limits, Newlines, OutputStream, Pool, Stdin, UnitEvent,
    UnitId, UnitSpec, decode,
};

/// How long a waiting main thread may leave a signal unseen.
const SIGNAL_CHECK: Duration = Duration::from_millis(50);

/// How much text one batch of news holds at least before it is handed over, in bytes. More waits
/// in the engine, where it costs no memory.
const BATCH: usize = 256 * 1024;

/// One pool of the engine. It limits nothing: Python holds the slots, since threads take some.
#[pyclass(name = "Pool", module = "orchestration._core", frozen)]
pub(super) struct PyPool {
    /// `None` only while it is dropped.
    pool: Option<Pool>,
    bell: Arc<Bell>,
    limits: Limits,
}

#[pymethods]
impl PyPool {
    /// `grace` is the time from TERM to KILL, in seconds.
    #[new]
    #[pyo3(signature = (*, grace))]
    fn new(py: Python<'_>, grace: f64) -> PyResult<Self> {
        watcher::announce(py)?;
        let grace = seconds(grace)?;
        let bell = Arc::new(Bell::default());
        let ringer = Arc::clone(&bell);
        let pool =
            Pool::with_listener(None, move || ringer.ring()).map_err(|error| refused(&error))?;
        Ok(Self {
            pool: Some(pool),
            bell,
            limits: Limits {
                grace,
                interrupt_grace: grace,
                ..Limits::default()
            },
        })
    }

    /// Starts a process and returns its number in this pool.
    ///
    /// Its standard input is a terminal, or the bytes of `stdin` and then end-of-file. With
    /// `mirror` its lines are reported as they come.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "arguments from Python arrive by value"
    )]
    fn start(
        &self,
        command: Vec<Bound<'_, PyBytes>>,
        env: &Bound<'_, PyDict>,
        working_dir: Option<&[u8]>,
        stdin: Option<Vec<u8>>,
        timeout: Option<f64>,
        mirror: bool,
    ) -> PyResult<u64> {
        let mut words = command.iter().map(|word| os_string(word.as_bytes()));
        let program = words.next().unwrap_or_default();
        let mut variables = Vec::with_capacity(env.len());
        for (name, value) in env {
            let name = name.cast::<PyBytes>()?.as_bytes();
            let value = value.cast::<PyBytes>()?.as_bytes();
            variables.push((os_string(name), os_string(value)));
        }
        let spec = UnitSpec {
            args: words.collect(),
            env: Some(variables),
            working_dir: working_dir.map(|folder| os_string(folder).into()),
            stdin: stdin.map_or(Stdin::Terminal, Stdin::Bytes),
            limits: Limits {
                timeout: timeout.map(seconds).transpose()?,
                ..self.limits
            },
            capture: Capture { tee: None, mirror },
            ..UnitSpec::new(program)
        };
        let unit = self.pool()?.submit(spec).map_err(|error| refused(&error))?;
        Ok(unit.0)
    }

    /// Waits for news, up to `timeout` seconds, and returns all there is; nothing after
    /// [`Self::wake`] or at the timeout.
    ///
    /// With `signals` an exception of a signal handler is raised from here; only the main thread
    /// has a reason to ask for that, and other threads sleep undisturbed.
    #[pyo3(signature = (timeout, *, signals))]
    fn wait<'py>(&self, py: Python<'py>, timeout: f64, signals: bool) -> PyResult<Vec<News<'py>>> {
        let mut left = seconds(timeout)?;
        loop {
            let slice = if signals {
                left.min(SIGNAL_CHECK)
            } else {
                left
            };
            let rung = py.detach(|| self.bell.wait(slice));
            if signals {
                py.check_signals()?;
            }
            left = left.saturating_sub(slice);
            if rung || left.is_zero() {
                return self.poll(py);
            }
        }
    }

    /// How many of its processes are not over.
    fn unfinished(&self) -> PyResult<usize> {
        Ok(self.pool()?.unfinished())
    }

    /// Returns news without waiting: all there is or, where that is much text, a part of it.
    fn poll<'py>(&self, py: Python<'py>) -> PyResult<Vec<News<'py>>> {
        self.bell.hush();
        let pool = self.pool()?;
        let mut batch = Vec::new();
        let mut text = 0;
        while let Some(event) = pool.next(Some(Duration::ZERO)) {
            match event {
                UnitEvent::Started { .. } | UnitEvent::Snapshot(_) => {}
                UnitEvent::Output {
                    unit,
                    stream,
                    chunk,
                } => {
                    let stream = match stream {
                        OutputStream::Stdout => 1,
                        OutputStream::Stderr => 2,
                    };
                    let bytes = chunk.bytes();
                    let lines = PyString::new(py, &decode(&bytes, Newlines::Universal));
                    batch.push((unit.0, stream, lines.into_any()));
                    text += bytes.len();
                }
                UnitEvent::Finished(finished) => {
                    let unit = finished.unit.0;
                    batch.push((unit, 0, Bound::new(py, Ended(finished))?.into_any()));
                }
            }
            if text >= BATCH {
                self.bell.ring();
                break;
            }
        }
        Ok(batch)
    }

    /// A descriptor that is readable while there are news; it belongs to the pool.
    fn fileno(&self) -> PyResult<i32> {
        self.bell
            .descriptor()
            .map_err(|error| refused(&error.into()))
    }

    /// Ends a wait, from any thread.
    fn wake(&self) {
        self.bell.ring();
    }

    /// Ends one process: TERM, and KILL after the grace.
    fn terminate(&self, unit: u64) -> PyResult<()> {
        self.pool()?
            .cancel_unit(UnitId(unit), CancelReason::Requested);
        Ok(())
    }

    /// Ends all processes in the same way, or at once, and starts no more.
    #[pyo3(signature = (*, kill=false))]
    fn cancel(&self, kill: bool) -> PyResult<()> {
        self.pool()?.cancel(if kill {
            CancelReason::SecondSignal
        } else {
            CancelReason::Interrupted
        });
        Ok(())
    }
}

impl PyPool {
    fn pool(&self) -> PyResult<&Pool> {
        self.pool
            .as_ref()
            .ok_or_else(|| refused(&EngineError::Start(std::io::ErrorKind::NotConnected.into())))
    }
}

impl Drop for PyPool {
    /// Dropping a pool waits for what it still has, which must not hold the interpreter.
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take().filter(|pool| pool.unfinished() > 0) {
            std::thread::spawn(move || drop(pool));
        }
    }
}

/// A number, a stream (0 for the end, 1 and 2 for output), and the end or the text.
type News<'py> = (u64, u8, Bound<'py, PyAny>);

fn os_string(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

/// A duration; one that is longer than a clock can tell never ends.
fn seconds(seconds: f64) -> PyResult<Duration> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(PyValueError::new_err("a duration cannot be negative"));
    }
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

fn refused(error: &EngineError) -> PyErr {
    Error::Engine {
        reason: error.to_string(),
    }
    .into()
}

/// Tells a waiting thread, or a loop that watches a descriptor, that there are news.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
    /// Made for loops only: the end that is watched, and the one that is written to.
    wire: OnceLock<(UnixStream, UnixStream)>,
}

impl Bell {
    fn ring(&self) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *rung, true) {
            return;
        }
        self.heard.notify_all();
        self.signal();
    }

    /// Writes to the wire; called with the lock held. A wire that is full is readable already.
    fn signal(&self) {
        if let Some((_, mut end)) = self.wire.get().map(|(a, b)| (a, b)) {
            let _ = end.write(&[1]);
        }
    }

    /// Waits until it rings; false where it did not within the time.
    fn wait(&self, timeout: Duration) -> bool {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let (rung, _) = self
            .heard
            .wait_timeout_while(rung, timeout, |rung| !*rung)
            .unwrap_or_else(PoisonError::into_inner);
        *rung
    }

    /// To be called before the news are taken, so that whatever comes afterwards rings again.
    fn hush(&self) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        *rung = false;
        if let Some((mut end, _)) = self.wire.get().map(|(a, b)| (a, b)) {
            let mut sink = [0; 64];
            while end.read(&mut sink).is_ok_and(|count| count == sink.len()) {}
        }
    }

    fn descriptor(&self) -> std::io::Result<i32> {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        if self.wire.get().is_none() {
            let (ours, theirs) = UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            theirs.set_nonblocking(true)?;
            let _ = self.wire.set((ours, theirs));
            if *rung {
                self.signal();
            }
        }
        Ok(self.wire.get().map_or(-1, |(end, _)| end.as_raw_fd()))
    }
}
