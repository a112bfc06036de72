//! The one integration-test binary of the crate: each module is named after what it tests.
