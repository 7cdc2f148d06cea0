"""The document that a submitted form of a definition holds, and changes of its shape."""

from collections.abc import Collection, Iterable, Sequence
from copy import deepcopy
from typing import Any

from alerting.adapters.files.yaml_documents import parse_yaml
from alerting.console.definitions.form import FormSchema, Schema
from alerting.definitions.faults import UserError
from alerting.ports import Document

MARKS = frozenset("gaz")
"""Types of inputs without a value: a group, a list, and null."""
_MOST_VALUES = 5_000
_DEEPEST = 20
_LONGEST_LIST = 1_000


def read_form(items: Iterable[tuple[str, str]]) -> Document:
    """Return the document that a submitted form holds. Raises UserError for a form that this
    console did not draw."""
    found: dict[str, Any] = {}
    for name, text in items:
        letter, colon, path = name.partition(":")
        if not colon or len(letter) != 1:
            continue
        keys = path.split(".")
        if len(keys) > _DEEPEST or not all(keys):
            raise UserError("the form cannot be read; open the page again")
        if letter in MARKS:
            _set(found, keys, {"g": {}, "a": [], "z": None}[letter], over=letter == "z")
            continue
        written = text.replace("\r\n", "\n").strip()
        if written or letter.isupper():
            _set(found, keys, _read(letter.lower(), written), over=True)
    document: Document = _compact(found)
    return document


def replace_part(document: Document, form: Document, at: str, apart: Collection[str]) -> Document:
    """Return a document with what a form holds: of the part at a path, or, with an empty path, of
    all but the fields that it leaves out."""
    if not at:
        return form | {name: document[name] for name in apart if name in document}
    keys = at.split(".")
    value: Any = form
    made: dict[str, Any] = deepcopy(document)
    below = made
    for key in keys[:-1]:
        value = value.get(key) if isinstance(value, dict) else None
        below = below.setdefault(key, {})
        if not isinstance(below, dict):
            return document
    below[keys[-1]] = value.get(keys[-1], {}) if isinstance(value, dict) else {}
    return made


def change_form(document: Document, act: str, path: str, way: int, schema: FormSchema) -> Document:
    """Return a document with the field of a path added, removed, or written in another way."""
    keys = path.split(".")
    if act == "remove":
        return _without_field(document, keys)
    below: Schema = schema.root
    for key in keys:
        found = [one for branch in schema.branches(below)[0] for one in schema.step(branch, key)]
        if not found:
            return document
        below = found[0]
    branches = schema.branches(below)[0]
    branch = branches[way] if way < len(branches) else branches[0]
    made: dict[str, Any] = deepcopy(document)
    value = _blank(schema, branch)
    if value is None:
        return _without_field(made, keys)
    try:
        _set_in(made, keys, value)
    except (KeyError, IndexError, TypeError, ValueError):
        return document  # nothing stands above the path
    return made


def _blank(schema: FormSchema, branch: Schema) -> Any:
    """Return the value with which a way to write a field begins; None for a single value."""
    if "properties" in branch:
        names = branch["properties"]
        firsts = {
            name: schema.branches(schema.resolve(names[name]))[0][0]
            for name in branch.get("required", ())
        }
        return {name: _blank(schema, first) or "" for name, first in firsts.items()}
    if "items" in branch:
        item = schema.resolve(branch["items"])
        return [_blank(schema, item)] if "properties" in item else []
    return None


def _read(letter: str, text: str) -> Any:
    """Return the value of an input, or its text where it is none: the check names the fault."""
    try:
        match letter:
            case "n":
                number = float(text.replace(",", "."))
                return int(number) if number.is_integer() and abs(number) < 1e15 else number
            case "i":
                return int(text)
            case "b":
                return {"true": True, "false": False}.get(text, text)
            case "l":
                return [line.strip() for line in text.split("\n") if line.strip()]
            case "y":
                return next(iter(parse_yaml(text, "the form", _MOST_VALUES)), None)
    except (ValueError, OverflowError, UserError):
        pass
    return text


def _set(found: dict[str, Any], keys: Sequence[str], value: Any, over: bool) -> None:
    """Set a value below groups, whose lists are still groups by number."""
    below = found
    for key in keys[:-1]:
        inner = below.get(key)
        if not isinstance(inner, dict):
            inner = {_LIST: True} if isinstance(inner, list) else {}
            below[key] = inner
        below = inner
    last = keys[-1]
    if over or last not in below:
        below[last] = value
    elif isinstance(value, list) and isinstance(below[last], dict):
        below[last][_LIST] = True


_LIST = "[]"  # marks a group that is a list; no field has this name


def _compact(value: Any) -> Any:
    """Return a value with groups by number as lists."""
    if not isinstance(value, dict):
        return value
    if value.pop(_LIST, False):
        numbers = sorted((key for key in value if key.isdecimal()), key=int)[:_LONGEST_LIST]
        return [_compact(value[key]) for key in numbers]
    return {key: _compact(one) for key, one in value.items()}


def _set_in(document: Any, keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        document = document[int(key)] if isinstance(document, list) else document[key]
    if isinstance(document, list):
        document[int(keys[-1]) : int(keys[-1]) + 1] = [value]
    else:
        document[keys[-1]] = value


def _without_field(document: Document, keys: Sequence[str]) -> Document:
    rest: Document = _without(document, keys)
    return rest


def _without(document: Any, keys: Sequence[str]) -> Any:
    """Return a copy of a document without the field at a path."""
    key, *rest = keys
    if isinstance(document, list):
        if not key.isdecimal() or int(key) >= len(document):
            return document
        inner = [_without(document[int(key)], rest)] if rest else []
        return [*document[: int(key)], *inner, *document[int(key) + 1 :]]
    if not isinstance(document, dict) or key not in document:
        return document
    if not rest:
        return {name: value for name, value in document.items() if name != key}
    return {**document, key: _without(document[key], rest)}
