"""Requests and answers against GitHub's own description.

The description is the slice in `tests/fixtures/github`. Validators are compiled once for the
program. Whoever runs the fake by hand may lack `jsonschema`; `AVAILABLE` says whether it is there.
"""

import json
import re
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

try:
    import jsonschema
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT4

    AVAILABLE = True
except ImportError:  # run by hand, with nothing installed
    AVAILABLE = False

SLICE = Path(__file__).parents[2] / "fixtures" / "github" / "openapi.json"
NAME = "urn:github"
# What any request may be answered with, described for it or not.
ANYWHERE = {301, 302, 307, 400, 401, 403, 404, 410, 422, 429, 500, 502, 503}
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
API_VERSIONS = ("2022-11-28", "2026-03-10")


@cache
def description():
    return nullable_as_type(json.loads(SLICE.read_text()))


def nullable_as_type(node):
    """OpenAPI's `nullable` in JSON Schema's words."""
    if isinstance(node, list):
        return [nullable_as_type(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: nullable_as_type(value) for key, value in node.items()}
    if node.pop("nullable", None) is not True:
        return node
    if "enum" in node and None not in node["enum"]:
        node["enum"] = [*node["enum"], None]
    if isinstance(node.get("type"), str):
        node["type"] = [node["type"], "null"]
        return node
    return {"anyOf": [node, {"type": "null"}]}


@cache
def tools():
    """The registry with all schemas, and a checker of the formats that matter here."""
    schemas = {"components": description()["components"]}
    resource = Resource.from_contents(schemas, default_specification=DRAFT4)
    formats = jsonschema.FormatChecker(formats=())

    @formats.checks("date-time")
    def _(value):
        return not isinstance(value, str) or DATE_TIME.fullmatch(value) is not None

    @formats.checks("uri")
    def _(value):
        return not isinstance(value, str) or bool(urlsplit(value).scheme)

    return Registry().with_resource(NAME, resource), formats


@cache
def validator(pointer):
    """The validator of the schema at a pointer into the description, as a tuple of keys."""
    schema = description()
    for key in pointer:
        schema = schema[key]
    registry, formats = tools()
    return jsonschema.Draft4Validator(absolute(schema), registry=registry, format_checker=formats)


def absolute(node):
    """The same schema with references that hold wherever it stands."""
    if isinstance(node, list):
        return [absolute(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: NAME + value if key == "$ref" and isinstance(value, str) else absolute(value)
        for key, value in node.items()
    }


def problems(pointer, value):
    """What is wrong with a value, one line each."""
    found = []
    for error in validator(pointer).iter_errors(value):
        where = "/".join(map(str, error.absolute_path)) or "it"
        found.append(f"{where}: {error.message[:300]}")
    return found


def resolved(pointer):
    """The pointer behind a reference."""
    node = description()
    for key in pointer:
        node = node[key]
    return tuple(node["$ref"].lstrip("#/").split("/")) if "$ref" in node else pointer


def at(pointer):
    node = description()
    for key in pointer:
        node = node[key]
    return node


@cache
def query_parameters(method, template):
    """The pointers to the schemas of an operation's query parameters, by name."""
    operation = ("paths", template, method.lower())
    found = {}
    for index in range(len(at(operation).get("parameters", []))):
        # A list's index is a key as good as any.
        pointer = resolved((*operation, "parameters", index))
        if at(pointer)["in"] == "query":
            found[at(pointer)["name"]] = (*pointer, "schema")
    return found


def of_request(call):
    """What in a request GitHub's description knows nothing of, or forbids."""
    found = []
    version = call.headers.get("X-GitHub-Api-Version")
    if version not in (None, *API_VERSIONS):
        found.append(f"there is no API version {version!r}")
    described = query_parameters(call.method, call.route.template)
    for name, value in call.query.items():
        if name not in described:
            found.append(f"query: there is no parameter {name!r}")
        else:
            wrong = problems(described[name], typed(value, at(described[name])))
            found += [f"query {name}: {problem}" for problem in wrong]
    return found + of_body(call)


def typed(value, schema):
    """A value from a query string as the type that its schema asks for."""
    if schema.get("type") == "integer" and re.fullmatch(r"-?\d+", value):
        return int(value)
    return value


def of_body(call):
    operation = ("paths", call.route.template, call.method.lower())
    if "requestBody" not in at(operation):
        return [] if call.body is None else ["a body where none belongs"]
    pointer = (*operation, "requestBody", "content", "application/json", "schema")
    found = [f"body: {problem}" for problem in problems(pointer, call.body)]
    schema = at(pointer)
    known = {
        name for part in (schema, *schema.get("oneOf", [])) for name in part.get("properties", {})
    }
    unknown = set(call.body) - known if isinstance(call.body, dict) else ()
    return found + [f"body: there is no property {name!r}" for name in sorted(unknown)]


def of_answer(method, template, answer):
    """Where an answer of the fake is none that GitHub would give."""
    responses = ("paths", template, method.lower(), "responses")
    status = str(answer.status)
    if status in at(responses):
        pointer = resolved((*responses, status))
        content = at(pointer).get("content", {})
        if "application/json" not in content:
            return [] if answer.body is None else ["a body where none belongs"]
        return problems((*pointer, "content", "application/json", "schema"), answer.body)
    if answer.status in ANYWHERE:
        return problems(("components", "schemas", "basic-error"), answer.body)
    return [f"{method} {template} is never answered with {status}"]
