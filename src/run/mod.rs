//! One orchestration, from a source to the summary.
//!
//! | module | what it is | pure |
//! | --- | --- | --- |
//! | [`options`], [`source`] | what may be asked of it, and of what | yes |
//! | [`origin`], [`remote`] | where tasks come from, and where they are filed | no |
//! | [`again`], [`judge`] | which earlier run goes on, else which tasks there are | no |
//! | [`prepare`], [`surroundings`], [`resources`] | what is checked before anything is created | no |
//! | [`admission`] | how many agents may be at work at once | yes |
//! | [`interruption`] | how all of that ends early | no |
//! | [`start`], [`lock`] | what is created before the first agent | no |
//! | [`history`] | what earlier ones of the same master have done | yes |
//! | [`resumption`] | what it means to take one up again | yes |
//! | [`remains`] | what tasks left behind, and which of it is safe to remove | yes |
//! | [`clean`] | looks at it, and removes that | no |
//! | [`examine`] | how machine, repository, agent and forge are | no |
//! | [`earlier`] | where the journals of earlier ones are | no |
//! | [`record`], [`facts`], [`publish`] | the journal's vocabulary, what it speaks of, and its projection to public events | yes |
//! | [`journal`] | the journal's lines | yes |
//! | [`state`], [`task`] | the fold of the journal | yes |
//! | [`outcome`] | what it has come to: exit code, summary, timeline | yes |
//! | [`merging`] | in which order branches are best merged | yes |
//! | [`machine`] | what is to be done next | yes |
//! | [`operation`] | what carrying out an intent means | yes |
//! | [`unit`] | what the end of a process means | yes |
//! | [`hearing`] | what agents say while they work | yes |
//! | [`driver`] | the loop | over a [`World`](crate::world::World) |
//! | [`handle`] | a run as its host holds it | no |
//! | [`status`] | status files | yes |
//! | [`overview`] | the whole as it stands, also where its program is dead | yes |
//! | [`cancellation`] | what another process asks a run to end with | yes |
//! | [`event`], [`failure`], [`summary`] | what others see | yes |

pub mod admission;
pub mod again;
pub mod cancellation;
pub mod clean;
pub mod driver;
pub mod earlier;
pub mod event;
pub mod examine;
pub mod facts;
pub mod failure;
pub mod handle;
pub mod hearing;
pub mod history;
pub mod interruption;
pub mod journal;
mod judge;
pub mod lock;
pub mod machine;
pub mod merging;
pub mod operation;
pub mod options;
pub mod origin;
pub mod outcome;
pub mod overview;
pub mod prepare;
pub mod publish;
pub mod record;
pub mod remains;
pub mod remote;
pub mod resources;
pub mod resumption;
pub mod source;
pub mod start;
pub mod state;
pub mod status;
pub mod summary;
pub mod surroundings;
pub mod task;
pub mod unit;
