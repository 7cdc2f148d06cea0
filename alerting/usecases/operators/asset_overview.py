"""Overview of assets: their tree, and all that is known of one asset."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from alerting.definitions.alert_definition import ModelDefinition
from alerting.definitions.asset_documents import Asset
from alerting.episodes.episode import Alarm, Episode
from alerting.learning.score_metrics import poisson_interval
from alerting.operators.alarm_views import counting_order
from alerting.ports import DecisionRecord, UpkeepPorts
from alerting.usecases.alarm_load.budget_gate import DAY
from alerting.usecases.alarm_load.definition_overview import (
    RAISES_DAYS,
    DefinitionLine,
    WantedDefinitions,
    find_definitions,
    raises_by_day,
    sort_lines,
)
from alerting.usecases.ingestion.asset_import import ASSETS
from alerting.usecases.operators.known_plant import KnownPlant
from alerting.usecases.trend_series import (
    Bands,
    VariablePage,
    find_bands,
    silent_variables,
    variable_page,
)

HISTORY = timedelta(days=90)
"""Time over which the episodes and events of an asset are shown."""
MOST_DEFINITIONS = 50


@dataclass(frozen=True)
class AssetRow:
    """An asset in the tree. `definitions`: definitions in service that watch it; `open`: its open
    alarms; `raises`: its alarms of each of the last 28 days; `depth`: number of assets above it;
    `silent`: variables whose value is missing now."""

    asset: Asset
    last_reading: datetime | None
    definitions: int
    open: int
    raises: tuple[int, ...]
    last_alarm: Alarm | None
    depth: int = 0
    silent: tuple[str, ...] = ()


TREE_ORDERS: Mapping[str, Callable[[AssetRow], Any]] = {
    "title": lambda row: _order(row.asset),
    "state": lambda row: row.open,
    "alerts": lambda row: row.definitions,
    "last": lambda row: row.last_alarm and row.last_alarm.raised_at,
    "raises": lambda row: sum(row.raises),
    "age": lambda row: row.last_reading and -row.last_reading.timestamp(),
}
"""By which values the assets of one parent can be sorted, as definitions are."""


@dataclass(frozen=True)
class AssetPage:
    """A page of the tree: assets, each followed by the assets below it. `number`: of all wanted
    assets; `next`: the position at which the next page begins, None on the last page."""

    rows: tuple[AssetRow, ...]
    number: int
    next: int | None


class TimeBetween(NamedTuple):
    """A mean time between two beginnings, with the 95 % interval of a constant rate."""

    mean: timedelta
    low: timedelta
    high: timedelta


@dataclass(frozen=True)
class Lane:
    """Times of one kind on an asset, oldest first: alarms of a definition, or events of a type.
    `asset`: the asset on which they happened; `is_event`: whether they are events. An end is None
    while an alarm or event goes on."""

    name: str
    title: str
    asset: str
    is_event: bool
    times: tuple[tuple[datetime, datetime | None], ...]

    @property
    def time_between(self) -> TimeBetween | None:
        """Return the mean time from one beginning to the next; None with fewer than two."""
        number = len(self.times) - 1
        if number < 1:
            return None
        whole = self.times[-1][0] - self.times[0][0]
        low, high = poisson_interval(number)
        return TimeBetween(whole / number, whole / high, whole / low)


@dataclass(frozen=True)
class AssetOverview:
    """The present state of an asset. `above`, `below`: assets above it, the outermost first, and
    directly below it; `definitions`: definitions that watch it, with their alarms on it; `open`:
    open alarms on it and below it; `lanes`: of the last 90 days; `importance`: by definition, the
    decision that measured which variables the model in service uses."""

    asset: Asset
    above: tuple[Asset, ...]
    below: tuple[Asset, ...]
    last_reading: datetime | None
    variables: VariablePage
    definitions: tuple[DefinitionLine, ...]
    more_definitions: int
    open: tuple[Episode, ...]
    lanes: tuple[Lane, ...]
    is_cut: bool
    importance: Mapping[str, DecisionRecord]


def asset_tree(
    platform: UpkeepPorts,
    plant: KnownPlant,
    now: datetime,
    text: str,
    after: int,
    limit: int,
    order: str = "",
) -> AssetPage:
    """Return a page of the tree of assets, or of those with a text in name or title. `order`: one
    of the `TREE_ORDERS`, in which assets stand below their parent, else by title. Writes nothing.
    """
    rows = {row.asset.name: row for row in _asset_rows(platform, plant, now)}
    sorted_rows = sort_lines(rows.values(), "title", TREE_ORDERS)
    if order.removeprefix("-") in TREE_ORDERS:
        sorted_rows = sort_lines(sorted_rows, order, TREE_ORDERS)
    ordered = order_as_tree([row.asset for row in sorted_rows])
    selected = [(a, depth) for a, depth in ordered if _is_wanted(a, text)]
    end = after + limit
    shown = tuple(
        replace(
            rows[asset.name],
            depth=0 if text else depth,
            silent=tuple(silent_variables(platform, asset, now)) if asset.variables else (),
        )
        for asset, depth in selected[after:end]
    )
    return AssetPage(shown, len(selected), end if len(selected) > end else None)


def _asset_rows(platform: UpkeepPorts, plant: KnownPlant, now: datetime) -> list[AssetRow]:
    """Return the rows of all assets, without what depends on their place."""
    newest = platform.readings.newest_readings(now)
    opened = Counter(episode.asset for episode in platform.episodes.find(open_only=True))
    alarms: dict[str, list[Alarm]] = {}
    for alarm in platform.episodes.alarms(now - RAISES_DAYS * DAY, now):
        if not (alarm.backfilled or alarm.withdrawn):
            alarms.setdefault(alarm.asset, []).append(alarm)
    return [
        AssetRow(
            asset,
            newest[asset.name].ts if asset.name in newest else None,
            plant.definition_counts.get(asset.name, 0),
            opened[asset.name],
            raises_by_day(alarms.get(asset.name, ()), now),
            alarms[asset.name][-1] if asset.name in alarms else None,
        )
        for asset in plant.assets.values()
    ]


def asset_overview(
    platform: UpkeepPorts,
    plant: KnownPlant,
    name: str,
    now: datetime,
    limit: int,
    after: str | None,
) -> AssetOverview:
    """Return the overview of an asset, with the page of its variables after a name. Raises NotFound
    for an unknown asset. Writes nothing."""
    asset = ASSETS.find(platform, name)
    index = plant.index
    watching = find_definitions(
        platform, now, WantedDefinitions(asset=name), "", MOST_DEFINITIONS, alarms_on=(name,)
    )
    names = [
        line.name
        for line in watching.lines
        if line.latest is not None and isinstance(line.latest.definition, ModelDefinition)
    ]
    decided = platform.decisions.histories(names) if names else {}
    measured = {definition: newest_importance(made) for definition, made in decided.items()}
    newest = platform.readings.newest_readings(now, {name})
    bands = find_bands(platform, name, now - HISTORY, now)
    return AssetOverview(
        asset,
        tuple(index[above] for above in reversed(index.ancestors(asset))),
        tuple(sorted((a for a in index.assets if a.parent == name), key=_order)),
        newest[name].ts if name in newest else None,
        variable_page(platform, plant.latest.values(), name, now, limit, after),
        watching.lines,
        watching.number - len(watching.lines),
        tuple(platform.episodes.find(open_only=True, limit=20, assets=index.at_or_below(name))),
        tuple(_lanes(bands)),
        bands.cut,
        {definition: decision for definition, decision in measured.items() if decision is not None},
    )


def newest_importance(decisions: Sequence[DecisionRecord]) -> DecisionRecord | None:
    """Return the decision that measured the importance of variables for the version in service,
    else the newest decision that measured it."""
    promoted = [d for d in reversed(decisions) if d.promoted]
    measured = [d for d in promoted if d.evidence.get("importance", {}).get("variables")]
    return next(
        (d for d in measured if d.challenger_version == promoted[0].challenger_version),
        measured[0] if measured else None,
    )


def _lanes(bands: Bands) -> list[Lane]:
    """Return a lane for each type of events of each asset, then one for each definition."""
    events: dict[tuple[str, str, str], list[tuple[datetime, datetime | None]]] = {}
    for event in bands.events:
        key = event.asset, event.type, event.title
        events.setdefault(key, []).append((event.start, event.end))
    alarms: dict[str, list[Alarm]] = {}
    for alarm in bands.alarms:
        if not (alarm.withdrawn or alarm.is_refuted):
            alarms.setdefault(alarm.definition, []).append(alarm)
    return [
        *(
            Lane(type_, title, on, True, tuple(sorted(times, key=lambda time: time[0])))
            for (on, type_, title), times in events.items()
        ),
        *(
            Lane(
                definition,
                made[-1].title,
                made[-1].asset,
                False,
                tuple((alarm.raised_at, alarm.closed_at) for alarm in made),
            )
            for definition, made in alarms.items()
        ),
    ]


def _order(asset: Asset) -> tuple[tuple[str | int, ...], str]:
    return counting_order(asset.title or asset.name), asset.name


def assets_in_tree(assets: Sequence[Asset]) -> list[tuple[Asset, int]]:
    """Return assets with their depth, each followed by the assets below it. Assets of the same
    parent are sorted by title, Press 2 before Press 10."""
    return order_as_tree(sorted(assets, key=_order))


def order_as_tree(assets: Sequence[Asset]) -> list[tuple[Asset, int]]:
    """Return assets with their depth, each followed by the assets below it, which keep their order.
    Assets in a circle stand alone."""
    names = {asset.name for asset in assets}
    below: dict[str | None, list[Asset]] = {}
    for asset in assets:
        below.setdefault(asset.parent if asset.parent in names else None, []).append(asset)
    ordered: list[tuple[Asset, int]] = []
    waiting = [(asset, 0) for asset in reversed(below.get(None, []))]
    while waiting:
        asset, depth = waiting.pop()
        ordered.append((asset, depth))
        waiting += [(child, depth + 1) for child in reversed(below.get(asset.name, []))]
    placed = {asset.name for asset, _ in ordered}
    return [*ordered, *((asset, 0) for asset in assets if asset.name not in placed)]


def _is_wanted(asset: Asset, text: str) -> bool:
    folded = text.casefold()
    return not folded or folded in asset.name.casefold() or folded in (asset.title or "").casefold()
