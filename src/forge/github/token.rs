//! Which token goes to which host, as `gh` has it (DESIGN section 3).
//!
//! Pure: says where to look. The caller reads the environment and runs `gh`.

use std::fmt;

use super::address::host_of_api;
use crate::error::Error;

/// GitHub's own command, which keeps the tokens of those who have logged in with it.
pub const GH: &str = "gh";

/// A secret. Nothing but [`Token::expose`] shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    secret: String,
    source: String,
}

impl Token {
    /// `None` where no token looks like this: it would not pass through a header.
    ///
    /// `source` says where it came from, for messages: `GH_TOKEN`.
    pub fn new(secret: &str, source: impl Into<String>) -> Option<Self> {
        let secret = secret.trim();
        let fits = !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self {
            secret: secret.to_owned(),
            source: source.into(),
        })
    }

    /// The secret itself, for the header and the redactor.
    pub fn expose(&self) -> &str {
        &self.secret
    }

    /// Whether it is one of an app's installation, such as GitHub Actions has. GitHub does not
    /// tell those what they may do.
    pub fn is_of_app(&self) -> bool {
        self.secret.starts_with("ghs_")
    }

    /// Where it came from: `GH_TOKEN`, ``` `gh auth token` ```.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token(from {})", self.source)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the token from {}", self.source)
    }
}

/// Where the token for an API is looked for, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// Whose token it is to be.
    pub host: String,
    /// Variables of the environment.
    pub variables: [&'static str; 2],
    /// A command that prints it, where no variable has it.
    pub command: Vec<String>,
}

impl Sources {
    /// Those for `api`, which `explicit` says that the user named in `GITHUB_API_URL`.
    pub fn of(api: &str, explicit: bool) -> Self {
        let host = host_of_api(api).unwrap_or_default();
        let public = host == "github.com" || host.ends_with(".ghe.com");
        let variables = if public || explicit {
            ["GH_TOKEN", "GITHUB_TOKEN"]
        } else {
            ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"]
        };
        let command = [GH, "auth", "token", "--hostname", &host].map(str::to_owned);
        Self {
            command: command.to_vec(),
            variables,
            host,
        }
    }

    /// The token that the environment has.
    pub fn from_environment(&self, lookup: impl Fn(&str) -> Option<String>) -> Option<Token> {
        self.variables
            .into_iter()
            .find_map(|name| Token::new(&lookup(name)?, name))
    }

    /// The token that the command printed; else what it did, as [`Sources::missing`] takes it.
    pub fn from_command(&self, output: &str) -> Result<Token, String> {
        let command = format!("`{}`", self.command.join(" "));
        Token::new(output, command.clone()).ok_or_else(|| format!("{command} printed no token"))
    }

    /// That there is none, or none that could be one. `command` says why the command gave none;
    /// `None` where it is not installed.
    pub fn missing(&self, lookup: impl Fn(&str) -> Option<String>, command: Option<&str>) -> Error {
        let [first, second] = self.variables;
        let set = |name: &&str| lookup(name).is_some_and(|value| !value.trim().is_empty());
        let reason = if let Some(name) = self.variables.into_iter().find(set) {
            format!("{name} is set, but holds no token: a token is one word of ASCII")
        } else {
            let command = command.unwrap_or("gh is not installed");
            format!("{first} and {second} are not set, and {command}")
        };
        let host = self.host.clone();
        let how = if command.is_some() {
            "log in with"
        } else {
            "install gh and log in with"
        };
        Error::NoToken {
            remedy: format!(
                "set {first} to a token from your settings on {host}, \
                 or {how}: gh auth login --hostname {host}"
            ),
            host,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown() {
        let token = Token::new("ghp_verysecret", "GH_TOKEN").unwrap();
        let shown = format!("{token} {token:?} {:?}", Some(&token));
        assert!(!shown.contains("secret"), "{shown}");
        assert!(shown.contains("GH_TOKEN"), "{shown}");
    }

    #[test]
    fn what_would_break_a_header_is_no_token() {
        for text in ["", " \n", "a b", "a\nb", "ä", "a\u{7f}"] {
            assert_eq!(Token::new(text, "GH_TOKEN"), None, "{text:?}");
        }
        assert_eq!(Token::new(" abc\n", "gh").unwrap().expose(), "abc");
    }

    #[test]
    fn a_public_token_goes_to_no_other_host() {
        let everything = |name: &str| Some(format!("value-of-{name}"));
        for (api, explicit, name, host) in [
            ("https://api.github.com", false, "GH_TOKEN", "github.com"),
            (
                "https://api.acme.ghe.com",
                false,
                "GH_TOKEN",
                "acme.ghe.com",
            ),
            (
                "https://ghe.example/api/v3",
                false,
                "GH_ENTERPRISE_TOKEN",
                "ghe.example",
            ),
            (
                "https://github.com.evil.example/api/v3",
                false,
                "GH_ENTERPRISE_TOKEN",
                "github.com.evil.example",
            ),
            (
                "https://evilghe.com/api/v3",
                false,
                "GH_ENTERPRISE_TOKEN",
                "evilghe.com",
            ),
            ("http://127.0.0.1:8080", true, "GH_TOKEN", "127.0.0.1"),
        ] {
            let sources = Sources::of(api, explicit);
            let token = sources.from_environment(everything).unwrap();
            assert_eq!(token.source(), name, "{api}");
            assert_eq!(
                sources.command.last().map(String::as_str),
                Some(host),
                "{api}"
            );
        }
    }

    #[test]
    fn the_second_variable_counts_where_the_first_is_empty() {
        let sources = Sources::of("https://api.github.com", false);
        let token = sources.from_environment(|name| {
            Some(if name == "GITHUB_TOKEN" { "abc" } else { "" }.to_owned())
        });
        assert_eq!(token.unwrap().source(), "GITHUB_TOKEN");
        assert_eq!(sources.from_environment(|_| None), None);
        let printed = sources.from_command("gho_x\n").unwrap();
        assert_eq!(printed.source(), "`gh auth token --hostname github.com`");
        let reason = |token: &str| {
            let error = sources.missing(|_| Some(token.to_owned()), Some("gh said no"));
            error.to_string()
        };
        assert_eq!(
            reason(""),
            "there is no token for github.com: GH_TOKEN and GITHUB_TOKEN are not set, \
             and gh said no"
        );
        assert_eq!(
            sources.from_command("\n").unwrap_err(),
            "`gh auth token --hostname github.com` printed no token"
        );
        assert!(
            reason("two\nlines").contains("GH_TOKEN is set"),
            "{}",
            reason("two\nlines")
        );
    }

    #[test]
    fn without_a_token_it_is_said_where_one_was_looked_for_and_how_to_get_one() {
        let sources = Sources::of("https://ghe.example/api/v3", false);
        let error = sources.missing(|_| None, None);
        assert_eq!(
            error.to_string(),
            "there is no token for ghe.example: GH_ENTERPRISE_TOKEN and \
             GITHUB_ENTERPRISE_TOKEN are not set, and gh is not installed"
        );
        assert_eq!(
            error.hint(),
            "set GH_ENTERPRISE_TOKEN to a token from your settings on ghe.example, \
             or install gh and log in with: gh auth login --hostname ghe.example"
        );
        assert_eq!(
            error.exit_code(),
            5,
            "nothing was asked, and it is the forge's all the same"
        );
        let hint = sources.missing(|_| None, Some("gh said no")).hint();
        assert!(
            hint.ends_with("or log in with: gh auth login --hostname ghe.example"),
            "{hint}"
        );
    }
}
