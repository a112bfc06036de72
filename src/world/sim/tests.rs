//! Seeds against rules: whatever happens, an orchestration keeps its promises.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Crash, Hostility, SimWorld};
use crate::error::Error;
use crate::forge::MarkerKind;
use crate::run::driver::{Driver, Outcome};
use crate::run::event::{Event, EventKind};
use crate::run::facts::tests_support::{self, spec};
use crate::run::facts::{Settings, Start};
use crate::run::journal;
use crate::run::operation::Site;
use crate::run::record::Body;
use crate::run::resumption::{Resumption, Which};
use crate::run::state::State;
use crate::run::summary::{Summary, TaskStatus};

/// What is run in a world: as random as the world itself.
fn start(seed: u64) -> Start {
    let mut chance = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let tasks = (1..=chance.u32(1..=12)).map(|agent| spec(agent, &format!("key{agent}")));
    let mut start = tests_support::start(tasks.collect());
    start.remote = chance.bool().then(|| "origin".to_owned());
    start.settings = Settings {
        max_workers: chance.usize(1..=6),
        batch_size: chance.bool().then(|| chance.usize(1..=5)),
        // An agent that hangs ends only by a time limit.
        timeout: (hostility(seed).process > 0 || chance.bool()).then_some(600.0),
        threshold: chance.u8(0..=100),
        setup: chance.bool().then(|| "make setup".to_owned()),
        verify: chance.bool().then(|| "make test".to_owned()),
        keep_worktrees: chance.bool(),
        agent: chance
            .choice(["claude", "scripted-agent"])
            .unwrap()
            .to_owned(),
        ..start.settings
    };
    start
}

fn hostility(seed: u64) -> Hostility {
    let mut chance = fastrand::Rng::with_seed(seed ^ 0xbad);
    let mut once_in = |options: &[u64]| options[chance.usize(0..options.len())];
    Hostility {
        process: once_in(&[0, 2, 4, 20]),
        idle: once_in(&[0, 3, 10]),
        git: once_in(&[0, 10, 40]),
        forge: once_in(&[0, 0, 15, 60]),
        answer: once_in(&[0, 0, 8, 30]),
        disk: once_in(&[0, 0, 0, 2]),
        interrupt: once_in(&[0, 0, 1]),
        crash: once_in(&[0, 1, 1, 2]),
        limit: once_in(&[0, 3, 10]),
        room: once_in(&[0, 0, 1]),
    }
}

fn world(seed: u64, start: &Start) -> SimWorld {
    let mut world = SimWorld::new(seed, hostility(seed), start.settings.max_workers);
    world.verifies = start.settings.verify.is_some();
    world
}

/// How one program came to its end.
enum End {
    /// By itself.
    Outcome(Box<Result<Outcome, Error>>),
    /// It was killed.
    Killed,
}

/// One program: it begins, or takes up what the journal tells.
fn program(world: &mut SimWorld, start: &Start, which: Option<Which>) -> End {
    let site = Site::for_simulation(start);
    let records = journal::read(world.journal.as_bytes()).map(|read| {
        world.journal.truncate(read.good_bytes);
        world.synced = world.journal.len();
        read.records
    });
    let records = records.unwrap_or_else(|corrupt| panic!("{corrupt}"));
    let driver = move || {
        if let (Some(state), Some(which)) = (State::replay(&records), which) {
            let resumption = Resumption {
                retry: which == Which::Failed,
                tasks: state.reruns(which),
                successful: state.tasks.iter().filter(|task| task.succeeded()).count(),
                total: state.tasks.len(),
                settings: start.settings.clone(),
                engine: String::new(),
            };
            let seq = records.last().map_or(0, |record| record.seq);
            return Driver::resume(world, site, state, seq, resumption);
        }
        world.journal.clear();
        world.synced = 0;
        Driver::begin(world, site, start.clone(), Vec::new())
    };
    let run = AssertUnwindSafe(|| driver().and_then(Driver::run));
    match catch_unwind(run) {
        Ok(outcome) => End::Outcome(Box::new(outcome)),
        Err(cause) if cause.is::<Crash>() => End::Killed,
        Err(cause) => resume_unwind(cause),
    }
}

