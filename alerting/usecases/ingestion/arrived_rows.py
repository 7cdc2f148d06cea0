"""Merge readings and events with the stored ones, write the differences between two arrival
records, and find the rows that arrived after their time was evaluated.

A writer stores a record before its rows and completes it after them, so that no crash between any
two writes loses it. An evaluator extends `evaluated_until` before it reads: if a writer and an
evaluator work at once, one sees the other. History from before any definition of its asset began
was never evaluated, and is not late.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import partial
from itertools import groupby
from typing import Any

from alerting.deferred import np, npt, pd
from alerting.definitions.alert_definition import AssetIndex, shard_of
from alerting.definitions.faults import UserError
from alerting.episodes.evaluation_plan import EvaluationTarget, TargetKey, smallest_latency
from alerting.ports import (
    Arrival,
    Arrivals,
    Assets,
    Definitions,
    EventRow,
    IngestionPorts,
    LatePart,
    PlantPorts,
    ReadingBatch,
    ReadingKey,
    ReadingRow,
    Readings,
    ReadingWrites,
    States,
    WantedHistory,
    WritePorts,
)
from alerting.readings.history import Quality, from_millis, to_millis, whole_millis
from alerting.usecases.definitions.versions import first_instant

_MOST_ROWS = 10_000  # of one write
_ATTEMPTS = 10
# By variable, its value (None for a bad one) and its quality (None for a good one).
_Samples = dict[str, tuple[Any, Quality | None]]


@dataclass(frozen=True)
class _Touched:
    """One written row: the instant from which it changes the evaluation, with its variables, or the
    type of its event."""

    asset: str
    at: datetime
    variables: Iterable[str] = ()
    events: tuple[str, ...] = ()

    @property
    def group(self) -> tuple[str, tuple[str, ...]]:
        """Return the rows that form one part of the record."""
        return self.asset, self.events


Parts = Callable[[datetime | None], tuple[LatePart, ...]]


def add_readings(plant: WritePorts, rows: Sequence[ReadingRow], arrived_at: datetime) -> int:
    """Merge rows by (asset, ts); return how many changed a value. Idempotent. If two rows have the
    same instant, the later row wins.

    A row replaces the value, the quality, or both of each of its variables; variables that it omits
    stay.
    """
    if len(rows) <= _MOST_ROWS:
        return _add_readings(plant, rows, arrived_at)
    starts = range(0, len(rows), _MOST_ROWS)
    return sum(
        _add_readings(plant, rows[start : start + _MOST_ROWS], arrived_at) for start in starts
    )


def _add_readings(plant: WritePorts, rows: Sequence[ReadingRow], arrived_at: datetime) -> int:
    if isinstance(rows, ReadingBatch) and rows and not rows.quality and _is_distinct(rows):
        match = plant.reading_writes.match(rows)
        rows = _take(rows, ~match.same) if match.same.any() else rows
        if (match.free | match.same).all():
            return _write(plant, rows, (), len(rows), partial(_batch_parts, rows), arrived_at)
    keys = _keys(rows)
    stored = plant.reading_writes.stored(keys)
    merged, changed = _merge(keys, rows, stored)
    touched = [
        _Touched(row.asset, row.ts, {**row.values, **row.quality} if row.quality else row.values)
        for row in merged.values()
    ]
    new = [row for key, row in merged.items() if key not in stored]
    updates = [(stored[key], row) for key, row in merged.items() if key in stored]
    return _write(plant, new, updates, changed, partial(_parts, touched), arrived_at)


def _write(
    plant: WritePorts,
    new: Sequence[ReadingRow],
    updates: Sequence[tuple[ReadingRow, ReadingRow]],
    changed: int,
    parts: Parts,
    arrived_at: datetime,
) -> int:
    """Write merged rows between their arrival records; return how many rows changed a value."""
    if not new and not updates:
        return 0
    with _record_write(plant.arrivals, parts, arrived_at):
        plant.reading_writes.update(updates, arrived_at)
        meanwhile = [new[position] for position in plant.reading_writes.insert(new, arrived_at)]
    return (
        changed - len(meanwhile) + (_add_readings(plant, meanwhile, arrived_at) if meanwhile else 0)
    )


def _is_distinct(batch: ReadingBatch) -> bool:
    """Return whether no two rows have the same instant of an asset."""
    codes, _ = pd.factorize(batch.assets)
    return not pd.DataFrame({"asset": codes, "at": batch.at}).duplicated().any()


def _take(batch: ReadingBatch, rows: npt.NDArray[np.bool_]) -> ReadingBatch:
    positions = np.flatnonzero(rows)
    columns = {name: column.take(positions) for name, column in batch.columns.items()}
    return ReadingBatch(batch.assets[positions], batch.at[positions], columns)


def _keys(rows: Sequence[ReadingRow]) -> list[ReadingKey]:
    if isinstance(rows, ReadingBatch):
        return list(zip(rows.assets.tolist(), rows.at.tolist(), strict=True))
    return [(row.asset, to_millis(whole_millis(row.ts))) for row in rows]


def _merge(
    keys: Sequence[ReadingKey], rows: Iterable[ReadingRow], stored: Mapping[ReadingKey, ReadingRow]
) -> tuple[dict[ReadingKey, ReadingRow], int]:
    """Return the samples that differ from the stored samples, as one row per instant, and how many
    rows caused a change."""
    if not stored and len(set(keys)) == len(keys) and not any(row.quality for row in rows):
        return {
            key: row if row.ts.microsecond % 1000 == 0 else replace(row, ts=from_millis(key[1]))
            for key, row in zip(keys, rows, strict=True)
        }, len(keys)
    merged = {key: _samples(row) for key, row in stored.items()}
    differences: dict[ReadingKey, _Samples] = {}
    changed = 0
    for key, row in zip(keys, rows, strict=True):
        is_new = key not in merged
        before = merged.setdefault(key, {})
        difference = {
            name: sample for name, sample in _samples(row).items() if before.get(name) != sample
        }
        if is_new or difference:
            before.update(difference)
            differences.setdefault(key, {}).update(difference)
            changed += 1
    return {key: _row(key, samples) for key, samples in differences.items()}, changed


def _samples(row: ReadingRow) -> _Samples:
    samples: _Samples = {name: (value, None) for name, value in row.values.items()}
    return samples | {
        name: (row.values.get(name) if q == "uncertain" else None, q)
        for name, q in row.quality.items()
    }


def _row(key: ReadingKey, samples: _Samples) -> ReadingRow:
    return ReadingRow(
        key[0],
        from_millis(key[1]),
        {name: value for name, (value, _) in samples.items() if value is not None},
        {name: q for name, (_, q) in samples.items() if q is not None},
    )


def same_readings(writes: ReadingWrites, rows: Sequence[ReadingRow]) -> list[ReadingRow]:
    """Return the rows whose samples are all stored, with their quality. The result may contain two
    rows of the same instant."""
    keys = _keys(rows)
    stored = writes.stored(keys)
    same = []
    for key, row in zip(keys, rows, strict=True):
        samples = _samples(row)
        if key in stored and samples and samples.items() <= _samples(stored[key]).items():
            same.append(replace(row, ts=from_millis(key[1])))
    return same


def remove_readings(plant: WritePorts, rows: Sequence[ReadingRow], now: datetime) -> int:
    """Delete the samples that are stored exactly as in these rows; return how many rows.
    Evaluations that used them are done again, as after late readings. Idempotent."""
    writes = plant.reading_writes
    removed = 0
    for start in range(0, len(rows), _MOST_ROWS):
        same = same_readings(writes, rows[start : start + _MOST_ROWS])
        if not same:
            continue
        merged, _ = _merge(_keys(same), same, {})
        samples = list(merged.values())
        touched = [_Touched(row.asset, row.ts, {**row.values, **row.quality}) for row in samples]
        with _record_write(plant.arrivals, partial(_parts, touched), now):
            writes.delete_samples(samples)
        removed += len(same)
    return removed


def add_events(plant: WritePorts, rows: Sequence[EventRow], arrived_at: datetime) -> int:
    """Merge events by (asset, type, start); return how many changed. Idempotent.

    A new end or attribute replaces the old one, an omitted one stays. Raises UserError if other
    processes keep changing the same events.
    """
    return sum(
        _add_events(
            plant.reading_writes, plant.arrivals, rows[start : start + _MOST_ROWS], arrived_at
        )
        for start in range(0, len(rows), _MOST_ROWS)
    )


def _add_events(
    reading_writes: ReadingWrites,
    arrivals: Arrivals,
    rows: Sequence[EventRow],
    arrived_at: datetime,
) -> int:
    changes, changed = _changed_events(reading_writes, rows)
    for _ in range(_ATTEMPTS):
        if not changes:
            return changed
        turns = [
            _Touched(after.asset, turn, events=(after.type,))
            for before, after in changes
            if (turn := _find_changed_from(before, after))
        ]
        with _record_write(arrivals, partial(_parts, turns), arrived_at):
            if reading_writes.write_events(changes, arrived_at):
                return changed
        changes, _ = _changed_events(reading_writes, rows)
    raise UserError(
        f"another process keeps changing events of {rows[0].asset!r}: import them again later"
    )


def same_events(writes: ReadingWrites, rows: Sequence[EventRow]) -> list[EventRow]:
    """Return the stored events that equal one of these rows in asset, type, start, end and the
    row's attributes."""
    stored = {(event.asset, event.type, event.start): event for event in writes.stored_events(rows)}
    same: dict[tuple[str, str, datetime], EventRow] = {}
    for row in rows:
        key = (row.asset, row.type, whole_millis(row.start))
        event = stored.get(key)
        if event is None or event.end != (row.end and whole_millis(row.end)):
            continue
        if row.attributes.items() <= event.attributes.items():
            same[key] = event
    return list(same.values())


