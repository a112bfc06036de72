"""`FakeGitHub`: the server and everything that a test says to it or reads from it."""

import math
import ssl
import tempfile
import threading
import time
from collections import deque
from pathlib import Path

from . import api, bare, contract
from .faults import RECOVERABLE, Fault, Faults
from .model import Comment, Pull, Repository, State, Token
from .render import Renderer
from .server import Server

OWNER = "octocat"
TOKEN = "ghp_" + "fake" * 9


class FakeGitHub:
    """A GitHub on this machine; a context manager that serves while it is open.

    There is a user `octocat` with the token `fake.token` (classic, scope `repo`). Repositories are
    named `OWNER/REPO`; owners and users are made as they are named. At the end it raises where an
    answer of its own was none that GitHub would give.

    Args:
        folder: Where the bare repositories lie; a temporary one by default.
        port: 0 takes a free one.
        tls: The files of a certificate for `localhost` and of its key. Then it is
            `https://localhost:PORT`.
        prefix: The path of the REST API.
        anonymous_push: Whether git may push without a token.
        content_per_minute: How many requests may create something in a minute; more are answered
            with a secondary limit. No limit by default.
        check: Whether requests and answers are compared with GitHub's description, which needs
            `jsonschema`.
    """

    def __init__(
        self,
        folder=None,
        *,
        port=0,
        tls=None,
        prefix="/api/v3",
        anonymous_push=False,
        content_per_minute=None,
        check=True,
    ):
        if check and not contract.AVAILABLE:
            message = "jsonschema is missing: pip install -r tests/requirements.txt"
            raise RuntimeError(message)
        self.check = check
        self._temporary = None if folder else tempfile.TemporaryDirectory(prefix="github-")
        self.folder = Path(folder or self._temporary.name)
        self.prefix = prefix
        self.anonymous_push = anonymous_push
        self.content_per_minute = content_per_minute
        self.model = State()
        self.faults = Faults()
        self.requests = []
        self.git_requests = []
        self.violations = []
        self.errors = []
        self._quotas = {}
        self._created = deque()
        self._server = Server(self, port, tls and context(*tls))
        place = "https://localhost" if tls else "http://127.0.0.1"
        self.url = f"{place}:{self._server.server_port}"
        self.api_url = self.url + prefix
        self.render = Renderer(self.url, self.api_url)
        self.token = self.add_user(OWNER, token=TOKEN)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="fake-github", daemon=True
        )

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        self.close()
        if self.errors and kind is None:
            message = "the fake GitHub broke GitHub's contract:\n" + "\n".join(self.errors)
            raise AssertionError(message)

    def close(self):
        self.faults.clear()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.hang_up()
        if self._temporary:
            self._temporary.cleanup()

    # Users, tokens and limits.

    def add_user(self, login, *, token=None, scopes=("repo",), kind="User"):
        """Make a user with a classic token; returns the token."""
        with self.model.lock:
            user = self.model.user(login, kind)
            user.kind = kind
        return self.add_token(login, token=token, scopes=scopes)

    def add_token(self, login, *, token=None, scopes=None, permissions=None, repositories=None):
        """Give a user another token; returns it.

        Classic with `scopes`; else fine-grained with `permissions` as `{"issues": "write"}`, for
        all repositories or for those named.
        """
        with self.model.lock:
            user = self.model.user(login)
            prefix = "github_pat_" if scopes is None else "ghp_"
            token = token or f"{prefix}{self.model.new_id():036d}"
            classic = None if scopes is None else tuple(scopes)
            chosen = None if repositories is None else tuple(repositories)
            self.model.tokens[token] = Token(token, user, classic, dict(permissions or {}), chosen)
        return token

    def quota(self, user):
        """The primary limit of a user; `None` is everybody without a token."""
        login = user.login.lower() if user else None
        if login not in self._quotas:
            self._quotas[login] = api.Quota(limit=5000 if user else 60)
        self._quotas[login].renew()
        return self._quotas[login]

    def set_limit(self, login=OWNER, *, remaining, limit=5000, reset_in=3600.0):
        """Let a user have so many requests left until the reset."""
        with self.model.lock:
            quota = self.quota(self.model.user(login) if login else None)
            quota.limit, quota.used = limit, limit - remaining
            quota.reset = math.ceil(time.time() + reset_in)

    def too_much_content(self):
        """Count a request that creates something; says whether it is one too many."""
        if self.content_per_minute is None:
            return False
        while self._created and self._created[0] < time.monotonic() - 60:
            self._created.popleft()
        if len(self._created) >= self.content_per_minute:
            return True
        self._created.append(time.monotonic())
        return False

    # Repositories.

    def add_repository(
        self,
        name,
        *,
        files=None,
        default_branch="main",
        permissions=None,
        owner_kind="User",
        **more,
    ):
        """Make a repository with one commit of `files`; returns its name.

        Args:
            name: `OWNER/REPO`.
            files: Texts by path; a README by default.
            default_branch: Its only branch.
            permissions: `none`, `read`, `write` or `admin` by login; the others have `read`, or
                `none` where it is private.
            owner_kind: `User` or `Organization`.
            more: `private`, `archived`, `has_issues`, `drafts`.
        """
        login, _, short = name.partition("/")
        files = files or {"README.md": f"# {short}\n"}
        with self.model.lock:
            owner = self.model.user(login, owner_kind)
            folder = f"{login}/{short}.git"
            repository = Repository(
                owner, short, self.model.new_id(), folder, default_branch, **more
            )
            if not (self.folder / folder).exists():
                bare.create(self.folder / folder, default_branch, files)
            self.model.repositories[name.lower()] = repository
            for user, role in (permissions or {}).items():
                repository.permissions[self.model.user(user).login.lower()] = role
        return name

    def set_repository(self, repo, *, permissions=None, **more):
        """Change `private`, `archived`, `has_issues`, `drafts`, `default_branch`, `permissions`."""
        with self.model.lock:
            repository = self.model.repository(repo)
            for name, value in more.items():
                if not hasattr(repository, name):
                    message = f"a repository has no {name}"
                    raise TypeError(message)
                setattr(repository, name, value)
            for user, role in (permissions or {}).items():
                repository.permissions[self.model.user(user).login.lower()] = role

    def rename_repository(self, repo, new):
        """Rename; the old name leads to the new one, over the API and over git."""
        with self.model.lock:
            repository = self.model.repositories.pop(repo.lower())
            login, _, repository.name = new.partition("/")
            repository.owner = self.model.user(login)
            self.model.repositories[new.lower()] = repository
            self.model.moved[repo.lower()] = repository

    def clone_url(self, repo, user=None):
        """The address for git; with `user` it holds a token of theirs."""
        address = f"{self.url}/{repo}.git"
        if user is None:
            return address
        with self.model.lock:
            token = next(t.value for t in self.model.tokens.values() if t.user.login == user)
        return address.replace("://", f"://x-access-token:{token}@", 1)

    def git_folder(self, repo):
        """The bare repository."""
        if isinstance(repo, str):
            with self.model.lock:
                repo = self.model.repository(repo)
        return self.folder / repo.folder

    def commit(self, repo, branch, files, message="Change something"):
        """Put a commit on a branch, which is made from the default one; returns the commit."""
        folder = self.git_folder(repo)
        with self.model.lock:
            if bare.tip_of(folder, branch) is None:
                start = bare.tip_of(folder, self.model.repository(repo).default_branch)
                bare.git(folder, "branch", branch, start)
            made = bare.commit(folder, branch, files, message)
            self.after_push(self.model.repository(repo))
        return made

    def after_push(self, repository):
        """Let open pulls follow their branches, which may be pushed to past HTTP as well."""
        with self.model.lock:
            tips = bare.branches(self.git_folder(repository))
            for issue in repository.numbered.values():
                if issue.pull and issue.state == "open":
                    pull = issue.pull
                    pull.head_sha = tips.get(pull.head, pull.head_sha)
                    pull.base_sha = tips.get(pull.base, pull.base_sha)

    # Issues.

    def add_issue(self, repo, title, body=None, *, user=None, labels=(), parent=None, state="open"):
        """File an issue, by the repository's owner by default; returns its number."""
        with self.model.lock:
            repository = self.model.repository(repo)
            author = self.model.user(user) if user else repository.owner
            issue = self.model.new_issue(repository, title, body, author)
            issue.labels = [self.model.label(repository, name) for name in labels]
            issue.set_state(state, author)
            if parent is not None:
                self.link_issue(repo, parent, issue.number)
            return issue.number

    def link_issue(self, repo, parent, child):
        """Make an issue a sub-issue of another, both by number."""
        with self.model.lock:
            numbered = self.model.repository(repo).numbered
            numbered[child].parent = numbered[parent]
            numbered[parent].children.append(numbered[child])

    def add_pull(self, repo, title, head, *, base=None, body=None, user=None, draft=False):
        """Open a pull of a branch that is there; returns its number."""
        folder = self.git_folder(repo)
        with self.model.lock:
            repository = self.model.repository(repo)
            base = base or repository.default_branch
            shas = bare.tip_of(folder, head), bare.tip_of(folder, base)
            pull = Pull(self.model.new_id(), head, shas[0], base, shas[1], draft)
            author = self.model.user(user) if user else repository.owner
            return self.model.new_issue(repository, title, body, author, pull=pull).number

    def add_comment(self, repo, number, body, *, user=None):
        """Comment on an issue or pull; returns the comment's id."""
        with self.model.lock:
            repository = self.model.repository(repo)
            author = self.model.user(user) if user else repository.owner
            comment = Comment(self.model.new_id(), author, body)
            repository.numbered[number].comments.append(comment)
            return comment.id

    def close_issue(self, repo, number, reason="completed"):
        with self.model.lock:
            repository = self.model.repository(repo)
            repository.numbered[number].set_state("closed", repository.owner, reason)

    def delete_issue(self, repo, number):
        """Delete an issue: it is gone (410) from now on."""
        with self.model.lock:
            self.model.repository(repo).numbered[number].deleted = True

    # Faults.

    def fail(self, kind, *, method=".*", path="", skip=0, count=1, **more):
        """Spoil requests.

        Args:
            kind: A status, or one of `faults.KINDS`.
            method: A pattern that the method is to match.
            path: A pattern to be found in the path, query included, without the API's prefix; for
                git it is the whole path.
            skip: How many matching requests pass before.
            count: How many are spoiled then; `None` is all.
            more: The fields of `faults.Fault`, such as `retry_after`, `delay` or `made`.
        """
        self.faults.add(Fault.of(kind, **more), method, path, skip, count)

    def fail_randomly(self, percent, *, seed=0, kinds=RECOVERABLE, in_a_row=2, path=""):
        """Spoil a share of all requests, in ways that a client gets over; `path` as in `fail`."""
        self.faults.randomly(percent, seed, kinds, in_a_row, path)

    def clear_faults(self):
        self.faults.clear()

    # What happened.

    def note_violation(self, method, path, problem):
        self.violations.append(api.Violation(method, path, problem))

    def note_error(self, method, path, problems):
        self.errors.append(f"{method} {path}: " + "; ".join(problems))

    def clear_requests(self):
        self.requests.clear()
        self.git_requests.clear()

    def state(self, repo):
        """What is in a repository, as plain data."""
        with self.model.lock:
            repository = self.model.repository(repo)
            self.after_push(repository)
            found = [issue for issue in repository.numbered.values() if not issue.deleted]
            return {
                "name": repository.full_name,
                "archived": repository.archived,
                "labels": sorted(label.name for label in repository.labels.values()),
                "branches": bare.branches(self.git_folder(repository)),
                "issues": [plain(issue) for issue in found if not issue.pull],
                "pulls": [plain(issue) | plain_pull(issue) for issue in found if issue.pull],
            }


def context(certificate, key):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate, key)
    return made


def plain(issue):
    return {
        "number": issue.number,
        "id": issue.id,
        "title": issue.title,
        "body": issue.body,
        "user": issue.user.login,
        "state": issue.state,
        "state_reason": issue.state_reason,
        "labels": [label.name for label in issue.labels],
        "parent": issue.parent.number if issue.parent else None,
        "sub_issues": [child.number for child in issue.children],
        "comments": [
            {"id": comment.id, "user": comment.user.login, "body": comment.body}
            for comment in issue.comments
        ],
    }


def plain_pull(issue):
    pull = issue.pull
    return {
        "head": pull.head,
        "head_sha": pull.head_sha,
        "base": pull.base,
        "draft": pull.draft,
        "merged": pull.merged_at is not None,
    }
