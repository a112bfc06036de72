//! Where everything lives, and what it is called (DESIGN section 4).
//!
//! Pure: paths are put together here, never looked at.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::RUNTIME_FOLDER;

/// A master issue, by the forge that numbers it.
///
/// The two sequences are kept apart in every name, so that a plan's issue 12 never meets
/// GitHub's issue 12 (DESIGN section 8, "Local forge").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Master {
    /// An issue on GitHub.
    GitHub(u64),
    /// An issue of the local forge.
    Local(u64),
}

impl Master {
    /// The number, as lines print it after `#`.
    pub const fn number(self) -> u64 {
        match self {
            Self::GitHub(number) | Self::Local(number) => number,
        }
    }

    /// The part that stands for the master in folders and ids: `1234`, `local-3`.
    pub fn slug(self) -> String {
        match self {
            Self::GitHub(number) => number.to_string(),
            Self::Local(number) => format!("local-{number}"),
        }
    }

    /// The branch of one agent: `feat/issue-1235-agent-1`, `feat/local-4-agent-1`.
    ///
    /// `sub_issue` is the number of the agent's own issue in the same forge.
    pub fn branch(self, sub_issue: u64, agent: u32) -> String {
        let kind = match self {
            Self::GitHub(_) => "issue",
            Self::Local(_) => "local",
        };
        format!("feat/{kind}-{sub_issue}-agent-{agent}")
    }

    /// The sub-issue of a branch that a plan's agent was given, whoever remembers it: 4 for
    /// `feat/local-4-agent-1`.
    pub fn local_sub_issue(branch: &str) -> Option<u64> {
        let (number, agent) = branch.strip_prefix("feat/local-")?.split_once("-agent-")?;
        // Below such a name no branch of that name can be made.
        let agent = agent.split('/').next()?;
        agent.parse::<u32>().ok()?;
        number.parse().ok()
    }

    /// The id of an orchestration that starts at `now`: `orch-1234-20251201-1200`, in UTC, with
    /// `-2`, `-3` … where `taken` knows the shorter one.
    pub fn orchestration_id(self, now: Timestamp, taken: impl Fn(&str) -> bool) -> String {
        let base = format!("orch-{}-{}", self.slug(), now.strftime("%Y%m%d-%H%M"));
        if !taken(&base) {
            return base;
        }
        let mut count = 2_u64;
        loop {
            let id = format!("{base}-{count}");
            if !taken(&id) {
                return id;
            }
            count += 1;
        }
    }
}

/// Every path that an orchestration uses in one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
    worktrees: PathBuf,
}

impl Layout {
    /// The layout with worktrees beside the repository: `{repository}.worktrees/`.
    ///
    /// `root` is the absolute path of the main worktree. A repository at the root of a file
    /// system has no beside; [`Layout::within`] is for that.
    pub fn beside(root: &Path) -> Self {
        let mut name = root.file_name().unwrap_or_default().to_owned();
        name.push(".worktrees");
        let worktrees = root.parent().unwrap_or(root).join(name);
        Self {
            root: root.to_owned(),
            worktrees,
        }
    }

    /// The layout with worktrees in a folder shared by repositories, which
    /// `AMPLIHACK_WORKTREE_DIR` names: `{folder}/{repository}-{hash of its path}/`.
    pub fn within(root: &Path, folder: &Path) -> Self {
        let hash = hex(&Sha256::digest(root.as_os_str().as_encoded_bytes())[..4]);
        let mut name = root.file_name().unwrap_or("repository".as_ref()).to_owned();
        name.push("-");
        name.push(hash);
        Self {
            root: root.to_owned(),
            worktrees: folder.join(name),
        }
    }

    /// The folder for [`Layout::within`] where the place beside the repository cannot be written
    /// and no other was named: state of the user's own, which no cleaner of temporary files
    /// empties.
    pub fn fallback_folder(home: &Path, xdg_state_home: Option<&Path>) -> PathBuf {
        match xdg_state_home {
            // The XDG base directory specification says to ignore relative paths.
            Some(state) if state.is_absolute() => state.join("amplihack/worktrees"),
            _ => home.join(".local/state/amplihack/worktrees"),
        }
    }

    /// The main worktree.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of all worktrees of this repository.
    pub fn worktrees(&self) -> &Path {
        &self.worktrees
    }

    /// The worktree of a branch: its name with `-` for `/`.
    pub fn worktree(&self, branch: &str) -> PathBuf {
        self.worktrees.join(branch.replace('/', "-"))
    }

    /// The branch that [`Layout::worktree`] would make this folder for.
    pub fn branch_of(worktree: &Path) -> Option<String> {
        Some(worktree.file_name()?.to_str()?.replacen('-', "/", 1))
    }

    /// `.claude/runtime/`: everything that the engine writes, never committed.
    pub fn runtime(&self) -> PathBuf {
        self.root.join(RUNTIME_FOLDER)
    }

    /// The folder of the folders of all master issues.
    pub fn all_parallel(&self) -> PathBuf {
        self.runtime().join("parallel")
    }

    /// The same layout, with worktrees where an earlier run made them.
    pub fn with_worktrees(mut self, worktrees: &Path) -> Self {
        worktrees.clone_into(&mut self.worktrees);
        self
    }

    /// The folder of one master issue, with the status files, summaries and journals.
    pub fn parallel(&self, master: Master) -> PathBuf {
        self.all_parallel().join(master.slug())
    }