def remove_events(plant: WritePorts, rows: Sequence[EventRow], now: datetime) -> int:
    """Delete the stored events that equal one of these rows; return how many. Evaluations that used
    them are done again, as after a late event. Idempotent."""
    writes = plant.reading_writes
    removed = 0
    for start in range(0, len(rows), _MOST_ROWS):
        events = same_events(writes, rows[start : start + _MOST_ROWS])
        if not events:
            continue
        turns = [_Touched(event.asset, event.start, events=(event.type,)) for event in events]
        with _record_write(plant.arrivals, partial(_parts, turns), now):
            writes.delete_events(events)
        removed += len(events)
    return removed


def _changed_events(
    writes: ReadingWrites, rows: Sequence[EventRow]
) -> tuple[list[tuple[EventRow | None, EventRow]], int]:
    """Return stored and merged events that differ, and how many rows caused a change."""
    stored = {(event.asset, event.type, event.start): event for event in writes.stored_events(rows)}
    merged: dict[tuple[str, str, datetime], EventRow] = {}
    changed = 0
    for row in rows:
        new = replace(row, start=whole_millis(row.start), end=row.end and whole_millis(row.end))
        key = (row.asset, row.type, new.start)
        before = merged.get(key) or stored.get(key)
        after = new
        if before is not None:
            after = replace(
                before,
                end=new.end or before.end,
                attributes={**before.attributes, **new.attributes},
            )
        if after != before:
            merged[key] = after
            changed += 1
    return [(stored.get(key), after) for key, after in merged.items()], changed


