"""COMPATIBILITY 9, 10, 12 and 13: running several processes."""

import asyncio
import functools
import math
import threading
import time
from decimal import Decimal
from fractions import Fraction
from unittest.mock import Mock

import pytest
from support import Fake

from orchestration import (
    ClaudeProcess,
    ProcessResult,
    run_batched,
    run_parallel,
    run_sequential,
    run_with_fallback,
)


def done(process_id, output="", exit_code=0):
    return ProcessResult(exit_code, output, "", 0.0, process_id)


# 9. What run_parallel takes.


def test_results_come_in_completion_order(agent, make):
    agent('sleep "$3"')
    processes = [make(str(delay), f"{delay}") for delay in (0.4, 0.05, 0.2)]
    assert [r.process_id for r in run_parallel(processes)] == ["0.05", "0.2", "0.4"]


def test_no_more_than_max_workers_run_at_a_time(agent, make):
    agent("mkdir slot; ls -d slot* | wc -l; sleep 0.05; rmdir slot")
    results = run_parallel([make("x", f"p{i}") for i in range(4)], max_workers=1)
    assert [r.stderr for r in results] == [""] * 4


def test_without_max_workers_all_run_at_once(agent, make):
    # Each waits until all of them are there.
    agent('touch "$3"; while [ $(ls | wc -l) -lt 40 ]; do sleep 0.02; done')
    results = run_parallel([make(str(i), f"p{i}", timeout=20) for i in range(40)])
    assert [r.exit_code for r in results] == [0] * 40


def test_subclasses_with_constructors_of_their_own_work(agent, tmp_path):
    class Named(ClaudeProcess):
        def __init__(self, name):
            super().__init__(name, name, tmp_path, tmp_path, stream_output=False)

    agent('echo "$3"')
    assert {r.output for r in run_parallel([Named("a"), Named("b")])} == {"a\n", "b\n"}


def test_a_constructor_that_sets_next_to_nothing_costs_its_own_process_only(agent, make):
    class Bare(ClaudeProcess):
        def __init__(self):
            self.process_id = "bare"

    agent("echo fine")
    bare, fine = run_parallel([Bare(), make()])
    assert bare.stderr == ("Parallel execution exception: 'Bare' object has no attribute 'timeout'")
    assert fine.output == "fine\n"


def test_a_subclass_that_overrides_run_is_asked(make):
    class Canned(ClaudeProcess):
        def run(self):
            return done(self.process_id, "canned")

    assert run_parallel([make(kind=Canned)])[0].output == "canned"


def test_run_patched_on_the_class_is_asked(make, monkeypatch):
    monkeypatch.setattr(ClaudeProcess, "run", lambda self: done(self.process_id, "patched"))
    assert [r.output for r in run_parallel([make()])] == ["patched"]


def test_run_patched_on_the_instance_is_asked(make):
    process = make()
    process.run = lambda: done("p1", "patched")
    assert [r.output for r in run_parallel([process])] == ["patched"]


@pytest.mark.parametrize("where", ["class", "instance", "subclass"])
def test_a_patched_inner_method_counts(agent, make, monkeypatch, where):
    other = agent("echo other", name="other")

    def command(_self=None):
        return [str(other)]

    kind = ClaudeProcess
    if where == "subclass":
        kind = type("Sub", (ClaudeProcess,), {"_build_command": command})
    process = make(kind=kind)
    if where == "class":
        monkeypatch.setattr(ClaudeProcess, "_build_command", command)
    elif where == "instance":
        process._build_command = command
    assert [r.output for r in run_parallel([process])] == ["other\n"]
    assert process.run().output == "other\n"


def test_an_overridden_spawn_is_used(make, log, capsys):
    class Spawner(ClaudeProcess):
        def _spawn_process(self, _cmd, slave_fd):
            return super()._spawn_process(["sh", "-c", "read x; echo [$x]; echo e >&2"], slave_fd)

    [result] = run_parallel([make(kind=Spawner, timeout=10)])
    assert (result.exit_code, result.output, result.stderr) == (0, "[]\n", "e\n")
    assert "[]\n" in capsys.readouterr().out
    assert log()[0] == "Process: p1"
    assert "Completed with exit_code=0" in log()[-1]


