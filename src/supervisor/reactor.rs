//! The event loop of the engine's one thread: all children of a program, whoever owns them.
//!
//! It waits for readiness, timers and commands; turns them into facts; and hands each fact to the
//! unit's owner. A pool's driver runs right here, so that from a child's exit to its result there
//! is no other thread; other owners are told and send their wishes back as commands.
//!
//! It waits nowhere but in its poll, and holds no lock while it works.

mod owned;
mod protocol;
mod timers;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::io::Errno;

use self::owned::Owned;
pub(super) use self::protocol::{Command, Inbox, OwnerId};
use self::protocol::{EventSink, FactSink};
use self::timers::Timers;
use super::clock;
use super::driver::{Driver, UnitEvent};
use super::event::{Input, Moment, OutputStream, SpawnError, UnitId};
use super::limit;
use super::mark::Mark;
use super::output::Captured;
use super::process::{Child, GroupSignal};
use super::scan::{self, Census};
use super::spec::UnitSpec;
use super::unit::{Part, Refusal, Unit};
use super::watcher::Containment;

/// How often things are looked at that no event tells: a dying group, a sweep, a busy executable.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How often terminals are given an empty line to read.
const TERMINAL_TICK: Duration = Duration::from_millis(100);

/// How often a start is tried while the executable is being written.
const BUSY_TRIES: u32 = 50;

/// One buffer for all pipes, in bytes.
const SCRATCH: usize = 64 * 1024;

/// The token of the waker; all others are made of a key and a part.
pub(super) const WAKER: Token = Token(usize::MAX);

enum Owner {
    /// `None` only while the driver is at work.
    Pool(Option<Driver>, EventSink),
    Other(FactSink),
}

/// A start, which may have to be tried again.
struct Delayed {
    owner: OwnerId,
    unit: UnitId,
    spec: Arc<UnitSpec>,
    captured: Captured,
    tries: u32,
}

struct Live {
    owner: OwnerId,
    unit: Unit,
    captured: Captured,
}

/// Everything that the engine's thread knows.
pub(super) struct Reactor {
    poll: Poll,
    inbox: Inbox,
    mark: Mark,
    since: u64,
    containment: Containment,
    owners: HashMap<OwnerId, Owner>,
    /// Live children under keys that are never used again, so that late news reach nobody else.
    units: HashMap<u64, Live>,
    keys: HashMap<(OwnerId, UnitId), u64>,
    next_key: u64,
    facts: VecDeque<(OwnerId, Input)>,
    timers: Timers,
    /// Pipes with more to read than one turn allowed.
    unread: VecDeque<(u64, Part)>,
    /// Children to look at again and again: their group outlives them, or no event tells their end.
    watched: BTreeSet<u64>,
    terminals: BTreeSet<u64>,
    terminal_tick: Moment,
    census: Census,
    sweeping: BTreeSet<u64>,
    next_sweep: Moment,
    next_look: Moment,
    delayed: Vec<Delayed>,
    /// Children that nobody owns any more, kept until they are dead.
    orphans: BTreeMap<u64, Child>,
    /// The orphan that starts the watcher.
    watcher: Option<u64>,
    scratch: Box<[u8]>,
    /// Used again for the facts of one unit.
    news: VecDeque<Input>,
}

impl Reactor {
    pub(super) fn new(poll: Poll, inbox: Inbox, mark: Mark, containment: Containment) -> Self {
        let own = scan::process(std::process::id());
        Self {
            poll,
            inbox,
            mark,
            since: own.map_or(0, |process| process.start),
            containment,
            owners: HashMap::new(),
            units: HashMap::new(),
            keys: HashMap::new(),
            next_key: 0,
            facts: VecDeque::new(),
            timers: Timers::default(),
            unread: VecDeque::new(),
            watched: BTreeSet::new(),
            terminals: BTreeSet::new(),
            terminal_tick: Moment::default(),
            census: Census::default(),
            sweeping: BTreeSet::new(),
            next_sweep: Moment::default(),
            next_look: Moment::default(),
            delayed: Vec::new(),
            orphans: BTreeMap::new(),
            watcher: None,
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            news: VecDeque::new(),
        }
    }

