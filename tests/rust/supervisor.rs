//! The supervisor with real processes: what it promises about children of every temper.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use orchestration::supervisor::{
    CancelReason, Capture, Driver, Exit, Finished, Input, Limits, Newlines, Outcome, Pool,
    Processes, RealProcesses, Stdin, UnitEvent, UnitId, UnitSpec, run_command,
};

/// A shell script as a unit.
pub(crate) fn sh(script: &str) -> UnitSpec {
    UnitSpec::new("/bin/sh").args(["-c", script])
}

pub(crate) fn run(spec: UnitSpec) -> Finished {
    run_command(spec).unwrap()
}

pub(crate) fn stdout(finished: &Finished) -> String {
    finished.captured.stdout.text(Newlines::Kept)
}

fn with_timeout(millis: u64, grace: u64, spec: UnitSpec) -> UnitSpec {
    let timeout = Some(Duration::from_millis(millis));
    let grace = Duration::from_millis(grace);
    UnitSpec {
        limits: Limits {
            timeout,
            grace,
            ..Limits::default()
        },
        ..spec
    }
}

/// Whether this process lives (a zombie does not).
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

/// Waits until a file has a whole line in it, and returns it.
fn line_of(path: &Path) -> String {
    eventually(|| {
        fs::read_to_string(path)
            .ok()
            .filter(|text| text.ends_with('\n'))
    })
}

fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1_000 {
        if let Some(found) = look() {
            return found;
        }
        run(sh("sleep 0.01"));
    }
    panic!("it did not happen within ten seconds");
}

pub(crate) fn drain(pool: &Pool) -> Vec<Finished> {
    let mut all = Vec::new();
    while let Some(event) = pool.next(None) {
        if let UnitEvent::Finished(finished) = event {
            all.push(finished);
        }
    }
    all
}

pub(crate) fn wait_for_start(pool: &Pool) -> u32 {
    loop {
        if let Some(UnitEvent::Started { pid, pgid, .. }) = pool.next(None) {
            assert_eq!(pid, pgid);
            return pid;
        }
    }
}

#[test]
fn a_child_ends_with_its_exit_code_and_its_two_streams_apart() {
    let finished = run(sh("echo out; echo err >&2; exit 3"));
    assert_eq!(finished.outcome, Outcome::Failed(3));
    assert_eq!(finished.exit_code(), 3);
    assert_eq!(stdout(&finished), "out\n");
    assert_eq!(finished.captured.stderr.bytes(), b"err\n");
}

#[test]
fn death_by_a_foreign_signal_is_told_from_an_exit() {
    let finished = run(sh("kill -9 $$"));
    assert_eq!(finished.outcome, Outcome::Signalled(9));
    assert_eq!(finished.exit_code(), -9);
}

#[test]
fn a_child_that_is_gone_before_anybody_waits_is_not_lost() {
    let pool = Pool::new(None).unwrap();
    pool.submit(UnitSpec::new("true")).unwrap();
    run(sh("sleep 0.2"));
    assert_eq!(drain(&pool)[0].outcome, Outcome::Success);
}

#[test]
fn a_missing_executable_and_a_missing_folder_are_told_apart() {
    let missing = run(UnitSpec::new("no-such-agent"));
    let Outcome::SpawnError(error) = missing.outcome else {
        panic!("{missing:?}")
    };
    assert_eq!(
        error.to_string(),
        "[Errno 2] No such file or directory: 'no-such-agent'"
    );
    let missing = run(UnitSpec {
        working_dir: Some("/no/such".into()),
        ..sh("true")
    });
    let Outcome::SpawnError(error) = missing.outcome else {
        panic!("{missing:?}")
    };
    assert_eq!(
        error.to_string(),
        "[Errno 2] No such file or directory: '/no/such'"
    );
    let missing = run(UnitSpec::new("/bin/no-such"));
    let Outcome::SpawnError(error) = missing.outcome else {
        panic!("{missing:?}")
    };
    assert_eq!(
        error.to_string(),
        "[Errno 2] No such file or directory: '/bin/no-such'"
    );
    assert_eq!(missing.times.started, None);
}

#[test]
fn a_nul_in_an_argument_is_a_result_with_pythons_words() {
    let finished = run(UnitSpec::new("echo").args(["a\0b"]));
    let Outcome::SpawnError(error) = finished.outcome else {
        panic!("{finished:?}")
    };
    assert_eq!(error.to_string(), "embedded null byte");
}

#[test]
fn a_prompt_longer_than_an_argument_may_be_goes_through_standard_input() {
    let prompt = b"0123456789abcdef".repeat(64 * 1024);
    let stdin = Stdin::Bytes(prompt.clone());
    let finished = run(UnitSpec {
        stdin,
        ..UnitSpec::new("cat")
    });
    assert_eq!(finished.captured.stdout.bytes(), prompt);
}

