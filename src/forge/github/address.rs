//! Who is asked: repositories and issues as people and git write them, and the address of a
//! host's API (DESIGN section 3).
//!
//! Pure. Everything read here is untrusted: a name that GitHub would not give is no name, so that
//! none can leave its place in a path.

use std::fmt;

/// A repository on GitHub or one of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Repository {
    /// In lower case, with the port of a web address where that is not the usual one.
    pub host: String,
    /// A person or an organisation.
    pub owner: String,
    /// Without `.git`.
    pub name: String,
}

impl Repository {
    /// Reads the URL of a remote: `https://`, `http://`, `ssh://`, `git://` or `git@host:o/r`.
    ///
    /// Aliases of SSH are to be resolved before.
    pub fn from_remote(url: &str) -> Option<Self> {
        let url = url.trim();
        let Some((scheme, rest)) = url.split_once("://") else {
            return Self::from_scp(url);
        };
        let (authority, path) = rest.split_once('/')?;
        let host = match scheme.to_ascii_lowercase().as_str() {
            "https" => host_and_port(authority, Some("443"))?,
            "http" => host_and_port(authority, Some("80"))?,
            // The port of SSH says nothing about the web's.
            "ssh" | "git" | "git+ssh" | "ssh+git" => host_and_port(authority, None)?,
            _ => return None,
        };
        Self::from_path(&host, path)
    }

    /// `git@github.com:octo/shop.git`, where the part before the colon is no folder.
    fn from_scp(url: &str) -> Option<Self> {
        let (authority, path) = url.split_once(':')?;
        if authority.contains('/') {
            return None;
        }
        Self::from_path(
            &host_and_port(authority, None)?,
            path.trim_start_matches('/'),
        )
    }

    fn from_path(host: &str, path: &str) -> Option<Self> {
        let path = path.trim_end_matches('/');
        let (owner, name) = path.split_once('/')?;
        let name = name.strip_suffix(".git").unwrap_or(name);
        Self::new(host, owner, name)
    }

    /// `None` where GitHub has no such names.
    pub fn new(host: &str, owner: &str, name: &str) -> Option<Self> {
        (is_name(owner) && is_name(name)).then(|| Self {
            host: host.to_ascii_lowercase(),
            owner: owner.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Whether both name the same repository, for GitHub minds no case.
    pub fn is(&self, other: &Self) -> bool {
        self.host == other.host && self.is_named(&other.owner, &other.name)
    }

    fn is_named(&self, owner: &str, name: &str) -> bool {
        self.owner.eq_ignore_ascii_case(owner) && self.name.eq_ignore_ascii_case(name)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.owner, self.name)
    }
}

/// An issue as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueAddress {
    /// Its number.
    pub number: u64,
    /// Where it names one: the host, if it names that too, and owner and name.
    pub repository: Option<(Option<String>, String, String)>,
}

/// Why something is not the address of an issue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// It is written like something else: a path, perhaps.
    #[error("it is not an issue: expected 1234, #1234, OWNER/REPO#1234 or the issue's URL")]
    Other,
    /// It is the URL of a change request.
    #[error("it is a pull request, and a master issue is an issue")]
    Pull,
    /// Its number is none that GitHub gives.
    #[error("{0} is not the number of an issue")]
    Number(String),
}

impl IssueAddress {
    /// Reads `1234`, `#1234`, `OWNER/REPO#1234` or a URL.
    pub fn parse(text: &str) -> Result<Self, NoAddress> {
        let text = text.trim();
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme.to_ascii_lowercase().as_str() {
                "https" => Self::from_url(rest, "443"),
                "http" => Self::from_url(rest, "80"),
                _ => Err(NoAddress::Other),
            };
        }
        let (before, number) = text.split_once('#').unwrap_or(("", text));
        if before.is_empty() {
            return Ok(Self {
                number: parse_number(number)?,
                repository: None,
            });
        }
        let (owner, name) = before.split_once('/').ok_or(NoAddress::Other)?;
        if !is_name(owner) || !is_name(name) {
            return Err(NoAddress::Other);
        }
        Ok(Self {
            number: parse_number(number)?,
            repository: Some((None, owner.to_owned(), name.to_owned())),
        })
    }

    fn from_url(rest: &str, usual_port: &str) -> Result<Self, NoAddress> {
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let mut parts = rest.split('/');
        let mut part = || parts.next().ok_or(NoAddress::Other);
        let (authority, owner, name, kind, number) = (part()?, part()?, part()?, part()?, part()?);
        let host = host_and_port(authority, Some(usual_port)).ok_or(NoAddress::Other)?;
        if !is_name(owner) || !is_name(name) {
            return Err(NoAddress::Other);
        }
        match kind {
            "issues" => Ok(Self {
                number: parse_number(number)?,
                repository: Some((Some(host), owner.to_owned(), name.to_owned())),
            }),
            "pull" | "pulls" => Err(NoAddress::Pull),
            _ => Err(NoAddress::Other),
        }
    }

    /// Whether it lies in `repository`: a number alone does.
    pub fn is_in(&self, repository: &Repository) -> bool {
        self.repository.as_ref().is_none_or(|(host, owner, name)| {
            host.as_ref().is_none_or(|host| *host == repository.host)
                && repository.is_named(owner, name)
        })
    }
}

