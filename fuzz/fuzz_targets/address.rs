//! Any text is read as the address of a remote, an issue or an API; none leads out of its place.
#![no_main]

use libfuzzer_sys::fuzz_target;

use orchestration_fuzz::forge::address::{IssueAddress, Repository, api_address, host_of_api};
use orchestration_fuzz::forge::asked;

fuzz_target!(|text: &str| {
    for url in [
        text.to_owned(),
        format!("https://{text}"),
        format!("git@{text}"),
    ] {
        if let Some(found) = Repository::from_remote(&url) {
            check(&found);
        }
    }
    if let Ok(issue) = IssueAddress::parse(text) {
        assert!((1..=1 << 53).contains(&issue.number));
        if let Some((host, owner, name)) = issue.repository {
            let host = host.as_deref().unwrap_or("github.com");
            check(&Repository::new(host, &owner, &name).expect("names that were taken"));
        }
    }
    let _ = api_address(text, None, None);
    let _ = host_of_api(text);
    // A link is followed with the token.
    for link in [text.to_owned(), format!("https://ghe.example/api/v3{text}")] {
        if let Some(asked) = asked("https://ghe.example/api/v3", &link) {
            let asked: http::Uri = asked.parse().expect("an address");
            assert_eq!(asked.authority().map(|it| it.as_str()), Some("ghe.example"));
            assert!(asked.path().starts_with("/api/v3/"), "{asked}");
        }
    }
});

fn check(found: &Repository) {
    for name in [&found.owner, &found.name] {
        let is_name = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        assert!(!name.is_empty() && name.chars().all(is_name), "{found:?}");
        assert!(!matches!(name.as_str(), "." | ".."), "{found:?}");
    }
    assert!(!found.host.starts_with('-'), "an option to ssh: {found:?}");
    assert!(!found.host.contains(['/', '@', '?', '#', ' ']), "{found:?}");
    // The usual port of one scheme is another's odd one.
    if !found.host.ends_with(":443") {
        let again = Repository::from_remote(&format!("https://{}/{found}", found.host));
        assert_eq!(again.as_ref(), Some(found), "written and read again");
    }
}
