//! What an agent says of itself in its `.agent_status.json`: what it does, and how far it is.
//!
//! Pure: bytes in, a claim out. The agent decides what stands in the file, so only its form is
//! checked here; that a claim is never taken for evidence is the business of [`crate::run`].

use serde::Deserialize;

use crate::report::untrusted;

/// The most of a status file that is read, in bytes; a larger one is malformed.
pub const LARGEST: usize = 64 * 1024;

/// The longest stage that is shown, in characters.
pub const LONGEST_STAGE: usize = 120;

/// A claim. What the file does not say is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What the agent does, in one line of visible characters, never empty.
    pub stage: Option<String>,
    /// 0 to 100.
    pub percent: Option<u8>,
}

#[derive(Deserialize)]
struct StatusFile {
    current_stage: Option<String>,
    progress_percentage: Option<serde_json::Number>,
}

/// Reads a claim; fails with what is wrong with it.
pub fn read(bytes: &[u8]) -> Result<Claim, String> {
    if bytes.len() > LARGEST {
        return Err(format!("it is larger than {LARGEST} bytes"));
    }
    let file: StatusFile = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let stage = file
        .current_stage
        .map(|stage| untrusted::cut_words(&untrusted::inline_terminal(&stage), LONGEST_STAGE));
    Ok(Claim {
        stage: stage.filter(|stage| !stage.is_empty()),
        percent: file.progress_percentage.as_ref().map(percent).transpose()?,
    })
}

fn percent(number: &serde_json::Number) -> Result<u8, String> {
    let value = number
        .as_f64()
        .filter(|value| (0.0..=100.0).contains(value))
        .ok_or_else(|| format!("progress_percentage is {number}, not 0 to 100"))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked"
    )]
    Ok(value.round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(text: &str) -> Option<String> {
        let file = serde_json::json!({ "current_stage": text }).to_string();
        read(file.as_bytes()).unwrap().stage
    }

    #[test]
    fn a_claim_is_stage_and_percent() {
        let claim = read(br#"{"current_stage": "Running tests", "progress_percentage": 75.4}"#);
        let expected = Claim {
            stage: Some("Running tests".to_owned()),
            percent: Some(75),
        };
        assert_eq!(claim, Ok(expected));
    }

    #[test]
    fn a_claim_out_of_range_or_form_is_bad() {
        for text in [
            "{",
            "[]",
            r#"{"progress_percentage": 101}"#,
            r#"{"progress_percentage": -1}"#,
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        let large = format!("{{}}{}", " ".repeat(LARGEST));
        assert!(read(large.as_bytes()).is_err());
    }

    #[test]
    fn a_stage_is_one_short_line_that_does_nothing_to_a_terminal() {
        assert_eq!(stage("a\u{1b}[31m\nb\u{202e}c").as_deref(), Some("a bc"));
        assert_eq!(stage(" \u{200b} "), None);
        let long = stage(&"é".repeat(500)).unwrap();
        assert_eq!(long.chars().count(), LONGEST_STAGE);
    }
}