#[test]
fn a_child_that_never_reads_its_input_ends_all_the_same() {
    let stdin = Stdin::Bytes(vec![b'x'; 1 << 20]);
    let finished = run(UnitSpec {
        stdin,
        ..sh("exit 0")
    });
    assert_eq!(finished.outcome, Outcome::Success);
}

#[test]
fn a_terminal_answers_questions_with_empty_lines_and_never_ends() {
    let script = "test -t 0 && echo tty; read a; read b; read c; echo \"[$a$b$c]\"";
    let finished = run(UnitSpec {
        stdin: Stdin::Terminal,
        ..sh(script)
    });
    assert_eq!(stdout(&finished), "tty\n[]\n");
    let spec = UnitSpec {
        stdin: Stdin::Terminal,
        ..UnitSpec::new("cat")
    };
    let finished = run(with_timeout(700, 100, spec));
    assert_eq!(finished.outcome, Outcome::TimedOut);
    let lines = finished.captured.stdout.len();
    assert!(
        (2..=8).contains(&lines),
        "one line every 100 ms, but there were {lines}"
    );
}

#[test]
fn a_terminal_holds_one_unread_line_at_most() {
    let script = "sleep 0.6; python3 -c 'import fcntl, termios, struct; \
        print(struct.unpack(\"i\", fcntl.ioctl(0, termios.FIONREAD, b\"1234\"))[0])'";
    let finished = run(UnitSpec {
        stdin: Stdin::Terminal,
        ..sh(script)
    });
    assert_eq!(stdout(&finished), "1\n");
}

#[test]
fn bytes_that_are_not_text_come_back_as_they_were() {
    let finished = run(sh(r"printf 'a\377\000b'; printf 'x\r\ny\rz' >&2"));
    assert_eq!(finished.captured.stdout.bytes(), b"a\xff\0b");
    assert_eq!(stdout(&finished), "a\u{fffd}\0b");
    assert_eq!(
        finished.captured.stderr.text(Newlines::Universal),
        "x\ny\nz"
    );
}

#[test]
fn a_stubborn_child_and_its_whole_group_are_killed_after_the_grace() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let script = format!(
        "trap '' TERM; sh -c 'trap \"\" TERM; sleep 60' & echo $$ $! >{}; sleep 60; sleep 60",
        pids.display()
    );
    let finished = run(with_timeout(300, 300, sh(&script)));
    assert_eq!(finished.outcome, Outcome::TimedOut);
    assert_eq!(finished.exit_code(), -1);
    assert_eq!(finished.times.exit, Some(Exit::Signal(9)));
    assert!(finished.duration() < Duration::from_secs(3));
    for pid in line_of(&pids).split_whitespace() {
        assert!(!lives(pid), "{pid} outlived its time limit");
    }
}

#[test]
fn a_time_limit_reaches_what_made_a_session_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let script = format!(
        "setsid sh -c 'echo $$ >{}; sleep 60' & sleep 60",
        pid.display()
    );
    let finished = run(with_timeout(500, 500, sh(&script)));
    assert_eq!(finished.outcome, Outcome::TimedOut);
    assert!(!lives(&line_of(&pid)));
}

#[test]
fn a_daemon_that_holds_the_pipes_does_not_hold_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let script = format!(
        "setsid sh -c 'echo $$ >{0}; sleep 60' & sleep 0.2; echo done",
        pid.display()
    );
    let finished = run(sh(&script));
    assert_eq!(finished.outcome, Outcome::Leaked(Exit::Code(0)));
    assert_eq!(finished.exit_code(), 0);
    assert_eq!(stdout(&finished), "done\n");
    assert!(finished.duration() < Duration::from_millis(1_200));
    let pid = line_of(&pid);
    assert!(
        lives(&pid),
        "a unit that ended by itself may leave a daemon behind"
    );
    run(UnitSpec::new("kill").args(["-9", pid.trim()]));
}

#[test]
fn leftovers_in_the_group_end_with_their_leader() {
    let polite = run(sh("sleep 60 & echo $!"));
    assert_eq!(polite.outcome, Outcome::Success);
    assert!(!lives(&stdout(&polite)));
    let stubborn = run(sh(
        "sh -c 'trap \"\" TERM; echo $$; sleep 60; sleep 60' & sleep 0.2",
    ));
    assert_eq!(stubborn.outcome, Outcome::Leaked(Exit::Code(0)));
    assert!(stubborn.duration() < Duration::from_millis(1_200));
    assert!(!lives(&stdout(&stubborn)));
}

