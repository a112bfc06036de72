//! What an agent spends.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::text;

/// So many messages may be open at once, the agent's own and those of its subagents.
const OPEN: usize = 64;

/// What one run of an agent has spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read, those from the cache included.
    pub input_tokens: u64,
    /// Tokens written. Too low until the end, since a message tells its own before it is whole.
    pub output_tokens: u64,
    /// US dollars, by the agent's own price list; told at its end.
    pub cost_usd: Option<f64>,
    /// Answers of the model.
    pub turns: u64,
}

impl Usage {
    /// Both together.
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cost_usd: plus(self.cost_usd, other.cost_usd),
            turns: self.turns.saturating_add(other.turns),
        }
    }
}

/// Counts as messages come, and settles where the agent gives its own account.
#[derive(Debug, Default)]
pub(super) struct Tally {
    settled: Usage,
    running: Usage,
    /// Messages that were counted, with their input and output. A message is printed once for
    /// each of its blocks, always with the same id and account.
    counted: VecDeque<(String, u64, u64)>,
}

impl Tally {
    /// Counts an assistant's message; the totals, where they have changed.
    pub(super) fn count(&mut self, event: &Value, leads: bool) -> Option<Usage> {
        let message = &event["message"];
        let id = text(&message["id"]);
        let (input, output) = (read(&message["usage"]), written(&message["usage"]));
        if id.is_empty() || message["model"] == "<synthetic>" {
            return None;
        }
        let known = self.counted.iter_mut().find(|(known, ..)| known == id);
        let before = if let Some((_, known_input, known_output)) = known {
            let before = (*known_input, *known_output);
            *known_input = input.max(before.0);
            *known_output = output.max(before.1);
            before
        } else {
            if self.counted.len() == OPEN {
                self.counted.pop_front();
            }
            self.counted.push_back((id.to_owned(), input, output));
            self.running.turns += u64::from(leads);
            (0, 0)
        };
        let more = (
            input.saturating_sub(before.0),
            output.saturating_sub(before.1),
        );
        add(&mut self.running.input_tokens, more.0);
        add(&mut self.running.output_tokens, more.1);
        (more != (0, 0)).then(|| self.settled.plus(&self.running))
    }

    /// Replaces what was counted since the last result by what this one says.
    ///
    /// `usage` leaves out subagents and the answer that broke a budget, and `total_cost_usd` holds
    /// what the session spent in earlier runs. The account by model has neither fault; versions
    /// that have none give no better than the former.
    pub(super) fn settle(&mut self, result: &Value) -> Usage {
        let mut spent = match result["model_usage_since_last_result"].as_object() {
            Some(models) => by_model(models.values()),
            None => Usage {
                input_tokens: read(&result["usage"]),
                output_tokens: written(&result["usage"]),
                cost_usd: dollars(&result["total_cost_usd"])
                    .map(|total| (total - self.settled.cost_usd.unwrap_or(0.0)).max(0.0)),
                turns: 0,
            },
        };
        spent.turns = number(&result["num_turns"]);
        self.settled = self.settled.plus(&spent);
        self.running = Usage::default();
        self.settled
    }
}

fn by_model<'a>(models: impl Iterator<Item = &'a Value>) -> Usage {
    let mut all = Usage {
        cost_usd: Some(0.0),
        ..Usage::default()
    };
    for model in models {
        for name in [
            "inputTokens",
            "cacheReadInputTokens",
            "cacheCreationInputTokens",
        ] {
            add(&mut all.input_tokens, number(&model[name]));
        }
        add(&mut all.output_tokens, number(&model["outputTokens"]));
        all.cost_usd = plus(all.cost_usd, dollars(&model["costUSD"]));
    }
    all
}

fn plus(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one + other),
        (known, None) | (None, known) => known,
    }
}

fn read(usage: &Value) -> u64 {
    let names = [
        "input_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
    ];
    let counts = names.iter().map(|name| number(&usage[name]));
    counts.fold(0, u64::saturating_add)
}

fn written(usage: &Value) -> u64 {
    number(&usage["output_tokens"])
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn dollars(value: &Value) -> Option<f64> {
    value.as_f64().filter(|dollars| *dollars >= 0.0)
}

fn add(total: &mut u64, more: u64) {
    *total = total.saturating_add(more);
}