def _find_changed_from(before: EventRow | None, after: EventRow) -> datetime | None:
    """Return the instant from which a write changes the evaluation; None if it changes nothing.

    It is the start of a new event, or the earlier of two ends.
    """
    if before is None:
        return after.start
    ends = [end for end in (before.end, after.end) if end is not None]
    return min(ends) if before.end != after.end else None


@contextmanager
def _record_write(arrivals: Arrivals, parts: Parts, arrived_at: datetime) -> Iterator[None]:
    """Run a write between its two arrival records. `parts(limit)`: returns the rows at or before an
    instant, or all rows for None."""
    id = uuid.uuid4().hex
    # before the first evaluation no row can be late
    announced = parts(None) if arrivals.has_evaluated() else ()
    if announced:
        arrivals.store_arrival(Arrival(id, arrived_at, False, announced))
    yield
    evaluated_until = arrivals.evaluated_until()
    late = () if evaluated_until is None else parts(evaluated_until)
    if late:
        arrivals.store_arrival(Arrival(id, arrived_at, True, late))
    elif announced:
        arrivals.remove(id)


def _parts(rows: Sequence[_Touched], limit: datetime | None) -> tuple[LatePart, ...]:
    """Return the rows at or before an instant, by asset and type of event."""
    parts = []
    within = sorted(
        (row for row in rows if limit is None or row.at <= limit), key=lambda row: row.group
    )
    for (asset, events), group in groupby(within, key=lambda row: row.group):
        of_group = list(group)
        instants = [row.at for row in of_group]
        names = tuple(sorted(set[str]().union(*(row.variables for row in of_group))))
        parts.append(LatePart(asset, min(instants), max(instants), len(instants), names, events))
    return tuple(parts)


def _batch_parts(batch: ReadingBatch, limit: datetime | None) -> tuple[LatePart, ...]:
    """Return the rows of a batch at or before an instant, by asset."""
    among = np.ones(len(batch), dtype=bool) if limit is None else batch.at <= to_millis(limit)
    parts = []
    for asset in sorted(set(batch.assets[among].tolist())):
        rows = among & (batch.assets == asset)
        at = batch.at[rows]
        names = tuple(
            sorted(name for name, column in batch.columns.items() if column.present[rows].any())
        )
        parts.append(
            LatePart(asset, from_millis(at.min()), from_millis(at.max()), len(at), variables=names)
        )
    return tuple(parts)


