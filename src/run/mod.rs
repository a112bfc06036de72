//! One orchestration, from a parsed plan to the summary.
//!
//! | module | what it is | pure |
//! | --- | --- | --- |
//! | [`event`] | the public events | yes |
//! | [`failure`] | how a task fails | yes |
//! | [`summary`] | what it all came to | yes |

pub mod event;
pub mod failure;
pub mod summary;
