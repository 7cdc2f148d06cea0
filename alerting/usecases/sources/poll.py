"""Read a polled source onwards from the last position: rows of a database, or the files that it
finds, each once: checked as a whole as an import does, stored, then put away.

A file is known by path, size and hash. It is marked after its rows are stored, and moved after it
is marked, so a process that is killed in between reads it again, which changes nothing. An error of
a file is the fault of this file: the other files are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from alerting.definitions.faults import UserError, first_line, storable
from alerting.definitions.file_form import FORM_FIELDS
from alerting.definitions.platform_limits import DeclarationLimits
from alerting.definitions.source_fields import StreamedSource
from alerting.definitions.sources import FilesSource, Source, SqlSource
from alerting.definitions.wording.language import ENGLISH, Translatable, count_in_english
from alerting.ports import (
    MOST_IN_FUTURE,
    Assets,
    Delivered,
    FileMark,
    IngestionPorts,
    RecordReader,
    SourcePorts,
)
from alerting.ports.use_cases import id_logger
from alerting.usecases.ingestion.imported_files import DURATIONS, EventSource, ReadingSource
from alerting.usecases.ingestion.tables import (
    CheckedFile,
    check_rows,
    first_rows,
    ignore_line,
    name_options,
)
from alerting.usecases.sources.declaration_bounds import (
    BeyondBounds,
    Headroom,
    NewNames,
    new_names,
    refuse_surplus,
)
from alerting.usecases.sources.records import RefusedRow
from alerting.usecases.sources.status import SHOWN, SOURCES, SourceTrial, describe_rows, try_records
from alerting.usecases.sources.store_rows import fit, record_declared, require_active, store
from alerting.usecases.sources.stream import Look, try_messages

if TYPE_CHECKING:
    from alerting.stores.deliveries_and_changes import SourceDeliveries


@dataclass(frozen=True)
class Readers:
    """Readers of polled sources. `messages`: copies messages of a source within some seconds, and
    takes none.

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
    """Store the rows of a source that were not read before. Idempotent. `again`: all its rows.

    `report` gets the number of rows so far. Raises UserError, which is stored as the fault of the
    source, if it cannot be read.
    """
    SOURCES.record_edits(plant, now)
    source = SOURCES.find(plant, name)
    require_active(source)
    try:
        if isinstance(source, FilesSource):
            return read_files(plant, readers.files, source, now, readers.is_outage, again=again)
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
    """Store piece after piece, and the cursor after each. Reading stops at a piece whose rows are
    all refused, so that nothing is skipped."""
    rows = new = refused = 0
    origin = _origin(source)
    progress = plant.deliveries.progress(source.name)
    why = ""
    cursor = progress.cursor if progress.cursor_of in (None, origin) else None
    for piece in reader.read(source, None if again else cursor):
        fitted = fit(plant, source, piece.rows, source.name)
        if fitted.refused and not fitted.readings and not fitted.events:
            if piece.cursor == cursor:  # the last rows, which are read again
                continue
            plant.deliveries.record(
                source.name, Delivered(now, 0, len(fitted.refused), why=fitted.refused[-1].reason)
            )
            raise UserError(
                f"source {source.name}: all {len(fitted.refused)} rows that came are refused: "
                f"{fitted.refused[0].reason}"
            )
        delivery = store(plant, fitted, now, by=source.name)
        plant.deliveries.set_cursor(source.name, piece.cursor, origin)
        rows = rows + delivery.rows
        new = new + delivery.new
        refused = refused + len(delivery.refused)
        why = delivery.refused[0].reason if delivery.refused else why
        cursor = piece.cursor
        if report is not None:
            report(rows)
    if refused:
        fault = count_in_english(
            "{number} row was refused: {reason}",
            "{number} rows were refused, for example: {reason}",
            refused,
            reason=why,
        )
        plant.deliveries.set_fault(source.name, fault)
    return Polled(rows, new, refused)


def _origin(source: SqlSource) -> str:
    """Return the hash of the query that a cursor belongs to: a source that reads anything else
    begins anew."""
    origin = [source.url.model_dump(exclude_none=True), source.table, source.query, source.cursor]
    return hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:32]


