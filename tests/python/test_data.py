"""COMPATIBILITY 11 and 14: results, sessions and what is kept in them."""

import copy
import dataclasses
import inspect
import pickle
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import orchestration
from orchestration import ClaudeProcess, OrchestratorSession, ProcessResult

FIELDS = ["exit_code", "output", "stderr", "duration", "process_id"]

# 11. Results.


@pytest.fixture
def result(agent, make):
    agent("echo out; echo err >&2")
    return make(stream_output=False).run()


@pytest.fixture
def twin(result):
    """The same result, made by hand from a copy that was not read."""
    return ProcessResult(
        exit_code=0, output="out\n", stderr="err\n", duration=result.duration, process_id="p1"
    )


def test_a_result_equals_one_made_by_hand(result, twin):
    assert result == twin
    assert twin == result
    assert result != dataclasses.replace(twin, output="")


def test_a_result_is_a_dataclass(result):
    assert dataclasses.is_dataclass(result)
    assert [field.name for field in dataclasses.fields(ProcessResult)] == FIELDS
    assert ProcessResult.__match_args__ == tuple(FIELDS)
    with pytest.raises(TypeError, match="exit_code"):
        ProcessResult()


def test_a_result_reads_like_one_made_by_hand(result, twin):
    assert repr(result) == repr(twin)
    assert repr(twin).startswith("ProcessResult(exit_code=0, output='out\\n', stderr='err\\n', ")


def test_vars_are_the_fields_in_order(result, twin):
    assert list(vars(result).items()) == list(vars(twin).items())
    assert list(result.__dict__) == FIELDS
    assert type(vars(result)) is dict


def test_vars_after_one_field_was_read(result, twin):
    assert result.stderr == "err\n"
    assert list(vars(result).items()) == list(vars(twin).items())


def test_asdict_and_replace(result, twin):
    assert dataclasses.asdict(result) == dataclasses.asdict(twin)
    assert dataclasses.replace(result, exit_code=3).output == "out\n"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_results_pickle(result, twin, protocol):
    loaded = pickle.loads(pickle.dumps(result, protocol))
    assert loaded == twin
    assert vars(loaded) == vars(twin)


def test_results_copy(result, twin):
    assert copy.copy(result) == copy.deepcopy(result) == twin


def test_fields_may_be_assigned_before_they_are_read(result):
    result.output = "mine"
    result.note = "free attributes"
    assert (result.output, result.stderr, result.note) == ("mine", "err\n", "free attributes")
    assert list(vars(result)) == [*FIELDS, "note"]


def test_fields_may_be_deleted_before_they_are_read(result):
    del result.output
    with pytest.raises(AttributeError, match="output"):
        _ = result.output
    assert result.stderr == "err\n"


def test_the_dictionary_may_be_written_to_and_replaced(result):
    vars(result)["output"] = "written"
    assert result.output == "written"
    result.__dict__ = {"output": "replaced"}
    assert result.output == "replaced"
    with pytest.raises(AttributeError, match="stderr"):
        _ = result.stderr


def test_a_result_has_no_hash(result):
    with pytest.raises(TypeError, match="unhashable"):
        hash(result)


def test_a_name_that_is_no_field_is_an_attribute_error(result):
    with pytest.raises(AttributeError, match="'ProcessResult' object has no attribute 'nope'"):
        _ = result.nope
    assert not hasattr(ProcessResult, "output")


def test_results_can_be_inherited_from(result):
    @dataclasses.dataclass
    class Scored(ProcessResult):
        score: int = 0

    scored = Scored(**vars(result), score=3)
    assert scored.output == "out\n"
    assert scored != result
    assert dataclasses.asdict(scored)["score"] == 3


def test_a_match_statement_sees_the_fields(result):
    match result:
        case ProcessResult(0, output):
            assert output == "out\n"


def test_processes_pickle_and_copy(agent, make):
    agent("echo ran")
    process = make(model="m", timeout=5)
    for twin in (pickle.loads(pickle.dumps(process)), copy.copy(process), copy.deepcopy(process)):
        assert vars(twin) == vars(process)
        assert twin.run().output == "ran\n"
    process.run()
    assert copy.deepcopy(process).run().output == "ran\n"


def test_the_attributes_of_a_process_are_those_that_programs_know(make):
    assert list(inspect.signature(ClaudeProcess).parameters) == [
        "prompt",
        "process_id",
        "working_dir",
        "log_dir",
        "model",
        "stream_output",
        "timeout",
    ]
    known = {"_process": None, "_master_fd": None, "_stdout_lines": [], "_stderr_lines": []}
    assert vars(make()).items() >= known.items()