#[test]
fn a_cancelled_pool_ends_what_runs_and_starts_nothing_more() {
    let pool = Pool::new(NonZeroUsize::new(1)).unwrap();
    for _ in 0..3 {
        pool.submit(sh("sleep 60")).unwrap();
    }
    wait_for_start(&pool);
    pool.cancel(CancelReason::Interrupted);
    let all = drain(&pool);
    assert_eq!(all.len(), 3);
    for finished in &all {
        assert_eq!(
            finished.outcome,
            Outcome::Cancelled(CancelReason::Interrupted)
        );
    }
    assert_eq!(
        all.iter()
            .filter(|finished| finished.times.started.is_some())
            .count(),
        1
    );
}

#[test]
fn an_interrupted_stubborn_child_is_gone_within_two_seconds() {
    let pool = Pool::new(None).unwrap();
    pool.submit(sh("trap '' TERM INT; echo ready; sleep 60; sleep 60"))
        .unwrap();
    wait_for_start(&pool);
    pool.cancel(CancelReason::Interrupted);
    let all = drain(&pool);
    assert!(all[0].duration() < Duration::from_secs(2));
}

#[test]
fn one_unit_can_be_cancelled_while_the_others_go_on() {
    let pool = Pool::new(None).unwrap();
    let ended = pool.submit(sh("sleep 60")).unwrap();
    let other = pool.submit(sh("sleep 0.3")).unwrap();
    pool.cancel_unit(ended, CancelReason::Requested);
    let outcomes: BTreeMap<_, _> = drain(&pool)
        .into_iter()
        .map(|finished| (finished.unit, finished.outcome))
        .collect();
    assert_eq!(
        outcomes[&ended],
        Outcome::Cancelled(CancelReason::Requested)
    );
    assert_eq!(outcomes[&other], Outcome::Success);
}

#[test]
fn a_paused_pool_starts_nothing_until_it_is_resumed() {
    let pool = Pool::new(None).unwrap();
    pool.pause();
    pool.submit(UnitSpec::new("true")).unwrap();
    assert!(pool.next(Some(Duration::from_millis(200))).is_none());
    pool.resume();
    assert_eq!(drain(&pool).len(), 1);
}

#[test]
fn a_dropped_pool_leaves_no_process_behind() {
    let pool = Pool::new(None).unwrap();
    pool.submit(sh("trap '' TERM; sleep 60; sleep 60")).unwrap();
    let pid = wait_for_start(&pool).to_string();
    assert!(lives(&pid));
    drop(pool);
    assert!(!Path::new("/proc").join(pid).exists());
}

/// A pool in which a script runs whose output is reported as it comes.
fn listening_to(script: &str) -> Pool {
    let pool = Pool::new(None).unwrap();
    let capture = Capture {
        mirror: true,
        tee: None,
    };
    pool.submit(UnitSpec {
        capture,
        ..sh(script)
    })
    .unwrap();
    pool
}

#[test]
fn mirrored_output_comes_in_whole_lines_and_in_order() {
    let pool = listening_to("printf 'a\\nb'; sleep 0.1; printf 'c\\nd'");
    let mut pieces = Vec::new();
    while let Some(event) = pool.next(None) {
        if let UnitEvent::Output { chunk, .. } = event {
            pieces.push(String::from_utf8(chunk.bytes()).unwrap());
        }
    }
    assert_eq!(pieces, ["a\n", "bc\n", "d"]);
}

#[test]
fn a_line_without_end_comes_in_pieces() {
    let pool = listening_to("head -c 20000000 /dev/zero | tr '\\0' x");
    let (mut longest, mut length) = (0, 0);
    while let Some(event) = pool.next(None) {
        if let UnitEvent::Output { chunk, .. } = event {
            longest = chunk.bytes().len().max(longest);
            length += chunk.bytes().len();
            chunk.release();
        }
    }
    assert_eq!(length, 20_000_000);
    assert!(longest < 4_000_000, "{longest} bytes at once");
}

#[test]
fn the_log_gets_what_the_child_wrote_behind_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("agent.log");
    fs::write(&log, "header\n").unwrap();
    let capture = Capture {
        mirror: false,
        tee: Some(log.clone()),
    };
    let finished = run(UnitSpec {
        capture,
        ..sh("echo one; sleep 0.1; echo two >&2")
    });
    assert_eq!(fs::read_to_string(&log).unwrap(), "header\none\ntwo\n");
    fs::remove_file(&log).unwrap();
    assert_eq!(stdout(&finished), "one\n");
}

