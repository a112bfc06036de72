//! The one integration-test binary of the crate: each module is named after what it tests.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests fails by panicking"
)]

mod containment;
mod corpus;
mod forge;
mod github;
mod plan;
mod run;
mod supervisor;
mod supervisor_alone;
mod workspace;
