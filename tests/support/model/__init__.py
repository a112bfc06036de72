"""A scripted model on loopback: what a coding agent talks to, without a model.

It speaks the Messages API as far as Claude Code needs it. A conversation is known by a text in
it, say its task's title, and plays the steps that were given for that text:

    with ModelServer() as model:
        model.when("Add a greeting").plays(
            bash("echo hello > greeting.txt"),
            commit("Greet"),
            say("Done."),
        )
        ...  # start the agent with ANTHROPIC_BASE_URL=model.url

Each step answers one request; a fault is a step like any other. Requests that offer no tools
(Claude Code asks for titles and the like) are answered mildly and use up no step.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import wire
from .script import (
    Answer,
    Fault,
    Request,
    Slow,
    Step,
    Times,
    bash,
    broken,
    call,
    commit,
    hang,
    overloaded,
    say,
    slow,
    times,
    together,
    until,
    usage_limit,
    write,
)

__all__ = [
    "Answer",
    "Fault",
    "ModelServer",
    "Request",
    "Script",
    "bash",
    "broken",
    "call",
    "commit",
    "hang",
    "overloaded",
    "say",
    "slow",
    "times",
    "together",
    "until",
    "usage_limit",
    "write",
]


class Script:
    """The steps of the conversations that hold a text."""

    def __init__(self, text: str):
        self.text = text
        self.requests: list[Request] = []
        self._steps: list[Step] = []
        self._spent = 0

    def plays(self, *steps: Step) -> "Script":
        """Add steps."""
        self._steps += steps
        return self

    @property
    def at_end(self) -> bool:
        """Whether every step was played."""
        return not self._steps

    def next(self, request: Request) -> Step | None:
        """The step for a request; none when all were played."""
        self.requests.append(request)
        while self._steps and isinstance(repeated := self._steps[0], Times):
            seen = (
                repeated.until is not None
                and self._spent
                and repeated.until in (request.last_result)
            )
            if self._spent == repeated.count or seen:
                self._steps.pop(0)
                self._spent = 0
                continue
            self._spent += 1
            return repeated.step
        return self._steps.pop(0) if self._steps else None


class ModelServer:
    """The server, and the scripts that it plays."""

    def __init__(self):
        self.requests: list[Request] = []
        self.unexpected: list[Request] = []
        self._scripts: list[Script] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.model = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """What ANTHROPIC_BASE_URL is set to."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def when(self, text: str) -> Script:
        """The script of the conversations that hold this text."""
        script = Script(text)
        with self._lock:
            self._scripts.append(script)
        return script

    def step(self, request: Request) -> Step:
        """What is to be done about a request."""
        if not request.tools:
            return say("Fine.")
        with self._lock:
            self.requests.append(request)
            script = self._script(request.text)
            step = script and script.next(request)
            if step is None:
                self.unexpected.append(request)
                return say("There is no step for this in the script.")
            return step

    def wait(self, seconds: float | None) -> bool:
        """Let time pass; whether the server is still there then."""
        return not self._closing.wait(seconds)

    def _script(self, said: str) -> Script | None:
        """The script whose text comes first: a prompt names its own task before others."""
        known = [script for script in self._scripts if script.text in said]
        return min(known, key=lambda script: said.index(script.text), default=None)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *about):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # an agent that was ended
            super().handle_error(*about)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self._send(200, b"")

    def do_GET(self):
        self._send(200, b"{}")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        path = self.path.partition("?")[0]
        if path == "/v1/messages":
            request = Request(path, dict(self.headers.items()), json.loads(body))
            self._answer(request, self.server.model.step(request))
        elif path == "/v1/messages/count_tokens":
            self._send(200, json.dumps({"input_tokens": len(body) // 4}).encode())
        else:
            self._send(200, b"{}")

    def _answer(self, request, step):
        while not isinstance(step, Answer | Fault):
            if isinstance(step, Slow):
                if not self.server.model.wait(step.seconds):
                    return
                step = step.step
            else:
                step = step(request)
        if isinstance(step, Fault):
            self._send(step.status, step.body, step.headers)
        elif request.body.get("stream"):
            events = b"".join(wire.events(step, request.body["model"]))
            self._send(200, events, {"content-type": "text/event-stream"})
        else:
            self._send(200, json.dumps(wire.message(step, request.body["model"])).encode())

    def _send(self, status, body, headers=None):
        defaults = {"content-type": "application/json", "content-length": str(len(body))}
        try:
            self.send_response(status)
            for name, value in (defaults | (headers or {})).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True  # the agent was ended meanwhile

    def log_message(self, *_):
        """Say nothing: the requests are kept."""