def try_source(
    plant: SourcePorts,
    readers: Readers,
    source: Source,
    seconds: float = 10.0,
    now: datetime | None = None,
) -> SourceTrial:
    """Connect a source and return some rows as they would be stored. Writes and takes nothing.
    Raises UserError if it cannot be connected or read.

    `seconds`: how long to wait for messages, where the broker stores none that could be looked at.
    `now`: the notes name readings after it.
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


MOST_FILES = 1000
"""Number of files that are read at one poll, and of paths whose marks are asked for at once."""
_LONGEST_FAULT = 4000
IsOutage = Callable[[Exception], bool]
"""Whether an error is one of the database, so that no file is to blame."""
_log = id_logger(__name__)
_FIELDS = {field.option: field.source for field in FORM_FIELDS.values() if field.source} | {
    "--skip-bad": "bad_lines: skip",
    "--lasting": "events.lasting: true",
    "--instant": "events.lasting: false",
}
"""The field of a source that does what an option of `alerting import` does, which messages of the
check name."""


class FileRefused(UserError):
    """Refusal of a file that cannot be read as it is, so that another try is useless."""


@dataclass(frozen=True)
class FoundFile:
    """A file that matches the pattern of a source. `modified`: ns since 1970."""

    path: str
    size: int
    modified: int

    @property
    def name(self) -> str:
        """Return the path for people and for the store; `path` itself may hold bytes that are no
        text."""
        return storable(self.path)


class FileDrop(Protocol):
    """Files of a source, and where they go. Raises UserError for a folder or file that cannot be
    read."""

    def found(self, source: FilesSource) -> list[FoundFile]:
        """Return the files that match and are no longer being written, the oldest first."""

    def sha256(self, file: FoundFile) -> str:
        """Return the hash of the content of a file."""

    def rows(self, source: FilesSource, file: FoundFile) -> ReadingSource | EventSource:
        """Return the readings or the events in a file, as its source delivers."""

    def may_be_quoted(self, source: FilesSource, file: FoundFile) -> bool:
        """Return whether messages about a refused file may quote it."""

    def put_away(self, source: FilesSource, file: FoundFile, fault: str | None) -> None:
        """Move a file to the source's folder for stored or for bad files, if the source names one
        and the file has not changed since. Idempotent."""


def read_files(
    plant: SourcePorts,
    drop: FileDrop,
    source: FilesSource,
    now: datetime,
    is_outage: IsOutage,
    *,
    again: bool = False,
) -> Polled:
    """Store the files of a source that were not read before, and put them away. Idempotent.
    `again`: all files that are there.

    A file that cannot be read or moved does not stop the others. Raises UserError that names the
    first such file, at the end.
    """
    files = drop.found(source)
    rows = new = refused = read = 0
    faults: list[str] = []
    for file, earlier in _find_marks(plant, drop, source, files, again, faults, is_outage):
        if earlier is None and read == MOST_FILES and not again:
            break
        try:
            mark = earlier or _read(plant, drop, source, file, now, is_outage)
            if earlier is None:
                rows = rows + mark.rows
                new = new + mark.new
                refused = refused + (mark.fault is not None)
                read = read + 1
            with _blame_file(file, is_outage):
                drop.put_away(source, file, mark.fault)
        except UserError as fault:
            faults.append(storable(str(fault)))
    if read:
        # if a file comes again that is forgotten, it is read again
        plant.deliveries.forget_files(
            source.name, now - timedelta(days=90), {file.name for file in files}
        )
    if faults:
        others = (
            f"; {len(faults) - 1} other files could not be read or moved either"
            if len(faults) > 1
            else ""
        )
        raise UserError(f"{faults[0]}{others}")
    return Polled(rows, new, refused)


def _find_marks(
    plant: SourcePorts,
    drop: FileDrop,
    source: FilesSource,
    files: Sequence[FoundFile],
    again: bool,
    faults: list[str],
    is_outage: IsOutage,
) -> Iterator[tuple[FoundFile, FileMark | None]]:
    """Yield each file with its mark; None without one, or with `again`, or if it was refused before
    the source was last changed. Add files that cannot be read to `faults`."""
    changed = max((revision.at for revision in plant.sources.revisions(source.name)), default=None)
    for start in range(0, len(files), MOST_FILES):
        piece = files[start : start + MOST_FILES]
        by_path: dict[str, list[FileMark]] = {}
        paths = [] if again else [file.name for file in piece]
        for mark in plant.deliveries.file_marks(source.name, paths):
            if mark.fault is None or changed is None or mark.at >= changed:
                by_path.setdefault(mark.path, []).append(mark)
        for file in piece:
            try:
                with _blame_file(file, is_outage):
                    earlier = _mark_of(drop, by_path.get(file.name, []), file)
            except UserError as fault:
                faults.append(storable(str(fault)))
            else:
                yield file, earlier


def _mark_of(drop: FileDrop, marks: Sequence[FileMark], file: FoundFile) -> FileMark | None:
    """Return the mark of a file; its content is read only if it was modified since."""
    same = [mark for mark in marks if (mark.path, mark.size) == (file.name, file.size)]
    unchanged = next((mark for mark in same if mark.modified == file.modified), None)
    # the hash of one that is too large is not known
    if unchanged is not None or not any(mark.sha256 for mark in same):
        return unchanged
    digest = drop.sha256(file)
    return next((mark for mark in same if mark.sha256 == digest), None)


@contextmanager
def _blame_file(file: FoundFile, is_outage: IsOutage) -> Iterator[None]:
    """Turn every error but an outage of the database into a UserError that names the file."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # any content of a file, and any answer of a server
        if is_outage(error):
            raise
        _log.exception("a file cannot be read", file=file.name)
        raise UserError(
            f"{file.name}: cannot be read: {type(error).__name__}: {first_line(error)}"
        ) from error


