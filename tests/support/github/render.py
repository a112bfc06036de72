"""The state as GitHub's JSON. Reads the model; changes nothing.

Every shape is checked against GitHub's description as it leaves (`contract`).
"""

from .model import ROLES

REACTIONS = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
# The addresses that the JSON of a repository and of a user list.
REPOSITORY_URLS = """
archive assignees blobs branches collaborators comments commits compare contents contributors
deployments downloads events forks git_commits git_refs git_tags hooks issue_comment issue_events
issues keys labels languages merges milestones notifications pulls releases stargazers statuses
subscribers subscription tags teams trees
"""
USER_URLS = "followers following gists starred subscriptions organizations repos received_events"


def addresses(url, names):
    return {f"{name}_url": f"{url}/{name}" for name in names.split()}


class Renderer:
    """Renders for one address."""

    def __init__(self, url, api_url):
        self.url = url
        self.api_url = api_url

    def repository_url(self, repository):
        return f"{self.api_url}/repos/{repository.full_name}"

    def html_url(self, issue):
        kind = "pull" if issue.pull else "issues"
        return f"{self.url}/{issue.repository.full_name}/{kind}/{issue.number}"

    def user(self, user):
        if user is None:
            return None
        api = f"{self.api_url}/users/{user.login}"
        return {
            "login": user.login,
            "id": user.id,
            "node_id": f"U_{user.id}",
            "avatar_url": f"{self.url}/avatars/{user.id}",
            "gravatar_id": "",
            "url": api,
            "html_url": f"{self.url}/{user.login}",
            **addresses(api, USER_URLS),
            "events_url": f"{api}/events{{/privacy}}",
            "type": user.kind,
            "user_view_type": "public",
            "site_admin": False,
        }

    def account(self, user):
        """`GET /user`: what somebody may know of themselves."""
        counts = ("public_repos", "public_gists", "followers", "following")
        texts = ("name", "company", "location", "email", "hireable", "bio")
        return (
            self.user(user)
            | dict.fromkeys(texts)
            | dict.fromkeys(counts, 0)
            | {
                "blog": "",
                "created_at": "2020-01-01T00:00:00Z",
                "updated_at": "2020-01-01T00:00:00Z",
            }
        )

    def label(self, label, repository):
        return {
            "id": label.id,
            "node_id": f"LA_{label.id}",
            "url": f"{self.repository_url(repository)}/labels/{label.name.replace(' ', '%20')}",
            "name": label.name,
            "color": label.color,
            "default": False,
            "description": "",
        }

    def reactions(self, url):
        return {"url": f"{url}/reactions", "total_count": 0} | dict.fromkeys(REACTIONS, 0)

    def comment(self, comment, issue):
        url = f"{self.repository_url(issue.repository)}/issues/comments/{comment.id}"
        return {
            "url": url,
            "html_url": f"{self.html_url(issue)}#issuecomment-{comment.id}",
            "issue_url": f"{self.repository_url(issue.repository)}/issues/{issue.number}",
            "id": comment.id,
            "node_id": f"IC_{comment.id}",
            "user": self.user(comment.user),
            "created_at": comment.created_at,
            "updated_at": comment.updated_at,
            "body": comment.body,
            "author_association": issue.repository.association(comment.user),
            "reactions": self.reactions(url),
            "performed_via_github_app": None,
        }

    def issue(self, issue):
        repository = issue.repository
        url = f"{self.repository_url(repository)}/issues/{issue.number}"
        done = sum(child.state == "closed" for child in issue.children)
        total = len(issue.children)
        shown = {
            "url": url,
            "repository_url": self.repository_url(repository),
            "labels_url": f"{url}/labels{{/name}}",
            "comments_url": f"{url}/comments",
            "events_url": f"{url}/events",
            "timeline_url": f"{url}/timeline",
            "html_url": self.html_url(issue),
            "id": issue.id,
            "node_id": f"I_{issue.id}",
            "number": issue.number,
            "title": issue.title,
            "user": self.user(issue.user),
            "labels": [self.label(label, repository) for label in issue.labels],
            "state": issue.state,
            "state_reason": issue.state_reason,
            "locked": False,
            "active_lock_reason": None,
            "assignee": self.user(issue.assignees[0]) if issue.assignees else None,
            "assignees": [self.user(user) for user in issue.assignees],
            "milestone": None,
            "comments": len(issue.comments),
            "created_at": issue.created_at,
            "updated_at": issue.updated_at,
            "closed_at": issue.closed_at,
            "closed_by": self.user(issue.closed_by),
            "author_association": repository.association(issue.user),
            "body": issue.body,
            "reactions": self.reactions(url),
            "performed_via_github_app": None,
        }
        if issue.pull:
            pull = f"{self.repository_url(repository)}/pulls/{issue.number}"
            page = self.html_url(issue)
            shown["draft"] = issue.pull.draft
            shown["pull_request"] = {
                "url": pull,
                "html_url": page,
                "diff_url": f"{page}.diff",
                "patch_url": f"{page}.patch",
                "merged_at": issue.pull.merged_at,
            }
            return shown
        shown["sub_issues_summary"] = {
            "total": total,
            "completed": done,
            "percent_completed": done * 100 // total if total else 0,
        }
        shown["issue_dependencies_summary"] = dict.fromkeys(
            ("blocked_by", "total_blocked_by", "blocking", "total_blocking"), 0
        )
        if issue.parent:
            parent = issue.parent
            shown["parent_issue_url"] = (
                f"{self.repository_url(parent.repository)}/issues/{parent.number}"
            )
        return shown

    def repository(self, repository, user=None, *, full=False):
        url = self.repository_url(repository)
        page = f"{self.url}/{repository.full_name}"
        unsolved = sum(issue.state == "open" for issue in repository.numbered.values())
        shown = {
            "id": repository.id,
            "node_id": f"R_{repository.id}",
            "name": repository.name,
            "full_name": repository.full_name,
            "private": repository.private,
            "owner": self.user(repository.owner),
            "html_url": page,
            "description": None,
            "fork": False,
            "url": url,
            **addresses(url, REPOSITORY_URLS),
            "git_url": f"git:{page.partition(':')[2]}.git",
            "ssh_url": f"git@127.0.0.1:{repository.full_name}.git",
            "clone_url": f"{page}.git",
            "svn_url": page,
            "mirror_url": None,
            "homepage": None,
            "language": None,
            "license": None,
            **dict.fromkeys(("size", "stargazers_count", "watchers_count", "forks_count"), 0),
            **dict.fromkeys(("forks", "watchers"), 0),
            **dict.fromkeys(("open_issues_count", "open_issues"), unsolved),
            **dict.fromkeys(["has_projects", "has_wiki", "has_downloads", "allow_forking"], True),
            **dict.fromkeys(["has_pages", "has_discussions", "is_template", "disabled"], False),
            "has_issues": repository.has_issues,
            "archived": repository.archived,
            "web_commit_signoff_required": False,
            "topics": [],
            "visibility": "private" if repository.private else "public",
            "default_branch": repository.default_branch,
            **dict.fromkeys(["pushed_at", "created_at", "updated_at"], repository.created_at),
        }
        if user is not None:
            shown["permissions"] = permissions(repository.role(user))
        if full:
            shown |= {"network_count": 0, "subscribers_count": 0}
        return shown

    def permission(self, repository, user):
        role = repository.role(user)
        account = self.user(user) | {"role_name": role, "permissions": permissions(role)}
        return {"permission": role, "role_name": role, "user": account}

    def pull(self, issue, figures=None):
        """A pull as lists show it; with `figures` of the repository as it is shown alone."""
        pull, repository = issue.pull, issue.repository
        url = f"{self.repository_url(repository)}/pulls/{issue.number}"
        as_issue = f"{self.repository_url(repository)}/issues/{issue.number}"
        page = self.html_url(issue)
        links = {
            "self": url,
            "html": page,
            "issue": as_issue,
            "comments": f"{as_issue}/comments",
            "review_comments": f"{url}/comments",
            "review_comment": f"{self.repository_url(repository)}/pulls/comments{{/number}}",
            "commits": f"{url}/commits",
            "statuses": f"{self.repository_url(repository)}/statuses/{pull.head_sha}",
        }

        def side(branch, sha):
            return {
                "label": f"{repository.owner.login}:{branch}",
                "ref": branch,
                "sha": sha,
                "user": self.user(repository.owner),
                "repo": self.repository(repository),
            }

        shown = {
            "url": url,
            "id": pull.id,
            "node_id": f"PR_{pull.id}",
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "issue_url": as_issue,
            **{
                f"{name}_url": links[name]
                for name in ("commits", "review_comments", "review_comment", "comments", "statuses")
            },
            "number": issue.number,
            "state": issue.state,
            "locked": False,
            "active_lock_reason": None,
            "title": issue.title,
            "user": self.user(issue.user),
            "body": issue.body,
            "labels": [self.label(label, repository) for label in issue.labels],
            "milestone": None,
            "created_at": issue.created_at,
            "updated_at": issue.updated_at,
            "closed_at": issue.closed_at,
            "merged_at": pull.merged_at,
            "merge_commit_sha": None,
            "assignee": self.user(issue.assignees[0]) if issue.assignees else None,
            "assignees": [self.user(user) for user in issue.assignees],
            "requested_reviewers": [],
            "requested_teams": [],
            "head": side(pull.head, pull.head_sha),
            "base": side(pull.base, pull.base_sha),
            "_links": {name: {"href": link} for name, link in links.items()},
            "author_association": repository.association(issue.user),
            "auto_merge": None,
            "draft": pull.draft,
        }
        if figures is None:
            return shown
        return shown | {
            "merged": pull.merged_at is not None,
            "mergeable": None,  # GitHub says so, too, until it has tried
            "rebaseable": None,
            "mergeable_state": "unknown",
            "merged_by": None,
            "comments": len(issue.comments),
            "review_comments": 0,
            "maintainer_can_modify": False,
            **figures,
        }


def permissions(role):
    """A role as GitHub's five permissions."""
    least = {"admin": "admin", "maintain": "admin", "push": "write", "triage": "write"}
    least["pull"] = "read"
    return {name: ROLES.index(role) >= ROLES.index(needed) for name, needed in least.items()}
