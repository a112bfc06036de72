"""From a request to its answer: faults, limits, who asks, the contract, the handler, the headers.

Knows no sockets. `server` hands requests in; `fake` holds what tests see.
"""

import hashlib
import json
import math
import re
import time
import uuid
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from . import contract, issues, pulls, repositories  # noqa: F401 - they register routes
from .access import admit, authenticate, wanted_scopes
from .answer import (
    JSON,
    Answer,
    Refused,
    not_found,
    primary_limit,
    refusal,
    refuse,
    secondary_limit,
)
from .routes import REPOSITORY, Call, find


@dataclass
class Quota:
    """The primary limit of one user, or of all who have no token."""

    limit: int = 5000
    used: int = 0
    reset: int = 0

    def renew(self):
        if time.time() >= self.reset:
            self.used, self.reset = 0, math.ceil(time.time()) + 3600

    @property
    def remaining(self):
        return max(self.limit - self.used, 0)

    def shown(self):
        return {
            "limit": self.limit,
            "used": self.used,
            "remaining": self.remaining,
            "reset": self.reset,
        }


@dataclass(frozen=True)
class Request:
    """A line of the log. `status` is `None` where the connection was dropped."""

    method: str
    path: str
    status: int | None
    user: str | None
    authorized: bool  # whether it carried a token, known or not
    counted: bool
    time: float
    fault: str | None = None


@dataclass(frozen=True)
class Violation:
    """A request that GitHub's description does not allow."""

    method: str
    path: str
    problem: str


def answer(fake, method, target, headers, raw, fault):
    """The answer to one request, with all headers; also what is to be logged of it."""
    split = urlsplit(target)
    query = dict(parse_qsl(split.query, keep_blank_values=True))
    call = Call(fake, method, split.path, query, headers)
    counted = False
    with fake.model.lock:
        try:
            given, counted = handled(call, raw, fault)
        except Refused as refused:
            given = refused.answer
            counted = given.status != 401
        finish(call, given, counted=counted)
    return given, call.user, counted


def handled(call, raw, fault):
    """The answer, and whether it counts against the limit."""
    fake = call.fake
    call.token = authenticate(fake.model, call.headers.get("Authorization"))
    call.user = call.token.user if call.token else None
    quota = fake.quota(call.user)
    spoiled = fault.answer(who(call), math.ceil(time.time() + fault.reset_in)) if fault else None
    if spoiled and not fault.made:
        return spoiled, False
    if not call.headers.get("User-Agent"):
        fake.note_violation(call.method, call.path, "no User-Agent")
        refuse(
            403,
            "Request forbidden by administrative rules. Please make sure your request has"
            " a User-Agent header.",
        )
    free = call.path == "/rate_limit"
    if not free and quota.remaining == 0:
        return primary_limit(who(call)), False
    if call.method == "POST" and fake.too_much_content():
        return secondary_limit(403, 60), False
    given = routed(call, raw)
    if given.status == 200 and call.method == "GET":
        given = conditional(call, given)
    return spoiled or given, not (free or given.status == 304)


def who(call):
    return f"user ID {call.user.id}" if call.user else "127.0.0.1"


def routed(call, raw):
    """Find the handler, check the request, run it, check the answer."""
    fake = call.fake
    resolve_id(call)
    call.route, call.parameters = find(call.method, call.path)
    if call.route is None:
        not_found()
    if call.route.of_repository:
        moved = locate(call)
        if moved:
            return moved
    call.body = decoded(raw)
    problems = contract.of_request(call) if fake.check else []
    if problems:
        for problem in problems:
            fake.note_violation(call.method, call.path, problem)
        refuse(400, "; ".join(problems))
    try:
        if call.repository:
            admit(call)
        given = call.route.handler(call)
    except Refused as refused:
        given = refused.answer
    broken = fake.check and contract.of_answer(call.method, call.route.template, given)
    if broken:
        fake.note_error(call.method, call.path, broken)
        return refusal(500, "The fake broke GitHub's contract: " + "; ".join(broken))
    return given


def resolve_id(call):
    """`/repositories/ID/...`, to which `Link` and redirects lead, is a repository by its id."""
    match = re.match(r"/repositories/(\d+)(?=/|$)", call.path)
    repository = call.state.repository_by_id(int(match[1])) if match else None
    if repository:
        call.path = f"/repos/{repository.full_name}{call.path[match.end() :]}"


def locate(call):
    """Find the repository; answer with where it is where it was renamed."""
    name = f"{call.parameters['owner']}/{call.parameters['repo']}".lower()
    call.repository = call.state.repositories.get(name)
    if call.repository:
        return None
    renamed = call.state.moved.get(name)
    if renamed is None:
        not_found()
    rest = call.path[len(REPOSITORY.format(**call.parameters)) :]
    address = f"{call.fake.api_url}/repositories/{renamed.id}{rest}"
    # A method that changes something keeps its method and body.
    status, message = (
        (301, "Moved Permanently") if call.method == "GET" else (307, "Temporary Redirect")
    )
    return refusal(status, message, url=address, headers={"Location": address})


def decoded(raw):
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError:
        refuse(400, "Problems parsing JSON")


def conditional(call, given):
    """Put the ETag on, or say that nothing has changed."""
    etag = f'W/"{hashlib.sha256(given.encoded()).hexdigest()}"'
    asked = [tag.strip() for tag in call.headers.get("If-None-Match", "").split(",")]
    unchanged = etag in asked or etag.removeprefix("W/") in asked
    headers = given.headers | {"ETag": etag, "Cache-Control": "private, max-age=60, s-maxage=60"}
    return Answer(304, None, headers) if unchanged else Answer(200, given.body, headers)


def finish(call, given, *, counted):
    """Count, and put on the headers that every answer has."""
    quota = call.fake.quota(call.user)
    if counted:
        quota.used += 1
    headers = {
        "Content-Type": JSON,
        "X-GitHub-Media-Type": "github.v3; format=json",
        "X-GitHub-Request-Id": uuid.uuid4().hex.upper(),
        "X-GitHub-Api-Version-Selected": API_VERSION,
        "X-RateLimit-Limit": str(quota.limit),
        "X-RateLimit-Remaining": str(quota.remaining),
        "X-RateLimit-Used": str(quota.used),
        "X-RateLimit-Reset": str(quota.reset),
        "X-RateLimit-Resource": "core",
    }
    if call.token and call.token.classic:
        headers["X-OAuth-Scopes"] = ", ".join(call.token.scopes)
        headers["X-Accepted-OAuth-Scopes"] = wanted_scopes(call)
    if given.body is None:
        del headers["Content-Type"]
    given.headers = headers | given.headers


API_VERSION = contract.API_VERSIONS[0]
