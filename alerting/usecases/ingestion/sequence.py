"""Rows without time stamps beside those already stored: a second file must not overwrite the units
of the first one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from alerting.deferred import pd
from alerting.definitions.assets import Asset, VariableType
from alerting.definitions.durations import format_duration
from alerting.definitions.faults import UserError
from alerting.ports import ReadingRow, Readings, silent
from alerting.usecases.ingestion.sources import ReadingSource

_MOMENT = timedelta(milliseconds=1)
_MANY = 0.5  # of the rows compared; fewer other values are corrections


def refuse_other_rows(
    source: ReadingSource,
    types: Mapping[str, VariableType],
    step: timedelta,
    existing: Mapping[str, Asset],
    readings: Readings,
) -> None:
    """Compare the first rows of a sequence with those stored at the same instants.

    Raises UserError, with the start that continues after the last stored row, if half of the rows
    of an asset, or more, hold other values.
    """
    first = next(source.read(types, lambda _: None, silent), ())
    by_asset: dict[str, list[ReadingRow]] = {}
    for row in first:
        by_asset.setdefault(row.asset, []).append(row)
    for name, rows in by_asset.items():
        if name in existing:
            _refuse(source, existing[name], rows, step, readings)


def _refuse(
    source: ReadingSource,
    asset: Asset,
    rows: Sequence[ReadingRow],
    step: timedelta,
    readings: Readings,
) -> None:
    since = min(row.ts for row in rows)
    until = max(row.ts for row in rows)
    found = readings.load(asset, since - _MOMENT, until).readings
    stored = {
        at.to_pydatetime(): values
        for at, (_, values) in zip(found.index, found.iterrows(), strict=True)
    }
    compared = [_is_other(row, stored[row.ts]) for row in rows if row.ts in stored]
    others = [is_other for is_other in compared if is_other is not None]
    if sum(others) < max(1, _MANY * len(others)):
        return
    _, last = readings.span(asset.name) or (since, until)
    following = (last + step).isoformat()
    raise UserError(
        f"{source.name}: {asset.name} has {sum(others)} rows with other values at the same "
        f"instants (of the first {len(others)}, "
        f"from {since.isoformat()} on, {format_duration(step)} apart), so this is not the file "
        "imported before. If it continues "
        f"that file, add --start {following}; if it is of another machine, name another --asset. "
        "Nothing was written"
    )


def _is_other(row: ReadingRow, stored: pd.Series) -> bool | None:
    """Return whether a value differs from the stored one of its variable; None without a variable
    in common."""
    common = [name for name in row.values if name in stored and not pd.isna(stored[name])]
    return any(stored[name] != row.values[name] for name in common) if common else None
