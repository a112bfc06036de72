//! Control groups (cgroup v2): a fence that no process gets over.
//!
//! Whoever is in a group stays there, and so does whatever it starts, with a session of its own,
//! without the mark, without an ancestor. Where the program may divide its own group, because that
//! was delegated to it or it is root, it makes one for itself below, named after its mark, and in
//! that one for each unit. No controller is enabled: nothing is limited, and nothing moves but
//! what is started there.
//!
//! Touches only groups that carry a mark in their name, and what is below them. Nothing here is an
//! error: without groups the marks hold, as they do elsewhere.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, Mode, OFlags};

use super::mark::Mark;
use super::{process, scan};

/// A group of ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    folder: PathBuf,
}

impl Group {
    /// Where that of a program is to be made; `None` where it may make none.
    pub(super) fn place_of_program(mark: &Mark) -> Option<PathBuf> {
        let own = own_group()?;
        let folders = mounts()
            .into_iter()
            .filter_map(|mount| mount.folder_of(&own));
        let mut parents = folders.filter(|folder| {
            is_cgroup(folder) && rustix::fs::access(folder, Access::WRITE_OK).is_ok()
        });
        Some(parents.next()?.join(name(mark)))
    }

    /// Makes that of a program; `None` where nothing can be started in it.
    pub(super) fn of_program(place: PathBuf) -> Option<Self> {
        let group = Self::make(place)?;
        let is_usable = group
            .open()
            .is_some_and(|descriptor| process::can_start_in(&descriptor));
        if is_usable {
            Some(group)
        } else {
            group.remove();
            None
        }
    }

    /// Makes one for a unit of the program that this is the group of.
    pub(super) fn of_unit(&self, serial: u64) -> Option<UnitGroup> {
        Self::make(self.folder.join(serial.to_string())).map(UnitGroup)
    }

    /// Those that a program with this mark has made, wherever that was.
    ///
    /// One that this very process is in is none of them: it is not to end itself.
    pub(super) fn left_by(mark: &Mark) -> Vec<Self> {
        let name = name(mark);
        let is_within = |own: PathBuf| own.components().any(|part| part.as_os_str() == &*name);
        if own_group().is_some_and(is_within) {
            return Vec::new();
        }
        let mut found = Vec::new();
        let mut folders: Vec<PathBuf> = mounts().into_iter().map(|mount| mount.point).collect();
        while let Some(folder) = folders.pop() {
            if folder.ends_with(&name) {
                found.push(Self { folder });
            } else {
                folders.extend(groups_in(&folder));
            }
        }
        found
    }

    /// Takes that of the program with this mark from a command line. It need not be made yet.
    pub(super) fn parse(folder: &Path, mark: &Mark) -> Option<Self> {
        folder.ends_with(name(mark)).then(|| Self {
            folder: folder.to_owned(),
        })
    }

    fn make(folder: PathBuf) -> Option<Self> {
        fs::create_dir(&folder).ok()?;
        Some(Self { folder })
    }

    /// What a child is started in.
    pub(super) fn open(&self) -> Option<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(&self.folder, flags, Mode::empty()).ok()?;
        process::lift(descriptor).ok()
    }

    /// Kills whoever is in it or below. Returns whether anybody was.
    pub(super) fn kill(&self) -> bool {
        let is_populated = self.is_populated();
        // Linux 5.14; everybody in it at once, those included who are being forked.
        if is_populated && fs::write(self.folder.join("cgroup.kill"), "1").is_err() {
            self.kill_one_by_one();
        }
        is_populated
    }

    /// Whether anybody lives in it or below.
    fn is_populated(&self) -> bool {
        fs::read_to_string(self.folder.join("cgroup.events"))
            .is_ok_and(|events| events.lines().any(|line| line == "populated 1"))
    }

    /// Kills all that are in it; those who are frozen cannot fork meanwhile.
    fn kill_one_by_one(&self) {
        let _ = fs::write(self.folder.join("cgroup.freeze"), "1");
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for pid in members(&folder) {
                scan::kill_if(pid, || members(&folder).contains(&pid));
            }
            folders.extend(groups_in(&folder));
        }
    }

    /// Removes it with all groups below, as far as nobody is in them.
    pub(super) fn remove(&self) {
        remove(&self.folder);
    }
}

/// That of one unit. It goes with the unit, unless somebody stays behind in it, whom the watcher
/// ends with the program.
#[derive(Debug)]
pub(super) struct UnitGroup(Group);

impl UnitGroup {
    /// What the unit's child is started in.
    pub(super) fn open(&self) -> Option<OwnedFd> {
        self.0.open()
    }

    /// Kills whoever is in it. Returns whether anybody was.
    pub(super) fn kill(&self) -> bool {
        self.0.kill()
    }
}

impl Drop for UnitGroup {
    fn drop(&mut self) {
        self.0.remove();
    }
}