@pytest.mark.parametrize(
    "name",
    [
        "log",
        "_build_command",
        "_spawn_process",
        "_start_threads",
        "_read_stream",
        "_feed_pty_stdin",
        "_wait_for_completion",
        "_setup_logging",
        "_cleanup",
    ],
)
@pytest.mark.parametrize("where", ["subclass", "class", "instance"])
def test_every_step_that_is_overridden_is_walked_through(agent, make, monkeypatch, name, where):
    calls = []
    original = getattr(ClaudeProcess, name)

    def step(self, *args, **options):
        calls.append(name)
        return original(self, *args, **options)

    kind = type("Sub", (ClaudeProcess,), {name: step} if where == "subclass" else {})
    process = make(kind=kind, stream_output=False)
    if where == "class":
        monkeypatch.setattr(ClaudeProcess, name, step)
    elif where == "instance":
        setattr(process, name, functools.partial(step, process))
    agent("echo out; echo err >&2")
    [result] = run_parallel([process])
    assert (result.exit_code, result.output, result.stderr) == (0, "out\n", "err\n")
    assert calls


def test_an_overridden_terminate_is_called_at_the_timeout(agent, make):
    class Polite(ClaudeProcess):
        def terminate(self):
            self.asked = True
            super().terminate()

    agent("exec sleep 60")
    process = make(kind=Polite, timeout=0.2)
    assert process.run().exit_code == -1
    assert process.asked


def test_a_mock_with_the_spec_of_a_process_works():
    mock = Mock(spec=ClaudeProcess)
    mock.process_id = "mock"
    mock.run.return_value = done("mock", "from a mock")
    assert run_parallel([mock, mock])[1].output == "from a mock"
    assert mock.run.call_count == 2


def test_a_spawn_that_returns_a_stand_in_for_a_child_works(make):
    class Lines:
        def __init__(self, *lines):
            self.readline = iter([*lines, ""]).__next__

    child = Mock(stdout=Lines("one\n", "two"), stderr=Lines("oops\n"), returncode=3)
    child.wait.return_value = child.poll.return_value = 3
    process = make()
    process._spawn_process = Mock(return_value=child)
    [result] = run_parallel([process])
    assert (result.exit_code, result.output, result.stderr) == (3, "one\ntwo", "oops\n")


def test_any_object_with_run_and_process_id_and_any_return_value():
    assert run_parallel([Fake("a", 17)]) == [17]
    assert run_parallel([Fake("a", None)]) == [None]


def test_a_generator_is_as_good_as_a_list(agent, make):
    agent("echo x")
    assert len(run_parallel(make("q", f"p{i}") for i in range(3))) == 3
    assert run_parallel(make() for _ in ()) == []


def test_an_exception_is_a_failed_result(agent, make):
    agent("echo fine")
    results = run_parallel([Fake("bad", RuntimeError("no luck")), make(process_id="good")])
    by_name = {r.process_id: r for r in results}
    assert by_name["bad"] == ProcessResult(
        exit_code=-1,
        output="",
        stderr="Parallel execution exception: no luck",
        duration=0.0,
        process_id="bad",
    )
    assert by_name["good"].output == "fine\n"


def test_a_log_folder_that_is_gone_fails_its_own_process_only(agent, make, tmp_path):
    agent("echo fine")
    lost = make(process_id="lost", log_dir=tmp_path / "lost")
    (tmp_path / "lost").rmdir()
    results = {r.process_id: r for r in run_parallel([lost, make()])}
    assert results["lost"].stderr.startswith("Parallel execution exception: [Errno 2]")
    assert results["p1"].output == "fine\n"
    with pytest.raises(FileNotFoundError):
        lost.run()


def test_system_exit_propagates(agent, make, tmp_path):
    agent("sleep 0.2; echo > finished")
    with pytest.raises(SystemExit, match="17"):
        run_parallel([Fake("out", SystemExit(17)), make()])
    assert (tmp_path / "work" / "finished").exists()


