//! What agents at work say in their streams, and which of them are to be ended because they have
//! said their last word and do not go.
//!
//! Pure: bytes and the time in, records out.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::stream::{AgentResult, Sign, Stream};
use crate::supervisor::UnitId;

use super::record::Body;

/// How long an agent may take to exit after its result, in microseconds.
const FAREWELL: u64 = 10_000_000;

/// The agents that are listened to.
#[derive(Debug, Default)]
pub struct Hearing {
    heard: BTreeMap<UnitId, Heard>,
}

#[derive(Debug)]
struct Heard {
    agent: u32,
    stream: Stream,
    /// What it does and how far it is, as it said last.
    claim: (Option<String>, Option<u8>),
    denied: BTreeSet<String>,
    result: Option<AgentResult>,
    /// When it has to be gone.
    leaves: Option<u64>,
    /// It was told to go after its result.
    dismissed: bool,
}

/// What an agent said in its stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// What it does, and how far it is.
    Progress {
        /// In words for people.
        stage: String,
        /// 0 to 100, where it says so.
        percent: Option<u8>,
    },
    /// Something for the journal.
    Record(Body),
}

/// How an agent took its leave.
#[derive(Debug, Clone, PartialEq)]
pub struct Farewell {
    /// Its last word.
    pub result: AgentResult,
    /// It was ended because it did not go by itself afterwards.
    pub dismissed: bool,
}

impl Hearing {
    /// Listens to an agent from now on.
    pub fn open(&mut self, unit: UnitId, agent: u32) {
        let heard = Heard {
            agent,
            stream: Stream::default(),
            claim: (None, None),
            denied: BTreeSet::new(),
            result: None,
            leaves: None,
            dismissed: false,
        };
        self.heard.insert(unit, heard);
    }

    /// What these bytes of its standard output say.
    pub fn hear(&mut self, unit: UnitId, bytes: &[u8], now: u64) -> Vec<Said> {
        let Some(heard) = self.heard.get_mut(&unit) else {
            return Vec::new();
        };
        let signs = heard.stream.feed(bytes);
        heard.take_in(signs, now)
    }

    /// When somebody has to be gone next.
    pub fn next_leave(&self) -> Option<u64> {
        let waiting = self.heard.values().filter(|heard| !heard.dismissed);
        waiting.filter_map(|heard| heard.leaves).min()
    }

    /// Those who should be gone by `now`. Each is named once.
    pub fn dismiss(&mut self, now: u64) -> Vec<UnitId> {
        let mut overdue = Vec::new();
        for (unit, heard) in &mut self.heard {
            if !heard.dismissed && heard.leaves.is_some_and(|leaves| leaves <= now) {
                heard.dismissed = true;
                overdue.push(*unit);
            }
        }
        overdue
    }

    /// Stops listening: what was said at the very end, and the last word if there was one.
    pub fn close(&mut self, unit: UnitId, now: u64) -> (Vec<Said>, Option<Farewell>) {
        let Some(mut heard) = self.heard.remove(&unit) else {
            return (Vec::new(), None);
        };
        let signs = heard.stream.finish();
        let said = heard.take_in(signs, now);
        let dismissed = heard.dismissed;
        let farewell = heard.result.map(|result| Farewell { result, dismissed });
        (said, farewell)
    }
}

impl Heard {
    fn take_in(&mut self, signs: Vec<Sign>, now: u64) -> Vec<Said> {
        let agent = self.agent;
        let mut said = Vec::new();
        for sign in signs {
            match sign {
                Sign::Progress { stage, percent } => {
                    // An agent that says more is not through yet.
                    self.leaves = None;
                    let claim = (Some(stage.clone()), percent);
                    if claim != self.claim {
                        self.claim = claim;
                        said.push(Said::Progress { stage, percent });
                    }
                }
                Sign::Usage(usage) => {
                    self.leaves = None;
                    said.push(Said::Record(Body::AgentUsed { agent, usage }));
                }
                // The result that follows says what it means.
                Sign::Limited { .. } => {}
                Sign::Denied { tool } => {
                    if self.denied.insert(tool.clone()) {
                        said.push(Said::Record(Body::Warned {
                            agent: Some(agent),
                            message: format!("it was not allowed to use {tool}"),
                        }));
                    }
                }
                Sign::Result(result) => {
                    let usage = result.usage;
                    said.push(Said::Record(Body::AgentUsed { agent, usage }));
                    self.leaves = (!result.waits).then_some(now + FAREWELL);
                    self.result = Some(result);
                }
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &[u8] =
        b"{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"done\"}\n";

    #[test]
    fn an_agent_that_stays_after_its_result_is_dismissed_once() {
        let (mut hearing, unit) = (Hearing::default(), UnitId(1));
        hearing.open(unit, 3);
        assert_eq!(hearing.next_leave(), None, "silence alone ends nobody");
        hearing.hear(unit, RESULT, 5);
        assert_eq!(hearing.next_leave(), Some(5 + FAREWELL));
        assert_eq!(hearing.dismiss(5 + FAREWELL - 1), []);
        assert_eq!(hearing.dismiss(5 + FAREWELL), [unit]);
        assert_eq!(hearing.dismiss(5 + FAREWELL), []);
        let (_, farewell) = hearing.close(unit, 9);
        assert!(farewell.is_some_and(|farewell| farewell.dismissed && !farewell.result.is_error));
    }

    #[test]
    fn an_agent_that_goes_on_after_a_result_may_stay() {
        let (mut hearing, unit) = (Hearing::default(), UnitId(1));
        hearing.open(unit, 3);
        hearing.hear(unit, RESULT, 5);
        let call = br#"{"type":"assistant","message":{"id":"m","content":[{"type":"tool_use","name":"Bash","id":"t","input":{"command":"make"}}]}}"#;
        hearing.hear(unit, call, 6);
        hearing.hear(unit, b"\n", 6);
        assert_eq!(hearing.next_leave(), None);
    }

    #[test]
    fn whoever_nobody_listens_to_says_nothing() {
        let mut hearing = Hearing::default();
        assert_eq!(hearing.hear(UnitId(9), RESULT, 1), []);
        assert_eq!(hearing.close(UnitId(9), 1), (Vec::new(), None));
    }
}
