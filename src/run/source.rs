//! What names the master issue or plan of an orchestration to the command.
//!
//! Pure.

/// What SOURCE means (DESIGN section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A plan on standard input.
    Stdin,
    /// A path to a Markdown plan.
    File(String),
    /// An issue of the local forge: `local#3`.
    Local(u64),
    /// An issue on GitHub, as it was given.
    Issue(String),
}

impl Source {
    /// Reads SOURCE. What is not written as an issue is a path.
    pub fn parse(text: &str) -> Self {
        if text == "-" {
            return Self::Stdin;
        }
        if let Some(number) = text
            .strip_prefix("local#")
            .and_then(|digits| digits.parse().ok())
        {
            return Self::Local(number);
        }
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let address = text.starts_with("https://") || text.starts_with("http://");
        let is_issue = digits(text.strip_prefix('#').unwrap_or(text))
            || address
            || text.split_once('#').is_some_and(|(repository, number)| {
                digits(number) && repository.split('/').count() == 2 && !repository.starts_with('.')
            });
        if is_issue {
            Self::Issue(text.to_owned())
        } else {
            Self::File(text.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart_by_their_form() {
        for issue in [
            "1234",
            "#1234",
            "owner/repo#12",
            "https://github.com/o/r/issues/1",
        ] {
            assert_eq!(Source::parse(issue), Source::Issue(issue.to_owned()));
        }
        let pull = "https://github.com/octo/shop/pull/5";
        assert_eq!(Source::parse(pull), Source::Issue(pull.to_owned()));
        for file in ["plan.md", "./1234", "plans/q4#2.md", "a/b/c#3", "1234.md"] {
            assert_eq!(Source::parse(file), Source::File(file.to_owned()));
        }
        assert_eq!(Source::parse("-"), Source::Stdin);
        assert_eq!(Source::parse("local#3"), Source::Local(3));
    }
}
