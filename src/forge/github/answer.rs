//! An answer of the API, read.
//!
//! Pure.

use http::header::{HeaderMap, HeaderValue, LINK, LOCATION, RETRY_AFTER};
use serde_json::Value;

use super::limits::{Heard, Limits};
use super::refusal::message;
use super::wire::Received;

/// An answer, good or bad.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Answer {
    /// A success must be JSON, else it is none; an error page may be anything.
    pub(super) fn read(received: Received) -> Result<Self, String> {
        let Received {
            status,
            headers,
            body,
        } = received;
        let has_content = (200..300).contains(&status) && status != 204;
        let body = match serde_json::from_slice(&body) {
            Ok(body) => body,
            Err(error) if has_content => return Err(format!("the answer is no JSON ({error})")),
            Err(_) => Value::Null,
        };
        Ok(Self {
            status,
            headers,
            body,
        })
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// GitHub's words and those of its `errors`, in lower case.
    pub(super) fn complaint(&self) -> String {
        format!("{} {}", message(&self.body), self.body["errors"]).to_lowercase()
    }

    /// What there is in it about asking again.
    pub(super) fn heard(&self) -> Heard<'_> {
        Heard::Response {
            status: self.status,
            limits: limits(&self.headers),
            message: message(&self.body),
        }
    }

    /// What it says about limits.
    pub(super) fn limits(&self) -> Limits {
        limits(&self.headers)
    }

    /// The number in a header.
    pub(super) fn number(&self, header: &str) -> Option<u64> {
        number(self.headers.get(header))
    }

    /// Where a redirect points.
    pub(super) fn location(&self) -> &str {
        let location = self.headers.get(LOCATION);
        location
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The address of the next page, as RFC 8288 has it.
    pub(super) fn next_link(&self) -> Option<&str> {
        let links = self.headers.get(LINK)?.to_str().ok()?;
        let next = links
            .split(',')
            .find(|link| link.contains("rel=\"next\""))?;
        let (_, rest) = next.split_once('<')?;
        Some(rest.split_once('>')?.0)
    }
}

/// `201 (cost 1, 4987 left, 0.21 s)`
pub(super) fn told(status: u16, headers: &HeaderMap, took: f64) -> String {
    // Content that did not change is free.
    let cost = u8::from(status != 304);
    let left = limits(headers)
        .remaining
        .map_or_else(String::new, |left| format!("{left} left, "));
    format!("{status} (cost {cost}, {left}{took:.2} s)")
}

pub(super) fn limits(headers: &HeaderMap) -> Limits {
    Limits {
        retry_after: number(headers.get(RETRY_AFTER)),
        remaining: number(headers.get("x-ratelimit-remaining")),
        reset: number(headers.get("x-ratelimit-reset")),
    }
}

fn number(value: Option<&HeaderValue>) -> Option<u64> {
    value?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Result<Answer, String> {
        Answer::read(Received {
            status,
            headers: HeaderMap::new(),
            body: body.into(),
        })
    }

    #[test]
    fn a_success_that_cannot_be_read_is_no_answer() {
        assert!(read(200, "[]").is_ok() && read(204, "").is_ok());
        for body in ["", "{\"id\":", "<html>"] {
            assert!(
                read(200, body).is_err() && read(201, body).is_err(),
                "{body}"
            );
            assert!(read(502, body).is_ok() && read(403, body).is_ok(), "{body}");
        }
    }

    #[test]
    fn the_next_page_is_found_among_the_links() {
        let mut answer = read(200, "[]").unwrap();
        assert_eq!(answer.next_link(), None);
        for (links, next) in [
            (
                "<https://h/a?page=1>; rel=\"prev\", <https://h/a?page=3>; rel=\"next\"",
                Some("https://h/a?page=3"),
            ),
            ("<https://h/a?page=1>; rel=\"last\"", None),
            ("nonsense; rel=\"next\"", None),
        ] {
            answer.headers.insert(LINK, links.parse().unwrap());
            assert_eq!(answer.next_link(), next, "{links}");
        }
    }

    #[test]
    fn headers_that_make_no_sense_are_no_limits() {
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-remaining", "-1".parse().unwrap());
        headers.insert(
            RETRY_AFTER,
            "Wed, 21 Oct 2026 07:28:00 GMT".parse().unwrap(),
        );
        assert_eq!(limits(&headers), Limits::default());
    }
}
