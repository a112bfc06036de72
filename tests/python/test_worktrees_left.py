"""What an agent has done to its worktree, and what is said and done about it."""

import json

from command import Place


def diagnostic(place: Place) -> str:
    texts = [path.read_text(encoding="utf-8") for path in place.runtime.glob("forge/issues/*.md")]
    (text,) = [text for text in texts if "kind=diagnostic" in text]
    return text


def test_a_worktree_that_its_agent_deleted_is_not_said_to_be_kept(place: Place):
    agent = place.agent('cat >/dev/null; cd /; rm -rf "$WORKING_DIR"')
    done = place.run(place.plan("Add cart"), "--agent", agent)
    assert done.code == 2
    text = diagnostic(place)
    assert "the agent deleted its worktree" in text
    assert "was kept" not in text
    assert "what was committed is on the branch `feat/local-" in text
    assert place.run("plan.md", "--retry", "--agent", "sh -c 'cat >b.txt'").code == 0


def test_a_retry_brings_a_worktree_back_to_the_branch_that_its_agent_left(place: Place):
    leaves = "cat >/dev/null; git checkout -qb elsewhere; echo a >a.txt; git add .; git commit -qmA"
    done = place.run(place.plan("Add cart"), "--agent", place.agent(leaves))
    assert done.code == 2
    assert "the agent left its branch" in diagnostic(place)
    again = place.run("plan.md", "--retry", "--agent", "sh -c 'cat >b.txt'")
    assert again.code == 0, again.out + again.err
    branch = place.summary()["tasks"][0]["branch"]  # type: ignore[index]
    assert place.git("ls-tree", "--name-only", branch).split() == ["README.md", "b.txt"]
    assert "a.txt" in place.git("ls-tree", "--name-only", "elsewhere")


def test_work_that_no_branch_holds_is_left_for_a_person_to_judge(place: Place):
    leaves = "cat >/dev/null; git checkout -qb elsewhere; echo a >a.txt"
    assert place.run(place.plan("Add cart"), "--agent", place.agent(leaves)).code == 2
    again = place.run("plan.md", "--retry", "--agent", "sh -c 'cat >b.txt'")
    assert again.code == 2
    error = place.summary()["tasks"][0]["error"]  # type: ignore[index]
    assert "put it back with: git -C" in json.dumps(error)
    (worktree,) = (place.root.parent / "shop.worktrees").iterdir()
    assert (worktree / "a.txt").read_text(encoding="utf-8") == "a\n"
