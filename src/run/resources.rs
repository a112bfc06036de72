//! What this machine has: disk for the worktrees, memory and descriptors for the agents.
//!
//! Asks the system; creates nothing. What it means for the worktrees is judged here, and for the
//! agents in [`super::admission`].

use std::fs;
use std::path::{Path, PathBuf};

use crate::supervisor::descriptor_limit;

use super::admission::Supply;

/// The disk that worktrees need, and what is there, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disk {
    /// Worktrees that will stand at once, at most.
    pub worktrees: u64,
    /// The files of one worktree.
    pub worktree_size: u64,
    /// Free space where the worktrees will be; `None` where the system does not say.
    pub free: Option<u64>,
}

impl Disk {
    /// Looks at the system; `folder` is where the worktrees will be, or will be made.
    pub fn look(folder: &Path, worktrees: u64, worktree_size: u64) -> Self {
        let place = folder.ancestors().find(|folder| folder.exists());
        let space = place.and_then(|place| rustix::fs::statvfs(place).ok());
        Self {
            worktrees,
            worktree_size,
            free: space.map(|space| space.f_bavail.saturating_mul(space.f_frsize)),
        }
    }

    /// Whether nothing can be written any more.
    pub fn is_full(&self) -> bool {
        self.free == Some(0)
    }

    /// Why the worktrees will not fit, if so.
    pub fn shortage(&self) -> Option<String> {
        let needed = self.worktrees.saturating_mul(self.worktree_size);
        let free = self.free.filter(|free| *free < needed)?;
        Some(format!(
            "{} worktrees need about {}, and the disk has {} free",
            self.worktrees,
            size(needed),
            size(free)
        ))
    }
}

/// What agents have to share on this machine.
pub fn supply() -> Supply {
    let open = ["/proc/self/fd", "/dev/fd"]
        .iter()
        .find_map(|folder| fs::read_dir(folder).ok())
        .map_or(0, |entries| entries.count() as u64);
    Supply {
        memory: Memory::of_this_process().free(),
        descriptors: descriptor_limit(),
        open,
    }
}

/// Where the system says how much memory there is.
struct Memory {
    /// `/proc`.
    processes: PathBuf,
    /// `/sys/fs/cgroup`.
    groups: PathBuf,
}

impl Memory {
    fn of_this_process() -> Self {
        Self {
            processes: "/proc".into(),
            groups: "/sys/fs/cgroup".into(),
        }
    }

    /// What can be used without swapping, in bytes: of the machine, and of each control group
    /// that this process is in.
    fn free(&self) -> Option<u64> {
        let machine = fs::read_to_string(self.processes.join("meminfo"))
            .ok()
            .and_then(|text| available(&text));
        let groups = fs::read_to_string(self.processes.join("self/cgroup")).unwrap_or_default();
        let limits = groups.lines().flat_map(|line| self.free_in(line));
        machine.into_iter().chain(limits).min()
    }

    /// The same for a line of `/proc/self/cgroup`: `ID:CONTROLLERS:PATH`, where version 2 has no
    /// controllers. The limit of a group holds for those in it as well.
    fn free_in(&self, line: &str) -> Vec<u64> {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            return Vec::new();
        };
        let (root, names) = match controllers {
            "" => (self.groups.clone(), &VERSION_2),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (self.groups.join("memory"), &VERSION_1)
            }
            _ => return Vec::new(),
        };
        let own = root.join(path.trim_start_matches('/'));
        // Inside a container the path may be one that is not to be seen from there.
        let folders = own
            .ancestors()
            .take_while(|folder| folder.starts_with(&root));
        folders.filter_map(|folder| names.free(folder)).collect()
    }
}

/// The files of a control group's memory.
struct Names {
    limit: &'static str,
    used: &'static str,
    /// In `memory.stat`: files that are kept in memory and that nobody has read lately.
    reclaimable: &'static str,
}

const VERSION_2: Names = Names {
    limit: "memory.max",
    used: "memory.current",
    reclaimable: "inactive_file",
};

const VERSION_1: Names = Names {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    reclaimable: "total_inactive_file",
};

