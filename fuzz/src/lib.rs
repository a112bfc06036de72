//! The modules that read what others write, built by themselves for the fuzzer.
//!
//! They are those of the package, by their paths, and not the package: it would bring libgit2, a
//! TLS library and an HTTP client along, which take minutes to build once more and are no part
//! of what is fuzzed. That this crate compiles shows besides that these modules are pure.

pub mod text;

#[path = "../../src/plan/mod.rs"]
pub mod plan;

#[path = "../../src/agent"]
pub mod agent {
    pub mod claim;
    pub mod stream;
}

#[path = "../../src/report"]
pub mod report {
    pub mod text;
    pub mod timeline;
    pub mod untrusted;
}

#[path = "../../src/run"]
pub mod run {
    pub mod event;
    pub mod facts;
    pub mod failure;
    pub mod journal;
    pub mod merging;
    pub mod outcome;
    pub mod overview;
    pub mod publish;
    pub mod record;
    pub mod resumption;
    pub mod source;
    pub mod state;
    pub mod status;
    pub mod summary;
    pub mod task;
}

#[path = "../../src/forge/github"]
pub mod forge {
    pub mod address;
    mod origin;

    /// The address that is asked where a link is followed; `None` where it is not of this API.
    pub fn asked(api: &str, link: &str) -> Option<String> {
        let origin = origin::Origin::parse(api).ok()?;
        origin.path_here(link).map(|path| origin.url(&path))
    }
}
