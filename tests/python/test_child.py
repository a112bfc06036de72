"""COMPATIBILITY 1 to 5: how the child is started, fed and ended."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from orchestration import ClaudeProcess, run_parallel
from orchestration.claude_process import DELEGATE_COMMANDS

# 1. Standard input.


def test_standard_input_is_a_terminal(agent, make):
    agent("test -t 0 && echo yes")
    assert make().run().output == "yes\n"


def test_questions_are_answered_with_empty_lines(agent, make):
    agent('read a; read b; echo "[$a][$b]"')
    assert make(timeout=10).run().output == "[][]\n"


def test_end_of_file_never_comes(agent, make):
    agent("exec cat > /dev/null")
    result = make(timeout=0.5).run()
    assert result.exit_code == -1


def test_a_child_that_loops_over_its_input_does_not_spin(agent, make):
    agent("while read line; do echo tick; done")
    result = make(timeout=1.05, stream_output=False).run()
    assert 1 <= result.output.count("tick") <= 12


def test_a_prompt_of_128_kib_comes_through_standard_input(agent, make):
    agent('[ ! -t 0 ] && printf "%s " "$@" && wc -c')
    result = make("x" * 128 * 1024, model="m").run()
    assert result.output.split() == [
        "--dangerously-skip-permissions",
        "-p",
        "--model",
        "m",
        "131072",
    ]


def test_the_longest_prompt_that_fits_is_an_argument(agent, make):
    agent('[ -t 0 ] && printf "%s" "$3" | wc -c')
    assert make("x" * (128 * 1024 - 1)).run().output.split() == ["131071"]


@pytest.mark.parametrize("model", [[], ["--model", "best"]], ids=["default", "model"])
def test_a_long_prompt_for_copilot_comes_without_its_p(agent, make, monkeypatch, model):
    agent('echo "$@"; wc -c', name="amplihack")
    monkeypatch.setenv("AMPLIHACK_DELEGATE", "amplihack copilot")
    result = make("é" * 70_000, model=model[-1] if model else None).run()
    assert result.output.split() == ["copilot", "--", "--allow-all-tools", *model, "140000"]


def test_a_long_prompt_also_comes_through_standard_input_where_a_step_is_overridden(agent, make):
    class Own(ClaudeProcess):
        def _cleanup(self):
            super()._cleanup()

    agent('echo "$@"; wc -c')
    result = make("é" * 70_000, kind=Own).run()
    assert result.output.split() == ["--dangerously-skip-permissions", "-p", "140000"]


# 2. How it ends.


def test_death_by_signal_is_minus_its_number(agent, make):
    agent("kill -USR1 $$")
    assert make().run().exit_code == -signal.SIGUSR1


def test_an_exit_code_is_kept(agent, make):
    agent("exit 37")
    assert make().run().exit_code == 37


def test_a_timeout_is_minus_one_and_keeps_the_output(agent, make):
    agent("echo before; exec sleep 60")
    result = make(timeout=0.3).run()
    assert (result.exit_code, result.output) == (-1, "before\n")
    assert 0.3 <= result.duration < 2


@pytest.mark.parametrize("none", [0, None, 0.0])
def test_a_timeout_of_zero_or_none_is_none(agent, make, none):
    agent("sleep 0.1")
    assert make(timeout=none).run().exit_code == 0


@pytest.mark.parametrize("wrong", [-1, -0.5, float("nan"), float("inf")])
def test_a_timeout_that_no_clock_can_keep_is_a_value_error(agent, make, wrong):
    agent("echo never")
    with pytest.raises(ValueError, match="timeout must be"):
        make(timeout=wrong)
    process = make()
    process.timeout = wrong
    with pytest.raises(ValueError, match="timeout must be"):
        process.run()
    with pytest.raises(ValueError, match="timeout must be"):
        run_parallel([process])


def test_a_missing_executable_is_a_result(make, log):
    result = make().run()
    assert (result.exit_code, result.output) == (-1, "")
    assert result.stderr == "[Errno 2] No such file or directory: 'claude'"
    assert log()[-1].endswith(f"[ERROR] [p1] Fatal error: {result.stderr}")


def test_a_missing_folder_is_a_result(agent, make, tmp_path):
    agent("echo never")
    result = make(working_dir=tmp_path / "gone").run()
    assert result.exit_code == -1
    assert "No such file or directory" in result.stderr
    assert "gone" in result.stderr


def test_a_file_that_may_not_be_executed_is_a_result(agent, make):
    agent("echo never").chmod(0o600)
    result = make().run()
    assert result.exit_code == -1
    assert result.stderr == "[Errno 13] Permission denied: 'claude'"


def test_a_nul_in_the_prompt_is_a_result(agent, make):
    agent("echo never")
    result = make("a\0b").run()
    assert (result.exit_code, result.output, result.stderr) == (-1, "", "embedded null byte")


def test_a_nul_in_a_prompt_too_long_for_an_argument_is_a_result(agent, make):
    agent("echo never")
    result = make("a\0b" * 70_000).run()
    assert (result.exit_code, result.output, result.stderr) == (-1, "", "embedded null byte")


def test_a_timeout_beyond_all_numbers_is_a_result(agent, make):
    agent("echo never")
    assert make(timeout=10**400).run().exit_code == -1


KERNEL = tuple(int(number) for number in os.uname().release.split("-")[0].split(".")[:2])


@pytest.mark.skipif(
    sys.platform != "linux" or KERNEL < (6, 15),
    reason="this system forgets how children ended whose status somebody else took",
)
@pytest.mark.parametrize(("end", "code"), [("exit 3", 3), ("kill -USR1 $$", -signal.SIGUSR1)])
def test_a_program_that_ignores_sigchld_learns_how_agents_end(agent, make, end, code):
    agent(f"sleep 0.1; {end}")
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert make().run().exit_code == code
    finally:
        signal.signal(signal.SIGCHLD, before)


# 3. What it inherits.


def test_no_descriptor_reaches_the_child(agent, make):
    agent("ls /proc/self/fd | wc -l")
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    try:
        # The three streams and the one with which `ls` reads the folder.
        assert make().run().output.strip() == "4"
    finally:
        os.close(reader)
        os.close(writer)


def test_sigpipe_is_at_its_default_in_the_child(agent, make):
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN
    agent("grep SigIgn /proc/self/status")
    ignored = int(make().run().output.split()[1], 16)
    assert not ignored & (1 << (signal.SIGPIPE - 1))


def test_no_signal_is_blocked_in_the_child(agent, make):
    agent("grep SigBlk /proc/self/status")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        assert int(make().run().output.split()[1], 16) in (0, 1 << (signal.SIGUSR2 - 1))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})


# 4. What is read when.


def test_everything_is_read_when_run_is_called(agent, make, monkeypatch, tmp_path):
    process = make("old", timeout=0.001)
    agent('echo "$3 $4 $5 $VALUE $PWD"')
    monkeypatch.setenv("VALUE", "late")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    process.prompt, process.model, process.timeout = "new", "m", None
    process.working_dir = elsewhere
    assert process.run().output == f"new --model m late {elsewhere}\n"
    monkeypatch.setenv("PATH", "/nowhere")
    assert process.run().exit_code == -1


def test_the_delegate_is_read_when_run_is_called(agent, make, monkeypatch):
    agent('echo "$1"', name="amplihack")
    process = make()
    monkeypatch.setenv("AMPLIHACK_DELEGATE", "amplihack amplifier")
    assert process.run().output == "amplifier\n"


def test_in_parallel_each_reads_the_environment_when_its_turn_comes(agent, make, monkeypatch):
    agent('echo "$VALUE"')

    class Setter:
        process_id = "setter"

        def run(self):
            os.environ["VALUE"] = "set on the way"
            return "done"

    monkeypatch.setenv("VALUE", "before")
    results = run_parallel([make(), Setter(), make()], max_workers=1)
    assert [getattr(r, "output", r) for r in results] == ["before\n", "done", "set on the way\n"]


def test_the_environment_passes_whole(agent, make, monkeypatch):
    agent('echo "$GITHUB_TOKEN $ANTHROPIC_API_KEY"')
    monkeypatch.setenv("GITHUB_TOKEN", "t1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k2")
    assert make().run().output == "t1 k2\n"


def test_the_environment_may_hold_bytes_that_are_not_utf8(agent, make, monkeypatch):
    agent('printf %s "$ODD" | od -An -tx1')
    monkeypatch.setenv("ODD", os.fsdecode(b"a\xff\xfe"))
    assert make().run().output.split() == ["61", "ff", "fe"]


def test_an_environment_that_was_replaced_is_the_one_that_counts(agent, make, monkeypatch):
    agent('echo "$VALUE$HOME"')
    patched = {"PATH": os.environ["PATH"], "VALUE": "x", "AMPLIHACK_DELEGATE": "amplihack claude"}
    monkeypatch.setattr(os, "environ", patched)
    assert make().run().output == "x\n"


def test_no_working_dir_is_the_programs_own(agent, make, monkeypatch, tmp_path):
    agent("pwd")
    monkeypatch.chdir(tmp_path)
    assert make(working_dir=None).run().output == f"{tmp_path}\n"


def test_plain_strings_and_integers_work(agent, make, tmp_path):
    agent("pwd")
    process = make("p", 7, working_dir=str(tmp_path), log_dir=str(tmp_path / "s" / "logs"))
    result = process.run()
    assert (result.process_id, result.output) == (7, f"{tmp_path}\n")
    assert (tmp_path / "s" / "logs" / "7.log").exists()


# 5. Delegates.


@pytest.mark.parametrize(
    ("delegate", "words"),
    [
        ("amplihack claude", ["claude", "--dangerously-skip-permissions", "-p", "q"]),
        ("amplihack copilot", ["amplihack", "copilot", "--", "--allow-all-tools", "-p", "q"]),
        (
            "amplihack amplifier",
            ["amplihack", "amplifier", "--dangerously-skip-permissions", "-p", "q"],
        ),
    ],
)
def test_delegates_and_their_commands(make, monkeypatch, delegate, words):
    monkeypatch.setenv("AMPLIHACK_DELEGATE", delegate)
    assert make("q")._build_command() == words
    assert make("q", model="m")._build_command() == [*words, "--model", "m"]
    assert make("q", model="")._build_command() == words
    assert words[: len(DELEGATE_COMMANDS[delegate])] == DELEGATE_COMMANDS[delegate]


def test_an_empty_delegate_counts_as_unknown_and_warns(make, monkeypatch):
    monkeypatch.setenv("AMPLIHACK_DELEGATE", "")
    with pytest.warns(UserWarning, match="AMPLIHACK_DELEGATE") as caught:
        assert make()._build_command()[0] == "claude"
    assert str(caught[0].message) == (
        "Unrecognised AMPLIHACK_DELEGATE=''. Known delegates: ['amplihack claude', "
        "'amplihack copilot', 'amplihack amplifier']. Falling back to 'claude'."
    )


def test_an_unset_delegate_warns_and_means_claude(agent, make, monkeypatch):
    agent("echo ran")
    monkeypatch.delenv("AMPLIHACK_DELEGATE")
    with pytest.warns(UserWarning, match="AMPLIHACK_DELEGATE") as caught:
        assert make().run().output == "ran\n"
    assert str(caught[0].message) == (
        "AMPLIHACK_DELEGATE not set — defaulting to 'claude'. "
        "Set AMPLIHACK_DELEGATE (e.g. 'amplihack claude') to select the agent."
    )
    # Programs filter it by the module in which it was always raised.
    assert caught[0].filename == sys.modules[ClaudeProcess.__module__].__file__


def test_a_warning_turned_into_an_error_is_a_failed_result(agent, make, monkeypatch, log):
    agent("echo never")
    monkeypatch.delenv("AMPLIHACK_DELEGATE")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = make().run()
    assert result.exit_code == -1
    assert result.stderr.startswith("AMPLIHACK_DELEGATE not set")
    # No header was written yet, so the lines before it are still there.
    assert [line.split("] ", 3)[3].split(":")[0] for line in log()] == [
        "Starting process with timeout=Nones",
        "Fatal error",
    ]


def test_a_delegate_added_by_the_program_counts(agent, make, monkeypatch):
    agent('echo "$@"', name="other")
    monkeypatch.setitem(DELEGATE_COMMANDS, "mine", ["other", "--flag"])
    monkeypatch.setenv("AMPLIHACK_DELEGATE", "mine")
    assert make("q").run().output == "--flag --dangerously-skip-permissions -p q\n"


# 15. What programs call besides.


def test_spawn_process_returns_a_popen(agent, make):
    agent("echo out; echo err >&2")
    process = make()
    master, slave = os.openpty()
    child = process._spawn_process(process._build_command(), slave_fd=slave)
    os.close(slave)
    assert isinstance(child, subprocess.Popen)
    assert child.communicate(timeout=10) == ("out\n", "err\n")
    os.close(master)


@pytest.mark.parametrize("when", ["before", "after"])
def test_terminate_does_nothing_where_nothing_runs(agent, make, capsys, when):
    agent("exit 0")
    process = make(stream_output=False)
    if when == "after":
        process.run()
    capsys.readouterr()
    process.terminate()
    assert capsys.readouterr().out == ""


def test_terminate_ends_a_running_process_from_another_thread(agent, make, log, tmp_path):
    agent("echo > ready; exec sleep 60")
    process = make()
    results = []
    thread = threading.Thread(target=lambda: results.append(process.run()))
    thread.start()
    while not (tmp_path / "work" / "ready").exists():
        time.sleep(0.01)
    process.terminate()
    thread.join(5)
    assert results[0].exit_code == -signal.SIGTERM
    messages = [line.split("] ", 3)[-1] for line in log()]
    assert messages[4] == "Terminating process"
    assert messages[-1].startswith("Completed with exit_code=-15 in ")


def test_claude_process_can_be_imported_flat(agent, tmp_path):
    agent("echo flat")
    folder = str(Path(sys.modules[ClaudeProcess.__module__].__file__).parent)
    code = (
        f"import sys; sys.path.insert(0, {folder!r})\n"
        "from claude_process import ClaudeProcess, DELEGATE_COMMANDS\n"
        f"from pathlib import Path; p = Path({str(tmp_path)!r})\n"
        "result = ClaudeProcess('q', 'p', p, p, stream_output=False).run()\n"
        "assert result.output == 'flat\\n', result\n"
        "assert type(result).__module__ == 'claude_process'\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=30)
