//! The containment watcher as a program of its own, for hosts that are not Python.

fn main() {}