/// How often a program is killed before its world lets it live.
const MOST_CRASHES: u32 = 12;

/// One orchestration in one world, through all crashes; the broken rules, and how many programs
/// it took.
fn run(seed: u64) -> (Vec<String>, u64) {
    let start = start(seed);
    let mut world = world(seed, &start);
    let mut programs = 1;
    let mut end = program(&mut world, &start, None);
    while matches!(end, End::Killed) {
        let mut hostility = hostility(seed);
        if world.reboots >= MOST_CRASHES {
            hostility.crash = 0;
        }
        world.reboot(hostility);
        programs += 1;
        end = program(&mut world, &start, Some(Which::BrokenOff));
    }
    let End::Outcome(outcome) = end else {
        unreachable!("it is not killed any more")
    };
    let mut broken = judge(&world, &start, seed, *outcome);
    broken.extend(mend(&mut world, &start));
    (broken, programs)
}

/// What the last program left, against the rules.
fn judge(
    world: &SimWorld,
    start: &Start,
    seed: u64,
    outcome: Result<Outcome, Error>,
) -> Vec<String> {
    let mut broken = world.violations();
    let mut rule = |kept: bool, text: String| {
        if !kept {
            broken.push(text);
        }
    };
    rule(
        world
            .events
            .windows(2)
            .all(|pair| pair[0].seq < pair[1].seq),
        "events out of order".to_owned(),
    );
    let read = match journal::read(world.journal.as_bytes()) {
        Ok(read) => read,
        Err(corrupt) => return vec![corrupt.to_string()],
    };
    match outcome {
        Err(error) => {
            let expected =
                world.disk_fails() || hostility(seed).forge > 0 || world.lost_answers > 0;
            rule(expected, format!("broke without a cause: {error}"));
            let told = matches!(
                world.events.last(),
                Some(Event {
                    kind: EventKind::Error { .. },
                    ..
                })
            );
            rule(
                told || world.journal.is_empty(),
                "broke without a last word".to_owned(),
            );
        }
        Ok(outcome) => {
            rule(!read.torn, "torn without a crash".to_owned());
            rule(
                world.synced == world.journal.len(),
                "ended before all was on disk".to_owned(),
            );
            match State::replay(&read.records) {
                None => rule(false, "the journal has no start".to_owned()),
                Some(state) => {
                    rule(
                        state.finished == Some(outcome.exit_code),
                        "the journal replays to another end".to_owned(),
                    );
                    rule(
                        state.summary() == outcome.summary,
                        "the journal replays to another summary".to_owned(),
                    );
                }
            }
            let last = world.events.last().map(|event| &event.kind);
            rule(
                matches!(last, Some(EventKind::OrchestrationFinished { exit_code, .. }) if *exit_code == outcome.exit_code),
                "the last event is not the end".to_owned(),
            );
            broken.extend(truthful(world, start, &outcome.summary));
        }
    }
    if world.reboots == 0 {
        let mut ended = BTreeSet::new();
        for record in &read.records {
            if let Body::TaskEnded { agent, .. } = record.body
                && !ended.insert(agent)
            {
                broken.push(format!("Agent-{agent} ended twice"));
            }
        }
    }
    broken
}

/// How many retries may be needed in a kind world: what an agent had finished before stands, and
/// may turn out to be nothing.
const MOST_RETRIES: usize = 2;