_MOMENT = timedelta(milliseconds=1)


def late_rows(stored: IngestionPorts, arrived_at: datetime) -> int:
    """Return how many rows that arrived at an instant came after their time was evaluated."""
    return count_late(
        stored,
        [
            arrival
            for arrival in stored.arrivals.arrived_since(arrived_at)
            if arrival.arrived_at == arrived_at
        ],
    )


def count_late(stored: IngestionPorts, arrivals: Iterable[Arrival]) -> int:
    """Return how many rows of these arrivals came after their time was evaluated."""
    parts = [part for arrival in arrivals for part in arrival.parts]
    since = _evaluated_since(stored, {part.asset for part in parts})
    return sum(
        rows_since(stored.assets, stored.readings, part, since[part.asset])
        for part in parts
        if part.asset in since
    )


def _evaluated_since(stored: IngestionPorts, assets: Collection[str]) -> dict[str, datetime]:
    """Return, by asset, the instant since which a definition now in service has been evaluated
    there; absent without such a definition."""
    if not assets:
        return {}
    active = [r for r in stored.definitions.latest_revisions() if r.definition.state == "active"]
    since = dict[str, datetime]()
    patterns = {pattern for revision in active for pattern in revision.definition.assets}
    targeted = [name for name in assets if any(fnmatchcase(name, pattern) for pattern in patterns)]
    index = AssetIndex(stored.assets.get_many(targeted).values())
    targets = {r.name: {a.name for a in index.find_matching(r.definition.assets)} for r in active}
    changed = stored.definitions.histories(
        [r.name for r in active if r.number > 1 and targets[r.name]]
    )
    for revision in active:
        began = first_instant(changed.get(revision.name, [revision])) or revision.at
        since |= {asset: min(began, since.get(asset, began)) for asset in targets[revision.name]}
    return since


def rows_since(assets: Assets, readings: Readings, part: LatePart, since: datetime) -> int:
    """Return how many rows of a part lie at an instant or after it."""
    if part.first >= since or part.last < since:
        return part.rows if part.first >= since else 0
    asset = assets.get(part.asset)
    if asset is None:
        return part.rows
    history = readings.load(WantedHistory(asset, since - _MOMENT, part.last, part.variables))
    begun = history.events[
        (history.events["start"] >= since) & history.events["type"].isin(part.events)
    ]
    return min(part.rows, len(history.readings.dropna(how="all")) if part.variables else len(begun))


_WRITER_GIVEN_UP = timedelta(minutes=10)
_PARTS = 4  # of a sixteenth: up to 64 tasks that evaluate at once change documents of their own
_Shard = tuple[int, int]


@dataclass
class LateCounts:
    """Counts of rows that came behind the watermark, and of rows that were too late for every
    target that uses them.

    `has_requests`: whether there is a reprocessing request, also of an earlier round.
    """

    late: int = 0
    too_late: int = 0
    has_requests: bool = False


def route_arrivals(
    platform: IngestionPorts, targets: Sequence[EvaluationTarget], as_of: datetime
) -> LateCounts:
    """Create a reprocessing request for every target that uses late readings. Idempotent, also when
    two processes do it at once.

    Rows from before a definition began, or older than its allowed lateness, cause no request. An
    arrival record that its writer has not completed counts as complete ten minutes after its
    arrival; until then the writer may only be slow.
    """
    arrivals, has_requests = platform.arrivals.unfinished()
    counts = LateCounts(has_requests=has_requests)
    evaluated_until = platform.arrivals.evaluated_until() if arrivals else None
    if evaluated_until is None:
        return counts
    touched = {part.asset for arrival in arrivals for part in arrival.parts}
    by_asset = targets_by_asset(targets, touched)
    starts_of_service = _service_starts(platform.definitions, by_asset)
    ends = _evaluated_ends(platform.states, by_asset, evaluated_until, smallest_latency(targets))
    routed: list[tuple[Arrival, int]] = []
    starts: dict[_Shard, dict[TargetKey, datetime]] = {}
    for arrival in arrivals:
        late, too_late = _request(
            platform, arrival, by_asset, starts_of_service, ends, as_of, starts
        )
        if arrival.written or as_of - arrival.arrived_at >= _WRITER_GIVEN_UP:
            routed.append((arrival, too_late))
            counts.late += late
            counts.too_late += too_late
    counts.has_requests |= bool(starts)
    # first: a process killed before the rest routes these arrivals again
    _request_again(platform.arrivals, starts, has_requests)
    platform.arrivals.mark_routed(routed, as_of)
    return counts


