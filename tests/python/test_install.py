"""The verb `install`: what it writes where, what it leaves alone, and how amplihack leads here."""

import hashlib
import json
import pickle
import re
import resource
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import on_amplihack
import pytest
from command import Outcome, Place, refused
from on_amplihack import THEIRS

import orchestration
from orchestration import ProcessResult

COMMAND = ".claude/commands/amplihack/parallel-orchestrate.md"
SKILL = ".claude/skills/parallel-task-orchestrator/SKILL.md"


def on_a_full_disk(place: Place, *arguments: str) -> Outcome:
    """The command where no file can grow; even root cannot help that."""
    command = place.start(
        "install",
        *arguments,
        before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )
    out, err = command.communicate(timeout=30)
    return Outcome(command.returncode, out, err)


def contents(folder: Path) -> dict[str, tuple[bytes, int, float]]:
    """Every file with its bytes, rights and time, except what Python compiled."""
    return {
        str(path.relative_to(folder)): (
            path.read_bytes(),
            path.stat().st_mode,
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def reseal(text: str) -> str:
    """The text as an older version of the package would have written it."""
    rest = re.sub(r"# written by [^\n]+\n", "", text).replace("Parallel", "Older parallel")
    digest = hashlib.sha256(rest.encode()).hexdigest()
    seal = f"# written by parallel-orchestrate install, sha256 {digest}\n"
    return rest.replace("\n---\n", f"\n{seal}---\n", 1)


class TestCommand:
    def test_the_command_and_its_skill_stand_in_the_root_of_the_repository(
        self, place: Place
    ) -> None:
        below = place.root / "src" / "deep"
        below.mkdir(parents=True)
        done = place.run("install", cwd=below)
        assert done.code == 0, done.err
        assert done.out.splitlines() == [
            f"written: {place.root / COMMAND}",
            f"written: {place.root / SKILL}",
        ]
        text = (place.root / COMMAND).read_text(encoding="utf-8")
        assert text.startswith("---\nname: amplihack:parallel-orchestrate\nversion: 1.0.0\n")
        assert "$ARGUMENTS" in text
        head = text.split("\n---\n")[0]
        for key in ("description", "triggers", "invokes", "philosophy", "dependencies", "examples"):
            assert f"\n{key}:" in head
        assert f"path: {SKILL}" in head
        skill = (place.root / SKILL).read_text(encoding="utf-8")
        assert skill.startswith("---\nname: parallel-task-orchestrator\ndescription: ")

    def test_a_second_time_changes_nothing(self, place: Place) -> None:
        place.run("install")
        before = contents(place.root / ".claude")
        done = place.run("install")
        assert done.code == 0
        assert done.out == f"unchanged: {COMMAND}\nunchanged: {SKILL}\n"
        assert contents(place.root / ".claude") == before

    def test_check_says_what_is_missing_and_writes_nothing(self, place: Place) -> None:
        done = place.run("install", "--check")
        assert done.code == 1
        assert done.out == f"missing: {COMMAND}\nmissing: {SKILL}\n"
        assert done.err == "hint: bring them up to date with: parallel-orchestrate install\n"
        assert not (place.root / ".claude").exists()
        place.run("install")
        done = place.run("install", "--check")
        assert (done.code, done.out) == (0, f"same: {COMMAND}\nsame: {SKILL}\n")
        assert done.err == ""

    @pytest.mark.parametrize("where", [("--user",), ("--plugin", "my plugin"), ("--repo", ".")])
    def test_the_hint_of_check_is_what_it_takes(self, place: Place, where: tuple[str, ...]) -> None:
        checked = place.run("install", *where, "--check")
        assert checked.code == 1
        hint = checked.err.strip().removeprefix(
            "hint: bring them up to date with: parallel-orchestrate "
        )
        assert place.run(*shlex.split(hint)).code == 0
        assert place.run("install", *where, "--check").code == 0

    def test_a_changed_file_is_shown_and_kept_unless_forced(self, place: Place) -> None:
        place.run("install")
        (place.root / SKILL).unlink()
        command = place.root / COMMAND
        mine = command.read_text(encoding="utf-8").replace("## 5. Watch", "## 5. My own way")
        command.write_text(mine, encoding="utf-8")

        checked = place.run("install", "--check")
        assert checked.code == 1
        assert f"changed: {COMMAND}" in checked.out
        assert "\n-## 5. My own way\n+## 5. Watch\n" in checked.out
        assert checked.err.endswith("parallel-orchestrate install --force\n")

        refused(place.run("install"), 9, str(command))
        assert command.read_text(encoding="utf-8") == mine
        assert not (place.root / SKILL).exists(), "all or nothing"

        forced = place.run("install", "--force")
        assert forced.out == f"updated: {COMMAND}\nwritten: {SKILL}\n"
        assert place.run("install", "--check").code == 0

    def test_a_file_that_was_never_ours_is_kept(self, place: Place) -> None:
        command = place.root / COMMAND
        command.parent.mkdir(parents=True)
        command.write_text("# My command\n", encoding="utf-8")
        refused(place.run("install"), 9, str(command))
        assert command.read_text(encoding="utf-8") == "# My command\n"

    def test_an_older_version_that_nobody_changed_is_brought_up_to_date(self, place: Place) -> None:
        place.run("install")
        command = place.root / COMMAND
        current = command.read_text(encoding="utf-8")
        command.write_text(reseal(current), encoding="utf-8")
        assert f"older: {COMMAND}" in place.run("install", "--check").out
        done = place.run("install")
        assert done.out == f"updated: {COMMAND}\nunchanged: {SKILL}\n"
        assert command.read_text(encoding="utf-8") == current

    def test_user_means_the_home_folder_and_needs_no_repository(
        self, place: Place, tmp_path: Path
    ) -> None:
        done = place.run("install", "--user", cwd=tmp_path)
        assert done.code == 0, done.err
        assert (tmp_path / COMMAND).is_file()
        assert (tmp_path / SKILL).is_file()
        assert not (place.root / ".claude").exists()

    def test_a_linked_file_is_written_where_it_leads(self, place: Place, tmp_path: Path) -> None:
        elsewhere = tmp_path / "dotfiles.md"
        (place.root / COMMAND).parent.mkdir(parents=True)
        (place.root / COMMAND).symlink_to(elsewhere)
        assert place.run("install").code == 0
        assert (place.root / COMMAND).is_symlink()
        assert "$ARGUMENTS" in elsewhere.read_text(encoding="utf-8")

    def test_outside_a_repository_the_way_out_is_named(self, place: Place, tmp_path: Path) -> None:
        done = place.run("install", cwd=tmp_path)
        refused(done, 9, "not a git repository")
        assert "--user" in done.err
        refused(place.run("install", "--repo", "nowhere"), 64, "no such folder")

    def test_a_full_disk_is_a_system_error_and_leaves_what_was_there(self, place: Place) -> None:
        refused(on_a_full_disk(place), 9, "cannot write", COMMAND)
        assert contents(place.root / ".claude") == {}
        place.run("install")
        (place.root / COMMAND).write_text("mine\n", encoding="utf-8")
        refused(on_a_full_disk(place, "--force"), 9, "cannot write", COMMAND)
        assert (place.root / COMMAND).read_text(encoding="utf-8") == "mine\n"

    def test_a_file_in_the_place_of_a_folder_is_a_system_error(self, place: Place) -> None:
        (place.root / ".claude").write_text("", encoding="utf-8")
        refused(place.run("install"), 9, str(place.root / COMMAND))

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--undo",),
            ("--plugin", "x", "--user"),
            ("--plugin", "x", "--amplihack"),
            ("--amplihack", "--undo", "--check"),
            ("extra",),
        ],
    )
    def test_what_makes_no_sense_is_a_usage_error(
        self, place: Place, arguments: tuple[str, ...]
    ) -> None:
        refused(place.run("install", *arguments), 64)
        assert not (place.root / ".claude").exists()


