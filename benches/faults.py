"""What becomes of a run while GitHub limps: `python benches/faults.py [--runs N] [--percent P]`.

Each run is the real command on a master issue with six tasks, at the fake GitHub, which spoils a
share of all requests: refuses them, answers nonsense, or drops the connection before or after it
did what was asked. A seed decides which, so a run can be repeated. Afterwards the fake's state is
looked at: six sub-issues, all linked, six pull requests, one comment, nothing twice.

Prints how often each fault was injected, and what was lost or doubled. Exit code 1 where anything
was.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.github import FakeGitHub  # noqa: E402 - the program need not be in a package

REPOSITORY = "octocat/shop"
TASKS = 6
AGENT = "cat >/dev/null; echo done >$AGENT_ID.txt"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--percent", type=int, default=10, help="of all requests")
    options = parser.parse_args()
    injected: Counter[str] = Counter()
    problems: list[str] = []
    for seed in range(options.runs):
        with tempfile.TemporaryDirectory() as folder:
            faults, wrong = trial(Path(folder), seed, options.percent)
        injected.update(faults)
        problems += [f"seed {seed}: {problem}" for problem in wrong]
    print(f"{options.runs} runs of {TASKS} tasks, {options.percent} % of the requests spoiled\n")
    for kind, count in sorted(injected.items()):
        print(f"{kind:<16} {count:>5} injected")
    print(f"\n{sum(injected.values())} faults; lost, doubled or wrong: {len(problems)}")
    print("\n".join(problems))
    return 1 if problems else 0


def trial(folder: Path, seed: int, percent: int) -> tuple[Counter[str], list[str]]:
    """The faults of one run, and what is not as it should be."""
    with FakeGitHub(folder / "github") as fake:
        fake.add_repository(REPOSITORY, files={"README.md": "# Shop\n"}, owner_kind="User")
        tasks = "".join(f"- [ ] Add part{number}\n" for number in range(TASKS))
        issue = fake.add_issue(REPOSITORY, "Open the shop", tasks)
        fake.fail_randomly(percent, seed=seed, path="^/repos/")
        code, said = run(folder, fake, str(issue))
        faults = Counter(request.fault for request in fake.requests if request.fault)
        state = fake.state(REPOSITORY)
    return faults, [*([f"exit code {code}: {said[-300:]}"] if code else []), *wrongs(state)]


def run(folder: Path, fake: FakeGitHub, issue: str) -> tuple[int, str]:
    environment = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "GITHUB_API_URL": fake.api_url,
        "GH_TOKEN": fake.token,
        "GIT_AUTHOR_NAME": "Bench",
        "GIT_AUTHOR_EMAIL": "bench@example.invalid",
        "GIT_COMMITTER_NAME": "Bench",
        "GIT_COMMITTER_EMAIL": "bench@example.invalid",
    }
    clone = folder / "clone"
    url = fake.clone_url(REPOSITORY, user="octocat")
    subprocess.run(["git", "clone", "--quiet", url, clone], env=environment, check=True)
    command = [sys.executable, "-m", "orchestration", issue, "--agent", f"sh -c '{AGENT}'"]
    done = subprocess.run(
        command, cwd=clone, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def wrongs(state: dict) -> list[str]:
    """What is lost, doubled, or not where it belongs."""
    master, *others = state["issues"]
    subs = sorted(issue["number"] for issue in others if "sub-issue" in issue["labels"])
    heads = [pull["head"] for pull in state["pulls"]]
    found = {
        "sub-issues": (len(subs), TASKS),
        "issues beside the master": (len(others), TASKS),
        "linked sub-issues": (sorted(master["sub_issues"]), subs),
        "pull requests": (len(heads), TASKS),
        "heads": (set(heads), set(state["branches"]) - {"main"}),
        "comments": (len(master["comments"]), 1),
    }
    return [f"{what}: {is_}, not {want}" for what, (is_, want) in found.items() if is_ != want]


if __name__ == "__main__":
    sys.exit(main())