fn remove(folder: &Path) {
    if fs::remove_dir(folder).is_err() {
        for group in groups_in(folder) {
            remove(&group);
        }
        let _ = fs::remove_dir(folder);
    }
}

/// How the group of a program with this mark is named.
fn name(mark: &Mark) -> String {
    format!("orchestration-{mark}")
}

fn groups_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn members(folder: &Path) -> Vec<u32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Whether a folder is a group, and not one that something else was mounted over.
fn is_cgroup(folder: &Path) -> bool {
    folder.join("cgroup.procs").is_file()
}

/// This process's own group, from the root of the hierarchy as this process sees it.
fn own_group() -> Option<PathBuf> {
    parse_own(&fs::read_to_string("/proc/self/cgroup").ok()?)
}

/// Takes apart `/proc/PID/cgroup`; the lines of a hierarchy of version 1 have other numbers.
fn parse_own(text: &str) -> Option<PathBuf> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    let path = Path::new(path);
    // Outside of what a container is shown.
    let is_outside = path.components().any(|part| part == Component::ParentDir);
    (!is_outside).then(|| path.to_owned())
}

/// Where a part of the hierarchy can be seen.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    root: PathBuf,
    point: PathBuf,
}

impl Mount {
    fn folder_of(&self, group: &Path) -> Option<PathBuf> {
        Some(self.point.join(group.strip_prefix(&self.root).ok()?))
    }
}

fn mounts() -> Vec<Mount> {
    parse_mounts(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
}

/// Takes apart `/proc/PID/mountinfo` (`proc_pid_mountinfo(5)`).
fn parse_mounts(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let mut fields = left.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        (right.split(' ').next() == Some("cgroup2")).then(|| Mount {
            root: unescape(root),
            point: unescape(point),
        })
    };
    text.lines().filter_map(mount).collect()
}

/// Spaces and the like stand there as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut plain = text.to_owned();
    for (escape, sign) in [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ] {
        plain = plain.replace(escape, sign);
    }
    plain.into()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Stdio;

    use super::*;

    #[test]
    fn the_own_group_is_that_of_version_2() {
        let text = "4:memory:/a\n0::/user.slice/b c.scope\n";
        assert_eq!(parse_own(text), Some("/user.slice/b c.scope".into()));
        assert_eq!(parse_own("4:memory:/a\n"), None);
        assert_eq!(parse_own("0::/../other\n"), None);
    }

    #[test]
    fn a_group_is_found_below_whatever_part_of_the_hierarchy_is_mounted() {
        let text = "\
            31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n\
            52 31 0:38 /a /mnt/my\\040groups rw - cgroup2 none rw,nsdelegate\n";
        let folders = |group| {
            let mounts = parse_mounts(text);
            let found = mounts.iter().filter_map(|m| m.folder_of(Path::new(group)));
            found.collect::<Vec<_>>()
        };
        let [all, part] = ["/sys/fs/cgroup/unified/a/b", "/mnt/my groups/b"].map(PathBuf::from);
        assert_eq!(folders("/a/b"), [all, part]);
        assert_eq!(folders("/c"), [PathBuf::from("/sys/fs/cgroup/unified/c")]);
    }

    #[test]
    fn only_the_group_of_the_very_mark_is_taken_from_a_command_line() {
        let mark = Mark::new(7, 8, 9);
        let parsed = |name: &str| Group::parse(&Path::new("/sys/fs/cgroup").join(name), &mark);
        assert!(parsed(&name(&mark)).is_some());
        assert!(parsed(&name(&Mark::new(7, 8, 10))).is_none());
        assert!(parsed("").is_none());
    }

    #[test]
    fn where_a_group_cannot_be_killed_at_once_all_in_it_are() {
        let mark = Mark::new(1, 2, 3);
        let place = Group::place_of_program(&mark);
        let Some(group) = place.and_then(Group::of_program) else {
            let note = b"SKIPPED a test of cgroup.rs: no control group can be made here\n";
            return std::io::stderr().write_all(note).unwrap();
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "nothing but the group is under test"
        )]
        let mut members = [0, 1].map(|_| {
            std::process::Command::new("cat")
                .stdin(Stdio::piped())
                .spawn()
                .unwrap()
        });
        let below = group.of_unit(1).unwrap();
        for (folder, member) in [&group.folder, &below.0.folder].iter().zip(&members) {
            fs::write(folder.join("cgroup.procs"), member.id().to_string()).unwrap();
        }
        assert_eq!(Group::left_by(&mark)[0], group);
        group.kill_one_by_one();
        for member in &mut members {
            assert_eq!(member.wait().unwrap().signal(), Some(libc::SIGKILL));
        }
        assert!(!group.kill());
        group.remove();
        assert!(!group.folder.exists());
    }
}
