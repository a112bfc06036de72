//! The mark: how anything that a program started can be recognised, wherever it went.
//!
//! Every child gets the variable [`VARIABLE`], a comma-separated list to which each nested program
//! appends one element: `PID.START.NONCE.UNIT`, the program's process id, its start time as the
//! system counts it, a random number, and the unit. Children of children inherit it, also those
//! that made a session of their own.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// The environment variable that carries the mark.
pub const VARIABLE: &str = "ORCHESTRATION_MARK";

/// The mark of one program: what all of its children have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(String);

impl Mark {
    /// The mark of the process `pid` that was started at `start`.
    pub fn new(pid: u32, start: u64, nonce: u128) -> Self {
        Self(format!("{pid}.{start}.{nonce:032x}"))
    }

    /// The mark of one unit of this program. `serial` must be unique within the program.
    pub fn unit(&self, serial: u64) -> Self {
        Self(format!("{}.{serial}", self.0))
    }

    /// The variable's value for a child whose environment would otherwise hold `outer`.
    pub fn value(&self, outer: Option<&OsStr>) -> OsString {
        let mut value = OsString::new();
        if let Some(outer) = outer.filter(|outer| !outer.is_empty()) {
            value.push(outer);
            value.push(",");
        }
        value.push(&self.0);
        value
    }

    /// Whether a process with this variable's value is ours: one element equals the mark or, where
    /// this is the mark of a whole program, belongs to one of its units.
    pub fn is_in(&self, value: &[u8]) -> bool {
        value.split(|byte| *byte == b',').any(|element| {
            element
                .strip_prefix(self.0.as_bytes())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
        })
    }

    /// The program's process id and start time.
    pub fn program(&self) -> Option<(u32, u64)> {
        let mut parts = self.0.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }

    /// Takes a mark from a command line.
    pub fn parse(text: &OsStr) -> Option<Self> {
        let text = text.to_str()?;
        let well_formed = text.split('.').count() >= 3
            && text
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b'.');
        well_formed.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The mark's variable in the text of an environment (`NAME=value`, each ended by NUL).
pub(super) fn value_in(environment: &[u8]) -> Option<&[u8]> {
    environment.split(|byte| *byte == 0).find_map(|entry| {
        entry
            .strip_prefix(OsStr::new(VARIABLE).as_bytes())?
            .strip_prefix(b"=")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_program_appends_and_both_recognise_the_child() {
        let outer = Mark::new(10, 5, 1);
        let inner = Mark::new(11, 6, 2);
        let value = inner.unit(3).value(Some(&outer.unit(7).value(None)));
        for mark in [&outer, &inner, &outer.unit(7), &inner.unit(3)] {
            assert!(mark.is_in(value.as_bytes()), "{mark}");
        }
        assert!(!outer.unit(8).is_in(value.as_bytes()));
    }

    #[test]
    fn a_unit_is_not_taken_for_one_whose_number_begins_alike() {
        let mark = Mark::new(10, 5, 1);
        assert!(!mark.unit(1).is_in(mark.unit(12).value(None).as_bytes()));
    }

    #[test]
    fn the_variable_is_found_at_the_start_of_an_entry_only() {
        assert_eq!(value_in(b"A=1\0ORCHESTRATION_MARK=x\0"), Some(&b"x"[..]));
        assert_eq!(value_in(b"NOT_ORCHESTRATION_MARK=x\0"), None);
    }
}
