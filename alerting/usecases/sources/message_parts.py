"""Parts of JSON messages by their paths, the rows that one message holds, its time stamps and
values, and the refusals of what cannot be stored."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from alerting.definitions.faults import legible, shown
from alerting.definitions.source_fields import SourceFields, split_path
from alerting.definitions.wording.language import ENGLISH
from alerting.ports import Record

VALUES = "values"
"""Field of a message that may hold its values as one object; without it, the other fields are the
values."""
TOPIC_VARIABLE = "{variable}"
"""Field of a row with the name of the variable that its topic states."""
MOST_VALUES = 10_000
"""Values of a message, and parts of it that are rows."""
_LONGEST_TEXT = 1000
_DEEPEST = 10  # levels of objects in one another
_MOST_REASONS = 3
Scalar = float | str | bool
_STEP = re.compile(r"(\[\]|\{\})(?:\.|$|(?=[\[{]))")
_USUAL_NAMES = {
    "variable": ("id", "name", "tag", "tagname", "variable", "key"),
    "value": ("v", "val", "value"),
    "time": ("t", "ts", "time", "timestamp"),
    "quality": ("q", "qc", "quality"),
}
# a number below each is of seconds, milli-, micro- and nanoseconds: from March 1973 on
_UNITS = ((1e11, 1), (1e14, 10**3), (1e17, 10**6), (1e20, 10**9))
_DIGITS = re.compile(r"\d{9,19}(\.\d{1,9})?")
_CALENDAR = {12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_MIDNIGHT = re.compile(r"(.{8,10}[T ])24((?::?00){0,2}(?:[.,]0+)?)(Z|[+-].*)?", re.IGNORECASE)
_UTC = re.compile(r"(?<!\s)\s*(?:z|utc|gmt)$", re.IGNORECASE)


class RowRefused(Exception):
    """Error: a row, or one field of it, cannot be stored, and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Faults = list[RowRefused]
"""Refusals of single fields of a row, of which the others are stored."""


def refuse_value(column: str, text: str, value: Any = None, **values: str | int) -> RowRefused:
    """Return the refusal of a row for the value of one column. `text`: a template."""
    reason = ENGLISH.say(text, value=_show(value), **values)
    return refuse_column(column, reason)


def refuse_column(column: str, reason: str) -> RowRefused:
    """Return the refusal of a row for the content of one column."""
    return RowRefused(f"{column}: {reason}")


def join_reasons(reasons: Iterable[str]) -> str:
    """Return the first different reasons as one text, with the number of the others."""
    texts = [*dict.fromkeys(reasons)]
    more = f"; and {len(texts) - _MOST_REASONS} more" if len(texts) > _MOST_REASONS else ""
    return "; ".join(texts[:_MOST_REASONS]) + more


