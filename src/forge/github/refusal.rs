//! From an answer that is no success to an error that says what to do.
//!
//! Pure. What GitHub says is shown on one line and cut; the token is in none of it.

use serde_json::Value;

use super::address::Repository;
use super::answer::Answer;
use super::token::Token;
use crate::forge::ForgeError;
use crate::report::untrusted::{cut, one_line};

/// So much of GitHub's own words is shown.
const MESSAGE_LIMIT: usize = 300;

/// Who asked, and with what.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) repository: Repository,
    pub(super) token: Token,
    /// Whose users the API knows.
    pub(super) host: String,
}

/// An answer that is no success.
pub(super) struct Refusal<'a> {
    pub(super) status: u16,
    pub(super) headers: &'a http::HeaderMap,
    pub(super) body: &'a Value,
}

impl<'a> Refusal<'a> {
    pub(super) const fn of(answer: &'a Answer) -> Self {
        Self {
            status: answer.status,
            headers: &answer.headers,
            body: &answer.body,
        }
    }

    /// The error; `what` is a phrase that follows "to".
    pub(super) fn error(&self, what: &str, asker: &Asker) -> ForgeError {
        ForgeError::Refused {
            what: what.to_owned(),
            status: self.status,
            reason: self.reason(),
            remedy: self.remedy(asker),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// GitHub's own words, with the fields that it found fault with.
    fn reason(&self) -> String {
        let message = message(self.body);
        let errors: Vec<String> = self.body["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(fault)
            .collect();
        let text = match (message.is_empty(), errors.is_empty()) {
            (true, true) => "no reason was given".to_owned(),
            (_, true) => message.to_owned(),
            (_, false) => format!("{message}: {}", errors.join("; ")),
        };
        cut(&one_line(&text), MESSAGE_LIMIT)
    }

    /// What to do about it, in one line.
    pub(super) fn remedy(&self, asker: &Asker) -> String {
        let Asker {
            repository,
            token,
            host,
        } = asker;
        let message = message(self.body).to_ascii_lowercase();
        match self.status {
            401 => format!(
                "the token from {} is not valid (any more): replace it, or log in with: \
                 gh auth login --hostname {host}",
                token.source()
            ),
            403 if self.header("x-github-sso").is_some() => self.single_sign_on(asker),
            403 | 404 if message.contains("archived") => {
                format!("{repository} is archived: unarchive it in its settings, or use another")
            }
            403 => self.permission(asker),
            404 => match self.missing_scope(asker) {
                // What a token may not see is not there, for GitHub.
                Some(missing) => format!("if it exists in {repository}, {missing}"),
                None => format!(
                    "check that {repository} and what was named in it exist, and that the token \
                     from {} may see and change them",
                    token.source()
                ),
            },
            410 if message.contains("disabled") => {
                format!("switch on issues in the settings of {repository}")
            }
            410 => "it was deleted: name another one".to_owned(),
            422 => "change what GitHub found fault with, and run the same command again".to_owned(),
            status if status >= 500 => {
                "GitHub has trouble: look at its status page, and run the same command again \
                 later"
                    .to_owned()
            }
            _ => "see what GitHub said, and run the same command again".to_owned(),
        }
    }

    fn single_sign_on(&self, asker: &Asker) -> String {
        let url = self
            .header("x-github-sso")
            .and_then(|value| value.split_once("url="))
            .map(|(_, url)| url.trim())
            .filter(|url| url.starts_with(&format!("https://{}/", asker.host)));
        let place = url.unwrap_or("the settings of your tokens");
        format!(
            "authorise the token from {} for the organisation's single sign-on: {place}",
            asker.token.source()
        )
    }

    /// What a token lacks: a scope where it is a classic one, else a permission.
    fn permission(&self, asker: &Asker) -> String {
        let Asker {
            repository, token, ..
        } = asker;
        let source = token.source();
        if let Some(missing) = self.missing_scope(asker) {
            return missing;
        }
        match self.header("x-accepted-github-permissions") {
            Some(permissions) if !permissions.is_empty() => format!(
                "the token from {source} needs the permission {permissions} for {repository}"
            ),
            _ => format!(
                "the user of the token from {source} needs write access to {repository}, and the \
                 token itself the scope repo or the permissions issues=write and \
                 pull_requests=write"
            ),
        }
    }

    /// That a classic token has none of the scopes that would do.
    fn missing_scope(&self, asker: &Asker) -> Option<String> {
        let needed = scopes(self.header("x-accepted-oauth-scopes")?);
        let granted = scopes(self.header("x-oauth-scopes")?);
        let first = needed.first()?;
        (!needed.iter().any(|scope| granted.contains(scope))).then(|| {
            format!(
                "the token from {} lacks the scope {}: give it that, or run: gh auth refresh \
                 --hostname {} --scopes {first}",
                asker.token.source(),
                needed.join(" or "),
                asker.host,
            )
        })
    }
}

/// The scopes in a header.
pub(super) fn scopes(header: &str) -> Vec<&str> {
    let words = header.split(',').map(str::trim);
    words.filter(|word| !word.is_empty()).collect()
}

/// The `message` of an answer, else nothing.
pub(super) fn message(body: &Value) -> &str {
    body["message"].as_str().unwrap_or_default()
}

/// One of the `errors`: `title is missing`, or its own words.
fn fault(error: &Value) -> Option<String> {
    if let Some(text) = error.as_str().or_else(|| error["message"].as_str()) {
        return Some(text.to_owned());
    }
    let field = error["field"].as_str()?;
    let code = error["code"].as_str().unwrap_or("invalid");
    Some(format!("{field} is {}", code.replace('_', " ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asker() -> Asker {
        Asker {
            repository: Repository::new("github.com", "octo", "shop").unwrap(),
            token: Token::new("ghp_verysecret", "GH_TOKEN").unwrap(),
            host: "github.com".into(),
        }
    }

    fn error(status: u16, headers: &[(&'static str, &str)], body: &Value) -> (String, String) {
        let mut map = http::HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let refusal = Refusal {
            status,
            headers: &map,
            body,
        };
        match refusal.error("create an issue", &asker()) {
            ForgeError::Refused { reason, remedy, .. } => {
                assert!(!format!("{reason}{remedy}").contains("secret"));
                (reason, remedy)
            }
            other => panic!("{other:?}"),
        }
    }

    type Case = (
        u16,
        &'static [(&'static str, &'static str)],
        Value,
        &'static str,
    );

    #[test]
    fn every_refusal_says_what_to_do() {
        let said = |text: &str| json!({"message": text});
        let cases: [Case; 9] = [
            (401, &[], said("Bad credentials"), "GH_TOKEN is not valid"),
            (
                403,
                &[
                    ("x-accepted-oauth-scopes", "repo"),
                    ("x-oauth-scopes", "gist"),
                ],
                said("Must have admin rights"),
                "--scopes repo",
            ),
            (
                403,
                &[("x-accepted-github-permissions", "issues=write")],
                said("Resource not accessible by personal access token"),
                "the permission issues=write for octo/shop",
            ),
            (
                403,
                &[(
                    "x-github-sso",
                    "required; url=https://github.com/orgs/octo/sso?x=1",
                )],
                said("Resource protected by organization SAML enforcement."),
                "https://github.com/orgs/octo/sso?x=1",
            ),
            (
                403,
                &[],
                said("Repository was archived so is read-only."),
                "unarchive it",
            ),
            (404, &[], said("Not Found"), "octo/shop"),
            (
                410,
                &[],
                said("Issues are disabled for this repo"),
                "switch on issues",
            ),
            (410, &[], said("This issue was deleted"), "was deleted"),
            (502, &[], Value::Null, "status page"),
        ];
        for (status, headers, body, expected) in cases {
            let (_, remedy) = error(status, headers, &body);
            assert!(remedy.contains(expected), "{status}: {remedy}");
        }
    }

    #[test]
    fn a_sign_on_page_of_another_host_is_not_shown() {
        let header = ("x-github-sso", "required; url=https://evil.example/sso");
        let (_, remedy) = error(403, &[header], &Value::Null);
        assert!(!remedy.contains("evil"), "{remedy}");
    }

    #[test]
    fn faults_are_named_by_field() {
        let body = json!({"message": "Validation Failed", "errors": [
            {"resource": "Issue", "field": "title", "code": "missing_field"},
            {"resource": "PullRequest", "code": "custom", "message": "No commits between"},
            "plain",
        ]});
        let (reason, _) = error(422, &[], &body);
        assert_eq!(
            reason,
            "Validation Failed: title is missing field; No commits between; plain"
        );
    }

    #[test]
    fn foreign_words_stay_on_one_line_and_are_cut() {
        let body = json!({"message": format!("a\n\u{1b}[31mb{}", "x".repeat(1000))});
        let (reason, _) = error(422, &[], &body);
        assert!(!reason.contains(['\n', '\u{1b}']) && reason.chars().count() <= MESSAGE_LIMIT);
        assert_eq!(error(422, &[], &json!([])).0, "no reason was given");
    }
}
