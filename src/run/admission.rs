//! How many agents may be at work at once: as many as were asked for, or as many as this machine
//! can carry.
//!
//! Pure. [`super::resources`] looks.

use super::resources::size;

/// Memory that one agent is reckoned to take, in bytes (the specification's table).
pub const AGENT_MEMORY: u64 = 500 * 1000 * 1000;

/// Descriptors that one agent takes: its two outputs, its input, and what tells its end.
const AGENT_DESCRIPTORS: u64 = 4;

/// Descriptors that one step beside the agents takes: the repository while it is read, and the
/// pipes of a git command.
const STEP_DESCRIPTORS: u64 = 8;

/// Descriptors of the run itself: journal, locks, logs, file events, the engine, its watcher's
/// start, and those that a child takes only while it starts.
const RUN_DESCRIPTORS: u64 = 20;

/// What there is to share; `None` where the system does not say, or sets no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Supply {
    /// Memory that can be used without swapping, in bytes.
    pub memory: Option<u64>,
    /// How many descriptors this program may have, once it has raised its limit.
    pub descriptors: Option<u64>,
    /// How many it has.
    pub open: u64,
}

/// What is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// Agents at once, at least 1.
    pub agents: usize,
    /// Steps beside the agents at once, at least 1: git, and requests to the forge.
    pub steps: usize,
    /// Descriptors that all of that takes, together with those that are open.
    pub descriptors: u64,
    /// Why it is fewer agents than were asked for, if so.
    pub shortage: Option<String>,
}

impl Supply {
    /// Decides for so many tasks, of which `wanted` were to be worked on at once.
    ///
    /// One agent is always let in: it may need less than it is reckoned to.
    pub fn admit(&self, wanted: usize, tasks: usize) -> Admission {
        let useful = wanted.min(tasks).max(1);
        let by_memory = self.memory.map(|free| whole(free / AGENT_MEMORY));
        let shares = self.descriptors.map(|limit| self.share(limit));
        let (by_descriptors, steps) =
            shares.map_or((None, usize::MAX), |(agents, steps)| (Some(agents), steps));
        let fewest = |some: Option<usize>| some.map_or(useful, |some| some.clamp(1, useful));
        let agents = fewest(by_memory).min(fewest(by_descriptors));
        let steps = steps.clamp(1, tasks.max(1));
        let shortage = (agents < useful).then(|| {
            let reason = if fewest(by_memory) <= fewest(by_descriptors) {
                format!(
                    "{} of memory are free, and an agent is reckoned to need {}",
                    size(self.memory.unwrap_or_default()),
                    size(AGENT_MEMORY)
                )
            } else {
                format!(
                    "{} more files can be opened, and each agent takes {AGENT_DESCRIPTORS} \
                     (see ulimit -n)",
                    self.descriptors
                        .unwrap_or_default()
                        .saturating_sub(self.open)
                )
            };
            let noun = if agents == 1 { "agent" } else { "agents" };
            format!("{agents} {noun} at once instead of {useful}: {reason}")
        });
        let together = agents as u64 * AGENT_DESCRIPTORS + steps as u64 * STEP_DESCRIPTORS;
        Admission {
            // What only the tasks limit stays as it was asked for.
            agents: if shortage.is_some() { agents } else { wanted },
            steps,
            descriptors: self.open + RUN_DESCRIPTORS + together,
            shortage,
        }
    }

    /// Agents and steps that a limit of descriptors has room for: half of what is left for each,
    /// since a task needs either the one or the other.
    fn share(&self, limit: u64) -> (usize, usize) {
        let left = limit.saturating_sub(self.open + RUN_DESCRIPTORS);
        let steps = left / 2 / STEP_DESCRIPTORS;
        let agents = left.saturating_sub(steps.max(1) * STEP_DESCRIPTORS) / AGENT_DESCRIPTORS;
        (whole(agents), whole(steps))
    }
}

fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOMY: Supply = Supply {
        memory: Some(64_000_000_000),
        descriptors: Some(1 << 20),
        open: 20,
    };

    #[test]
    fn a_roomy_machine_lets_in_what_was_asked_for() {
        let admission = ROOMY.admit(50, 60);
        assert_eq!((admission.agents, admission.steps), (50, 60));
        assert_eq!(admission.shortage, None);
        assert_eq!(ROOMY.admit(50, 3).agents, 50, "the tasks are no shortage");
    }

    #[test]
    fn few_descriptors_let_in_few_agents_and_say_so() {
        let few = Supply {
            descriptors: Some(64),
            open: 10,
            ..ROOMY
        };
        let admission = few.admit(50, 50);
        assert_eq!((admission.agents, admission.steps), (4, 2));
        insta::assert_snapshot!(
            admission.shortage.unwrap(),
            @"4 agents at once instead of 50: 54 more files can be opened, and each agent takes 4 (see ulimit -n)"
        );
    }

    #[test]
    fn little_memory_lets_in_few_agents_and_says_so() {
        let little = Supply {
            memory: Some(1_340_000_000),
            ..ROOMY
        };
        let admission = little.admit(5, 10);
        assert_eq!(admission.agents, 2);
        insta::assert_snapshot!(
            admission.shortage.unwrap(),
            @"2 agents at once instead of 5: 1.3 GB of memory are free, and an agent is reckoned to need 500.0 MB"
        );
    }

    #[test]
    fn what_just_fits_is_no_shortage() {
        let tight = Supply {
            memory: Some(2_500_000_000),
            ..ROOMY
        };
        assert_eq!(tight.admit(5, 10).shortage, None);
    }

    #[test]
    fn what_the_system_does_not_say_is_no_shortage() {
        let admission = Supply::default().admit(50, 50);
        assert_eq!((admission.agents, admission.shortage), (50, None));
    }

    proptest! {
        #[test]
        fn somebody_is_always_let_in_and_never_more_than_wanted(
            memory in prop::option::of(any::<u64>()),
            descriptors in prop::option::of(any::<u64>()),
            open in 0..2_000_u64,
            wanted in 1..500_usize,
            tasks in 1..500_usize,
        ) {
            let supply = Supply { memory, descriptors, open };
            let admission = supply.admit(wanted, tasks);
            prop_assert!((1..=wanted).contains(&admission.agents));
            prop_assert!((1..=tasks).contains(&admission.steps));
            let useful = wanted.min(tasks);
            prop_assert_eq!(admission.shortage.is_some(), admission.agents < useful);
            let is_enough = descriptors.is_none_or(|limit| admission.descriptors <= limit);
            prop_assert!(is_enough || admission.steps == 1);
        }
    }
}
