"""What tests of the patterns share: a scripted `claude` that knows from its prompt who it is."""

import json

import pytest

AGENT = """
import json, pathlib, sys, time

prompt = sys.argv[sys.argv.index("-p") + 1]
for name, part in json.loads(pathlib.Path({script!r}).read_text()).items():
    if part["when"] in prompt:
        break
else:
    sys.exit("nobody is scripted for this: " + prompt)
pathlib.Path(name + ".prompt").write_text(prompt)
deadline = time.monotonic() + 10
for other in part["after"]:
    while not pathlib.Path(other + ".done").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
if part["after"]:
    time.sleep(0.05)  # what the others printed has been read and their ends are known
print(part["says"])
pathlib.Path(name + ".done").touch()
sys.exit(part["exits"])
"""


class Script:
    """Who says what. The first part counts whose `when` stands in the prompt."""

    def __init__(self, file, work):
        self.work = work
        self._file = file
        self._parts = {}

    def part(self, name, when, says="", *, exits=0, after=()):
        """Add an agent: it answers once those in `after` have, and ends with the code `exits`."""
        self._parts[name] = {"when": when, "says": says, "exits": exits, "after": list(after)}
        self._file.write_text(json.dumps(self._parts))
        return self

    def prompt(self, name):
        """What the agent of that name was asked."""
        return (self.work / f"{name}.prompt").read_text()

    def ran(self):
        """Who was asked at all."""
        return {path.stem for path in self.work.glob("*.prompt")}


@pytest.fixture
def script(agent, tmp_path):
    """A scripted `claude`, on the PATH, for agents that work in `tmp_path / "work"`."""
    file = tmp_path / "script.json"
    file.write_text("{}")
    agent(AGENT.format(script=str(file)), python=True)
    return Script(file, tmp_path / "work")
