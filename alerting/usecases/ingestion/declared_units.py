"""Units of the columns of a file beside those of declared variables: values are converted where
both units are known, a column of another quantity is refused, and else people are asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from alerting.deferred import np, pd
from alerting.definitions.asset_documents import Asset, VariableType
from alerting.definitions.faults import UserError
from alerting.ports import Progress, ReadingBatch, Readings
from alerting.readings.history import millis
from alerting.readings.unit_conversion import (
    Conversion,
    OtherQuantity,
    UnitRelation,
    relations_of,
)
from alerting.usecases.ingestion.imported_files import Profile, ReadingSource, Reject, Source

Relations = Mapping[str, Mapping[str, UnitRelation]]
"""How the units of columns relate to the declared ones: by asset and variable."""
_MOST_COMPARED = 20  # assets whose stored values are compared with a file
_MOST_STORED = 20_000  # about so many rows of each


def relate_columns(
    source: Source,
    profile: Profile,
    types: Mapping[str, VariableType],
    existing: Mapping[str, Asset],
    stated: Mapping[str, str],
) -> Relations:
    """Return how the units of a file relate to those of the declared variables. `stated`: units by
    title, else that of the title or the cells counts. Raises UserError for another quantity."""
    columns = [profile.columns[title] for title, kind in types.items() if kind == "number"]
    units = {c.name: stated.get(c.title) or c.split_title().unit for c in columns}
    relations = {
        asset: relations_of(units, existing[asset].variables)
        for asset in sorted(profile.assets.keys() & existing.keys())
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
                    converted = np.where(rows, relation.convert(values), values)
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
    share = min(1.0, _MOST_STORED * len(profile.assets) / max(profile.rows, 1))
    length = (profile.last - profile.first) * share
    for asset in sorted(profile.assets.keys() & existing.keys())[:_MOST_COMPARED]:
        span = readings.span(asset)
        columns = {
            column.name: position
            for position, column in enumerate(profile.columns.values())
            if types.get(column.title) == "number" and column.name in existing[asset].variables
        }
        if span is None or not columns:
            continue
        start = min(profile.first, span[1]) - length
        end = min(profile.last + length, span[1])
        frame = readings.load(existing[asset], start, end, [*columns], with_events=False).readings
        values = np.full((len(frame), len(profile.columns)), np.nan)
        for name in columns.keys() & {*frame.columns}:
            relation = relations.get(asset, {}).get(name)
            stored = frame[name].to_numpy(np.float64)
            values[:, columns[name]] = (
                relation.revert(stored) if isinstance(relation, Conversion) else stored
            )
        names = np.full(len(frame), asset, object)
        profile.sample.add(names, millis(pd.DatetimeIndex(frame.index)), values)