def test_calls_may_be_nested(agent, make):
    agent('echo "$3"')

    class Outer(Fake):
        def run(self):
            return run_parallel([make("in", "in1"), make("in", "in2")])

    [inner] = run_parallel([Outer("outer")])
    assert [r.output for r in inner] == ["in\n", "in\n"]


def test_calls_from_several_threads_do_not_mix(agent, make):
    agent('echo "$3"')
    outputs = {}

    def call(name):
        processes = [make(name, f"{name}{i}") for i in range(5)]
        outputs[name] = [r.output for r in run_parallel(processes, max_workers=2)]

    threads = [threading.Thread(target=call, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert outputs == {name: [f"{name}\n"] * 5 for name in "abcd"}


def test_a_call_works_inside_a_running_event_loop(agent, make):
    agent("echo inside")

    async def main():
        blocking = run_parallel([make()])
        elsewhere = await asyncio.to_thread(run_parallel, [make(process_id="p2")])
        return blocking + elsewhere

    assert [r.output for r in asyncio.run(main())] == ["inside\n", "inside\n"]


def test_foreign_objects_and_processes_share_the_limit(agent, make):
    busy, most = [], []

    class Counting(Fake):
        def run(self):
            busy.append(1)
            most.append(len(busy))
            time.sleep(0.02)
            busy.pop()

    agent("exit 0")
    jobs = [Counting(f"f{i}") if i % 2 else make(process_id=f"p{i}") for i in range(12)]
    assert len(run_parallel(jobs, max_workers=2)) == 12
    assert max(most) <= 2


def test_the_same_process_may_be_given_twice(agent, make):
    agent("echo again")
    process = make()
    assert [r.output for r in run_parallel([process, process])] == ["again\n"] * 2


# 10. Limits.


@pytest.mark.parametrize("wrong", [0, -1, math.nan])
def test_a_limit_below_one_is_a_value_error(make, wrong):
    with pytest.raises(ValueError, match="max_workers must be greater than 0"):
        run_parallel([make()], max_workers=wrong)
    with pytest.raises(ValueError, match="batch_size must be greater than 0"):
        run_batched([make()], batch_size=wrong)


def test_an_exception_that_cannot_say_what_it_is_loses_no_batch(agent, make):
    class MuteError(RuntimeError):
        def __str__(self):
            message = "not even this"
            raise ValueError(message)

    class Fails(ClaudeProcess):
        def run(self):
            raise MuteError

    agent("echo fine")
    results = run_parallel([make(), make(process_id="p2", kind=Fails)])
    assert {r.process_id: r.exit_code for r in results} == {"p1": 0, "p2": -1}
    (failed,) = (r for r in results if r.exit_code)
    assert failed.stderr == "Parallel execution exception: MuteError"


@pytest.mark.parametrize("wrong", [-1, math.inf, Decimal(-1), Fraction(-1, 2)])
def test_a_time_limit_that_no_clock_can_keep_is_a_value_error(make, wrong):
    with pytest.raises(ValueError, match="timeout must be a finite number of seconds"):
        run_parallel([make(timeout=wrong)])


def test_an_empty_list_never_raises():
    assert run_parallel([], max_workers=0) == []
    assert run_batched([], batch_size=0) == []
    assert run_sequential([]) == []


# 12. Passing output on.


def test_a_sequence_passes_on_all_earlier_output_of_failures_too(agent, make):
    agent('printf "<%s>" "$3"; case "$3" in *bad*) exit 1; esac')
    processes = [make("bad", "p1"), make("two", "p2"), make("three", "p3")]
    results = run_sequential(processes, pass_output=True)
    assert [r.exit_code for r in results] == [1, 1, 1]
    second = "\n\n--- Previous output ---\n<bad>\n\n--- New task ---\ntwo"
    third = f"\n\n--- Previous output ---\n<bad><{second}>\n\n--- New task ---\nthree"
    assert [p.prompt for p in processes] == ["bad", second, third]
    assert results[2].output == f"<{third}>"


def test_a_sequence_passes_nothing_on_unless_asked(agent, make):
    agent('echo "$3"')
    results = run_sequential([make("one"), make("two")])
    assert [r.output for r in results] == ["one\n", "two\n"]


def test_a_sequence_stops_at_a_failure_if_asked(agent, make, log):
    agent('exit "$3"')
    processes = [make("0", "p1"), make("3", "p2"), make("0", "p3")]
    assert [r.exit_code for r in run_sequential(processes)] == [0, 3, 0]
    assert [r.exit_code for r in run_sequential(processes, stop_on_failure=True)] == [0, 3]
    assert log("p2")[-1].endswith(
        "[WARNING] [p2] Stopping sequential execution due to failure (exit_code=3)"
    )


def test_batches_pass_on_successes_joined_within_and_not_between(agent, make):
    agent('sleep "0.$4" ; case "$3" in *bad*) echo no; exit 1; esac; printf "%s" "$5"')

    class Worded(ClaudeProcess):
        def run(self):
            word = self.prompt.rsplit("\n", 1)[-1]
            code = 1 if word == "bad" else 0
            return done(self.process_id, f"out of {word}", code)

    words = ["a", "bad", "b", "c", "d"]
    processes = [make(word, f"p{i}", kind=Worded) for i, word in enumerate(words)]
    results = run_batched(processes, batch_size=2, pass_output=True)
    assert len(results) == 5
    head, tail = "\n\n--- Previous batch output ---\n", "\n\n--- New task ---\n"
    assert processes[2].prompt == f"{head}out of a{tail}b"
    last = {
        f"{head}out of a{join}{tail}d" for join in ("out of b\n\nout of c", "out of c\n\nout of b")
    }
    assert processes[4].prompt in last


def test_a_batch_ends_before_the_next_begins(agent, make):
    agent('ls; touch "$3"; sleep 0.1')
    results = run_batched([make(str(i), f"p{i}") for i in range(4)], batch_size=2)
    assert {tuple(r.output.split()) for r in results[2:]} >= {("0", "1")}


# 13. Exceptions and fallbacks.


def test_exceptions_pass_through_the_helpers_that_run_in_turn():
    with pytest.raises(RuntimeError, match="no luck"):
        run_sequential([Fake("a", RuntimeError("no luck"))])
    failing = Fake("a", RuntimeError("no luck"))
    failing.log = lambda *_args, **_options: None
    with pytest.raises(RuntimeError, match="no luck"):
        run_with_fallback([failing])


def test_fallback_returns_the_first_success(agent, make, log):
    agent('exit "$3"')
    processes = [make("2", "p1"), make("0", "p2"), make("0", "p3")]
    result = run_with_fallback(processes)
    assert (result.process_id, result.exit_code) == ("p2", 0)
    assert not processes[2]._start_time
    assert "Process failed (exit_code=2), trying next fallback" in log("p1")[-1]
    assert "Process succeeded, skipping remaining fallbacks" in log("p2")[-1]


def test_fallback_changes_the_timeout_and_the_last_error_in_place(agent, make):
    agent('echo "broken $3" >&2; exit 4')
    processes = [make("one", "p1", timeout=99), make("two", "p2")]
    result = run_with_fallback(processes, timeout=30)
    assert [p.timeout for p in processes] == [30, 30]
    assert result.stderr == "All 2 fallback attempts failed. Last error: broken two\n"
    assert result.exit_code == 4


def test_fallback_without_a_timeout_leaves_it(agent, make):
    agent("exit 0")
    process = make(timeout=99)
    run_with_fallback([process])
    assert process.timeout == 99


@pytest.mark.parametrize("kind", [list, iter])
def test_fallback_needs_a_process(kind):
    with pytest.raises(ValueError, match="run_with_fallback requires at least one process"):
        run_with_fallback(kind([]))


def test_sequences_and_fallbacks_take_generators(agent, make):
    agent('echo "$3"; exit 4')
    assert len(run_sequential(make() for _ in range(2))) == 2
    result = run_with_fallback(make("q", f"p{i}") for i in range(3))
    assert result.stderr == "All 3 fallback attempts failed. Last error: "
    assert result.process_id == "p2"
