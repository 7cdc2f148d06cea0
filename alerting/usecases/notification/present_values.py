"""Present values of the variables of alarms, beside their limits."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo

from alerting.deferred import np
from alerting.definitions.assets import Asset, types_of
from alerting.definitions.faults import UserError
from alerting.definitions.model import Definition
from alerting.definitions.wording.language import Language
from alerting.detection.counted_times import REASONS as NOT_COUNTED
from alerting.episodes.episode import Episode
from alerting.kinds.registry import kind_of
from alerting.ports import ChartPorts, ReadingColumns, Readings, Wanted
from alerting.readings.history import to_millis
from alerting.reporting.base.messages import clock_time, local_times
from alerting.reporting.figures.episode_chart import ChartLevel, Floats, Millis
from alerting.reporting.figures.sparkline import Sparkline, sparkline

_BACK = timedelta(hours=1)
_SAMPLES = 30  # of a variable that is measured less often
_LONGEST = timedelta(days=2)
_LONGEST_PAUSE = timedelta(days=7)
_LEAST_FRESH = timedelta(minutes=10)
_SAMPLES_MISSED = 5
_FAULTS_OF_DOCUMENTS = (UserError, ValueError, ArithmeticError, LookupError, TypeError)


def present_values(
    readings: Readings,
    episodes: Iterable[Episode],
    definitions: Mapping[str, Definition],
    assets: Mapping[str, Asset],
    now: datetime,
) -> dict[str, Sparkline]:
    """Return the line of the last hour (more if values are rare) by the id of each episode whose
    variable has a number, and the last value of a week of those without one then. One query for all
    assets, two for all of which some are silent, and one for each that goes on without the
    variable. Computed variables have none."""
    wanted: dict[str, tuple[str, str, tuple[ChartLevel, ...], bool]] = {}
    since: dict[str, datetime] = {}
    names: dict[str, set[str]] = {}
    for episode in episodes:
        asset = assets.get(episode.asset)
        definition = definitions.get(episode.definition)
        found = _charted(definition, asset, episode)
        if asset is None or found is None or asset.is_computed(found[0]):
            continue
        variable, levels = found
        is_alone = _subject(definitions[episode.definition], asset) == {variable}
        wanted[episode.id] = (asset.name, variable, levels, is_alone)
        names.setdefault(asset.name, set()).add(variable)
        start = now - _back(asset, variable)
        since[asset.name] = min(start, since.get(asset.name, start))
    if not wanted:
        return {}
    loaded = readings.load_many(
        [Wanted(name, types_of(assets[name], sorted(names[name])), since[name]) for name in names],
        now,
    )
    silent = {
        (name, variable)
        for name, variable, _, _ in wanted.values()
        if not len(_numbers(loaded.get(name), variable)[0])
    }
    last = _last_values(readings, assets, silent, now) if silent else {}
    lines = {}
    for id, (name, variable, levels, is_alone) in wanted.items():
        asset = assets[name]
        at, numbers = last.get((name, variable)) or _numbers(loaded.get(name), variable)
        known = asset.variables.get(variable)
        unit = known.unit if known else None
        title = (known.title if known else None) or variable.replace("_", " ")
        line = sparkline(at, numbers, levels, unit, None if is_alone else title)
        if line is not None:
            is_old = now - line.when > _fresh_for(asset, variable, at)
            lines[id] = replace(line, is_old=is_old)
    return lines


def _numbers(columns: ReadingColumns | None, variable: str) -> tuple[Millis, Floats]:
    """Return the numbers of a variable with their instants; nothing if there are none."""
    values = None if columns is None else columns.values.get(variable)
    if columns is None or values is None or values.dtype.kind not in "fiub":
        return np.empty(0, np.int64), np.empty(0)
    numbers = values.astype(np.float64)
    there = ~np.isnan(numbers)
    return columns.ts[there], numbers[there]


def _last_values(
    readings: Readings, assets: Mapping[str, Asset], silent: Set[tuple[str, str]], now: datetime
) -> dict[tuple[str, str], tuple[Millis, Floats]]:
    """Return the last number of each variable (by asset and variable) that has one in a week."""
    since = now - _LONGEST_PAUSE
    variables: dict[str, list[str]] = {}
    for name, variable in sorted(silent):
        variables.setdefault(name, []).append(variable)
    newest = readings.newest_readings(now, list(variables))
    found = {name: newest[name].ts for name in variables if name in newest}
    wanted = [
        Wanted(
            name,
            types_of(assets[name], variables[name]),
            at - max(_back(assets[name], variable) for variable in variables[name]),
        )
        for name, at in found.items()
        if at > since
    ]
    loaded = readings.load_many(wanted, now) if wanted else {}
    last = {}
    for name in loaded:
        others = []
        for variable in variables[name]:
            at, numbers = _numbers(loaded[name], variable)
            if len(at):  # the whole asset is silent
                last[name, variable] = at[-1:], numbers[-1:]
            else:
                others.append(variable)
        if others:
            last |= _last_of_going_asset(readings, assets[name], others, since, now)
    return last


def _last_of_going_asset(
    readings: Readings, asset: Asset, variables: Sequence[str], since: datetime, now: datetime
) -> dict[tuple[str, str], tuple[Millis, Floats]]:
    """Return the last number of variables of an asset whose other variables have newer ones."""
    found = readings.newest_values(asset, dict.fromkeys(variables, since), now)
    last = {}
    for variable in variables:
        if variable in found and found[variable].dtype.kind in "fiub":
            values = found[variable].dropna()[-1:]
            at = np.array([to_millis(one) for one in values.index], np.int64)
            last[asset.name, variable] = at, values.to_numpy(np.float64)
    return last


def _fresh_for(asset: Asset, variable: str, at: Millis) -> timedelta:
    """Return how old the last value of a variable may be while readings come as usual."""
    known = asset.variables.get(variable)
    usual = known.sampling if known is not None else None
    if usual is None and len(at) > 1:
        usual = timedelta(milliseconds=float(np.median(np.diff(at))))
    delay = known.delay if known is not None else None
    return max(_LEAST_FRESH, _SAMPLES_MISSED * (usual or timedelta(0))) + (delay or timedelta(0))


def present_value(
    platform: ChartPorts,
    episode: Episode,
    now: datetime,
    zone: tzinfo,
    language: Language,
    dated: bool = False,
) -> str | None:
    """Return sentences on the last value of the variable of an episode, as the pages show it, and
    why its alert is not evaluated now; None without any. `dated`: for a message, which may be read
    on another day."""
    table = platform.states.load_many([(episode.definition, episode.asset)])
    unknown = table.unknown_reason[0] if table.unknown_count[0] else None
    said = [_last_sentence(platform, episode, now, zone, language, dated)]
    if unknown and unknown not in NOT_COUNTED.values():  # the alarm itself shows its problem
        reason = local_times(unknown, now, zone, language, dated)
        said.append(language.say("Not evaluated now: {reason}.", reason=reason))
    return " ".join(filter(None, said)) or None


def _last_sentence(
    platform: ChartPorts,
    episode: Episode,
    now: datetime,
    zone: tzinfo,
    language: Language,
    dated: bool,
) -> str | None:
    revision = platform.definitions.newest_revision(episode.definition)
    asset = platform.assets.get(episode.asset)
    if revision is None or asset is None:
        return None
    definitions = {episode.definition: revision.definition}
    found = present_values(platform.readings, [episode], definitions, {asset.name: asset}, now)
    line = found.get(episode.id)
    if line is None:
        return None
    when = clock_time(line.when, now, zone, language, dated)
    value = line.describe(language)
    limit = line.describe_limit(language)
    said = (
        language.say("Last value ({when}): {value}.", when=when, value=value)
        if limit is None
        else language.say(
            "Last value ({when}): {value}; {limit}.", when=when, value=value, limit=limit
        )
    )
    return f"{said} {language.say('No value has come since.')}" if line.is_old else said


def _charted(
    definition: Definition | None, asset: Asset | None, episode: Episode
) -> tuple[str, tuple[ChartLevel, ...]] | None:
    """Return the variable of an episode and its levels; of several severities those of its own."""
    if definition is None or asset is None or definition.kind != episode.kind:
        return None
    try:
        charted = kind_of(definition).chart(definition, asset, episode)
    except _FAULTS_OF_DOCUMENTS:  # of data that people wrote
        logging.getLogger(__name__).exception("no present value of episode %s", episode.id)
        return None
    if charted.variable is None:
        return None
    own = tuple(level for level in charted.levels if level.label == episode.severity)
    return charted.variable, own or charted.levels


def _subject(definition: Definition, asset: Asset) -> frozenset[str]:
    """Return the variables that the sentence on an alarm names."""
    if definition.problem is not None:
        return frozenset(definition.problem.variables)
    return definition.variables_evaluated(asset)


def _back(asset: Asset, variable: str) -> timedelta:
    known = asset.variables.get(variable)
    sampling = known.sampling if known is not None else None
    return _BACK if sampling is None else min(max(_BACK, _SAMPLES * sampling), _LONGEST)
