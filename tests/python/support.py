"""Agents and helpers that several tests share."""

import os
import time
from pathlib import Path

STUBBORN = """
trap '' TERM INT
sh -c 'trap "" TERM INT; echo $$ > grandchild.tmp; mv grandchild.tmp grandchild
       while :; do sleep 0.02; done' &
echo $$ > child.tmp; mv child.tmp child
while :; do sleep 0.02; done
"""


def wait_for(condition, what, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def pids(folder):
    names = ("child", "grandchild")
    wait_for(lambda: all((folder / name).exists() for name in names), "the agents to start")
    return [int((folder / name).read_text()) for name in names]


def descriptors():
    """The descriptors of this process."""
    return sorted(os.listdir("/proc/self/fd"), key=int)  # noqa: PTH208 - names, not paths


def alive(pid):
    """Whether a process runs; one that is dead and not yet waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


class Fake:
    """Any object with `run` and `process_id`."""

    def __init__(self, process_id, result=None):
        self.process_id = process_id
        self.result = result

    def run(self):
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result
