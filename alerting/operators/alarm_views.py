"""Alarms as pages show them: open alarms in order of urgency, with alarms that came together folded
under their cause, or many of a definition in one group; earlier alarms by day; and tiles of assets,
worst first, grey while an asset is normal."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from math import inf
from types import MappingProxyType
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from alerting.definitions.alert_definition import SEVERITIES, AssetIndex, Severity
from alerting.definitions.asset_documents import Asset
from alerting.definitions.fields.names_and_times import Hours, spans
from alerting.episodes.episode import AT_ONCE, TOGETHER, Episode, Phase
from alerting.operators.actions_and_mutes import MuteMark

_LONGEST = timedelta(minutes=10)  # between the first alarm of a cause and its last

Parents = Mapping[str, str | None]
"""The name of the parent by the name of each asset."""


@dataclass(frozen=True)
class Cause:
    """The first of several alarms that came together, with the alarms that followed it; or, if
    `is_group`, alarms of one definition, the most severe first.

    `is_first_out`: it came a second or more before the others. `is_worst_first`: of alarms of the
    same severity, the first is farthest beyond its limit.
    """

    first: Episode
    others: tuple[Episode, ...] = ()
    is_first_out: bool = False
    is_group: bool = False
    is_worst_first: bool = False

    @property
    def episodes(self) -> tuple[Episode, ...]:
        return (self.first, *self.others)

    @property
    def size(self) -> int:
        return len(self.episodes)

    @property
    def severity(self) -> Severity:
        """Return the worst severity of these alarms."""
        return max((e.severity for e in self.episodes), key=SEVERITIES.index)

    @property
    def phase(self) -> Phase:
        return self.first.phase

    @property
    def unacknowledged(self) -> tuple[Episode, ...]:
        return tuple(e for e in self.episodes if e.acknowledged is None)

    def order_by_distance(self, distances: Mapping[str, float]) -> "Cause":
        """Return the group with the worst alarm first: the most severe, then the one farthest
        beyond its limit. `distances`: beyond the limit, by id; empty if they are not known."""
        first, *others = sorted(
            self.episodes,
            key=lambda e: (-SEVERITIES.index(e.severity), -distances.get(e.id, -inf)),
        )
        return replace(self, first=first, others=tuple(others), is_worst_first=bool(distances))


LEAST_GROUPED = 5
"""Of fewer open alarms of a definition, each is shown by itself."""


def group_open(episodes: Iterable[Episode], parents: Parents) -> list[Cause]:
    """Return open alarms, urgent first: five or more of one definition as a group, which happen or
    are expected; the others by cause."""
    by_definition: dict[tuple[str, Phase, bool], list[Episode]] = {}
    for e in sorted(episodes, key=lambda e: (-SEVERITIES.index(e.severity), e.raised_at, e.id)):
        by_definition.setdefault((e.definition, e.phase, e.muted_by is None), []).append(e)
    groups = [
        Cause(first, tuple(others), is_group=True)
        for first, *others in by_definition.values()
        if len(others) + 1 >= LEAST_GROUPED
    ]
    few = [e for of_one in by_definition.values() if len(of_one) < LEAST_GROUPED for e in of_one]
    return sorted((*groups, *group_by_cause(few, parents)), key=_cause_order)


def group_by_cause(episodes: Iterable[Episode], parents: Parents) -> list[Cause]:
    """Return open alarms as causes, urgent first.

    An alarm joins a cause of its phase if it came at most a minute after the cause's last alarm, on
    the same asset, an asset above or below it, or one with the same parent. Of alarms of the same
    instant, the most severe comes first.
    """
    ordered = sorted(episodes, key=lambda e: (e.raised_at, -SEVERITIES.index(e.severity), e.id))
    groups: list[list[Episode]] = []
    recent: list[list[Episode]] = []
    for episode in ordered:
        recent = [g for g in recent if episode.raised_at - g[-1].raised_at <= TOGETHER]
        group = next((g for g in reversed(recent) if _follows(episode, g, parents)), None)
        if group is None:
            recent.append(group := [])
            groups.append(group)
        group.append(episode)
    return sorted((_cause(group) for group in groups), key=_cause_order)


def _follows(episode: Episode, group: Sequence[Episode], parents: Parents) -> bool:
    if (
        episode.raised_at - group[0].raised_at > _LONGEST
        or (episode.muted_by is None) != (group[0].muted_by is None)
        or episode.phase != group[0].phase
    ):
        return False
    return any(_are_related(episode.asset, member.asset, parents) for member in group)


def _are_related(first: str, second: str, parents: Parents) -> bool:
    if first == second or parents.get(first) == second or parents.get(second) == first:
        return True
    return parents.get(first) is not None and parents.get(first) == parents.get(second)


def _cause(group: Sequence[Episode]) -> Cause:
    others = tuple(sorted(group[1:], key=lambda e: (-SEVERITIES.index(e.severity), e.raised_at)))
    return Cause(group[0], others, _find_first_out(group) is not None)


def _find_first_out(ordered: Sequence[Episode]) -> Episode | None:
    """Return the first alarm if it came a second or more before the next one."""
    is_first = len(ordered) > 1 and ordered[1].raised_at - ordered[0].raised_at >= AT_ONCE
    return ordered[0] if is_first else None


def _cause_order(cause: Cause) -> tuple[bool, bool, bool, int, float]:
    """Return the sort key of a cause: not muted first, then expected, not acknowledged, most
    severe, newest."""
    return (
        cause.first.muted_by is not None,
        cause.phase != "expected",
        not cause.unacknowledged,
        -SEVERITIES.index(cause.severity),
        -max(e.raised_at for e in cause.episodes).timestamp(),
    )


@dataclass(frozen=True)
class AlarmFlood:
    """More alarms than can be read one by one: `alarms` that are open, `since` the first of them.

    `came_first`: the first alarm of the newest ones that came together, None if others came within
    the same second.
    """

    alarms: tuple[Episode, ...]
    since: datetime
    came_first: Episode | None

    @property
    def asset_count(self) -> int:
        return len({e.asset for e in self.alarms})

    @property
    def unacknowledged(self) -> tuple[Episode, ...]:
        return tuple(e for e in self.alarms if e.acknowledged is None)


def find_flood(causes: Iterable[Cause], came: Iterable[Episode] = ()) -> AlarmFlood | None:
    """Return the flood, which lasts while five or more alarms of one definition are open; muted and
    expected alarms do not count. `came`: the latest alarms; one that has ended may have come
    first."""
    sounding = [c for c in causes if c.phase == "happening" and c.first.muted_by is None]
    if not any(cause.is_group for cause in sounding):
        return None
    over = (e for e in came if e.condition == "closed")
    alarms = {e.id: e for e in over if not (e.muted_by or e.backfilled or e.withdrawn)}
    alarms |= {e.id: e for cause in sounding for e in cause.episodes}
    runs: list[list[Episode]] = []
    for e in sorted(alarms.values(), key=lambda e: e.raised_at):
        if not runs or e.raised_at - runs[-1][-1].raised_at > TOGETHER:
            runs.append([])
        runs[-1].append(e)
    open_runs = [[e for e in run if e.condition == "open"] for run in runs]
    bursts = [n for n, run in enumerate(open_runs) if len(run) >= LEAST_GROUPED]
    shown = [e for run in open_runs[bursts[0] if bursts else 0 :] for e in run]
    came_first = _find_first_out(runs[bursts[-1]]) if bursts else None
    return AlarmFlood(tuple(shown), min(e.raised_at for e in shown), came_first)


@dataclass(frozen=True)
class TargetAlarms:
    """Alarms of one definition on one asset, newest first."""

    episodes: tuple[Episode, ...]

    @property
    def newest_alarm(self) -> Episode:
        return self.episodes[0]

    @property
    def size(self) -> int:
        return len(self.episodes)


def group_ended(episodes: Iterable[Episode]) -> list[TargetAlarms]:
    """Return ended alarms by definition and asset, the most severe first, then the newest."""
    groups: dict[tuple[str, str], list[Episode]] = {}
    for episode in sorted(episodes, key=lambda e: e.raised_at, reverse=True):
        groups.setdefault((episode.definition, episode.asset), []).append(episode)
    return sorted(
        (TargetAlarms(tuple(group)) for group in groups.values()),
        key=lambda g: (
            -max(SEVERITIES.index(e.severity) for e in g.episodes),
            -g.newest_alarm.raised_at.timestamp(),
        ),
    )


@dataclass(frozen=True)
class DayOfAlarms(TargetAlarms):
    """Alarms of one definition on one asset that were raised on a day, newest first, with counts
    of their outcomes."""

    outcomes: Mapping[str, int]


def group_by_day(
    episodes: Iterable[Episode], day_of: Mapping[str, str]
) -> dict[str, list[DayOfAlarms]]:
    """Return earlier alarms by day and, in a day, by definition and asset; both newest first.

    `day_of`: the day of the plant by the id of each episode.
    """
    by_day: dict[str, dict[tuple[str, str], list[Episode]]] = {}
    for episode in episodes:
        of_day = by_day.setdefault(day_of[episode.id], {})
        of_day.setdefault((episode.definition, episode.asset), []).append(episode)
    return {
        day: [DayOfAlarms(tuple(group), _count_outcomes(group)) for group in groups.values()]
        for day, groups in by_day.items()
    }


def _count_outcomes(episodes: Iterable[Episode]) -> Mapping[str, int]:
    records = [e.outcome_record for e in episodes if e.outcome_record is not None]
    return Counter(r.outcome for r in records if r.outcome != "undetermined")


def is_of(episode: Episode, person: str) -> bool:
    """Return whether a person took an alarm over, or acknowledged it."""
    seen = episode.acknowledged
    return episode.assigned_to == person or (seen is not None and seen.actor == person)


TileState = Literal[
    "happening", "expected", "not evaluated", "over", "muted", "normal", "not watched"
]
_NUMBER = re.compile(r"([0-9]{1,18})")
_RANKS: tuple[TileState, ...] = get_args(TileState)
MOST_NORMAL = 60
"""Normal assets that are shown one by one; of more, their number is, without those that are
muted by themselves."""
NOT_MUTED: Mapping[str, MuteMark] = MappingProxyType({})


@dataclass(frozen=True)
class Tile:
    """The state of one asset. `alarms`: its alarms that are open, or ended and not acknowledged.

    `episode`: the worst of these alarms. `unknown`: number of definitions that are not evaluated on
    the asset, out of `definitions`, if the asset is not normal. `muted`: the mute on it, if any.
    """

    asset: str
    title: str
    state: TileState
    severity: Severity | None = None
    alarms: int = 0
    episode: str | None = None
    unknown: int = 0
    definitions: int = 0
    muted: MuteMark | None = None

    @property
    def is_evaluated_in_part(self) -> bool:
        """Return whether some of its definitions are evaluated and others are not."""
        return 0 < self.unknown < self.definitions


@dataclass(frozen=True)
class PartTiles:
    """A part of the plant: its tiles, worst first, and, by state, the number of assets without a
    tile. `muted`: the mute on the whole part."""

    name: str
    title: str
    tiles: tuple[Tile, ...]
    normal: int = 0
    without_definition: int = 0
    muted: MuteMark | None = None

    @property
    def worst(self) -> Tile | None:
        """Return the first of its tiles, None if none is shown."""
        return self.tiles[0] if self.tiles else None


def find_parts(assets: Mapping[str, Asset]) -> dict[str, str]:
    """Return the part of the plant of each asset, by name: the topmost asset above it. If all
    assets are below one topmost asset, and several of the assets right below that have assets below
    them, parts are these assets instead."""
    roots = [asset.name for asset in assets.values() if asset.parent not in assets]
    above = {asset.parent for asset in assets.values()}
    lines = [asset for asset in assets.values() if asset.parent in roots and asset.name in above]
    is_plant = len(roots) == 1 and len(lines) > 1
    index = AssetIndex(assets.values())
    parts: dict[str, str] = {}
    for name, asset in assets.items():
        chain = (name, *index.ancestors(asset))
        parts[name] = chain[-2] if is_plant and len(chain) > 1 else chain[-1]
    return parts


def make_tiles(
    assets: Mapping[str, Asset],
    parts: Mapping[str, str],
    definition_counts: Mapping[str, int],
    still_open: Sequence[Episode],
    unacknowledged: Iterable[Episode],
    unknown: Mapping[str, int],
    muted: Mapping[str, MuteMark] = NOT_MUTED,
) -> list[PartTiles]:
    """Return the parts of the plant with their tiles, the worst first.

    `parts`: the part of each asset; `definition_counts`: how many definitions are evaluated on
    each; `unknown`: by asset, the number of definitions whose state is not known; `muted`: by
    asset, its mute.
    """
    evaluated = {name for name, number in definition_counts.items() if number and name in assets}
    normal = Counter(parts.get(name, name) for name in evaluated)
    without = Counter(parts.get(name, name) for name in assets if name not in evaluated)
    open_on = _by_asset(still_open)
    over_on = _by_asset(unacknowledged)
    tiles: dict[str, list[Tile]] = {part: [] for part in (*normal, *without)}
    wrong = {*open_on, *over_on, *(name for name in unknown if name in assets)}
    for name in wrong:
        part = parts.get(name, name)
        state = _state_of(open_on.get(name, ()), over_on.get(name, ()), unknown.get(name, 0))
        tiles.setdefault(part, []).append(
            Tile(
                name,
                _title_of(name, assets),
                **state,
                unknown=unknown.get(name, 0),
                definitions=definition_counts.get(name, 0),
                muted=muted.get(name),
            )
        )
        if name in assets:
            (normal if name in evaluated else without)[part] -= 1
    is_small = len(evaluated) <= MOST_NORMAL
    for name in (evaluated if is_small or muted else set[str]()) - wrong:
        part = parts.get(name, name)
        mark = muted.get(name)
        if is_small or mark != muted.get(part):
            tiles[part].append(Tile(name, _title_of(name, assets), "normal", muted=mark))
            normal[part] -= 1
    made = [
        PartTiles(
            name,
            _title_of(name, assets),
            tuple(
                sorted(
                    of_part,
                    key=lambda tile: (*_urgency(tile), counting_order(tile.title), tile.asset),
                )
            ),
            normal[name],
            without[name],
            muted.get(name),
        )
        for name, of_part in tiles.items()
    ]
    return sorted(made, key=_part_order)


def _title_of(name: str, assets: Mapping[str, Asset]) -> str:
    return (assets[name].title if name in assets else None) or name


def join_lone_parts(parts: Sequence[PartTiles]) -> list[PartTiles]:
    """Return the parts in their order, with neighbouring parts of a single asset joined into one
    part without name and title, because the title of such a part would repeat the title of its
    tile."""
    joined_parts: list[PartTiles] = []
    for is_lone, group in groupby(
        parts, lambda part: len(part.tiles) == 1 and not part.normal and not part.without_definition
    ):
        if is_lone:
            joined_parts.append(PartTiles("", "", tuple(part.tiles[0] for part in group)))
        else:
            joined_parts += group
    return joined_parts


def _by_asset(episodes: Iterable[Episode]) -> dict[str, list[Episode]]:
    by_asset: dict[str, list[Episode]] = {}
    for episode in episodes:
        by_asset.setdefault(episode.asset, []).append(episode)
    return by_asset


def _state_of(
    still_open: Sequence[Episode], over: Sequence[Episode], unknown: int
) -> dict[str, Any]:
    """Return the state of an asset with its alarms, as fields of its tile."""
    sounding = [e for e in still_open if e.muted_by is None]
    stated: tuple[tuple[TileState, Sequence[Episode], int], ...] = (
        ("happening", [e for e in sounding if e.phase == "happening"], len(sounding)),
        ("expected", [e for e in sounding if e.phase == "expected"], len(sounding)),
        ("not evaluated", (), unknown),
        ("over", over, len(over)),
        ("muted", still_open, len(still_open)),
    )
    state, alarms, count = next(
        row for row in stated if row[1] or (row[0] == "not evaluated" and row[2])
    )
    if not alarms:
        return {"state": state}
    worst = max(alarms, key=lambda e: (SEVERITIES.index(e.severity), e.raised_at, e.id))
    return {"state": state, "severity": worst.severity, "alarms": count, "episode": worst.id}


def _part_order(part: PartTiles) -> tuple[int, int, tuple[str | int, ...], str]:
    urgency = _urgency(part.tiles[0]) if part.tiles else (len(_RANKS), 0)
    return *urgency, counting_order(part.title), part.name


def _urgency(tile: Tile) -> tuple[int, int]:
    severity = -1 if tile.severity is None else SEVERITIES.index(tile.severity)
    return _RANKS.index(tile.state), -severity


def counting_order(title: str) -> tuple[str | int, ...]:
    """Return a sort key of a title, texts and numbers by turns, so that "Press 2" comes before
    "Press 10"."""
    return tuple(int(part) if n % 2 else part for n, part in enumerate(_NUMBER.split(title)))


_SEARCHED = timedelta(days=8)


@dataclass(frozen=True)
class ShiftHours:
    """Hours of shifts in a time zone. `name`: of the route that names them, empty for usual
    hours."""

    name: str
    hours: tuple[Hours, ...]
    zone: ZoneInfo


@dataclass(frozen=True)
class Shift:
    """One shift in [start, end), by the name of its route, empty for usual hours."""

    name: str
    start: datetime
    end: datetime

    def has(self, at: datetime | None) -> bool:
        """Return whether an instant lies in the shift."""
        return at is not None and self.start <= at < self.end


def usual_hours(zone: ZoneInfo) -> ShiftHours:
    """Return the hours of three shifts, for a plant whose routes name none."""
    hours = [
        Hours.model_validate({"from": start, "to": end})
        for start, end in [("06:00", "14:00"), ("14:00", "22:00"), ("22:00", "06:00")]
    ]
    return ShiftHours("", tuple(hours), zone)


def find_running(plans: Sequence[ShiftHours], at: datetime, name: str | None = None) -> list[Shift]:
    """Return the shifts that run at an instant; if none runs, the one that ended last, at most
    eight days ago.

    The shift of this name comes first, without such a shift the one that began last.
    """
    around = _shifts_around(plans, at)
    over = sorted((s for s in around if s.end <= at), key=lambda s: s.end)[-1:]
    running = [shift for shift in around if shift.has(at)] or over
    return sorted(running, key=lambda s: (s.name == name, s.start, s.start - s.end), reverse=True)


def find_neighbours(plans: Sequence[ShiftHours], shift: Shift) -> tuple[Shift | None, Shift | None]:
    """Return the earlier shift that ends nearest to the start of this shift, and the later shift
    that starts nearest to the end of this shift."""
    earlier = [s for s in _shifts_around(plans, shift.start) if s.start < shift.start]
    later = [s for s in _shifts_around(plans, shift.end) if s.start > shift.start]
    return (
        min(earlier, key=lambda s: (abs(s.end - shift.start), s.end - s.start), default=None),
        min(later, key=lambda s: (abs(s.start - shift.end), s.end - s.start), default=None),
    )


def find_change(plans: Sequence[ShiftHours], at: datetime) -> Shift | None:
    """Return the shift that is handed over at an instant: it ends within half an hour, or ended at
    most half an hour ago. None at other times."""
    near = [s for s in _shifts_around(plans, at) if abs(s.end - at) <= timedelta(minutes=30)]
    return min(near, key=lambda s: (abs(s.end - at), s.start, s.name), default=None)


def _shifts_around(plans: Sequence[ShiftHours], at: datetime) -> list[Shift]:
    """Return the shifts of eight days before and after an instant, oldest first."""
    shifts = {
        Shift(plan.name, start, end)
        for plan in plans
        for start, end in spans(plan.hours, plan.zone, at - _SEARCHED, at + _SEARCHED)
    }
    return sorted(shifts, key=lambda s: (s.start, s.end, s.name))
