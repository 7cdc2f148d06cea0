"""Parts of JSON messages by their paths, and the rows that one message holds."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from alerting.definitions.faults import shown
from alerting.definitions.source_fields import SourceFields, split_path
from alerting.ports import Record
from alerting.readings.written_values import is_utf8, show

VALUES = "values"
"""Field of a message that may hold its values as one object; without it, the other fields are the
values."""
TOPIC_VARIABLE = "{variable}"
"""Field of a row with the name of the variable that its topic states."""
MOST_VALUES = 10_000
"""Values of a message, and parts of it that are rows."""
_DEEPEST = 10  # levels of objects in one another
_STEP = re.compile(r"(\[\]|\{\})(?:\.|$|(?=[\[{]))")
_BRACKETS: Mapping[str, tuple[Any, str]] = {
    "[]": ((list, tuple), "a list, of which [] is each item"),
    "{}": (Mapping, "an object, of which {} is each name"),
}
_USUAL_NAMES = {
    "variable": ("id", "name", "tag", "tagname", "variable", "key"),
    "value": ("v", "val", "value"),
    "time": ("t", "ts", "time", "timestamp"),
    "quality": ("q", "qc", "quality"),
}


class RowRefused(Exception):
    """Error: a row, or one column of it, cannot be stored, and why."""

    def __init__(self, reason: object, column: str | None = None) -> None:
        at = "" if column is None else f"{column if is_utf8(column) else shown(column)}: "
        super().__init__(f"{at}{reason}")


Faults = list[RowRefused]
"""Refusals of single columns of a row, of which the others are stored."""


def find_part(record: Any, path: str) -> Any:
    """Return the part of a message at a path, None if there is none. A name with dots that stands
    in the message as it is precedes nested ones."""
    if not isinstance(record, Mapping):
        return None
    part = record.get(path)
    end = path.rfind(".")
    while part is None and end > 0:
        part = find_part(record.get(path[:end]), path[end + 1 :])
        end = path.rfind(".", 0, end)
    return part


def flatten(fields: Mapping[str, Any], keys: set[str | None], faults: Faults) -> dict[str, Any]:
    """Return the values of nested objects by their paths, except those of keys. A value whose path
    is also the name of another one is refused."""
    flat = {title: value for title, value in fields.items() if not isinstance(value, Mapping)}
    for title, value in fields.items():
        for path, part in _leaves(value, f"{title}.", 2) if isinstance(value, Mapping) else ():
            if path in flat:
                reason = "stands in the message twice, nested and by this name"
                faults.append(RowRefused(reason, path))
            elif path not in keys:
                flat[path] = part
        refuse_many(flat)
    return flat


def _leaves(fields: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for title, value in fields.items():
        if isinstance(value, Mapping) and depth < _DEEPEST:
            yield from _leaves(value, f"{prefix}{title}.", depth + 1)
        else:
            yield f"{prefix}{title}", value


def refuse_many(values: Sequence[Any] | Mapping[str, Any]) -> None:
    """Raise RowRefused if a message has too many values."""
    if len(values) > MOST_VALUES:
        raise RowRefused(f"has {len(values)} values; at most {MOST_VALUES} are allowed")


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
        steps = _STEP.split(self._parts)
        self._steps = [*zip(steps[::2], steps[1::2], strict=False)]
        self._has_values = source.value is not None
        self.is_plain = not self._steps and not self._has_values
        """Whether each message is one row."""
        if self._has_values:
            self._paths.setdefault("variable", TOPIC_VARIABLE)
        split = [split_path(path) for path in self._paths.values()]
        self.keys = {field for parts, field in split if parts and parts == self._parts}
        """Fields of a part that are no values."""

    def split(self, record: Record, faults: Faults) -> Sequence[Record]:
        """Return the rows of a message, each with its time, asset and others under the paths of the
        source as names. Parts that are no rows go to `faults`. Raises RowRefused if it has none."""
        if self.is_plain:
            return (record,)
        parts = self._walk(record, faults)
        rows = (self._values if self._has_values else self._wide)(record, parts, faults)
        if not rows and not faults:
            raise RowRefused("has no value")
        return rows

    def _walk(self, record: Record, faults: Faults) -> list[dict[str, _Entry]]:
        """Return the parts of a message: each with those around it, by path."""
        level: list[tuple[dict[str, _Entry], Any]] = [({}, record)]
        path = ""
        for name, bracket in self._steps:
            path = f"{path}.{name}{bracket}" if path and name else f"{path}{name}{bracket}"
            kind, expected = _BRACKETS[bracket]
            deeper = []
            for around, content in level:
                inner = find_part(content, name) if name else content
                if isinstance(inner, kind):
                    items = inner.items() if isinstance(inner, Mapping) else enumerate(inner)
                    deeper += [({**around, path: _Entry(*item)}, item[1]) for item in items]
                    refuse_many(deeper)
                else:
                    faults.append(RowRefused(f"{show(inner)} is not {expected}", path))
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
            return find_part(content, inner)
        return name if parts.endswith("{}") and field != "value" else content

    def _row(
        self, record: Record, around: Mapping[str, _Entry], fields: Iterable[str]
    ) -> dict[str, Any]:
        parts = {self._paths[f]: self._find(record, around, f) for f in fields if f in self._paths}
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
                faults.append(RowRefused(f"{show(content)} is not a row", self._parts))
        return rows

    def _values(
        self, record: Record, parts: Iterable[Mapping[str, _Entry]], faults: Faults
    ) -> list[Record]:
        rows: list[Record] = []
        newest: dict[str, dict[str, Any]] = {}
        for around in parts:
            title = self._find(record, around, "variable")
            if title in (None, "") or isinstance(title, bool) or not isinstance(title, str | int):
                reason = f"{show(title)} is not a name of a variable{list_hint(record)}"
                faults.append(RowRefused(reason, self._paths["variable"]))
                continue
            head = self._row(record, around, ("time", "asset_column"))
            if any(isinstance(part, Mapping | list | tuple) for part in head.values()):
                faults.append(RowRefused("a list or an object is no time", self._paths["time"]))
                continue
            row = newest.get(repr(head))
            if row is None or str(title) in row[VALUES]:
                row = newest[repr(head)] = {**head, VALUES: {}}
                rows.append(row)
            row[VALUES][str(title)] = self._find(record, around, "value")
            if (quality := self._find(record, around, "quality")) is not None:
                row.setdefault(self._paths["quality"], {})[str(title)] = quality
        return rows


def suggest_paths(title: str, items: Any) -> str:
    """Return, for a list of objects, what its source should state; empty for anything else."""
    if not isinstance(items, list | tuple) or not items or not isinstance(items[0], Mapping):
        return ""
    item = items[0]
    kinds: Mapping[str, type | tuple[type, ...]] = {"variable": str, "value": (int, float)}
    usual = {
        part: [field for field in item if str(field).lower() in names]
        or [field for field in item if part in kinds and isinstance(item[field], kinds[part])]
        for part, names in _USUAL_NAMES.items()
    }
    paths = ", ".join(f"{part}: {title}[].{names[0]}" for part, names in usual.items() if names)
    names = ", ".join(map(str, [*item][:8]))
    sentence = f"is a list of objects with {names}; write in the source, for example, {paths}"
    return sentence if paths else ""


def list_hint(record: Mapping[str, Any]) -> str:
    """Return what a source should state of the first list of objects in a message, to follow a
    refusal; empty if it has none."""
    hints = ((title, suggest_paths(title, part)) for title, part in record.items())
    return next((f"; {title} {hint}" for title, hint in hints if hint), "")
