"""Rows of a source written as JSON, or as NDJSON: one row per line."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from alerting.definitions.faults import UserError, shown
from alerting.ports import Record

MOST_ROWS = 100_000
LONGEST_LINE = 1 << 20
"""Characters of a line of NDJSON."""


_decode = msgspec.json.Decoder().decode


class TooDeep(UserError):
    """Refusal of JSON that nests too deeply."""


@dataclass(frozen=True)
class JsonRows:
    """Rows by the number of their line, and why other lines cannot be read."""

    rows: Mapping[int, Record]
    unreadable: Mapping[int, str] = field(default_factory=dict)


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text, as the standard library reads it, but in a quarter of the time.

    What msgspec refuses, such as NaN and halves of surrogate pairs, the standard library decides. Bytes are UTF-8. Raises
    ValueError for text that is no JSON, and RecursionError if it nests too deeply.
    """
    try:
        return _decode(text)
    except (ValueError, RecursionError, msgspec.DecodeError):
        return json.loads(text if isinstance(text, str) else text.decode("utf-8"))


def read_json(text: str) -> JsonRows:
    """Return the row or the rows of a JSON text. Raises UserError if it is not JSON, or holds anything but rows."""
    try:
        found = parse_json(text)
    except RecursionError:
        raise TooDeep("the rows nest too deeply") from None
    except ValueError as fault:
        raise UserError(f"the body is not JSON: {fault}; NDJSON, one row per line, has the type application/x-ndjson") from None
    rows = [found] if isinstance(found, Mapping) else found
    if not isinstance(rows, list):
        raise UserError('the body is neither a row nor a list of rows: [{"ts": …, "asset": …, "values": {…}}]')
    _refuse_many(len(rows))
    for line, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise UserError(f"row {line} is not an object: {shown(row)}")
    return JsonRows(dict(enumerate(rows, 1)))


def read_lines(text: str) -> JsonRows:
    """Return the rows of an NDJSON text; empty lines are left out. Raises UserError if there are too many."""
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
    except (ValueError, RecursionError) as fault:
        return f"is not JSON: {fault}"
    return found if isinstance(found, Mapping) else None


def _refuse_many(rows: int) -> None:
    if rows > MOST_ROWS:
        raise UserError(f"the body holds {rows} rows; send at most {MOST_ROWS} at once")
