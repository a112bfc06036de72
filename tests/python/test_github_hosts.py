"""The hosts that a clone may be of, and the ways to them: SSH, GitHub Enterprise, `gh`, a proxy.

Each test starts the real command; what is beyond this machine is on loopback.
"""

import base64
import shutil
import signal
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import WORKS, Place, refused
from on_github import REPOSITORY, Shop
from support import alive, wait_for
from tests.support.github import FakeGitHub, ssh

WORK = """\
Host work
    HostName github.com
    User git
"""


def whole_run(shop: Shop, source: str = "1") -> None:
    """From a master issue with two tasks to two pull requests of what was pushed."""
    shop.issue("Add a", "Add b")
    done = shop.run(source, "--agent", shop.place.agent(WORKS))
    assert (done.code, done.err) == (0, ""), done.out
    state = shop.state
    heads = {f"feat/issue-{number}-agent-{agent}" for number, agent in ((2, 1), (3, 2))}
    assert {issue["parent"] for issue in shop.issues("sub-issue")} == {1}
    assert {pull["head"] for pull in state["pulls"]} == heads
    assert set(state["branches"]) == heads | {"main"}
    for pull in state["pulls"]:
        assert pull["head_sha"] == state["branches"][pull["head"]]
    (master,) = [issue for issue in state["issues"] if issue["number"] == 1]
    assert len(master["comments"]) == 1