    /// The status file of one agent, which only the engine writes.
    pub fn status_file(&self, master: Master, agent: u32) -> PathBuf {
        self.parallel(master)
            .join(format!("agent-{agent}.status.json"))
    }

    /// The summary for people.
    pub fn summary_markdown(&self, master: Master) -> PathBuf {
        self.parallel(master).join("summary.md")
    }

    /// The summary for programs.
    pub fn summary_json(&self, master: Master) -> PathBuf {
        self.parallel(master).join("summary.json")
    }

    /// The journal of one orchestration.
    pub fn journal(&self, master: Master, orchestration: &str) -> PathBuf {
        self.parallel(master).join(format!("{orchestration}.jsonl"))
    }

    /// The lock that one run of this master holds.
    pub fn run_lock(&self, master: Master) -> PathBuf {
        self.parallel(master).join("run.lock")
    }

    /// The lock under which a plan is filed as a master issue elsewhere, until that has a number.
    pub fn filing_lock(&self, identity: &str) -> PathBuf {
        let hash = hex(&Sha256::digest(identity.as_bytes())[..4]);
        self.all_parallel().join(format!("filing-{hash}.lock"))
    }

    /// The lock under which git's worktree commands are serialised for this repository.
    pub fn worktree_lock(&self) -> PathBuf {
        self.runtime().join("parallel/worktree.lock")
    }

    /// The folder of one orchestration's logs.
    pub fn logs(&self, orchestration: &str) -> PathBuf {
        self.runtime().join("logs").join(orchestration)
    }

    /// The engine's own log.
    pub fn session_log(&self, orchestration: &str) -> PathBuf {
        self.logs(orchestration).join("session.log")
    }

    /// The log of one agent, its output included.
    pub fn agent_log(&self, orchestration: &str, agent: u32) -> PathBuf {
        self.logs(orchestration).join(format!("agent-{agent}.log"))
    }

    /// The folder of the local forge.
    pub fn forge(&self) -> PathBuf {
        self.runtime().join("forge")
    }

    /// A path as people read it: relative to the main worktree where it lies there.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout::beside(Path::new("/home/ada/my shop"))
    }

    #[test]
    fn status_logs_and_journal_stand_where_the_specification_has_them() {
        let (layout, master) = (layout(), Master::GitHub(1234));
        let id = "orch-1234-20251201-1200";
        let shown: Vec<_> = [
            layout.status_file(master, 1),
            layout.summary_markdown(master),
            layout.summary_json(master),
            layout.journal(master, id),
            layout.session_log(id),
            layout.agent_log(id, 2),
            layout.parallel(Master::Local(3)),
        ]
        .iter()
        .map(|path| layout.shown(path))
        .collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        .claude/runtime/parallel/1234/agent-1.status.json
        .claude/runtime/parallel/1234/summary.md
        .claude/runtime/parallel/1234/summary.json
        .claude/runtime/parallel/1234/orch-1234-20251201-1200.jsonl
        .claude/runtime/logs/orch-1234-20251201-1200/session.log
        .claude/runtime/logs/orch-1234-20251201-1200/agent-2.log
        .claude/runtime/parallel/local-3
        ");
    }

    #[test]
    fn worktrees_stand_beside_the_repository() {
        assert_eq!(
            layout().worktree("feat/issue-1235-agent-1"),
            Path::new("/home/ada/my shop.worktrees/feat-issue-1235-agent-1")
        );
    }

    #[test]
    fn a_named_folder_keeps_repositories_of_one_name_apart() {
        let folder = Path::new("/mnt/fast");
        let (a, b) = (
            Layout::within(Path::new("/home/ada/shop"), folder),
            Layout::within(Path::new("/home/bob/shop"), folder),
        );
        assert_ne!(a.worktrees(), b.worktrees());
        assert!(a.worktrees().starts_with(folder));
        assert!(
            a.worktrees()
                .to_string_lossy()
                .starts_with("/mnt/fast/shop-")
        );
        assert_eq!(a, Layout::within(Path::new("/home/ada/shop"), folder));
    }

    #[test]
    fn a_relative_state_folder_is_ignored() {
        let home = Path::new("/home/ada");
        let default = Path::new("/home/ada/.local/state/amplihack/worktrees");
        assert_eq!(Layout::fallback_folder(home, None), default);
        assert_eq!(
            Layout::fallback_folder(home, Some(Path::new("state"))),
            default
        );
        assert_eq!(
            Layout::fallback_folder(home, Some(Path::new("/state"))),
            Path::new("/state/amplihack/worktrees")
        );
    }

    #[test]
    fn branches_of_the_two_forges_never_meet() {
        assert_eq!(
            Master::GitHub(1234).branch(1235, 1),
            "feat/issue-1235-agent-1"
        );
        assert_eq!(Master::Local(1).branch(2, 1), "feat/local-2-agent-1");
    }

    #[test]
    fn an_orchestration_id_names_the_minute_in_utc_and_counts_within_it() {
        let now: Timestamp = "2025-12-01T12:00:59Z".parse().unwrap();
        let master = Master::GitHub(1234);
        assert_eq!(
            master.orchestration_id(now, |_| false),
            "orch-1234-20251201-1200"
        );
        let taken = ["orch-1234-20251201-1200", "orch-1234-20251201-1200-2"];
        assert_eq!(
            master.orchestration_id(now, |id| taken.contains(&id)),
            "orch-1234-20251201-1200-3"
        );
        assert_eq!(
            Master::Local(3).orchestration_id(now, |_| false),
            "orch-local-3-20251201-1200"
        );
    }
}
