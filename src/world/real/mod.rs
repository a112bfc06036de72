//! This machine: real processes, the user's git, files and the clock.
//!
//! | module | what it is | touches |
//! | --- | --- | --- |
//! | [`git`] | worktrees and evidence | the repository, through git |
//! | `logs` | the redacted logs | the log folder |
//! | `mailbox` | what other processes ask of the run | `run.cancel` beside the journal |
//! | `claims` | what agents say of themselves | `.agent_status.json` in worktrees |
//!
//! What takes time runs on threads of its own, and comes back as a [`Fact`] through one channel.

mod claims;
mod git;
mod journal;
mod logs;
mod mailbox;

use std::collections::VecDeque;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

pub use crate::error::reason;
use crate::error::{Error, Result};
use crate::forge::{Forge, ForgeError, Notice, Reply};
use crate::report::redact::Redactor;
use crate::run::cancellation::Address;
use crate::run::event::Event;
use crate::run::facts::Filed;
use crate::run::failure::{ErrorType, Failure, Stage};
use crate::run::record::Intent;
use crate::supervisor::{CancelReason, Commands, Driver, Input, RealProcesses, UnitId, UnitSpec};
use crate::workspace::cli::Git;

use self::claims::Claims;
use self::journal::JournalFile;
use self::logs::Logs;
use self::mailbox::Mailbox;
use super::{Completion, Fact, Log, Operation, World};

pub use self::claims::can_watch;
pub use self::git::{Steps, unit as git_unit};
pub use self::journal::{JournalReader, read_good_journal, read_journal};
pub use self::mailbox::post;

/// Where a real world's files are, and whom it talks to.
pub struct Setting {
    /// The main worktree.
    pub root: PathBuf,
    /// Where other processes ask it to end.
    pub mailbox: Address,
    /// The journal.
    pub journal: PathBuf,
    /// How much of it is there already, in whole lines; `None` where it must not exist yet.
    pub journal_bytes: Option<u64>,
    /// The folder of the logs.
    pub logs: PathBuf,
    /// The lock under which worktrees are registered.
    pub worktree_lock: PathBuf,
    /// The user's git.
    pub git: Git,
    /// The environment of git commands.
    pub env: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    /// Whether the base has submodules.
    pub submodules: bool,
    /// Git's command lines to the session log, agents' lines to standard error.
    pub verbose: bool,
    /// Takes out what must never be written to a log.
    pub redactor: Redactor,
    /// The forge.
    pub forge: Arc<dyn Forge>,
    /// Seconds between two heartbeats.
    pub interval: u64,
    /// Operations at once, at least 1.
    pub steps: usize,
}

/// The real world of one orchestration.
pub struct RealWorld {
    began: Instant,
    interval: Duration,
    next_beat: Instant,
    /// When the run wants to be woken.
    alarm: Option<Instant>,
    supervisor: Driver,
    processes: RealProcesses,
    units: u64,
    /// What the supervisor said at once.
    pending: Vec<Fact>,
    steps: Arc<Steps>,
    forge: Arc<dyn Forge>,
    /// Operations that wait until others have come to their end, and how many are under way.
    waiting: VecDeque<Operation>,
    under_way: usize,
    most_under_way: usize,
    journal: JournalFile,
    logs: Logs,
    claims: Claims,
    mailbox: Mailbox,
    news: Receiver<News>,
    teller: Sender<News>,
    listener: Box<dyn FnMut(Event) + Send>,
}

impl RealWorld {
    /// Opens the world. `listener` gets the public events, in order.
    pub fn open(setting: Setting, listener: impl FnMut(Event) + Send + 'static) -> Result<Self> {
        create_folder(&setting.logs)?;
        let (teller, news) = channel();
        let inputs = teller.clone();
        let processes = RealProcesses::new(move |input| {
            // Nobody listens any more when the run is over.
            let _ = inputs.send(News::Input(input));
        })
        .map_err(|error| Error::Engine {
            reason: error.to_string(),
        })?;
        let claimed = teller.clone();
        let claims = Claims::new(move |fact| {
            // Nobody listens any more when the run is over.
            let _ = claimed.send(News::Fact(fact));
        });
        let asked = teller.clone();
        let mailbox = Mailbox::open(setting.mailbox, move |fact| {
            // Nobody listens any more when the run is over.
            let _ = asked.send(News::Fact(fact));
        });
        let began = now();
        let interval = Duration::from_secs(setting.interval.max(1));
        Ok(Self {
            began,
            interval,
            next_beat: began + interval,
            alarm: None,
            supervisor: Driver::new(None),
            processes,
            units: 0,
            pending: Vec::new(),
            steps: Arc::new(Steps {
                commands: Commands::default(),
                git: setting.git,
                root: setting.root,
                lock: setting.worktree_lock,
                env: setting.env,
                submodules: setting.submodules,
                redactor: setting.redactor.clone(),
                verbose: setting.verbose.then(|| teller.clone()),
            }),
            forge: listened(setting.forge, &teller),
            waiting: VecDeque::new(),
            under_way: 0,
            most_under_way: setting.steps.max(1),
            journal: match setting.journal_bytes {
                None => JournalFile::create(&setting.journal)?,
                Some(bytes) => JournalFile::take_up(&setting.journal, bytes)?,
            },
            logs: Logs::new(setting.logs, setting.redactor, setting.verbose),
            claims,
            mailbox,
            news,
            teller,
            listener: Box::new(listener),
        })
    }

