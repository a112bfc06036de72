"""The verb `doctor`: what is well, what is not, what to do about it, and the exit code."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from command import COMMAND, HANGS, WORKS, Outcome, Place, is_alive, read_starts
from on_github import REPOSITORY, Shop
from support import wait_for
from tests.support.claude import environment, executable, needs_claude

from orchestration.diagnosis import Finding, diagnose, exit_code

CLAUDE = """#!/bin/sh
case "$*" in
    --version) echo "2.1.332 (Claude Code)" ;;
    "auth status") echo '{"loggedIn": LOGIN, "authMethod": "oauth_token"}'; exit CODE ;;
    *) echo "asked: $*" >>"$HOME/asked"; exit 9 ;;
esac
"""
"""A Claude Code that answers what it may be asked, and notes what else it was asked."""


def install(place: Place, *, is_logged_in: bool = True) -> None:
    login, code = ("true", "0") if is_logged_in else ("false", "1")
    folder = place.root.parent / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / "claude"
    program.write_text(CLAUDE.replace("LOGIN", login).replace("CODE", code), encoding="utf-8")
    program.chmod(0o755)
    place.environment["PATH"] = os.pathsep.join([str(folder), place.environment["PATH"]])
    place.environment["IS_SANDBOX"] = "1"


@pytest.fixture
def well(shop: Shop) -> Shop:
    """A clone with everything that a run needs."""
    install(shop.place)
    return shop


@pytest.fixture
def local(place: Place) -> Place:
    """The same without a remote."""
    install(place)
    return place


def line(done: Outcome, check: str) -> str:
    (found,) = [line for line in done.out.splitlines() if f" {check}: " in line]
    return found


def says(done: Outcome, code: int, check: str, *words: str) -> None:
    """One check is in trouble, which is told with a remedy, and decides the exit code."""
    assert done.code == code, done.out + done.err
    mark = "⚠️  " if code == 1 else "❌ "
    state = "warning" if code == 1 else "error"
    found = [text for text in done.out.splitlines() if text.startswith(f"{mark}{check}: {state}: ")]
    assert len(found) == 1, done.out
    assert " → " in found[0], found
    for word in words:
        assert word in found[0], found
    assert re.fullmatch(rf"1 {state}", done.out.splitlines()[-1]), done.out


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_all_is_well_and_nothing_is_created(well: Shop) -> None:
    before = files(well.place.root.parent)
    done = well.run("doctor")
    assert (done.code, done.err) == (0, "")
    text = re.sub(r"\d[\d.,]* (GB|may be)", r"N \1", done.out)
    text = re.sub(r"(127\.0\.0\.1):\d+", r"\1:N", text.replace(well.github.url, "http://host"))
    text = re.sub(r"git: \d+\.\d+", "git: 2.N", re.sub(r"(containment: \w+).*", r"\1", text))
    text = re.sub(r"(left until) \d\d:\d\dZ", r"\1 12:00Z", text)
    lines = text.replace(str(well.place.root.parent), "…").splitlines()
    assert lines.pop(-2) in {"✅ containment: a", "✅ containment: marks"}
    assert "\n".join(lines) == (
        "✅ settings: 5 agents at once\n"
        f"✅ git: 2.N at {shutil.which('git', path='/usr/local/bin:/usr/bin:/bin')}\n"
        "✅ repository: …/clone on main\n"
        "✅ worktrees: 0 linked worktrees, nothing stale\n"
        "✅ runs: none was broken off\n"
        "✅ agent: claude at …/bin/claude, 2.1.332 (Claude Code)\n"
        "✅ login: Claude Code has one (oauth_token); no request was made to try it\n"
        "✅ github: octocat/shop on 127.0.0.1:N (remote origin), asked at http://host/api/v3\n"
        "✅ token: from GH_TOKEN\n"
        "✅ access: octocat/shop takes issues and branches (scopes: repo)\n"
        "✅ requests: 4,999 of 5,000 left until 12:00Z\n"
        "✅ clock: that of 127.0.0.1:N\n"
        "✅ disk: N GB free for worktrees\n"
        "✅ memory: N GB free, enough for 5 agents\n"
        "✅ descriptors: N may be open\n"
        "✅ file events: folders can be watched\n"
        "All is well"
    )
    assert well.requests() == [f"GET /repos/{REPOSITORY}"]
    assert files(well.place.root.parent) == before


def test_without_a_remote_github_is_passed_over_from_any_folder(local: Place) -> None:
    local.git("worktree", "add", "--quiet", str(local.root.parent / "mine"))
    folder = local.root.parent / "mine" / "deep"
    folder.mkdir()
    done = local.run("doctor", cwd=folder)
    assert done.code == 0, done.out + done.err
    github = "⏭️  github: skipped: no remote is a repository on GitHub, and plans need none"
    assert line(done, "github") == github
    assert " token: " not in done.out
    assert line(done, "repository").endswith(f"{local.root} on main")


def test_in_json_each_check_has_a_state_and_a_remedy(local: Place) -> None:
    local.environment["AMPLIHACK_MAX_PARALLEL_AGENTS"] = "many"
    done = local.run("doctor", "--json")
    assert done.err == ""
    told = json.loads(done.out)
    assert (told["ok"], told["exit_code"], done.code) == (False, 64, 64)
    for check in told["checks"]:
        assert set(check) == {"check", "state", "found", "remedy"}
        assert check["state"] in {"ok", "warning", "error", "skipped"}
        assert (check["remedy"] is None) == (check["state"] in {"ok", "skipped"})
    names = [check["check"] for check in told["checks"]]
    assert {"git", "agent", "login", "github", "disk", "file_events", "containment"} <= set(names)
    assert "many" in told["checks"][0]["found"]


class TestRepository:
    def test_none(self, local: Place, tmp_path: Path) -> None:
        done = local.run("doctor", "--repo", str(tmp_path))
        says(done, 9, "repository", "not a git repository", "--repo")
        assert "skipped: there is no repository" in line(done, "worktrees")
        assert line(done, "disk").startswith("✅")

    def test_a_folder_that_is_not_there(self, local: Place) -> None:
        done = local.run("doctor", "--repo", "nowhere")
        says(done, 9, "repository", "not a git repository: nowhere", "--repo")
        assert "skipped: there is no repository" in line(done, "file events")

    def test_a_bare_one(self, local: Place, tmp_path: Path) -> None:
        local.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
        says(local.run("doctor", cwd=tmp_path / "bare.git"), 9, "repository", "is bare")

    def test_one_without_commits(self, local: Place, tmp_path: Path) -> None:
        local.git("init", "--quiet", str(tmp_path / "empty"))
        done = local.run("doctor", cwd=tmp_path / "empty")
        says(done, 9, "repository", "has no commits", "commit something first")

    def test_no_git(self, local: Place) -> None:
        local.environment["PATH"] = local.environment["PATH"].split(os.pathsep)[0]
        says(local.run("doctor"), 9, "git", "was not found", "install git")

    def test_a_damaged_journal(self, local: Place) -> None:
        local.plan("Add a")
        assert local.run("plan.md", "--agent", local.agent(WORKS)).code == 0
        (path,) = local.runtime.glob("parallel/local-1/*.jsonl")
        path.write_bytes(b"x" + path.read_bytes())
        says(local.run("doctor"), 9, "repository", "damaged at line 1", "move it away")


def watchers(mark: str) -> list[str]:
    """The processes that look after a dead program."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue  # It ended.
    return [line for line in found if mark in line]


