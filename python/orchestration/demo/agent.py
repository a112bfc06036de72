"""The scripted agent of the demo: it plays a coding agent, and is none.

It does what a real one does, in the same order: it reads its task on standard input, reports
progress through ``$STATUS_FILE``, edits the files of its worktree and commits. What it writes is in
the table below. It is run by its path and uses nothing but the standard library.
"""

# ruff: noqa: T201, S603, S607 - it prints and calls git, like any agent

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Edit:
    """What the agent does about a task."""

    path: str
    """The file that it adds to; a task is recognized by it."""
    text: str
    """What it adds at the end."""
    test: str
    """The body of a test of it; empty where the agent forgets to write one."""
    seconds: float
    """How long it seems to think."""
    replace: "tuple[str, str]" = ("", "")
    """What it changes in the file before."""


EDITS = (
    Edit(
        path="shop/catalog.py",
        text='''

def by_author(author: str) -> "list[Book]":
    """All books of an author, in the order of the shelf."""
    return [book for book in BOOKS if book.author == author]
''',
        test="""
        from shop.catalog import by_author

        self.assertEqual(len(by_author("George Eliot")), 2)
""",
        seconds=3.0,
    ),
    Edit(
        path="shop/cart.py",
        replace=(
            "        return sum(self.cents)\n",
            (
                "        full = sum(self.cents)\n"
                "        return full * 9 // 10 if len(self.cents) >= SCHOOL_CLASS else full\n"
            ),
        ),
        text="""

# From this many books on, ten percent are off.
SCHOOL_CLASS = 10
""",
        test="""
        from shop.cart import Cart

        cart = Cart()
        cart.add(1000, count=10)
        self.assertEqual(cart.total(), 9000)
""",
        seconds=4.5,
    ),
    Edit(
        path="shop/shipping.py",
        replace=(
            "    if total_cents <= 0:\n",
            "    if total_cents <= 0 or total_cents > FREE_ABOVE_CENTS:\n",
        ),
        text="""

FREE_ABOVE_CENTS = 5000
""",
        test="""
        from shop.shipping import cost

        self.assertEqual(cost(5001, grams=900), 0)
""",
        seconds=3.8,
    ),
    Edit(
        path="shop/receipt.py",
        text='''"""Receipts as plain text."""


def receipt(books: "list[tuple[str, int]]") -> str:
    """One line a book, and the sum: titles with their prices in cents."""
    lines = [*books, ("Total", sum(cents for _, cents in books))]
    return "\\n".join(f"{title:<30}{cents / 100:>8.2f}" for title, cents in lines)
''',
        test="""
        from shop.receipt import receipt

        self.assertTrue(receipt([("Walden", 990), ("Emma", 10)]).endswith("10.00"))
""",
        seconds=5.0,
    ),
    # The bug: it rounds every price rather than those on signs. An existing test notices.
    Edit(
        path="shop/prices.py",
        replace=(
            '    return f"{cents // 100}.{cents % 100:02d} EUR"\n',
            '    return f"{round(cents / 100)} EUR"\n',
        ),
        text="",
        test="",
        seconds=4.2,
    ),
)

STAGES = (
    ("Analyzing codebase", 10),
    ("Creating implementation plan", 20),
    ("Implementing feature", 45),
    ("Running tests", 75),
    ("Committing", 90),
)


def main() -> int:
    """Works on the task that stands on standard input."""
    pace = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    prompt = sys.stdin.read()
    edit = next((edit for edit in EDITS if edit.path in prompt), None)
    if edit is None:
        print("I know only the tasks of the demo, and this is none of them.", file=sys.stderr)
        return 1
    for stage, percent in STAGES:
        report(stage, percent)
        if stage == "Implementing feature":
            apply(edit)
        if stage == "Committing":
            commit(edit)
        time.sleep(pace * edit.seconds / len(STAGES))
    return 0


def report(stage: str, percent: int) -> None:
    """Tells the orchestrator how far we are: a claim, which it does not take for evidence."""
    print(f"{stage} ({percent}%)", flush=True)
    status = Path(os.environ.get("STATUS_FILE", ".agent_status.json"))
    claim = json.dumps({"progress_percentage": percent, "current_stage": stage})
    # Written beside and renamed, so that nobody reads half of it.
    beside = status.with_name(f"{status.name}.new")
    beside.write_text(claim, encoding="utf-8")
    beside.replace(status)


def apply(edit: Edit) -> None:
    """Edits the file of the task, and adds a test; a retry finds both done."""
    file = Path(edit.path)
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    if (edit.text or edit.replace[1]) in before:
        return
    after = before.replace(*edit.replace) if all(edit.replace) else before
    file.write_text(after + edit.text, encoding="utf-8")
    if edit.test:
        name = file.stem
        Path(f"tests/test_{name}.py").write_text(
            "import unittest\n\n\n"
            f"class {name.title()}Test(unittest.TestCase):\n"
            f"    def test_{name}(self) -> None:{edit.test}",
            encoding="utf-8",
        )


def commit(edit: Edit) -> None:
    """Commits everything, if there is anything."""
    subprocess.run(["git", "add", "--all"], check=True)
    if subprocess.run(["git", "diff", "--cached", "--quiet"], check=False).returncode != 0:
        message = f"Work on {edit.path}"
        subprocess.run(["git", "commit", "--quiet", f"--message={message}"], check=True)


if __name__ == "__main__":
    sys.exit(main())