class TestSsh:
    @pytest.fixture
    def calls(self, shop: Shop, tmp_path: Path) -> Callable[[], list[str]]:
        """The calls of `ssh`, which leads to the fake GitHub."""
        path = shop.place.environment["PATH"]
        shop.place.environment["PATH"] = f"{tmp_path / 'bin'}:{path}"
        shop.github.clear_requests()
        log = ssh.install(shop.github, tmp_path / "bin", WORK)
        return lambda: log.read_text(encoding="utf-8").splitlines()

    def test_a_remote_by_an_alias_is_the_repository_behind_it(
        self, shop: Shop, calls: Callable[[], list[str]]
    ) -> None:
        shop.place.git("remote", "set-url", "origin", f"git@work:{REPOSITORY}.git")
        whole_run(shop, f"https://github.com/{REPOSITORY}/issues/1")
        assert "-G -- work" in calls()
        assert shop.github.git_requests == []

    def test_an_ssh_address_leads_to_pull_requests_and_ssh_asks_no_questions(
        self, shop: Shop, calls: Callable[[], list[str]]
    ) -> None:
        shop.place.git("remote", "set-url", "origin", f"ssh://git@github.com:22/{REPOSITORY}.git")
        whole_run(shop, f"https://github.com/{REPOSITORY}/issues/1")
        assert shop.github.git_requests == []
        of_git = [call for call in calls() if "-pack" in call]
        assert sum("git-receive-pack" in call for call in of_git) == 2
        ours = "-o BatchMode=yes -o ControlPersist=no "
        assert all(call.startswith(ours) for call in of_git), of_git

    @pytest.mark.parametrize("chosen", ["GIT_SSH_COMMAND", "core.sshCommand"])
    def test_the_ssh_command_of_the_user_is_used_as_it_is(
        self, shop: Shop, calls: Callable[[], list[str]], chosen: str
    ) -> None:
        shop.issue("Add a")
        shop.place.git("remote", "set-url", "origin", f"git@work:{REPOSITORY}.git")
        command = "ssh -o BatchMode=no"
        if chosen == "GIT_SSH_COMMAND":
            shop.place.environment[chosen] = command
        else:
            shop.place.git("config", chosen, command)
        done = shop.run("1", "--dry-run", "--agent", shop.place.agent(WORKS))
        assert done.code == 0, done.err
        of_git = [call for call in calls() if "-pack" in call]
        assert of_git
        assert all("BatchMode=no " in call for call in of_git), of_git
        assert not any("BatchMode=yes" in call for call in of_git), of_git

    def test_a_connection_that_ssh_keeps_open_is_no_failure(
        self, shop: Shop, calls: Callable[[], list[str]]
    ) -> None:
        """As with `ControlPersist`, and with what keeps it deaf to its end besides."""
        shop.issue("Add a")
        shop.place.git("remote", "set-url", "origin", f"git@work:{REPOSITORY}.git")
        kept = 'f() { (trap "" TERM; exec sleep 60) </dev/null >/dev/null & ssh "$@"; }; f'
        shop.place.environment["GIT_SSH_COMMAND"] = kept
        done = shop.run("1", "--dry-run", "--agent", shop.place.agent(WORKS))
        assert done.code == 0, done.err
        assert any("git-upload-pack" in call for call in calls())


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a company's `ca.pem`, and with `host.pem` and `host.key` for localhost."""
    folder = tmp_path_factory.mktemp("company")
    common = ["openssl", "req", "-x509", "-days", "2", "-noenc"]
    common += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    authority = ["-subj", "/CN=Company CA", "-keyout", "ca.key", "-out", "ca.pem"]
    host = ["-CA", "ca.pem", "-CAkey", "ca.key", "-subj", "/CN=localhost", "-keyout", "host.key"]
    host += ["-addext", "subjectAltName=DNS:localhost", "-out", "host.pem"]
    host += ["-addext", "basicConstraints=critical,CA:FALSE"]
    for arguments in (authority, host):
        subprocess.run([*common, *arguments], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def enterprise(place: Place, tmp_path: Path, company: Path) -> Iterator[Shop]:
    """A clone from a GitHub Enterprise whose certificate is the company's own."""
    certificate = company / "host.pem", company / "host.key"
    with FakeGitHub(tmp_path / "github", tls=certificate) as fake:
        fake.add_repository(REPOSITORY)
        fake.add_user("public", token="ghp_" + "public" * 6)
        place.root = tmp_path / "clone"
        place.environment |= {
            "GIT_SSL_CAINFO": str(company / "ca.pem"),
            "SSL_CERT_FILE": str(company / "ca.pem"),
            "GH_TOKEN": "ghp_" + "public" * 6,
            "GH_ENTERPRISE_TOKEN": fake.token,
        }
        place.git("clone", "--quiet", fake.clone_url(REPOSITORY), str(place.root), cwd=tmp_path)
        helper = f"!printf 'username=octocat\\npassword={fake.token}\\n' #"
        place.git("config", "credential.helper", helper)
        place.git("config", "user.name", "Tester")
        place.git("config", "user.email", "tester@example.invalid")
        yield Shop(place, fake)


class TestEnterprise:
    def test_a_company_host_is_asked_with_its_own_token_and_no_other(
        self, enterprise: Shop
    ) -> None:
        whole_run(enterprise, f"{enterprise.github.url}/{REPOSITORY}/issues/1")
        assert {request.user for request in enterprise.github.requests} == {"octocat"}
        assert {request.user for request in enterprise.github.git_requests} <= {"octocat", None}

    def test_a_public_token_is_not_sent_where_the_company_has_none(self, enterprise: Shop) -> None:
        enterprise.issue("Add a")
        del enterprise.place.environment["GH_ENTERPRISE_TOKEN"]
        enterprise.github.clear_requests()
        done = enterprise.run("1", "--agent", enterprise.place.agent(WORKS))
        refused(done, 5, "no token for localhost", "GH_ENTERPRISE_TOKEN")
        assert enterprise.github.requests == []

    def test_a_certificate_that_nobody_vouches_for_is_refused(self, enterprise: Shop) -> None:
        enterprise.issue("Add a")
        del enterprise.place.environment["SSL_CERT_FILE"]
        done = enterprise.run("1", "--agent", enterprise.place.agent(WORKS))
        refused(done, 5, "certificate")
        assert "SSL_CERT_FILE" in done.err
        assert enterprise.github.requests == []


class TestGh:
    """No variable is set: `gh`, which people have logged in with, has the token."""

    @pytest.fixture
    def company_shop(self, enterprise: Shop, tmp_path: Path) -> Shop:
        path = enterprise.place.environment["PATH"]
        enterprise.place.environment["PATH"] = f"{tmp_path / 'bin'}:{path}"
        del enterprise.place.environment["GH_ENTERPRISE_TOKEN"]
        return enterprise

    def test_the_token_of_gh_for_the_host_leads_to_pull_requests(
        self, company_shop: Shop, agent: Callable[..., Path]
    ) -> None:
        agent(
            f'test "$*" = "auth token --hostname localhost" && echo {company_shop.github.token}',
            name="gh",
        )
        whole_run(company_shop)
        assert {request.user for request in company_shop.github.requests} == {"octocat"}

    def test_a_gh_that_is_not_logged_in_says_so(
        self, company_shop: Shop, agent: Callable[..., Path]
    ) -> None:
        company_shop.issue("Add a")
        agent('echo "no oauth token found for $4" >&2; exit 1', name="gh")
        done = company_shop.run("1", "--agent", company_shop.place.agent(WORKS))
        refused(done, 5, "--hostname localhost` failed: no oauth token found for localhost")
        assert "gh auth login --hostname localhost" in done.err

    def test_a_gh_that_hangs_is_ended_with_the_command(
        self, company_shop: Shop, agent: Callable[..., Path], tmp_path: Path
    ) -> None:
        company_shop.issue("Add a")
        agent(f"echo $$ >{tmp_path}/gh.pid; trap '' TERM; sleep 600", name="gh")
        command = company_shop.place.start("1", "--agent", company_shop.place.agent(WORKS))
        wait_for((tmp_path / "gh.pid").exists, "gh to start")
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=10)
        assert command.returncode == 130
        assert not alive(int((tmp_path / "gh.pid").read_text(encoding="utf-8")))