class TestLeft:
    """What runs left behind."""

    def test_worktrees_that_are_not_as_they_were_left(self, local: Place) -> None:
        local.plan(*(f"Add {name}" for name in "abcd"))
        done = local.run("plan.md", "--agent", local.agent(WORKS), "--keep-worktrees")
        assert done.code == 0, done.err
        assert local.run("doctor").code == 0
        trees = sorted(local.root.parent.glob("shop.worktrees/*"))
        shutil.rmtree(trees[0])
        local.git("worktree", "lock", str(trees[1]), "--reason=mine")
        local.git("switch", "--quiet", "--create", "other", cwd=trees[2])
        (trees[3] / "notes.txt").write_text("mine", encoding="utf-8")
        (trees[0].parent / "stray").mkdir()
        lock = local.root / ".git/index.lock"
        lock.touch()
        young = local.run("doctor")
        assert "index.lock" not in young.out, "a git may be at work"
        os.utime(lock, (1_700_000_000, 1_700_000_000))

        done = local.run("doctor")
        assert done.code == 1
        found = [text for text in done.out.splitlines() if text.startswith("⚠️  worktrees: ")]
        assert len(found) == 6, done.out
        for text, tree, agent, what, remedy in (
            (found[0], trees[0], 1, "and is not there", "git worktree prune"),
            (found[1], trees[1], 2, "is locked (mine)", f"git worktree unlock {trees[1]}"),
            (found[2], trees[2], 3, "is on other instead of feat/local-4-agent-3", "switch feat/"),
            (found[3], trees[3], 4, "not committed: notes.txt", "commit it there"),
        ):
            assert f"{tree} (agent {agent} of orch-local-1-" in text
            assert what in text.split(" → ")[0]
            assert remedy in text.split(" → ")[1]
        assert "git knows no worktree at" in found[4]
        assert f"rm {lock}" in found[5]
        assert done.out.endswith("\n6 warnings\n")

    def test_a_crashed_run_and_what_it_left_at_work(self, local: Place) -> None:
        local.plan("Add a")
        run = local.start("plan.md", "--agent", local.agent(HANGS), "--output", "json")
        read_starts(run, 1)
        assert "at work" in line(local.run("doctor"), "runs")
        run.kill()
        run.wait()
        done = local.run("doctor")
        says(done, 1, "runs", "has crashed", "go on with: parallel-orchestrate 'local#1'")
        assert line(done, "runs").endswith("'local#1'"), "its watcher has ended its agent"
        (journal,) = local.runtime.glob("parallel/local-1/*.jsonl")
        (mark,) = set(re.findall(r'"engine":"([^"]+)"', journal.read_text(encoding="utf-8")))
        wait_for(lambda: not watchers(mark), "the dead run's watcher to be through", seconds=8)
        marked = {**local.environment, "ORCHESTRATION_MARK": f"{mark}.7"}
        with subprocess.Popen(["sleep", "600"], env=marked, start_new_session=True) as left:
            try:
                done = local.run("doctor")
                says(done, 1, "runs", f"1 process of it still at work ({left.pid})", "ends them")
                assert is_alive(left.pid), "it is looked at, and not touched"
            finally:
                left.kill()

    def test_what_is_to_be_done_works_as_it_is_written(self, local: Place) -> None:
        folder = local.root / "docs"
        local.plan("Add a", name="docs/plan.md")
        agent = local.agent(HANGS)
        run = local.start("plan.md", "--agent", agent, "--output", "json", cwd=folder)
        read_starts(run, 1)
        run.kill()
        run.wait()
        (folder / "plan.md").unlink()
        for cwd, repo in ((folder, ()), (local.root.parent, ("--repo", "shop"))):
            remedy = line(local.run("doctor", *repo, cwd=cwd), "runs").split(" go on with: ")[1]
            _, *arguments = shlex.split(remedy)
            again = local.run(*arguments, "--dry-run", cwd=cwd)
            assert "Parsed 1 sub-task from local#1" in again.out, again.err

    def test_a_crashed_run_that_another_one_took_the_place_of(self, local: Place) -> None:
        local.plan("Add a")
        run = local.start("plan.md", "--agent", local.agent(HANGS), "--output", "json")
        read_starts(run, 1)
        run.kill()
        run.wait()
        assert local.run("doctor").code == 1
        assert local.run("plan.md", "--new", "--agent", local.agent(WORKS)).code == 0
        done = local.run("doctor")
        assert (done.code, line(done, "runs")) == (0, "✅ runs: none was broken off")

    def test_an_interrupted_run_goes_on_and_is_no_trouble(self, local: Place) -> None:
        local.plan("Add a")
        run = local.start("plan.md", "--agent", local.agent("sleep 60"), "--output", "json")
        read_starts(run, 1)
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=20) == 130
        done = local.run("doctor")
        assert done.code == 0
        assert " was interrupted, and goes on with: parallel-orchestrate 'local#1'" in done.out


