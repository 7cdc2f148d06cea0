"""How late readings come, and how long evaluation would have to wait for them: the meter of late data.

Late is what came after its time was judged. History from before any definition of its asset began was never judged.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from alerting.definitions.matching import AssetIndex
from alerting.ports import Assets, Definitions, Platform, Readings
from alerting.ports.late import Arrivals, LatePart
from alerting.usecases.definitions.versions import first_instant

_MOMENT = timedelta(milliseconds=1)

_SHARE = 0.95
_LONGEST_WAIT = timedelta(minutes=15)  # whoever waits longer wants late alerts judged again instead


class Stored(Protocol):
    """The part of the platform that says what came late."""

    @property
    def assets(self) -> Assets: ...

    @property
    def definitions(self) -> Definitions: ...

    @property
    def readings(self) -> Readings: ...

    @property
    def arrivals(self) -> Arrivals: ...


def late_rows(stored: Stored, arrived_at: datetime) -> int:
    """How many of the rows that arrived at an instant came after their time was judged."""
    parts = [part for arrival in stored.arrivals.of(arrived_at) for part in arrival.parts]
    since = judged_since(stored, {part.asset for part in parts})
    return sum(rows_since(stored, part, since[part.asset]) for part in parts if part.asset in since)


def judged_since(stored: Stored, assets: Collection[str]) -> dict[str, datetime]:
    """By asset, since when a definition that is in service now has been judged there; absent where there is none."""
    if not assets:
        return {}
    index, found = AssetIndex(stored.assets.all()), dict[str, datetime]()
    active = [r for r in stored.definitions.latest() if r.definition.state == "active"]
    watched = {r.name: {a.name for a in index.matching(r.definition.assets)} & set(assets) for r in active}
    changed = stored.definitions.histories([r.name for r in active if r.number > 1 and watched[r.name]])
    for revision in active:
        began = first_instant(changed.get(revision.name, [revision])) or revision.at
        found |= {asset: min(began, found.get(asset, began)) for asset in watched[revision.name]}
    return found


def rows_since(stored: Stored, part: LatePart, since: datetime) -> int:
    """How many rows of a part do not lie before an instant."""
    if part.first >= since or part.last < since:
        return part.rows if part.first >= since else 0
    asset = stored.assets.get(part.asset)
    if asset is None:
        return part.rows
    history = stored.readings.load(asset, since - _MOMENT, part.last, part.variables)
    begun = history.events[(history.events["start"] >= since) & history.events["type"].isin(part.events)]
    return min(part.rows, len(history.readings.dropna(how="all")) if part.variables else len(begun))


@dataclass(frozen=True)
class Lateness:
    """What came late of one variable or event type of an asset. `longest`: from the time stamp to the arrival.

    `latency`: what would have been enough for nineteen of twenty deliveries; None if nobody would want to wait so long, and
    for events, which are not waited for.
    """

    asset: str
    what: str
    deliveries: int
    rows: int
    longest: timedelta
    newest: datetime
    latency: timedelta | None


def lateness(platform: Platform, start: datetime) -> list[Lateness]:
    """What came late since an instant, by asset and variable or event type, the most frequent first.

    Rows are those of deliveries that held the variable; the delay of a variable is no lateness and is taken off.
    """
    found: dict[tuple[str, str, bool], list[tuple[datetime, LatePart]]] = defaultdict(list)
    arrivals = platform.arrivals.since(start)
    since = judged_since(platform, {part.asset for arrival in arrivals for part in arrival.parts})
    for arrival in arrivals:
        for part in arrival.parts:
            judged = since.get(part.asset)
            if judged is None or part.last < judged:
                continue
            late = replace(part, first=max(part.first, judged), rows=rows_since(platform, part, judged))
            for name in (*part.variables, *part.events):
                found[part.asset, name, name in part.variables].append((arrival.arrived_at, late))
    lines = [_line(platform, *key, parts) for key, parts in found.items()]
    return sorted(lines, key=lambda line: (-line.deliveries, line.asset, line.what))


def _line(platform: Platform, asset: str, name: str, is_variable: bool, parts: list[tuple[datetime, LatePart]]) -> Lateness:
    known = platform.assets.get(asset)
    variable = known.variables.get(name) if known and is_variable else None
    delay = variable.delay if variable else timedelta(0)
    lags = sorted(max(arrived - part.first - delay, timedelta(0)) for arrived, part in parts)
    enough = lags[-(-int(_SHARE * 100) * len(lags) // 100) - 1]
    seconds = timedelta(seconds=-(-enough // timedelta(seconds=1)))
    return Lateness(
        asset,
        name,
        len(parts),
        sum(part.rows for _, part in parts),
        lags[-1],
        max(arrived for arrived, _ in parts),
        seconds if is_variable and seconds <= _LONGEST_WAIT else None,
    )
