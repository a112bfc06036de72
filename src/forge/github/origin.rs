//! The one API that gets the token, and whether an address that somebody names is of it.
//!
//! Pure.

use http::uri::{InvalidUri, PathAndQuery, Uri};

/// Scheme, host and port of an API, and what stands before all its paths.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    uri: Uri,
    prefix: String,
}

impl Origin {
    /// Reads the API's address; fails with a reason.
    pub(super) fn parse(api: &str) -> Result<Self, String> {
        let uri: Uri = api.parse().map_err(|error: InvalidUri| error.to_string())?;
        let is_web = matches!(uri.scheme_str(), Some("https" | "http"));
        if !is_web || has_user(&uri) || uri.query().is_some() {
            return Err("it is no plain web address".to_owned());
        }
        Ok(Self {
            prefix: uri.path().trim_end_matches('/').to_owned(),
            uri,
        })
    }

    /// The address of a path and query.
    pub(super) fn url(&self, path: &str) -> String {
        let scheme = self.uri.scheme_str().unwrap_or("https");
        let authority = self.uri.authority().map_or("", |it| it.as_str());
        format!("{scheme}://{authority}{}{path}", self.prefix)
    }

    /// The path and query of an address of this very API; `None` for any other.
    pub(super) fn path_here(&self, url: &str) -> Option<String> {
        let uri: Uri = url.parse().ok()?;
        let is_here = match (uri.scheme(), uri.authority()) {
            // Two slashes begin the name of a host.
            (None, None) => !url.starts_with("//"),
            (Some(scheme), Some(_)) => {
                Some(scheme) == self.uri.scheme()
                    && host(&uri) == host(&self.uri)
                    && port(&uri) == port(&self.uri)
                    && !has_user(&uri)
            }
            _ => false,
        };
        let path = uri.path_and_query().map(PathAndQuery::as_str)?;
        let path = path.strip_prefix(&self.prefix)?;
        (is_here && path.starts_with('/')).then(|| path.to_owned())
    }
}

fn host(uri: &Uri) -> Option<String> {
    uri.host().map(str::to_ascii_lowercase)
}

fn port(uri: &Uri) -> Option<u16> {
    uri.port_u16().or_else(|| match uri.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    })
}

fn has_user(uri: &Uri) -> bool {
    uri.authority().is_some_and(|it| it.as_str().contains('@'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_plain_web_addresses_are_apis() {
        for api in [
            "https://api.github.com",
            "http://127.0.0.1:80/",
            "https://h/api/v3",
        ] {
            assert!(Origin::parse(api).is_ok(), "{api}");
        }
        for api in [
            "",
            "api.github.com",
            "/x",
            "ftp://h",
            "https://a@h",
            "https://h?x",
            "h t",
        ] {
            assert!(Origin::parse(api).is_err(), "{api}");
        }
    }

    #[test]
    fn an_address_is_of_this_api_or_it_is_not() {
        let origin = Origin::parse("https://ghe.example/api/v3/").unwrap();
        assert_eq!(
            origin.url("/repos/o/r"),
            "https://ghe.example/api/v3/repos/o/r"
        );
        for (url, path) in [
            ("https://ghe.example/api/v3/x?page=2", Some("/x?page=2")),
            ("https://GHE.example:443/api/v3/x", Some("/x")),
            ("/api/v3/x", Some("/x")),
            ("http://ghe.example/api/v3/x", None),
            ("https://ghe.example:8443/api/v3/x", None),
            ("https://ghe.example/api/v3evil/x", None),
            ("https://ghe.example/other", None),
            ("https://ghe.example@evil.example/api/v3/x", None),
            ("https://a@ghe.example/api/v3/x", None),
            ("https://ghe.example.evil.example/api/v3/x", None),
            ("//evil.example/api/v3/x", None),
            ("evil.example", None),
            ("", None),
        ] {
            assert_eq!(origin.path_here(url).as_deref(), path, "{url}");
        }
    }

    proptest! {
        #[test]
        fn what_is_here_is_asked_here(url in r"(https?:)?/{0,3}(api\.github\.com)?[\PC@:/.]{0,30}") {
            let origin = Origin::parse("https://api.github.com").expect("an API");
            if let Some(path) = origin.path_here(&url) {
                let asked: Uri = origin.url(&path).parse().expect("an address");
                prop_assert_eq!(asked.host(), Some("api.github.com"));
            }
        }
    }
}
