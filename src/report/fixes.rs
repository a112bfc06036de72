//! The one table from error type to how a log shows it and what to do about it (DESIGN
//! section 8, "Fixes").
//!
//! Pure. The patterns read logs, which are recognised text; nothing here reads Markdown.

use std::sync::LazyLock;

use regex::RegexSet;

use super::untrusted::plain;
use crate::run::failure::ErrorType;

/// So much of a log's end is read; what failed is said last.
const READ: usize = 64 * 1024;

/// How many lines at the end are asked, one after the other.
const LAST_LINES: [usize; 3] = [40, 400, usize::MAX];

/// One row: an error type, the lines that show it, and what to do.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The type.
    pub error: ErrorType,
    /// Regular expressions for single lines of a log; none where no log shows the type.
    pub detectors: &'static [&'static str],
    /// Markdown, one line each, the likeliest first.
    pub fixes: &'static [&'static str],
}

/// The table. Where several rows match, the first wins: a cause stands before its effects (a
/// missing module makes tests fail, a full disk makes builds break).
pub const TABLE: [Row; 12] = [
    Row {
        error: ErrorType::ResourceError,
        detectors: &[
            r"No space left on device|\bENOSPC\b|[Dd]isk quota exceeded",
            r"Cannot allocate memory|\bENOMEM\b|JavaScript heap out of memory|^MemoryError\b|java\.lang\.OutOfMemoryError",
            r"Too many open files|\bEMFILE\b",
            r"Resource temporarily unavailable|\bEAGAIN\b.*(fork|spawn)|(fork|spawn).*\bEAGAIN\b",
            r"^Killed$|Out of memory: Killed process|signal: 9, SIGKILL",
        ],
        fixes: &[
            "Free memory and disk, or run fewer agents at once with `--max-workers`.",
            "Remove worktrees that are no longer needed: `git worktree list`, then `git worktree remove`.",
        ],
    },
    Row {
        error: ErrorType::ApiError,
        detectors: &[
            r#""type":\s*"(overloaded_error|api_error|rate_limit_error|authentication_error)""#,
            r"API Error: (Request|\d{3}|Connection)|API Error \(",
            r"Invalid API key|Please run /login|OAuth token has expired|Credit balance is too low",
            r"API rate limit exceeded|You have exceeded a secondary rate limit|HTTP (401|403|429|5\d\d)\b.*(api\.|github)",
            r"Could not resolve host|getaddrinfo (ENOTFOUND|EAI_AGAIN)",
        ],
        fixes: &[
            "Check the service's status, and that the agent is logged in: start it by hand once.",
            "Check GitHub's token and limits: `gh auth status`, `gh api rate_limit`.",
            "Run the task again later; nothing that is done is done twice.",
        ],
    },
    Row {
        error: ErrorType::FileConflict,
        detectors: &[
            r"^CONFLICT \(|Automatic merge failed; fix conflicts",
            r"Your local changes to the following files would be overwritten",
            r"error: could not apply [0-9a-f]{7,}|untracked working tree files would be overwritten",
            r"fatal: Unable to create '.*\.lock': File exists|patch does not apply",
        ],
        fixes: &[
            "Merge the change requests of the other tasks first, then run this one again on the new base.",
            "If two tasks change the same files, make one task of them or run them in sequence.",
            "If the remote's branch has commits from elsewhere, merge it into the one in the worktree, or delete it on the remote.",
            "If a folder or a branch is in the way, move it: the error names it.",
        ],
    },
    Row {
        error: ErrorType::ImportConflict,
        detectors: &[
            r"ModuleNotFoundError: No module named|ImportError: (cannot import name|No module named)",
            r"Error: Cannot find module '|ERR_MODULE_NOT_FOUND|Module not found: (Error: )?Can't resolve",
            r"error TS2307: Cannot find module|Failed to resolve import",
            r"error\[E0432\]: unresolved import|error\[E0463\]: can't find crate",
            r"no required module provides package|cannot find package|package [\w.]+ does not exist",
            r"ResolutionImpossible|npm (ERR!|error) (code )?ERESOLVE|version solving failed",
        ],
        fixes: &[
            "A fresh worktree has no installed dependencies: let `--setup` install them, for example `--setup 'uv pip install -e .'` or `--setup 'npm ci'`.",
            "If the tasks share a new dependency, add it to the base first: they are not truly independent.",
        ],
    },
    Row {
        error: ErrorType::TestTimeout,
        detectors: &[
            r"Failed: Timeout (\(?>|after)|pytest-timeout|\+{5,} Timeout \+{5,}",
            r"Exceeded timeout of \d+ ?ms for a test|Timeout of \d+ms exceeded|Test timed out in \d+ms",
            r"panic: test timed out after|^\s*TIMEOUT \[",
            r"test .* has been running for over \d+ seconds",
        ],
        fixes: &[
            "Find the test that does not end: run the suite in the worktree with a limit per test (`pytest --timeout 60`, `cargo nextest`, `jest --testTimeout`).",
            "Give the task more time with `--timeout`.",
        ],
    },
    Row {
        error: ErrorType::BuildError,
        detectors: &[
            r"error: could not compile `|error\[E\d{4}\]",
            r"error TS\d{4}: |npm (ERR!|error) .*build|Build failed with \d+ errors?",
            r"^\S+:\d+(:\d+)?: (fatal )?error: |collect2: error: ld returned|undefined reference to",
            r"BUILD FAILED|COMPILATION ERROR|\[ERROR\] .*compil",
            r"^(make|gmake)(\[\d+\])?: \*\*\* .*Error \d+",
            r"SyntaxError: |IndentationError: ",
        ],
        fixes: &[
            "Build in the worktree to see the whole message, and mend the first error.",
            "If the base does not build either, mend the base first.",
        ],
    },
    Row {
        error: ErrorType::TestFailure,
        detectors: &[
            r"^=+ .*\b\d+ (failed|errors?)\b.* in [\d.]+s|^FAILED \S+::|short test summary info",
            r"^test result: FAILED|^---- \S.* stdout ----|^\s*FAIL \[ ",
            r"^Tests:\s+\d+ failed|^\s*\d+ failing$|^ *FAIL +\S+\.(test|spec)\.",
            r"^--- FAIL: |^FAIL\t|Tests run: \d+, Failures: [1-9]",
            r"AssertionError\b|^FAILED \((failures|errors)=\d+",
        ],
        fixes: &[
            "Run the failing tests in the worktree, and mend the code or the test.",
            "Check that the tests pass on the base, so that the failure is the task's own.",
        ],
    },
    Row {
        error: ErrorType::Timeout,
        detectors: &[],
        fixes: &[
            "Give the task more time with `--timeout`, or split it into smaller tasks.",
            "Look at the end of the log: an agent that waits for something will wait again.",
        ],
    },
    Row {
        error: ErrorType::NoChanges,
        detectors: &[],
        fixes: &[
            "Read what the agent said in its log: the task may be done already, or too vague.",
            "Name the files to change and the criteria to meet in the task's text.",
        ],
    },
    Row {
        error: ErrorType::ValidationError,
        detectors: &[],
        fixes: &[
            "Read the error above: it names the rule. Mend the task or the worktree by it.",
            "Check the whole plan without running it: `--dry-run`.",
        ],
    },
    Row {
        error: ErrorType::Cancelled,
        detectors: &[],
        fixes: &["Nothing is wrong with the task: the run was ended. Go on where it stopped."],
    },
    Row {
        error: ErrorType::Unknown,
        detectors: &[],
        fixes: &[
            "Read the end of the log, and try the task by hand in the worktree.",
            "Run the agent once by itself to see that it starts and is logged in.",
        ],
    },
];

