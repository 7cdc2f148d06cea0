"""Read a polled source on from where it was read last."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from alerting.definitions.faults import UserError
from alerting.definitions.source_fields import StreamedSource
from alerting.definitions.sources import FilesSource, Source, SqlSource
from alerting.definitions.wording.language import count_in_english
from alerting.ports import Delivered, RecordReader, SourcePorts
from alerting.usecases.sources.deliver import fit, require_active, store
from alerting.usecases.sources.files import FileDrop, IsOutage, read_files, try_files
from alerting.usecases.sources.status import SOURCES
from alerting.usecases.sources.stream import Look, SourceTrial, try_messages, try_records

TRIAL_S = 10.0
"""Time that a trial waits for messages."""


@dataclass(frozen=True)
class Readers:
    """Readers of polled sources. `messages`: copies messages of a source of a kind within some
    seconds, and takes none.

    `is_outage`: whether an error is one of the database, and not of a file.
    """

    files: FileDrop
    sql: RecordReader
    messages: Callable[[str, StreamedSource, float], Look] = lambda *_: Look(())
    is_outage: IsOutage = lambda _: False


@dataclass(frozen=True)
class Polled:
    """Result of reading a source: rows that were stored, how many of them changed anything, and
    refused rows or files."""

    rows: int
    new: int
    refused: int


def poll(
    plant: SourcePorts,
    readers: Readers,
    name: str,
    now: datetime,
    *,
    again: bool = False,
    report: Callable[[int], None] | None = None,
) -> Polled:
    """Store what a source has that was not read before. Idempotent. `again`: everything that it
    has.

    `report` gets the number of rows so far. Raises UserError, which is stored as the fault of the
    source, if it cannot be read.
    """
    SOURCES.record_edits(plant, now)
    source = SOURCES.find(plant, name)
    require_active(source)
    try:
        if isinstance(source, FilesSource):
            read = read_files(plant, readers.files, source, now, readers.is_outage, again=again)
            return Polled(read.rows, read.new, read.refused)
        if isinstance(source, SqlSource):
            return _poll_records(plant, readers.sql, source, now, again, report)
    except UserError as fault:
        plant.deliveries.set_fault(name, fault.message)
        raise
    raise UserError(
        f"source {name!r} is of kind {source.kind}: its rows are sent to the platform, which does "
        "not read them"
    )


def _poll_records(
    plant: SourcePorts,
    reader: RecordReader,
    source: SqlSource,
    now: datetime,
    again: bool,
    report: Callable[[int], None] | None,
) -> Polled:
    """Store piece after piece, and after each the cursor. A piece of which every row is refused
    stops: nothing is skipped."""
    rows = new = refused = 0
    origin = _origin(source)
    progress = plant.deliveries.progress(source.name)
    why = ""
    cursor = progress.cursor if progress.cursor_of in (None, origin) else None
    for piece in reader.read(source, None if again else cursor):
        found = fit(plant, source, piece.rows, source.name)
        if found.refused and not found.readings and not found.events:
            if piece.cursor == cursor:  # the last rows, which are read again
                continue
            plant.deliveries.record(
                source.name, Delivered(now, 0, len(found.refused), why=found.refused[-1].reason)
            )
            raise UserError(
                f"source {source.name}: all {len(found.refused)} rows that came are refused: "
                f"{found.refused[0].reason}"
            )
        delivery = store(plant, found, now, by=source.name)
        plant.deliveries.set_cursor(source.name, piece.cursor, origin)
        rows = rows + delivery.rows
        new = new + delivery.new
        refused = refused + len(delivery.refused)
        why = delivery.refused[0].reason if delivery.refused else why
        cursor = piece.cursor
        if report is not None:
            report(rows)
    if refused:
        said = count_in_english(
            "{number} row was refused: {reason}",
            "{number} rows were refused, for example: {reason}",
            refused,
            reason=why,
        )
        plant.deliveries.set_fault(source.name, said)
    return Polled(rows, new, refused)


def _origin(source: SqlSource) -> str:
    """Return the hash of what a cursor belongs to: a source that reads anything else begins
    anew."""
    origin = [source.url.model_dump(exclude_none=True), source.table, source.query, source.cursor]
    return hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:32]


def try_source(
    plant: SourcePorts,
    readers: Readers,
    source: Source,
    seconds: float = TRIAL_S,
    now: datetime | None = None,
) -> SourceTrial:
    """Connect a source and return some rows as they would be stored. Writes and takes nothing.
    Raises UserError if it cannot be connected or read.

    `seconds`: how long to wait for messages, where the broker stores none that could be looked at.
    `now`: readings after it are told of.
    """
    if isinstance(source, FilesSource):
        return try_files(plant, readers.files, source, readers.is_outage, now)
    if isinstance(source, SqlSource):
        piece = next(iter(readers.sql.read(source, None)), None)
        return try_records(plant, source, piece.rows if piece else [], now)
    if isinstance(source, StreamedSource):
        return try_messages(plant, source, readers.messages(source.kind, source, seconds), now)
    raise UserError(
        f"source {source.name!r} is of kind {source.kind}: give a file with rows as they will be "
        "sent, --rows FILE"
    )
