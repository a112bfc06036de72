"""The same control over HTTP, for other processes and languages.

GET  /_fake/requests, /_fake/violations, /_fake/errors, /_fake/state?repo=OWNER/REPO
POST /_fake/NAME       calls `FakeGitHub.NAME` with the body's members as keywords
"""

import json
from dataclasses import asdict
from urllib.parse import parse_qsl, urlsplit

from .answer import Answer

LOGS = ("requests", "git_requests", "violations")
VERBS = {
    *("add_user", "add_token", "set_limit"),
    *("add_repository", "set_repository", "rename_repository", "commit"),
    *("add_issue", "add_pull", "add_comment", "link_issue", "close_issue", "delete_issue"),
    *("fail", "fail_randomly", "clear_faults", "clear_requests"),
}


def answer(fake, method, target, raw):
    split = urlsplit(target)
    name = split.path.removeprefix("/_fake/")
    try:
        if method == "GET" and name in LOGS:
            return Answer(200, [asdict(line) for line in getattr(fake, name)])
        if method == "GET" and name == "errors":
            return Answer(200, list(fake.errors))
        if method == "GET" and name == "state":
            return Answer(200, fake.state(dict(parse_qsl(split.query))["repo"]))
        if method == "POST" and name in VERBS:
            return Answer(200, {"result": getattr(fake, name)(**json.loads(raw or b"{}"))})
    except (KeyError, TypeError, ValueError) as error:
        return Answer(400, {"message": f"{type(error).__name__}: {error}"})
    return Answer(404, {"message": f"{method} {split.path} is not known here"})
