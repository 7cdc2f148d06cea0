"""Rows of a source written as JSON, or as NDJSON: one row per line."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from alerting.definitions.faults import UserError, shown
from alerting.ports import Record

MOST_ROWS = 100_000
LONGEST_LINE = 1 << 20
"""Characters of a line of NDJSON."""


_decode = msgspec.json.Decoder().decode
# the end of a name; within a text it stands only behind an escaped quotation mark
_LONE_NAME = re.compile(r'"\s*:')
_BLANKS = ('" ', '"\n', '"\t', '"\r')  # what can stand between a name and its colon
# every number that is smaller than a float can be, and some others
_TINY = re.compile(r"[eE]-\d{3}|0{200}")


class Repeated(dict[str, Any]):
    """An object in which a name occurs twice: readers differ in the value that they take. `name`:
    the first such name."""

    def __init__(self, pairs: Sequence[tuple[str, Any]], name: str) -> None:
        super().__init__(pairs)
        self.name = name


class RepeatedName(ValueError):
    """Refusal of JSON with an object in which a name occurs twice."""


class TooDeep(UserError):
    """Refusal of JSON that nests too deeply."""


@dataclass(frozen=True)
class JsonRows:
    """Rows by the number of their line, and why other lines cannot be read."""

    rows: Mapping[int, Record]
    unreadable: Mapping[int, str] = field(default_factory=dict)


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text, as the standard library reads it, but in a quarter of the
    time.

    What msgspec refuses, such as NaN and halves of surrogate pairs, the standard library decides.
    Bytes are UTF-8. A number too small for a float is a Decimal. Raises ValueError for text that is
    no JSON, or has an object in which a name occurs twice, and RecursionError if it nests too
    deeply.
    """
    found = _parse(text)
    if isinstance(found, _Doubtful):
        if (why := repeated_name(found.value)) is not None:
            raise RepeatedName(why)
        return found.value
    return found


@dataclass(frozen=True)
class _Doubtful:
    """A parsed value in which objects may be `Repeated`."""

    value: Any


def repeated_name(value: Any) -> str | None:
    """Return why an object within a parsed value is refused; None if in each every name occurs
    once."""
    found = next(_repeated(value), None)
    return None if found is None else f"{shown(found.name)} occurs twice in one object"


def _repeated(value: Any) -> Iterator[Repeated]:
    if isinstance(value, Repeated):
        yield value
    for item in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        if isinstance(item, dict | list):
            yield from _repeated(item)


def _parse(text: str | bytes) -> Any:
    """Return the value of a JSON text, as `_Doubtful` if names may occur twice in one of its
    objects."""
    try:
        found = _decode(text)
        plain = text if isinstance(text, str) else text.decode("utf-8")
        if _count_names(found) == _count_written_names(plain) and not _has_tiny_number(plain):
            return found
    except (ValueError, RecursionError, msgspec.DecodeError):
        plain = text if isinstance(text, str) else text.decode("utf-8")
    return _Doubtful(json.loads(plain, object_pairs_hook=_object, parse_float=_number))


def _count_names(value: Any) -> int:
    """Return how many names the objects within a value have."""
    kind = type(value)
    if kind is dict:
        count = len(value)
        items = value.values()
    else:
        count = 0
        items = value if kind is list else ()
    for item in items:
        if type(item) is dict or type(item) is list:
            count += _count_names(item)
    return count


def _count_written_names(text: str) -> int:
    """Return how many names a JSON text writes, or a larger number where a text within it looks
    like one."""
    return (
        sum(1 for _ in _LONE_NAME.finditer(text))
        if any(blank in text for blank in _BLANKS)
        else text.count('":')
    )


def _has_tiny_number(text: str) -> bool:
    return ("e-" in text or "E-" in text or "0" * 200 in text) and _TINY.search(text) is not None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return Repeated(pairs, name)
        seen.add(name)
    raise AssertionError("fewer names than pairs, and none twice")


def _number(text: str) -> float | Decimal:
    number = float(text)
    return number if number or not Decimal(text) else Decimal(text)


def read_json(text: str) -> JsonRows:
    """Return the row or the rows of a JSON text. Raises UserError if it is not JSON, or holds
    anything but rows."""
    try:
        parsed = _parse(text)
    except RecursionError:
        raise TooDeep("the rows nest too deeply") from None
    except ValueError as fault:
        raise UserError(
            f"the body is not JSON: {fault}; NDJSON, one row per line, has the type "
            "application/x-ndjson"
        ) from None
    found = parsed.value if isinstance(parsed, _Doubtful) else parsed
    rows = [found] if isinstance(found, Mapping) else found
    if not isinstance(rows, list):
        raise UserError(
            'the body is neither a row nor a list of rows: [{"ts": …, "asset": …, "values": {…}}]'
        )
    _refuse_many(len(rows))
    for line, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise UserError(f"row {line} is not an object: {shown(row)}")
    faults: dict[int, str] = {}
    if isinstance(parsed, _Doubtful):
        faults = {
            line: why for line, row in enumerate(rows, 1) if (why := repeated_name(row)) is not None
        }
    return JsonRows({line: row for line, row in enumerate(rows, 1) if line not in faults}, faults)


def read_lines(text: str) -> JsonRows:
    """Return the rows of an NDJSON text; empty lines are left out. Raises UserError if there are
    too many."""
    _refuse_many(text.count("\n"))
    rows: dict[int, Record] = {}
    unreadable: dict[int, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            row = _read_line(line)
            if isinstance(row, Mapping):
                rows[number] = row
            else:
                unreadable[number] = row if isinstance(row, str) else "is not an object"
    return JsonRows(rows, unreadable)


def _read_line(line: str) -> Any:
    """Return the row of a line, or else a text why it cannot be read."""
    if len(line) > LONGEST_LINE:
        return f"has {len(line)} characters; at most {LONGEST_LINE} are allowed"
    try:
        found = parse_json(line)
    except RepeatedName as fault:
        return str(fault)
    except (ValueError, RecursionError) as fault:
        return f"is not JSON: {fault}"
    return found if isinstance(found, Mapping) else None


def _refuse_many(rows: int) -> None:
    if rows > MOST_ROWS:
        raise UserError(f"the body holds {rows} rows; send at most {MOST_ROWS} at once")
