"""Count rows that arrived after their time was evaluated.

History from before any definition of its asset began was never evaluated, and is not late.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Protocol

from alerting.definitions.matching import AssetIndex
from alerting.ports import Assets, Definitions, Readings
from alerting.ports.late import Arrivals, LatePart
from alerting.usecases.definitions.versions import first_instant

_MOMENT = timedelta(milliseconds=1)


class Stored(Protocol):
    """The part of the platform from which late rows are counted."""

    @property
    def assets(self) -> Assets: ...

    @property
    def definitions(self) -> Definitions: ...

    @property
    def readings(self) -> Readings: ...

    @property
    def arrivals(self) -> Arrivals: ...


def late_rows(stored: Stored, arrived_at: datetime) -> int:
    """Return how many of the rows that arrived at an instant came after their time was evaluated."""
    parts = [part for arrival in stored.arrivals.of(arrived_at) for part in arrival.parts]
    since = evaluated_since(stored, {part.asset for part in parts})
    return sum(rows_since(stored, part, since[part.asset]) for part in parts if part.asset in since)


def evaluated_since(stored: Stored, assets: Collection[str]) -> dict[str, datetime]:
    """Return, by asset, since when a definition now in service has been evaluated there; absent without one."""
    if not assets:
        return {}
    index, found = AssetIndex(stored.assets.all()), dict[str, datetime]()
    active = [r for r in stored.definitions.latest() if r.definition.state == "active"]
    targets = {r.name: {a.name for a in index.matching(r.definition.assets)} & set(assets) for r in active}
    changed = stored.definitions.histories([r.name for r in active if r.number > 1 and targets[r.name]])
    for revision in active:
        began = first_instant(changed.get(revision.name, [revision])) or revision.at
        found |= {asset: min(began, found.get(asset, began)) for asset in targets[revision.name]}
    return found


def rows_since(stored: Stored, part: LatePart, since: datetime) -> int:
    """Return how many rows of a part lie at an instant or after it."""
    if part.first >= since or part.last < since:
        return part.rows if part.first >= since else 0
    asset = stored.assets.get(part.asset)
    if asset is None:
        return part.rows
    history = stored.readings.load(asset, since - _MOMENT, part.last, part.variables)
    begun = history.events[(history.events["start"] >= since) & history.events["type"].isin(part.events)]
    return min(part.rows, len(history.readings.dropna(how="all")) if part.variables else len(begun))