fn parse_number(text: &str) -> Result<u64, NoAddress> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NoAddress::Other);
    }
    match text.parse() {
        // Beyond this, JSON's numbers are no longer exact.
        Ok(number) if (1..=1 << 53).contains(&number) => Ok(number),
        _ => Err(NoAddress::Number(text.to_owned())),
    }
}

/// The address of the API that serves a host, without a slash at the end.
///
/// `GITHUB_API_URL` decides, else `GH_HOST`, else the remote's host.
pub fn api_address(host: &str, github_api_url: Option<&str>, gh_host: Option<&str>) -> String {
    let given = |value: Option<&str>| {
        value
            .map(|value| value.trim().trim_end_matches('/').to_owned())
            .filter(|value| !value.is_empty())
    };
    if let Some(url) = given(github_api_url) {
        return url;
    }
    let host = given(gh_host).unwrap_or_else(|| host.to_owned());
    let host = host.to_ascii_lowercase();
    if host == "github.com" || host == "api.github.com" {
        "https://api.github.com".to_owned()
    } else if host.ends_with(".ghe.com") && !host.starts_with("api.") {
        format!("https://api.{host}")
    } else if host.ends_with(".ghe.com") {
        format!("https://{host}")
    } else {
        format!("https://{host}/api/v3")
    }
}

/// The host whose users an API knows: `gh` keeps tokens by it.
pub fn host_of_api(api: &str) -> Option<String> {
    let (_, rest) = api.split_once("://")?;
    let host = host_and_port(rest.split('/').next()?, None)?;
    let public = host
        .strip_prefix("api.")
        .filter(|rest| *rest == "github.com" || rest.ends_with(".ghe.com"));
    Some(public.unwrap_or(&host).to_owned())
}

/// The host of `user:password@Host:port`, in lower case; with its port where `usual` is given
/// and differs. What a program would take for an option is no host.
fn host_and_port(authority: &str, usual: Option<&str>) -> Option<String> {
    let place = authority
        .rsplit_once('@')
        .map_or(authority, |(_, place)| place);
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) => (host, port),
        None => (place, ""),
    };
    let is_host = !host.is_empty()
        && !host.starts_with('-')
        && host.len() <= 253
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    if !is_host || !(port.is_empty() || port.parse::<u16>().is_ok()) {
        return None;
    }
    let host = host.to_ascii_lowercase();
    match usual {
        Some(usual) if !port.is_empty() && port != usual => Some(format!("{host}:{port}")),
        _ => Some(host),
    }
}

