"""How a file is read, as a value: where its table begins, what its columns are, how its stamps and
numbers are written; and the same in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from alerting.definitions.faults import shown
from alerting.definitions.wording.language import join_with_and

_MARKS = {"\t": "tab"}


@dataclass(frozen=True)
class ReadingPlan:
    """How a file is read: what it was found to be, or was said to be. None where it does not apply:
    a Parquet file has no separator, a table of assets no time.

    `title_lines`: the lines that name the columns, counted from 1; none if the file names none.
    `unit_line`: the line of their units; `first_line`: that of the first row. `variable_column`
    and `value_column`: in a file with one line for each value, the columns that name the variable
    and hold the value, and `unit_column` its unit. `time_columns` are two if date and time are
    separate, none if the rows have no stamps and are a `sequence` apart, in their order. `zone`:
    zone of stamps without one; `zone_from`: the reason for this zone.
    """

    encoding: str | None = None
    separator: str | None = None
    decimal: str | None = None
    title_lines: tuple[int, ...] = ()
    unit_line: int | None = None
    first_line: int | None = None
    variable_column: str | None = None
    value_column: str | None = None
    unit_column: str | None = None
    quality_column: str | None = None
    time_columns: tuple[str, ...] = ()
    time_format: str | None = None
    zone: str | None = None
    zone_from: str | None = None
    sequence: timedelta | None = None


def describe_plan(plan: ReadingPlan) -> Iterator[str]:
    """Yield the plan in words: what is written how, the lines of the head, the times, the form."""
    written = [f"separator {_MARKS.get(plan.separator, plan.separator)}"] if plan.separator else []
    written += [f"decimal mark {plan.decimal}"] if plan.separator and plan.decimal else []
    written += [f"encoding {plan.encoding}"] if plan.encoding else []
    if written:
        yield ", ".join(written)
    if head := _head(plan):
        yield head
    if plan.sequence is not None:
        yield f"time: {plan.time_format}"
    elif plan.time_columns:
        zone = (
            f"local time of {plan.zone} ({plan.zone_from})"
            if plan.zone
            else "each stamp names its zone or counts in UTC"
        )
        yield f"time: {' + '.join(map(shown, plan.time_columns))}, {plan.time_format}, {zone}"
    if plan.variable_column:
        beside = f", unit from {shown(plan.unit_column)}" if plan.unit_column else ""
        beside += f", quality from {shown(plan.quality_column)}" if plan.quality_column else ""
        yield (
            f"one row for each value: variable from {shown(plan.variable_column)}, value from "
            f"{shown(plan.value_column)}{beside}"
        )


def _head(plan: ReadingPlan) -> str | None:
    """Return where the titles, units and rows stand; None for a header on the first line."""
    if plan.first_line is None or (plan.title_lines == (1,) and plan.first_line == 2):
        return None
    if not plan.title_lines:
        return f"no line names the columns; rows from line {plan.first_line}"
    lines = join_with_and(*map(str, plan.title_lines))
    titles = f"titles from line{'s' * (len(plan.title_lines) > 1)} {lines}"
    units = f", units from line {plan.unit_line}" if plan.unit_line else ""
    return f"{titles}{units}, rows from line {plan.first_line}"
