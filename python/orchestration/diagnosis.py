"""From facts about a machine and a repository to what is well there, and what to do where not.

Pure: the facts come from :func:`orchestration._core.examine`, and nothing is looked at here. What
is to be done stands as it is typed: in the folder, and with the ``--repo``, of who asked.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from ._records import Record
from .watching import issue_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

State = Literal["ok", "warning", "error", "skipped"]

SYSTEM_ERROR = 9
FORGE_ERROR = 5
WARNED = 1
"""The exit code where there are warnings alone."""

STALE_SECONDS = 60
"""No git command of ours holds a lock for so long."""

SKEW_SECONDS = 60
"""Clocks that differ by less do no harm."""

_GIGABYTE = 1e9
_NO_REPOSITORY = "there is no repository to look at"


@dataclass(frozen=True)
class Finding(Record):
    """What one look came to."""

    check: str
    """What was looked at: ``git``, ``token``."""
    state: State
    found: str
    """One line."""
    remedy: str | None = None
    """What to do about it, where something is to be done."""
    exit_code: int = 0
    """That of an error, by the contract of the command; 0 for all else."""


def diagnose(
    facts: dict[str, Any], containment: str, latest: set[str], repo: str = "."
) -> list[Finding]:
    """Judges everything, in the order in which it is to be mended.

    Args:
        facts: What :func:`orchestration._core.examine` found.
        containment: What :func:`orchestration._core.containment` says.
        latest: What :func:`orchestration.watching.latest` says.
        repo: How the repository was named.
    """
    agents = facts["agents"].get("Ok", 1)
    repository = facts["repository"].get("Ok")
    has_git = "Ok" in facts["git"]
    return [
        *_settings(facts["agents"]),
        *_git(facts["git"]),
        *_repository(facts["repository"]),
        *_worktrees(repository, repo),
        *_runs(repository, latest, repo),
        *_agent(facts["agent"]),
        *_login(facts["agent"].get("Ok")),
        *_github(facts["github"], agents, may_look=has_git and repository is not None),
        *_machine(facts["machine"], agents, may_watch=repository is not None),
        _containment(containment),
    ]


def exit_code(findings: Iterable[Finding]) -> int:
    """That of the first error; 1 for warnings alone, and 0 where all is well."""
    findings = list(findings)
    errors = [finding.exit_code for finding in findings if finding.state == "error"]
    if errors:
        return errors[0]
    return WARNED if any(finding.state == "warning" for finding in findings) else 0


def _ok(check: str, found: str) -> Finding:
    return Finding(check=check, state="ok", found=found)


def _skipped(check: str, why: str) -> Finding:
    return Finding(check=check, state="skipped", found=why)


def _warning(check: str, found: str, remedy: str) -> Finding:
    return Finding(check=check, state="warning", found=found, remedy=remedy)


def _error(check: str, found: str, remedy: str, code: int = SYSTEM_ERROR) -> Finding:
    return Finding(check=check, state="error", found=found, remedy=remedy, exit_code=code)


def _trouble(check: str, trouble: dict[str, Any]) -> Finding:
    """An error of the engine, with its own hint and exit code."""
    return _error(check, trouble["message"], trouble["hint"], trouble["exit_code"])


def _settings(agents: dict[str, Any]) -> Iterator[Finding]:
    if "Err" in agents:
        yield _trouble("settings", agents["Err"])
    else:
        yield _ok("settings", f"{_count(agents['Ok'], 'agent')} at once")


def _git(git: dict[str, Any]) -> Iterator[Finding]:
    if "Err" in git:
        yield _trouble("git", git["Err"])
    else:
        yield _ok("git", f"{git['Ok']['version']} at {git['Ok']['path']}")


def _repository(told: dict[str, Any]) -> Iterator[Finding]:
    if "Err" in told:
        yield _trouble("repository", told["Err"])
        return
    repository = told["Ok"]
    if repository["is_read_only"]:
        yield _error(
            "repository",
            f"nothing can be written to {repository['runtime']}",
            "give yourself the right to write there: journals and logs go there",
        )
    for trouble in repository["troubles"]:
        yield _trouble("repository", trouble)
    if not (repository["is_read_only"] or repository["troubles"]):
        yield _ok("repository", f"{repository['root']} on {repository['head']}")


def _worktrees(repository: dict[str, Any] | None, repo: str) -> Iterator[Finding]:
    if repository is None:
        yield _skipped("worktrees", _NO_REPOSITORY)
        return
    found = [
        *([_trouble("worktrees", repository["no_place"])] if repository["no_place"] else []),
        *(finding for one in repository["worktrees"] for finding in _worktree(one, repo)),
        *(
            _warning(
                "worktrees",
                f"git knows no worktree at {folder}",
                "see what is in it, and remove it",
            )
            for folder in repository["strays"]
        ),
        *(
            _warning(
                "worktrees",
                f"git's lock {lock['path']} is {_age(lock['seconds'])} old",
                f"where no git is at work, run: rm {shlex.quote(lock['path'])}",
            )
            for lock in repository["locks"]
            if lock["seconds"] > STALE_SECONDS
        ),
    ]
    yield from found
    if not found:
        count = len(repository["worktrees"])
        yield _ok("worktrees", f"{_count(count, 'linked worktree')}, nothing stale")


def _worktree(one: dict[str, Any], repo: str) -> Iterator[Finding]:
    git = "git worktree" if repo == "." else f"git -C {shlex.quote(repo)} worktree"
    path, task = one["path"], one["task"]
    quoted = shlex.quote(path)
    owner = f"{path} (agent {task['agent']} of {task['orchestration']})" if task else path
    is_locked = one["locked"] is not None
    if not one["exists"]:
        unlock = f"{git} unlock {quoted} && " if is_locked else ""
        yield _warning(
            "worktrees",
            f"{owner} is registered{' and locked' if is_locked else ''}, and is not there",
            f"if it is gone for good, run: {unlock}{git} prune",
        )
        return
    if task is None or task["is_held"]:
        return
    if is_locked:
        reason = f" ({one['locked']})" if one["locked"] else ""
        yield _warning("worktrees", f"{owner} is locked{reason}", f"run: {git} unlock {quoted}")
    if one["branch"] != task["branch"]:
        yield _warning(
            "worktrees",
            f"{owner} is on {one['branch'] or 'no branch'} instead of {task['branch']}",
            f"run: git -C {quoted} switch {shlex.quote(task['branch'])}",
        )
    if task["uncommitted"]:
        yield _warning(
            "worktrees",
            f"{owner} has work that is not committed: {_some(task['uncommitted'])}",
            f"commit it there or discard it; {_ours('clean', repo)} removes the rest",
        )


def _runs(repository: dict[str, Any] | None, latest: set[str], repo: str) -> Iterator[Finding]:
    if repository is None:
        yield _skipped("runs", _NO_REPOSITORY)
        return
    ones = repository["orchestrations"]
    found = [finding for one in ones for finding in _run(one, latest, repo)]
    yield from found
    if found:
        return
    at_work = [one["id"] for one in ones if one["state"] == "running"]
    stopped = [
        f"{one['id']} was interrupted, and goes on with: {_go_on(one, repo)}"
        for one in ones
        if one["state"] == "interrupted" and one["id"] in latest
    ]
    said = [f"{_some(at_work)} at work"] if at_work else []
    yield _ok("runs", "; ".join([*said, *stopped]) or "none was broken off")


def _run(one: dict[str, Any], latest: set[str], repo: str) -> Iterator[Finding]:
    left = one["processes"]
    pids = " ".join(map(str, left))
    at_work = f"{_count(len(left), 'process')} of it still at work ({pids})"
    if one["state"] == "running":
        return
    if one["state"] == "crashed" and one["id"] in latest:
        also = f", and {at_work}" if left else ""
        ends = ", which ends them first" if left else ""
        yield _warning(
            "runs", f"{one['id']} has crashed{also}", f"go on with: {_go_on(one, repo)}{ends}"
        )
    elif left:
        yield _warning("runs", f"{one['id']} has ended, and {at_work}", f"run: kill -9 {pids}")


def _go_on(one: dict[str, Any], repo: str) -> str:
    return _ours(shlex.quote(issue_of(one["id"], one["source"])), repo)


def _ours(arguments: str, repo: str) -> str:
    """Our own command, for the repository that was named."""
    named = "" if repo == "." else f" --repo {shlex.quote(repo)}"
    return f"parallel-orchestrate {arguments}{named}"


def _agent(told: dict[str, Any]) -> Iterator[Finding]:
    if "Err" in told:
        yield _trouble("agent", told["Err"])
        return
    agent = told["Ok"]
    named = f"{agent['name']} at {agent['executable']}"
    claude = agent["claude"]
    troubles = []
    if claude and "Err" in claude["version"]:
        reason = claude["version"]["Err"]
        troubles.append(
            _error("agent", f"{named} does not tell its version: {reason}", "install it again")
        )
    if agent["refused"]:
        troubles.append(_trouble("agent", agent["refused"]))
    troubles += [
        _warning("agent", notice, "set it to a delegate, or name an agent with --agent")
        for notice in agent["notices"]
        if notice.startswith("AMPLIHACK_DELEGATE ")
    ]
    yield from troubles
    if not troubles:
        yield _ok("agent", f"{named}, {claude['version']['Ok']}" if claude else named)


def _login(agent: dict[str, Any] | None) -> Iterator[Finding]:
    claude = agent and agent["claude"]
    if agent is None or (claude and "Err" in claude["version"]):
        yield _skipped("login", "there is no agent to ask")
    elif not claude:
        yield _skipped("login", f"{agent['name']} cannot be asked")
    elif claude["login"] is None:
        version = claude["version"]["Ok"]
        yield _skipped("login", f"{version} cannot be asked; 2.1.41 and later can")
    else:
        yield _claude_login(claude["login"])


def _claude_login(login: dict[str, Any]) -> Finding:
    try:
        said = json.loads(login["Ok"])
        is_logged_in, method = bool(said["loggedIn"]), str(said.get("authMethod", "unknown"))
    except (KeyError, TypeError, ValueError):
        reason = login.get("Err", login.get("Ok"))
        return _warning(
            "login", f"Claude Code does not tell: {reason}", "see for yourself: claude auth status"
        )
    if is_logged_in:
        return _ok("login", f"Claude Code has one ({method}); no request was made to try it")
    return _error(
        "login", "Claude Code is not logged in", "run: claude auth login, or set ANTHROPIC_API_KEY"
    )


def _github(told: dict[str, Any] | None, agents: int, *, may_look: bool) -> Iterator[Finding]:
    if told is None:
        why = "no remote is a repository on GitHub, and plans need none"
        yield _skipped("github", why if may_look else _NO_REPOSITORY)
    elif "Err" in told:
        yield _trouble("github", told["Err"])
    else:
        github = told["Ok"]
        yield _ok(
            "github",
            f"{github['repository']} on {github['host']} (remote {github['remote']}),"
            f" asked at {github['api']}",
        )
        if "Err" in github["token"]:
            yield _trouble("token", github["token"]["Err"])
        else:
            yield _ok("token", f"from {github['token']['Ok']}")
            yield from _standing(github, agents)


def _standing(github: dict[str, Any], agents: int) -> Iterator[Finding]:
    if "Err" in github["standing"]:
        yield _trouble("access", github["standing"]["Err"])
        return
    access = github["standing"]["Ok"]
    yield _access(github["repository"], access)
    yield _requests(access, agents)
    ahead = access["clock_ahead"]
    if ahead is not None and abs(ahead) > SKEW_SECONDS:
        yield _warning(
            "clock",
            f"this machine's is {_age(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'}"
            f" {github['host']}'s",
            "set it by the network: timedatectl set-ntp true",
        )
    elif ahead is not None:
        yield _ok("clock", f"that of {github['host']}")


def _access(repository: str, access: dict[str, Any]) -> Finding:
    if access["objection"] and access["remaining"] == 0:
        return _skipped("access", "no request is left to ask with")
    if access["objection"]:
        return _trouble("access", access["objection"])
    if access["scopes"] is None:
        kind = "what else this kind of token may do is not told before it is tried"
        return _ok("access", f"{repository} takes the token; {kind}")
    scopes = ", ".join(access["scopes"]) or "none"
    return _ok("access", f"{repository} takes issues and branches (scopes: {scopes})")


def _requests(access: dict[str, Any], agents: int) -> Finding:
    left, limit = access["remaining"], access["limit"]
    if left is None:
        return _skipped("requests", "there is no limit")
    needed = 3 * agents + 5
    until = _clock(access["reset"])
    found = f"{left:,} of {limit or left:,} left until {until}"
    if left == 0:
        return _error("requests", found, f"wait until {until}", FORGE_ERROR)
    if left < needed:
        remedy = f"wait until {until}: {_count(agents, 'task')} may take {needed}"
        return _warning("requests", found, remedy)
    return _ok("requests", found)


def _machine(machine: dict[str, Any], agents: int, *, may_watch: bool) -> Iterator[Finding]:
    fewer = "run fewer at once with --max-workers"
    free, memory = machine["disk_free"], machine["memory"]
    yield _judge(
        "disk",
        machine["disk_shortage"],
        "make room, or name another disk in AMPLIHACK_WORKTREE_DIR",
        "not told" if free is None else f"{free / _GIGABYTE:.1f} GB free for worktrees",
    )
    yield _judge(
        "memory",
        machine["memory_shortage"],
        f"close something, or {fewer}",
        "not told"
        if memory is None
        else f"{memory / _GIGABYTE:.1f} GB free, enough for {_count(agents, 'agent')}",
    )
    limit = machine["descriptors"]
    yield _judge(
        "descriptors",
        machine["descriptor_shortage"],
        f"raise the limit (ulimit -Hn), or {fewer}",
        "no limit" if limit is None else f"{limit:,} may be open",
    )
    if machine["no_file_events"] and not may_watch:  # it was tried in a folder that may not be
        yield _skipped("file events", _NO_REPOSITORY)
        return
    yield _judge(
        "file events",
        machine["no_file_events"],
        "raise fs.inotify.max_user_instances and fs.inotify.max_user_watches with sysctl",
        "folders can be watched",
    )


def _judge(check: str, trouble: str | None, remedy: str, well: str) -> Finding:
    return _ok(check, well) if trouble is None else _warning(check, trouble, remedy)


def _containment(reach: str) -> Finding:
    if reach == "cgroup":
        return _ok("containment", "a control group: whatever agents start ends with the program")
    if reach == "marks":
        return _ok(
            "containment",
            "marks: all but a daemon that clears its environment ends with the program"
            " (a control group would hold that too: systemd-run --user --scope -p Delegate=yes)",
        )
    return _warning(
        "containment",
        "none: what agents start may outlive the program",
        "run it on Linux, with /proc mounted",
    )


def _count(number: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def _some(names: list[str]) -> str:
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")


def _age(seconds: int) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _clock(seconds: int | None) -> str:
    if seconds is None:
        return "later"
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%H:%MZ")
    except (OverflowError, OSError, ValueError):
        return "later"
