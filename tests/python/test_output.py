"""COMPATIBILITY 6 to 8: what becomes of output, and what is logged."""

import calendar
import contextlib
import io
import re
import sys
import time

import pytest

from orchestration import ClaudeProcess, run_parallel

TIME = r"\[\d\d:\d\d:\d\d\]"

# 6. Newlines.


def test_output_has_universal_newlines(agent, make):
    agent(r"printf 'a\r\nb\rc\nd\r'; printf 'e\r\n' >&2")
    result = make(stream_output=False).run()
    assert (result.output, result.stderr) == ("a\nb\nc\nd\n", "e\n")


def test_mirrored_output_has_universal_newlines_too(agent, make, capsys):
    agent(r"printf 'a\r\nb\rc\r'; sleep 0.1; printf '\nd\r'")
    make().run()
    assert "a\nb\nc\nd\n" in capsys.readouterr().out


def test_output_outlives_the_log(agent, make, tmp_path):
    agent("echo out; echo err >&2")
    result = make(stream_output=False).run()
    (tmp_path / "logs" / "p1.log").write_text("gone")
    (tmp_path / "logs" / "p1.log").unlink()
    assert (result.output, result.stderr) == ("out\n", "err\n")


def test_output_survives_an_agent_that_deletes_the_log_folder(agent, make, tmp_path):
    agent(f"echo out; rm -r '{tmp_path}/logs'")
    assert make().run().output == "out\n"


# 7. Mirroring.


class Recorder:
    """Nothing but `write` and `flush`."""

    def __init__(self):
        self.calls = []

    def write(self, text):
        self.calls.append(text)

    def flush(self):
        self.calls.append(None)


def test_only_write_and_flush_are_assumed_and_lines_come_one_by_one(agent, make, monkeypatch):
    agent(r"printf 'one\ntwo\nthr'; printf 'ee'; echo four >&2")
    out, err = Recorder(), Recorder()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    make().run()
    for line in ("one\n", "two\n", "three"):
        assert out.calls[out.calls.index(line) + 1] is None
    assert err.calls == ["four\n", None]


def test_lines_that_end_with_a_carriage_return_come_one_by_one(agent, make, monkeypatch):
    agent(r"printf '10%%\r20'; while [ ! -e seen ]; do sleep 0.01; done; printf '%%\r'")

    class Watcher(Recorder):
        def write(self, text):
            super().write(text)
            if text == "10%\n":
                (process.working_dir / "seen").touch()

    out = Watcher()
    process = make(timeout=10)
    monkeypatch.setattr(sys, "stdout", out)
    assert process.run().output == "10%\n20%\n"
    assert out.calls.index("20%\n") == out.calls.index("10%\n") + 2


def test_signs_cut_by_a_pause_are_mirrored_whole(agent, make, monkeypatch):
    pieces = [b"a\r", b"\nb\xc3", b"\xa9\n\xf0\x9f", b"\x98\x80\xf0\x9f\n", b"\xffc\r"]
    body = "import os, time\nfor piece in {}:\n    os.write(1, piece); time.sleep(0.02)"
    agent(body.format(pieces), python=True)
    out = Recorder()
    monkeypatch.setattr(sys, "stdout", out)
    whole = "a\nb\u00e9\n\U0001f600\ufffd\n\ufffdc\n"
    assert make().run().output == whole
    assert whole in "".join(text for text in out.calls if text)


def test_streams_are_looked_up_when_run_is_called(agent, make):
    agent("echo out; echo err >&2")
    process = make()
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        run_parallel([process])
    assert "out\n" in out.getvalue()
    assert err.getvalue() == "err\n"


def test_without_streaming_only_log_lines_are_printed(agent, make, capsys):
    agent("echo quiet; echo err >&2")
    process = make(stream_output=False)
    process.run()
    process.log("heard")
    captured = capsys.readouterr()
    assert "quiet\n" not in captured.out
    assert captured.out.endswith("[INFO] [p1] heard\n")
    assert captured.err == ""


def test_log_takes_any_object(make, log, capsys):
    process = make()
    process.log({"a": 1}, level="WARNING")
    process.log(None)
    assert re.fullmatch(rf"{TIME} \[WARNING\] \[p1\] {{'a': 1}}", log()[0])
    assert re.fullmatch(rf"{TIME} \[INFO\] \[p1\] None", log()[1])
    assert capsys.readouterr().out.splitlines() == log()


