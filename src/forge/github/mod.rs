//! GitHub, and those of its kind, as a [`Forge`] (DESIGN sections 5 and 8).
//!
//! | module | what it is | touches |
//! | --- | --- | --- |
//! | [`address`] | repositories, issues and the address of the API | nothing |
//! | [`token`] | which token goes where | nothing |
//! | [`limits`] | what an answer says about asking again | nothing |
//! | [`pace`] | how fast content is created | nothing |
//! | `origin` | the one address that gets the token | nothing |
//! | `answer` | what an answer says | nothing |
//! | `refusal` | from an answer to an error with a remedy | nothing |
//! | `shapes` | what is read of answers | nothing |
//! | [`time`] | clock and patience | the clock |
//! | `wire` | one exchange, on a thread of our own | the network |
//! | `proxy` | the way there through the user's proxy | the environment, for `wire` |
//! | `client` | repeats, waits, redirects, conditional requests | through `wire` |
//! | `issues`, `pulls`, `comments` | the verbs | through `client` |
//! | `people` | who is a stranger | through `client` |
//! | `access` | what we ourselves may do | through `client` |
//!
//! What we made is found by its marker, and never through search, which lags. A marker in a text
//! proves nothing, since anybody may write one: an issue counts as ours where it also has our
//! label, which takes rights to the repository, and no stranger wrote it.

pub mod address;
pub mod limits;
pub mod pace;
pub mod time;
pub mod token;

mod access;
mod answer;
mod client;
mod comments;
mod issues;
mod origin;
mod people;
mod proxy;
mod pulls;
mod refusal;
mod shapes;
mod wire;

use std::sync::{Arc, Mutex};

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::access::Standing;
use self::address::{Repository, host_of_api};
use self::answer::Answer;
use self::client::{Attempt, Call, Client};
use self::comments::Comments;
use self::issues::{Issues, Ours};
use self::limits::Patience;
use self::people::People;
use self::refusal::Asker;
use self::time::Time;
use self::token::Token;
use super::{Forge, ForgeError, Listener, Reply, Request};

/// GitHub's limit for the text of an issue, a change request or a comment, in UTF-16 units.
const BODY_LIMIT: usize = 65_536;

const CUT_NOTE: &str = "\n\n… (cut: GitHub takes no longer text)";

/// So many pages of a list are read, of a hundred each.
const MOST_PAGES: usize = 100;

/// Whom to talk to, and as whom.
pub struct Setting {
    /// Where the issues are.
    pub repository: Repository,
    /// The API's address, of [`address::api_address`].
    pub api: String,
    /// Who we are.
    pub token: Token,
    /// The clock: [`time::RealTime`], but for tests.
    pub time: Arc<dyn Time>,
}

/// One repository on GitHub.
///
/// Calls from several threads run side by side.
pub struct GitHubForge {
    client: Client,
    repository: Repository,
    issues: Mutex<Issues>,
    /// What carries our markers, read when it is first needed. Locked while it is read, so that
    /// it is read once.
    ours: Mutex<Option<Ours>>,
    comments: Mutex<Comments>,
    people: Mutex<People>,
}

impl GitHubForge {
    /// Connects to nothing yet.
    pub fn new(setting: Setting) -> Result<Self, ForgeError> {
        let Setting {
            repository,
            api,
            token,
            time,
        } = setting;
        let asker = Asker {
            repository: repository.clone(),
            host: host_of_api(&api).unwrap_or_else(|| repository.host.clone()),
            token,
        };
        Ok(Self {
            client: Client::new(&api, asker, time)?,
            repository,
            issues: Mutex::default(),
            ours: Mutex::default(),
            comments: Mutex::default(),
            people: Mutex::default(),
        })
    }

    /// `/repos/octo/shop/issues/12`, for `issues/12`.
    fn path(&self, rest: &str) -> String {
        let Repository { owner, name, .. } = &self.repository;
        format!("/repos/{owner}/{name}/{rest}")
    }

    /// Everything in a list.
    fn list<T: DeserializeOwned>(&self, rest: &str, what: &str) -> Result<Vec<T>, ForgeError> {
        let mut all = Vec::new();
        self.pages(rest, what, |page| all.extend(page))?;
        Ok(all)
    }

