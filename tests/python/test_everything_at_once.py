"""Everything at once: ten tasks, a GitHub that stumbles, two real Claude Codes among the agents,
one that fails. Afterwards GitHub, the files and the exit code tell the same story.
"""

import json
import os
from collections import Counter
from pathlib import Path

from command import Outcome
from on_github import Shop
from tests.support.claude import environment, executable, needs_claude
from tests.support.model import ModelServer, bash, commit, say

TASKS = ("cart", "till", "door", "sign", "shelf", "window", "cellar", "scales", "lamp", "awning")

AGENT = f"""#!/bin/sh
# Two of the agents are the real one; of the others, one has an error.
case $AGENT_ID in
    agent-1 | agent-2) exec '{executable()}' "$@" ;;
esac
cat > /dev/null
if [ "$AGENT_ID" = agent-7 ]; then
    echo "ModuleNotFoundError: No module named 'cellar'"
    exit 1
fi
echo done > "$AGENT_ID.txt"
git add --all
git commit --quiet --message "Do the task of $AGENT_ID"
"""

FAULTS = [
    (503, "GET", r"/issues/1$"),
    ("html", "GET", r"/issues\?"),
    ("drop_after", "POST", "/issues$"),
    ("cut_off", "POST", "/sub_issues$"),
    ("drop_before", "POST", "/pulls$"),
    ("drop_after", "POST", "/pulls$"),
    ("wrong_length", "POST", "/comments$"),
]
"""What happens once to such a request. A POST whose answer is lost costs a look for what became of
it; the one that was not carried out is then sent again, which is all that fits into 35.
"""


@needs_claude
def test_ten_tasks_nine_pull_requests_and_one_failure(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir(exist_ok=True)
    agent = tmp_path / "bin" / "claude"
    agent.write_text(AGENT)
    agent.chmod(0o755)
    issue = shop.issue(*(f"Build the {name}" for name in TASKS))
    for kind, method, path in FAULTS:
        shop.github.fail(kind, method=method, path=path)
    with ModelServer() as model:
        for name in TASKS[:2]:
            model.when(f"Build the {name}").plays(
                bash(f"echo done > {name}.txt"), commit(f"Build the {name}"), say("Done.")
            )
        variables = environment(tmp_path, model.url)
        variables["PATH"] = f"{agent.parent}{os.pathsep}{variables['PATH']}"
        shop.place.environment |= variables
        command = shop.place.start(str(issue), "--batch-size", "3")
        done = Outcome(0, *command.communicate(timeout=120))
        assert model.unexpected == []
    assert command.returncode == 1, done.err
    assert shop.github.violations == []
    assert Counter(request.fault for request in shop.github.requests if request.fault) == Counter(
        str(kind) for kind, _, _ in FAULTS
    )

    sub_issues = {issue["number"]: issue for issue in shop.issues("sub-issue")}
    assert sorted(sub_issues) == list(range(2, 12))
    assert all(sub["parent"] == issue for sub in sub_issues.values())
    master = next(found for found in shop.state["issues"] if found["number"] == issue)
    assert master["sub_issues"] == sorted(sub_issues)
    assert len(master["comments"]) == 1
    (diagnostic,) = shop.issues("diagnostic")
    assert diagnostic["title"] == "Agent-7 Import Conflict Investigation"
    assert len(shop.state["issues"]) == 12

    pulls = {pull["head"]: pull for pull in shop.state["pulls"]}
    heads = {agent: f"feat/issue-{agent + 1}-agent-{agent}" for agent in range(1, 11)}
    del heads[7]
    assert sorted(pulls) == sorted(heads.values())
    assert len(shop.state["pulls"]) == 9
    for head, pull in pulls.items():
        assert pull["base"] == "main"
        assert pull["head_sha"] == shop.place.git("rev-parse", f"refs/heads/{head}")

    numbers = {agent: pulls[head]["number"] for agent, head in heads.items()}
    check_files(shop, issue, numbers, diagnostic["number"])
    comment = master["comments"][0]["body"]
    assert all(f"#{number}" in comment for number in [*numbers.values(), diagnostic["number"]])
    successful = [
        request
        for request in shop.github.requests
        if request.status is not None and request.status < 400 and not request.fault
    ]
    assert len(successful) <= 35


def check_files(shop: Shop, issue: int, pulls: dict[int, int], diagnostic: int) -> None:
    """Status files, journal and summary say what GitHub has: nine pull requests, one failure."""
    for agent in range(1, 11):
        status = shop.status(issue, agent)
        assert status["sub_issue"] == agent + 1
        assert status["pr_number"] == pulls.get(agent)
        assert status["status"] == ("completed" if agent in pulls else "failed")
    assert shop.status(issue, 7)["error"].startswith("IMPORT_CONFLICT: ")

    (path,) = shop.place.runtime.glob("parallel/*/*.jsonl")
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def filed(kind: str) -> dict[int, int]:
        found = [record for record in records if record["type"] == kind]
        assert len({record["agent"] for record in found}) == len(found), "nothing twice"
        return {record["agent"]: record["filed"]["number"] for record in found}

    assert filed("sub_issue_filed") == {agent: agent + 1 for agent in range(1, 11)}
    assert filed("pull_opened") == pulls
    assert filed("diagnostic_filed") == {7: diagnostic}
    assert (records[-1]["type"], records[-1]["exit_code"]) == ("finished", 1)

    summary = shop.place.summary()
    assert (summary["total_sub_tasks"], summary["successful"], summary["failed"]) == (10, 9, 1)
    assert summary["exit_code"] == 1
    assert sorted(summary["prs_created"]) == sorted(pulls.values())
    assert summary["follow_up_issues"] == [diagnostic]
    assert [task["pr_number"] for task in summary["tasks"]] == [
        pulls.get(agent) for agent in range(1, 11)
    ]
    costs = [task["cost_usd"] is not None for task in summary["tasks"]]
    assert costs == [True, True] + [False] * 8, "only the real ones say what they cost"
