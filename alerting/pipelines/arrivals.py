"""Who has to judge again: late readings and events become debts of the definitions that read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from alerting.episodes.spell_table import Pair
from alerting.pipelines.ports import Platform
from alerting.pipelines.ports.late import Arrival, LatePart
from alerting.pipelines.watchlist import Watch
from alerting.readings.history import from_millis

_WRITER_GIVEN_UP = timedelta(minutes=10)


@dataclass
class LateCounts:
    """Rows that came behind the evaluation, and those of them that were too late for everybody who reads them."""

    late: int = 0
    too_late: int = 0


@dataclass
class _Owed:
    """What one arrival makes of the pairs that read it."""

    starts: dict[Pair, datetime] = field(default_factory=dict)
    late: int = 0
    too_late: int = 0


def route_arrivals(platform: Platform, watched: Sequence[Watch], as_of: datetime) -> LateCounts:
    """Tell every pair of all that is watched which reads what came late to judge again.

    Doing it again, or twice at once, changes nothing. What lies before a definition began, or is older than its mutability, is
    nothing to it. An entry whose writer was killed is taken as written; it is looked at for a while, because the writer may only
    be slow.
    """
    counts = LateCounts()
    arrivals, reach = platform.arrivals.waiting(), platform.arrivals.reach()
    if not arrivals or reach is None:
        return counts
    watchers = _by_asset(watched)
    routed: list[tuple[Arrival, int]] = []
    unfinished: list[Arrival] = []
    starts: dict[Pair, datetime] = {}
    for arrival in arrivals:
        owed = _owed(arrival, watchers, reach, as_of)
        starts.update({pair: min(start, starts.get(pair, start)) for pair, start in owed.starts.items()})
        if arrival.written or (arrival.seen_at is not None and as_of - arrival.seen_at >= _WRITER_GIVEN_UP):
            routed.append((arrival, owed.too_late))
            counts.late += owed.late
            counts.too_late += owed.too_late
        else:
            unfinished.append(arrival)
    platform.arrivals.owe(starts)  # first: whoever dies before the rest begins anew
    platform.arrivals.mark_routed(routed, as_of)
    for arrival in unfinished:
        platform.arrivals.mark_seen(arrival, as_of)
    return counts


def _by_asset(watched: Sequence[Watch]) -> dict[str, list[Watch]]:
    found: dict[str, list[Watch]] = {}
    for watch in watched:
        found.setdefault(watch.asset, []).append(watch)
    return found


def _owed(arrival: Arrival, watchers: Mapping[str, Sequence[Watch]], reach: datetime, as_of: datetime) -> _Owed:
    owed = _Owed()
    for part in arrival.parts:
        readers = [watch for watch in watchers.get(part.asset, ()) if _is_late(watch, part, reach)]
        in_time = 0
        for watch in readers:
            start = max(part.first, _still_mutable(watch, as_of), _began(watch, part.first))
            if start <= part.last:
                in_time += 1
                owed.starts[watch.pair] = min(start, owed.starts.get(watch.pair, start))
        too_late = [w for w in readers if part.last < _still_mutable(w, as_of) and part.last >= _began(w, part.last)]
        owed.late += part.rows if in_time or too_late else 0
        owed.too_late += part.rows if too_late and not in_time else 0
    return owed


def _is_late(watch: Watch, part: LatePart, reach: datetime) -> bool:
    """Whether a definition may have judged without rows that it reads."""
    return part.first <= reach - timedelta(milliseconds=watch.latency) and _reads(watch, part)


def _reads(watch: Watch, part: LatePart) -> bool:
    if watch.variable in part.variables or not set(part.variables).isdisjoint(watch.also_reads):
        return True
    return any(fnmatchcase(name, pattern) for name in part.events for pattern in watch.events)


def _still_mutable(watch: Watch, as_of: datetime) -> datetime:
    return as_of - timedelta(milliseconds=watch.mutability)


def _began(watch: Watch, otherwise: datetime) -> datetime:
    """When the definition began, as far as its newest revision tells."""
    return from_millis(watch.since) if watch.revision == 1 else otherwise
