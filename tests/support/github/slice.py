"""Cut GitHub's description of its API down to what the fake answers.

    npm pack @octokit/openapi && tar -xzf octokit-openapi-*.tgz
    python tests/support/github/slice.py package tests/fixtures/github

Keeps paths, parameters and schemas; leaves out prose and examples.
"""

import json
import shutil
import sys
from pathlib import Path

REPOSITORY = "/repos/{owner}/{repo}"
OPERATIONS = {
    "/user": ["get"],
    "/rate_limit": ["get"],
    REPOSITORY: ["get"],
    REPOSITORY + "/collaborators/{username}/permission": ["get"],
    REPOSITORY + "/issues": ["get", "post"],
    REPOSITORY + "/issues/comments/{comment_id}": ["get", "patch"],
    REPOSITORY + "/issues/{issue_number}": ["get", "patch"],
    REPOSITORY + "/issues/{issue_number}/comments": ["get", "post"],
    REPOSITORY + "/issues/{issue_number}/labels": ["post"],
    REPOSITORY + "/issues/{issue_number}/parent": ["get"],
    REPOSITORY + "/issues/{issue_number}/sub_issues": ["get", "post"],
    REPOSITORY + "/pulls": ["get", "post"],
    REPOSITORY + "/pulls/{pull_number}": ["get", "patch"],
}
PROSE = {"description", "summary", "title", "example", "examples", "externalDocs", "tags"}
# Maps from names to schemas and the like: a name in them is no keyword, whatever it says.
NAMED = {"properties", "responses", "headers", "content"}


def main(package, target):
    described = json.loads((package / "generated" / "api.github.com.json").read_text())
    version = json.loads((package / "package.json").read_text())["version"]
    target.mkdir(parents=True, exist_ok=True)
    text = json.dumps(sliced(described, version), indent=1, sort_keys=True)
    (target / "openapi.json").write_text(text + "\n")
    shutil.copy(package / "LICENSE", target / "LICENSE")


def sliced(described, version):
    paths = {
        path: {method: bare(described["paths"][path][method]) for method in methods}
        for path, methods in OPERATIONS.items()
    }
    components = {}
    wanted = list(references(paths))
    while wanted:
        _, _, kind, name = wanted.pop().split("/")
        if name not in components.setdefault(kind, {}):
            components[kind][name] = bare(described["components"][kind][name])
            wanted += references(components[kind][name])
    return {
        "openapi": described["openapi"],
        "info": {"title": "A slice of @octokit/openapi", "version": version},
        "paths": paths,
        "components": components,
    }


def bare(node, *, named=False):
    """The same without prose, and without GitHub's own extensions."""
    if isinstance(node, list):
        return [bare(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: bare(value, named=not named and key in NAMED)
        for key, value in node.items()
        if named or not (key in PROSE or key.startswith("x-"))
    }


def references(node):
    """Every `$ref` below a node."""
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from references(value)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
