"""What is better than in the package we replace: COMPATIBILITY, second list."""

import collections
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from support import STUBBORN, alive, descriptors, pids, wait_for

from orchestration import (
    ClaudeProcess,
    run_batched,
    run_parallel,
    run_sequential,
    run_with_fallback,
)


class FromHandlerError(Exception):
    pass


@pytest.fixture
def soon(tmp_path):
    """Send this process a signal once the agent and its child run."""

    def send(number):
        def body():
            found.extend(pids(tmp_path / "work"))
            os.kill(os.getpid(), number)

        found = []
        threading.Thread(target=body, daemon=True).start()
        return found

    return send


RUNS = {
    "run": lambda p: p.run(),
    "parallel": lambda p: run_parallel([p]),
    "sequential": lambda p: run_sequential([p]),
    "fallback": lambda p: run_with_fallback([p]),
    "batched": lambda p: run_batched([p], 1),
}


@pytest.mark.parametrize("way", RUNS)
def test_ctrl_c_ends_stubborn_agents_and_their_children(agent, make, soon, way):
    agent(STUBBORN)
    found = soon(signal.SIGINT)
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        RUNS[way](make(stream_output=False))
    assert time.monotonic() - begin < 3  # two seconds, and the start of a shell
    assert len(found) == 2
    assert not any(alive(pid) for pid in found)


@pytest.mark.parametrize("kind", ["log", "_spawn_process", "run"])
def test_ctrl_c_ends_agents_of_overridden_processes(agent, make, soon, kind):
    def override(self, *args, **options):
        return getattr(ClaudeProcess, kind)(self, *args, **options)

    agent(STUBBORN)
    found = soon(signal.SIGINT)
    process = make(kind=type("Sub", (ClaudeProcess,), {kind: override}), stream_output=False)
    with pytest.raises(KeyboardInterrupt):
        run_parallel([process])
    wait_for(lambda: not any(alive(pid) for pid in found), "the agents to end", 2)


def test_an_exception_of_a_signal_handler_does_the_same(agent, make, soon):
    def handler(_number, _frame):
        raise FromHandlerError

    agent(STUBBORN)
    found = soon(signal.SIGUSR1)
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(FromHandlerError):
            run_parallel([make(stream_output=False), make(process_id="p2", stream_output=False)])
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not any(alive(pid) for pid in found)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_exception_of_a_signal_handler_leaves_no_log_open(make):
    def handler(_number, _frame):
        raise FromHandlerError

    process = make()

    def log_until_the_alarm():
        signal.setitimer(signal.ITIMER_REAL, 0.0001)
        collections.deque(map(process.log, itertools.repeat("again")), maxlen=0)

    before = descriptors()
    previous = signal.signal(signal.SIGALRM, handler)
    try:
        for _ in range(200):
            with pytest.raises(FromHandlerError):
                log_until_the_alarm()
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert descriptors() == before


def test_a_signal_handler_that_returns_changes_nothing(agent, make):
    seen = []
    agent(f"kill -USR1 {os.getpid()}; sleep 0.1; echo on")
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
    try:
        assert make().run().output == "on\n"
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [1]


def test_after_ctrl_c_everything_still_works(agent, make, soon):
    agent(STUBBORN)
    soon(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        make().run()
    agent("echo fine")
    assert make().run().output == "fine\n"


PROGRAM = """
import os, sys, threading
from pathlib import Path
from orchestration import ClaudeProcess, run_parallel
folder = Path(sys.argv[1])
class Overridden(ClaudeProcess):
    def _wait_for_completion(self):
        return super()._wait_for_completion()
kind = Overridden if sys.argv[2] == "overridden" else ClaudeProcess
process = kind("q", "p", folder / "work", folder / "logs", stream_output=False)
if sys.argv[2] == "daemon":
    threading.Thread(target=process.run, daemon=True).start()
    sys.stdin.readline()
else:
    run_parallel([process])
"""


@pytest.mark.parametrize("death", ["KILL", "TERM", "group", "daemon", "overridden"])
def test_when_the_program_dies_its_agents_die(agent, tmp_path, death):
    agent(STUBBORN)
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path), death],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    found = pids(tmp_path / "work")
    if death == "daemon":
        program.stdin.write(b"\n")
    elif death in ("group", "overridden"):
        os.killpg(program.pid, signal.SIGKILL)
    else:
        program.send_signal(getattr(signal, f"SIG{death}"))
    program.stdin.close()
    program.wait(10)
    wait_for(lambda: not any(alive(pid) for pid in found), "the agents to die", 5)


