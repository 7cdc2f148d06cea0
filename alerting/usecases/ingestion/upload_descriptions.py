"""Documents of bounded size of what an import recognised and did, and its first rows."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

from pydantic_core import to_jsonable_python

from alerting.definitions.faults import storable
from alerting.definitions.wording.language import Translatable, read_template, template_document
from alerting.ports import EventRow, ReadingRow, silent
from alerting.readings.inference import BadLine
from alerting.usecases.ingestion.tables import CheckedEvents, CheckedReadings, ImportResult

Checked = CheckedReadings | CheckedEvents
NAMES = 50
_PREVIEW_ROWS = 10
_COLUMNS = 500
_LONGEST_NAME = 200
_LONGEST_TEXT = 4000
_OPTION = re.compile(r"--[a-z][a-z-]*")


def text_document(
    text: str, shorten: Callable[[str], str] = lambda text: text
) -> dict[str, Any] | None:
    """Return template and values of a text of bounded size; None without a template. `shorten`:
    makes texts of values fit for others."""
    if not isinstance(text, Translatable) or len(text) > _LONGEST_TEXT:
        return None
    document: dict[str, Any] = _storable(template_document(text), shorten)
    return document


def _storable(part: Any, shorten: Callable[[str], str]) -> Any:
    if isinstance(part, str):
        return storable(shorten(part))
    if isinstance(part, list):
        return [_storable(one, shorten) for one in part]
    return (
        {key: _storable(one, shorten) for key, one in part.items()}
        if isinstance(part, dict)
        else part
    )


def text_from_document(document: Mapping[str, Any] | None, english: str) -> str:
    """Return the text of such a document, else its English wording."""
    return english if document is None else read_template(document)


def name_options(text: str, names: Mapping[str, str]) -> str:
    """Return a message of the import with other names in place of the options of the command."""
    return _OPTION.sub(lambda option: names.get(option[0], option[0]), text)


def preview_rows(checked: Checked) -> tuple[dict[str, Any], ...]:
    """Return the first rows of a checked file as they will be stored."""
    return tuple(_preview(row) for row in first_rows(checked, _PREVIEW_ROWS))


def ignore_line(_line: BadLine) -> None:
    """Ignore a bad line in a check."""


def first_rows(checked: Checked, most: int) -> list[ReadingRow | EventRow]:
    """Return the first rows of a checked file as they will be stored."""
    batches: Iterator[Sequence[ReadingRow | EventRow]]
    if isinstance(checked, CheckedEvents):
        batches = checked.source.read(checked.types, checked.durations, ignore_line, silent)
    else:
        batches = checked.source.read(checked.types, ignore_line, silent)
    try:
        return list(islice(_rows(batches), most))
    finally:
        getattr(batches, "close", lambda: None)()


def _rows(batches: Iterator[Any]) -> Iterator[Any]:
    for batch in batches:
        yield from batch


def _preview(row: ReadingRow | EventRow) -> dict[str, Any]:
    if isinstance(row, ReadingRow):
        values = _short_values(row.values)
        return {"asset": row.asset, "ts": row.ts.isoformat(), "values": values}
    return {
        "asset": row.asset,
        "ts": row.start.isoformat(),
        "type": row.type,
        "end": row.end.isoformat() if row.end else None,
        "values": _short_values(row.attributes),
    }


def _short_values(values: Mapping[str, Any]) -> dict[str, Any]:
    shown = dict(islice(values.items(), NAMES))
    return {key: _shorten(one) if isinstance(one, str) else one for key, one in shown.items()}


def _shorten(text: str) -> str:
    return storable(text, _LONGEST_NAME)


def describe_understood(checked: Checked) -> dict[str, Any]:
    """Return what was recognised as a document of bounded size."""
    understood = checked.understood
    columns = [
        {
            **asdict(column),
            "title": _shorten(column.title),
            "bad_cells": [
                {"text": _shorten(text), "count": count} for text, count in column.bad_cells.items()
            ],
            "first_bad": [_shorten(text) for text in column.first_bad],
            "first_bad_texts": [text_document(text) for text in column.first_bad],
        }
        for column in understood.columns[:_COLUMNS]
    ]
    shown = {
        **vars(understood),
        "what": "events" if isinstance(checked, CheckedEvents) else "readings",
        "event_types": dict(islice(understood.event_types.items(), NAMES)),
        "form": asdict(understood.form),
        "assets": understood.assets[:NAMES],
        "new_assets": understood.new_assets[:NAMES],
        "number_of_assets": len(understood.assets),
        "number_of_new_assets": len(understood.new_assets),
        "columns": columns,
        "number_of_columns": len(understood.columns),
        "notes": [storable(note) for note in understood.notes],
        "note_texts": [text_document(note) for note in understood.notes],
    }
    del shown["source"]
    return _plain(shown)


def describe_result(result: ImportResult) -> dict[str, Any]:
    """Return the result of an import as a document of bounded size."""
    shown = {
        **vars(result),
        "assets": result.assets[:NAMES],
        "number_of_assets": len(result.assets),
        "created": result.created[:NAMES],
        "variables": dict(islice(result.variables.items(), _COLUMNS)),
        "event_types": dict(islice(result.event_types.items(), NAMES)),
        "notes": [storable(note) for note in result.notes],
    }
    del shown["understood"], shown["source"]
    return _plain(shown)


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = to_jsonable_python(document)
    return made
