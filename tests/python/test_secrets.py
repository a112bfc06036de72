"""What git, hooks and agents say is written down without the secrets in it."""

from pathlib import Path

from command import WORKS, Place
from on_github import Shop

KEY = "sk-ant-" + "a1B2" * 8
"""Looks like a key, and is none."""


def everywhere(place: Place) -> str:
    files = [path for path in place.runtime.rglob("*") if path.is_file()]
    assert any(path.suffix == ".jsonl" for path in files)
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in files)


def hook(place: Place, name: str, script: str) -> None:
    path = place.root / ".git" / "hooks" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_token_that_a_hook_prints_is_in_no_event_and_no_file(shop: Shop) -> None:
    token = shop.place.environment["GH_TOKEN"]
    hook(shop.place, "pre-push", 'echo "refused for $GH_TOKEN" >&2; exit 1')
    master = shop.issue("Add cart")
    done = shop.run(str(master), "--agent", shop.place.agent(WORKS), "--output", "json")
    assert done.code == 2
    assert "refused for" in done.out, "the reason itself is told"
    assert token not in done.out + done.err + everywhere(shop.place)
    assert token not in str(shop.state["issues"])


def test_a_key_in_the_name_of_a_branch_or_a_file_is_written_down_nowhere(place: Place) -> None:
    plan = place.plan("Add cart", "Add till")
    script = (
        f"cat >/dev/null; if [ $AGENT_ID = agent-1 ]; then git checkout -q -b {KEY};"
        f" else echo done >{KEY}.txt; fi"
    )
    done = place.run(plan, "--agent", place.agent(script), "--output", "json")
    assert done.code == 2
    assert KEY not in done.out + done.err + everywhere(place)


def test_an_address_with_credentials_is_shown_without_them(place: Place) -> None:
    place.git("remote", "add", "origin", "http://user:hunter2hunter2@127.0.0.1:1/o/r.git")
    place.environment |= {"GITHUB_API_URL": "http://127.0.0.1:1/api", "GH_TOKEN": "made-up-token"}
    plan = place.plan("Add cart")
    done = place.run(plan, "--agent", place.agent(WORKS))
    assert done.code == 0
    assert "hunter2" not in done.out + done.err + everywhere(place)


def test_a_plan_of_the_user_is_left_as_it_is(place: Place) -> None:
    plan = place.plan(f"Rotate the key {KEY}")
    assert place.run(plan, "--agent", place.agent(WORKS)).code == 0
    (issue,) = Path(place.runtime / "forge" / "issues").glob("1.md")
    assert KEY in issue.read_text(encoding="utf-8")
