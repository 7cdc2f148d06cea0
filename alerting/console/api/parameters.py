"""Values in requests: instants, durations, names and texts within the limits of use cases, and
documents as JSON or YAML, bounded."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import yaml
from fastapi import Depends, Form, Header, Path, Query, Request
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from starlette.convertors import StringConvertor, register_url_convertor

from alerting.adapters.yaml_documents import parse_json, parse_yaml
from alerting.definitions.faults import UserError, parse_duration
from alerting.definitions.fields.names_and_times import require_no_number
from alerting.definitions.wording.clean_text import clean_text
from alerting.definitions.wording.language import translatable
from alerting.ports import Document

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
LONGEST = timedelta(days=3653)
NAME = 200
FIELD = 500
TEXT = 2000
LARGEST_DELIVERY = 16 << 20
MAY_NAME_NOTHING = {"x-names-something": True}
"""For operations that answer 404 to a name in their query or body; see `app.py`."""
MAY_CONFLICT = {"x-may-conflict": True}
"""For operations that answer 409 to what another person did before; see `app.py`."""
_DURATION_PATTERN = r"^(?!$)([0-9]{1,2}w)?([0-9]{1,3}d)?([0-9]{1,3}h)?([0-9]{1,4}m)?([0-9]{1,5}s)?$"
# what `clean_text` and stripping remove
_UNSEEN = (
    r"\s\u0000-\u001f\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
)
_NOT_BLANK = Field(json_schema_extra={"pattern": f"[^{_UNSEEN}]"})


class WithoutColon(StringConvertor):
    """Part of an address without a colon; after a colon stands an act."""

    regex = "[^/:]+"


register_url_convertor("without_colon", WithoutColon())


def _plus_as_sent(value: object) -> object:
    """Return an instant whose `+` arrived as a space: `06:00:00 01:00` means `+01:00`."""
    return re.sub(r" (\d\d:?\d\d)$", r"+\1", value[:100]) if isinstance(value, str) else value


def _within_bounds(value: datetime) -> datetime:
    if not (EARLIEST.year <= value.year < LATEST.year or value == LATEST):
        raise ValueError(f"must lie between {EARLIEST:%Y} and {LATEST:%Y}")
    return value


def _visible(name: str) -> str:
    if not clean_text(name).strip():
        raise ValueError("holds no character that can be seen")
    return name


def read_duration(text: str) -> timedelta:
    """Return a duration such as `2h`. Raises ValueError for none, or above ten years."""
    if len(text) > 50:
        raise ValueError("is not a duration; write for example 30m, 1h30m or 5d")
    try:
        return _not_too_long(parse_duration(text))
    except OverflowError:
        return _not_too_long(timedelta.max)


def _not_too_long(value: timedelta) -> timedelta:
    if not timedelta(0) <= value <= LONGEST:
        raise ValueError("must be at least 0s and at most ten years")
    return value


Instant = Annotated[
    AwareDatetime,
    BeforeValidator(require_no_number),
    BeforeValidator(_plus_as_sent),
    AfterValidator(_within_bounds),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": r"^(19|20|21)[0-9]{2}-",
            "examples": ["2026-01-31T06:00:00Z"],
        }
    ),
]
Duration = Annotated[
    timedelta,
    BeforeValidator(lambda value: read_duration(value) if isinstance(value, str) else value),
    AfterValidator(_not_too_long),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": _DURATION_PATTERN,
            "minLength": 2,
            "maxLength": 20,
            "examples": ["2h", "1h30m"],
        }
    ),
]
Text = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=TEXT), AfterValidator(clean_text)
]
Short = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=FIELD), AfterValidator(clean_text)
]
SomeText = Annotated[Text, _NOT_BLANK]
SomeShort = Annotated[Short, _NOT_BLANK]
NameText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME),
    AfterValidator(_visible),
    _NOT_BLANK,
]
Id = Annotated[str, Path(max_length=NAME)]
NameQuery = Annotated[str, Query(max_length=NAME)]
Cursor = Annotated[
    str,
    Query(
        max_length=NAME,
        description="`next` of the page before.",
        json_schema_extra={"pattern": "^([0-9]{1,14}_[0-9A-Za-z:-]{1,100})?$"},
    ),
]
MOST_NUMBER = 2**31 - 1
Number = Annotated[int, Path(ge=1, le=MOST_NUMBER, description="Number of a revision.")]
Reason = Annotated[Short, Query(description="Why, recorded with the revision and in the audit.")]
FormField = Annotated[str, Form(max_length=FIELD)]
FormText = Annotated[str, Form(max_length=TEXT * 4)]
_ONE_REVISION = '^"?[0-9]{1,9}"?$'
IfMatch = Annotated[
    str | None,
    Header(
        pattern=_ONE_REVISION,
        description='The ETag of the revision that the change was made from, such as `"3"`.',
    ),
    WithJsonSchema({"type": "string", "pattern": _ONE_REVISION}),
]
IfNoneMatch = Annotated[
    str | None,
    Header(pattern=r"^\*$", description="`*`: only if there is none of this name."),
    WithJsonSchema({"type": "string", "enum": ["*"]}),
]
ETAG = {"headers": {"ETag": {"description": "Its newest revision.", "schema": {"type": "string"}}}}


def etag_of(revision: int) -> str:
    """Return the ETag of a document: the number of its newest revision, 0 without one."""
    return f'"{revision}"'


def expected_of(if_match: str | None, if_none_match: str | None) -> int | Literal["new"] | None:
    """Return the revision that a change was made from; None without these headers."""
    if if_match is not None:
        return int(if_match.strip('"'))
    return "new" if if_none_match is not None else None


def require_number(value: object) -> object:
    """Return a number as it was sent. Raises ValueError for anything else, such as `true`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not a number")
    return value


