"""Operations of the API for its page: parameters, bodies with examples, and how to call them."""

import json
import keyword
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

_JSON = "application/json"
_TYPES = {"integer": "whole number", "number": "number", "boolean": "true or false"}
_VALUES = {
    "id": "3b1f6f7c7c1d",
    "name": "oven-too-hot",
    "definition": "oven-too-hot",
    "asset": "oven-1",
    "variable": "zone_2_temperature",
    "number": "2",
    "from": "1",
}
"""Values of parameters in examples; an instant where one is wanted, else the name in capitals."""
COMMON = ("401", "408", "411", "413", "429", "431", "500", "503")
"""Statuses that most operations can answer, for reasons of their own in none."""
_INSTANT = "2026-01-05T06:00:00Z"
Described = Mapping[str, Any]


class ParameterLine(NamedTuple):
    """A parameter of an operation, for people."""

    name: str
    sent_in: str
    type: str
    required: bool
    text: str


class BodyExample(NamedTuple):
    """A body that an operation takes: its content type, and an example where there is one."""

    type: str
    example: str


class OperationLine(NamedTuple):
    """An operation of the API, for people. `answers`: its own statuses; `fields`: of the answer;
    `curl`, `python`: calls of it."""

    name: str
    method: str
    path: str
    text: str
    parameters: tuple[ParameterLine, ...]
    bodies: tuple[BodyExample, ...]
    answers: tuple[tuple[str, str], ...]
    fields: tuple[str, ...]
    curl: str
    python: str


def by_subject(description: Described, base: str) -> dict[str, list[OperationLine]]:
    """Return the operations of the API by subject. `base`: the address of the console."""
    schemas = description["components"]["schemas"]
    found: dict[str, list[OperationLine]] = {}
    for path, operations in description["paths"].items():
        for method, content in operations.items():
            line = _line(method.upper(), path, content, schemas, base)
            found.setdefault(content["tags"][0], []).append(line)
    return dict(sorted(found.items()))


def _line(
    method: str, path: str, content: Described, schemas: Described, base: str
) -> OperationLine:
    parameters = content.get("parameters", ())
    bodies = tuple(_bodies(content, schemas))
    return OperationLine(
        content["operationId"],
        method,
        path,
        _plain(content.get("description", "")),
        tuple(map(_parameter, parameters)),
        bodies,
        tuple(one for one in answers_of(content) if one[0] not in COMMON),
        _fields(content, schemas),
        _curl(method, path, parameters, bodies, base),
        _python(content["operationId"], parameters, bodies),
    )


def common_answers(description: Described) -> dict[str, str]:
    """Return the statuses that most operations share, with their reasons."""
    operations = (one for path in description["paths"].values() for one in path.values())
    found = dict(answer for one in operations for answer in answers_of(one))
    return {code: found[code] for code in COMMON if code in found}


def answers_of(content: Described) -> list[tuple[str, str]]:
    """Return the statuses of an operation with their reasons."""
    return [
        (code, one["description"].replace("Successful Response", HTTPStatus(int(code)).phrase))
        for code, one in content["responses"].items()
    ]


def _plain(text: str) -> str:
    return " ".join(text.replace("`", "").split())


def _fields(content: Described, schemas: Described) -> tuple[str, ...]:
    """Return the names of the fields of a good answer, or of each item of a list."""
    good = {code: one for code, one in content["responses"].items() if code < "300"}
    name = re.search(r'schemas/(\w+)"', json.dumps(good))
    return tuple(schemas[name[1]].get("properties", ())) if name else ()


def _parameter(one: Described) -> ParameterLine:
    return ParameterLine(
        one["name"],
        one["in"],
        _type(one["schema"]),
        one.get("required", False),
        _plain(one.get("description", "")),
    )


def _type(schema: Described) -> str:
    if "anyOf" in schema:
        return _type(next(part for part in schema["anyOf"] if part.get("type") != "null"))
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"{_type(schema.get('items', {}))}, one or more"
    if schema.get("format") == "date-time":
        return "instant"
    return _TYPES.get(schema.get("type", ""), "text")


def _bodies(content: Described, schemas: Described) -> Iterator[BodyExample]:
    for type, part in content.get("requestBody", {}).get("content", {}).items():
        if type == _JSON:
            name = re.search(r"schemas/(\w+)", json.dumps(part["schema"]))
            examples = schemas[name[1]].get("examples", ()) if name else ()
            shown = json.dumps(examples[0], indent=2, ensure_ascii=False) if examples else ""
            yield BodyExample(type, shown)
        else:
            yield BodyExample(type, "")


def _example(one: Described) -> str:
    if "date-time" in json.dumps(one["schema"]):
        return _INSTANT
    name: str = one["name"]
    return _VALUES.get(name, name.upper())


def _curl(
    method: str,
    path: str,
    parameters: Sequence[Described],
    bodies: tuple[BodyExample, ...],
    base: str,
) -> str:
    query = []
    for one in parameters:
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", quote(_example(one), safe=""))
        elif one.get("required"):
            query.append((one["name"], _example(one)))
    address = f"{base}{path}" + (f"?{urlencode(query, safe=':')}" if query else "")
    words = ['curl -H "Authorization: Bearer $TOKEN"']
    if method != "GET":
        words.append(f"-X {method}")
    words += [f"-H {shlex.quote(name)}" for name in _conditions(parameters)]
    if bodies and bodies[0].example:
        words.append(f"-H 'Content-Type: {bodies[0].type}'")
        words.append(f"-d {shlex.quote(json.dumps(json.loads(bodies[0].example)))}")
    elif bodies:
        words.append("-T line.csv")
    return " ".join([*words, shlex.quote(address)])


def _conditions(parameters: Sequence[Described]) -> list[str]:
    """Return the header of an example that changes a definition or a source."""
    return ["If-None-Match: *"] if any(p["name"] == "if-none-match" for p in parameters) else []


def _python(name: str, parameters: Sequence[Described], bodies: tuple[BodyExample, ...]) -> str:
    words = [repr(_value(one)) for one in parameters if one["in"] == "path"]
    if bodies and bodies[0].example:
        words.append(repr(json.loads(bodies[0].example)))
    elif bodies:
        words.append('open("line.csv", "rb")')
    for one in parameters:
        if one["in"] != "path" and one.get("required"):
            word = f"{one['name']}_" if keyword.iskeyword(one["name"]) else one["name"]
            words.append(f"{word}={_value(one)!r}")
    words += ['if_none_match="*"' for _ in _conditions(parameters)]
    return f"client.{name}({', '.join(words)})"


def _value(one: Described) -> object:
    kind = one["schema"].get("type")
    text = _example(one)
    return [text] if kind == "array" else int(text) if kind == "integer" else text
