"""After a fork the child has an engine of its own, and knows nothing of its parent's agents."""

import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support import alive, wait_for

from orchestration import ClaudeProcess, run_parallel

pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)


def in_fork(body):
    """Run `body` in a forked child; return whether it was true."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = 0 if body() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("used", [False, True])
def test_a_forked_child_runs_agents(agent, make, used):
    agent("echo here")
    if used:
        assert make().run().output == "here\n"
    assert in_fork(lambda: make().run().output == "here\n") == 0
    assert make().run().output == "here\n"


def test_a_fork_of_a_fork_runs_agents(agent, make):
    agent("echo here")
    assert in_fork(lambda: in_fork(lambda: make().run().output == "here\n") == 0) == 0


def test_a_fork_in_the_middle_of_a_run_harms_nobody(agent, make, tmp_path):
    agent('while [ ! -e "$3" ]; do sleep 0.01; done; echo "$3"')
    results = []
    first = make("go1", "first")
    thread = threading.Thread(target=lambda: results.append(first.run()))
    thread.start()
    wait_for((tmp_path / "logs" / "first.log").exists, "the first agent")
    (tmp_path / "work" / "go2").touch()

    def child():
        first.terminate()
        return make("go2", "second").run().output == "go2\n"

    assert in_fork(child) == 0
    (tmp_path / "work" / "go1").touch()
    thread.join(10)
    assert results[0].output == "go1\n"


def test_results_of_the_parent_can_be_read_in_the_child(agent, make):
    agent("head -c 300000 /dev/zero | tr '\\0' x")
    result = make(stream_output=False).run()
    assert in_fork(lambda: result.output == "x" * 300_000) == 0
    assert len(result.output) == 300_000


def outputs(arguments):
    folder, name = arguments
    process = ClaudeProcess(name, name, folder / "work", folder / "logs", stream_output=False)
    return [result.output for result in run_parallel([process])]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_of_processes_run_agents(agent, tmp_path, method):
    agent('echo "$3"')
    if method == "fork":
        assert outputs((tmp_path, "first")) == ["first\n"]
    code = (
        "import multiprocessing, pathlib, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_fork import outputs\n"
        "if __name__ == '__main__':\n"
        f"    folder = pathlib.Path({str(tmp_path)!r})\n"
        f"    with multiprocessing.get_context({method!r}).Pool(2) as pool:\n"
        "        found = pool.map(outputs, [(folder, n) for n in 'abcd'])\n"
        "    assert found == [['a\\n'], ['b\\n'], ['c\\n'], ['d\\n']], found\n"
    )
    program = tmp_path / "program.py"
    program.write_text(code)
    subprocess.run([sys.executable, str(program)], check=True, timeout=30)


def test_agents_of_a_forked_child_die_with_it(agent, make, tmp_path):
    agent("echo $$ > pid.tmp; mv pid.tmp pid; exec sleep 60")
    child = multiprocessing.get_context("fork").Process(target=make().run)
    child.start()
    wait_for((tmp_path / "work" / "pid").exists, "the agent")
    pid = int((tmp_path / "work" / "pid").read_text())
    child.kill()
    child.join()
    wait_for(lambda: not alive(pid), "the agent to die", 5)
