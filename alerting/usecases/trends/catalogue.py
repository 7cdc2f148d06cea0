"""The catalogue: assets, and the variables of one with what came of them lately and what uses
them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from alerting.definitions.assets import Asset, Variable
from alerting.definitions.model import AssetIndex, matching_assets
from alerting.ports import Definitions, PlantPorts, Readings, SeriesPorts
from alerting.readings.buckets import DAY, Buckets
from alerting.readings.history import from_millis, to_millis
from alerting.readings.rollups import Interval
from alerting.usecases.labels.overlay import without_bad_values
from alerting.usecases.trends.rolled import read_buckets
from alerting.usecases.trends.series import find_asset, gaps_of

_MOST_READINGS = 4_000


@dataclass(frozen=True)
class AssetLine:
    """An asset with the number of its variables and the instant of its newest reading."""

    asset: Asset
    last_reading: datetime | None


class LastSample(NamedTuple):
    """A good sample."""

    at: datetime
    value: float | str | bool


@dataclass(frozen=True)
class VariableLine:
    """A variable with its newest good sample of the time that was looked at, how many were good and
    bad there, the share of it that good samples cover, and the definitions that read it.

    `hours`: its samples of each hour; `silent_since`: since when a value is missing, None of one
    that is not; the beginning of the time that was looked at, if there was none in it.
    """

    name: str
    variable: Variable
    delay: timedelta
    last: LastSample | None
    good: int
    bad: int
    coverage: float | None
    definitions: list[str]
    hours: Buckets
    silent_since: datetime | None


@dataclass(frozen=True)
class VariablePage:
    """Variables of an asset by name, looked at over [since, until). `unread`: times of it (ms) that
    were left out; `next`: the last name, if there are more."""

    asset: str
    since: datetime
    until: datetime
    unread: tuple[Interval, ...]
    items: list[VariableLine]
    next: str | None


def asset_lines(platform: PlantPorts, now: datetime) -> list[AssetLine]:
    """Return all assets by name."""
    assets = sorted(platform.assets.all(), key=lambda asset: asset.name)
    newest = platform.readings.newest_readings(now)
    return [
        AssetLine(asset, newest[asset.name].ts if asset.name in newest else None)
        for asset in assets
    ]


def variable_page(
    platform: SeriesPorts, asset: str, now: datetime, limit: int, after: str | None = None
) -> VariablePage:
    """Return variables of an asset with names after one, with what came over the last day. Raises
    NotFound for an unknown asset."""
    found = find_asset(platform, asset)
    platform = without_bad_values(platform)
    following = sorted(name for name in found.variables if after is None or name > after)
    names = following[:limit]
    until = to_millis(now) + 1
    day = (until - DAY, until)
    samples = read_buckets(platform, found, names, *day, "hours", _MOST_READINGS)
    values = _last_values(platform.readings, found, samples.of)
    users = _users(platform.definitions, found)
    items = [
        VariableLine(
            name,
            found.variables[name],
            found.delay(name),
            values.get(name),
            int(samples.of[name].count.sum()),
            int(samples.of[name].bad.sum()),
            _coverage(found.variables[name], samples.of[name], day, samples.unread),
            users.get(name, []),
            samples.of[name],
            _silent_since(found.variables[name], samples.of[name], day, samples.unread),
        )
        for name in names
    ]
    more = names[-1] if len(following) > limit else None
    return VariablePage(found.name, from_millis(day[0]), now, samples.unread, items, more)


def _coverage(
    declared: Variable, buckets: Buckets, day: Interval, unread: Sequence[Interval]
) -> float | None:
    """Return the share of a time without gaps, beside what was not read; None without a rest."""
    gaps = gaps_of(declared, buckets, day, unread)
    read = _length([day]) - _length(unread)
    return 1 - _length(gaps) / read if read else None


def silent_variables(platform: SeriesPorts, asset: Asset, now: datetime) -> list[str]:
    """Return the variables of an asset of which a value is missing now, by the last day."""
    until = to_millis(now) + 1
    day = (until - DAY, until)
    names = list(asset.variables)
    samples = read_buckets(platform, asset, names, *day, "hours", _MOST_READINGS)
    return [
        name
        for name, declared in asset.variables.items()
        if _silent_since(declared, samples.of[name], day, samples.unread) is not None
    ]


def _silent_since(
    declared: Variable, buckets: Buckets, day: Interval, unread: Sequence[Interval]
) -> datetime | None:
    gaps = gaps_of(declared, buckets, day, unread)
    return from_millis(gaps[-1][0]) if gaps and gaps[-1][1] == day[1] else None


def _length(spans: Iterable[Interval]) -> int:
    return sum(end - start for start, end in spans)


def _last_values(
    readings: Readings, asset: Asset, samples: Mapping[str, Buckets]
) -> dict[str, LastSample]:
    """Return instant and value of the newest good sample of each variable with one."""
    by_instant: dict[int, list[str]] = {}
    for name, found in samples.items():
        if len(good := found.has_good().last):
            by_instant.setdefault(int(good[-1]), []).append(name)
    values = {}
    for at, names in by_instant.items():
        instant = from_millis(at)
        history = readings.load(
            asset, instant - timedelta(milliseconds=1), instant, names, events_since=instant
        )
        for name in names:
            value = history.readings[name].iloc[-1]
            is_switch = asset.variables[name].type == "boolean"
            values[name] = LastSample(instant, bool(value) if is_switch else value)
    return values


def _users(definitions: Definitions, asset: Asset) -> dict[str, list[str]]:
    """Return the names of the definitions in draft or in service that read each variable."""
    index = AssetIndex([asset])
    found: dict[str, list[str]] = {}
    for revision in definitions.latest_revisions():
        definition = revision.definition
        if definition.state != "retired" and matching_assets(definition, index):
            for name in asset.with_parts(definition.variables_read(asset)):
                found.setdefault(name, []).append(definition.name)
    return found