class TestAgent:
    @pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")
    def test_root_in_a_mode_that_claude_code_refuses_it(self, local: Place) -> None:
        del local.environment["IS_SANDBOX"]
        says(local.run("doctor"), 9, "agent", "as root", "another mode with --permission-mode")
        assert local.run("doctor", "--permission-mode", "acceptEdits").code == 0

    def test_a_missing_one(self, local: Place) -> None:
        done = local.run("doctor", "--agent", "no-such-agent --fast")
        says(done, 9, "agent", "no-such-agent was not found", "--agent")
        assert "skipped" in line(done, "login")

    def test_claude_code_without_a_login_is_asked_for_nothing_else(self, local: Place) -> None:
        install(local, is_logged_in=False)
        says(local.run("doctor"), 9, "login", "is not logged in", "claude auth login")
        assert not (local.root.parent / "asked").exists()

    def test_any_other_is_not_started(self, local: Place) -> None:
        agent = local.agent("echo ran >ran")
        done = local.run("doctor", "--agent", agent)
        assert done.code == 0, done.out
        assert "cannot be asked" in line(done, "login")
        assert not (local.root / "ran").exists()

    @needs_claude
    @pytest.mark.parametrize("key", ["sk-made-up", ""])
    def test_the_real_claude_code_tells_of_its_login_without_a_request(
        self, local: Place, key: str
    ) -> None:
        # Nobody listens there: a request would fail.
        local.environment |= environment(local.root.parent, "http://127.0.0.1:9")
        local.environment["ANTHROPIC_API_KEY"] = key
        done = local.run("doctor")
        assert f"claude at {executable()}, 2." in line(done, "agent")
        if key:
            assert "has one (api_key)" in line(done, "login"), done.out
        else:
            says(done, 9, "login", "is not logged in")
        assert "sk-made-up" not in done.out