# 14. Sessions.


def test_ids_and_the_count_are_those_of_processes_without_a_name(tmp_path):
    session = OrchestratorSession("demo", tmp_path)
    named = session.create_process("q", "mine")
    first, second = session.create_process("q"), session.create_process("q")
    assert [p.process_id for p in (named, first, second)] == ["mine", "process_001", "process_002"]
    assert session.summarize().splitlines() == [
        "Session Summary:",
        f"  ID: {session.session_id}",
        "  Pattern: demo",
        f"  Working Dir: {tmp_path}",
        f"  Log Dir: {session.log_dir}",
        "  Processes Created: 2",
    ]


def test_an_empty_model_is_not_replaced_by_the_sessions(tmp_path):
    session = OrchestratorSession("demo", tmp_path, model="big")
    assert session.create_process("q").model == "big"
    process = session.create_process("q", model="")
    assert process.model == ""
    assert "--model" not in process._build_command()


def test_the_log_of_a_session(tmp_path, capsys):
    session = OrchestratorSession("demo", tmp_path)
    session.log("hello", level="WARNING")
    lines = session.get_session_log_path().read_text().splitlines()
    assert lines[:5] == [
        f"Session ID: {session.session_id}",
        "Pattern: demo",
        f"Working Directory: {tmp_path}",
        f"Log Directory: {session.log_dir}",
        "Model: default",
    ]
    assert re.fullmatch(r"Started: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", lines[5])
    assert lines[6] == "-" * 80
    assert re.fullmatch(r"\[\d\d:\d\d:\d\d\] \[WARNING\] hello", lines[7])
    assert capsys.readouterr().out == f"[SESSION] {lines[7]}\n"


def test_the_folders_of_a_session(tmp_path, monkeypatch):
    session = OrchestratorSession("demo", tmp_path)
    assert re.fullmatch(r"demo_\d+", session.session_id)
    assert session.log_dir == tmp_path / ".claude" / "runtime" / "logs" / session.session_id
    assert session.get_process_log_path("p") == session.log_dir / "p.log"
    elsewhere = OrchestratorSession("demo", tmp_path, base_log_dir=tmp_path / "deep" / "logs")
    assert elsewhere.log_dir.parent == tmp_path / "deep" / "logs"
    monkeypatch.chdir(tmp_path)
    assert OrchestratorSession("demo").working_dir == Path.cwd()


def test_a_process_of_a_session_takes_what_it_is_given(tmp_path):
    session = OrchestratorSession("demo", tmp_path)
    process = session.create_process("q", "id", "m", stream_output=False, timeout=7)
    assert (process.working_dir, process.log_dir) == (tmp_path, session.log_dir)
    assert (process.model, process.stream_output, process.timeout) == ("m", False, 7)


def test_sessions_of_one_name_in_one_second_share_nothing(tmp_path):
    sessions = [OrchestratorSession("demo", tmp_path) for _ in range(5)]
    assert len({s.session_id for s in sessions}) == len({s.log_dir for s in sessions}) == 5
    assert all(re.fullmatch(r"demo_\d+", s.session_id) for s in sessions)


# The package.


def test_every_public_name_is_there():
    assert set(orchestration.__all__) < set(dir(orchestration))
    for name in orchestration.__all__:
        assert getattr(orchestration, name) is not None
    for name in ("claude_process", "execution", "session"):
        assert inspect.ismodule(getattr(orchestration, name))
    with pytest.raises(AttributeError, match="module 'orchestration' has no attribute 'nope'"):
        _ = orchestration.nope


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys; before = set(sys.modules); import orchestration\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-I", "-c", code]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    light = {"importlib", "importlib._bootstrap", "importlib._bootstrap_external", "warnings"}
    assert set(loaded) <= {"orchestration", *light}


def test_what_types_say_can_be_looked_up():
    assert typing.get_type_hints(ClaudeProcess.__init__)["working_dir"] is Path
    for helper in ("run_parallel", "run_sequential", "run_with_fallback", "run_batched"):
        assert "return" in typing.get_type_hints(getattr(orchestration, helper))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("PlanError", 3),
        ("ValidationError", 4),
        ("ForgeError", 5),
        ("EngineError", 9),
        ("UsageError", 64),
    ],
)
def test_exceptions_form_one_tree_with_exit_codes(name, code):
    kind = getattr(orchestration, name)
    assert issubclass(kind, orchestration.OrchestrationError)
    error = kind("what happened")
    assert (error.exit_code, error.hint, str(error)) == (code, "", "what happened")
    assert pickle.loads(pickle.dumps(error)).exit_code == code
