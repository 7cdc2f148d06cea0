"""Readings of database and archive as one; the database's came later, and replace others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import reduce
from itertools import groupby

from alerting.adapters.archive.archive import ReadingsArchive
from alerting.adapters.samples.columns import (
    between_millis,
    columns_of,
    frame_of,
    join_columns,
    joined_newest,
    merge_columns,
    merge_rows,
    newest_frame,
    readings_frame,
)
from alerting.deferred import np, pd
from alerting.definitions.assets import Asset, VariableType, types_of
from alerting.definitions.faults import Unreachable, UserError
from alerting.ports import (
    ArchiveAway,
    ArchivedFile,
    BatchMatch,
    EventRow,
    NewestReading,
    ReadingBatch,
    ReadingColumns,
    ReadingKey,
    ReadingRow,
    Readings,
    ReadingWrites,
    Wanted,
    WantedHistory,
)
from alerting.readings.cleaning import has_data
from alerting.readings.computed import read_computed
from alerting.readings.history import History, millis
from alerting.readings.instants import (
    FAR_FUTURE,
    NO_TIME,
    from_millis,
    month_interval,
    month_of,
    to_millis,
)
from alerting.readings.sample_quality import Doubts

_MOMENT = timedelta(milliseconds=1)
_Value = tuple[datetime, object]


class ArchivedReadings:
    """Port `Readings`. It reads the database, then the records: what moves is in both."""

    def __init__(self, stored: Readings, archive: ReadingsArchive) -> None:
        self._stored = stored
        self._archive = archive

    def load(
        self,
        asset: Asset,
        start: datetime | None,
        end: datetime | None,
        variables: Iterable[str] | None = None,
        events_since: datetime | None = None,
        with_events: bool = True,
    ) -> History:
        found: list[History] = []

        def read(names: Sequence[str], since: datetime | None) -> tuple[pd.DataFrame, Doubts]:
            stored = self._stored.load(asset, since, end, names, events_since, with_events)
            found.append(stored)
            files = self._archive.records.for_interval([asset.name], since, end)
            if not files:
                return stored.readings, stored.doubts
            joined = self._joined(types_of(asset, names), columns_of(stored), files, since, end)
            for fault in joined.faults.values():
                raise UserError(fault)
            return frame_of(joined), joined.doubts

        readings, doubts = read_computed(
            asset, asset.variables if variables is None else variables, start, read
        )
        return replace(found[-1], readings=readings, doubts=doubts)

    def load_many(self, wanted: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        found = self._stored.load_many(wanted, end)
        if wanted:
            files = self._archive.records.for_interval(
                [one.asset for one in wanted], min(one.start for one in wanted), end
            )
            of_asset = {
                asset: list(group) for asset, group in groupby(files, key=lambda file: file.asset)
            }
            for one in wanted:
                if older := [file for file in of_asset.get(one.asset, ()) if file.last > one.start]:
                    try:
                        found[one.asset] = self._joined(
                            one.types, found[one.asset], older, one.start, end
                        )
                    except Unreachable as fault:  # the assets that need no file of it are evaluated
                        found[one.asset] = ReadingColumns(
                            np.empty(0, np.int64), {}, dict.fromkeys(one.types, str(fault))
                        )
        return found

    def load_histories(self, wanted: Sequence[WantedHistory], end: datetime) -> dict[str, History]:
        """Return the histories of assets whose readings are all in the database."""
        first = min((one.start for one in wanted), default=None)
        files = self._archive.records.for_interval([one.asset.name for one in wanted], first, end)
        archived = {file.asset for file in files}
        return self._stored.load_histories(
            [one for one in wanted if one.asset.name not in archived], end
        )

    def _joined(
        self,
        types: Mapping[str, VariableType],
        stored: ReadingColumns,
        files: Sequence[ArchivedFile],
        start: datetime | None,
        end: datetime | None,
    ) -> ReadingColumns:
        pieces = self._pieces(types, stored, files, start, end)
        return join_columns(pieces, types, sum(file.rows for file in files) + len(stored.ts))

    def _pieces(
        self,
        types: Mapping[str, VariableType],
        stored: ReadingColumns,
        files: Sequence[ArchivedFile],
        start: datetime | None,
        end: datetime | None,
    ) -> Iterator[ReadingColumns]:
        """Yield readings in time order; only a month of several parts is in memory whole."""
        after = NO_TIME
        for month, group in groupby(files, key=lambda file: file.month):
            first, until = map(to_millis, month_interval(month))
            yield between_millis(stored, after, first)
            later = between_millis(stored, first, until)
            of_month = list(group)
            if len(of_month) == 1 and not len(later.ts):
                yield from self._archive.columns(of_month[0], types, start, end)
            else:
                parts = [
                    join_columns(self._archive.columns(f, types, start, end), types, f.rows)
                    for f in of_month
                ]
                yield reduce(merge_columns, [*parts, later])
            after = until
        yield between_millis(stored, after, FAR_FUTURE)

    def newest_values(
        self, asset: Asset, since: Mapping[str, datetime], until: datetime
    ) -> pd.DataFrame:
        measured = {name: start for name, start in since.items() if not asset.is_computed(name)}
        found = self._newest_measured(asset, measured, until)
        computed = {name: start for name, start in since.items() if name not in measured}
        return (
            joined_newest(found, newest_frame(self.load, asset, computed, until))
            if computed
            else found
        )

    def _newest_measured(
        self, asset: Asset, since: Mapping[str, datetime], until: datetime
    ) -> pd.DataFrame:
        stored = self._stored.newest_values(asset, since, until)
        files = self._archive.records.for_interval(
            [asset.name], min(since.values(), default=until), until
        )
        if not files:
            return stored
        found = {
            name: last for name in since if (last := _last_value(stored[name].dropna())) is not None
        }
        for month in sorted({file.month for file in files}, reverse=True):
            first, end = month_interval(month)
            open_ = {
                n: s for n, s in since.items() if s < end and (n not in found or found[n][0] < end)
            }
            if open_:
                start = max(min(open_.values()), first - _MOMENT)
                found |= _newest_values(
                    self.load(asset, start, min(until, end - _MOMENT), list(open_)), open_, found
                )
        documents: dict[datetime, dict[str, object]] = {}
        for name, (at, value) in found.items():
            documents.setdefault(at, {})[name] = value
        rows = ({"ts": ts, "v": documents[ts]} for ts in sorted(documents))
        return readings_frame(asset.name, rows, types_of(asset, since))[0]

    def index_newest(self, variables: Iterable[str]) -> None:
        self._stored.index_newest(variables)

    def newest_readings(
        self, until: datetime | None = None, assets: Collection[str] | None = None
    ) -> dict[str, NewestReading]:
        found = self._stored.newest_readings(until, assets)
        for file in self._archive.records.newest_files(until):
            if assets is not None and file.asset not in assets:
                continue
            known = found.get(file.asset)
            if known is not None and known.ts > file.last:
                continue
            at = file.last if until is None or file.last <= until else self._last(file, until)
            if at is not None and (
                known is None or (known.ts, known.arrived_at) < (at, file.arrived_before)
            ):
                found[file.asset] = NewestReading(at, file.arrived_before)
        return found

    def _last(self, file: ArchivedFile, until: datetime) -> datetime | None:
        pieces = [
            piece.ts[-1]
            for piece in self._archive.columns(file, {}, file.first - _MOMENT, until)
            if len(piece.ts)
        ]
        return from_millis(int(pieces[-1])) if pieces else None

    def span(self, asset: str, until: datetime | None = None) -> tuple[datetime, datetime] | None:
        found = self._stored.span(asset, until)
        ends = [
            *([found] if found else []),
            *(
                (file.first, file.last if until is None else min(file.last, until))
                for file in self._archive.records.files(asset)
                if until is None or file.first <= until
            ),
        ]
        return (min(first for first, _ in ends), max(last for _, last in ends)) if ends else None


def _newest_values(
    history: History, since: Mapping[str, datetime], before: Mapping[str, _Value]
) -> dict[str, _Value]:
    """Return each variable's newest value after its instant, and after the known one."""
    found = {name: _last_value(history.readings[name][has_data(history, name)]) for name in since}
    after = {
        name: max(start, before[name][0]) if name in before else start
        for name, start in since.items()
    }
    return {
        name: last for name, last in found.items() if last is not None and last[0] > after[name]
    }