def _request_again(
    arrivals: Arrivals, shards: Mapping[_Shard, dict[TargetKey, datetime]], has_requests: bool
) -> None:
    """Store the requests. Each replaces a waiting request for the same target, so that a target
    whose evaluation fails again and again does not gather a request a round."""
    names = sorted({definition for starts in shards.values() for definition, _ in starts})
    waiting = arrivals.requests(names) if names and has_requests else {}
    for starts in shards.values():
        for key in starts.keys() & waiting.keys():
            starts[key] = min(starts[key], waiting[key].start)
    requested = {key for starts in shards.values() for key in starts}
    arrivals.request_reprocessing(
        shards.values(), [request for key, request in waiting.items() if key in requested]
    )


def targets_by_asset(
    targets: Sequence[EvaluationTarget], touched: Set[str]
) -> dict[str, list[EvaluationTarget]]:
    """Return the targets that read each of these assets: the targets on the asset, and the targets
    below it that read their ancestors."""
    by_asset: dict[str, list[EvaluationTarget]] = {}
    for target in targets:
        for asset in (target.asset, *target.above):
            if asset in touched:
                by_asset.setdefault(asset, []).append(target)
    return by_asset


def _request(
    platform: PlantPorts,
    arrival: Arrival,
    by_asset: Mapping[str, Sequence[EvaluationTarget]],
    starts_of_service: Mapping[str, datetime],
    ends: Mapping[TargetKey, int],
    as_of: datetime,
    starts: dict[_Shard, dict[TargetKey, datetime]],
) -> tuple[int, int]:
    """Add to `starts` the instant from which each target is reprocessed for an arrival. Return the
    arrival's counts of late and of too late rows."""
    late = too_late = 0
    for part in arrival.parts:
        first = to_millis(part.first)
        readers = [
            target
            for target in by_asset.get(part.asset, ())
            if first <= ends[target.key]
            and uses(target, part)
            and part.last >= starts_of_service[target.definition]
        ]
        in_time = 0
        for target in readers:
            start = max(
                part.first,
                as_of - timedelta(milliseconds=target.allowed_lateness),
                starts_of_service[target.definition],
            )
            if start <= part.last:
                in_time += 1
                shard = target.every, shard_of(target.definition, _PARTS)
                of_shard = starts.setdefault(shard, {})
                of_shard[target.key] = min(start, of_shard.get(target.key, start))
        if readers:
            rows = rows_since(
                platform.assets,
                platform.readings,
                part,
                min(starts_of_service[target.definition] for target in readers),
            )
            late += rows
            too_late += 0 if in_time else rows
    return late, too_late


def _evaluated_ends(
    states: States,
    by_asset: Mapping[str, Sequence[EvaluationTarget]],
    evaluated_until: datetime,
    smallest: int,
) -> dict[TargetKey, int]:
    """Return the instant up to which each target may have been evaluated (ms); rows after it are in
    time.

    For targets with the smallest latency it is `evaluated_until`. For the others it is earlier by
    the difference of the latencies, or the watermark, if their latency was raised since.
    """
    targets = {target.key: target for of_asset in by_asset.values() for target in of_asset}.values()
    ends = {
        target.key: to_millis(evaluated_until) + smallest - target.latency for target in targets
    }
    waiting = [target.key for target in targets if target.latency > smallest]
    watermarks = states.load_many(waiting).watermark.tolist()
    return ends | {
        key: max(ends[key], watermark) for key, watermark in zip(waiting, watermarks, strict=True)
    }


def uses(target: EvaluationTarget, part: LatePart) -> bool:
    """Return whether a target reads a variable, or an event type, of the rows of a part."""
    if target.variable in part.variables or not set(part.variables).isdisjoint(target.also_reads):
        return True
    return any(fnmatchcase(name, pattern) for name in part.events for pattern in target.events)


def _service_starts(
    definitions: Definitions, by_asset: Mapping[str, Sequence[EvaluationTarget]]
) -> dict[str, datetime]:
    """Return when each definition began, by name. Earlier history was never evaluated by it."""
    targets = [target for of_asset in by_asset.values() for target in of_asset]
    starts_of_service = {target.definition: from_millis(target.since) for target in targets}
    changed = {target.definition for target in targets if target.revision > 1}
    for name, revisions in definitions.histories(changed).items() if changed else ():
        starts_of_service[name] = first_instant(revisions) or starts_of_service[name]
    return starts_of_service
