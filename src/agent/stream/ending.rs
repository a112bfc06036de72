//! The agent's last line, and what it means for the run (DESIGN section 8, limits of agents).

use serde_json::Value;

use super::{Limit, Usage, text};
use crate::report::untrusted;

/// The longest final text that is kept, in characters.
const LONGEST_TEXT: usize = 500;

/// How Claude Code says that a session is not there; only its words tell that from other errors.
const NO_SESSION: &str = "No conversation found";

/// The end, as the agent tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentResult {
    /// Whether it failed. This decides; the subtype of an API error is `success`.
    pub is_error: bool,
    /// Whether something that it started goes on in the background. Then it has not ended: it waits
    /// for that (ten minutes at most, unless told otherwise), is told what came of it, and gives
    /// another result.
    pub waits: bool,
    /// What kind of end: `success`, `error_max_turns`, `error_max_budget_usd`, …
    pub subtype: String,
    /// Its last words, or its errors: one line, shortened.
    pub text: String,
    /// The HTTP status of the API error that ended it.
    pub api_status: Option<u16>,
    /// Whether the provider's last word on the usage limit was a refusal.
    pub limited: bool,
    /// When that limit is lifted, in seconds since 1970, where it was said.
    pub limited_until: Option<i64>,
    /// The session, by which it can be resumed.
    pub session_id: Option<String>,
    /// What this run of it has spent.
    pub usage: Usage,
    /// How many tool calls were not permitted.
    pub denials: usize,
}

/// What an agent's end means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It says that it is done; whether it is, its branch says.
    Done,
    /// The user's usage limit: nobody need try before it is lifted.
    UsageLimit {
        /// When, in seconds since 1970, where it was said.
        until: Option<i64>,
    },
    /// The provider has trouble, after all the agent's own retries.
    Overloaded,
    /// The agent's own budget is spent.
    BudgetExceeded,
    /// The session to resume does not exist.
    UnknownSession,
    /// Anything else.
    Failed {
        /// Its last words.
        message: String,
    },
}

impl AgentResult {
    /// What the end means.
    pub fn verdict(&self) -> Verdict {
        if !self.is_error {
            return Verdict::Done;
        }
        match (self.subtype.as_str(), self.api_status) {
            ("error_max_budget_usd", _) => Verdict::BudgetExceeded,
            ("error_during_execution", None) if self.text.starts_with(NO_SESSION) => {
                Verdict::UnknownSession
            }
            (_, Some(429)) => self.usage_limit(),
            (_, Some(500..=599)) => Verdict::Overloaded,
            (_, None) if self.limited => self.usage_limit(),
            _ => Verdict::Failed {
                message: self.text.clone(),
            },
        }
    }

    fn usage_limit(&self) -> Verdict {
        Verdict::UsageLimit {
            until: self.limited_until,
        }
    }
}

/// Reads a `result`.
pub(super) fn read(event: &Value, usage: Usage, limit: Option<Limit>, waits: bool) -> AgentResult {
    let errors = event["errors"].as_array().into_iter().flatten().map(text);
    let said = match event["result"].as_str() {
        Some(result) => result.to_owned(),
        None => errors.collect::<Vec<_>>().join("; "),
    };
    let status = event["api_error_status"].as_u64();
    AgentResult {
        is_error: event["is_error"] != false,
        waits,
        subtype: text(&event["subtype"]).to_owned(),
        text: untrusted::cut_words(&untrusted::inline_terminal(&said), LONGEST_TEXT),
        api_status: status.and_then(|status| u16::try_from(status).ok()),
        limited: limit.is_some(),
        limited_until: limit.and_then(|limit| limit.until),
        session_id: event["session_id"].as_str().map(str::to_owned),
        usage,
        denials: event["permission_denials"].as_array().map_or(0, Vec::len),
    }
}
