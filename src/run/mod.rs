//! One orchestration, from a parsed plan to the summary.
//!
//! | module | what it is | pure |
//! | --- | --- | --- |
//! | [`record`] | the journal's vocabulary, and its projection to public events | yes |
//! | [`state`] | the fold of the journal | yes |
//! | [`machine`] | what is to be done next | yes |
//! | [`event`] | the public events | yes |
//! | [`failure`] | how a task fails | yes |
//! | [`summary`] | what it all came to | yes |

pub mod event;
pub mod failure;
pub mod machine;
pub mod record;
pub mod state;
pub mod summary;