    /// What a person or a signal handler ends the run through.
    pub fn canceller(&self) -> Canceller {
        Canceller(self.teller.clone())
    }

    /// What time alone brings.
    fn due(&mut self) -> Vec<Fact> {
        let mut facts = Vec::new();
        let now = now();
        if self.alarm.is_some_and(|alarm| alarm <= now) {
            self.alarm = None;
            facts.push(Fact::Woke);
        }
        if self.next_beat <= now {
            self.next_beat = now + self.interval;
            // Where the folder cannot be watched, this is when it is heard.
            self.mailbox.look();
            facts.push(Fact::Beat);
        }
        facts
    }

    /// Facts for the run, from news for the supervisor or for the run itself.
    fn take_in(&mut self, news: News, facts: &mut Vec<Fact>) {
        match news {
            News::Fact(fact) => {
                if let Fact::Completed(_) = fact {
                    self.under_way -= 1;
                    self.begin_waiting();
                }
                facts.push(fact);
            }
            News::Input(input) => {
                let events = self.supervisor.handle(&mut self.processes, input);
                facts.extend(events.into_iter().map(Fact::Unit));
            }
        }
    }

    /// Begins as many operations as may be under way.
    fn begin_waiting(&mut self) {
        while self.under_way < self.most_under_way
            && let Some(operation) = self.waiting.pop_front()
        {
            self.under_way += 1;
            let work = self.work(operation.clone());
            if std::thread::Builder::new().spawn(work).is_err() {
                // The system has no thread left to give; the run waits that long.
                self.work(operation)();
            }
        }
    }

    /// What carries an operation out, and tells what came of it.
    fn work(&self, operation: Operation) -> impl FnOnce() + Send + 'static {
        let (steps, forge) = (Arc::clone(&self.steps), Arc::clone(&self.forge));
        let news = self.teller.clone();
        move || {
            let completion = match operation {
                Operation::Prepare(place) => steps.prepare(place),
                Operation::Inspect { place, subject } => steps.inspect(&place, &subject),
                Operation::Push {
                    place,
                    commit,
                    remote,
                } => steps.push(&place, &commit, &remote),
                Operation::Clean(place) => steps.clean(&place),
                Operation::TryMerges { start, base, tips } => {
                    steps.try_merges(&start, &base, &tips)
                }
                Operation::Forge { intent, request } => completion(intent, forge.perform(&request)),
            };
            // Nobody listens any more when the run is over.
            let _ = news.send(News::Fact(Fact::Completed(completion)));
        }
    }
}

/// What comes through the one channel.
#[derive(Debug)]
enum News {
    Fact(Fact),
    Input(Input),
}

/// Ends a run from outside of its thread.
#[derive(Debug, Clone)]
pub struct Canceller(Sender<News>);

impl Canceller {
    /// Asks the run to end; `exit_code` is what it leads to, 130 or 143.
    pub fn cancel(&self, exit_code: u8, reason: CancelReason) {
        // A run that is over needs no end.
        let _ = self.0.send(News::Fact(Fact::Cancel { exit_code, reason }));
    }
}

impl World for RealWorld {
    fn now(&self) -> u64 {
        u64::try_from(now().duration_since(self.began).as_micros()).unwrap_or(u64::MAX)
    }

