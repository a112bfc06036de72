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
except ImportError:  # run by hand, with nothing installed
    jsonschema = None

AVAILABLE = jsonschema is not None
SLICE = Path(__file__).parents[2] / "fixtures" / "github" / "openapi.json"
# What any request may be answered with, described for it or not.
ANYWHERE = {301, 302, 307, 400, 401, 403, 404, 410, 422, 429, 500, 502, 503}
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
API_VERSIONS = ("2022-11-28", "2026-03-10")


@cache
def description():
    """The slice in JSON Schema's words, with what is referred to in the place of references.

    That is stored once and stands in many places; there are no circles.
    """
    read = json.loads(SLICE.read_text())
    known = {}

    def translated(node):
        if isinstance(node, list):
            return [translated(item) for item in node]
        if not isinstance(node, dict):
            return node
        if isinstance(node.get("$ref"), str):
            return referred(node["$ref"])
        return nullable_as_type({key: translated(value) for key, value in node.items()})

    def referred(reference):
        if reference not in known:
            _, _, kind, name = reference.split("/")
            known[reference] = translated(read["components"][kind][name])
        return known[reference]

    return translated(read)


def nullable_as_type(schema):
    """OpenAPI's `nullable` in JSON Schema's words."""
    if schema.pop("nullable", None) is not True:
        return schema
    if "enum" in schema and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    if isinstance(schema.get("type"), str):
        return schema | {"type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def at(*keys):
    """What stands in the description below these keys."""
    node = description()
    for key in keys:
        node = node[key]
    return node


@cache
def formats():
    """A checker of the formats that matter here."""
    checker = jsonschema.FormatChecker(formats=())

    @checker.checks("date-time")
    def _(value):
        return not isinstance(value, str) or DATE_TIME.fullmatch(value) is not None

    @checker.checks("uri")
    def _(value):
        return not isinstance(value, str) or bool(urlsplit(value).scheme)

    return checker


@cache
def validator(*keys):
    return jsonschema.Draft4Validator(at(*keys), format_checker=formats())


def problems(keys, value):
    """What is wrong with a value by the schema below these keys, one line each."""
    found = []
    for error in validator(*keys).iter_errors(value):
        where = "/".join(map(str, error.absolute_path)) or "it"
        found.append(f"{where}: {error.message[:300]}")
    return found


def of_request(call):
    """What in a request GitHub's description knows nothing of, or forbids."""
    found = []
    version = call.headers.get("X-GitHub-Api-Version")
    if version not in (None, *API_VERSIONS):
        found.append(f"there is no API version {version!r}")
    operation = ("paths", call.route.template, call.method.lower())
    return found + of_query(operation, call.query) + of_body(operation, call.body)


def of_query(operation, query):
    found = []
    described = {
        parameter["name"]: (*operation, "parameters", place, "schema")
        for place, parameter in enumerate(at(*operation).get("parameters", []))
        if parameter["in"] == "query"
    }
    for name, value in query.items():
        if name not in described:
            found.append(f"query: there is no parameter {name!r}")
            continue
        keys = described[name]
        integer = at(*keys).get("type") == "integer" and re.fullmatch(r"-?\d+", value)
        wrong = problems(keys, int(value) if integer else value)
        found += [f"query {name}: {problem}" for problem in wrong]
    return found


def of_body(operation, body):
    if "requestBody" not in at(*operation):
        return [] if body is None else ["a body where none belongs"]
    keys = (*operation, "requestBody", "content", "application/json", "schema")
    found = [f"body: {problem}" for problem in problems(keys, body)]
    schema = at(*keys)
    known = {
        name for part in (schema, *schema.get("oneOf", [])) for name in part.get("properties", {})
    }
    unknown = set(body) - known if isinstance(body, dict) else ()
    return found + [f"body: there is no property {name!r}" for name in sorted(unknown)]


def of_answer(method, template, answer):
    """Where an answer of the fake is none that GitHub would give."""
    responses = ("paths", template, method.lower(), "responses")
    status = str(answer.status)
    if status in at(*responses):
        if "application/json" not in at(*responses, status).get("content", {}):
            return [] if answer.body is None else ["a body where none belongs"]
        keys = (*responses, status, "content", "application/json", "schema")
        return problems(keys, answer.body)
    if answer.status in ANYWHERE:
        return problems(("components", "schemas", "basic-error"), answer.body)
    return [f"{method} {template} is never answered with {status}"]
