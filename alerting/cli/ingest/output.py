"""Output of `alerting import`: the profile of the file, and the results."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from alerting.cli.output import console, print_json, short, show

if TYPE_CHECKING:
    from alerting.usecases.ingestion.assets import AssetsResult
    from alerting.usecases.ingestion.sources import FileForm, Reject, Understood, UnderstoodColumn
    from alerting.usecases.ingestion.tables import ImportResult

_SHOWN = 6
_COLUMNS = 40
_MARKS = {"\t": "tab", ";": ";", ",": ",", "|": "|"}


def print_understood(understood: "Understood") -> None:
    """Print the format of the file, its time column, its other columns and remarks on them."""
    for line in _head(understood):
        console.print(line)
    show(
        [_column(c) for c in understood.columns[:_COLUMNS]],
        ["column", "type", "unit", "values", "empty", "bad"],
        False,
    )
    if len(understood.columns) > _COLUMNS:
        console.print(
            f"  and {len(understood.columns) - _COLUMNS:,} more columns (--json names all)"
        )
    for line in [*_bad_cells(understood.columns), *understood.notes]:
        console.print(f"  {line}")
    if understood.removes is not None:
        console.print(f"  {_count(understood.removes, 'row')} stored exactly as in this file")


def _count(what: int | Sequence[str], noun: str) -> str:
    count = what if isinstance(what, int) else len(what)
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (
        f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    )


def _head(understood: "Understood") -> list[str]:
    form = understood.form
    written = [f"separator {_MARKS.get(form.separator, form.separator)}"] if form.separator else []
    written += [f"decimal mark {form.decimal}"] if form.separator and form.decimal else []
    written += [f"encoding {form.encoding}"] if form.encoding else []
    lines = (
        [f"{understood.source}: detected format", f"  {', '.join(written)}"]
        if written
        else [f"{understood.source}:"]
    )
    if form.sequence is not None:
        lines.append(f"  time: {form.time_format}")
    elif form.time_columns:
        lines.append(
            f"  time: {' + '.join(map(repr, form.time_columns))}, {form.time_format}, {_zone(form)}"
        )
    span = (
        f", {_local(understood.first, form)} to {_local(understood.last, form)}"
        if understood.first
        else ""
    )
    lines.append(f"  {_count(understood.lines, 'line')}{span}")
    new = set(understood.new_assets)
    assets = [f"{name} (new)" if name in new else name for name in understood.assets]
    lines.append(f"  {'asset' if len(assets) == 1 else 'assets'}: {_names(assets)}")
    return lines


def _zone(form: "FileForm") -> str:
    return (
        f"local time of {form.zone} ({form.zone_from})"
        if form.zone
        else "each stamp names its zone or counts in UTC"
    )


def _local(instant: datetime | None, form: "FileForm") -> str:
    if instant is None:
        return ""
    local = instant.astimezone(ZoneInfo(form.zone or "UTC"))
    return local.strftime("%Y-%m-%d %H:%M:%S") + ("" if form.zone else "Z")


def _column(column: "UnderstoodColumn") -> dict[str, Any]:
    name = column.name if len(column.name) <= 60 else column.name[:59] + "…"
    counts = {"values": column.values, "empty": column.missing, "bad": column.bad}
    words = {
        "column": name,
        "type": column.type + (" (new)" if column.new else ""),
        "unit": column.unit,
    }
    return words | {title: f"{n:,}" if n else None for title, n in counts.items()}


def _bad_cells(columns: "Sequence[UnderstoodColumn]") -> list[str]:
    lines = []
    for column in [c for c in columns if c.bad][:_COLUMNS]:
        cells = ", ".join(
            f"{count:,} x {cell if len(cell) <= 30 else cell[:29] + '…'}"
            for cell, count in column.bad_cells.items()
        )
        where = f" (first: line {column.first_bad[0].split(',')[0]})" if column.first_bad else ""
        lines.append(
            f"column {column.title[:60]!r}: {_not_numbers(column.bad, column.bad_cells, cells)} as "
            f"missing{where}"
        )
    return lines


def _not_numbers(number: int, distinct: Mapping[str, int], cells: str) -> str:
    """Return that cells are no numbers: `1 cell is not a number (#NV) and counts`."""
    if number == 1:
        return f"1 cell is not a number ({next(iter(distinct), '')}) and counts"
    return f"{number:,} cells are not numbers ({cells}) and count"


def print_result(result: "ImportResult", reject: "Reject | None", as_json: bool) -> None:
    """Print what an import changed, as JSON or as a few lines."""
    rejects = str(getattr(reject, "path", "")) if result.rejected else None
    if as_json:
        print_json(vars(result) | {"rejects": rejects})
        return
    span = f", {short(result.first)} to {short(result.last)}" if result.first else ""
    lines = [
        f"{result.new:,} new of {result.rows:,} {result.what} of "
        f"{_count(result.assets, 'asset')}{span}"
    ]
    if result.understood and result.understood.removes is not None:
        lines = [f"{result.removed:,} removed of {result.rows:,} {result.what} of the file"]
    if result.created:
        lines.append(f"new assets: {_names(result.created)}")
    if result.event_types:
        lines.append(
            "event types: "
            + ", ".join(f"{name} ({kind})" for name, kind in result.event_types.items())
        )
    if result.late and result.removed:
        lines.append(
            "the next evaluation evaluates their times again as far as the definitions' allowed "
            "lateness reaches"
        )
    elif result.late:
        lines.append(
            f"{result.late:,} came after their time was evaluated: the next evaluation evaluates "
            "it again as far as the "
            "definitions' allowed lateness reaches"
        )
    if rejects:
        bad = "1 bad line was" if result.rejected == 1 else f"{result.rejected:,} bad lines were"
        lines.append(f"{bad} written to {rejects}")
    for line in lines:
        console.print(line)


def _short(value: Any) -> Any:
    """Return a whole number without a decimal point, and anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def print_assets(result: "AssetsResult") -> None:
    """Print each field that an import of assets changes."""
    for change in result.changes:
        before = "" if change.before is None else f"{_short(change.before)} → "
        console.print(f"{change.asset}: {change.field}: {before}{_short(change.after)}")
    changed = len({*result.created, *(c.asset for c in result.changes)})
    outcome = "dry run: would change" if result.dry_run else "changed"
    console.print(
        f"{outcome} {changed} of {_count(result.assets, 'asset')}, {len(result.created)} new"
    )
