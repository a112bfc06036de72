//! From Markdown to tasks, and from tasks to the answer whether they can run side by side.
//!
//! [`parse`] reads a plan, [`validate`] judges it. Everything here is pure: no files, no clock, no
//! git. The repository comes in as a [`Tree`] of paths that the caller has read.
//!
//! Plans are untrusted and come in every language and style, so nothing here recurses over their
//! structure, every step is linear in their size, and words are looked up in tables.

mod adopt;
mod cues;
mod estimate;
mod footprint;
mod heading;
mod independence;
mod list;
mod markdown;
mod ordering;
mod outline;
mod quote;
mod reference;
mod resolve;
mod task;
mod title;
mod words;

pub use estimate::{Complexity, Estimate, Pace, Past, estimate};
pub use footprint::Tree;
pub use independence::{Overlap, Validation, Verdict, validate};
pub use quote::{Quote, Reason};
pub use task::{Dependency, Plan, PlanError, Shared, Target, Task, parse};
pub use title::{IssueRef, key};
