"""The present state of the plant for operators: alarms by cause, tiles, unknown states, and actions
that helped last time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerting.definitions.alert_definition import SEVERITIES, Definition, Severity
from alerting.definitions.fields.names_and_times import spans
from alerting.definitions.routes_and_sinks import Route
from alerting.detection.problem_occurrences import INSIDE_PROBLEM, REASONS
from alerting.episodes.episode import Episode, ExpectedWindow, expected_window
from alerting.operators.actions_and_mutes import Mute, MuteMark, find_marks
from alerting.operators.alarm_views import (
    MOST_NORMAL,
    AlarmFlood,
    Cause,
    PartTiles,
    TargetAlarms,
    find_flood,
    group_ended,
    group_open,
    is_of,
    join_lone_parts,
    make_tiles,
)
from alerting.ports import Episodes, UpkeepPorts
from alerting.recommendation.similar_episodes import Experience, find_similar, summarise
from alerting.reporting.variable_charts import Sparkline
from alerting.usecases.definitions.next_steps import champion_versions
from alerting.usecases.episodes.mutes_and_suppression import MutesInForce, mutes_at
from alerting.usecases.notification.episode_values import (
    distances_beyond,
    episode_without_alarm,
    present_values,
)
from alerting.usecases.operators.known_plant import (
    EvaluationCoverage,
    Gap,
    KnownPlant,
    with_champions,
    without_champion,
)

OPEN_READ = 200
OVER_READ = 50
_FLOOD_BEGINS = timedelta(minutes=10)  # at most before the first alarm that is still open
_AGE_STEP = timedelta(seconds=10)


@dataclass(frozen=True)
class NowFilters:
    """The part of the present that a person looks at.

    `line`: a part of the plant; `asset`: one asset; `severity`: this or a worse one; `shift`: a
    route with shifts, for alarms raised in its hours of the last day; `mine`: alarms that the
    person has taken over or acknowledged.
    """

    line: str | None = None
    asset: str | None = None
    severity: Severity | None = None
    shift: str | None = None
    mine: bool = False

    @property
    def is_set(self) -> bool:
        return self != NowFilters()


@dataclass(frozen=True)
class Now:
    """The present state of the plant.

    `happening`, `expected`: groups of many alarms of one definition, and causes with the alarms
    that followed them. `flood`: the flood that lasts. `over`: ended and not acknowledged.
    `more_open`, `more_over`: whether there are more than were read. `windows`: by the id of an
    episode; `values`: also by the name of an asset with a tile. `mutes`: in force now. `gaps`:
    targets that are not evaluated, on `gap_assets` assets; `new`: definitions that just came into
    service, with their interval; `evaluated_until`: the instant up to which the other targets are
    evaluated. `target_count`: number of evaluated targets.
    """

    at: datetime
    parts: tuple[PartTiles, ...]
    happening: tuple[Cause, ...]
    expected: tuple[Cause, ...]
    flood: AlarmFlood | None
    over: tuple[TargetAlarms, ...]
    gaps: tuple[Gap, ...]
    gap_assets: int
    new: Mapping[str, timedelta]
    evaluated_until: datetime | None
    target_count: int
    more_open: bool
    more_over: bool
    windows: Mapping[str, ExpectedWindow]
    values: Mapping[str, Sparkline]
    mutes: tuple[Mute, ...]

    @property
    def still_open(self) -> list[Episode]:
        return [e for cause in (*self.happening, *self.expected) for e in cause.episodes]

    @property
    def age_of_readings(self) -> timedelta | None:
        """Return the age of the newest of the values that are shown, in steps of ten seconds, so
        that the same page is the same text for a while."""
        newest = max((line.when for line in self.values.values()), default=None)
        return (
            None if newest is None else max(self.at - newest, timedelta(0)) // _AGE_STEP * _AGE_STEP
        )

    @property
    def tile_groups(self) -> list[PartTiles]:
        """Return the parts as they are drawn. Assets that are a part by themselves form one
        group."""
        return join_lone_parts(self.parts)

    @property
    def gap_definitions(self) -> int:
        """Return how many definitions are not evaluated somewhere."""
        return len({gap.definition for gap in self.gaps})

    @property
    def unacknowledged(self) -> int:
        """Return how many alarms wait to be acknowledged, without muted ones."""
        waiting = [e for e in self.still_open if e.acknowledged is None and e.muted_by is None]
        return len(waiting) + sum(len(group.episodes) for group in self.over)


@dataclass(frozen=True)
class Earlier:
    """Past alarms, newest first; `last`: the last alarm that was looked at, None if there is no
    older one."""

    episodes: tuple[Episode, ...]
    last: Episode | None


def read_now(
    platform: UpkeepPorts,
    plant: KnownPlant,
    filters: NowFilters,
    person: str,
    routes: Iterable[Route] = (),
) -> Now:
    """Return the present state, limited by the filters. `routes`: routes with shifts."""
    now = platform.clock.now()
    newest = platform.episodes.find(open_only=True, limit=OPEN_READ + 1)
    over = platform.episodes.over_unacknowledged(OVER_READ + 1)
    hours = _hours_of(filters.shift, routes, now)
    shows = [e for e in newest[:OPEN_READ] if _lets_through(e, filters, plant, person, hours)]
    shown_over = [e for e in over[:OVER_READ] if _lets_through(e, filters, plant, person, hours)]
    evaluated = _gaps_within(
        plant.recent_coverage.find(
            platform.states, plant.targets, now, platform.health_limits.evaluation_late
        ),
        filters,
        plant,
        newest,
    )
    claimed = [plant.latest[n] for n in without_champion(evaluated.gaps) if n in plant.latest]
    serving = champion_versions(platform.definitions, platform.decisions, claimed)
    gaps = with_champions(evaluated.gaps, serving)
    causes = group_open(shows, plant.parents)
    flood = find_flood(causes)
    if flood is not None:  # an alarm that has ended may be the first of it
        came = platform.episodes.find(start=flood.since - _FLOOD_BEGINS, limit=OPEN_READ)
        passing = (e for e in came if _lets_through(e, filters, plant, person, hours))
        flood = find_flood(causes, passing)
    grouped = [e for cause in causes if cause.is_group for e in cause.episodes]
    mutes = mutes_at(platform, now)
    leading = [cause.first for cause in causes[:12]]
    parts = make_tiles(
        {name: asset for name, asset in plant.assets.items() if is_part(name, filters, plant)},
        plant.parts,
        plant.definition_counts,
        shows,
        shown_over,
        evaluated.unknown_by_asset,
        _find_marks(plant, mutes, now),
    )
    of_tiles = _stand_ins(parts, [*shows, *shown_over], plant, now)
    values = present_values(
        platform.readings, [*leading, *grouped, *of_tiles], plant.definitions, plant.assets, now
    )
    causes = [
        cause.order_by_distance(
            distances_beyond({e.id: values[e.id] for e in cause.episodes if e.id in values})
        )
        if cause.is_group
        else cause
        for cause in causes
    ]
    return Now(
        at=now,
        parts=tuple(parts),
        happening=tuple(cause for cause in causes if cause.phase == "happening"),
        expected=tuple(cause for cause in causes if cause.phase == "expected"),
        flood=flood,
        over=tuple(group_ended(shown_over)),
        gaps=gaps,
        gap_assets=len(evaluated.unknown_by_asset),
        new=evaluated.new,
        evaluated_until=evaluated.until,
        target_count=len(plant.targets),
        more_open=len(newest) > OPEN_READ,
        more_over=len(over) > OVER_READ,
        windows=find_windows(shows, plant.definitions, now),
        values=values,
        mutes=tuple(
            mute
            for mute in mutes.mutes
            if mute.phase(now) == "present" and _is_about(mute, filters, plant, mutes)
        ),
    )


def _stand_ins(
    parts: Iterable[PartTiles], alarms: Iterable[Episode], plant: KnownPlant, now: datetime
) -> list[Episode]:
    """Return an episode for each tile, whose variable is that of its worst alarm, or of the
    definition that stands for its asset."""
    by_id = {e.id: plant.definitions.get(e.definition) for e in alarms}
    stand_ins = []
    for tile in [tile for part in parts for tile in part.tiles][:MOST_NORMAL]:
        usual = plant.definitions.get(plant.leading_definitions.get(tile.asset, ""))
        definition = by_id.get(tile.episode or "") or usual
        if definition is not None:
            stand_ins.append(episode_without_alarm(definition, tile.asset, now))
    return stand_ins


def read_earlier(
    platform: UpkeepPorts,
    plant: KnownPlant,
    filters: NowFilters,
    person: str,
    routes: Iterable[Route],
    limit: int,
    before: tuple[datetime, str] | None = None,
) -> Earlier:
    """Return past alarms that pass the filters, newest first: about `limit` at most, of the last
    500. `before`: only alarms raised before this position. `routes`: routes with shifts."""
    hours = _hours_of(filters.shift, routes, platform.clock.now())
    assets = None if filters.asset is None else [filters.asset]
    if assets is None and filters.line is not None:
        assets = [a for a in plant.assets if is_part(a, filters, plant)]
    since = hours[0][0] if hours else None
    episodes: list[Episode] = []
    last = None
    for _ in range(10):
        read = platform.episodes.find(start=since, limit=limit + 1, before=before, assets=assets)
        page = read[:limit]
        episodes += [e for e in page if _lets_through(e, filters, plant, person, hours)]
        if len(read) <= limit:
            return Earlier(tuple(episodes), None)
        last = page[-1]
        before = (last.raised_at, last.id)
        if 2 * len(episodes) > limit:
            break
    return Earlier(tuple(episodes), last)


def find_windows(
    episodes: Iterable[Episode], definitions: Mapping[str, Definition], now: datetime
) -> dict[str, ExpectedWindow]:
    """Return when the problem of each episode is expected, by its id."""
    windows = {}
    for episode in episodes:
        definition = definitions.get(episode.definition)
        horizon = timedelta(0) if definition is None else definition.horizon
        window = expected_window(episode, horizon, now)
        if window is not None:
            windows[episode.id] = window
    return windows


def _find_marks(plant: KnownPlant, mutes: MutesInForce, now: datetime) -> dict[str, MuteMark]:
    """Return the mutes that cover more than single targets."""
    wide = [mute for mute in mutes.mutes if not mute.is_target]
    if not wide:
        return {}
    definitions: dict[str, set[str]] = {}
    for target in plant.targets:
        definitions.setdefault(target.asset, set()).add(target.definition)
    lines = {name: (name, *plant.index.ancestors(asset)) for name, asset in plant.assets.items()}
    return find_marks(wide, lines, definitions, now)


def _hours_of(
    shift: str | None, routes: Iterable[Route], now: datetime
) -> list[tuple[datetime, datetime]] | None:
    route = next((r for r in routes if r.name == shift and r.shifts), None)
    return (
        None if route is None else spans(route.shifts, route.zone, now - timedelta(hours=24), now)
    )


def _is_about(mute: Mute, filters: NowFilters, plant: KnownPlant, mutes: MutesInForce) -> bool:
    """Return whether the filters show what a mute names (nothing: all), or an asset below it."""
    shown = filters.asset or filters.line
    named = mute.asset or mute.part
    if named is None or shown is None:
        return True
    return is_part(named, filters, plant) or mute.part in mutes.line(shown)


def is_part(asset: str, filters: NowFilters, plant: KnownPlant) -> bool:
    """Return whether the filters show an asset, by its name and line."""
    if filters.asset is not None and asset != filters.asset:
        return False
    return filters.line is None or plant.parts.get(asset) == filters.line


def _lets_through(
    episode: Episode,
    filters: NowFilters,
    plant: KnownPlant,
    person: str,
    hours: list[tuple[datetime, datetime]] | None,
) -> bool:
    return (
        is_part(episode.asset, filters, plant)
        and (
            filters.severity is None
            or SEVERITIES.index(episode.severity) >= SEVERITIES.index(filters.severity)
        )
        and (not filters.mine or is_of(episode, person))
        and (hours is None or any(start <= episode.raised_at < end for start, end in hours))
    )


def _gaps_within(
    evaluated: EvaluationCoverage,
    filters: NowFilters,
    plant: KnownPlant,
    alarms: Iterable[Episode],
) -> EvaluationCoverage:
    """Return the gaps of the assets that a person looks at, without targets whose problem has
    started, as an open alarm says: nothing new can be missed there before it is over."""
    open_targets = {(e.definition, e.asset) for e in alarms}
    started = REASONS[INSIDE_PROBLEM]
    gaps = []
    for gap in evaluated.gaps:
        assets = tuple(
            asset
            for asset in gap.assets
            if is_part(asset, filters, plant)
            and not (gap.reason == started and (gap.definition, asset) in open_targets)
        )
        if assets:
            gaps.append(replace(gap, assets=assets))
    return replace(evaluated, gaps=tuple(gaps))


def experience_of(episodes: Episodes, episode: Episode) -> Experience:
    """Return the earlier episodes most similar to one, of the newest hundred of its definition, and
    what was done about them."""
    earlier = episodes.find(episode.definition, limit=100, before=(episode.raised_at, episode.id))
    return summarise(find_similar(episode, earlier))
