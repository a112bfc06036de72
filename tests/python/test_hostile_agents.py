"""Agents that hold a secret and write it wherever an agent can write.

Every secret is made up. How an agent came by it is not asked: it runs as its user.
"""

import json
from pathlib import Path

import pytest
from command import WORKS, Outcome, Place
from hostile import assert_harmless_output, assert_nowhere, objects
from on_github import REPOSITORY, Shop

SECRETS = {
    "GITHUB_TOKEN": "canary-of-github-token-4f1c",
    "GH_ENTERPRISE_TOKEN": "canary-of-enterprise-token-88ab",
    "GITHUB_ENTERPRISE_TOKEN": "canary-of-another-enterprise-7d21",
    "ANTHROPIC_API_KEY": "sk-ant-" + "c4n4ry" * 5,
    "DEPLOY_PASSWORD": "canary-of-deploy-password-90ee",
}
"""What the command's environment holds besides GitHub's own token."""

OF_FORGES = ("GH_TOKEN", "GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")

SAYS = r"""
cat >/dev/null
say() { printf '%s\n' "$*"; printf '%s\n' "$*" >&2; }
for secret in $(cat "$HOME/secrets"); do
    say "plain $secret"
    printf '\033[1m%s\033[0m%s\n' "$(echo $secret | cut -c 1-9)" "$(echo $secret | cut -c 10-)"
    say "{\"key\": \"$secret\"}"
    printf '%0110d %s\n' 0 "$secret"
    printf '{"current_stage": "Using %s", "progress_percentage": 50}' "$secret" >.agent_status.json
    sleep 0.02
    printf '{"current_stage": "%0100d %s"}' 0 "$secret" >.agent_status.json
    sleep 0.02
    git config "branch.$BRANCH_NAME.description" "ask $secret" && git config --unset-all \
        "branch.$BRANCH_NAME.description"
done
rm .agent_status.json
"""
"""Prints them, cut apart by colours and at the end of a long line too, and claims them."""


def plant(place: Place) -> list[str]:
    """Puts the secrets into the command's environment and where the agent finds them."""
    place.environment |= SECRETS
    secrets = [*SECRETS.values()]
    if "GH_TOKEN" in place.environment:
        secrets.append(place.environment["GH_TOKEN"])
    (place.root.parent / "secrets").write_text("\n".join(secrets), encoding="utf-8")
    return secrets


def forget(place: Place) -> None:
    """Removes the file that the agent read."""
    (place.root.parent / "secrets").unlink()


@pytest.fixture
def careful(shop: Shop) -> Shop:
    """A clone whose configuration holds no token: git asks a helper for it."""
    place = shop.place
    place.git("remote", "set-url", "origin", shop.github.clone_url(REPOSITORY))
    helper = '!f() { echo username=x; echo "password=$GH_TOKEN"; }; f'
    place.git("config", "credential.helper", helper)
    return shop


def assert_told_without_secrets(shop: Shop, done: Outcome, secrets: list[str]) -> None:
    forget(shop.place)
    assert_harmless_output(done)
    bodies = [request.path for request in shop.github.requests]
    assert_nowhere(secrets, shop.place, done.out, done.err, json.dumps(shop.state), bodies)


def test_a_secret_that_an_agent_says_is_written_down_nowhere(careful: Shop) -> None:
    shop = careful
    secrets = plant(shop.place)
    master = shop.issue("Add cart", "Add till")
    # The second one fails, so that there is a diagnostic issue.
    agent = shop.place.agent(f'{SAYS}\necho done >$AGENT_ID.txt\ntest "$AGENT_ID" = agent-1')
    done = shop.run(str(master), "--agent", agent, "--output", "json")
    assert done.code == 2, done.err
    assert len(shop.state["pulls"]) == 1
    (diagnostic,) = shop.issues("diagnostic")
    assert "plain [redacted]" in diagnostic["body"]
    assert_told_without_secrets(shop, done, secrets)


def test_no_token_of_a_forge_is_in_an_agents_environment(careful: Shop, tmp_path: Path) -> None:
    shop = careful
    plant(shop.place)
    shown = tmp_path / "environment"
    agent = shop.place.agent(f"env >>'{shown}'; {WORKS}")
    setup = ("--setup", f"env >>'{shown}'", "--verify", f"env >>'{shown}'")
    done = shop.run(str(shop.issue("Add cart")), "--agent", agent, *setup)
    assert done.code == 0, done.err
    text = shown.read_text(encoding="utf-8")
    assert text.count("BRANCH_NAME=") == 3, "agent, setup and verify"
    assert SECRETS["ANTHROPIC_API_KEY"] in text, "its own key is an agent's to have"
    for name in OF_FORGES:
        assert f"{name}=" not in text
        assert shop.place.environment[name] not in text


COMMITS = """
cat >/dev/null
secret=$(head -n 1 "$HOME/secrets")
case $AGENT_ID in
agent-1) echo "key = $secret" >settings.ini ;;
agent-2) echo x >x; git add x; git commit --quiet --message "Use $secret" ;;
agent-3) echo "$secret" >x; git add x; git commit --quiet --message a
    echo y >x; git commit --quiet --all --message b ;;
agent-4) echo x >"$secret" ;;
esac
"""
"""Publish it: in a file, in a message, in a commit that the next one undoes, in a name."""


def test_a_secret_that_an_agent_commits_is_not_published(careful: Shop) -> None:
    shop = careful
    (secret, *_) = plant(shop.place)
    master = shop.issue("Add cart", "Add till", "Add shelf", "Add door")
    done = shop.run(str(master), "--agent", shop.place.agent(COMMITS), "--output", "json")
    forget(shop.place)
    assert done.code == 2, done.err
    tasks = shop.place.summary()["tasks"]
    reasons = [str(task["error"]) for task in tasks]
    for reason in reasons:
        assert reason.startswith("VALIDATION_ERROR: not pushed: "), reason
        assert "take it out" in reason
    assert "settings.ini in commit" in reasons[0]
    assert "the message in commit" in reasons[1]
    assert set(shop.state["branches"]) == {"main"}
    told = [done.out, done.err, json.dumps(shop.state), everything_written(shop)]
    assert not [text for text in told if secret in text]


def everything_written(shop: Shop) -> str:
    """What lies in our folder, and what the remote's repository holds."""
    files = [path for path in shop.place.runtime.rglob("*") if path.is_file()]
    files += [path for path in shop.github.folder.rglob("*") if path.is_file()]
    texts = [path.read_bytes().decode("utf-8", "replace") for path in files]
    return "\n".join([*texts, objects(shop.github.git_folder(REPOSITORY))])