@pytest.mark.parametrize("broken", ["closed", "missing", "raising"])
def test_a_stream_that_fails_does_not_harm_the_run(agent, make, monkeypatch, broken):
    class Raising:
        def write(self, text):
            raise OSError(text)

        flush = None

    stream = {"closed": io.StringIO(), "missing": None, "raising": Raising()}[broken]
    if broken == "closed":
        stream.close()
    agent("echo one; echo two; echo err >&2")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    result = make().run()
    assert (result.exit_code, result.output, result.stderr) == (0, "one\ntwo\n", "err\n")


def test_a_line_longer_than_any_buffer_is_mirrored_whole(agent, make, capsys):
    agent("head -c 300000 /dev/zero | tr '\\0' x; echo; echo end")
    result = make().run()
    assert result.output == "x" * 300_000 + "\nend\n"
    assert "x" * 300_000 + "\nend\n" in capsys.readouterr().out


def test_letters_cut_by_a_buffer_are_mirrored_whole(agent, make, capsys):
    agent("for i in 1 2 3 4 5 6 7 8; do head -c 30001 /dev/zero | sed 's/\\x00/é/g'; done; echo")
    result = make().run()
    assert result.output == "é" * 240_008 + "\n"
    assert result.output in capsys.readouterr().out


# 8. Logs.


def test_the_log_has_its_header_first_and_completed_last(agent, make, log, capsys):
    agent("echo out; echo oops >&2; exit 3")
    make("p" * 200, timeout=9).run()
    lines = log()
    assert lines[0] == "Process: p1"
    assert re.fullmatch(r"Started: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", lines[1])
    assert lines[2] == f"Prompt: {'p' * 100}..."
    assert lines[3] == "-" * 80
    assert re.fullmatch(rf"{TIME} \[WARNING\] \[p1\] stderr: oops", lines[4])
    assert lines[5] == "..."
    assert re.fullmatch(rf"{TIME} \[INFO\] \[p1\] Completed with exit_code=3 in 0\.\ds", lines[6])
    assert len(lines) == 7
    printed = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"{TIME} \[INFO\] \[p1\] Starting process with timeout=9s", printed[0])
    assert re.fullmatch(
        rf'{TIME} \[INFO\] \[p1\] Command: claude --dangerously-skip-permissions -p "\.\.\."',
        printed[1],
    )
    assert printed[2] == "out"
    assert printed[-3:] == lines[4:]


def test_times_in_the_log_are_local(agent, make, log, monkeypatch):
    agent("exit 0")
    monkeypatch.setenv("TZ", "XXX-7:30")
    time.tzset()
    try:
        begin = time.mktime(time.localtime()) - 1
        make().run()
    finally:
        monkeypatch.undo()
        time.tzset()
    started = calendar.timegm(time.strptime(log()[1], "Started: %Y-%m-%d %H:%M:%S"))
    assert 0 <= started - 7.5 * 3600 - begin < 10


def test_the_log_of_a_timeout_tells_it(agent, make, log):
    agent("trap '' TERM; while :; do sleep 0.05; done")
    make(timeout=0.2).run()
    assert [line.split("] ", 3)[-1].split(" in ")[0] for line in log()[4:]] == [
        "Timeout (0.2s) expired, terminating",
        "Terminating process",
        "Process did not terminate, killing",
        "Completed with exit_code=-1",
    ]


def test_a_second_run_begins_the_log_anew(agent, make, log):
    agent("exit 0")
    process = make()
    process.run()
    process.run()
    assert [line.startswith("Process: ") for line in log()].count(True) == 1
    assert len(log()) == 5


def test_an_overridden_log_gets_every_message(agent, make):
    class Quiet(ClaudeProcess):
        def log(self, msg, level="INFO"):
            self.seen.append((level, msg))

    agent("echo err >&2")
    process = make(kind=Quiet, timeout=9)
    process.seen = []
    [result] = run_parallel([process])
    assert result.exit_code == 0
    assert process.seen[:3] == [
        ("INFO", "Starting process with timeout=9s"),
        ("INFO", 'Command: claude --dangerously-skip-permissions -p "..."'),
        ("WARNING", "stderr: err\n..."),
    ]
    assert process.seen[3][1].startswith("Completed with exit_code=0 in ")
    assert len(process.seen) == 4
