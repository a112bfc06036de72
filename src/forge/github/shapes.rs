//! What we read of GitHub's answers; all else in them is passed over.

use serde::Deserialize;

use crate::forge::{Marker, State};

/// An issue, or a change request seen as one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct IssueShape {
    /// The global id, by which sub-issues are linked.
    pub(super) id: u64,
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) state: StateShape,
    #[serde(default)]
    pub(super) labels: Vec<LabelShape>,
    pub(super) html_url: String,
    #[serde(default)]
    pub(super) repository_url: String,
    pub(super) user: Option<UserShape>,
    #[serde(default)]
    pub(super) author_association: Association,
    #[serde(default)]
    pub(super) comments: u64,
    /// Only looked for.
    pub(super) pull_request: Option<Nothing>,
    pub(super) sub_issues_summary: Option<SubIssuesShape>,
    pub(super) parent_issue_url: Option<String>,
}

impl IssueShape {
    pub(super) fn marker(&self) -> Option<Marker> {
        Marker::split(self.body.as_deref().unwrap_or_default()).0
    }

    pub(super) fn labels(&self) -> Vec<String> {
        let name = |label: &LabelShape| match label {
            LabelShape::Object { name } => name.clone().unwrap_or_default(),
            LabelShape::Name(name) => name.clone(),
        };
        self.labels.iter().map(name).collect()
    }

    /// The number of the issue above.
    pub(super) fn parent(&self) -> Option<u64> {
        let (_, number) = self.parent_issue_url.as_deref()?.rsplit_once('/')?;
        number.parse().ok()
    }
}

/// An object of which nothing is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Nothing {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum StateShape {
    Open,
    #[serde(other)]
    Closed,
}

impl From<StateShape> for State {
    fn from(state: StateShape) -> Self {
        match state {
            StateShape::Open => Self::Open,
            StateShape::Closed => Self::Closed,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum LabelShape {
    Name(String),
    Object { name: Option<String> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct SubIssuesShape {
    pub(super) total: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct UserShape {
    pub(super) login: String,
    #[serde(default, rename = "type")]
    pub(super) kind: String,
}

/// What somebody is to a repository, as far as an issue tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Association {
    Owner,
    Member,
    Collaborator,
    #[default]
    #[serde(other)]
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct PullShape {
    pub(super) number: u64,
    pub(super) html_url: String,
    pub(super) state: StateShape,
    pub(super) body: Option<String>,
    pub(super) base: Option<BranchShape>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct BranchShape {
    #[serde(rename = "ref")]
    pub(super) name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct CommentShape {
    pub(super) id: u64,
    pub(super) html_url: String,
    pub(super) body: Option<String>,
    pub(super) user: Option<UserShape>,
    #[serde(default)]
    pub(super) author_association: Association,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct PermissionShape {
    pub(super) permission: String,
    /// The finer one; `permission` folds `maintain` into `write`.
    #[serde(default)]
    pub(super) role_name: String,
}

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct RepositoryShape {
    #[serde(default)]
    pub(super) private: bool,
    #[serde(default)]
    pub(super) archived: bool,
    /// Issues are switched on, unless it says the contrary.
    pub(super) has_issues: Option<bool>,
    /// What whoever asks may do, where GitHub knows.
    pub(super) permissions: Option<PushShape>,
}

/// Whether somebody may push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct PushShape {
    #[serde(default)]
    pub(super) push: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_issue_is_read_with_the_least_and_with_the_most() {
        let least: IssueShape = serde_json::from_value(json!({
            "id": 9, "number": 7, "title": "T", "body": null, "state": "open", "html_url": "u",
            "user": null,
        }))
        .unwrap();
        assert_eq!(least.author_association, Association::Other);
        assert_eq!((least.parent(), least.labels()), (None, vec![]));
        let most: IssueShape = serde_json::from_value(json!({
            "id": 9, "number": 7, "title": "T", "state": "closed", "html_url": "u",
            "body": "<!-- parallel-orchestrate master=5 kind=master -->\r\n\r\nText",
            "user": {"login": "ada", "type": "User", "id": 1}, "author_association": "MEMBER",
            "labels": ["a", {"name": "b", "color": "f00"}], "comments": 3,
            "pull_request": {"url": "x"}, "sub_issues_summary": {"total": 2, "completed": 1},
            "parent_issue_url": "https://api.github.com/repos/o/r/issues/5",
        }))
        .unwrap();
        assert_eq!(
            (most.parent(), most.labels()),
            (Some(5), vec!["a".into(), "b".into()])
        );
        assert_eq!(most.author_association, Association::Member);
        assert!(most.marker().is_some() && most.pull_request.is_some());
    }

    #[test]
    fn an_unknown_association_is_nobodys() {
        for name in [
            "NONE",
            "FIRST_TIME_CONTRIBUTOR",
            "CONTRIBUTOR",
            "MANNEQUIN",
            "NEW",
        ] {
            let association: Association = serde_json::from_value(json!(name)).unwrap();
            assert_eq!(association, Association::Other, "{name}");
        }
    }
}