/// What to do about an error, one line of Markdown each, the likeliest first.
pub fn suggestions(error: ErrorType) -> &'static [&'static str] {
    TABLE
        .iter()
        .find(|row| row.error == error)
        .map_or(&[], |row| row.fixes)
}

/// The type of error that a log shows; `None` where it shows none.
///
/// The last lines are asked first: an error that was met and mended on the way stands further
/// up. Lines may be JSON, as agents stream it, with line breaks escaped within.
pub fn detect(log: &str) -> Option<ErrorType> {
    let start = log.len().saturating_sub(READ);
    let start = (start..log.len())
        .find(|at| log.is_char_boundary(*at))
        .unwrap_or(log.len());
    let tail = plain(&log[start..])
        .replace("\\n", "\n")
        .replace("\\\"", "\"");
    let lines: Vec<_> = tail.trim_end().lines().collect();
    LAST_LINES
        .iter()
        .find_map(|count| detect_in(&lines[lines.len().saturating_sub(*count)..].join("\n")))
}

fn detect_in(text: &str) -> Option<ErrorType> {
    let detectors = DETECTORS.as_ref()?;
    let found = detectors.set.matches(text);
    let mut errors = detectors.errors.iter().zip(0..);
    errors
        .find(|(_, index)| found.matched(*index))
        .map(|(error, _)| *error)
}

