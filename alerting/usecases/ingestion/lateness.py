"""Count rows that arrived after their time was evaluated.

History from before any definition of its asset began was never evaluated, and is not late.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from alerting.definitions.model import AssetIndex
from alerting.definitions.shards import shard_of
from alerting.episodes.state_table import TargetKey
from alerting.episodes.targets import EvaluationTarget, smallest_latency
from alerting.ports import (
    Arrival,
    Arrivals,
    Assets,
    Definitions,
    IngestionPorts,
    LatePart,
    PlantPorts,
    Readings,
    States,
)
from alerting.readings.history import from_millis, to_millis
from alerting.usecases.definitions.versions import first_instant

_MOMENT = timedelta(milliseconds=1)


def late_rows(stored: IngestionPorts, arrived_at: datetime) -> int:
    """Return how many of the rows that arrived at an instant came after their time was
    evaluated."""
    return count_late(
        stored,
        [
            found
            for found in stored.arrivals.arrived_since(arrived_at)
            if found.arrived_at == arrived_at
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
    """Return, by asset, since when a definition now in service has been evaluated there; absent
    without one."""
    if not assets:
        return {}
    active = [r for r in stored.definitions.latest_revisions() if r.definition.state == "active"]
    found = dict[str, datetime]()
    patterns = {pattern for revision in active for pattern in revision.definition.assets}
    targeted = [name for name in assets if any(fnmatchcase(name, pattern) for pattern in patterns)]
    index = AssetIndex(stored.assets.get_many(targeted).values())
    targets = {r.name: {a.name for a in index.find_matching(r.definition.assets)} for r in active}
    changed = stored.definitions.histories(
        [r.name for r in active if r.number > 1 and targets[r.name]]
    )
    for revision in active:
        began = first_instant(changed.get(revision.name, [revision])) or revision.at
        found |= {asset: min(began, found.get(asset, began)) for asset in targets[revision.name]}
    return found


def rows_since(assets: Assets, readings: Readings, part: LatePart, since: datetime) -> int:
    """Return how many rows of a part lie at an instant or after it."""
    if part.first >= since or part.last < since:
        return part.rows if part.first >= since else 0
    asset = assets.get(part.asset)
    if asset is None:
        return part.rows
    history = readings.load(asset, since - _MOMENT, part.last, part.variables)
    begun = history.events[
        (history.events["start"] >= since) & history.events["type"].isin(part.events)
    ]
    return min(part.rows, len(history.readings.dropna(how="all")) if part.variables else len(begun))


_WRITER_GIVEN_UP = timedelta(minutes=10)
_PARTS = 4  # of a sixteenth: up to 64 tasks that evaluate at once change documents of their own
_Shard = tuple[int, int]


@dataclass
class LateCounts:
    """Counts of rows that came behind the watermark, and of those that were too late for every
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
    """Store the requests, each in place of what waits for the same target: one whose evaluation
    fails again and again does not gather a request a round."""
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
    """Return the targets that read each of these assets: its own, and those below it that read
    their ancestors."""
    found: dict[str, list[EvaluationTarget]] = {}
    for target in targets:
        for asset in (target.asset, *target.above):
            if asset in touched:
                found.setdefault(asset, []).append(target)
    return found


def _request(
    platform: PlantPorts,
    arrival: Arrival,
    by_asset: Mapping[str, Sequence[EvaluationTarget]],
    starts_of_service: Mapping[str, datetime],
    ends: Mapping[TargetKey, int],
    as_of: datetime,
    starts: dict[_Shard, dict[TargetKey, datetime]],
) -> tuple[int, int]:
    """Add to `starts` from when each target is reprocessed for an arrival. Return its counts of
    late and of too late rows."""
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
    """Return up to when each target may have been evaluated (ms); rows after that are in time.

    `evaluated_until` is that of targets with the smallest latency; the others are behind it by the
    difference, or at their watermark, if their latency was raised since.
    """
    found = {target.key: target for of_asset in by_asset.values() for target in of_asset}.values()
    ends = {target.key: to_millis(evaluated_until) + smallest - target.latency for target in found}
    waiting = [target.key for target in found if target.latency > smallest]
    watermarks = states.load_many(waiting).watermark.tolist()
    return ends | {
        key: max(ends[key], watermark) for key, watermark in zip(waiting, watermarks, strict=True)
    }


def uses(target: EvaluationTarget, part: LatePart) -> bool:
    """Return whether a target reads a variable, or an event type, of some rows."""
    if target.variable in part.variables or not set(part.variables).isdisjoint(target.also_reads):
        return True
    return any(fnmatchcase(name, pattern) for name in part.events for pattern in target.events)


def _service_starts(
    definitions: Definitions, by_asset: Mapping[str, Sequence[EvaluationTarget]]
) -> dict[str, datetime]:
    """Return when each definition began, by name. Earlier history was never evaluated by it."""
    targets = [target for found in by_asset.values() for target in found]
    starts_of_service = {target.definition: from_millis(target.since) for target in targets}
    changed = {target.definition for target in targets if target.revision > 1}
    for name, revisions in definitions.histories(changed).items() if changed else ():
        starts_of_service[name] = first_instant(revisions) or starts_of_service[name]
    return starts_of_service
