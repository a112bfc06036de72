//! What git prints, read.
//!
//! Pure. The commands that print it are in [`super::cli`].

use crate::error::{Error, Result};

use super::cli::MINIMUM_VERSION;

/// Why a command ended badly, from its standard error: the first complaint, which advice and
/// consequences may follow, else the last line that says something.
///
/// A push that was refused ends with a complaint that says no more than that. Why is above
/// it: in the words of the server, of a hook, or beside the branch.
pub(super) fn reason(stderr: &str) -> String {
    let lines: Vec<_> = stderr.lines().map(str::trim).collect();
    let refused = lines
        .iter()
        .position(|line| line.contains("failed to push"));
    let reason = refused
        .and_then(|end| why_refused(&lines[..end]))
        .or_else(|| lines.iter().find_map(|line| complaint(line)))
        .or_else(|| lines.iter().rev().copied().find(|line| is_telling(line)))
        .unwrap_or("it said nothing");
    without_credentials(reason)
}

/// What a line complains of, where git or a server wrote it.
fn complaint(line: &str) -> Option<&str> {
    let line = line.strip_prefix("remote: ").unwrap_or(line);
    ["fatal: ", "error: "]
        .iter()
        .find_map(|prefix| line.strip_prefix(prefix))
}

fn why_refused<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let complained = lines.iter().find_map(|line| complaint(line));
    let rejected = || lines.iter().find_map(|line| line.strip_prefix("! "));
    let last = || lines.iter().rev().copied().find(|line| is_telling(line));
    complained.or_else(rejected).or_else(last)
}

fn is_telling(line: &str) -> bool {
    !line.is_empty() && !line.starts_with("hint:")
}

/// A text without what stands before the host of an address: `https://user:token@host`.
fn without_credentials(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = after
            .find(|mark: char| mark == '/' || mark.is_whitespace() || mark == '\'')
            .unwrap_or(after.len());
        let host = after[..end].rfind('@').map_or(0, |at| at + 1);
        rest = &after[host..];
    }
    clean + rest
}

/// Reads the answer to [`Git::status`](super::cli::Git::status): the paths of files with work that is not committed, our
/// own left out. Names that are not UTF-8 are shown with `\u{fffd}`.
pub fn uncommitted(stdout: &[u8]) -> Vec<String> {
    stdout
        .split(|byte| *byte == 0)
        // Two letters of state, a space, and the path.
        .filter_map(|entry| entry.get(3..))
        .filter(|path| !path.is_empty() && !super::is_own_path(path))
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect()
}

/// Reads the answer to [`Git::remote_references`](super::cli::Git::remote_references): names and commits.
pub fn references(stdout: &str) -> Vec<(&str, &str)> {
    stdout
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(commit, name)| (name, commit))
        .collect()
}

/// Reads the answer to [`Git::remote_branch`](super::cli::Git::remote_branch): the branch's name and its commit.
pub fn remote_head(stdout: &str) -> Option<(String, String)> {
    let mut name = None;
    let mut commit = None;
    for line in stdout.lines() {
        let (what, reference) = line.split_once('\t')?;
        let branch = |reference: &str| reference.strip_prefix("refs/heads/").map(str::to_owned);
        if let Some(target) = what.strip_prefix("ref: ") {
            name = branch(target);
        } else {
            commit = Some(what.to_owned());
            name = name.or_else(|| branch(reference));
        }
    }
    Some((name?, commit?))
}

/// Reads the answer to `git --version`, and refuses a git older than [`MINIMUM_VERSION`].
pub fn check_version(stdout: &str) -> Result<(u32, u32)> {
    let refused = |reason| Error::Git {
        command: "--version".into(),
        reason,
    };
    let version = stdout
        .trim()
        .strip_prefix("git version ")
        .and_then(|rest| {
            let mut numbers = rest
                .split(['.', ' '])
                .map_while(|part| part.parse::<u32>().ok());
            Some((numbers.next()?, numbers.next()?))
        })
        .ok_or_else(|| refused(format!("it answered {:?}", stdout.trim())))?;
    if version < MINIMUM_VERSION {
        return Err(refused(format!(
            "git {}.{} is too old: {}.{} or later is needed",
            version.0, version.1, MINIMUM_VERSION.0, MINIMUM_VERSION.1
        )));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_holds_no_credentials() {
        assert_eq!(
            reason("fatal: unable to access 'https://user:ghp_abc@github.com/o/r.git/': no"),
            "unable to access 'https://github.com/o/r.git/': no"
        );
    }

    #[test]
    fn versions_are_read_in_all_their_forms() {
        assert_eq!(
            check_version("git version 2.39.5 (Apple Git-154)\n").unwrap(),
            (2, 39)
        );
        assert_eq!(check_version("git version 2.47.3").unwrap(), (2, 47));
        assert_eq!(
            check_version("git version 3.0-rc1.windows.2")
                .unwrap_err()
                .exit_code(),
            9
        );
        assert!(
            check_version("git version 2.17.1")
                .unwrap_err()
                .to_string()
                .contains("too old")
        );
        assert!(check_version("command not found").is_err());
    }

    #[test]
    fn a_status_lists_work_and_leaves_our_own_files_out() {
        let stdout = b" M a b.rs\0?? .agent_status.json\0?? .claude/runtime/x\0D  caf\xe9\0";
        assert_eq!(uncommitted(stdout), ["a b.rs", "caf\u{fffd}"]);
        assert!(uncommitted(b"").is_empty());
    }

    #[test]
    fn the_reason_is_the_first_complaint_or_else_the_last_line_that_says_something() {
        assert_eq!(
            reason("Preparing worktree\nfatal: 'x' already exists\nhint: no\n\n"),
            "'x' already exists"
        );
        assert_eq!(
            reason("fatal: cannot lock it: it exists.\n\nRemove it by hand.\n"),
            "cannot lock it: it exists."
        );
    }

    #[test]
    fn a_refused_push_shows_why() {
        let failed = "error: failed to push some refs to 'https://github.com/octo/shop.git'\n";
        for (above, expected) in [
            ("no pushes on Fridays\n", "no pushes on Fridays"),
            (
                "remote: Resolving deltas: 100%\nremote: error: GH006: Protected branch\n\
                 To https://github.com/octo/shop.git\n ! [remote rejected] a -> a (hook)\n",
                "GH006: Protected branch",
            ),
            (
                "To https://github.com/octo/shop.git\n ! [rejected] a -> a (fetch first)\n",
                "[rejected] a -> a (fetch first)",
            ),
            (
                "",
                "failed to push some refs to 'https://github.com/octo/shop.git'",
            ),
        ] {
            assert_eq!(reason(&format!("{above}{failed}")), expected);
        }
    }
}
