"""A fake GitHub to try the command with: `python -m tests.support.github`."""

# ruff: noqa: T201 - it talks to people

import argparse
import shlex
import signal
import sys
import tempfile
from pathlib import Path

from . import TOKEN, FakeGitHub, contract

REPOSITORY = "octocat/bookshop"
FILES = {
    "README.md": "# Bookshop\n",
    "shop/cart.py": '"""The cart."""\n\n\ndef total(prices):\n    return sum(prices)\n',
    "shop/search.py": '"""The search."""\n\n\ndef find(books, word):\n    return []\n',
    "shop/stock.py": '"""The stock."""\n\n\ndef missing(stock):\n    return []\n',
}
MASTER = """\
The shop is to open in spring.

## Sub-Tasks

- [ ] Take vouchers off the total in `shop/cart.py`
  - a voucher never makes the total negative
- [ ] Find books by author in `shop/search.py`
  - upper and lower case are the same
- [ ] List what has to be ordered in `shop/stock.py`
  - sorted by title
"""
AGENT = """'sh -c "cat >/dev/null; echo done >$AGENT_ID.txt"'"""


def main(arguments=None):
    asked = parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="fake-github-") as temporary:
            serve(asked.folder or Path(temporary), asked.port)
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        return f"cannot serve: {error}"


def serve(folder, port):
    with FakeGitHub(folder, port=port, anonymous_push=True, check=contract.AVAILABLE) as fake:
        fake.add_repository(REPOSITORY, files=FILES)
        number = fake.add_issue(REPOSITORY, "Open the bookshop", MASTER)
        print(instructions(fake, number), flush=True)
        while True:
            signal.pause()


def parser():
    made = argparse.ArgumentParser(
        prog="python -m tests.support.github",
        description="Serves a fake GitHub on 127.0.0.1 until Ctrl-C, with a repository and a"
        " master issue of three tasks. No account, no network.",
    )
    made.add_argument("--port", type=int, default=0, help="a free one by default")
    made.add_argument(
        "--folder",
        type=Path,
        help="where its repositories are kept; by default they are gone at the end",
    )
    return made


def instructions(fake, number):
    unchecked = "" if contract.AVAILABLE else "\n(jsonschema is missing: requests go unchecked.)"
    environment = Path(sys.prefix, "bin", "activate")
    activated = f"  . {shlex.quote(str(environment))}\n" if environment.exists() else ""
    return f"""\
A fake GitHub at {fake.url}, with the repository {REPOSITORY}.{unchecked}
Its master issue: {fake.url}/{REPOSITORY}/issues/{number}

Try it from another terminal:

{activated}  cd "$(mktemp -d)"
  git clone {fake.clone_url(REPOSITORY)}
  cd bookshop
  export GITHUB_API_URL={fake.api_url} GH_TOKEN={TOKEN}
  parallel-orchestrate {number} --agent {AGENT}

What is there then, and what was asked of it:

  curl '{fake.url}/_fake/state?repo={REPOSITORY}'
  curl {fake.url}/_fake/requests

Ctrl-C ends it."""


if __name__ == "__main__":
    sys.exit(main())
