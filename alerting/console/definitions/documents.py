"""Documents of definitions in requests: as JSON or YAML, bounded; and their YAML for people."""

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
DEFINITION_BODY = {
    "type": "object",
    "title": "DefinitionBody",
    "description": "A definition, as in its file: see the definition reference.",
    "properties": {},
    "additionalProperties": True,
    "examples": [EXAMPLE],
}
_SCHEMA = {"$ref": "#/components/schemas/DefinitionBody"}
TAKES_A_DOCUMENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            _JSON: {"schema": _SCHEMA, "example": EXAMPLE},
            YAML: {"schema": _SCHEMA, "example": EXAMPLE},
        },
    }
}
"""Description of an operation whose body `Sent` reads."""


async def read_sent(request: Request) -> Document:
    """Return the document in a body. Raises UserError for anything else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (_JSON, YAML):
        raise UserError(f"the body: send one definition as {_JSON} or {YAML}")
    try:
        text = (await request.body()).decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise UserError(f"the body: is not UTF-8 text (byte {fault.start})") from fault
    if kind == YAML:
        return read_yaml_document(text, "the body")
    return _require_document([parse_json(text, "the body")], "the body")


Sent = Annotated[Document, Depends(read_sent)]


def read_yaml_document(text: str, origin: str) -> Document:
    """Return the one document of a YAML text. Raises UserError for its first fault."""
    return _require_document(parse_yaml(text, origin, _MOST_VALUES), origin)


def _require_document(found: list[Any], origin: str) -> Document:
    if len(found) != 1:
        raise UserError(f"{origin}: holds {len(found)} documents; write one definition")
    if not isinstance(found[0], dict):
        raise UserError(f"{origin}: holds no definition; write `name: …`, `kind: …`")
    if wrong := [key for key in found[0] if not isinstance(key, str)]:
        raise UserError(f"{origin}: {str(wrong[0])[:80]!r} is no name of a field")
    return found[0]
