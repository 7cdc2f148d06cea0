"""Documents in requests: as JSON or YAML, bounded."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Request

from alerting.adapters.files.yaml_documents import parse_json, parse_yaml
from alerting.definitions.faults import UserError
from alerting.ports import Document

YAML = "application/yaml"
_JSON = "application/json"
_MOST_VALUES = 20_000
EXAMPLE: dict[str, Any] = {
    "name": "oven-too-hot",
    "kind": "threshold",
    "assets": ["oven-1"],
    "variable": "zone_2_temperature",
    "above": 215,
}
SOURCE_EXAMPLE: dict[str, Any] = {"name": "line-3", "kind": "http", "stale_after": "10m"}


def _body(what: str, example: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "title": f"{what.capitalize()}Body",
        "description": f"A {what}, as in its file: see the {what} reference.",
        "properties": {},
        "additionalProperties": True,
        "examples": [example],
    }


def _takes(what: str, example: dict[str, Any]) -> dict[str, Any]:
    content = {
        "schema": {"$ref": f"#/components/schemas/{what.capitalize()}Body"},
        "example": example,
    }
    return {"requestBody": {"required": True, "content": {_JSON: content, YAML: content}}}


DOCUMENT_BODIES = {
    "DefinitionBody": _body("definition", EXAMPLE),
    "SourceBody": _body("source", SOURCE_EXAMPLE),
}
"""Schemas of documents in bodies, by their name in the description of the API."""
TAKES_A_DOCUMENT = _takes("definition", EXAMPLE)
"""Description of an operation whose body `Sent` reads."""
TAKES_A_SOURCE = _takes("source", SOURCE_EXAMPLE)
"""Description of an operation whose body `SentSource` reads."""


def sent_as(what: str) -> Callable[[Request], Awaitable[Document]]:
    """Return the function that reads the document in a body. `what`: a definition or a source."""

    async def read_sent(request: Request) -> Document:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (_JSON, YAML):
            raise UserError(f"the body: send one {what} as {_JSON} or {YAML}")
        try:
            text = (await request.body()).decode("utf-8-sig")
        except UnicodeDecodeError as fault:
            raise UserError(f"the body: is not UTF-8 text (byte {fault.start})") from fault
        if kind == YAML:
            return read_yaml_document(text, "the body", what)
        return _require_document([parse_json(text, "the body")], "the body", what)

    return read_sent


Sent = Annotated[Document, Depends(sent_as("definition"))]
SentSource = Annotated[Document, Depends(sent_as("source"))]


def read_yaml_document(text: str, origin: str, what: str = "definition") -> Document:
    """Return the one document of a YAML text. Raises UserError for its first fault."""
    return _require_document(parse_yaml(text, origin, _MOST_VALUES), origin, what)


def _require_document(found: list[Any], origin: str, what: str) -> Document:
    if len(found) != 1:
        raise UserError(f"{origin}: holds {len(found)} documents; write one {what}")
    if not isinstance(found[0], dict):
        raise UserError(f"{origin}: holds no {what}; write `name: …`, `kind: …`")
    if wrong := [key for key in found[0] if not isinstance(key, str)]:
        raise UserError(f"{origin}: {str(wrong[0])[:80]!r} is no name of a field")
    return found[0]