class TestGitHub:
    """Exit code 5, the remedy that a run would give, and no token anywhere."""

    @pytest.fixture(autouse=True)
    def hidden(self, well: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        run = well.place.run

        def look(*arguments: str, **more: Any) -> Outcome:
            done = run(*arguments, **more)
            assert not re.search(r"gh[ps]_\w+", done.out + done.err)
            return done

        monkeypatch.setattr(well.place, "run", look)

    def test_no_token(self, well: Shop) -> None:
        del well.place.environment["GH_TOKEN"]
        says(well.run("doctor"), 5, "token", "there is no token", "gh auth login")
        assert well.requests() == []

    def test_a_token_that_is_not_valid(self, well: Shop) -> None:
        well.place.environment["GH_TOKEN"] = "ghp_" + "x" * 36
        done = well.run("doctor")
        says(done, 5, "access", "Bad credentials", "the token from GH_TOKEN is not valid")
        assert line(done, "token") == "✅ token: from GH_TOKEN"

    def test_a_scope_that_is_missing(self, well: Shop) -> None:
        well.place.environment["GH_TOKEN"] = well.github.add_token("octocat", scopes=("gist",))
        says(well.run("doctor"), 5, "access", "no scope", "--scopes")

    def test_a_token_that_is_told_of_no_scopes(self, well: Shop) -> None:
        may = {"contents": "write", "issues": "write", "pull_requests": "write"}
        well.place.environment["GH_TOKEN"] = well.github.add_token("octocat", permissions=may)
        done = well.run("doctor")
        assert done.code == 0, done.out
        assert "is not told before it is tried" in line(done, "access")

    def test_a_repository_that_takes_no_issues(self, well: Shop) -> None:
        well.github.set_repository(REPOSITORY, has_issues=False)
        says(well.run("doctor"), 5, "access", "octocat/shop", "switch on issues")

    def test_few_requests_left(self, well: Shop) -> None:
        well.github.set_limit(remaining=23)
        done = well.run("doctor", "--max-workers", "6")
        says(done, 1, "requests", "22 of 5,000 left until", "6 tasks may take 23")

    def test_no_request_left_is_not_waited_for(self, well: Shop) -> None:
        well.github.set_limit(remaining=0)
        done = well.run("doctor")
        says(done, 5, "requests", "0 of 5,000 left until", "wait until")
        assert "skipped" in line(done, "access")

    def test_nobody_there(self, well: Shop) -> None:
        well.place.environment["GITHUB_API_URL"] = "http://127.0.0.1:9/api/v3"
        says(well.run("doctor"), 5, "access", "cannot be reached", "check the network")

    def test_ctrl_c_ends_a_look_that_takes_long(self, well: Shop) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            silent.settimeout(10)
            host, port = silent.getsockname()
            well.place.environment["GITHUB_API_URL"] = f"http://{host}:{port}/api/v3"
            process = well.place.start("doctor")
            with silent.accept()[0]:
                process.send_signal(signal.SIGINT)
                assert process.wait(timeout=5) == 130


FACTS: dict[str, Any] = {
    "agents": {"Ok": 5},
    "git": {"Ok": {"path": "/usr/bin/git", "version": "2.47"}},
    "repository": {
        "Ok": {
            "root": "/shop",
            "head": "main",
            "runtime": "/shop/.claude/runtime",
            "is_read_only": False,
            "no_place": None,
            "worktrees": [],
            "strays": [],
            "locks": [],
            "orchestrations": [],
            "troubles": [],
        }
    },
    "agent": {
        "Ok": {
            "name": "claude",
            "executable": "/bin/claude",
            "notices": ["agents run with the permission mode bypassPermissions"],
            "refused": None,
            "claude": {
                "version": {"Ok": "2.1.332 (Claude Code)"},
                "login": {"Ok": '{"loggedIn": true, "authMethod": "api_key"}'},
            },
        }
    },
    "github": {
        "Ok": {
            "remote": "origin",
            "repository": "octo/shop",
            "host": "github.com",
            "api": "https://api.github.com",
            "token": {"Ok": "GH_TOKEN"},
            "standing": {
                "Ok": {
                    "objection": None,
                    "scopes": ["repo"],
                    "remaining": 4999,
                    "limit": 5000,
                    "reset": 1_764_331_200,
                    "clock_ahead": -59,
                }
            },
        }
    },
    "machine": {
        "disk_free": 10**10,
        "disk_shortage": None,
        "memory": None,
        "memory_shortage": None,
        "descriptors": None,
        "descriptor_shortage": None,
        "no_file_events": None,
    },
}
"""A machine where all is well."""


LEFT = {"id": "orch-local-3-x", "source": "-", "state": "finished", "processes": [7, 8]}
LATEST = frozenset({str(LEFT["id"])})


def judged(
    *path: str, value: Any, containment: str = "cgroup", latest: frozenset[str] = LATEST
) -> tuple[int, list[Finding]]:
    """The exit code and what is not well, where one fact is another one."""
    facts = deepcopy(FACTS)
    place = facts
    for name in path[:-1]:
        place = place[name]
    if path:
        place[path[-1]] = value
    findings = diagnose(facts, containment, set(latest), "the shop")
    return exit_code(findings), [one for one in findings if one.state not in {"ok", "skipped"}]


ACCESS = ("github", "Ok", "standing", "Ok")
ROOT = {"message": "refuses as root", "hint": "set IS_SANDBOX=1", "exit_code": 9}
NO_PLACE = {"message": "/trees is no folder", "hint": "name another", "exit_code": 9}
REFUSED = {"message": "octo/shop is archived", "hint": "unarchive it", "exit_code": 5}


class TestJudgement:
    def test_of_facts_that_are_well(self) -> None:
        assert judged(value=None) == (0, [])
        assert judged(value=None, containment="marks") == (0, [])

    @pytest.mark.parametrize(
        ("path", "value", "code", "check", "remedy"),
        [
            (("machine", "disk_shortage"), "5 worktrees need", 1, "disk", "AMPLIHACK_WORKTREE_DIR"),
            (("machine", "memory_shortage"), "2 agents", 1, "memory", "--max-workers"),
            (("machine", "descriptor_shortage"), "2 agents", 1, "descriptors", "ulimit"),
            (("machine", "no_file_events"), "no space", 1, "file events", "fs.inotify"),
            ((*ACCESS, "clock_ahead"), 3600, 1, "clock", "timedatectl"),
            ((*ACCESS, "clock_ahead"), -61, 1, "clock", "timedatectl"),
            ((*ACCESS, "remaining"), 19, 1, "requests", "5 tasks may take 20"),
            ((*ACCESS, "objection"), REFUSED, 5, "access", "unarchive it"),
            (("agent", "Ok", "refused"), ROOT, 9, "agent", "IS_SANDBOX"),
            (("agent", "Ok", "notices"), ["AMPLIHACK_DELEGATE is x"], 1, "agent", "delegate"),
            (("agent", "Ok", "claude", "version"), {"Err": "broken"}, 9, "agent", "install"),
            (("agent", "Ok", "claude", "login"), {"Ok": "[]"}, 1, "login", "claude auth status"),
            (("repository", "Ok", "no_place"), NO_PLACE, 9, "worktrees", "name another"),
            (("repository", "Ok", "is_read_only"), True, 9, "repository", "right to write"),
            (("repository", "Ok", "orchestrations"), [LEFT], 1, "runs", "kill -9 7 8"),
            (
                ("repository", "Ok", "orchestrations"),
                [{**LEFT, "state": "crashed"}],
                1,
                "runs",
                "parallel-orchestrate 'local#3' --repo 'the shop', which ends them first",
            ),
        ],
    )
    def test_of_one_that_is_not(
        self, path: tuple[str, ...], value: Any, code: int, check: str, remedy: str
    ) -> None:
        found, (finding,) = judged(*path, value=value)
        assert (found, finding.check) == (code, check)
        assert remedy in (finding.remedy or "")

    @pytest.mark.parametrize("state", ["crashed", "interrupted"])
    def test_of_a_run_that_another_one_took_the_place_of(self, state: str) -> None:
        path = ("repository", "Ok", "orchestrations")
        left = {**LEFT, "state": state}
        code, (finding,) = judged(*path, value=[left], latest=frozenset())
        assert (code, finding.remedy) == (1, "run: kill -9 7 8")
        assert judged(*path, value=[{**left, "processes": []}], latest=frozenset()) == (0, [])

    def test_of_worktrees_in_a_repository_that_was_named(self) -> None:
        gone = {"path": "/gone", "exists": False, "locked": "", "branch": None, "task": None}
        _, (finding,) = judged("repository", "Ok", "worktrees", value=[gone])
        git = "git -C 'the shop' worktree"
        assert finding.remedy == f"if it is gone for good, run: {git} unlock /gone && {git} prune"

    def test_of_containment_that_holds_nobody(self) -> None:
        code, (finding,) = judged(value=None, containment="none")
        assert (code, finding.check) == (1, "containment")

    def test_the_first_error_decides_the_exit_code(self) -> None:
        ok = Finding(check="a", state="ok", found="")
        warning = Finding(check="b", state="warning", found="")
        errors = [Finding(check="c", state="error", found="", exit_code=code) for code in (5, 9)]
        assert exit_code([ok]) == 0
        assert exit_code([ok, warning]) == 1
        assert exit_code([warning, *errors]) == 5

    def test_an_older_claude_code_is_not_asked(self) -> None:
        assert judged("agent", "Ok", "claude", "login", value=None) == (0, [])


def test_the_help_names_the_exit_codes_of_the_contract() -> None:
    done = subprocess.run(
        [*COMMAND, "doctor", "--help"], capture_output=True, text=True, check=True
    )
    assert "5, 9, 64" in done.stdout
