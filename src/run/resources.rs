//! Whether this machine has what a run needs: disk for the worktrees, memory for the agents.
//!
//! Asks the system for its free space and memory; creates nothing. The judgement is pure.

use std::path::Path;

/// Memory that one agent is reckoned to take, in bytes (the specification's table).
const AGENT_MEMORY: u64 = 500 * 1000 * 1000;

/// What a run needs, and what is there; bytes throughout, `None` where the system does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resources {
    /// Worktrees that will stand at once, at most.
    pub worktrees: u64,
    /// The files of one worktree.
    pub worktree_size: u64,
    /// Free space where the worktrees will be.
    pub free_disk: Option<u64>,
    /// Agents at once.
    pub agents: u64,
    /// Memory that can be used without swapping.
    pub free_memory: Option<u64>,
}

impl Resources {
    /// Looks at the system; `folder` is where the worktrees will be, or will be made.
    pub fn look(folder: &Path, worktrees: u64, worktree_size: u64, agents: u64) -> Self {
        let place = folder.ancestors().find(|folder| folder.exists());
        let space = place.and_then(|place| rustix::fs::statvfs(place).ok());
        Self {
            worktrees,
            worktree_size,
            free_disk: space.map(|space| space.f_bavail.saturating_mul(space.f_frsize)),
            agents,
            free_memory: std::fs::read_to_string("/proc/meminfo")
                .ok()
                .and_then(|text| available(&text)),
        }
    }

    /// Why the worktrees will not fit, if so.
    pub fn disk_shortage(&self) -> Option<String> {
        let needed = self.worktrees.saturating_mul(self.worktree_size);
        let free = self.free_disk.filter(|free| *free < needed)?;
        Some(format!(
            "{} worktrees need about {}, and the disk has {} free",
            self.worktrees,
            size(needed),
            size(free)
        ))
    }

    /// Why the agents may run short of memory, if so.
    pub fn memory_shortage(&self) -> Option<String> {
        let needed = self.agents.saturating_mul(AGENT_MEMORY);
        let free = self.free_memory.filter(|free| *free < needed)?;
        Some(format!(
            "{} agents are reckoned to need {}, and {} of memory are free (fewer at once: \
             --max-workers)",
            self.agents,
            size(needed),
            size(free)
        ))
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
fn size(bytes: u64) -> String {
    match bytes {
        1_000_000_000.. => format!("{:.1} GB", bytes as f64 / 1e9),
        1_000_000.. => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} kB", bytes as f64 / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMY: Resources = Resources {
        worktrees: 10,
        worktree_size: 300_000_000,
        free_disk: Some(3_000_000_000),
        agents: 5,
        free_memory: Some(2_500_000_000),
    };

    #[test]
    fn what_just_fits_is_no_shortage() {
        assert_eq!(
            (ROOMY.disk_shortage(), ROOMY.memory_shortage()),
            (None, None)
        );
    }

    #[test]
    fn a_shortage_names_need_and_supply() {
        let tight = Resources {
            free_disk: Some(1_234_000_000),
            free_memory: Some(340_000_000),
            ..ROOMY
        };
        insta::assert_snapshot!(
            tight.disk_shortage().unwrap(),
            @"10 worktrees need about 3.0 GB, and the disk has 1.2 GB free"
        );
        insta::assert_snapshot!(
            tight.memory_shortage().unwrap(),
            @"5 agents are reckoned to need 2.5 GB, and 340.0 MB of memory are free (fewer at once: --max-workers)"
        );
    }

    #[test]
    fn what_the_system_does_not_say_is_no_shortage() {
        let unknown = Resources {
            free_disk: None,
            free_memory: None,
            ..ROOMY
        };
        assert_eq!(
            (unknown.disk_shortage(), unknown.memory_shortage()),
            (None, None)
        );
    }

    #[test]
    fn available_memory_is_read_in_bytes() {
        let text = "MemTotal:       24000000 kB\nMemAvailable:   23000000 kB\n";
        assert_eq!(available(text), Some(23_000_000 * 1024));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
    }
}