def test_a_program_that_dies_as_soon_as_its_agent_lives_takes_it_along(agent, tmp_path):
    agent("exec sleep 60")
    code = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from orchestration import ClaudeProcess
        class Dying(ClaudeProcess):
            def _spawn_process(self, cmd, slave_fd):
                child = super()._spawn_process(cmd, slave_fd)
                os.write(1, str(child.pid).encode())
                os.killpg(0, signal.SIGKILL)
        p = Path({str(tmp_path)!r})
        Dying("q", "p", p, p, stream_output=False).run()
    """)
    program = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True, check=False
    )
    assert program.returncode == -signal.SIGKILL
    pid = int(program.stdout.split()[-1])
    wait_for(lambda: not alive(pid), "the agent to die", 5)


def test_a_grandchild_that_holds_the_pipes_does_not_hold_the_result(agent, make):
    agent("sleep 30 & echo left")
    result = make().run()
    assert (result.exit_code, result.output) == (0, "left\n")
    assert result.duration < 1.5


def test_a_time_limit_reaches_the_whole_group(agent, make, tmp_path):
    agent(STUBBORN)
    assert make(timeout=0.3).run().exit_code == -1
    assert not any(alive(pid) for pid in pids(tmp_path / "work"))


class WalkedThrough(ClaudeProcess):
    def _wait_for_completion(self):
        return super()._wait_for_completion()


@pytest.mark.parametrize("kind", [ClaudeProcess, WalkedThrough])
@pytest.mark.parametrize(("limit", "end"), [(0.3, "exec sleep 60"), (None, "exit 0")])
def test_what_the_leader_of_a_group_leaves_behind_is_ended(agent, make, tmp_path, kind, limit, end):
    body = (
        'sh -c \'trap "" TERM; echo $$ > left.tmp; mv left.tmp left\n'
        "       while :; do sleep 0.02; done' &\n"
        f"while [ ! -e left ]; do sleep 0.01; done; {end}"
    )
    agent(body)
    result = make(kind=kind, timeout=limit).run()
    assert result.exit_code == (0 if limit is None else -1)
    left = int((tmp_path / "work" / "left").read_text())
    wait_for(lambda: not alive(left), "the rest of the group to end", 1)


def test_every_agent_leads_a_session_of_its_own(agent, make):
    agent("echo $$; ps -o sid= -o pgid= -p $$")
    pid, session, group = make().run().output.split()
    assert pid == session == group


def test_a_child_that_reads_dev_tty_does_not_hang(agent, make):
    agent("cat /dev/tty < /dev/null; echo on")
    assert make(timeout=5).run().output == "on\n"


def test_a_thousand_runs_leave_no_descriptor_and_no_zombie(agent, make):
    file = agent("")
    file.unlink()
    file.symlink_to("/bin/true")
    processes = [make("q", f"p{i % 10}", stream_output=False) for i in range(1000)]
    run_parallel(processes[:4], 4)
    before = descriptors()
    results = run_parallel(processes, max_workers=8)
    assert {r.exit_code for r in results} == {0}
    wait_for(lambda: len(descriptors()) <= len(before), "the last descriptors to be closed")
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_processes_that_never_started_keep_nothing(make):
    before = descriptors()
    kept = [make(process_id=f"p{i}") for i in range(50)]
    assert descriptors() == before
    assert len(kept) == 50


def test_other_children_of_the_program_are_left_alone(agent, make):
    agent("sleep 0.05")
    other = subprocess.Popen(["sh", "-c", "exit 7"])
    make().run()
    assert other.wait(5) == 7


@pytest.mark.parametrize("stream", [False, True])
def test_memory_does_not_grow_with_the_output(agent, tmp_path, stream):
    agent('yes "$(printf %079d 7)" | head -c 200000000')
    code = textwrap.dedent(f"""
        import resource, sys
        from pathlib import Path
        from orchestration import ClaudeProcess
        def high(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        p = Path({str(tmp_path)!r})
        def make(n): return ClaudeProcess("q", n, p, p, stream_output={stream})
        before = high()
        result = make("big").run()
        grown = high() - before
        assert grown < 8, grown
        assert len(result.output) == 200_000_000
    """)
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=60)


def test_prompts_of_any_size(agent, make):
    agent("wc -c")
    assert make("x" * 3_000_000).run().output.split() == ["3000000"]


def test_a_huge_prompt_that_nobody_reads_does_not_hang(agent, make):
    agent("echo deaf")
    assert make("x" * 3_000_000, timeout=10).run().output == "deaf\n"


def test_bytes_that_are_not_utf8_are_replaced(agent, make, capsys):
    agent(r"printf 'a\377b\n'; printf '\303' >&2")
    result = make().run()
    assert (result.output, result.stderr) == ("a\ufffdb\n", "\ufffd")
    assert "a\ufffdb\n" in capsys.readouterr().out


def test_a_second_run_returns_only_its_own_output(agent, make):
    agent("echo once")
    process = make()
    assert [process.run().output for _ in range(2)] == ["once\n"] * 2


def test_a_second_run_by_hand_returns_only_its_own_output(agent, make):
    class Spawner(ClaudeProcess):
        def _spawn_process(self, cmd, slave_fd):
            return super()._spawn_process(cmd, slave_fd)

    agent("echo once")
    process = make(kind=Spawner)
    assert [process.run().output for _ in range(2)] == ["once\n"] * 2


def test_a_name_that_cannot_be_a_file_name_is_no_reason_to_hang(make, agent):
    agent("echo never")
    with pytest.raises(OSError, match="No such file"):
        make(process_id="no/such/folder").run()


def test_the_engines_threads_are_few(agent, make):
    agent("sleep 0.3")
    most = []
    done = threading.Event()

    def count():
        while not done.wait(0.02):
            most.append(len(list(Path("/proc/self/task").iterdir())))

    counter = threading.Thread(target=count)
    counter.start()
    run_parallel([make(process_id=f"p{i}", stream_output=False) for i in range(60)])
    done.set()
    counter.join()
    assert max(most) <= 10
