"""The sockets: HTTP/1.1 with keep-alive, one thread a connection.

Reads requests, hands them to `api`, to git or to `control`, and sends what comes back, spoiled
where a fault says so.
"""

import base64
import gzip
import re
import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from . import api, bare, control, pages
from .answer import JSON, Answer, Refused, refusal
from .api import Request

GIT = re.compile(
    r"/(?P<repo>[^/]+/[^/]+?)(?:\.git)?/(?P<rest>info/refs|git-(?:upload|receive)-pack)"
)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, fake, port):
        self.fake = fake
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self):
        # The base class asks for this machine's name here, which may take seconds.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address):
        """A client that goes away is no error; anything else is one of the fake's own."""
        import sys  # noqa: PLC0415

        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            self.fake.note_error("", "", [repr(error)])
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "GitHub.com"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together

    def log_message(self, *_):
        """Say nothing; the fake keeps a log of its own."""

    def answer(self):
        fake = self.server.fake
        body = self.read_body()
        split = urlsplit(self.path)
        if split.path.startswith("/_fake/"):
            self.send(control.answer(fake, self.command, self.path, body))
        elif split.path.startswith(fake.prefix + "/"):
            self.answer_api(fake, self.path[len(fake.prefix) :], body)
        elif match := GIT.fullmatch(split.path):
            self.answer_git(fake, match, split.query, body)
        else:
            self.send(pages.answer(fake, split.path))

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = answer

    def read_body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer_api(self, fake, target, body):
        fault = fake.faults.choose(self.command, target)
        if self.spoiled_before(fake, target, fault):
            return
        given, user, counted = api.answer(fake, self.command, target, self.headers, body, fault)
        dropped = fault is not None and fault.kind == "drop_after"
        fake.note(
            Request(
                self.command,
                target,
                None if dropped else given.status,
                user.login if user else None,
                counted,
                time.time(),
                str(fault.kind) if fault else None,
            )
        )
        self.send(given, fault)

    def answer_git(self, fake, match, query, body):
        path = urlsplit(self.path).path
        fault = fake.faults.choose(self.command, path)
        if self.spoiled_before(fake, path, fault, git=True):
            return
        spoiled = fault.answer("git", 0) if fault else None
        if spoiled and not fault.made:
            given, user = spoiled, None
        else:
            given, user = self.served(fake, match, query, body)
            given = spoiled or given
        status = None if fault and fault.kind == "drop_after" else given.status
        login = user.login if user else None
        kind = str(fault.kind) if fault else None
        fake.note_git(Request(self.command, self.path, status, login, False, time.time(), kind))
        self.send(given, fault)

    def served(self, fake, match, query, body):
        """What git answers, for whoever may ask."""
        state, user = fake.model, None
        writes = "receive-pack" in match["rest"] or "receive-pack" in query
        with state.lock:
            try:
                user = self.git_user(state)
            except Refused as refused:
                return unauthorized(refused.answer), None
            name = match["repo"].lower()
            repository = state.repositories.get(name)
            if repository is None and name in state.moved:
                rest = f"{match['rest']}?{query}" if query else match["rest"]
                place = f"{fake.url}/{state.moved[name].full_name}.git/{rest}"
                return Answer(301, None, {"Location": place}), user
            refused = git_refusal(fake, repository, user, writes=writes)
        if refused:
            return refused, user
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
            del self.headers["Content-Encoding"]
        path = f"/{repository.folder}/{match['rest']}"
        given = bare.serve(fake.folder, self.command, path, query, self.headers, body, user)
        if writes and self.command == "POST":
            fake.after_push(repository)
        return given, user

    def git_user(self, state):
        """The user of Basic authentication, whose password is a token, whoever is named."""
        header = self.headers.get("Authorization", "")
        if header.lower().startswith("basic "):
            _, _, password = base64.b64decode(header[6:]).decode().partition(":")
            header = f"token {password}"
        token = api.authenticate(state, header)
        return token.user if token else None

    def spoiled_before(self, fake, target, fault, *, git=False):
        """Wait, or hang up before anything is done; says whether that was all."""
        if fault is None:
            return False
        if fault.delay:
            fake.closing.wait(fault.delay)
        if fault.kind != "drop_before":
            return False
        note = fake.note_git if git else fake.note
        note(Request(self.command, target, None, None, False, time.time(), fault.kind))
        self.hang_up()
        return True

    def hang_up(self):
        """Close the connection without a word. What was said so far has been sent."""
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the client was faster

    def send(self, given, fault=None):
        kind = fault.kind if fault else None
        if kind == "drop_after":
            self.hang_up()
            return
        body = given.encoded()
        if kind == "cut_off":
            body = body[: len(body) // 2]
        self.send_response(given.status)
        for name, value in ({"Content-Type": JSON} if body else {} | {}).items():
            if not any(known.lower() == name.lower() for known in given.headers):
                self.send_header(name, value)
        for name, value in given.headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        if given.status not in (204, 304):
            self.send_header("Content-Length", str(len(body) + (kind == "wrong_length") * 100))
        self.end_headers()
        if self.command != "HEAD" and given.status not in (204, 304):
            self.wfile.write(body)
        self.wfile.flush()
        if kind == "wrong_length":
            self.hang_up()


def unauthorized(answer):
    answer.headers["WWW-Authenticate"] = 'Basic realm="GitHub"'
    return answer


def git_refusal(fake, repository, user, *, writes):
    """Why git gets nothing here, or `None`."""
    if user is None and ((writes and not fake.anonymous_push) or repository is None):
        return unauthorized(refusal(401, "Requires authentication"))
    if repository is None or (repository.role(user) == "none" and user is not None):
        return refusal(404, "Repository not found.")
    if repository.role(user) == "none":
        return unauthorized(refusal(401, "Requires authentication"))
    if not writes:
        return None
    if repository.archived:
        return refusal(403, "This repository was archived so it is read-only.")
    if user is not None and not repository.may(user, "write"):
        name = repository.full_name
        return refusal(403, f"Permission to {name}.git denied to {user.login}.")
    return None