def _read(
    plant: SourcePorts,
    drop: FileDrop,
    source: FilesSource,
    file: FoundFile,
    now: datetime,
    is_outage: IsOutage,
) -> FileMark:
    mark = FileMark(source.name, file.name, file.size, file.modified, "", now)
    try:
        with _blame_file(file, is_outage):
            mark = replace(mark, sha256=drop.sha256(file))
            checked = _check(plant, drop, source, file, is_outage)
            new = _new_names(
                plant.assets, plant.deliveries, plant.declaration_limits, source, file, checked
            )
            result = checked.write(now=now, actor=f"source {source.name}")
    except UserError as refusal:
        if not (mark.sha256 or isinstance(refusal, FileRefused)):
            raise  # the file may be good, and is read at the next poll
        mark = replace(mark, fault=_name_fields_in(refusal.message))
        if isinstance(refusal, BeyondBounds):
            plant.deliveries.note_surplus(source.name, str(mark.fault), now)
        plant.deliveries.record(source.name, Delivered(now, 0, 1, why=mark.fault))
        plant.deliveries.set_fault(source.name, mark.fault)
    else:
        mark = replace(mark, rows=result.rows, new=result.new)
        if new.count:
            record_declared(
                plant.audit, plant.deliveries, new, source.name, f"source {source.name}", now
            )
        last = (
            {"asset": result.assets[0], "ts": result.last, "values": {"file": file.name}}
            if result.assets
            else None
        )
        newest = result.last if result.last and result.last <= now + MOST_IN_FUTURE else None
        plant.deliveries.record(
            source.name, Delivered(now, result.new, result.rejected, newest, last)
        )
    plant.deliveries.mark_file(mark)
    return mark


def _name_fields_in(part: Any) -> Any:
    """Return a text, or a value within one, in a form that can be stored, in which fields of the
    source replace options."""
    if isinstance(part, Translatable) and part.template and len(part) <= _LONGEST_FAULT:
        values = {name: _name_fields_in(value) for name, value in part.values.items()}
        return ENGLISH.say(name_fields(part.template), **values)
    return storable(name_fields(part)) if isinstance(part, str) else part


def _new_names(
    assets: Assets,
    deliveries: SourceDeliveries,
    declaration_limits: DeclarationLimits,
    source: FilesSource,
    file: FoundFile,
    checked: CheckedFile,
) -> NewNames:
    """Return the names that a file declares for the first time. Raises BeyondBounds if they are
    more than its source may declare."""
    if checked.what == "readings":
        new = new_names(assets.get_many([asset.name for asset in checked.assets]), checked.assets)
    else:
        stored = {type.name for type in assets.event_types()}
        new = NewNames(
            checked.understood.new_assets,
            (),
            [type.name for type in checked.event_types if type.name not in stored],
        )
    refuse_surplus(Headroom(declaration_limits, deliveries, source.name), new, file.name)
    return new


def _check(
    plant: IngestionPorts,
    drop: FileDrop,
    source: FilesSource,
    file: FoundFile,
    is_outage: IsOutage,
    now: datetime | None = None,
) -> CheckedFile:
    """Return a checked file. With `bad_lines: skip` bad lines are left out, else one bad line
    refuses it. Raises UserError, which quotes nothing of a file that is no table."""
    try:
        return check_rows(
            drop.rows(source, file),
            source.delivers,
            plant,
            duration=DURATIONS[source.events.lasting],
            now=now,
            units={t: mapped.unit for t, mapped in source.variables.items() if mapped.unit},
            by=source.name,
            reject=ignore_line if source.bad_lines == "skip" else None,
        )
    except Exception as refusal:  # an unexpected one quotes what it wants
        if is_outage(refusal) or drop.may_be_quoted(source, file):
            raise
        raise UserError(  # a person who chooses a path learns nothing about other files
            f"{file.name} was not imported: no table with a column of time stamps was found in it, "
            "as the source describes it (time, time_format, separator, encoding); nothing of it is "
            "quoted here"
        ) from refusal


def try_files(
    plant: IngestionPorts,
    drop: FileDrop,
    source: FilesSource,
    is_outage: IsOutage,
    now: datetime | None = None,
) -> SourceTrial:
    """Return the first rows of the newest file of a source as they would be stored. Writes nothing.
    `now`: the notes name readings after it. Raises UserError if no file matches, or if the newest
    one cannot be read."""
    files = drop.found(source)
    if not files:
        raise UserError(
            f"source {source.name}: no file matches {source.pattern}, or the last one was written "
            "just now"
        )
    file = files[-1]
    try:
        with _blame_file(file, is_outage):
            skipping = source.model_copy(update={"bad_lines": "skip"})
            checked = _check(plant, drop, skipping, file, is_outage, now)
            rows = first_rows(checked, SHOWN)
    except UserError as refusal:
        raise UserError(name_fields(str(refusal))) from refusal
    refused = [RefusedRow(line.line, line.reason) for line in checked.profile.first_bad[:SHOWN]]
    notes = [
        f"rows are of {file.name}, the newest of {len(files)} that match",
        *map(name_fields, checked.understood.notes),
    ]
    return SourceTrial(
        source.name, checked.profile.lines, list(describe_rows(rows))[:SHOWN], refused, notes
    )


def name_fields(text: str) -> str:
    """Return a message of the check with the fields of a source in place of options."""
    return name_options(text, _FIELDS)