/// Once the world has turned kind, retrying brings everything to a good end.
fn mend(world: &mut SimWorld, start: &Start) -> Vec<String> {
    // Some simulated work takes longer than its limit.
    let mut start = start.clone();
    start.settings.timeout = None;
    let mut errors = Vec::new();
    for _ in 0..MOST_RETRIES {
        world.reboot(Hostility::KIND);
        let before = world.processes.violations.len();
        let End::Outcome(outcome) = program(world, &start, Some(Which::Failed)) else {
            return vec!["a kind world kills".to_owned()];
        };
        let Ok(outcome) = *outcome else {
            return vec!["a retry in a kind world broke".to_owned()];
        };
        let mut broken = world.processes.violations.split_off(before);
        broken.extend(truthful(world, &start, &outcome.summary));
        if !broken.is_empty() || outcome.exit_code == 0 {
            return broken;
        }
        let tasks = outcome.summary.tasks.iter();
        errors = tasks
            .filter_map(|task| Some(format!("{}: {}", task.agent_id, task.error.as_ref()?)))
            .collect();
    }
    vec![format!("retries in a kind world do not end: {errors:?}")]
}

/// Whether the summary says what the world knows to be true.
fn truthful(world: &SimWorld, start: &Start, summary: &Summary) -> Vec<String> {
    let mut broken = Vec::new();
    let interrupted = summary.exit_code == 130;
    for task in &summary.tasks {
        let key = Some(format!("key{}", task.agent));
        let pull = world.forge.get(&(key.clone(), MarkerKind::Pull));
        let diagnostic = world.forge.get(&(key, MarkerKind::Diagnostic));
        let truth = world.truth.get(&task.agent).cloned().unwrap_or_default();
        let succeeded = task.status == TaskStatus::Completed;
        let who = &task.agent_id;
        if succeeded {
            if truth.commits == 0 {
                broken.push(format!("{who} succeeded without a commit"));
            }
            if start.settings.verify.is_some() && truth.verified != Some(true) {
                broken.push(format!("{who} succeeded without verification"));
            }
            if pull.is_none() {
                broken.push(format!("{who} succeeded without a change request"));
            }
        } else if task.error.is_none() {
            broken.push(format!("{who} failed without a reason"));
        }
        if pull.is_some() && truth.verified == Some(false) && start.settings.verify.is_some() {
            broken.push(format!("{who} was published although verification failed"));
        }
        // What was filed in the moment of a crash, or without an answer, may not be known, where
        // asking anew failed; but nothing is named that is not there.
        let may_lag = world.reboots > 0 || world.lost_answers > 0;
        let lags = |known: Option<u64>| may_lag && known.is_none();
        if !lags(task.pr_number) && pull.map(|filed| filed.number) != task.pr_number {
            broken.push(format!(
                "{who}: the summary has another change request than the forge"
            ));
        }
        if !lags(task.follow_up_issue)
            && diagnostic.map(|filed| filed.number) != task.follow_up_issue
        {
            broken.push(format!(
                "{who}: the summary has another diagnostic issue than the forge"
            ));
        }
        if succeeded && diagnostic.is_some() {
            broken.push(format!("{who} succeeded and has a diagnostic issue"));
        }
        let may_start_again = world.reboots > 0 || start.settings.agent == "claude";
        if !interrupted && !may_start_again && truth.starts > 1 {
            broken.push(format!("{who} was started {} times", truth.starts));
        }
    }
    if summary.successful + summary.failed != summary.total_sub_tasks {
        broken.push("the counts do not add up".to_owned());
    }
    let rate = summary.successful * 100;
    let expected = match summary.successful {
        _ if interrupted => 130,
        n if n == summary.total_sub_tasks => 0,
        0 => 2,
        _ if rate >= usize::from(start.settings.threshold) * summary.total_sub_tasks => 1,
        _ => 2,
    };
    if summary.exit_code != expected {
        broken.push(format!(
            "exit code {} where {expected} follows",
            summary.exit_code
        ));
    }
    broken
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATION_SEEDS").unwrap_or(1_000),
    }
}

