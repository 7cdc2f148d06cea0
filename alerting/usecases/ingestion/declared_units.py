"""Units of the columns of a file beside those of declared variables: values are converted where
both units are known, a column of another quantity is refused, and else people are asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from alerting.deferred import np, pd
from alerting.definitions.asset_documents import Asset, VariableType
from alerting.definitions.faults import UserError
from alerting.ports import Progress, ReadingBatch, Readings, WantedHistory
from alerting.readings.history import millis
from alerting.readings.unit_conversion import (
    Conversion,
    OtherQuantity,
    UnitRelation,
    relations_of,
)
from alerting.usecases.ingestion.imported_files import Profile, ReadingSource, Reject

Relations = Mapping[str, Mapping[str, UnitRelation]]
"""How the units of columns relate to the declared ones: by asset and variable."""
_MOST_COMPARED = 20  # assets whose stored values are compared with a file
_MOST_ROWS = 4096  # stored rows of an asset on either side of a file that are compared
_MOST_CELLS = 1_000_000
_ENOUGH = 2000
_PARTS = 4**9
_GREATEST = sys.float_info.max


def relate_columns(
    source: ReadingSource,
    profile: Profile,
    types: Mapping[str, VariableType],
    existing: Mapping[str, Asset],
    stated: Mapping[str, str],
) -> Relations:
    """Return how the units of a file relate to those of the declared variables. `stated`: units by
    title; that of the cells counts first, that of the title last. Raises UserError for another
    quantity."""
    columns = [profile.columns[title] for title, kind in types.items() if kind == "number"]
    units = {
        c.name: c.unit_of_cells or stated.get(c.title) or c.split_title().unit for c in columns
    }
    relations = {
        asset: related
        for asset in sorted(profile.assets.keys() & existing.keys())
        if (related := relations_of(units, existing[asset].variables))
    }
    for asset, by_variable in relations.items():
        for name, relation in by_variable.items():
            if isinstance(relation, OtherQuantity):
                raise UserError(
                    f"{source.name} was not imported: the column of {name} is in "
                    f"{relation.written}, and {name} of {asset} in {relation.declared}: give the "
                    "column another name with --rename, or correct the unit"
                )
    return relations


def read_in_declared_units(
    source: ReadingSource,
    types: Mapping[str, VariableType],
    relations: Relations,
    reject: Reject,
    progress: Progress,
) -> Iterator[ReadingBatch]:
    """Yield the batches of a file, with values in the units of their variables."""
    for batch in source.read(types, reject, progress):
        columns = dict(batch.columns)
        for asset, by_variable in relations.items():
            rows = batch.assets == asset
            for name, relation in by_variable.items():
                if isinstance(relation, Conversion) and name in columns:
                    values = columns[name].values
                    with np.errstate(over="ignore"):
                        converted = np.where(rows, relation.convert(values), values)
                    converted = np.clip(converted, -_GREATEST, _GREATEST)
                    columns[name] = replace(columns[name], values=converted)
        yield replace(batch, columns=columns)


def sample_stored(
    profile: Profile,
    types: Mapping[str, VariableType],
    existing: Mapping[str, Asset],
    readings: Readings,
    relations: Relations,
) -> None:
    """Add stored values around the times of a file to the sample of its rows, in the units of its
    columns, so that a file in another unit than the stored values is found."""
    if profile.first is None or profile.last is None:
        return
    length = profile.last - profile.first
    most = min(_MOST_ROWS, _MOST_CELLS // max(1, len(profile.columns)))
    for name in sorted(profile.assets.keys() & existing.keys())[:_MOST_COMPARED]:
        asset = existing[name]
        columns = {
            column.name: position
            for position, column in enumerate(profile.columns.values())
            if types.get(column.title) == "number" and column.name in asset.variables
        }
        stored = readings.span(name) if columns else None
        if stored is None:
            continue
        before = readings.span(name, profile.first)
        parts = [  # before the file; at its times, as if they were before it; after it
            (before[1] if before else profile.first, -length, timedelta(0)),
            (profile.last, -length, -length),
            (max(profile.last, stored[0]), length, timedelta(0)),
        ]
        for start, width, shift in parts:
            frame = _stored_beside(readings, asset, [*columns], start, width)
            frame = frame.iloc[:: len(frame) // most + 1]
            values = np.full((len(frame), len(profile.columns)), np.nan)
            for variable in columns.keys() & {*frame.columns}:
                relation = relations.get(name, {}).get(variable)
                numbers = frame[variable].to_numpy(np.float64)
                values[:, columns[variable]] = (
                    relation.revert(numbers) if isinstance(relation, Conversion) else numbers
                )
            names = np.full(len(frame), name, object)
            profile.sample.add(names, millis(pd.DatetimeIndex(frame.index + shift)), values)


def _stored_beside(
    readings: Readings, asset: Asset, variables: Sequence[str], at: datetime, length: timedelta
) -> pd.DataFrame:
    """Return stored readings from an instant on, or before it if `length` is negative: of all the
    length, or of a part with enough rows, so that no more than several times as many are read."""
    parts = _PARTS if length else 1
    while True:
        start, end = sorted((at, at + length / parts))
        frame = readings.load(
            WantedHistory(asset, start, end, variables, with_events=False)
        ).readings
        if parts == 1 or len(frame) >= _ENOUGH:
            return frame
        parts //= 4
