"""Count rows that arrived after their time was evaluated.

History from before any definition of its asset began was never evaluated, and is not late.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from alerting.definitions.matching import AssetIndex
from alerting.ports import Arrival, Assets, IngestionPorts, LatePart, Readings
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
