//! Everything that people read, made from plain data.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`text`] | durations, numbers, ranges |
//! | [`untrusted`] | titles, Markdown and terminal output of others made harmless |
//! | [`lines`] | the lines on standard output, one function each |
//! | [`dry_run`] | what a dry run says of a plan |
//! | [`console`] | which lines an event gives |
//! | [`issue`] | sub-issues and change requests |
//! | [`diagnostic`] | the issue about a failed task |
//! | [`summary`] | `summary.md` and the comment on the master issue |
//! | [`merging`] | in which order change requests are best merged |
//! | [`timeline`] | when which agent was at work |
//! | [`fixes`] | error types: how a log shows them, and what to do |
//! | [`redact`] | tokens and keys taken out of what is written |
//!
//! Pure: nothing here reads, writes, or knows the time. The words are the specification's
//! (`parallel-orchestrate.md`) and DESIGN section 8's, "Templates" and "Lines".

pub mod console;
pub mod diagnostic;
pub mod dry_run;
pub mod fixes;
pub mod issue;
pub mod lines;
pub mod merging;
pub mod redact;
pub mod summary;
pub mod text;
pub mod timeline;
pub mod untrusted;