YAML = "application/yaml"
_JSON = "application/json"
MOST_VALUES = 20_000
"""Values of a document in a request."""
_WHOLE = 1e15  # beyond it, not every whole number is a float
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


def describe_schema(noun: str, example: Document) -> dict[str, Any]:
    """Return the schema of documents in bodies, whose name ends with `Body`."""
    return {
        "type": "object",
        "title": f"{noun.capitalize()}Body",
        "description": f"A {noun}, as in its file: see the {noun} reference.",
        "properties": {},
        "additionalProperties": True,
        "examples": [example],
    }


def describe_body(noun: str, example: Document) -> dict[str, Any]:
    """Return the description of an operation whose body `Sent` reads. `what`: the kind of its
    document."""
    content = {
        "schema": {"$ref": f"#/components/schemas/{noun.capitalize()}Body"},
        "example": example,
    }
    return {"requestBody": {"required": True, "content": {_JSON: content, YAML: content}}}


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
    options: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "width": 100}
    return str(yaml.dump(value, Dumper=_Writer, **options)).removesuffix("...\n").rstrip("\n")


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
            return self.represent_sequence(
                "tag:yaml.org,2002:seq", data, flow_style=_is_short(data)
            )
        flow = "kind" not in data and _is_short(data.values())
        return self.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=flow)


_Writer.add_representer(float, _Writer.represent_number)
_Writer.add_representer(list, _Writer.represent_part)
_Writer.add_representer(dict, _Writer.represent_part)


def _is_short(values: Iterable[Any]) -> bool:
    """Return whether a part holds values without parts, short enough for a line."""
    parts = [*values]
    return not any(isinstance(part, list | dict) for part in parts) and len(str(parts)) < 60


def line_of_path(text: str, path: str) -> int | None:
    """Return the line of a field in a YAML text, or of the nearest field above it; None for a text
    that is no YAML, and for a missing field at the top."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    line = None
    for key in path.split("."):
        if isinstance(node, yaml.MappingNode):
            field = next((pair for pair in node.value if pair[0].value == key), None)
            if field is None:
                break
            line = field[0].start_mark.line + 1
            node = field[1]
        elif isinstance(node, yaml.SequenceNode) and key.isdecimal() and int(key) < len(node.value):
            node = node.value[int(key)]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _require_document(documents: list[Any], origin: str) -> Document:
    if len(documents) != 1:
        raise UserError(
            translatable(
                "{origin}: holds {count} documents; write one", origin=origin, count=len(documents)
            )
            if documents
            else translatable("{origin}: is empty; write `name: …`, `kind: …`", origin=origin)
        )
    if not isinstance(documents[0], dict):
        raise UserError(
            translatable("{origin}: holds no fields; write `name: …`, `kind: …`", origin=origin)
        )
    if wrong := [key for key in documents[0] if not isinstance(key, str)]:
        raise UserError(f"{origin}: {str(wrong[0])[:80]!r} is no name of a field")
    return documents[0]
