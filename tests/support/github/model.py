"""The fake's state: users, tokens, repositories, issues and pulls, comments.

Plain data and lookups. One lock guards all of it; whoever reads or writes holds it.
"""

import threading
from dataclasses import dataclass, field
from datetime import datetime, timezone

ROLES = ("none", "read", "write", "admin")


def now():
    """The time as GitHub writes it: to the second."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class User:
    login: str
    id: int
    kind: str = "User"


@dataclass
class Token:
    """A token: classic with scopes, or fine-grained with permissions and perhaps repositories."""

    value: str
    user: User
    scopes: tuple[str, ...] | None = ("repo",)
    permissions: dict[str, str] = field(default_factory=dict)
    repositories: tuple[str, ...] | None = None

    @property
    def classic(self):
        return self.scopes is not None


@dataclass
class Label:
    id: int
    name: str
    color: str = "ededed"


@dataclass
class Comment:
    id: int
    user: User
    body: str
    created_at: str = field(default_factory=now)
    updated_at: str = field(default_factory=now)


@dataclass
class Pull:
    """What a pull has beyond an issue."""

    id: int
    head: str
    head_sha: str
    base: str
    base_sha: str
    draft: bool = False
    merged_at: str | None = None


@dataclass
class Issue:
    """An issue; a pull is an issue with a `pull`, as it is for GitHub."""

    repository: "Repository"
    id: int
    number: int
    title: str
    body: str | None
    user: User
    labels: list[Label] = field(default_factory=list)
    assignees: list[User] = field(default_factory=list)
    state: str = "open"
    state_reason: str | None = None
    created_at: str = field(default_factory=now)
    updated_at: str = field(default_factory=now)
    closed_at: str | None = None
    closed_by: User | None = None
    comments: list[Comment] = field(default_factory=list)
    parent: "Issue | None" = None
    children: list["Issue"] = field(default_factory=list)
    pull: Pull | None = None
    deleted: bool = False

    def touch(self):
        self.updated_at = now()

    def set_state(self, state, user, reason=None):
        if state == "closed":
            self.closed_at, self.closed_by = now(), user
            self.state_reason = None if self.pull else reason or "completed"
        elif self.state == "closed":
            self.closed_at = self.closed_by = None
            self.state_reason = None if self.pull else "reopened"
        self.state = state

    def ancestors(self):
        """The chain of parents, nearest first."""
        issue = self.parent
        while issue:
            yield issue
            issue = issue.parent

    def depth_below(self):
        """How many levels of sub-issues there are below."""
        return max((1 + child.depth_below() for child in self.children), default=0)


@dataclass
class Repository:
    owner: User
    name: str
    id: int
    folder: str  # of the bare repository, below the fake's; a rename leaves it
    default_branch: str = "main"
    private: bool = False
    archived: bool = False
    has_issues: bool = True
    drafts: bool = True
    permissions: dict[str, str] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    numbered: dict[int, Issue] = field(default_factory=dict)
    created_at: str = field(default_factory=now)

    @property
    def full_name(self):
        return f"{self.owner.login}/{self.name}"

    def role(self, user):
        """What a user may do here; `None` is somebody without a token."""
        anyone = "none" if self.private else "read"
        if user is None:
            return anyone
        if user is self.owner:
            return "admin"
        return self.permissions.get(user.login.lower(), anyone)

    def may(self, user, role):
        return ROLES.index(self.role(user)) >= ROLES.index(role)

    def association(self, user):
        """How GitHub relates an author to the repository. A collaborator may well only read."""
        if user is self.owner:
            return "OWNER"
        if self.permissions.get(user.login.lower(), "none") != "none":
            return "MEMBER" if self.owner.kind == "Organization" else "COLLABORATOR"
        return "NONE"


class State:
    """All of it, behind `lock`."""

    def __init__(self):
        self.lock = threading.RLock()
        self.users: dict[str, User] = {}
        self.tokens: dict[str, Token] = {}
        self.repositories: dict[str, Repository] = {}
        self.moved: dict[str, Repository] = {}
        # Ids are far away from numbers, so that one is never taken for the other.
        self._last_id = 2_000_000_000

    def new_id(self):
        self._last_id += 7
        return self._last_id

    def user(self, login, kind="User"):
        """The user of that name, made where there is none."""
        known = self.users.get(login.lower())
        if known is None:
            known = self.users[login.lower()] = User(login, self.new_id(), kind)
        return known

    def repository(self, name):
        return self.repositories[name.lower()]

    def repository_by_id(self, number):
        return next((r for r in self.repositories.values() if r.id == number), None)

    def label(self, repository, name):
        """The label of that name, made where there is none. Names differ by more than case."""
        known = repository.labels.get(name.lower())
        if known is None:
            known = repository.labels[name.lower()] = Label(self.new_id(), name)
        return known

    def new_issue(self, repository, title, body, user, **more):
        """An issue or pull with the next number of the repository's one sequence."""
        number = max(repository.numbered, default=0) + 1
        issue = Issue(repository, self.new_id(), number, title, body, user, **more)
        repository.numbered[number] = issue
        return issue

    def issue_by_id(self, number):
        for repository in self.repositories.values():
            for issue in repository.numbered.values():
                if issue.id == number and not issue.deleted:
                    return issue
        return None

    def comment_by_id(self, repository, number):
        """A comment, and the issue that it stands below."""
        for issue in repository.numbered.values():
            for comment in issue.comments:
                if comment.id == number:
                    return issue, comment
        return None, None