def _show(value: Any) -> str:
    """Return a value as its message has it: as JSON."""
    if isinstance(value, str):
        return legible(f"'{value}'", 80)
    if isinstance(value, Decimal | datetime):
        return str(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return shown(value)
    try:
        return legible(json.dumps(value, ensure_ascii=False, default=str), 80)
    except (ValueError, RecursionError):
        return shown(value)


def find_part(record: Mapping[str, Any], path: str) -> Any:
    """Return the part of a message at a path, None if there is none. A name with dots that stands
    in the message as it is precedes nested ones."""
    part = record.get(path)
    if part is not None or "." not in path:
        return part
    end = path.rfind(".")
    while end > 0:
        inner = record.get(path[:end])
        if isinstance(inner, Mapping) and (part := find_part(inner, path[end + 1 :])) is not None:
            return part
        end = path.rfind(".", 0, end)
    return None


def flatten(fields: Mapping[str, Any], keys: set[str | None], faults: Faults) -> dict[str, Any]:
    """Return the values of nested objects by their paths, except those of keys. A value whose path
    is also the name of another one is refused."""
    flat = {title: value for title, value in fields.items() if not isinstance(value, Mapping)}
    for title, value in fields.items():
        for path, part in _leaves(value, f"{title}.", 2) if isinstance(value, Mapping) else ():
            if path in flat:
                faults.append(refuse_column(path, ENGLISH.say(STATED_TWICE)))
            elif path not in keys:
                flat[path] = part
        if len(flat) > MOST_VALUES:
            raise refuse_number(len(flat))
    return flat


def _leaves(fields: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for title, value in fields.items():
        if isinstance(value, Mapping) and depth < _DEEPEST:
            yield from _leaves(value, f"{prefix}{title}.", depth + 1)
        else:
            yield f"{prefix}{title}", value


def refuse_number(number: int) -> RowRefused:
    """Return the refusal of a message with too many values."""
    return RowRefused(ENGLISH.say(TOO_MANY, number=number, most=MOST_VALUES))


class _Entry(NamedTuple):
    """One item of a list, or one value of an object with its name."""

    name: Any
    content: Any


class MessageRows:
    """The rows of messages, as the paths of a source name them: parts of a message, or the message
    itself. Of values that each name their variable, those of one asset and time are one row."""

    def __init__(self, source: SourceFields) -> None:
        self._paths = dict(source.paths)
        self._parts = source.parts
        self._has_values = source.value is not None
        steps = _STEP.split(self._parts)
        self._steps = [*zip(steps[::2], steps[1::2], strict=False)]
        self.is_plain = not self._steps and not self._has_values
        """Whether each message is one row."""
        if self._has_values:
            self._paths.setdefault("variable", TOPIC_VARIABLE)
        split = [split_path(path) for path in self._paths.values()]
        self.keys = {field for parts, field in split if parts and parts == self._parts}
        """Fields of a part that are no values."""

    def split(self, record: Record, faults: Faults) -> Sequence[Record]:
        """Return the rows of a message, each with its time, asset and others under the paths of the
        source as names. Parts that are no rows go to `faults`."""
        if self.is_plain:
            return (record,)
        try:
            parts = self._walk(record, faults)
        except RowRefused as refusal:
            faults.append(refusal)
            return ()
        read = self._values if self._has_values else self._wide
        rows = read(record, parts, faults)
        if not rows and not faults:
            faults.append(RowRefused(ENGLISH.say(NO_VALUE)))
        return rows

    def _walk(self, record: Record, faults: Faults) -> list[dict[str, _Entry]]:
        """Return the parts of a message: each with those around it, by path."""
        level: list[tuple[dict[str, _Entry], Any]] = [({}, record)]
        path = ""
        for name, bracket in self._steps:
            path = f"{path}.{name}{bracket}" if path and name else f"{path}{name}{bracket}"
            deeper = []
            for around, content in level:
                inner = content if not name else _find_within(content, name)
                if bracket == "[]" and isinstance(inner, list | tuple):
                    items: Iterable[tuple[Any, Any]] = enumerate(inner)
                elif bracket == "{}" and isinstance(inner, Mapping):
                    items = inner.items()
                else:
                    reason = NO_LIST if bracket == "[]" else NO_OBJECT
                    faults.append(refuse_value(path, reason, inner))
                    continue
                deeper += [({**around, path: _Entry(*item)}, item[1]) for item in items]
                if len(deeper) > MOST_VALUES:
                    raise refuse_number(len(deeper))
            level = deeper
        return [around for around, _ in level]

    def _find(self, record: Record, around: Mapping[str, _Entry], field: str) -> Any:
        """Return what a path means in one part of a message."""
        path = self._paths.get(field)
        if path is None or path in record:
            return None if path is None else record[path]
        parts, inner = split_path(path)
        if parts not in around:
            return find_part(record, path)
        name, content = around[parts]
        if inner:
            return _find_within(content, inner)
        return name if parts.endswith("{}") and field != "value" else content

    def _row(
        self, record: Record, around: Mapping[str, _Entry], fields: Iterable[str]
    ) -> dict[str, Any]:
        parts = {
            path: self._find(record, around, field)
            for field, path in self._paths.items()
            if field in fields
        }
        return {path: value for path, value in parts.items() if value is not None}

    def _wide(
        self, record: Record, parts: Iterable[Mapping[str, _Entry]], faults: Faults
    ) -> list[Record]:
        rows: list[Record] = []
        for around in parts:
            content = around[self._parts].content
            if isinstance(content, Mapping):
                rows.append({**content, **self._row(record, around, self._paths)})
            else:
                faults.append(refuse_value(self._parts, NO_ROW, content))
        return rows

    def _values(
        self, record: Record, parts: Iterable[Mapping[str, _Entry]], faults: Faults
    ) -> list[Record]:
        rows: list[Record] = []
        newest: dict[str, dict[str, Any]] = {}
        for around in parts:
            title = self._find(record, around, "variable")
            if title in (None, "") or isinstance(title, bool) or not isinstance(title, str | int):
                reason = ENGLISH.say(NO_VARIABLE, value=_show(title)) + list_hint(record)
                faults.append(refuse_column(self._paths["variable"], reason))
                continue
            head = self._row(record, around, ("time", "asset_column"))
            if any(isinstance(part, Mapping | list | tuple) for part in head.values()):
                faults.append(refuse_column(self._paths["time"], "a list or an object is no time"))
                continue
            row = newest.get(repr(head))
            if row is None or str(title) in row[VALUES]:
                row = newest[repr(head)] = {**head, VALUES: {}}
                rows.append(row)
            row[VALUES][str(title)] = self._find(record, around, "value")
            if (quality := self._find(record, around, "quality")) is not None:
                row.setdefault(self._paths["quality"], {})[str(title)] = quality
        return rows


def _find_within(content: Any, path: str) -> Any:
    return find_part(content, path) if isinstance(content, Mapping) else None


def suggest_paths(title: str, items: Any) -> str | None:
    """Return, for a list of objects, what its source should state; None for anything else."""
    if not isinstance(items, list | tuple) or not items or not isinstance(items[0], Mapping):
        return None
    item = items[0]
    texts = [field for field in item if isinstance(item[field], str)]
    numbers = [field for field in item if isinstance(item[field], int | float)]
    usual = {
        part: next((field for field in item if str(field).lower() in names), None)
        for part, names in _USUAL_NAMES.items()
    }
    usual["variable"] = usual["variable"] or next(iter(texts), None)
    usual["value"] = usual["value"] or next(iter(numbers), None)
    paths = [f"{part}: {title}[].{field}" for part, field in usual.items() if field is not None]
    names = ", ".join(map(str, [*item][:8]))
    return ENGLISH.say(LIST, names=names, paths=", ".join(paths)) if paths else None


def list_hint(record: Mapping[str, Any]) -> str:
    """Return what a source should state of the first list of objects in a message, to follow a
    refusal; empty if it has none."""
    for title, part in record.items():
        if hint := suggest_paths(title, part):
            return f"; {title} {hint}"
    return ""


def read_stamp(written: Any) -> datetime:
    """Return an instant of a stamp; one without a zone stays without. Raises ValueError for
    anything else."""
    if not isinstance(written, str) or written[4:5] != "-":
        return _read_other_stamp(written)
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        return _read_other_stamp(written)


def _read_other_stamp(written: Any) -> datetime:
    if isinstance(written, datetime):
        return written
    if isinstance(written, bool):
        raise ValueError
    text = str(written).strip() if isinstance(written, str | int) else ""
    if len(text) in _CALENDAR and text.isdecimal() and text[:2] in ("19", "20"):
        return datetime.strptime(text, _CALENDAR[len(text)])  # noqa: DTZ007 - has none
    if isinstance(written, int | float | Decimal):
        return _since_1970(written)
    if _DIGITS.fullmatch(text):
        return _since_1970(Decimal(text))
    if not text:
        raise ValueError
    midnight = _MIDNIGHT.fullmatch(text)
    if midnight:
        text = f"{midnight[1]}00{midnight[2]}{midnight[3] or ''}"
    at = datetime.fromisoformat(_UTC.sub("+00:00", text))
    return at + timedelta(days=1) if midnight else at


def _since_1970(number: float | Decimal) -> datetime:
    size = abs(float(number))
    unit = next((unit for most, unit in _UNITS if size < most), None)
    if unit is None:
        raise ValueError
    return datetime.fromtimestamp(float(number / unit), UTC)


def is_utf8(text: str) -> bool:
    """Return whether a text can be stored: JSON can hold halves of surrogate pairs, UTF-8
    cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _float(title: str, value: float | Decimal) -> float | None:
    """Return a number, None for a value that is no number. Raises RowRefused if it would be stored
    as another number."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isnan(number):
        return None
    if math.isinf(number):
        raise refuse_value(title, NOT_FINITE, value)
    if value and not number:
        raise refuse_column(title, ENGLISH.say(TOO_SMALL, value=str(value)))
    return number


def read_scalar(title: str, value: Any) -> Scalar | None:
    """Return a value as it is stored, None for a missing value. Raises RowRefused for lists,
    objects and infinite numbers."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if len(value) > _LONGEST_TEXT:
            raise refuse_value(title, LONG, count=len(value), most=_LONGEST_TEXT)
        if not is_utf8(value):
            raise refuse_value(title, HALF_TEXT, value)
        return value or None
    if isinstance(value, int | float | Decimal):
        return _float(title, value)
    if isinstance(value, datetime):
        return value.isoformat()
    hint = suggest_paths(title, value)
    raise refuse_column(title, hint) if hint else refuse_value(title, NO_SCALAR, value)


NO_VALUE = "has no value"
TOO_MANY = "has {number} values; at most {most} are allowed"
STATED_TWICE = "stands in the message twice, nested and by this name"
NO_LIST = "{value} is not a list, of which [] is each item"
NO_OBJECT = "{value} is not an object, of which {} is each name"
NO_ROW = "{value} is not a row"
NO_VARIABLE = "{value} is not a name of a variable"
LIST = "is a list of objects with {names}; write in the source, for example, {paths}"
HALF_TEXT = "{value} holds half a character"
NOT_FINITE = "{value} is not a finite number"
TOO_SMALL = "{value} is too small a number to be stored"
LONG = "the text has {count} characters; at most {most} are allowed"
NO_SCALAR = "{value} is not a number, text, true or false"
