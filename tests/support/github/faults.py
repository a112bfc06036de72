"""Faults on demand: which request is spoiled, and how. Decides; `api` and `server` carry it out."""

import contextlib
import random
import re
import threading
import zlib
from dataclasses import dataclass

from .answer import Answer, primary_limit, refusal, secondary_limit

HTML = b"<!DOCTYPE html>\n<html><head><title>Unicorn! &middot; GitHub</title></head><body>"
HTML += b"<p>We had issues producing the response to your request.</p></body></html>\n"
MESSAGES = {
    400: "Problems parsing JSON",
    401: "Bad credentials",
    403: "Resource not accessible by personal access token",
    404: "Not Found",
    410: "This issue was deleted",
    422: "Validation Failed",
    500: "Server Error",
    502: "Server Error",
    503: "Service unavailable. Please try again later.",
}
# Kinds without a status of their own: GitHub's limits, and what happens on the way.
KINDS = {
    *("primary_limit", "secondary_limit", "redirect", "html"),
    *("cut_off", "wrong_length", "slow", "drop_before", "drop_after"),
}
# Of these, the ones that happen to an answer, when the change has been made.
AFTER = {"cut_off", "wrong_length", "slow", "drop_after"}
# What a client that repeats with care gets over, without waiting long.
RECOVERABLE = (500, 502, 503, "html", "cut_off", "wrong_length", "drop_before", "drop_after")


@dataclass(frozen=True)
class Fault:
    """One way to fail.

    `kind` is a status or one of `KINDS`. `made` says whether the request is carried out all the
    same; usually it is so for an answer that is spoiled on its way, and not for a refusal.
    """

    kind: int | str
    made: bool = False
    status: int = 0
    message: str | None = None
    retry_after: float | None = None
    reset_in: float = 60.0
    delay: float = 0.0
    location: str = ""

    @classmethod
    def of(cls, kind, *, made=None, **more):
        if kind not in KINDS and not isinstance(kind, int):
            message = f"no such fault: {kind!r}; there are statuses and {', '.join(sorted(KINDS))}"
            raise ValueError(message)
        return cls(kind, made=kind in AFTER if made is None else made, **more)

    def answer(self, who, reset):
        """What is answered instead of the truth; `None` where the truth is spoiled on its way."""
        if self.kind == "primary_limit":
            exhausted = {
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": str(reset),
            }
            return primary_limit(who, self.status or 403, exhausted)
        if self.kind == "secondary_limit":
            return secondary_limit(self.status or 403, self.retry_after)
        if self.kind == "html":
            return Answer(self.status or 502, HTML, {"Content-Type": "text/html; charset=utf-8"})
        if self.kind == "redirect":
            headers = {"Location": self.location}
            return refusal(self.status or 302, "Moved", headers=headers)
        if isinstance(self.kind, int):
            return refusal(self.kind, self.message or MESSAGES.get(self.kind, "Error"))
        return None


@dataclass
class Rule:
    """Spoils `count` matching requests after the first `skip`; `count` `None` is all of them."""

    fault: Fault
    method: re.Pattern[str]
    path: re.Pattern[str]
    skip: int
    count: int | None

    def applies(self, method, path):
        if not (self.method.fullmatch(method) and self.path.search(path)):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.count is not None:
            self.count -= 1
        return True


@dataclass
class Chance:
    """Spoils a share of all requests, by a seed.

    The draw depends on the request and on how often it was made, not on what others do meanwhile,
    so that a run can be repeated. No request fails more than `in_a_row` times one after the other.
    """

    percent: float
    seed: int
    faults: list[Fault]
    in_a_row: int
    path: re.Pattern[str]

    def draw(self, method, path, nth):
        if not self.path.search(path):
            return None
        key = f"{self.seed} {method} {path} {nth}".encode()
        chance = random.Random(zlib.crc32(key))
        return chance.choice(self.faults) if chance.random() * 100 < self.percent else None


class Faults:
    """The rules that tests set. The first that matches spoils the request."""

    def __init__(self):
        self._lock = threading.Lock()
        self._rules = []
        self._chance = None
        self._made = {}
        self._row = {}
        self._cleared = threading.Event()
        self.held = 0

    def add(self, fault, method=".*", path="", skip=0, count=1):
        with self._lock:
            rule = Rule(fault, re.compile(method, re.IGNORECASE), re.compile(path), skip, count)
            self._rules.append(rule)

    def randomly(self, percent, seed, kinds=RECOVERABLE, in_a_row=2, path=""):
        with self._lock:
            faults = [Fault.of(k) if isinstance(k, (int, str)) else k for k in kinds]
            self._chance = Chance(percent, seed, faults, in_a_row, re.compile(path))
            self._made, self._row = {}, {}

    def clear(self):
        """Forget all rules; who is held up goes on at once."""
        with self._lock:
            self._rules, self._chance = [], None
            self._cleared.set()
            self._cleared = threading.Event()

    @contextlib.contextmanager
    def hold_up(self, delay):
        """Wait before a request is carried out; it counts among `held` until it has been."""
        with self._lock:
            cleared = self._cleared
            self.held += 1
        try:
            cleared.wait(delay)
            yield
        finally:
            with self._lock:
                self.held -= 1

    def choose(self, method, path):
        """The fault for this request, or `None`."""
        with self._lock:
            for rule in self._rules:
                if rule.count != 0 and rule.applies(method, path):
                    return rule.fault
            return self._by_chance(method, path)

    def _by_chance(self, method, path):
        if self._chance is None:
            return None
        request = (method, path)
        self._made[request] = nth = self._made.get(request, 0) + 1
        row = self._row.get(request, 0)
        fault = self._chance.draw(method, path, nth) if row < self._chance.in_a_row else None
        self._row[request] = row + 1 if fault else 0
        return fault