    fn wall(&self) -> i64 {
        wall().as_millisecond()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the World")]
    fn uuid(&mut self) -> String {
        uuid::Uuid::new_v4().to_string()
    }

    fn submit(&mut self, spec: UnitSpec) -> UnitId {
        let unit = UnitId(self.units);
        self.units += 1;
        let events = self.supervisor.submit(&mut self.processes, unit, spec);
        self.pending.extend(events.into_iter().map(Fact::Unit));
        unit
    }

    fn end_unit(&mut self, unit: UnitId, reason: CancelReason) {
        let events = self
            .supervisor
            .cancel(&mut self.processes, Some(unit), reason);
        self.pending.extend(events.into_iter().map(Fact::Unit));
    }

    fn cancel_units(&mut self, reason: CancelReason) {
        self.steps.commands.cancel(reason);
        self.forge.interrupt();
        let events = self.supervisor.cancel(&mut self.processes, None, reason);
        self.pending.extend(events.into_iter().map(Fact::Unit));
    }

    fn begin(&mut self, operation: Operation) {
        self.waiting.push_back(operation);
        self.begin_waiting();
    }

    fn append(&mut self, lines: &str, sync: bool) -> Result<()> {
        self.journal.append(lines, sync)
    }

    fn replace(&mut self, path: &Path, text: &str) -> Result<()> {
        replace(path, text).map_err(|error| Error::File {
            action: "write",
            path: path.to_owned(),
            reason: reason(&error),
        })
    }

    fn log(&mut self, log: Log, text: &[u8]) {
        let stamp =
            (log == Log::Session).then(|| wall().strftime("%Y-%m-%dT%H:%M:%SZ ").to_string());
        self.logs.write(log, stamp.as_deref(), text);
    }

    fn is_there(&mut self, folder: &Path) -> bool {
        folder.is_dir()
    }

    fn log_tail(&mut self, agent: u32) -> String {
        self.logs.tail(Log::Agent(agent))
    }

    fn watch(&mut self, agent: u32, worktree: Option<&Path>) {
        self.claims.watch(agent, worktree);
    }

    fn publish(&mut self, event: Event) {
        (self.listener)(event);
    }

    fn wake_at(&mut self, at: Option<u64>) {
        self.alarm = at.map(|at| self.began + Duration::from_micros(at));
    }

    fn next(&mut self) -> Vec<Fact> {
        let mut facts = std::mem::take(&mut self.pending);
        while facts.is_empty() {
            let due = self
                .alarm
                .map_or(self.next_beat, |alarm| alarm.min(self.next_beat));
            match self.news.recv_timeout(due.saturating_duration_since(now())) {
                Ok(first) => {
                    self.take_in(first, &mut facts);
                    while let Ok(more) = self.news.try_recv() {
                        self.take_in(more, &mut facts);
                    }
                }
                // Disconnected is impossible while `self.teller` lives.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    facts.extend(self.due());
                }
            }
        }
        facts
    }
}

/// Has the forge tell the run of its exchanges.
fn listened(forge: Arc<dyn Forge>, teller: &Sender<News>) -> Arc<dyn Forge> {
    let teller = teller.clone();
    forge.listen(Box::new(move |notice| {
        let fact = match notice {
            Notice::Line(line) => Fact::Said(format!("{line}\n")),
            Notice::Allowance { remaining, reset } => Fact::Allowance {
                remaining: *remaining,
                reset: *reset,
            },
        };
        // Nobody listens any more when the run is over.
        let _ = teller.send(News::Fact(fact));
    }));
    forge
}

fn completion(intent: Intent, reply: std::result::Result<Reply, ForgeError>) -> Completion {
    match reply {
        Ok(Reply::Created(created)) => Completion::Filed {
            intent,
            filed: Filed {
                number: created.number,
                url: created.url,
                existed: created.existed,
            },
        },
        Ok(Reply::Closed { numbers }) => Completion::Closed { intent, numbers },
        Ok(other) => Completion::ForgeFailed {
            intent,
            reason: format!("an unexpected answer: {other:?}"),
            remedy: "this is likely a bug".to_owned(),
        },
        Err(error) => {
            if let Some(broken_off) = broken_off(intent, &error) {
                return broken_off;
            }
            let error = Error::from(error);
            Completion::ForgeFailed {
                intent,
                reason: error.to_string(),
                remedy: error.hint(),
            }
        }
    }
}

/// What an interruption broke off is no failure of the task, and none of the forge.
fn broken_off(intent: Intent, error: &ForgeError) -> Option<Completion> {
    let (agent, stage) = match (error, intent) {
        (ForgeError::Interrupted, Intent::FileSubIssue { agent }) => (agent, Stage::Parsing),
        (ForgeError::Interrupted, Intent::OpenPull { agent }) => (agent, Stage::Pr),
        _ => return None,
    };
    let failure = Failure::new(stage, ErrorType::Cancelled, "the run was interrupted");
    Some(Completion::Failed { agent, failure })
}

/// Writes beside the file, then renames over it.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = fs::File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&beside, path)
}

/// Makes a folder, and those above it.
pub fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Error::File {
        action: "create",
        path: path.to_owned(),
        reason: reason(&error),
    })
}

#[expect(clippy::disallowed_methods, reason = "this is the World")]
fn now() -> Instant {
    Instant::now()
}

/// The wall clock.
#[expect(clippy::disallowed_methods, reason = "this is the World")]
pub fn wall() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