/// The first seed that breaks a rule, and which ones. All processors take seeds in turn.
fn first_broken(
    seeds: std::ops::Range<u64>,
    run: impl Fn(u64) -> Vec<String> + Sync,
) -> Option<(u64, Vec<String>)> {
    let next = AtomicU64::new(seeds.start);
    let first = Mutex::new(None);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            let broken = catch_unwind(AssertUnwindSafe(|| run(seed)))
                .unwrap_or_else(|_| vec!["it panicked".to_owned()]);
            if !broken.is_empty() {
                // Those before it are at work already.
                next.store(seeds.end, Ordering::Relaxed);
                let mut first = first.lock().unwrap();
                if first.as_ref().is_none_or(|(known, _)| seed < *known) {
                    *first = Some((seed, broken));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    first.into_inner().unwrap()
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the rate is for people; no seed sees this clock"
)]
fn simulation_keeps_every_promise_for_every_seed() {
    let began = std::time::Instant::now();
    let seeds = seeds();
    let count = seeds.end - seeds.start;
    let programs = AtomicU64::new(0);
    let broken = first_broken(seeds, |seed| {
        let (broken, took) = run(seed);
        programs.fetch_add(took, Ordering::Relaxed);
        broken
    });
    if let Some((seed, broken)) = broken {
        panic!("seed {seed} breaks: {broken:#?}\nreplay it with SIMULATION_SEED={seed}");
    }
    let programs = programs.into_inner();
    let rate = count as f64 / began.elapsed().as_secs_f64();
    let line = format!(
        "{count} seeds kept every promise, through {} crashes: {rate:.0} seeds a second\n",
        programs - count
    );
    // Past the harness, which keeps what a test that passes prints to itself.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

#[test]
fn simulation_names_the_first_seed_that_breaks() {
    let broken = |seed| match seed {
        41 | 77 => vec!["a rule".to_owned()],
        _ => Vec::new(),
    };
    assert_eq!(first_broken(0..100, broken), Some((41, broken(41))));
    assert_eq!(first_broken(42..77, broken), None);
}

#[test]
fn simulation_of_one_seed_gives_the_same_journal_twice() {
    for seed in 0..20 {
        let journal = || {
            let start = start(seed);
            let mut world = world(seed, &start);
            let _ = program(&mut world, &start, None);
            world.journal
        };
        assert_eq!(journal(), journal(), "seed {seed}");
    }
}

#[test]
fn simulation_meets_every_kind_of_end() {
    let mut ends = BTreeSet::new();
    for seed in 0..300 {
        let start = start(seed);
        let mut world = world(seed, &start);
        if let End::Outcome(outcome) = program(&mut world, &start, None) {
            ends.insert(outcome.map_or_else(|error| error.exit_code(), |done| done.exit_code));
        } else {
            ends.insert(u8::MAX);
        }
    }
    assert_eq!(ends, BTreeSet::from([0, 1, 2, 5, 9, 130, u8::MAX]));
}

#[test]
fn simulation_of_a_narrow_machine_fails_no_task_for_want_of_room() {
    let mut refusals = 0;
    for seed in 0..60 {
        let narrow = Hostility {
            room: 1,
            ..Hostility::KIND
        };
        let mut start = start(seed);
        start.settings.timeout = None;
        let mut world = SimWorld::new(seed, narrow, start.settings.max_workers);
        let End::Outcome(outcome) = program(&mut world, &start, None) else {
            panic!("a kind world kills")
        };
        let summary = outcome.unwrap().summary;
        assert_eq!(summary.successful, summary.total_sub_tasks, "seed {seed}");
        refusals += world.refusals();
    }
    assert!(refusals > 60, "met {refusals} times");
}

#[test]
fn simulation_logs_floods() {
    let flooded = (0..60).any(|seed| {
        let start = start(seed);
        let mut world = world(seed, &start);
        let _ = program(&mut world, &start, None);
        world.logged.values().any(|bytes| *bytes > 60_000)
    });
    assert!(flooded, "no agent's flood reached its log");
}
