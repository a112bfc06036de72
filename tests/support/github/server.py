"""The sockets: HTTP/1.1 with keep-alive, one thread a connection.

Reads requests, hands them to `api`, `smart_http`, `control` or `pages`, and sends what comes back,
spoiled where a fault says so.
"""

import contextlib
import socket
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from . import api, control, pages, smart_http
from .answer import JSON, refusal
from .api import Request

TOO_MUCH = 100  # bytes that a wrong length promises


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, fake, port, tls=None):
        self.fake = fake
        self._tls = tls
        self._lock = threading.Lock()
        self._connections = set()
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self):
        # The base class asks for this machine's name here, which may take seconds.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]

    def get_request(self):
        connection, address = super().get_request()
        if self._tls:
            # The handshake comes with the first read, on the connection's own thread.
            connection = self._tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def process_request(self, request, client_address):
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self):
        """End the connections that clients keep open."""
        with self._lock:
            left = list(self._connections)
        for connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request, client_address):  # noqa: ARG002 - so it is called
        """A client that goes away is no error."""
        if not isinstance(sys.exc_info()[1], OSError):
            self.fake.note_error("connection", str(client_address), [traceback.format_exc()])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "GitHub.com"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together

    def __getattr__(self, name):
        """Every method is answered by `answer`."""
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def log_message(self, *_):
        """Say nothing; the fake keeps a log of its own."""

    def answer(self):
        body = self.read_body()
        try:
            self.dispatch(self.server.fake, body)
        except OSError:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it is a defect of the fake
            trace = traceback.format_exc()
            self.server.fake.note_error(self.command, self.path, [trace])
            self.send(refusal(500, f"The fake failed: {trace}"))

    def dispatch(self, fake, body):
        split = urlsplit(self.path)
        if split.path.startswith("/_fake/"):
            self.send(control.answer(fake, self.command, self.path, body))
        elif match := smart_http.ADDRESS.fullmatch(split.path):
            self.spoil(
                fake, fake.git_requests, self.path, lambda f: self.of_git(fake, match, body, f)
            )
        elif split.path.startswith(fake.prefix + "/"):
            target = self.path[len(fake.prefix) :]
            self.spoil(fake, fake.requests, target, lambda f: self.of_api(fake, target, body, f))
        else:
            self.send(pages.answer(fake, split.path))

    def of_api(self, fake, target, body, fault):
        return api.answer(fake, self.command, target, self.headers, body, fault)

    def of_git(self, fake, match, body, fault):
        spoiled = fault.answer("git", 0) if fault else None
        if spoiled and not fault.made:
            return spoiled, None, False
        query = urlsplit(self.path).query
        given, user = smart_http.answer(fake, self.command, match, query, self.headers, body)
        return spoiled or given, user, False

    def spoil(self, fake, log, target, answer):
        """Answer, log, and do what a fault says to the connection."""
        fault = fake.faults.choose(self.command, target)
        kind = fault.kind if fault else None
        with fake.faults.hold_up(fault.delay if fault else 0):
            given, user, counted = (None, None, False) if kind == "drop_before" else answer(fault)
        dropped = kind in ("drop_before", "drop_after")
        log.append(
            Request(
                method=self.command,
                path=target,
                status=None if dropped else given.status,
                user=user.login if user else None,
                authorized="Authorization" in self.headers,
                counted=counted,
                time=time.time(),
                fault=None if fault is None else str(kind),
            )
        )
        if dropped:
            self.hang_up()
        else:
            self.send(given, kind)

    def read_body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(chunks)

    def hang_up(self):
        """Close the connection without another word."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def send(self, given, kind=None):
        body = given.encoded()
        if kind == "cut_off":
            body = body[: len(body) // 2]
        length = len(body) + (TOO_MUCH if kind == "wrong_length" else 0)
        headers = dict(given.headers)
        if body:
            headers.setdefault("Content-Type", JSON)
        self.send_response(given.status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        if given.status != 304:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()
        if kind == "wrong_length":
            self.hang_up()
