"""Ctrl-C while a helper waits outside the main thread, where Python raises nothing.

Each program is a real one that gets a real SIGINT. What happens in the main thread is in
test_bettered.py and test_cli.py.
"""

import signal
import subprocess
import sys
import textwrap
import time

import pytest
from support import STUBBORN, alive, pids, wait_for

HEAD = """
import asyncio, signal, sys, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from orchestration import ClaudeProcess, run_parallel, run_sequential
folder = Path(sys.argv[1])
def make(kind=ClaudeProcess):
    return kind("q", "p", folder / "work", folder / "logs", stream_output=False)
class Overridden(ClaudeProcess):
    def _wait_for_completion(self):
        return super()._wait_for_completion()
"""

PROGRAMS = {
    "asyncio": "asyncio.run(asyncio.to_thread(run_parallel, [make()]))",
    "overridden": "asyncio.run(asyncio.to_thread(run_parallel, [make(Overridden)]))",
    "run": "asyncio.run(asyncio.to_thread(make().run))",
    "sequential": "asyncio.run(asyncio.to_thread(run_sequential, [make()]))",
    "second loop": """
        asyncio.run(asyncio.to_thread(run_parallel, []))
        asyncio.run(asyncio.to_thread(run_parallel, [make()]))
    """,
    "threads": """
        with ThreadPoolExecutor() as threads:
            threads.submit(run_parallel, [make()]).result()
    """,
}


def said(output):
    """What a program has printed itself, beside the log lines of its agents."""
    return [line for line in output.splitlines() if not line.startswith("[")]


@pytest.fixture
def program(tmp_path):
    def start(code):
        text = HEAD + textwrap.dedent(code)
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", text, str(tmp_path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    started = []
    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("way", PROGRAMS)
def test_ctrl_c_ends_what_waits_in_a_thread(agent, program, tmp_path, way):
    agent(STUBBORN)
    process = program(PROGRAMS[way])
    found = pids(tmp_path / "work")
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert time.monotonic() - begin < 3  # two seconds, and the end of an interpreter
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode == -signal.SIGINT
    assert not any(alive(pid) for pid in found)


@pytest.mark.parametrize("handler", ["lambda *_: print('mine', flush=True)", "signal.SIG_IGN"])
def test_a_program_that_handles_ctrl_c_itself_decides_what_it_means(
    agent, program, tmp_path, handler
):
    agent("touch child; while [ ! -e go ]; do sleep 0.02; done; echo on")
    process = program(f"""
        signal.signal(signal.SIGINT, {handler})
        results = []
        thread = threading.Thread(target=lambda: results.extend(run_parallel([make()])))
        thread.start()
        thread.join()
        print(results[0].output, end="")
    """)
    wait_for((tmp_path / "work" / "child").exists, "the agent to start")
    process.send_signal(signal.SIGINT)
    if "mine" in handler:
        wait_for(lambda: process.stdout.readline() == "mine\n", "the handler")
    # Twice as long as a waiting thread takes to look.
    time.sleep(0.5)
    (tmp_path / "work" / "go").touch()
    output, errors = process.communicate(timeout=10)
    assert (said(output), errors, process.returncode) == (["on"], "", 0)


def test_the_handler_of_the_program_is_back_when_nobody_waits(agent, program):
    agent("echo done")
    process = program("""
        import ctypes
        libc = ctypes.CDLL(None)
        def handler():
            action = ctypes.create_string_buffer(256)
            assert libc.sigaction(signal.SIGINT, None, action) == 0
            return action.raw[:8]
        before = handler()
        thread = threading.Thread(target=run_parallel, args=([make()],))
        thread.start()
        thread.join()
        print(handler() == before)
    """)
    output, errors = process.communicate(timeout=10)
    assert (said(output), errors) == (["True"], "")