def _last_value(values: pd.Series) -> _Value | None:
    return (
        (from_millis(int(millis(pd.DatetimeIndex(values.index))[-1])), values.iloc[-1])
        if len(values)
        else None
    )


class ArchivedWrites:
    """Port `ReadingWrites`. Archived samples count as stored: to write them again changes nothing.

    A row with other samples of an archived instant is written to the database, and read together
    with the archived one.
    """

    def __init__(self, stored: ReadingWrites, archive: ReadingsArchive) -> None:
        self._stored = stored
        self._archive = archive

    def match(self, batch: ReadingBatch) -> BatchMatch:
        """Compare a batch with the database: no row of a month with an archive is free."""
        found = self._stored.match(batch)
        earliest = from_millis(int(batch.at.min())) - _MOMENT
        names = sorted(set(batch.assets.tolist()))
        for file in self._archive.records.for_interval(names, earliest, None):
            start, end = map(to_millis, month_interval(file.month))
            found.free[(batch.assets == file.asset) & (batch.at >= start) & (batch.at < end)] = (
                False
            )
        return found

    def stored(self, keys: Iterable[ReadingKey]) -> dict[ReadingKey, ReadingRow]:
        """Return all samples that are stored at these instants, archived ones among them.

        Raises ArchiveAway with the instants of archived months if one of their files cannot be
        read.
        """
        by_asset: dict[str, list[int]] = {}
        for asset, at in keys:
            by_asset.setdefault(asset, []).append(at)
        found = self._stored.stored(
            [(asset, at) for asset, instants in by_asset.items() for at in instants]
        )
        if not by_asset:
            return found
        earliest = from_millis(min(map(min, by_asset.values()))) - _MOMENT
        files = self._archive.records.for_interval([*by_asset], earliest, None)
        of_month = [
            (
                file,
                [at for at in map(from_millis, by_asset[file.asset]) if month_of(at) == file.month],
            )
            for file in files
        ]
        try:
            archived = self._archived(of_month)
        except Unreachable as fault:
            needed = {(file.asset, to_millis(at)) for file, instants in of_month for at in instants}
            raise ArchiveAway(str(fault), needed) from fault
        return found | {
            key: merge_rows(row, found[key]) if key in found else row
            for key, row in archived.items()
        }

    def _archived(
        self, wanted: Sequence[tuple[ArchivedFile, Sequence[datetime]]]
    ) -> dict[ReadingKey, ReadingRow]:
        archived: dict[ReadingKey, ReadingRow] = {}
        for file, instants in wanted:
            for document in self._archive.rows_at(file, instants) if instants else ():
                row = ReadingRow(file.asset, document["ts"], document["v"], document.get("q", {}))
                key = file.asset, to_millis(row.ts)
                archived[key] = merge_rows(archived[key], row) if key in archived else row
        return archived

    def insert(self, rows: Sequence[ReadingRow], arrived_at: datetime) -> list[int]:
        return self._stored.insert(rows, arrived_at)

    def update(
        self, changes: Sequence[tuple[ReadingRow, ReadingRow]], arrived_at: datetime
    ) -> None:
        self._stored.update(changes, arrived_at)

    def delete_samples(self, rows: Sequence[ReadingRow]) -> None:
        self._stored.delete_samples(rows)

    def stored_events(self, rows: Sequence[EventRow]) -> list[EventRow]:
        return self._stored.stored_events(rows)

    def write_events(
        self, changes: Sequence[tuple[EventRow | None, EventRow]], arrived_at: datetime
    ) -> bool:
        return self._stored.write_events(changes, arrived_at)

    def delete_events(self, events: Sequence[EventRow]) -> None:
        self._stored.delete_events(events)

    def has_events(self, event_type: str) -> bool:
        return self._stored.has_events(event_type)
