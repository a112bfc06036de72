//! Claude Code's stream-json, read as it comes: what the agent does, spends and says at its end.
//!
//! Pure: bytes in, signs out, however the bytes were cut. Nothing that an agent prints is refused:
//! lines that are too long, no JSON or of a kind that nobody knows are passed over. What the lines
//! look like is recorded in `tests/fixtures/claude/`.

mod ending;
mod stage;
mod todos;
mod usage;

use serde_json::Value;

pub use ending::{AgentResult, Verdict};
pub use usage::Usage;

use crate::report::untrusted;
use todos::Todos;
use usage::Tally;

/// The longest line that is read, in bytes.
pub const LONGEST_LINE: usize = 1024 * 1024;

/// The longest stage, in characters.
const LONGEST_STAGE: usize = 120;

/// What a line of the stream tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Sign {
    /// What the agent is doing now, in words for people, at most 120 visible characters.
    Progress {
        /// The words: `Editing src/app.py`, or the to-do that is being done.
        stage: String,
        /// How much of its to-dos is done, where it keeps any; at most 90, since the end is not
        /// the agent's to tell.
        percent: Option<u8>,
    },
    /// What was spent so far, in this run of the agent.
    Usage(Usage),
    /// The provider refuses further work: a usage limit is reached.
    Limited {
        /// When it is lifted, in seconds since 1970, where that was said.
        until: Option<i64>,
    },
    /// A tool call was not permitted; the agent goes on without it.
    Denied {
        /// The tool's name.
        tool: String,
    },
    /// The end, as the agent tells it. One that waits for what it left in the background tells it
    /// more than once: the last counts.
    Result(AgentResult),
}

/// The output of one agent.
#[derive(Debug, Default)]
pub struct Stream {
    line: Vec<u8>,
    overlong: bool,
    reader: Reader,
}

impl Stream {
    /// The signs in the lines that these bytes complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Sign> {
        let mut signs = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if let Some(end) = piece.strip_suffix(b"\n") {
                self.gather(end);
                self.end_line(&mut signs);
            } else {
                self.gather(piece);
            }
        }
        signs
    }

    /// The signs in a last line without a line end.
    pub fn finish(&mut self) -> Vec<Sign> {
        let mut signs = Vec::new();
        self.end_line(&mut signs);
        signs
    }

    fn gather(&mut self, piece: &[u8]) {
        self.overlong |= self.line.len() + piece.len() > LONGEST_LINE;
        if self.overlong {
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(piece);
        }
    }

    fn end_line(&mut self, signs: &mut Vec<Sign>) {
        let line = std::mem::take(&mut self.line);
        if !std::mem::take(&mut self.overlong)
            && let Ok(event) = serde_json::from_str(&String::from_utf8_lossy(&line))
        {
            self.reader.read(&event, signs);
        }
    }
}

/// What is remembered from line to line.
#[derive(Debug, Default)]
struct Reader {
    folder: String,
    shown: (String, Option<u8>),
    todos: Todos,
    tally: Tally,
    limit: Option<Limit>,
    waits: bool,
}

/// A usage limit that refuses work.
#[derive(Debug, Clone, Copy)]
struct Limit {
    until: Option<i64>,
}

impl Reader {
    fn read(&mut self, event: &Value, signs: &mut Vec<Sign>) {
        match text(&event["type"]) {
            "system" => self.system(event, signs),
            "assistant" => self.assistant(event, signs),
            "user" => self.todos.hear(event),
            "rate_limit_event" => self.rate_limit(&event["rate_limit_info"], signs),
            "result" => {
                let usage = self.tally.settle(event);
                signs.push(Sign::Result(ending::read(
                    event, usage, self.limit, self.waits,
                )));
            }
            _ => {}
        }
    }

    fn system(&mut self, event: &Value, signs: &mut Vec<Sign>) {
        match text(&event["subtype"]) {
            "init" => text(&event["cwd"]).clone_into(&mut self.folder),
            "api_retry" => self.show(Some(&stage::of_retry(event)), signs),
            "background_tasks_changed" => {
                self.waits = event["tasks"]
                    .as_array()
                    .is_some_and(|left| !left.is_empty());
            }
            "permission_denied" => signs.push(Sign::Denied {
                tool: untrusted::cut_words(
                    &untrusted::inline_terminal(text(&event["tool_name"])),
                    LONGEST_STAGE,
                ),
            }),
            _ => {}
        }
    }

    fn assistant(&mut self, event: &Value, signs: &mut Vec<Sign>) {
        // A subagent's own to-dos are none of this agent's.
        let leads = event["parent_tool_use_id"].is_null();
        for block in calls(event) {
            let (tool, input) = (text(&block["name"]), &block["input"]);
            if !todos::concern(tool) {
                self.show(Some(&stage::of_call(tool, input, &self.folder)), signs);
            } else if leads {
                let words = self.todos.take(tool, input, text(&block["id"]));
                self.show(words.as_deref(), signs);
            }
        }
        if let Some(usage) = self.tally.count(event, leads) {
            signs.push(Sign::Usage(usage));
        }
    }

    fn rate_limit(&mut self, info: &Value, signs: &mut Vec<Sign>) {
        // A rejected allowance is no end where the account pays for what goes beyond.
        let rejected = info["status"] == "rejected" && info["isUsingOverage"] != true;
        self.limit = rejected.then(|| Limit {
            until: info["resetsAt"].as_i64(),
        });
        if let Some(Limit { until }) = self.limit {
            signs.push(Sign::Limited { until });
        }
    }

    /// Shows the words, or else the last ones, where they or the percentage are new.
    fn show(&mut self, words: Option<&str>, signs: &mut Vec<Sign>) {
        let stage = words.map_or_else(
            || self.shown.0.clone(),
            |words| untrusted::cut_words(&untrusted::inline_terminal(words), LONGEST_STAGE),
        );
        let shown = (stage, self.todos.percent());
        if !shown.0.is_empty() && shown != self.shown {
            let (stage, percent) = shown.clone();
            signs.push(Sign::Progress { stage, percent });
            self.shown = shown;
        }
    }
}

/// The tool calls of an assistant's message.
fn calls(event: &Value) -> impl Iterator<Item = &Value> {
    let blocks = event["message"]["content"].as_array().into_iter().flatten();
    blocks.filter(|block| block["type"] == "tool_use")
}

/// A text, or the empty one where there is something else.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests;
