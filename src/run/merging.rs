//! In which order the branches of an orchestration are best merged.
//!
//! Pure. [`Workspace::collisions`](crate::workspace::Workspace::collisions) finds out what
//! collides; this says what to make of it.

use serde::{Deserialize, Serialize};

/// Two branches that cannot be merged without a person, or one and the base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collision {
    /// The agent of the one.
    pub agent: u32,
    /// The agent of the other; `None` is the base.
    pub other: Option<u32>,
    /// The files that both changed, the first [`PATHS_NAMED`](crate::workspace::merging::PATHS_NAMED) of them.
    pub paths: Vec<String>,
}

/// What came of merging every pair of branches, in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merges {
    /// What collides.
    pub collisions: Vec<Collision>,
    /// Why this is not all that there is to know.
    pub problem: Option<String>,
}

impl Merges {
    /// The agents in the order in which their branches are best merged: those that collide with
    /// nothing, then those that collide with the fewest, and last those that the base has
    /// overtaken. Whoever is merged first needs no second look, so most need none.
    pub fn order(&self, agents: &[u32]) -> Vec<u32> {
        let weight = |agent: u32| {
            let meets_base = self.of(agent).any(|collision| collision.other.is_none());
            (meets_base, self.of(agent).count(), agent)
        };
        let mut order = agents.to_vec();
        order.sort_by_key(|agent| weight(*agent));
        order
    }

    fn of(&self, agent: u32) -> impl Iterator<Item = &Collision> {
        self.collisions
            .iter()
            .filter(move |collision| collision.agent == agent || collision.other == Some(agent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn collision(agent: u32, other: Option<u32>) -> Collision {
        Collision {
            agent,
            other,
            paths: vec!["a.py".to_owned()],
        }
    }

    #[test]
    fn whoever_meets_nobody_goes_first_and_whoever_meets_the_base_last() {
        let merges = Merges {
            collisions: vec![
                collision(1, None),
                collision(2, Some(3)),
                collision(2, Some(5)),
            ],
            problem: None,
        };
        assert_eq!(merges.order(&[1, 2, 3, 4, 5]), [4, 3, 5, 2, 1]);
        assert_eq!(Merges::default().order(&[2, 1, 3]), [1, 2, 3]);
    }

    proptest! {
        #[test]
        fn every_branch_is_in_the_order_once(
            pairs in proptest::collection::vec((1_u32..9, proptest::option::of(1_u32..9)), 0..20)
        ) {
            let merges = Merges {
                collisions: pairs.into_iter().map(|(a, b)| collision(a, b)).collect(),
                problem: None,
            };
            let mut order = merges.order(&[1, 2, 3, 4, 5, 6, 7, 8]);
            order.sort_unstable();
            prop_assert_eq!(order, [1, 2, 3, 4, 5, 6, 7, 8]);
        }
    }
}
