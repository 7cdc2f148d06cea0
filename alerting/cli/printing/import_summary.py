"""Summary of a file's profile for `alerting import`, as text for people."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from rich.table import Table

from alerting.cli.printing.output import console

if TYPE_CHECKING:
    from alerting.usecases.ingestion.understood import FileForm, Understood, UnderstoodColumn

_SHOWN = 6
_COLUMNS = 40
_MARKS = {"\t": "tab", ";": ";", ",": ",", "|": "|"}


def print_understood(understood: "Understood") -> None:
    """Print the format of the file, its time column, its other columns and remarks on them."""
    for line in _head(understood):
        console.print(line)
    if understood.columns:
        console.print(_columns(understood.columns[:_COLUMNS]))
    if len(understood.columns) > _COLUMNS:
        console.print(f"  and {len(understood.columns) - _COLUMNS:,} more columns (--json names all)")
    for line in [*_bad_cells(understood.columns), *understood.notes]:
        console.print(f"  {line}")


def count_text(what: int | Sequence[str], noun: str) -> str:
    """Return a count with its noun: `1 asset`, `2 assets`."""
    count = what if isinstance(what, int) else len(what)
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def first_names(names: Sequence[str]) -> str:
    """Return the first names and the number of the others."""
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")


def _head(understood: "Understood") -> list[str]:
    form = understood.form
    written = [f"separator {_MARKS.get(form.separator, form.separator)}"] if form.separator else []
    written += [f"decimal mark {form.decimal}"] if form.separator and form.decimal else []
    written += [f"encoding {form.encoding}"] if form.encoding else []
    lines = [f"{understood.source}: detected format", f"  {', '.join(written)}"] if written else [f"{understood.source}:"]
    if form.time_columns:
        lines.append(f"  time: {' + '.join(map(repr, form.time_columns))}, {form.time_format}, {_zone(form)}")
    span = f", {_local(understood.first, form)} to {_local(understood.last, form)}" if understood.first else ""
    lines.append(f"  {count_text(understood.lines, 'line')}{span}")
    new = set(understood.new_assets)
    assets = [f"{name} (new)" if name in new else name for name in understood.assets]
    lines.append(f"  {'asset' if len(assets) == 1 else 'assets'}: {first_names(assets)}")
    return lines


def _zone(form: "FileForm") -> str:
    return f"local time of {form.zone} ({form.zone_from})" if form.zone else "each stamp names its zone or counts in UTC"


def _local(instant: datetime | None, form: "FileForm") -> str:
    if instant is None:
        return ""
    local = instant.astimezone(ZoneInfo(form.zone or "UTC"))
    return local.strftime("%Y-%m-%d %H:%M:%S") + ("" if form.zone else "Z")


def _columns(columns: "Sequence[UnderstoodColumn]") -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("  column", overflow="fold", ratio=3)
    table.add_column("type")
    table.add_column("unit", overflow="fold")
    for title in ("values", "empty", "bad"):
        table.add_column(title, justify="right")
    for column in columns:
        name = f"  {column.name if len(column.name) <= 60 else column.name[:59] + '…'}"
        counts = (f"{n:,}" if n else "" for n in (column.values, column.missing, column.bad))
        table.add_row(_plain(name), column.type + (" (new)" if column.new else ""), _plain(column.unit or ""), *counts)
    return table


def _bad_cells(columns: "Sequence[UnderstoodColumn]") -> list[str]:
    """Return a sentence for each column with cells that are not values."""
    lines = []
    for column in [c for c in columns if c.bad][:_COLUMNS]:
        cells = ", ".join(
            f"{count:,} x {cell if len(cell) <= 30 else cell[:29] + '…'}" for cell, count in column.bad_cells.items()
        )
        where = f" (first: line {column.first_bad[0].split(',')[0]})" if column.first_bad else ""
        lines.append(f"column {column.title[:60]!r}: {column.bad:,} cells are not values and count as missing: {cells}{where}")
    return lines


def _plain(text: str) -> str:
    return text.replace("[", "\\[")