class TestPlugin:
    def test_it_is_laid_out_as_claude_code_looks_for_it(self, place: Place, tmp_path: Path) -> None:
        folder = tmp_path / "plugins" / "mine"
        done = place.run("install", "--plugin", str(folder))
        assert done.code == 0, done.err
        assert sorted(contents(folder)) == [
            ".claude-plugin/plugin.json",
            "commands/parallel-orchestrate.md",
            "skills/parallel-task-orchestrator/SKILL.md",
        ]
        manifest = json.loads((folder / ".claude-plugin/plugin.json").read_text(encoding="utf-8"))
        assert manifest["name"] == "amplihack", "the command's prefix"
        assert manifest["version"] == orchestration.__version__
        assert place.run("install", "--plugin", str(folder), "--check").code == 0

    def test_a_manifest_of_an_older_version_is_updated_and_a_changed_one_is_not(
        self, place: Place, tmp_path: Path
    ) -> None:
        place.run("install", "--plugin", str(tmp_path / "p"))
        manifest = tmp_path / "p" / ".claude-plugin" / "plugin.json"
        current = manifest.read_text(encoding="utf-8")
        manifest.write_text(current.replace(orchestration.__version__, "0.0.1"), encoding="utf-8")
        done = place.run("install", "--plugin", str(tmp_path / "p"))
        assert "updated: " in done.out
        assert manifest.read_text(encoding="utf-8") == current
        manifest.write_text(current.replace("MIT", "mine"), encoding="utf-8")
        refused(place.run("install", "--plugin", str(tmp_path / "p")), 9, "plugin.json")


