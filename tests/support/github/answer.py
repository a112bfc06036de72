"""Answers, and the shapes in which GitHub refuses. Knows neither state nor sockets."""

import json
from dataclasses import dataclass, field
from typing import Any

DOCUMENTATION = "https://docs.github.com/rest"
JSON = "application/json; charset=utf-8"


@dataclass
class Answer:
    """One answer: `body` is plain data that becomes JSON, or bytes that are sent as they are."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self):
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()


class Refused(Exception):  # noqa: N818 - it is no error of the fake's
    """Ends the handling of a request with this answer."""

    def __init__(self, answer):
        super().__init__(answer.status, answer.body)
        self.answer = answer


def refusal(status, message, *, documentation="", headers=None, **more):
    """What GitHub says when it says no."""
    body = {
        "message": message,
        **more,
        "documentation_url": DOCUMENTATION + documentation,
        "status": str(status),
    }
    return Answer(status, body, dict(headers or {}))


def refuse(status, message, **more):
    raise Refused(refusal(status, message, **more))


def not_found(**more):
    refuse(404, "Not Found", **more)


def invalid(resource, code, *, field_name=None, message=None, **more):
    """Refuse in the form of a failed validation."""
    error = {"resource": resource, "code": code} | more
    if field_name:
        error["field"] = field_name
    if message:
        error["message"] = message
    refuse(422, "Validation Failed", errors=[error])


def secondary_limit(status=403, retry_after=None):
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return refusal(
        status,
        "You have exceeded a secondary rate limit and have been temporarily blocked from content"
        " creation. Please retry your request again later.",
        documentation="/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits",
        headers=headers,
    )


def primary_limit(who, status=403, headers=None):
    return refusal(
        status,
        f"API rate limit exceeded for {who}.",
        documentation="/using-the-rest-api/rate-limits-for-the-rest-api",
        headers=headers,
    )
