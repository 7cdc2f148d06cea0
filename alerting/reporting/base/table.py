"""A table of a report, as it is exported to CSV and JSON."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from pydantic_core import to_jsonable_python

from alerting.definitions.wording.clean_text import spreadsheet_text

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Table:
    """Rows of cells under column names: instants ISO 8601 in UTC, durations s, shares 0 to 1."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def to_csv(self) -> str:
        """Return the table as CSV with a head line. Empty cells are unknown."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(map(_csv_cell, row) for row in self.rows)
        return out.getvalue()

    def to_records(self) -> list[dict[str, Cell]]:
        """Return one mapping of column to cell for each row, for JSON."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def table(name: str, columns: str, rows: Iterable[Iterable[Any]]) -> Table:
    """Return a table of values, instants as text, under column names with a space in between."""
    cells = tuple(tuple(_cell(value) for value in row) for row in rows)
    return Table(name, tuple(columns.split()), cells)


def table_of(name: str, columns: str, items: Iterable[object], **attributes: str) -> Table:
    """Return a row of attributes for each item; `attributes`: of columns with another name."""
    read = [attrgetter(attributes.get(column, column)) for column in columns.split()]
    return table(name, columns, [[value(item) for value in read] for item in items])


def by_name(tables: Sequence[Table]) -> Mapping[str, Table]:
    """Return the tables by name, in their order."""
    return {t.name: t for t in tables}


def _cell(value: Any) -> Cell:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and value - value != 0:
        return None
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _csv_cell(cell: Cell) -> Cell:
    return spreadsheet_text(cell) if isinstance(cell, str) else "" if cell is None else cell


def to_document(value: Any) -> Any:
    """Return JSON-able values: instants as ISO 8601, numbers that are not finite as null."""
    return to_jsonable_python(value, inf_nan_mode="null")
