//! Nobody is signalled who was given the number of one of ours.
//!
//! Only in a process namespace of its own can a test say which number the next process gets. Each
//! of these runs this test binary again, in one.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{self, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::command::Command;
use super::super::mark::{self, Mark};
use super::super::{Outcome, UnitSpec, end_leftovers, run_command, scan, unit, watcher};
use super::{Child, GroupSignal, tests};

/// What the system is to lack: `groups` or `pidfds`.
const LACKS: &str = "RECYCLED_LACKS";

/// Runs another test of this module where it can give numbers away.
fn in_a_namespace(test: &str, lacks: &str) {
    let unshare = |words: &[&str]| {
        let options = ["--pid", "--fork", "--kill-child", "--mount-proc"];
        let mut spec = UnitSpec::new("unshare").args(options.iter().chain(words).copied());
        let mut env: Vec<_> = std::env::vars_os().collect();
        env.push((LACKS.into(), lacks.into()));
        spec.env = Some(env);
        spec.limits.timeout = Some(Duration::from_secs(20));
        run_command(spec).unwrap()
    };
    if unshare(&["true"]).outcome != Outcome::Success {
        let note = format!("SKIPPED {test}: no process namespace can be made here\n");
        io::stderr().write_all(note.as_bytes()).unwrap();
        return;
    }
    let own = std::env::current_exe().unwrap();
    let name = format!("supervisor::process::recycled::{test}");
    let words = [own.to_str().unwrap(), "--exact", &name, "--ignored"];
    let ran = unshare(&words);
    let output = String::from_utf8_lossy(&ran.captured.stdout.bytes()).into_owned();
    assert!(output.contains("1 passed"), "{output}");
}

#[test]
fn the_supervisor_signals_none_that_was_given_a_childs_number() {
    for lacks in ["", "groups", "pidfds"] {
        in_a_namespace("kills_a_child_that_is_gone", lacks);
    }
}

#[test]
fn leftovers_are_told_from_who_was_given_their_numbers() {
    in_a_namespace("ends_leftovers", "");
}

#[test]
fn the_watcher_is_not_held_up_by_who_was_given_the_programs_number() {
    in_a_namespace("watches_a_program_that_is_gone", "");
}

/// A process that leads a group and has nothing to do with us.
struct Innocent(process::Child);

impl Innocent {
    /// One that is given this number, which must be free.
    fn with(pid: u32) -> Self {
        for _ in 0..100 {
            fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).unwrap();
            let innocent = start(None);
            if innocent.0.id() == pid {
                return innocent;
            }
        }
        panic!("{pid} is not given to anybody");
    }

    /// Whoever was killed answers no more.
    fn assert_lives(&mut self) {
        let answer = &mut String::new();
        let asked = self.0.stdin.as_mut().unwrap().write_all(b"there?\n");
        let mut output = BufReader::new(self.0.stdout.as_mut().unwrap());
        output.read_line(answer).unwrap();
        assert!(asked.is_ok() && answer == "there?\n", "it was killed");
    }
}

impl Drop for Innocent {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// One of ours, which leads a session, or a stranger, which leads a group.
fn start(mark: Option<&Mark>) -> Innocent {
    #[expect(
        clippy::disallowed_methods,
        reason = "a stranger is no child of the engine"
    )]
    let mut command = process::Command::new(if mark.is_some() { "setsid" } else { "cat" });
    match mark {
        Some(mark) => command.arg("cat").env(mark::VARIABLE, mark.value(None)),
        None => command.env_remove(mark::VARIABLE).process_group(0),
    };
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let started = command.spawn().unwrap();
    while mark.is_some() && scan::process(started.id()).unwrap().session != started.id() {
        std::thread::yield_now();
    }
    Innocent(started)
}

/// A child that has ended, as the supervisor sees it.
fn ended() -> Child {
    let command = Command::prepare(&UnitSpec::new("true"), None).unwrap();
    let null = unit::null_device().unwrap();
    let mut child = Child::spawn(&command, [null.as_fd(); 3], None).unwrap();
    while child.try_exit().is_none() {
        std::thread::yield_now();
    }
    child
}

#[test]
#[ignore = "not a test: runs in a process namespace of its own"]
fn kills_a_child_that_is_gone() {
    match std::env::var(LACKS).unwrap().as_str() {
        "groups" => tests::PRETEND_NO_GROUPS.store(true, Ordering::Relaxed),
        "pidfds" => tests::PRETEND_NO_PIDFDS.store(true, Ordering::Relaxed),
        _ => {}
    }
    let mut released = ended();
    released.release();
    let mut innocent = Innocent::with(released.pid());
    released.signal_group(GroupSignal::Kill);
    innocent.assert_lives();

    let taken_away = ended();
    let _ = rustix::process::waitpid(Some(taken_away.pid), rustix::process::WaitOptions::empty());
    let mut innocent = Innocent::with(taken_away.pid());
    if std::env::var(LACKS).unwrap() == "pidfds" {
        // By its number alone a child of ours cannot be told from another.
        return;
    }
    taken_away.signal_group(GroupSignal::Kill);
    innocent.assert_lives();
}

/// Someone who was started some time ago and is gone, as was seen then.
fn gone(mark: Option<&Mark>) -> scan::Process {
    let before = start(mark);
    let seen = scan::process(before.0.id()).unwrap();
    // Start times are counted in hundredths of a second.
    while scan::process(start(None).0.id()).unwrap().start == seen.start {}
    seen
}

#[test]
#[ignore = "not a test: runs in a process namespace of its own"]
fn ends_leftovers() {
    let program = gone(None);
    let mark = Mark::new(program.pid, program.start, 7);
    let seen_before = gone(Some(&mark.unit(1)));
    let mut left = start(Some(&mark.unit(2)));
    let mut innocents = [program.pid, seen_before.pid].map(Innocent::with);

    scan::kill(&seen_before);
    assert!(end_leftovers(&mark.to_string()));

    innocents.iter_mut().for_each(Innocent::assert_lives);
    assert!(left.0.try_wait().unwrap().is_some(), "it was left");
}

#[test]
#[ignore = "not a test: runs in a process namespace of its own"]
fn watches_a_program_that_is_gone() {
    let program = gone(None);
    let mark = Mark::new(program.pid, program.start, 7);
    let mut left = start(Some(&mark.unit(1)));
    let mut innocent = Innocent::with(program.pid);

    assert!(watcher::watch(program.pid, program.start, &mark, &[]));

    innocent.assert_lives();
    assert!(left.0.try_wait().unwrap().is_some(), "it was left");
}
