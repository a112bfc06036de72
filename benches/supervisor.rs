//! What supervision costs, as ratios to a bare loop over the same children in the same run.
//!
//! The floor is the standard library's `posix_spawn` with two pipes and a log file each, and a
//! window of as many children as the pool has workers; it reads, waits, and does nothing else.
//! Sides are interleaved, and medians quoted. Run with `cargo bench --bench supervisor`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark that fails has no result"
)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use orchestration::supervisor::{
    CancelReason, Capture, Finished, Pool, Stdin, UnitEvent, UnitSpec,
};
use rustix::time::{ClockId, clock_gettime};

const CHILDREN: usize = 500;
const WORKERS: usize = 16;
const ROUNDS: usize = 5;

/// CPU time of this process and wall time, in milliseconds.
#[derive(Clone, Copy)]
struct Cost {
    cpu: f64,
    wall: f64,
}

fn millis(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

fn measure(work: impl FnOnce()) -> Cost {
    let (cpu, wall) = (millis(ClockId::ProcessCPUTime), millis(ClockId::Monotonic));
    work();
    Cost {
        cpu: millis(ClockId::ProcessCPUTime) - cpu,
        wall: millis(ClockId::Monotonic) - wall,
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn medians(costs: &[Cost]) -> Cost {
    Cost {
        cpu: median(costs.iter().map(|cost| cost.cpu).collect()),
        wall: median(costs.iter().map(|cost| cost.wall).collect()),
    }
}

fn bare(program: &str) -> Child {
    #[expect(clippy::disallowed_methods, reason = "the floor to compare with")]
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn finish_bare((mut child, mut log): (Child, File)) {
    let mut output = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut output)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_end(&mut output)
        .unwrap();
    log.write_all(&output).unwrap();
    child.wait().unwrap();
}

fn floor(folder: &Path) {
    let mut window = std::collections::VecDeque::new();
    for number in 0..CHILDREN {
        if window.len() == WORKERS {
            finish_bare(window.pop_front().unwrap());
        }
        let log = File::create(folder.join(format!("floor-{number}.log"))).unwrap();
        window.push_back((bare("/bin/true"), log));
    }
    window.into_iter().for_each(finish_bare);
}

fn finished(pool: &Pool) -> Vec<Finished> {
    std::iter::from_fn(|| pool.next(None))
        .filter_map(|event| match event {
            UnitEvent::Finished(finished) => Some(finished),
            _ => None,
        })
        .collect()
}

fn pool(folder: &Path, stdin: &Stdin) {
    let pool = Pool::new(NonZeroUsize::new(WORKERS)).unwrap();
    for number in 0..CHILDREN {
        let capture = Capture {
            tee: Some(folder.join(format!("pool-{number}.log"))),
            mirror: false,
        };
        let stdin = stdin.clone();
        pool.submit(UnitSpec {
            stdin,
            capture,
            ..UnitSpec::new("/bin/true")
        })
        .unwrap();
    }
    assert_eq!(finished(&pool).len(), CHILDREN);
}

fn churn(folder: &Path) {
    let (mut floors, mut nulls, mut terminals) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floors.push(measure(|| floor(folder)));
        nulls.push(measure(|| pool(folder, &Stdin::Null)));
        terminals.push(measure(|| pool(folder, &Stdin::Terminal)));
    }
    let floor = medians(&floors);
    println!("{CHILDREN} children that exit at once, {WORKERS} at a time");
    for (name, cost) in [
        ("bare loop", floor),
        ("pool, no input", medians(&nulls)),
        ("pool, terminal", medians(&terminals)),
    ] {
        println!(
            "  {name:<16} {:7.1} ms CPU ({:4.2} x floor)  {:7.1} ms wall ({:4.2} x floor)",
            cost.cpu,
            cost.cpu / floor.cpu,
            cost.wall,
            cost.wall / floor.wall,
        );
    }
}

fn resident_kib(field: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn silence() {
    let (children, seconds) = (300, 10);
    let before = resident_kib("VmRSS");
    let pool = Pool::new(None).unwrap();
    for _ in 0..children {
        let stdin = Stdin::Terminal;
        pool.submit(UnitSpec {
            stdin,
            ..UnitSpec::new("sleep").args(["60"])
        })
        .unwrap();
    }
    let mut started = 0;
    while started < children {
        started += usize::from(matches!(pool.next(None), Some(UnitEvent::Started { .. })));
    }
    let grown = resident_kib("VmRSS") - before;
    let cost = measure(|| assert!(pool.next(Some(Duration::from_secs(seconds))).is_none()));
    println!(
        "{children} silent children with terminals for {seconds} s: {:.1} ms CPU, {:.1} KiB each, {} threads",
        cost.cpu,
        grown / children as f64,
        fs::read_dir("/proc/self/task").unwrap().count(),
    );
    let ending = measure(|| {
        pool.cancel(CancelReason::Interrupted);
        finished(&pool);
    });
    println!(
        "  all cancelled in {:.1} ms wall, {:.1} ms CPU",
        ending.wall, ending.cpu
    );
}

fn latency() {
    let (mut bares, mut pools) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        #[expect(clippy::disallowed_methods, reason = "the floor to compare with")]
        let mut command = Command::new("sleep");
        let mut child = command.arg("60").stdout(Stdio::piped()).spawn().unwrap();
        bares.push(measure(|| {
            child.kill().unwrap();
            child
                .stdout
                .take()
                .unwrap()
                .read_to_end(&mut Vec::new())
                .unwrap();
            child.wait().unwrap();
        }));

        let pool = Pool::new(None).unwrap();
        pool.submit(UnitSpec::new("sleep").args(["60"])).unwrap();
        let Some(UnitEvent::Started { pid, .. }) = pool.next(None) else {
            panic!("not started")
        };
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        pools.push(measure(|| {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            assert!(pool.next(None).is_some());
        }));
    }
    let (bare, pool) = (medians(&bares), medians(&pools));
    println!(
        "from a child's death to its result: {:.3} ms, bare {:.3} ms ({:.2} x)",
        pool.wall,
        bare.wall,
        pool.wall / bare.wall,
    );
}

fn flood() {
    for (children, megabytes) in [(1_usize, 200_usize), (16, 20)] {
        let before = resident_kib("VmHWM");
        let script = format!("head -c {megabytes}000000 /dev/zero");
        let cost = measure(|| {
            let pool = Pool::new(None).unwrap();
            for _ in 0..children {
                pool.submit(UnitSpec::new("sh").args(["-c", script.as_str()]))
                    .unwrap();
            }
            let all = finished(&pool);
            let total: u64 = all
                .iter()
                .map(|finished| finished.captured.stdout.len())
                .sum();
            assert_eq!(total, (children * megabytes) as u64 * 1_000_000);
        });
        println!(
            "{megabytes} MB from each of {children}: {:.0} ms CPU, {:.0} ms wall, peak memory +{:.1} MiB",
            cost.cpu,
            cost.wall,
            (resident_kib("VmHWM") - before) / 1024.0,
        );
    }
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    // The engine and its watcher are started before anything is timed.
    pool(folder.path(), &Stdin::Null);
    // First, since what was freed before would hide what is used.
    silence();
    churn(folder.path());
    latency();
    flood();
}