@pytest.fixture
def theirs(place: Place) -> Path:
    """An imitation of amplihack's package, in the repository."""
    return on_amplihack.put(place.root)


def python(place: Place, program: str, *before: Path) -> str:
    """What a program prints that puts folders first on its path, as amplihack's programs do."""
    lines = ["import sys", *(f"sys.path.insert(0, {str(path)!r})" for path in before), program]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=place.root,
        env=place.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


OURS = str(Path(orchestration.__file__).parent)


class TestAmplihack:
    def test_the_imitation_hides_the_installed_package(self, place: Place, theirs: Path) -> None:
        program = "import orchestration; print(orchestration.WHOSE)"
        assert python(place, program, theirs.parent) == "theirs"

    def test_the_package_and_its_modules_are_ours(self, place: Place, theirs: Path) -> None:
        assert place.run("install", "--amplihack").code == 0
        program = """
import orchestration
from orchestration import ClaudeProcess, OrchestratorSession, run_parallel
from orchestration.claude_process import ClaudeProcess as Direct
import orchestration.execution, orchestration.session, orchestration.events
print(orchestration.__file__)
print(Direct is ClaudeProcess, orchestration.execution.run_parallel is run_parallel)
print(orchestration.session.__file__)
print(orchestration.__spec__.origin, orchestration.__version__)
"""
        package, same, session, origin = python(place, program, theirs.parent).splitlines()
        assert package == f"{OURS}/__init__.py"
        assert same == "True True"
        assert session == f"{OURS}/session.py"
        assert origin == f"{OURS}/__init__.py {orchestration.__version__}"

    def test_a_module_that_amplihack_alone_has_works_on_ours(
        self, place: Place, theirs: Path
    ) -> None:
        place.run("install", "--amplihack")
        program = """
import orchestration.patterns.jury as jury, orchestration.claude_process
print(jury.ProcessResult is orchestration.claude_process.ProcessResult)
print(jury.__file__)
"""
        same, path = python(place, program, theirs.parent).splitlines()
        assert same == "True"
        assert path == str(theirs / "patterns" / "jury.py")

    def test_the_patterns_are_ours(self, place: Place, theirs: Path) -> None:
        done = place.run("install", "--amplihack")
        assert "replaced: .claude/tools/amplihack/orchestration/patterns/debate.py" in done.out
        assert "cascade.py" not in done.out, "only what is there is replaced"
        program = """
from orchestration.patterns import run_cascade
from orchestration.patterns.debate import run_debate
from orchestration.patterns.expert_panel import VoteChoice
import orchestration
print(run_debate.__code__.co_filename)
print(orchestration.patterns.cascade.run_cascade is run_cascade)
"""
        path, same = python(place, program, theirs.parent).splitlines()
        assert path == f"{OURS}/patterns/debate.py"
        assert same == "True"

    @pytest.mark.parametrize("also", [True, False])
    def test_flat_imports_of_patterns_are_ours_too(
        self,
        place: Place,
        theirs: Path,
        also: bool,  # noqa: FBT001
    ) -> None:
        place.run("install", "--amplihack")
        program = """
from patterns.debate import run_debate
from patterns import expert_panel, run_cascade
import patterns.debate, orchestration.patterns
print(patterns.debate is orchestration.patterns.debate)
print(run_debate is orchestration.patterns.run_debate, run_debate.__code__.co_filename)
print(expert_panel.VoteChoice is orchestration.patterns.VoteChoice)
"""
        before = (theirs.parent, theirs) if also else (theirs,)
        printed = python(place, program, *before).splitlines()
        assert printed == ["True", f"True {OURS}/patterns/debate.py", "True"]

    def test_an_amplihack_without_patterns_gets_none_and_loses_none(
        self, place: Place, theirs: Path
    ) -> None:
        shutil.rmtree(theirs / "patterns")
        before = contents(theirs)
        assert place.run("install", "--amplihack").code == 0
        assert not (theirs / "patterns").exists()
        program = "from orchestration.patterns.debate import run_debate; print(run_debate.__name__)"
        assert python(place, program, theirs.parent) == "run_debate"
        place.run("install", "--amplihack", "--undo")
        assert contents(theirs) == before

    @pytest.mark.parametrize("also", [True, False])
    def test_flat_imports_are_ours_too(self, place: Place, theirs: Path, also: bool) -> None:  # noqa: FBT001
        place.run("install", "--amplihack")
        program = """
import claude_process, execution
from session import OrchestratorSession
import orchestration
print(claude_process.__file__, execution.run_parallel is orchestration.run_parallel)
print(OrchestratorSession is orchestration.OrchestratorSession)
"""
        before = (theirs.parent, theirs) if also else (theirs,)
        printed = python(place, program, *before)
        assert printed == f"{OURS}/claude_process.py True\nTrue"

    def test_below_another_package_they_are_the_same_objects(
        self, place: Place, theirs: Path
    ) -> None:
        place.run("install", "--amplihack")
        program = """
from amplihack.orchestration import ClaudeProcess, run_parallel
from amplihack.orchestration.claude_process import ClaudeProcess as Direct
from amplihack.orchestration.patterns import debate, jury
import orchestration.patterns
print(ClaudeProcess is Direct is orchestration.ClaudeProcess)
print(jury.run_parallel is run_parallel is orchestration.run_parallel)
print(debate is orchestration.patterns.debate)
"""
        assert python(place, program, theirs.parents[1]) == "True\nTrue\nTrue"

    def test_agents_run_through_it(self, place: Place, theirs: Path, agent) -> None:
        agent('echo "did it"')
        place.environment["PATH"] = f"{place.root.parent / 'bin'}:{place.environment['PATH']}"
        place.environment["AMPLIHACK_DELEGATE"] = "amplihack claude"
        agent('shift; exec claude "$@"', name="amplihack")
        place.run("install", "--amplihack")
        program = """
from orchestration import OrchestratorSession, run_parallel
session = OrchestratorSession("review")
agents = [session.create_process(f"Review {area}", timeout=20) for area in ("api", "docs")]
for result in run_parallel(agents, max_workers=2):
    print(result.exit_code, result.output.strip())
"""
        printed = python(place, program, theirs.parent).splitlines()
        assert [line for line in printed if line[:1].isdigit()] == ["0 did it"] * 2

    def test_the_command_works_from_such_a_path(self, place: Place, theirs: Path) -> None:
        place.environment["PYTHONPATH"] = str(theirs.parent)
        assert "No module named" in place.run("--version").err, "theirs has no command"
        del place.environment["PYTHONPATH"]
        place.run("install", "--amplihack")
        place.environment["PYTHONPATH"] = str(theirs.parent)
        assert orchestration.__version__ in place.run("--version").out
        assert place.run("install", "--amplihack", "--undo").code == 0

    def test_two_such_folders_on_the_path_do_not_lead_in_a_circle(
        self, place: Place, theirs: Path, tmp_path: Path
    ) -> None:
        other = tmp_path / "home" / "orchestration"
        for name in ("__init__.py", "claude_process.py", "execution.py", "session.py"):
            other.mkdir(parents=True, exist_ok=True)
            (other / name).write_text(THEIRS[name], encoding="utf-8")
        place.run("install", "--amplihack")
        assert place.run("install", "--amplihack", str(other)).code == 0
        program = "import orchestration; print(orchestration.__file__)"
        printed = python(place, program, theirs.parent, other.parent)
        assert printed == f"{OURS}/__init__.py"

    def test_results_travel_as_pickles_in_both_directions(
        self, place: Place, theirs: Path, tmp_path: Path
    ) -> None:
        place.run("install", "--amplihack")
        ours = ProcessResult(exit_code=3, output="é", stderr="", duration=0.5, process_id="p1")
        (tmp_path / "in").write_bytes(pickle.dumps(ours))
        program = f"""
import pickle, pathlib
from claude_process import ProcessResult
folder = pathlib.Path({str(tmp_path)!r})
result = pickle.loads((folder / "in").read_bytes())
assert type(result) is ProcessResult
(folder / "out").write_bytes(pickle.dumps(result))
"""
        python(place, program, theirs.parent, theirs)
        assert pickle.loads((tmp_path / "out").read_bytes()) == ours

    def test_where_the_package_is_not_installed_it_says_so(
        self, place: Place, theirs: Path
    ) -> None:
        place.run("install", "--amplihack")
        program = f"import sys; sys.path.insert(0, {str(theirs.parent)!r}); import orchestration"
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program],
            cwd=place.root,
            env=place.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert "amplihack-orchestration is not installed for" in done.stderr
        assert "--undo" in done.stderr

    def test_undo_restores_every_byte(self, place: Place, theirs: Path) -> None:
        before = contents(theirs)
        installed = place.run("install", "--amplihack")
        assert "backed up: " in installed.out
        assert "replaced: .claude/tools/amplihack/orchestration/__init__.py" in installed.out
        assert contents(theirs)["__init__.py"] != before["__init__.py"]
        undone = place.run("install", "--amplihack", "--undo")
        assert undone.code == 0, undone.err
        assert contents(theirs) == before
        program = "import orchestration; print(orchestration.WHOSE)"
        assert python(place, program, theirs.parent) == "theirs"
        refused(place.run("install", "--amplihack", "--undo"), 64, "nothing to undo")

    def test_a_second_time_keeps_the_backup(self, place: Place, theirs: Path) -> None:
        before = contents(theirs)
        place.run("install", "--amplihack")
        again = place.run("install", "--amplihack")
        assert {line.split(":")[0] for line in again.out.splitlines()} == {"unchanged"}
        place.run("install", "--amplihack", "--undo")
        assert contents(theirs) == before

    def test_check_tells_whether_it_leads_here(self, place: Place, theirs: Path) -> None:
        before = contents(theirs)
        checked = place.run("install", "--amplihack", "--check")
        assert checked.code == 1
        assert "changed: .claude/tools/amplihack/orchestration/session.py" in checked.out
        assert "with: parallel-orchestrate install --amplihack\n" in checked.err
        assert contents(theirs) == before
        place.run("install", "--amplihack")
        assert place.run("install", "--amplihack", "--check").code == 0

    def test_an_update_of_amplihack_is_replaced_and_comes_back_with_undo(
        self, place: Place, theirs: Path
    ) -> None:
        place.run("install", "--amplihack")
        (theirs / "session.py").write_text("NEWER = True\n", encoding="utf-8")
        done = place.run("install", "--amplihack")
        assert done.code == 0, done.err
        assert "replaced: .claude/tools/amplihack/orchestration/session.py" in done.out
        place.run("install", "--amplihack", "--undo")
        assert (theirs / "session.py").read_text(encoding="utf-8") == "NEWER = True\n"
        text = (theirs / "execution.py").read_text(encoding="utf-8")
        assert text == THEIRS["execution.py"]

    def test_undo_leaves_alone_what_amplihack_has_updated(self, place: Place, theirs: Path) -> None:
        place.run("install", "--amplihack")
        (theirs / "session.py").write_text("NEWER = True\n", encoding="utf-8")
        done = place.run("install", "--amplihack", "--undo")
        assert "left alone: .claude/tools/amplihack/orchestration/session.py" in done.out
        assert (theirs / "session.py").read_text(encoding="utf-8") == "NEWER = True\n"

    def test_a_re_export_that_somebody_changed_is_kept_unless_forced(
        self, place: Place, theirs: Path
    ) -> None:
        before = contents(theirs)
        place.run("install", "--amplihack")
        edited = theirs / "session.py"
        edited.write_text(edited.read_text(encoding="utf-8") + "X = 1\n", encoding="utf-8")
        refused(place.run("install", "--amplihack"), 9, "session.py")
        refused(place.run("install", "--amplihack", "--undo"), 9, "session.py")
        assert edited.read_text(encoding="utf-8").endswith("X = 1\n")
        assert place.run("install", "--amplihack", "--undo", "--force").code == 0
        assert contents(theirs) == before

    def test_the_folder_may_be_named_and_must_be_there(self, place: Place, theirs: Path) -> None:
        refused(place.run("install", "--amplihack", "src"), 64, "no package of amplihack")
        for path in (theirs, theirs.parent, place.root / ".claude", place.root):
            assert place.run("install", "--amplihack", str(path)).code == 0
            assert place.run("install", "--amplihack", str(path), "--undo").code == 0

    def test_where_no_backup_can_be_written_nothing_is_replaced(
        self, place: Place, theirs: Path
    ) -> None:
        before = contents(theirs)
        (theirs / ".replaced").write_text("", encoding="utf-8")
        refused(place.run("install", "--amplihack"), 9, ".replaced")
        (theirs / ".replaced").unlink()
        refused(on_a_full_disk(place, "--amplihack"), 9, "cannot write")
        assert contents(theirs) == before
