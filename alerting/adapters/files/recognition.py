"""Detection of time column and of formats of stamps and numbers from a file's first rows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import Cells
from alerting.adapters.files.stamps.formats import FORMATS, ORDERS, StampFormat, order_shown
from alerting.adapters.files.tables.chunks import (
    ChunkedTable,
    no_column,
    similar_titles,
    title_list,
)
from alerting.deferred import pc
from alerting.definitions.faults import UserError, shown

ROWS = 2_000
DEFAULT_TIME = "ts"
JOINED = " + "
_MOST = 0.5  # least share of stamps among the cells of a time column
_ISO = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?$"
_SINCE_1970 = r"^\d{9,13}(\.\d{1,9})?$"
_CLOCK_ONLY = r"^\d{1,2}:\d\d(:\d\d([.,]\d{1,9})?)?( ?[AaPp]\.?[Mm]\.?)?$"
_DAY_ONLY = r"^\d{1,4}[-./]\d{1,2}[-./]\d{1,4}$|^(19|20)\d{6}$"
_TIME_TITLES = r"(?i)^(ts|t|time|times|date|utc|.*zeit.*|datum.*|.*time.?stamp.*|epoch.*|unix.*|.*date.*time.*)$"  # noqa: E501
_PREFERRED_TITLES = ("ts", "timestamp", "datetime", "date_time", "zeitstempel", "time", "zeit")

Sample = Mapping[str, Cells]


@dataclass(frozen=True)
class NumberForm:
    """Format of numbers. `shown`: the file has proved it, so that no later row changes it."""

    decimal: str
    shown: bool
    thousands: bool = False


def sample(table: ChunkedTable) -> dict[str, Cells]:
    """Return the first rows of a table, its cells cleaned."""
    rows = max(50, min(ROWS, 200_000 // len(table.titles)))
    first = table.first_rows(rows)
    if first is None:
        return {title: cell.column([]) for title in table.titles}
    return {title: cell.clean(cells.slice(0, rows)) for title, cells in first.columns.items()}


def number_form(cells: Sample, titles: Sequence[str], separator: str | None) -> NumberForm:
    """Return the decimal mark that most numbers of these columns show; else a point."""
    point = comma = 0
    for title in titles:
        points, commas = cell.decimal_mark(cells[title])
        point = point + points
        comma = comma + commas
    decimal = "," if comma > point and separator != "," else "."
    thousands = any(cell.plainly_grouped(cells[title], decimal).any() for title in titles)
    return NumberForm(decimal, bool(point or comma), thousands)


def time_columns(
    table: ChunkedTable, wanted: str | None, cells: Sample, others: Sequence[str]
) -> tuple[str, ...]:
    """Return the title of the column of stamps, or those of date and time; `others` have another
    known meaning.

    Raises UserError if there is none, or several match.
    """
    if wanted is not None:
        return _find_titles(table, wanted, cells)
    if DEFAULT_TIME in table.titles:
        return (DEFAULT_TIME,)
    found = [
        title
        for title in table.titles
        if title not in others and contains_stamps(cells[title], title)
    ]
    if len(found) > 1:
        days = [t for t in found if _share(cells[t], _DAY_ONLY) > _MOST]
        found = [t for t in found if t not in days] or found
    if len(found) == 1 and _share(cells[found[0]], _DAY_ONLY) > _MOST:
        clocks = [title for title in table.titles if _share(cells[title], _CLOCK_ONLY) > _MOST]
        found += clocks if len(clocks) == 1 else []
        return tuple(found)
    named = [t for word in _PREFERRED_TITLES for t in found if t.lower() == word]
    if len(found) > 1 and named:
        return (named[0],)
    if len(found) > 1:
        raise UserError(
            f"{table.path!s}: the columns {title_list([repr(t) for t in found])} all hold "
            "time stamps; name with --time the one of the measurement, of events that of their "
            "starts"
        )
    if not found:
        raise UserError(
            f"{table.path!s}: no column of time stamps was found: there is no column "
            f"{shown(DEFAULT_TIME)}; name it with --time. Columns: {title_list(table.titles)}"
        )
    return (found[0],)


def _find_titles(table: ChunkedTable, wanted: str, cells: Sample) -> tuple[str, ...]:
    if wanted in table.titles:
        return (wanted,)
    parts = tuple(part.strip() for part in wanted.split("+"))
    if len(parts) == 2 and all(part in table.titles for part in parts):
        return parts
    stamps = [title for title in table.titles if contains_stamps(cells[title], title)]
    near = similar_titles(wanted, stamps) or stamps[:3] or similar_titles(wanted, table.titles)
    raise no_column(table, wanted, "--time", near)


def has_stamps(table: ChunkedTable, time: str | None, form: StampFormat | None) -> bool:
    """Return whether a table has a column of time stamps beside another one. `time`: its title,
    below which numbers count as such; `form`: a further format."""
    cells = sample(table)
    return len(cells) > 1 and any(
        contains_stamps(found, title)
        or (form is not None and float(form.matches(found).mean() if len(found) else 0) > _MOST)
        or (title == time and _share(found, _SINCE_1970) > _MOST)
        for title, found in cells.items()
    )


def contains_stamps(cells: Cells, title: str) -> bool:
    """Return whether most cells of a column are stamps; plain numbers only below a time's title."""
    if _share(cells, _ISO) > _MOST:
        return True
    speaks = re.match(_TIME_TITLES, title.strip()) is not None
    if _share(cells, _SINCE_1970) > _MOST:
        return speaks
    found = stamp_format(cells)
    return found is not None and (speaks or not found.name.startswith("yyyymmdd"))


def stamp_format(cells: Cells) -> StampFormat | None:
    """Return the format of most cells; if day or month may be first, the day first."""
    filled = cells.drop_null()
    if not len(filled) or _share(filled, _ISO) > _MOST:
        return None
    shares = {
        f: float(f.matches(filled).mean())
        for f in (*FORMATS, *(orders[0] for orders in ORDERS.values()))
    }
    best = max(shares, key=lambda f: shares[f])
    return best if shares[best] > _MOST else None


def with_order(table: ChunkedTable, title: str, found: StampFormat) -> StampFormat:
    """Return the format, month first if the file shows it. Raises UserError without proof."""
    mark = next((mark for mark, orders in ORDERS.items() if found == orders[0]), None)
    if mark is None:
        return found
    for chunk in table.chunks([title]):
        order = order_shown(cell.clean(chunk.columns[title]), mark)
        if order >= 0:
            return ORDERS[mark][order]
    first, second = ORDERS[mark]
    raise UserError(
        f"{table.path!s}: column {shown(title)}: the stamps of the file do not show "
        f"whether the day or the month comes first; choose --time-format {first.name} or "
        f"--time-format {second.name}"
    )


def _share(cells: Cells, pattern: str) -> float:
    filled = cells.drop_null()
    matching = pc.sum(pc.match_substring_regex(filled, pattern)).as_py() or 0
    return matching / len(filled) if len(filled) else 0.0