struct Detectors {
    set: RegexSet,
    /// The type that each pattern of the set stands for.
    errors: Vec<ErrorType>,
}

// `None` cannot happen: a test compiles every pattern.
static DETECTORS: LazyLock<Option<Detectors>> = LazyLock::new(|| {
    let rows = TABLE
        .iter()
        .flat_map(|row| row.detectors.iter().map(|line| (row.error, *line)));
    let (errors, lines): (Vec<_>, Vec<_>) = rows.unzip();
    let set = RegexSet::new(lines.iter().map(|line| format!("(?m){line}"))).ok()?;
    Some(Detectors { set, errors })
});

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn every_type_has_one_row_and_something_to_do() {
        for error in ErrorType::ALL {
            let rows: Vec<_> = TABLE.iter().filter(|row| row.error == error).collect();
            assert_eq!(rows.len(), 1, "{error:?}");
            assert!(!suggestions(error).is_empty(), "{error:?}");
        }
        assert!(DETECTORS.is_some());
    }

    /// The end of logs as the tools print them, and the pattern of its row that each is for.
    const LOGS: &[(ErrorType, usize, &str)] = &[
        (
            ErrorType::ResourceError,
            0,
            "cc1: error: /tmp/ccX.s: No space left on device",
        ),
        (
            ErrorType::ResourceError,
            0,
            "npm error code ENOSPC\nnpm error errno -28",
        ),
        (
            ErrorType::ResourceError,
            1,
            "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
        ),
        (
            ErrorType::ResourceError,
            1,
            "Traceback (most recent call last):\n  File \"a.py\", line 1\nMemoryError",
        ),
        (
            ErrorType::ResourceError,
            2,
            "OSError: [Errno 24] Too many open files: 'x'",
        ),
        (
            ErrorType::ResourceError,
            3,
            "sh: fork: Resource temporarily unavailable",
        ),
        (
            ErrorType::ResourceError,
            4,
            "error: could not compile `a` (lib)\n\nCaused by:\n  process didn't exit successfully: `rustc` (signal: 9, SIGKILL: kill)",
        ),
        (
            ErrorType::ApiError,
            0,
            r#"API Error: 529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        ),
        (ErrorType::ApiError, 1, "API Error: Connection error."),
        (
            ErrorType::ApiError,
            2,
            "Invalid API key · Please run /login",
        ),
        (
            ErrorType::ApiError,
            3,
            "HTTP 403: API rate limit exceeded for user ID 1. (https://api.github.com/graphql)",
        ),
        (
            ErrorType::ApiError,
            4,
            "fatal: unable to access 'https://github.com/o/r/': Could not resolve host: github.com",
        ),
        (
            ErrorType::FileConflict,
            0,
            "Auto-merging a.py\nCONFLICT (content): Merge conflict in a.py\nAutomatic merge failed; fix conflicts and then commit the result.",
        ),
        (
            ErrorType::FileConflict,
            1,
            "error: Your local changes to the following files would be overwritten by merge:\n\ta.py",
        ),
        (
            ErrorType::FileConflict,
            2,
            "error: could not apply fa39187... Something",
        ),
        (
            ErrorType::FileConflict,
            3,
            "error: a.py: patch does not apply",
        ),
        (
            ErrorType::ImportConflict,
            0,
            "E   ModuleNotFoundError: No module named 'requests'\n=== 1 error in 0.12s ===",
        ),
        (
            ErrorType::ImportConflict,
            1,
            "node:internal/modules/cjs/loader:1143\n  throw err;\nError: Cannot find module 'express'",
        ),
        (
            ErrorType::ImportConflict,
            2,
            "src/a.ts(1,20): error TS2307: Cannot find module 'zod' or its corresponding type declarations.",
        ),
        (
            ErrorType::ImportConflict,
            3,
            "error[E0432]: unresolved import `serde`",
        ),
        (
            ErrorType::ImportConflict,
            4,
            "a.go:4:2: no required module provides package github.com/x/y; to add it:",
        ),
        (
            ErrorType::ImportConflict,
            5,
            "npm error code ERESOLVE\nnpm error ERESOLVE unable to resolve dependency tree",
        ),
        (
            ErrorType::TestTimeout,
            0,
            "E   Failed: Timeout (>60.0s) from pytest-timeout.\n=== 1 failed in 60.12s ===",
        ),
        (
            ErrorType::TestTimeout,
            1,
            "thrown: \"Exceeded timeout of 5000 ms for a test.\nTests:       1 failed, 4 passed",
        ),
        (
            ErrorType::TestTimeout,
            2,
            "panic: test timed out after 10m0s\nFAIL\texample.com/a\t600.0s",
        ),
        (
            ErrorType::TestTimeout,
            3,
            "test slow::one has been running for over 60 seconds",
        ),
        (
            ErrorType::BuildError,
            0,
            "error: could not compile `shop` (bin \"shop\") due to 2 previous errors",
        ),
        (
            ErrorType::BuildError,
            1,
            "src/a.ts(3,1): error TS1005: ';' expected.",
        ),
        (
            ErrorType::BuildError,
            2,
            "main.c:3:5: error: expected ';' before '}' token",
        ),
        (
            ErrorType::BuildError,
            3,
            "FAILURE: Build failed with an exception.\nBUILD FAILED in 3s",
        ),
        (
            ErrorType::BuildError,
            4,
            "make: *** [Makefile:12: all] Error 2",
        ),
        (
            ErrorType::BuildError,
            5,
            "    def x(:\n          ^\nSyntaxError: invalid syntax",
        ),
        (
            ErrorType::TestFailure,
            0,
            "FAILED tests/test_a.py::test_b - assert 1 == 2\n==== 1 failed, 4 passed in 0.52s ====",
        ),
        (
            ErrorType::TestFailure,
            1,
            "test result: FAILED. 3 passed; 1 failed; 0 ignored",
        ),
        (
            ErrorType::TestFailure,
            2,
            "Tests:       1 failed, 4 passed, 5 total",
        ),
        (
            ErrorType::TestFailure,
            3,
            "--- FAIL: TestAdd (0.00s)\nFAIL\texample.com/a\t0.003s",
        ),
        (
            ErrorType::TestFailure,
            4,
            "Ran 3 tests in 0.001s\n\nFAILED (failures=1)",
        ),
    ];

    #[test]
    fn real_logs_are_recognised() {
        for (error, _, log) in LOGS {
            assert_eq!(detect(&format!("working…\n{log}\n")), Some(*error), "{log}");
        }
    }

    #[test]
    fn every_pattern_is_tried_on_a_log_of_its_own() {
        for row in TABLE {
            for (index, pattern) in row.detectors.iter().enumerate() {
                let pattern = Regex::new(&format!("(?m){pattern}")).unwrap();
                let hit = LOGS
                    .iter()
                    .any(|(e, i, log)| (*e, *i) == (row.error, index) && pattern.is_match(log));
                assert!(hit, "{:?} {index}: {pattern}", row.error);
            }
        }
    }

    #[test]
    fn a_log_of_success_shows_nothing() {
        let logs = [
            "",
            "==== 5 passed in 0.52s ====\nAll done. I handled the error cases and timeouts.",
            "test result: ok. 12 passed; 0 failed",
            "I added error handling for the case that the disk is full.",
        ];
        for log in logs {
            assert_eq!(detect(log), None, "{log}");
        }
    }

    #[test]
    fn the_last_error_counts_and_not_one_that_was_mended_on_the_way() {
        let mended = "ModuleNotFoundError: No module named 'x'\n";
        let work = "installed x, going on\n".repeat(50);
        let last = "==== 1 failed, 4 passed in 0.52s ====\n";
        assert_eq!(
            detect(&format!("{mended}{work}{last}")),
            Some(ErrorType::TestFailure)
        );
        assert_eq!(
            detect(&format!("{mended}{work}")),
            Some(ErrorType::ImportConflict)
        );
    }

    #[test]
    fn errors_are_seen_within_streamed_json() {
        let line = r#"{"type":"user","content":"building\nerror: could not compile `shop`\n"}"#;
        assert_eq!(detect(line), Some(ErrorType::BuildError));
        let line = r#"{"result":"API said {\"type\":\"overloaded_error\"}"}"#;
        assert_eq!(detect(line), Some(ErrorType::ApiError));
    }

    #[test]
    fn colors_do_not_hide_an_error_and_only_the_end_of_a_log_counts() {
        assert_eq!(
            detect("\u{1b}[31m\u{1b}[1merror[E0308]\u{1b}[0m: mismatched types"),
            Some(ErrorType::BuildError)
        );
        let old = format!("error[E0308]: x\n{}", "fine ü\n".repeat(20_000));
        assert_eq!(detect(&old), None);
    }
}
