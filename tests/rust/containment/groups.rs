//! The same where the program may make a control group: then nothing at all gets away.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use orchestration::supervisor::{
    Limits, Newlines, Outcome, Reach, UnitSpec, containment, end_leftovers, run_command,
    set_watcher_command,
};

use super::{assert_all_gone, await_pids, kill, lives, start_contained_host, watcher_of};

/// Four processes that ignore polite signals. Two are in sessions of their own without mark or
/// ancestor, and one of these is a child of the first moment.
const ESCAPING: &str = r#"
    stay='trap "" TERM HUP INT; echo $$ >>"$0"; sleep 60; sleep 60'
    (env -i setsid sh -c "$stay" "$CONTAINMENT_PIDS" &)
    trap '' TERM HUP INT
    sh -c "$stay" "$CONTAINMENT_PIDS" &
    (setsid sh -c 'env -i sh -c "$1" "$0" &' "$CONTAINMENT_PIDS" "$stay")
    echo $$ >>"$CONTAINMENT_PIDS"
    sleep 60
    sleep 60
"#;

/// Whether there can be groups; says it if not.
fn are_possible(test: &str) -> bool {
    let watcher = env!("CARGO_BIN_EXE_orchestration-watcher");
    set_watcher_command(vec![OsString::from(watcher)]);
    let reach = containment().unwrap();
    if reach != Reach::Group {
        let note = format!("SKIPPED {test}: this program may not make control groups here\n");
        std::io::stderr().write_all(note.as_bytes()).unwrap();
    }
    reach == Reach::Group
}

/// The group that a process is in.
fn group_of(pid: &str) -> PathBuf {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = groups
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .unwrap();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mounts = mounts.lines().filter(|line| line.contains(" cgroup2 "));
    let mut folders = mounts.map(|line| Path::new(line.split(' ').nth(1).unwrap()).join(path));
    folders.find(|folder| folder.exists()).unwrap()
}

/// The group of the program that started a process in the group of a unit.
fn program_group_of(pid: &str) -> PathBuf {
    group_of(pid).parent().unwrap().to_owned()
}

fn assert_removed(group: &Path) {
    for _ in 0..250 {
        if !group.exists() {
            return;
        }
        super::pause();
    }
    panic!("{} is left", group.display());
}

#[test]
fn nothing_gets_away_from_a_program_with_a_group() {
    if !are_possible("nothing_gets_away_from_a_program_with_a_group") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pids");
    let mut host = start_contained_host(&path, "wait", "any", ESCAPING);
    let pids = await_pids(&path);
    let group = program_group_of(&pids[0]);
    assert!(pids.iter().all(|pid| program_group_of(pid) == group));
    assert!(!group_of(&host.id().to_string()).starts_with(&group));
    kill(&host.id().to_string());
    host.wait().unwrap();
    assert_all_gone(&pids);
    assert_removed(&group);
}

#[test]
fn a_program_that_ends_by_itself_leaves_no_group() {
    if !are_possible("a_program_that_ends_by_itself_leaves_no_group") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pids");
    let script = "
        cp /proc/self/cgroup $CONTAINMENT_PIDS.cgroup
        for _ in 1 2 3 4; do echo $$ >>$CONTAINMENT_PIDS; done
        sleep 60";
    let mut host = start_contained_host(&path, "exit", "any", script);
    let pids = await_pids(&path);
    host.wait().unwrap();
    assert_all_gone(&pids);
    let mark = fs::read_to_string(path.with_extension("mark")).unwrap();
    let name = format!("orchestration-{mark}");
    let was_in = fs::read_to_string(path.with_extension("cgroup")).unwrap();
    assert!(was_in.contains(&name), "{was_in}");
    assert_removed(&group_of(&std::process::id().to_string()).join(name));
}

#[test]
fn whoever_goes_on_ends_what_escaped_from_a_program_whose_watcher_died() {
    if !are_possible("whoever_goes_on_ends_what_escaped_from_a_program_whose_watcher_died") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pids");
    let mut host = start_contained_host(&path, "wait", "any", ESCAPING);
    let pids = await_pids(&path);
    let group = program_group_of(&pids[0]);
    let mark = fs::read_to_string(path.with_extension("mark")).unwrap();
    assert!(end_leftovers(&mark));
    assert!(pids.iter().all(|pid| lives(pid)), "its program lives");
    kill(&watcher_of(host.id()).unwrap().0);
    kill(&host.id().to_string());
    host.wait().unwrap();
    assert!(end_leftovers(&mark));
    assert!(!pids.iter().any(|pid| lives(pid)));
    assert!(!group.exists());
}

#[test]
fn a_unit_that_is_ended_takes_with_it_what_escaped() {
    if !are_possible("a_unit_that_is_ended_takes_with_it_what_escaped") {
        return;
    }
    let escaping = "(env -i setsid sh -c 'echo $$; sleep 60; sleep 60' >&1 &); exec sleep 60";
    let limits = Limits {
        timeout: Some(Duration::from_millis(300)),
        grace: Duration::from_millis(50),
        ..Limits::default()
    };
    let ended = run_command(UnitSpec {
        limits,
        ..UnitSpec::new("sh").args(["-c", escaping])
    })
    .unwrap();
    assert_eq!(ended.outcome, Outcome::TimedOut);
    let pid = ended.captured.stdout.text(Newlines::Kept);
    assert!(!lives(pid.trim()), "{pid} outlived its unit");
}

#[test]
fn errors_of_a_start_in_a_group_are_those_of_any_start() {
    if !are_possible("errors_of_a_start_in_a_group_are_those_of_any_start") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    fs::write(&broken, "no program").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&broken, mode).unwrap();
    let ended = run_command(UnitSpec::new(&broken)).unwrap();
    let message = format!("{:?}", ended.outcome);
    assert!(message.contains("errno: 8"), "{message}");
}
