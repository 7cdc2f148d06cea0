"""Declarations of an import: types of columns, variables of assets, durations of event types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from pydantic import ValidationError

from alerting.deferred import pd
from alerting.definitions.assets import Asset, Variable, VariableType, is_type_open
from alerting.definitions.faults import UserError, format_duration, shown
from alerting.definitions.wording.language import ENGLISH, join_with_and
from alerting.ports import ReadingRow, Readings, silent
from alerting.readings.column_titles import split_title, whole_title
from alerting.readings.history import FIRST_INSTANT, LAST_INSTANT
from alerting.readings.inference import ColumnProfile
from alerting.usecases.ingestion.sources import (
    Duration,
    EventsProfile,
    Profile,
    ReadingSource,
    Source,
)
from alerting.usecases.ingestion.summary import SHOWN


def column_types(
    source: Source, profile: Profile, existing: Mapping[str, Asset], readings: Readings
) -> dict[str, VariableType]:
    """Return the type by column title: the declared one, else the inferred one; columns without any
    value are left out.

    A variable that was declared without a type has that of its column until its first reading.
    """
    types: dict[str, VariableType] = {}
    for title, column in profile.columns.items():
        declared = _declared_type(source, column, profile.assets, existing, readings)
        kind = declared or column.inferred()
        if kind is None or not (column.filled or column.bad_quality):
            continue
        if not declared and column.written_with_decimal_comma():
            raise UserError(
                f"{source.name}: column {shown(title)} holds numbers such as 12,5: add --decimal ,"
            )
        types[title] = kind
    if not types and not profile.bad:
        raise UserError(
            f"{source.name} has no value in any column that could be a variable; nothing was "
            "written"
        )
    return types


def _declared_type(
    source: Source,
    column: ColumnProfile,
    assets: Mapping[str, set[str]],
    existing: Mapping[str, Asset],
    readings: Readings,
) -> VariableType | None:
    variable = column.name
    by_type: dict[VariableType, str] = {}
    for name in sorted(assets):
        found = existing[name].variables.get(variable) if name in existing else None
        if found and found.computed is not None:
            raise UserError(
                f"{source.name}: {variable} is computed of "
                f"{join_with_and(*found.computed.drivers)} on "
                f"{name} and has no readings of its own; leave the column out, or call it otherwise"
            )
        if found and (
            column.inferred() in (None, found.type)
            or not has_open_type(existing[name], variable, readings)
        ):
            by_type.setdefault(found.type, name)
    if len(by_type) > 1:
        conflict, *others = (f"{kind} on {asset}" for kind, asset in by_type.items())
        for other in others:
            conflict = f"{conflict} but {other}"
        raise UserError(
            f"{source.name}: {variable} is declared as {conflict}; import these assets from "
            "separate files"
        )
    return next(iter(by_type), None)


def has_open_type(asset: Asset, variable: str, readings: Readings) -> bool:
    """Return whether a variable was declared without a type and has no reading yet."""
    if not is_type_open(asset.variables[variable]):
        return False
    return (
        readings.span(asset.name) is None
        or readings.newest_values(asset, {variable: FIRST_INSTANT}, LAST_INSTANT).empty
    )


def with_variables(
    source: Source,
    asset: Asset,
    filled: set[str],
    columns: Mapping[str, ColumnProfile],
    types: Mapping[str, VariableType],
) -> Asset:
    """Return the asset with a variable for each of its filled columns. Declared variables do not
    change, except an open type.

    Raises UserError if the asset would not be valid, so that every written asset can be read again.
    """
    found = {
        columns[title].name: _variable(columns[title], kind)
        for title, kind in types.items()
        if columns[title].name in filled
    }
    typed = {
        variable: declared.model_copy(update={"type": found[variable].type})
        for variable, declared in asset.variables.items()
        if variable in found and found[variable].type != declared.type
    }
    if not typed and not found.keys() - asset.variables.keys():
        return asset
    try:
        return Asset.model_validate(
            {**dict(asset), "variables": {**found, **asset.variables, **typed}}
        )
    except ValidationError as error:
        reasons = "".join(
            f"\n  - {'.'.join(map(str, e['loc']))[:200]}: {e['msg']}"
            for e in error.errors()[:SHOWN]
        )
        raise UserError(
            f"{source.name} was not imported: asset {asset.name} would not be valid:{reasons}"
        ) from error


def _variable(column: ColumnProfile, kind: VariableType) -> Variable:
    """Return the variable of a column. A number gets the unit that its title names, and the title
    without it."""
    title, unit = (
        split_title(column.title) if kind == "number" else (whole_title(column.title), None)
    )
    return Variable(title=title if title != column.name else None, type=kind, unit=unit)


def event_durations(
    source: Source,
    profile: EventsProfile,
    stored: Mapping[str, Duration],
    wanted: Duration | None,
    has_events: Callable[[str], bool],
) -> dict[str, Duration]:
    """Return the duration by event type: the wanted one, the stored one, else lasting if the file
    has a column of ends. A stored type without events (`has_events`) may get another one.

    Raises UserError if a stored type with events is contradicted, or if the ends may have been
    forgotten: another column holds time stamps, and no duration is wanted or stored as instant.
    """
    undecided = wanted is None and any(stored.get(name) != "instant" for name in profile.types)
    if undecided and not profile.end_column and profile.stamps:
        columns = ", ".join(repr(title) for title in profile.stamps[:SHOWN])
        raise UserError(
            f"{source.name}: other columns than that of the starts hold time stamps: {columns}; "
            "nothing was written. Name with --end-column the one of the ends, or say with "
            "--instant or --lasting that none of them is"
        )
    durations: dict[str, Duration] = {}
    for name, found in sorted(profile.types.items()):
        durations[name] = (
            wanted or stored.get(name) or ("lasting" if profile.end_column else "instant")
        )
        if name not in stored or (
            stored[name] == durations[name] and not (stored[name] == "instant" and found.ends)
        ):
            continue
        if not has_events(name):
            durations[name] = wanted or "lasting"
            continue
        is_now = (
            "have ends"
            if stored[name] == durations[name]
            else f"are to be {ENGLISH.say(durations[name])}"
        )
        raise UserError(
            f"{source.name}: events of type {shown(name)} {is_now}, but are stored as "
            f"{ENGLISH.say(stored[name])} already; nothing was written. Import them under "
            "another type (--type, --type-prefix) if they are of another type. If the stored "
            "ones were imported wrongly, import their file once more with --take-back, which "
            "removes them; then their type may change"
        )
    return durations


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