    /// Runs for the rest of the program.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            let timeout = self.timeout();
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "the engine cannot wait for its children");
                return;
            }
            for event in &events {
                if event.token() != WAKER {
                    let (key, part) = part_of(event.token());
                    let ended = event.is_read_closed() || event.is_error();
                    self.ready(key, part, ended);
                }
            }
            for (key, part) in std::mem::take(&mut self.unread) {
                self.ready(key, part, true);
            }
            self.take_commands();
            self.fire_timers();
            self.look_again();
            self.deliver();
            self.sweep();
            self.deliver();
        }
    }

    /// How long nothing has to be done, if nothing happens.
    fn timeout(&self) -> Option<Duration> {
        if !self.unread.is_empty() || !self.facts.is_empty() {
            return Some(Duration::ZERO);
        }
        let mut next = self.timers.next();
        let mut at_latest = |moment| next = Some(next.map_or(moment, |next| next.min(moment)));
        if !self.watched.is_empty() || !self.delayed.is_empty() {
            at_latest(self.next_look);
        }
        if !self.sweeping.is_empty() {
            at_latest(self.next_sweep);
        }
        if !self.terminals.is_empty() {
            at_latest(self.terminal_tick);
        }
        next.map(|next| next.since(clock::now()))
    }

    fn ready(&mut self, key: u64, part: Part, ended: bool) {
        let Some(live) = self.units.get_mut(&key) else {
            if let Some(child) = self.orphans.get_mut(&key)
                && let Some(exit) = child.try_exit()
            {
                child.release();
                self.orphans.remove(&key);
                if self.watcher == Some(key) {
                    self.containment.report_start(exit);
                }
            }
            return;
        };
        let more = live
            .unit
            .ready(part, ended, &mut self.scratch, &mut self.news);
        self.facts
            .extend(self.news.drain(..).map(|fact| (live.owner, fact)));
        if more {
            self.unread.push_back((key, part));
        }
        if part == Part::Exit && live.unit.exit_reported {
            self.terminals.remove(&key);
            if live.unit.group_lives {
                self.watch(key);
            }
        }
    }

    fn watch(&mut self, key: u64) {
        if self.watched.is_empty() && self.delayed.is_empty() {
            self.next_look = clock::now() + LOOK_AGAIN;
        }
        self.watched.insert(key);
    }

    /// Looks at what no event tells.
    fn look_again(&mut self) {
        let now = clock::now();
        if !self.terminals.is_empty() && now >= self.terminal_tick {
            self.terminal_tick = now + TERMINAL_TICK;
            for key in &self.terminals {
                if let Some(live) = self.units.get_mut(key) {
                    live.unit.tick();
                }
            }
        }
        if (self.watched.is_empty() && self.delayed.is_empty()) || now < self.next_look {
            return;
        }
        self.next_look = now + LOOK_AGAIN;
        for key in self.watched.clone() {
            if self
                .units
                .get(&key)
                .is_some_and(|live| !live.unit.exit_reported)
            {
                self.ready(key, Part::Exit, true);
            }
            let done = match self.units.get_mut(&key) {
                Some(live) => {
                    live.unit.look_at_group(&mut self.census, &mut self.news);
                    self.facts
                        .extend(self.news.drain(..).map(|fact| (live.owner, fact)));
                    !live.unit.group_lives
                }
                None => match self.orphans.get_mut(&key) {
                    Some(_) => {
                        self.ready(key, Part::Exit, true);
                        !self.orphans.contains_key(&key)
                    }
                    None => true,
                },
            };
            if done {
                self.watched.remove(&key);
            }
        }
        for delayed in std::mem::take(&mut self.delayed) {
            self.start(delayed);
        }
    }

    fn take_commands(&mut self) {
        let commands =
            std::mem::take(&mut *self.inbox.lock().unwrap_or_else(PoisonError::into_inner));
        for command in commands {
            self.obey(command);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::AddPool {
                owner,
                max_workers,
                sink,
            } => {
                self.owners
                    .insert(owner, Owner::Pool(Some(Driver::new(max_workers)), sink));
            }
            Command::AddOwner { owner, sink } => {
                self.owners.insert(owner, Owner::Other(sink));
            }
            Command::Remove { owner } => self.remove(owner),
            Command::Contain(answer) => {
                self.contain();
                // Whoever asked may have been interrupted meanwhile.
                let _ = answer.send(self.containment.reach());
            }
            Command::Submit { owner, unit, spec } => {
                self.deliver();
                self.with_driver(owner, |driver, processes| {
                    driver.submit(processes, unit, spec)
                });
                self.deliver();
            }
            Command::Wish { owner, input } => self.facts.push_back((owner, input)),
            Command::Spawn {
                owner,
                unit,
                spec,
                captured,
            } => {
                self.start(Delayed {
                    owner,
                    unit,
                    spec,
                    captured,
                    tries: 0,
                });
            }
            Command::Signal {
                owner,
                unit,
                signal,
            } => self.signal(owner, unit, signal),
            Command::Sweep { owner, unit } => self.request_sweep(owner, unit),
            Command::Reap { owner, unit } => {
                self.release(owner, unit);
            }
            Command::Timer { owner, unit, at } => self.timers.set((owner, unit), at),
        }
    }

    fn remove(&mut self, owner: OwnerId) {
        self.owners.remove(&owner);
        self.delayed.retain(|delayed| delayed.owner != owner);
        let units: Vec<UnitId> = self
            .keys
            .keys()
            .filter(|(of, _)| *of == owner)
            .map(|(_, unit)| *unit)
            .collect();
        let mut marks = Vec::new();
        for unit in units {
            self.signal(owner, unit, GroupSignal::Kill);
            self.timers.set((owner, unit), None);
            if let Some(live) = self.live(owner, unit) {
                live.unit.clear_group();
                marks.push(live.unit.mark.clone());
            }
            self.release(owner, unit);
        }
        if !marks.is_empty() {
            scan::kill_marked(&marks, self.since);
        }
    }

    /// Hands facts to their owners until there are none.
    fn deliver(&mut self) {
        while let Some((owner, input)) = self.facts.pop_front() {
            match self.owners.get_mut(&owner) {
                Some(Owner::Other(sink)) => sink(input),
                Some(Owner::Pool(..)) => {
                    self.with_driver(owner, |driver, processes| driver.handle(processes, input));
                }
                None => {}
            }
        }
    }

    fn with_driver(
        &mut self,
        owner: OwnerId,
        work: impl FnOnce(&mut Driver, &mut Owned<'_>) -> Vec<UnitEvent>,
    ) {
        let Some(Owner::Pool(driver, _)) = self.owners.get_mut(&owner) else {
            return;
        };
        let Some(mut driver) = driver.take() else {
            return;
        };
        let events = work(
            &mut driver,
            &mut Owned {
                reactor: self,
                owner,
            },
        );
        if let Some(Owner::Pool(place, sink)) = self.owners.get_mut(&owner) {
            *place = Some(driver);
            events.into_iter().for_each(sink);
        }
    }

    /// Starts the watcher, unless it was.
    fn contain(&mut self) {
        if let Some(child) = self.containment.start() {
            self.adopt_watcher(child);
        }
    }

    fn start(&mut self, mut wish: Delayed) {
        self.contain();
        let key = self.next_key;
        self.next_key += 1;
        let (owner, id) = (wish.owner, wish.unit);
        let crowded = !self.units.is_empty();
        let last = limit::last(crowded);
        let (mark, group) = (self.mark.unit(key), self.containment.group_of_unit(key));
        match Unit::start(id, &wish.spec, mark, group, &wish.captured, last) {
            Ok(unit) => {
                let pid = unit.child.pid();
                limit::restore_in(pid);
                let complete = self.register(key, &unit);
                if unit.has_terminal() {
                    if self.terminals.is_empty() {
                        self.terminal_tick = clock::now() + TERMINAL_TICK;
                    }
                    self.terminals.insert(key);
                }
                self.units.insert(
                    key,
                    Live {
                        owner,
                        unit,
                        captured: wish.captured,
                    },
                );
                self.keys.insert((owner, id), key);
                self.facts
                    .push_back((owner, Input::Spawned { unit: id, pid }));
                if !complete {
                    self.watch(key);
                }
            }
            Err(Refusal::Error(SpawnError::Resources { errno }))
                if errno == Errno::MFILE.raw_os_error() && limit::raise() =>
            {
                self.start(wish);
            }
            Err(Refusal::Busy) if wish.tries < BUSY_TRIES => {
                wish.tries += 1;
                if self.delayed.is_empty() && self.watched.is_empty() {
                    self.next_look = clock::now() + LOOK_AGAIN;
                }
                self.delayed.push(wish);
            }
            Err(refusal) => {
                let error = match refusal {
                    Refusal::Error(error) => error,
                    Refusal::Busy => super::command::explain(Errno::TXTBSY, &wish.spec),
                };
                self.facts.push_back((
                    owner,
                    Input::SpawnFailed {
                        unit: id,
                        error,
                        crowded,
                    },
                ));
            }
        }
    }

    /// Asks to be told about a unit's descriptors; false where its end will not be told.
    fn register(&self, key: u64, unit: &Unit) -> bool {
        let mut complete = unit.child.pidfd().is_some();
        for (part, descriptor) in unit.descriptors() {
            let interest = match part {
                Part::Input if unit.feeds_bytes() => Interest::WRITABLE,
                _ => Interest::READABLE,
            };
            let raw = descriptor.as_raw_fd();
            let mut source = SourceFd(&raw);
            complete &= self
                .poll
                .registry()
                .register(&mut source, token(key, part), interest)
                .is_ok();
        }
        complete
    }

    /// Keeps the child that starts the watcher until it has ended.
    fn adopt_watcher(&mut self, mut child: Child) {
        if let Some(exit) = child.try_exit() {
            child.release();
            self.containment.report_start(exit);
            return;
        }
        let key = self.next_key;
        self.next_key += 1;
        let told = child.pidfd().is_some_and(|pidfd| {
            let raw = pidfd.as_raw_fd();
            let mut source = SourceFd(&raw);
            let token = token(key, Part::Exit);
            self.poll
                .registry()
                .register(&mut source, token, Interest::READABLE)
                .is_ok()
        });
        self.orphans.insert(key, child);
        self.watcher = Some(key);
        if !told {
            self.watch(key);
        }
    }

    fn live(&self, owner: OwnerId, unit: UnitId) -> Option<&Live> {
        self.units.get(self.keys.get(&(owner, unit))?)
    }

    fn signal(&mut self, owner: OwnerId, unit: UnitId, signal: GroupSignal) {
        if let Some(live) = self.live(owner, unit) {
            live.unit.signal(signal);
        }
    }

    fn request_sweep(&mut self, owner: OwnerId, unit: UnitId) {
        match self.keys.get(&(owner, unit)) {
            Some(key) => {
                self.sweeping.insert(*key);
            }
            None => self.facts.push_back((owner, Input::Swept { unit })),
        }
    }

    /// One look through all processes for all units that are being swept.
    fn sweep(&mut self) {
        let begun = clock::now();
        if self.sweeping.is_empty() || begun < self.next_sweep {
            return;
        }
        let mut units = Vec::with_capacity(self.sweeping.len());
        let mut marks = Vec::with_capacity(self.sweeping.len());
        for key in &self.sweeping {
            if let Some(live) = self.units.get(key) {
                let was_populated = live.unit.clear_group();
                units.push((*key, live.owner, live.unit.id, was_populated));
                marks.push(live.unit.mark.clone());
            }
        }
        self.sweeping.clear();
        let alive = scan::kill_marked(&marks, self.since);
        for ((key, owner, unit, was_populated), alive) in units.into_iter().zip(alive) {
            if alive || was_populated {
                self.sweeping.insert(key);
            } else {
                self.facts.push_back((owner, Input::Swept { unit }));
            }
        }
        // A machine full of processes takes a while to look through: never more than a fifth of
        // the time.
        let ended = clock::now();
        self.next_sweep = ended + LOOK_AGAIN.max(ended.since(begun) * 4);
    }

    fn release(&mut self, owner: OwnerId, unit: UnitId) -> Captured {
        let Some(key) = self.keys.remove(&(owner, unit)) else {
            return Captured::default();
        };
        self.watched.remove(&key);
        self.terminals.remove(&key);
        self.sweeping.remove(&key);
        let Some(live) = self.units.remove(&key) else {
            return Captured::default();
        };
        let child = live.unit.release(&mut self.scratch);
        self.keep_until_dead(key, child);
        live.captured
    }

    /// A child that not even KILL ended at once stays under its key, whose events still come.
    fn keep_until_dead(&mut self, key: u64, mut child: Child) {
        if child.try_exit().is_some() {
            child.release();
        } else {
            let told = child.pidfd().is_some();
            self.orphans.insert(key, child);
            if !told {
                self.watch(key);
            }
        }
    }

    fn fire_timers(&mut self) {
        let now = clock::now();
        while let Some((owner, unit)) = self.timers.take_due(now) {
            self.facts.push_back((owner, Input::Timer { unit }));
        }
    }
}

fn token(key: u64, part: Part) -> Token {
    let part = match part {
        Part::Output(OutputStream::Stdout) => 0,
        Part::Output(OutputStream::Stderr) => 1,
        Part::Input => 2,
        Part::Exit => 3,
    };
    Token(usize::try_from(key * 4 + part).unwrap_or(0))
}

fn part_of(token: Token) -> (u64, Part) {
    let part = match token.0 % 4 {
        0 => Part::Output(OutputStream::Stdout),
        1 => Part::Output(OutputStream::Stderr),
        2 => Part::Input,
        _ => Part::Exit,
    };
    (token.0 as u64 / 4, part)
}