impl Names {
    /// What is left in a group; `None` without a limit.
    fn free(&self, folder: &Path) -> Option<u64> {
        let read = |name| fs::read_to_string(folder.join(name)).ok();
        let number = |name| read(name)?.trim().parse::<u64>().ok();
        let limit = number(self.limit)?;
        let stat = read("memory.stat").unwrap_or_default();
        let reclaimable = stat
            .lines()
            .find_map(|line| line.strip_prefix(self.reclaimable)?.trim().parse().ok())
            .unwrap_or(0);
        let used = number(self.used)?.saturating_sub(reclaimable);
        Some(limit.saturating_sub(used))
    }
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes.saturating_mul(1024))
}

/// Bytes for people: `1.2 GB`, `34.0 MB`.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        1_000_000_000.. => format!("{:.1} GB", bytes as f64 / 1e9),
        1_000_000.. => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} kB", bytes as f64 / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMY: Disk = Disk {
        worktrees: 10,
        worktree_size: 300_000_000,
        free: Some(3_000_000_000),
    };

    #[test]
    fn what_just_fits_is_no_shortage() {
        assert_eq!(ROOMY.shortage(), None);
    }

    #[test]
    fn a_disk_is_full_where_nothing_is_free() {
        let free = |bytes| Disk {
            free: Some(bytes),
            ..ROOMY
        };
        assert!(free(0).is_full());
        assert!(!free(1).is_full());
    }

    #[test]
    fn a_shortage_names_need_and_supply() {
        let tight = Disk {
            free: Some(1_234_000_000),
            ..ROOMY
        };
        insta::assert_snapshot!(
            tight.shortage().unwrap(),
            @"10 worktrees need about 3.0 GB, and the disk has 1.2 GB free"
        );
    }

    #[test]
    fn what_the_system_does_not_say_is_no_shortage() {
        assert_eq!(
            Disk {
                free: None,
                ..ROOMY
            }
            .shortage(),
            None
        );
    }

    #[test]
    fn available_memory_is_read_in_bytes() {
        let text = "MemTotal:       24000000 kB\nMemAvailable:   23000000 kB\n";
        assert_eq!(available(text), Some(23_000_000 * 1024));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
    }

    /// A machine with 23,000,000 kB to spare, and with these files.
    fn machine(groups: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, Memory) {
        let folder = tempfile::tempdir().unwrap();
        let known = [
            ("proc/meminfo", "MemAvailable: 23000000 kB\n"),
            ("proc/self/cgroup", groups),
        ];
        for (name, text) in known.iter().chain(files) {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let memory = Memory {
            processes: folder.path().join("proc"),
            groups: folder.path().join("groups"),
        };
        (folder, memory)
    }

    #[test]
    fn the_smallest_limit_of_all_groups_around_counts() {
        let (_folder, memory) = machine(
            "0::/user/shell\n",
            &[
                ("groups/user/memory.max", "3000000000\n"),
                ("groups/user/memory.current", "1500000000\n"),
                (
                    "groups/user/memory.stat",
                    "anon 7\ninactive_file 500000000\n",
                ),
                ("groups/user/shell/memory.max", "max\n"),
                ("groups/user/shell/memory.current", "1000\n"),
            ],
        );
        assert_eq!(memory.free(), Some(2_000_000_000));
    }

    #[test]
    fn the_limit_of_a_group_of_version_1_counts_too() {
        let (_folder, memory) = machine(
            "5:cpu,memory:/box\n1:name=systemd:/\n0::/\n",
            &[
                ("groups/memory/memory.limit_in_bytes", "9223372036854771712"),
                ("groups/memory/memory.usage_in_bytes", "7"),
                ("groups/memory/box/memory.limit_in_bytes", "1000000000"),
                ("groups/memory/box/memory.usage_in_bytes", "400000000"),
            ],
        );
        assert_eq!(memory.free(), Some(600_000_000));
    }

    #[test]
    fn without_groups_the_machine_alone_counts() {
        let (_folder, memory) = machine("", &[]);
        assert_eq!(memory.free(), Some(23_000_000 * 1024));
    }
}
