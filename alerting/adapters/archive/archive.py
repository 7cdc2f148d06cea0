"""The archive of readings: Parquet files by asset and month, recorded in MongoDB.

The record decides: a file without one is never read. A file is recorded after it was read back and
compared, and readings are deleted after that, so a process that is killed in between loses nothing,
and the next run goes on.
"""

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from alerting.adapters.archive.folder import ArchiveFolder
from alerting.adapters.archive.month_tables import (
    OWN,
    TIME,
    RowsDigest,
    documents_at_once,
    month_columns,
    month_documents,
    month_schema,
    row_groups,
)
from alerting.adapters.mongo.readings.archived_files import MongoArchivedFiles, archive_path
from alerting.deferred import pa, pc, pq
from alerting.definitions.assets import VariableType, types_of
from alerting.definitions.faults import Unreachable, UserError
from alerting.ports import ArchivedFile, Assets, Document, ReadingColumns
from alerting.readings.instants import datetimes

_SLICE = 10_000  # readings that are deleted at once
_LOOKED_FOR = 5  # recorded files of which one must be there before another is written


class ReadingsArchive:
    """Port `Archive`. `after`: the age at which readings go there; None while none do."""

    def __init__(
        self, records: MongoArchivedFiles, assets: Assets, address: str, after: timedelta | None
    ) -> None:
        self.records = records
        self.address = address
        self.after = after
        self._assets = assets
        self._files = ArchiveFolder(address)

    def files(self, asset: str | None = None) -> Sequence[ArchivedFile]:
        return self.records.files(asset)

    def due_months(self, asset: str, before: datetime, arrived_before: datetime) -> Sequence[str]:
        return self.records.due_months(asset, before, arrived_before)

    def write(
        self, asset: str, month: str, number: int, arrived_before: datetime, now: datetime
    ) -> ArchivedFile | None:
        self._require_earlier_files()
        path = archive_path(asset, month, number, uuid.uuid4().hex[:8])
        try:
            file = self._write(path, asset, month, number, arrived_before, now)
        except Exception:
            with suppress(UserError):  # what stopped the writing can stop this, too
                self._files.delete(path)
            raise
        if file is None:
            self._files.delete(path)
        return file

    def _require_earlier_files(self) -> None:
        """Raise Unreachable if recorded files are gone: a folder without its disk would take new
        ones, and hide them later.

        And a file that is only not mounted would count as deleted.
        """
        known = self.records.sample_files(_LOOKED_FOR)
        if known and not any(self._files.has(file.path) for file in known):
            raise Unreachable(
                f"the archive {self.address} has none of the files that are recorded, e.g. "
                f"{known[0].path}: mount it, or correct "
                "ALERTING_ARCHIVE; nothing is archived or deleted"
            )

    def _write(
        self,
        path: str,
        asset: str,
        month: str,
        number: int,
        arrived_before: datetime,
        now: datetime,
    ) -> ArchivedFile | None:
        known = self._assets.get(asset)
        measured = (
            []
            if known is None
            else [name for name in known.variables if not known.is_computed(name)]
        )
        schema = month_schema(types_of(known, measured) if known else {})
        documents = self.records.documents(asset, month, arrived_before)
        digest = RowsDigest()
        rows = 0
        first = last = now
        try:
            with (
                self._files.create(path) as stream,
                pq.ParquetWriter(stream, schema, compression="zstd", use_dictionary=True) as writer,
            ):
                for table in row_groups(documents, schema):
                    digest.update(table)
                    writer.write_table(table, row_group_size=len(table))
                    first = first if rows else table[TIME][0].as_py()
                    last = table[TIME][-1].as_py()
                    rows += len(table)
        except (ValueError, TypeError) as error:
            raise UserError(
                f"{asset} {month} is not archived: a document in the collection readings is none: "
                f"{error}"
            ) from error
        if not rows:
            return None
        file = ArchivedFile(
            asset,
            month,
            number,
            path,
            rows,
            first,
            last,
            *self._hash(path),
            digest.hexdigest(),
            arrived_before,
            now,
        )
        self._compare_rows(file)
        return file

    def record(self, file: ArchivedFile) -> None:
        try:
            self.records.record(file)
        except UserError:
            self._files.delete(file.path)
            raise

    def delete_readings(self, file: ArchivedFile) -> int:
        self.check(file)
        deleted = self.records.delete_readings(file, self._instants(file))
        self.records.mark(file, "archived")
        return deleted

    def _instants(self, file: ArchivedFile) -> Iterator[Sequence[datetime]]:
        for piece in self.columns(file, {}, None, None):
            for start in range(0, len(piece.ts), _SLICE):
                yield datetimes(piece.ts[start : start + _SLICE])

    def check(self, file: ArchivedFile) -> None:
        self._compare_hash(file)
        self._compare_rows(file)

    def _compare_hash(self, file: ArchivedFile) -> None:
        size, sha256 = self._hash(file.path)
        if (size, sha256) != (file.bytes, file.sha256):
            path = self._files.path(file.path)
            raise UserError(
                f"the archived file {path} is not the one that was written: it has {size} bytes "
                "and another"
                f" hash than recorded ({file.bytes} bytes): bring the right one back from a "
                "backup, or remove it"
            )

    def _hash(self, path: str) -> tuple[int, str]:
        found = hashlib.sha256()
        size = 0
        with self._files.open(path) as stream, self._files.errors():
            while piece := stream.read(1 << 22):
                found.update(piece)
                size += len(piece)
        return size, found.hexdigest()

    def _compare_rows(self, file: ArchivedFile) -> None:
        digest = RowsDigest()
        rows = 0
        for table in self._tables(file):
            digest.update(table)
            rows += len(table)
        if (rows, digest.hexdigest()) != (file.rows, file.digest):
            raise UserError(
                f"the archived file {self._files.path(file.path)} has other rows than were "
                "written: nothing was deleted"
            )

    def restore(self, file: ArchivedFile, now: datetime) -> int:
        self.check(file)
        self.records.mark(file, "restoring")
        for table in self._tables(file):
            for some in table.to_batches(documents_at_once(table.schema)):
                self.records.put_back(file.asset, month_documents(pa.table(some)), now)
        self.forget(file)
        return file.rows

    def forget(self, file: ArchivedFile) -> None:
        if self._files.has(file.path):
            self._compare_hash(file)
        self.records.mark(file, "deleting")
        if not self._files.delete(file.path):
            self._require_earlier_files()
            self._files.require_folder(file.path)
        self.records.remove(file)

    def being_deleted(self) -> Sequence[ArchivedFile]:
        return self.records.being_deleted()

    def unknown_files(self) -> Sequence[str]:
        known = {file.path for file in (*self.files(), *self.being_deleted())}
        return [self._files.path(name) for name in sorted(self._files.names()) if name not in known]

    def columns(
        self,
        file: ArchivedFile,
        types: Mapping[str, VariableType],
        start: datetime | None,
        end: datetime | None,
    ) -> Iterator[ReadingColumns]:
        """Yield the readings of a file with start < ts <= end, a row group at a time."""
        for table in self._tables(file, types, start, end):
            yield month_columns(file.asset, table, types)

    def rows_at(self, file: ArchivedFile, instants: Iterable[datetime]) -> Iterator[Document]:
        """Yield the readings of a file at these instants, as documents {ts, v, q, arrived_at}."""
        wanted = list(instants)
        for table in self._tables(file, None, min(wanted) - timedelta(milliseconds=1), max(wanted)):
            yield from month_documents(
                table.filter(pc.is_in(table[TIME], pa.array(wanted, table[TIME].type)))
            )

    def _tables(
        self,
        file: ArchivedFile,
        types: Mapping[str, VariableType] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Iterator[Any]:
        """Yield row groups with these variables (None: all), cut to start < ts <= end."""
        with self._files.open(file.path) as stream, self._files.errors():
            metadata = pq.read_metadata(stream)
            schema = metadata.schema.to_arrow_schema()
            names = (
                schema.names
                if types is None
                else [name for name in schema.names if name in types or name in OWN]
            )
            texts = (
                [
                    name
                    for name in names
                    if name not in OWN and schema.field(name).type == pa.string()
                ]
                if types
                else None
            )
            parquet = pq.ParquetFile(
                stream, metadata=metadata, read_dictionary=texts, pre_buffer=True
            )
            for number in range(metadata.num_row_groups):
                times = metadata.row_group(number).column(schema.names.index(TIME)).statistics
                if (start is None or times.max > start) and (end is None or times.min <= end):
                    yield _cut(parquet.read_row_group(number, columns=names), start, end)


def _cut(table: Any, start: datetime | None, end: datetime | None) -> Any:
    if start is not None:
        table = table.filter(pc.greater(table[TIME], pa.scalar(start, table[TIME].type)))
    return (
        table
        if end is None
        else table.filter(pc.less_equal(table[TIME], pa.scalar(end, table[TIME].type)))
    )
