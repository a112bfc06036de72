//! Nothing that a program started outlives it, however it ends.
//!
//! The program is this test binary, started again to run [`host`] alone. Here the marks hold what it
//! started; in [`groups`] a control group does.

mod groups;

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use orchestration::supervisor::{
    EngineError, Outcome, Pool, UnitEvent, UnitSpec, own_mark, run_command, set_watcher_command,
};

/// Where the host's children write their process ids, one a line.
const PIDS: &str = "CONTAINMENT_PIDS";

/// What the host does once its children run.
const THEN: &str = "CONTAINMENT_THEN";

/// What the host's children are.
const SCRIPT: &str = "CONTAINMENT_SCRIPT";

/// The host writes its mark there.
const MARK: &str = "CONTAINMENT_MARK";

/// Four processes that ignore polite signals: a child, one in its group, one in a session of its
/// own, and one in a session of its own without our mark.
const CHILDREN: &str = r#"
    trap '' TERM HUP INT
    sh -c 'echo $$ >>"$CONTAINMENT_PIDS"; sleep 60; sleep 60' &
    setsid sh -c 'echo $$ >>"$CONTAINMENT_PIDS"; sleep 60; sleep 60' &
    env -u ORCHESTRATION_MARK setsid sh -c 'echo $$ >>"$CONTAINMENT_PIDS"; sleep 60; sleep 60' &
    echo $$ >>"$CONTAINMENT_PIDS"
    sleep 60
    sleep 60
"#;

#[test]
#[ignore = "not a test: the program that the tests of containment start and kill"]
fn host() {
    let watcher = env!("CARGO_BIN_EXE_orchestration-watcher");
    set_watcher_command(vec![OsString::from(watcher)]);
    let pool = Pool::new(None).unwrap();
    fs::write(std::env::var_os(MARK).unwrap(), own_mark().unwrap()).unwrap();
    let script = std::env::var(SCRIPT).unwrap();
    pool.submit(UnitSpec::new("/bin/sh").args(["-c".into(), script]))
        .unwrap();
    if std::env::var_os(THEN).is_some_and(|then| then == "exit") {
        await_pids(Path::new(&std::env::var_os(PIDS).unwrap()));
        std::process::exit(0);
    }
    loop {
        pool.next(Some(Duration::from_secs(1)));
    }
}

fn start_host(pids: &Path, then: &str) -> Child {
    start_contained_host(pids, then, "marks", CHILDREN)
}

fn start_contained_host(pids: &Path, then: &str, reach: &str, script: &str) -> Child {
    #[expect(
        clippy::disallowed_methods,
        reason = "the host must not be a child of the engine"
    )]
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "containment::host", "--ignored"]);
    command
        .env(PIDS, pids)
        .env(THEN, then)
        .env(SCRIPT, script)
        .env(MARK, pids.with_extension("mark"))
        .env("ORCHESTRATION_CONTAINMENT", reach)
        .env("RUST_TEST_THREADS", "2");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.process_group(0).spawn().unwrap()
}

fn pause() {
    run_command(UnitSpec::new("sleep").args(["0.02"])).unwrap();
}

/// The process ids, once they are all there.
fn await_pids(path: &Path) -> Vec<String> {
    for _ in 0..500 {
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() == 4 && text.ends_with('\n') {
            return text.lines().map(str::to_owned).collect();
        }
        pause();
    }
    panic!("the host's children did not start");
}

fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

/// The process id and the parent of the watcher of this host.
fn watcher_of(host: u32) -> Option<(String, String)> {
    fs::read_dir("/proc").unwrap().find_map(|entry| {
        let entry = entry.ok()?;
        let command = fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let mut words = command.split('\0');
        let is_it =
            words.next()?.ends_with("orchestration-watcher") && words.next()? == host.to_string();
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let parent = stat
            .rsplit(')')
            .next()?
            .split_whitespace()
            .nth(1)?
            .to_owned();
        is_it.then(|| (entry.file_name().into_string().unwrap_or_default(), parent))
    })
}

fn assert_all_gone(pids: &[String]) {
    for _ in 0..250 {
        if !pids.iter().any(|pid| lives(pid)) {
            return;
        }
        pause();
    }
    let left: Vec<_> = pids.iter().filter(|pid| lives(pid)).collect();
    panic!("alive after five seconds: {left:?}");
}

fn kill(target: &str) {
    let finished = run_command(UnitSpec::new("kill").args(["-9", "--", target])).unwrap();
    assert_eq!(finished.outcome, Outcome::Success);
}

#[test]
fn nothing_outlives_a_killed_program() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pids");
    let mut host = start_host(&path, "wait");
    let mut pids = await_pids(&path);
    let (watcher, parent) = watcher_of(host.id()).unwrap();
    assert_ne!(
        parent,
        host.id().to_string(),
        "a program's wait() must not find the watcher"
    );
    kill(&host.id().to_string());
    host.wait().unwrap();
    pids.push(watcher);
    assert_all_gone(&pids);
}

#[test]
fn the_watcher_holds_nothing_of_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pids");
    let mut host = start_host(&path, "wait");
    let pids = await_pids(&path);
    let (watcher, _) = watcher_of(host.id()).unwrap();
    let held = fs::read_dir(format!("/proc/{watcher}/fd")).unwrap();
    let mut held: Vec<_> = held
        .map(|entry| {
            fs::read_link(entry.unwrap().path())
                .unwrap()
                .display()
                .to_string()
        })
        .collect();
    held.sort();
    assert_eq!(
        held,
        ["/dev/null", "/dev/null", "/dev/null", "anon_inode:[pidfd]"]
    );
    kill(&host.id().to_string());
    host.wait().unwrap();
    assert_all_gone(&pids);
}

#[test]
fn nothing_outlives_a_program_whose_whole_process_group_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pids");
    let mut host = start_host(&path, "wait");
    let pids = await_pids(&path);
    kill(&format!("-{}", host.id()));
    host.wait().unwrap();
    assert_all_gone(&pids);
}

#[test]
fn nothing_outlives_a_program_that_exits_in_the_middle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pids");
    let mut host = start_host(&path, "exit");
    let pids = await_pids(&path);
    host.wait().unwrap();
    assert_all_gone(&pids);
}

#[test]
fn a_forked_process_has_an_engine_of_its_own_and_leaves_the_parents_children_alone() {
    let pool = Pool::new(None).unwrap();
    pool.submit(UnitSpec::new("sleep").args(["60"])).unwrap();
    let Some(UnitEvent::Started { pid, .. }) = pool.next(None) else {
        panic!("it did not start")
    };
    #[expect(unsafe_code, reason = "the very thing under test")]
    // SAFETY: the child only uses the supervisor, and leaves by _exit.
    let forked = unsafe { libc::fork() };
    if forked == 0 {
        let refused = matches!(
            pool.submit(UnitSpec::new("true")),
            Err(EngineError::Forked { .. })
        );
        drop(pool);
        let ran = run_command(UnitSpec::new("true"))
            .is_ok_and(|finished| finished.outcome == Outcome::Success);
        #[expect(unsafe_code, reason = "nothing of the test harness may run twice")]
        // SAFETY: ends the process at once.
        unsafe {
            libc::_exit(i32::from(!(refused && ran)))
        }
    }
    let forked = rustix::process::Pid::from_raw(forked);
    let status = rustix::process::waitpid(forked, rustix::process::WaitOptions::empty()).unwrap();
    assert_eq!(status.and_then(|(_, status)| status.exit_status()), Some(0));
    assert!(
        lives(&pid.to_string()),
        "the forked process ended its parent's child"
    );
}
