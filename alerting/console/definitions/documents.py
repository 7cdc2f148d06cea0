"""Documents in requests: as JSON or YAML, bounded."""

from collections.abc import Iterable
from typing import Annotated, Any

import yaml
from fastapi import Depends, Request

from alerting.adapters.files.yaml_documents import parse_json, parse_yaml
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.ports import Document

YAML = "application/yaml"
_JSON = "application/json"
MOST_VALUES = 20_000
"""Values of a document in a request."""
_WIDTH = 100
_SHORT = 60
_WHOLE = 1e15  # beyond it, not every whole number is a float
_LIST = "tag:yaml.org,2002:seq"
_MAP = "tag:yaml.org,2002:map"
EXAMPLE: dict[str, Any] = {
    "name": "oven-too-hot",
    "kind": "threshold",
    "assets": ["oven-1"],
    "variable": "zone_2_temperature",
    "above": 215,
}
SCENARIO_EXAMPLE: dict[str, Any] = {
    "title": "too hot after three minutes",
    "every": "1m",
    "readings": {"zone_2_temperature": ["210 x 3", 220, 220, 210]},
    "expect": [{"at": "3m", "raised": "medium"}, {"at": "5m", "closed": True}],
}


def describe_schema(what: str, example: Document) -> dict[str, Any]:
    """Return the schema of documents in bodies, of which the name ends with `Body`."""
    return {
        "type": "object",
        "title": f"{what.capitalize()}Body",
        "description": f"A {what}, as in its file: see the {what} reference.",
        "properties": {},
        "additionalProperties": True,
        "examples": [example],
    }


def describe_body(what: str, example: Document) -> dict[str, Any]:
    """Return the description of an operation whose body `Sent` reads. `what`: it is of."""
    content = {
        "schema": {"$ref": f"#/components/schemas/{what.capitalize()}Body"},
        "example": example,
    }
    return {"requestBody": {"required": True, "content": {_JSON: content, YAML: content}}}


TAKES_A_DOCUMENT = describe_body("definition", EXAMPLE)
"""Description of an operation whose body is a definition."""


async def read_sent(request: Request) -> Document:
    """Return the document in a body. Raises UserError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (_JSON, YAML):
        raise UserError(f"the body: send one document as {_JSON} or {YAML}")
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
    return _require_document(parse_yaml(text, origin, MOST_VALUES), origin)


def write_yaml_document(document: Document) -> str:
    """Return a document as YAML for people: name, kind and assets first."""
    first = {key: document[key] for key in ("name", "kind", "assets") if key in document}
    return write_yaml(first | document) + "\n"


def write_yaml(value: Any) -> str:
    """Return a value as YAML, as people write it, without a line break at the end."""
    options: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "width": _WIDTH}
    text = str(yaml.dump(value, Dumper=_Writer, **options))
    return text.removesuffix("...\n").rstrip("\n")


class _Writer(yaml.SafeDumper):
    """Writer of YAML as people write it: whole numbers without a point, short parts in a line."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write equal parts twice: people need no anchors."""
        del data
        return True

    def represent_number(self, data: float) -> yaml.ScalarNode:
        """Return the node of a number."""
        is_whole = data.is_integer() and abs(data) < _WHOLE
        return self.represent_int(int(data)) if is_whole else self.represent_float(data)

    def represent_part(self, data: dict[str, Any] | list[Any]) -> yaml.Node:
        """Return the node of a list or of a group of fields."""
        if isinstance(data, list):
            return self.represent_sequence(_LIST, data, flow_style=_is_short(data))
        flow = "kind" not in data and _is_short(data.values())
        return self.represent_mapping(_MAP, data.items(), flow_style=flow)


_Writer.add_representer(float, _Writer.represent_number)
_Writer.add_representer(list, _Writer.represent_part)
_Writer.add_representer(dict, _Writer.represent_part)


def _is_short(values: Iterable[Any]) -> bool:
    """Return whether a part holds values without parts, short enough for a line."""
    found = [*values]
    return not any(isinstance(one, list | dict) for one in found) and len(str(found)) < _SHORT


def line_of_path(text: str, path: str) -> int | None:
    """Return the line of a field in a YAML text, or of the nearest field above it; None of a text
    that is no YAML, and of a missing field at the top."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    line = None
    for key in path.split("."):
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == key), None)
            if found is None:
                break
            line = found[0].start_mark.line + 1
            node = found[1]
        elif isinstance(node, yaml.SequenceNode) and key.isdecimal() and int(key) < len(node.value):
            node = node.value[int(key)]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _require_document(found: list[Any], origin: str) -> Document:
    if len(found) != 1:
        raise UserError(
            translatable(
                "{origin}: holds {count} documents; write one", origin=origin, count=len(found)
            )
            if found
            else translatable("{origin}: is empty; write `name: …`, `kind: …`", origin=origin)
        )
    if not isinstance(found[0], dict):
        raise UserError(
            translatable("{origin}: holds no fields; write `name: …`, `kind: …`", origin=origin)
        )
    if wrong := [key for key in found[0] if not isinstance(key, str)]:
        raise UserError(f"{origin}: {str(wrong[0])[:80]!r} is no name of a field")
    return found[0]
