"""A plain client for the tests of the fake GitHub, and the repository that they begin with."""

import contextlib
import json
import os
import subprocess
from http.client import HTTPConnection
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from tests.support.github import FakeGitHub

DEMO = "octocat/demo"
AT = f"/repos/{DEMO}"


@pytest.fixture
def github(tmp_path):
    with FakeGitHub(tmp_path / "github") as fake:
        fake.add_repository(DEMO, permissions={"wanda": "write", "rita": "read"})
        for user in ("wanda", "rita", "stranger"):
            fake.add_user(user, token=user)
        yield fake


def ask(fake, method, path, body=None, *, token="", url=None, **headers):
    """One request, without a client's cleverness: no redirects, no repeating."""
    address = urlsplit(url or fake.api_url)
    connection = HTTPConnection(address.hostname, address.port, timeout=10)
    sent = {"User-Agent": "test"} | {n.replace("_", "-"): v for n, v in headers.items()}
    if token is not None:
        sent["Authorization"] = f"Bearer {token or fake.token}"
    raw = body if isinstance(body, (bytes, type(None))) else json.dumps(body)
    with contextlib.closing(connection):
        connection.request(method, address.path + path, body=raw, headers=sent)
        answer = connection.getresponse()
        text = answer.read()
    kind = answer.headers.get("Content-Type", "")
    data = json.loads(text) if text and "json" in kind else text
    return SimpleNamespace(status=answer.status, body=data, headers=answer.headers)


def refused(answer, status, message):
    """Whether this is GitHub's refusal, form and all."""
    assert answer.status == status
    assert message in answer.body["message"]
    assert answer.body["documentation_url"]
    assert answer.body["status"] == str(status)
    return answer


def git(*arguments, cwd=None):
    environment = {"PATH": "/usr/bin:/bin", "GIT_TERMINAL_PROMPT": "0", "HOME": os.devnull}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip


def pull(github, head="feat", **more):
    body = {"title": "A pull", "head": head, "base": "main"} | more
    return ask(github, "POST", f"{AT}/pulls", body)
