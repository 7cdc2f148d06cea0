"""Parts of an arrival record: the rows of one write at or before an instant."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter

import numpy as np

from alerting.ports import Document, LatePart, ReadingBatch
from alerting.readings.instants import from_millis, to_millis

Key = tuple[str, datetime]


def batch_parts(batch: ReadingBatch, limit: datetime | None) -> tuple[LatePart, ...]:
    """Return the rows of a batch at or before an instant, by asset."""
    among = np.ones(len(batch), dtype=bool) if limit is None else batch.at <= to_millis(limit)
    parts = []
    for asset in sorted(set(batch.assets[among].tolist())):
        rows = among & (batch.assets == asset)
        at = batch.at[rows]
        names = tuple(sorted(name for name, column in batch.columns.items() if column.present[rows].any()))
        parts.append(LatePart(asset, from_millis(at.min()), from_millis(at.max()), len(at), variables=names))
    return tuple(parts)


def reading_parts(written: Sequence[tuple[Key, Mapping[str, object]]], limit: datetime | None) -> tuple[LatePart, ...]:
    """Return the written rows at or before an instant, by asset."""
    rows = [(asset, ts, values) for (asset, ts), values in written if limit is None or ts <= limit]
    parts = []
    for asset, group in groupby(sorted(rows, key=itemgetter(0)), key=itemgetter(0)):
        of_asset = list(group)
        instants = [ts for _, ts, _ in of_asset]
        names = set().union(*(values for _, _, values in of_asset))
        parts.append(LatePart(asset, min(instants), max(instants), len(of_asset), variables=tuple(sorted(names))))
    return tuple(parts)


def event_parts(turns: Sequence[tuple[Document, datetime]], limit: datetime | None) -> tuple[LatePart, ...]:
    """Return the events that change the evaluation from an instant at or before the limit, by asset and type."""
    rows = [(event["asset"], event["type"], turn) for event, turn in turns if limit is None or turn <= limit]
    parts = []
    for (asset, type_), group in groupby(sorted(rows), key=itemgetter(0, 1)):
        instants = [turn for _, _, turn in group]
        parts.append(LatePart(asset, min(instants), max(instants), len(instants), events=(type_,)))
    return tuple(parts)


def turn_of(before: Document | None, after: Document) -> datetime | None:
    """Return the instant from which a write changes the evaluation; None if it changes nothing.

    It is the start of a new event, or the earlier of two ends.
    """
    if before is None:
        start: datetime = after["start"]
        return start
    ends = [end for end in (before["end"], after["end"]) if end is not None]
    return min(ends) if before["end"] != after["end"] else None
