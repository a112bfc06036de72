//! Parallel orchestration of coding agents: a functional core in an imperative shell.
//!
//! A master issue or a Markdown plan becomes independent tasks ([`plan`]); each task gets a git
//! worktree ([`workspace`]), an issue and a change request ([`forge`]) and one coding agent
//! ([`agent`]), all run under one supervisor ([`supervisor`]). One orchestration from the plan to
//! the summary is a state machine ([`run`]) that reaches everything impure through one [`world`];
//! [`report`] turns its outcome into what people read. `python` binds it all, and holds no logic.
//!
//! Where a module decides, it is pure: it is handed the time and facts, and returns what is to be
//! done. Where it acts, it decides nothing.

pub mod agent;
pub mod error;
pub mod forge;
pub mod plan;
#[cfg(feature = "python")]
mod python;
pub mod report;
pub mod run;
pub mod supervisor;
pub mod workspace;
pub mod world;