class Proxy(socketserver.ThreadingTCPServer):
    """A proxy that opens tunnels for whoever knows its password, and keeps what it was told."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Tunnel)
        self.told: list[bytes] = []
        self.seen = b""


class Tunnel(socketserver.StreamRequestHandler):
    server: Proxy

    def handle(self) -> None:
        first, *head = iter(lambda: self.rfile.readline().strip(), b"")
        self.server.told.append(first)
        known = b"Basic " + base64.b64encode(b"ann:secret")
        if not any(line.endswith(known) for line in head):
            self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
        host, _, port = first.split()[1].decode().partition(":")
        with socket.create_connection((host, int(port)), timeout=10) as beyond:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(
                target=shutil.copyfileobj, args=(beyond.makefile("rb", 0), self.wfile), daemon=True
            )
            back.start()
            while sent := self.connection.recv(65536):
                self.server.seen += sent
                beyond.sendall(sent)
            beyond.shutdown(socket.SHUT_WR)
            back.join(timeout=10)


class TestProxy:
    @pytest.fixture
    def proxy(self, enterprise: Shop) -> Iterator[Proxy]:
        # git has a way of its own, so that the proxy sees us alone.
        enterprise.place.git("config", "http.proxy", "")
        with Proxy() as proxy:
            threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
            address = f"127.0.0.1:{proxy.server_address[1]}"
            enterprise.place.environment["HTTPS_PROXY"] = f"http://ann:secret@{address}"
            yield proxy
            proxy.shutdown()

    def test_requests_go_through_a_tunnel_of_the_proxy(
        self, enterprise: Shop, proxy: Proxy
    ) -> None:
        whole_run(enterprise)
        host = enterprise.github.url.removeprefix("https://")
        assert set(proxy.told) == {f"CONNECT {host} HTTP/1.1".encode()}
        assert {request.user for request in enterprise.github.requests} == {"octocat"}
        assert enterprise.github.token.encode() not in proxy.seen

    def test_a_host_that_needs_no_proxy_is_asked_directly(
        self, enterprise: Shop, proxy: Proxy
    ) -> None:
        enterprise.issue("Add a")
        enterprise.place.environment["NO_PROXY"] = "localhost"
        done = enterprise.run("1", "--dry-run", "--agent", enterprise.place.agent(WORKS))
        assert done.code == 0, done.err
        assert proxy.told == []

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ("http://ann:wrong@{}", "proxy authorization required"),
            ("socks5://{}", "unsupported scheme socks5"),
        ],
    )
    def test_a_proxy_that_will_never_do_is_said_at_once(
        self, enterprise: Shop, proxy: Proxy, given: str, reason: str
    ) -> None:
        enterprise.issue("Add a")
        address = f"127.0.0.1:{proxy.server_address[1]}"
        enterprise.place.environment["HTTPS_PROXY"] = given.format(address)
        done = enterprise.run("1", "--dry-run", "--agent", enterprise.place.agent(WORKS))
        refused(done, 5, reason)
        assert "HTTPS_PROXY" in done.err
        assert len(proxy.told) <= 1
