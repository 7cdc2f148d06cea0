"""Who has to judge again: late readings and events become debts of the definitions that read them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from alerting.definitions.assets import Asset
from alerting.definitions.inputs import events_read, latency, variables_read
from alerting.definitions.matching import AssetIndex
from alerting.definitions.model import Revision
from alerting.episodes.spell_table import Pair
from alerting.pipelines.ports import Platform
from alerting.pipelines.ports.late import Arrival, LatePart

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


def route_arrivals(platform: Platform, as_of: datetime) -> LateCounts:
    """Tell every pair that reads what came late to judge again. Doing it again, or twice at once, changes nothing.

    What lies before a definition began, or is older than its mutability, is nothing to it. An entry whose writer was killed is
    taken as written; it is looked at for a while, because the writer may only be slow.
    """
    counts = LateCounts()
    arrivals, reach = platform.arrivals.waiting(), platform.arrivals.reach()
    if not arrivals or reach is None:
        return counts
    watchers = _watchers(platform)
    for arrival in arrivals:
        owed = _owed(arrival, watchers, reach, as_of)
        platform.arrivals.owe(owed.starts)
        if arrival.written or (arrival.seen_at is not None and as_of - arrival.seen_at >= _WRITER_GIVEN_UP):
            platform.arrivals.mark_routed(arrival, owed.too_late, as_of)
            counts.late += owed.late
            counts.too_late += owed.too_late
        else:
            platform.arrivals.mark_seen(arrival, as_of)
    return counts


Watchers = dict[str, list[tuple[Revision, Asset]]]


def _watchers(platform: Platform) -> Watchers:
    """Active definitions by the asset that they watch."""
    found: Watchers = {}
    assets = AssetIndex(platform.assets.all())
    for revision in platform.definitions.latest():
        if revision.definition.state == "active":
            for asset in assets.matching(revision.definition.assets):
                found.setdefault(asset.name, []).append((revision, asset))
    return found


def _owed(arrival: Arrival, watchers: Watchers, reach: datetime, as_of: datetime) -> _Owed:
    owed = _Owed()
    for part in arrival.parts:
        readers = [r for r, asset in watchers.get(part.asset, ()) if _is_late(r, asset, part, reach)]
        in_time = 0
        for revision in readers:
            start = max(part.first, as_of - revision.definition.mutability, _began(revision, part.first))
            if start <= part.last:
                in_time += 1
                pair = revision.name, part.asset
                owed.starts[pair] = min(start, owed.starts.get(pair, start))
        too_late = [r for r in readers if part.last < as_of - r.definition.mutability and part.last >= _began(r, part.last)]
        owed.late += part.rows if in_time or too_late else 0
        owed.too_late += part.rows if too_late and not in_time else 0
    return owed


def _is_late(revision: Revision, asset: Asset, part: LatePart, reach: datetime) -> bool:
    """Whether a definition may have judged without rows that it reads."""
    return part.first <= reach - latency(revision.definition, asset) and _reads(revision, asset, part)


def _reads(revision: Revision, asset: Asset, part: LatePart) -> bool:
    definition = revision.definition
    named: Iterable[str] = variables_read(definition, asset)
    return not set(part.variables).isdisjoint(named) or _match(part.events, events_read(definition))


def _match(names: Sequence[str], patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(n, p) for n in names for p in patterns)


def _began(revision: Revision, otherwise: datetime) -> datetime:
    """When the definition began, as far as its newest revision tells."""
    return revision.at if revision.number == 1 else otherwise