/// Whether GitHub would give the name to an owner or a repository; nothing in one means anything
/// in a path or a query.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 100
        && !matches!(text, "." | "..")
        // An address may end so; the name behind it does not.
        && text.strip_suffix(".git").is_none()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Host, owner and name; nothing where it is none.
    fn remote(url: &str) -> [String; 3] {
        Repository::from_remote(url)
            .map(|found| [found.host, found.owner, found.name])
            .unwrap_or_default()
    }

    #[test]
    fn every_form_of_a_remote_is_read() {
        let shop = ["github.com", "octo", "shop"];
        for url in [
            "https://github.com/octo/shop",
            "https://github.com/octo/shop.git",
            "https://github.com/octo/shop/",
            "https://github.com:443/octo/shop.git/",
            "HTTPS://GitHub.com/octo/shop.git",
            "https://ada:secret@github.com/octo/shop.git",
            "http://github.com:80/octo/shop",
            "ssh://git@github.com/octo/shop.git",
            "ssh://git@github.com:22/octo/shop.git",
            "git@github.com:octo/shop.git",
            "github.com:octo/shop",
            "git@github.com:/octo/shop.git",
            " git@github.com:octo/shop.git\n",
        ] {
            assert_eq!(remote(url), shop, "{url}");
        }
    }

    #[test]
    fn a_web_port_belongs_to_the_host_and_that_of_ssh_does_not() {
        assert_eq!(
            remote("http://127.0.0.1:8080/octo/shop.git"),
            ["127.0.0.1:8080", "octo", "shop"]
        );
        assert_eq!(
            remote("ssh://git@git.corp.example:2222/octo/shop"),
            ["git.corp.example", "octo", "shop"]
        );
    }

    #[test]
    fn what_is_no_repository_of_a_forge_is_none() {
        for url in [
            "",
            "/srv/git/shop.git",
            "../shop",
            "./a:b/c",
            "file:///srv/git/shop.git",
            "https://github.com/octo",
            "https://github.com/octo/shop/tree/main",
            "https://github.com/../shop",
            "https://github.com/octo/..",
            "https://github.com/octo/sh%2Fop",
            "https://github.com/octo/shop?x=1",
            "https://git hub.com/octo/shop",
            "https:///octo/shop",
            "git@github.com:octo",
            "-oProxyCommand:octo/shop",
            "ssh://-oProxyCommand/octo/shop",
            "https://github.com/octo/.git",
            "https://github.com/octo/shop.git.git",
        ] {
            assert_eq!(remote(url), [""; 3], "{url}");
        }
    }

    #[test]
    fn an_issue_is_named_by_number_by_repository_and_by_url() {
        let repository = |host: Option<&str>| {
            Some((
                host.map(str::to_owned),
                "octo".to_owned(),
                "shop".to_owned(),
            ))
        };
        for (text, number, place) in [
            ("1234", 1234, None),
            ("#1234", 1234, None),
            ("octo/shop#7", 7, repository(None)),
            (
                "https://github.com/octo/shop/issues/7",
                7,
                repository(Some("github.com")),
            ),
            (
                "https://GHE.corp.example:8443/octo/shop/issues/7/?x=1#issuecomment-1",
                7,
                repository(Some("ghe.corp.example:8443")),
            ),
        ] {
            let address = IssueAddress::parse(text).unwrap();
            assert_eq!(
                (address.number, address.repository),
                (number, place),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_issue_is_refused_with_a_reason() {
        for (text, reason) in [
            ("plan.md", NoAddress::Other),
            ("docs/plan.md", NoAddress::Other),
            ("", NoAddress::Other),
            ("#", NoAddress::Other),
            ("0", NoAddress::Number("0".into())),
            (
                "99999999999999999999",
                NoAddress::Number("99999999999999999999".into()),
            ),
            ("https://github.com/octo/shop/pull/7", NoAddress::Pull),
            ("https://github.com/octo/shop", NoAddress::Other),
            ("ftp://github.com/octo/shop/issues/7", NoAddress::Other),
            ("octo#7", NoAddress::Other),
            ("a/b/c#7", NoAddress::Other),
            ("octo/shop.git#7", NoAddress::Other),
        ] {
            assert_eq!(IssueAddress::parse(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn an_issue_of_another_repository_is_seen() {
        let shop = Repository::new("github.com", "octo", "shop").unwrap();
        let is_in = |text: &str| IssueAddress::parse(text).unwrap().is_in(&shop);
        assert!(is_in("7") && is_in("Octo/Shop#7"));
        assert!(is_in("https://github.com/octo/shop/issues/7"));
        assert!(!is_in("octo/other#7"));
        assert!(!is_in("https://ghe.example/octo/shop/issues/7"));
    }

    #[test]
    fn the_api_is_found_by_host_and_said_by_variables() {
        for (host, url, gh_host, api) in [
            ("github.com", None, None, "https://api.github.com"),
            ("GitHub.com", None, Some(""), "https://api.github.com"),
            ("acme.ghe.com", None, None, "https://api.acme.ghe.com"),
            (
                "git.corp.example",
                None,
                None,
                "https://git.corp.example/api/v3",
            ),
            (
                "git.corp.example:8443",
                None,
                None,
                "https://git.corp.example:8443/api/v3",
            ),
            (
                "alias",
                None,
                Some("git.corp.example"),
                "https://git.corp.example/api/v3",
            ),
            (
                "github.com",
                Some("http://127.0.0.1:9/"),
                Some("x"),
                "http://127.0.0.1:9",
            ),
        ] {
            assert_eq!(api_address(host, url, gh_host), api, "{host}");
        }
    }

    #[test]
    fn an_api_leads_back_to_the_host_that_knows_its_users() {
        for (api, host) in [
            ("https://api.github.com", "github.com"),
            ("https://api.acme.ghe.com", "acme.ghe.com"),
            ("https://git.corp.example:8443/api/v3", "git.corp.example"),
            ("https://api.corp.example", "api.corp.example"),
        ] {
            assert_eq!(host_of_api(api).as_deref(), Some(host), "{api}");
        }
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics_and_never_leaves_its_place(text in r"[\PC:/@.#%?]{0,60}") {
            let _ = IssueAddress::parse(&text);
            let _ = api_address(&text, None, None);
            let _ = host_of_api(&text);
            for url in [text.clone(), format!("https://h/{text}"), format!("git@h:{text}")] {
                if let Some(found) = Repository::from_remote(&url) {
                    for name in [&found.owner, &found.name] {
                        prop_assert!(is_name(name));
                    }
                    prop_assert!(!found.host.contains(['/', '@', '?', '#']));
                }
            }
        }

        #[test]
        fn what_was_written_is_read_back(
            owner in "[a-zA-Z0-9-]{1,20}", name in "[a-zA-Z0-9_-]{1,20}", number in 1..1_u64 << 40,
        ) {
            let repository = Repository::new("github.com", &owner, &name);
            prop_assert_eq!(
                Repository::from_remote(&format!("git@github.com:{owner}/{name}.git")),
                repository.clone()
            );
            let address = IssueAddress::parse(&format!("{owner}/{name}#{number}"));
            let address = address.expect("an issue");
            prop_assert_eq!(address.number, number);
            prop_assert!(repository.is_some_and(|repository| address.is_in(&repository)));
        }
    }
}