#[test]
fn every_child_leads_a_session_and_gets_three_descriptors_and_default_signals() {
    let leaked = fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    let script = "import os; print(os.getsid(0) == os.getpid() == os.getpgid(0))";
    assert_eq!(
        stdout(&run(UnitSpec::new("python3").args(["-c", script]))),
        "True\n"
    );
    let finished = run(sh(
        "grep -E 'Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd",
    ));
    let text = stdout(&finished);
    let masks: Vec<u64> = text
        .lines()
        .take(2)
        .map(|line| u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap())
        .collect();
    // The C library keeps signals 32 and 33 for itself.
    assert_eq!(
        masks
            .iter()
            .map(|mask| mask & 0x7fff_ffff)
            .collect::<Vec<_>>(),
        [0, 0],
        "{text}"
    );
    // The fourth is the folder that ls reads.
    assert_eq!(
        text.lines().skip(2).collect::<Vec<_>>(),
        ["0", "1", "2", "3"]
    );
}

#[test]
fn environment_and_folder_are_the_childs_own() {
    let folder = tempfile::tempdir().unwrap();
    let env = Some(vec![
        ("A".into(), OsString::from("1")),
        ("PATH".into(), "/bin".into()),
    ]);
    let working_dir = Some(folder.path().to_owned());
    let finished = run(UnitSpec {
        env,
        working_dir,
        ..UnitSpec::new("sh").args(["-c", "env; pwd"])
    });
    let text = stdout(&finished);
    assert!(
        text.contains("A=1\n") && text.contains("ORCHESTRATION_MARK="),
        "{text}"
    );
    assert!(!text.contains("HOME="), "{text}");
    assert!(
        text.ends_with(&format!("{}\n", folder.path().display())),
        "{text}"
    );
}

#[test]
fn an_executable_that_is_still_being_written_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("agent");
    fs::copy("/bin/true", &script).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let writer = fs::OpenOptions::new().append(true).open(&script).unwrap();
    let pool = Pool::new(None).unwrap();
    pool.submit(UnitSpec::new(&script)).unwrap();
    assert!(pool.next(Some(Duration::from_millis(100))).is_none());
    drop(writer);
    assert_eq!(drain(&pool)[0].outcome, Outcome::Success);
}

#[test]
fn a_driver_in_a_thread_of_its_own_has_the_same_children() {
    let (sender, facts) = std::sync::mpsc::channel();
    let mut processes = RealProcesses::new(move |fact| drop(sender.send(fact))).unwrap();
    let mut driver = Driver::new(NonZeroUsize::new(2));
    let specs = [
        sh("echo one"),
        with_timeout(200, 100, sh("trap '' TERM; sleep 60; sleep 60")),
        UnitSpec::new("no-such-agent"),
        UnitSpec {
            stdin: Stdin::Bytes(b"four".to_vec()),
            ..UnitSpec::new("cat")
        },
    ];
    let mut events = Vec::new();
    for (number, spec) in (0..).zip(specs) {
        events.extend(driver.submit(&mut processes, UnitId(number), spec));
    }
    while !driver.machine().is_idle() {
        let fact = facts.recv_timeout(Duration::from_secs(10)).unwrap();
        events.extend(driver.handle(&mut processes, fact));
    }
    let outcomes: BTreeMap<_, _> = events
        .into_iter()
        .filter_map(|event| match event {
            UnitEvent::Finished(finished) => Some((finished.unit.0, finished)),
            _ => None,
        })
        .collect();
    assert_eq!(outcomes[&0].outcome, Outcome::Success);
    assert_eq!(stdout(&outcomes[&0]), "one\n");
    assert_eq!(outcomes[&1].outcome, Outcome::TimedOut);
    assert!(matches!(outcomes[&2].outcome, Outcome::SpawnError(_)));
    assert_eq!(stdout(&outcomes[&3]), "four");
}

#[test]
fn children_are_ended_when_their_owner_is_dropped() {
    let (sender, facts) = std::sync::mpsc::channel();
    let mut processes = RealProcesses::new(move |fact| drop(sender.send(fact))).unwrap();
    let script = "trap '' TERM; setsid sleep 60 & echo $!; sleep 60; sleep 60";
    let mut spec = sh(script);
    spec.capture.mirror = true;
    processes.spawn(UnitId(0), std::sync::Arc::new(spec));
    let mut pids = Vec::new();
    while pids.len() < 2 {
        match facts.recv_timeout(Duration::from_secs(10)).unwrap() {
            Input::Spawned { pid, .. } => pids.push(pid.to_string()),
            Input::Output { chunk, .. } => pids.push(String::from_utf8(chunk.bytes()).unwrap()),
            _ => {}
        }
    }
    drop(processes);
    for pid in pids {
        eventually(|| (!lives(&pid)).then_some(()));
    }
}
