"""A look at rows of a source as they would be stored, and at those that would be refused. Writes
nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from alerting.definitions.sources.mapping import SourceFields
from alerting.definitions.sources.streamed import StreamedSource
from alerting.ports import EventRow, ReadingRow, Record, SourcePorts
from alerting.readings.history import to_millis
from alerting.readings.spacing import describe_doubtful
from alerting.usecases.sources.deliver import fit
from alerting.usecases.sources.records import RefusedRow
from alerting.usecases.sources.stream import BrokerMessage, topic_reader

SHOWN = 10


@dataclass(frozen=True)
class Look:
    """Copies of messages; the broker keeps all of them for the stream service. `notes`: how many
    came, or why none did."""

    messages: Sequence[BrokerMessage]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class SourceTrial:
    """The first rows of a source as they would be stored, and refused ones. `read`: the number of
    rows looked at.

    `notes`: sentences on what was found, e.g. the format of a file.
    """

    source: str
    read: int
    rows: Sequence[Mapping[str, Any]]
    refused: Sequence[RefusedRow]
    notes: Sequence[str] = ()


def try_records(
    plant: SourcePorts,
    source: SourceFields,
    records: Sequence[Record],
    now: datetime | None = None,
) -> SourceTrial:
    """Return the first rows of records as they would be stored, and the first refused ones. `now`:
    readings after it are told of."""
    found = fit(plant, source, records, source.name)
    rows = [*described(found.readings), *described(found.events)]
    return SourceTrial(
        source.name,
        len(records),
        rows[:SHOWN],
        found.refused[:SHOWN],
        [*_notes(found.readings, now)],
    )


def try_messages(
    plant: SourcePorts, source: StreamedSource, look: Look, now: datetime | None = None
) -> SourceTrial:
    """Return the first rows of messages as they would be stored, and the first refused ones, by the
    number of their message. `now`: readings after it are told of."""
    read = topic_reader(source)
    records: list[Record] = []
    owners: list[int] = []
    refused: list[RefusedRow] = []
    for number, message in enumerate(look.messages, 1):
        try:
            rows = read(message)
        except ValueError as fault:
            refused.append(RefusedRow(number, str(fault)))
            continue
        records += rows
        owners += [number] * len(rows)
    found = fit(plant, source, records, source.name)
    refused += [RefusedRow(owners[row.line - 1], row.reason) for row in found.refused]
    rows_shown = [*described(found.readings), *described(found.events)][:SHOWN]
    refused.sort(key=lambda row: row.line)
    notes = [*look.notes, *_notes(found.readings, now)]
    return SourceTrial(source.name, len(look.messages), rows_shown, refused[:SHOWN], notes)


def _notes(rows: Sequence[ReadingRow], now: datetime | None) -> Iterator[str]:
    """Yield sentences on readings far from all others, and after now."""
    return describe_doubtful(np.array([to_millis(row.ts) for row in rows], np.int64), now)


def described(rows: Sequence[ReadingRow | EventRow]) -> Iterator[Mapping[str, Any]]:
    """Yield rows for people: asset and instant first, then the values, or type, end and
    attributes."""
    for row in rows:
        if isinstance(row, ReadingRow):
            yield {
                "asset": row.asset,
                "ts": row.ts,
                **row.values,
                **{f"{name} (quality)": q for name, q in row.quality.items()},
            }
        else:
            yield {
                "asset": row.asset,
                "ts": row.start,
                "type": row.type,
                "end": row.end,
                **row.attributes,
            }
