//! What the supervisor promises about the whole process: its memory, descriptors, threads and
//! zombies. Each is looked at in a process of its own, where no other test opens or starts
//! anything: the tests proper are in [`alone`], and ignored unless asked for by name.

use crate::supervisor::{run, sh, stdout};
use orchestration::supervisor::{Outcome, UnitSpec};

/// Runs one test of [`alone`] and nothing else, with `ulimit` set before where that is given.
fn run_alone(name: &str, limit: &str) {
    let own = std::env::current_exe().unwrap();
    let script = format!(
        "{limit} exec '{}' --exact supervisor_alone::alone::{name} --ignored",
        own.display()
    );
    let finished = run(sh(&script));
    assert_eq!(finished.outcome, Outcome::Success, "{}", stdout(&finished));
    assert!(
        stdout(&finished).contains("1 passed"),
        "{}",
        stdout(&finished)
    );
}

#[test]
fn a_flood_is_captured_whole_without_filling_memory() {
    run_alone("one_flood", "");
}

#[test]
fn sixteen_floods_at_once_do_not_fill_memory_either() {
    run_alone("sixteen_floods", "");
}

#[test]
fn a_thousand_runs_leave_no_descriptor_and_no_zombie() {
    run_alone("a_thousand_runs", "");
}

#[test]
fn more_children_than_the_first_limit_of_descriptors_allows_can_live_at_once() {
    run_alone("few_descriptors", "ulimit -Sn 64;");
}

#[test]
fn children_that_there_are_no_descriptors_for_wait_for_others_and_leave_some_to_the_program() {
    run_alone("no_more_descriptors", "ulimit -n 64;");
}

#[test]
fn three_hundred_silent_children_take_one_thread_and_little_memory() {
    run_alone("silence", "");
}

mod alone {
    use std::fs;
    use std::num::NonZeroUsize;

    use orchestration::supervisor::{CancelReason, Pool, Stdin};

    use super::*;
    use crate::supervisor::{drain, wait_for_start};

    #[test]
    #[ignore = "needs a process of its own, which the tests above give it"]
    fn one_flood() {
        let before = kib("VmHWM");
        let finished = run(sh("head -c 200000000 /dev/zero | tr '\\0' x"));
        assert_eq!(finished.outcome, Outcome::Success);
        assert_eq!(finished.captured.stdout.len(), 200_000_000);
        let grown = kib("VmHWM").saturating_sub(before);
        assert!(grown < 16 * 1024, "memory grew by {grown} KiB");
        assert!(
            finished
                .captured
                .stdout
                .bytes()
                .iter()
                .all(|byte| *byte == b'x')
        );
    }

    #[test]
    #[ignore = "needs a process of its own, which the tests above give it"]
    fn sixteen_floods() {
        let before = kib("VmHWM");
        let pool = Pool::new(NonZeroUsize::new(16)).unwrap();
        for _ in 0..16 {
            pool.submit(sh("head -c 20000000 /dev/zero")).unwrap();
        }
        let all = drain(&pool);
        assert!(
            all.iter()
                .all(|finished| finished.captured.stdout.len() == 20_000_000)
        );
        let grown = kib("VmHWM").saturating_sub(before);
        assert!(grown < 32 * 1024, "memory grew by {grown} KiB");
    }

    #[test]
    #[ignore = "needs a process of its own, which the tests above give it"]
    fn a_thousand_runs() {
        let pool = Pool::new(NonZeroUsize::new(16)).unwrap();
        pool.submit(UnitSpec::new("true")).unwrap();
        drain(&pool);
        let before = descriptors();
        for round in 0..1_000 {
            let stdin = if round % 2 == 0 {
                Stdin::Terminal
            } else {
                Stdin::Null
            };
            pool.submit(UnitSpec {
                stdin,
                ..UnitSpec::new("/bin/true")
            })
            .unwrap();
        }
        let all = drain(&pool);
        assert_eq!(all.len(), 1_000);
        assert!(
            all.iter()
                .all(|finished| finished.outcome == Outcome::Success)
        );
        // The engine may have had one more in its hands when they were counted first.
        let left = descriptors();
        assert!(left <= before, "{left} descriptors, {before} before");
        assert_eq!(zombies(), Vec::<String>::new());
    }

    #[test]
    #[ignore = "needs a process of its own, which the tests above give it"]
    fn few_descriptors() {
        let pool = Pool::new(None).unwrap();
        for _ in 0..100 {
            pool.submit(UnitSpec {
                stdin: Stdin::Terminal,
                ..sh("sleep 1; ulimit -Sn")
            })
            .unwrap();
        }
        for finished in drain(&pool) {
            assert_eq!(finished.outcome, Outcome::Success);
            assert_eq!(stdout(&finished), "64\n");
        }
    }

    #[test]
    #[ignore = "needs a process of its own, which the tests above give it"]
    fn no_more_descriptors() {
        let pool = Pool::new(None).unwrap();
        // Another pool's child is refused as well while these live, and waits for their end.
        let other = Pool::new(None).unwrap();
        for _ in 0..50 {
            let stdin = Stdin::Terminal;
            let spec = UnitSpec {
                stdin,
                ..sh("sleep 0.1; ulimit -n")
            };
            pool.submit(spec).unwrap();
        }
        other.submit(UnitSpec::new("/bin/true")).unwrap();
        wait_for_start(&pool);
        let own: Vec<_> = (0..8).map(|_| fs::File::open("/dev/null")).collect();
        assert!(own.iter().all(Result::is_ok), "{own:?}");
        for finished in drain(&pool).into_iter().chain(drain(&other)) {
            assert_eq!(finished.outcome, Outcome::Success);
        }
    }

    #[test]
    #[ignore = "needs a process of its own, which the tests above give it"]
    fn silence() {
        let before = kib("VmRSS");
        let threads = || fs::read_dir("/proc/self/task").unwrap().count();
        let others = threads();
        let pool = Pool::new(None).unwrap();
        for _ in 0..300 {
            pool.submit(UnitSpec {
                stdin: Stdin::Terminal,
                ..sh("exec sleep 60")
            })
            .unwrap();
        }
        for _ in 0..300 {
            wait_for_start(&pool);
        }
        assert_eq!(threads(), others + 1);
        let each = kib("VmRSS").saturating_sub(before) / 300;
        assert!(each < 32, "{each} KiB for each silent child");
        pool.cancel(CancelReason::SecondSignal);
        assert_eq!(drain(&pool).len(), 300);
    }

    fn kib(field: &str) -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn descriptors() -> usize {
        fs::read_dir("/proc/self/fd").unwrap().count()
    }

    /// Dead children of this process that nobody reaped.
    fn zombies() -> Vec<String> {
        let own = std::process::id().to_string();
        let entries = fs::read_dir("/proc").unwrap();
        let stats =
            entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
        stats
            .filter(|stat| {
                let rest = stat.rsplit(')').next().unwrap_or_default();
                let mut fields = rest.split_whitespace();
                fields.next() == Some("Z") && fields.next() == Some(&own)
            })
            .collect()
    }
}