    /// A list, page by page.
    fn pages<T: DeserializeOwned>(
        &self,
        rest: &str,
        what: &str,
        mut take: impl FnMut(Vec<T>),
    ) -> Result<(), ForgeError> {
        let mut path = self.path(rest);
        for _ in 0..MOST_PAGES {
            let call = Call::get(path, what);
            let answer = self.client.ask(&call)?;
            let next = self.client.next_page(&call, &answer)?;
            take(shape(&call, answer.body)?);
            match next {
                Some(next) => path = next,
                None => return Ok(()),
            }
        }
        self.client.tell(&format!(
            "{what}: only the first {MOST_PAGES} pages were read"
        ));
        Ok(())
    }

    /// The first page of a list.
    fn first_page<T: DeserializeOwned>(
        &self,
        rest: &str,
        what: &str,
    ) -> Result<Vec<T>, ForgeError> {
        let call = Call::get(self.path(rest), what);
        shape(&call, self.client.ask(&call)?.body)
    }

    /// Sends what creates something. Where an answer is lost, `look` says whether it is there
    /// before it is sent again.
    fn create<T>(
        &self,
        call: &Call,
        look: impl Fn() -> Result<Option<T>, ForgeError>,
    ) -> Result<Made<T>, ForgeError> {
        let mut patience = Patience::default();
        loop {
            match self.client.attempt(call, &mut patience)? {
                Attempt::Answered(answer) => return Ok(Made::Answered(answer)),
                Attempt::Lost => {
                    if let Some(found) = look()? {
                        return Ok(Made::Found(found));
                    }
                }
            }
        }
    }
}

/// How something came to be.
enum Made<T> {
    /// GitHub answered.
    Answered(Answer),
    /// The answer was lost, but it is there.
    Found(T),
}

/// Reads an answer as what it should be.
fn shape<T: DeserializeOwned>(call: &Call, body: Value) -> Result<T, ForgeError> {
    serde_json::from_value(body).map_err(|error| ForgeError::Refused {
        what: call.what.clone(),
        status: 0,
        reason: format!("the answer cannot be understood: {error}"),
        remedy: "check that GITHUB_API_URL names the API of a GitHub".to_owned(),
    })
}

/// A text that GitHub takes: cut where it is too long, and said so.
fn fitting(text: String) -> String {
    if text.encode_utf16().count() <= BODY_LIMIT {
        return text;
    }
    let mut left = BODY_LIMIT - CUT_NOTE.encode_utf16().count();
    let mut kept = String::with_capacity(text.len());
    for letter in text.chars() {
        let Some(rest) = left.checked_sub(letter.len_utf16()) else {
            break;
        };
        left = rest;
        kept.push(letter);
    }
    kept + CUT_NOTE
}

impl Forge for GitHubForge {
    fn perform(&self, request: &Request) -> Result<Reply, ForgeError> {
        match request {
            Request::CreateIssue(issue) => self.create_issue(issue).map(Reply::Created),
            Request::CreatePull(pull) => self.create_pull(pull).map(Reply::Created),
            Request::Comment(comment) => self.comment(comment).map(Reply::Created),
            Request::Adopt {
                number,
                // The number that the task names, our labels and the link find it again.
                marker: _,
                labels,
                parent,
            } => self.adopt(*number, labels, *parent).map(Reply::Created),
            Request::Issue { number } => self.issue(*number).map(Reply::Issue),
            Request::SubIssues { number } => self
                .sub_issues(*number)
                .map(|issues| Reply::Issues { issues }),
            Request::Marked { master } => self.marked(master).map(|found| Reply::Marked { found }),
            Request::CloseMarked { marker, why } => self
                .close_marked(marker, *why)
                .map(|numbers| Reply::Closed { numbers }),
            Request::Close { number, why } => self.close(*number, *why).map(|()| Reply::Done),
        }
    }

    fn check_access(&self) -> Result<(), ForgeError> {
        self.refuse_without_access()
    }

    fn interrupt(&self) {
        self.client.interrupt();
    }

    fn listen(&self, listener: Listener) {
        self.client.listen(listener);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_to_what_github_takes() {
        assert_eq!(fitting("short".into()), "short");
        for letter in ["x", "ä", "🎉"] {
            let cut = fitting(letter.repeat(70_000));
            assert!(cut.encode_utf16().count() <= BODY_LIMIT, "{letter}");
            assert!(cut.encode_utf16().count() > BODY_LIMIT - 3, "{letter}");
            assert!(
                cut.starts_with(letter) && cut.ends_with(CUT_NOTE),
                "{letter}"
            );
        }
    }
}
