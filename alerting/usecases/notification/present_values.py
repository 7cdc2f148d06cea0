"""Present values of the variables of alarms, beside their limits."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo

import numpy as np

from alerting.definitions.assets import Asset, types_of
from alerting.definitions.faults import UserError
from alerting.definitions.model import Definition
from alerting.definitions.wording.language import Language
from alerting.detection.counted_times import REASONS as NOT_COUNTED
from alerting.episodes.episode import Episode
from alerting.kinds.registry import kind_of
from alerting.ports import ChartPorts, Readings, Wanted
from alerting.ports.readings import ReadingColumns
from alerting.readings.instants import to_millis
from alerting.reporting.base.sentences import clock_time, local_times
from alerting.reporting.figures.episode_chart import ChartLevel, Floats, Millis
from alerting.reporting.figures.sparkline import Sparkline, sparkline

_BACK = timedelta(hours=1)
_SAMPLES = 30  # of a variable that is measured less often
_LONGEST = timedelta(days=2)
_LONGEST_SILENCE = timedelta(days=7)
_LEAST_FRESH = timedelta(minutes=10)
_SAMPLES_MISSED = 5
_NO_INSTANTS = np.empty(0, np.int64)
_NO_NUMBERS = np.empty(0)
_FAULTS_OF_DOCUMENTS = (UserError, ValueError, ArithmeticError, LookupError, TypeError)


def present_values(
    readings: Readings,
    episodes: Iterable[Episode],
    definitions: Mapping[str, Definition],
    assets: Mapping[str, Asset],
    now: datetime,
) -> dict[str, Sparkline]:
    """Return the line of the last hour (more if values are rare) by the id of each episode whose
    variable has a number; one query for all assets, and one for each that has no value then: of it
    the last value of a week. Computed variables have none."""
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
    lines = {}
    for id, (name, variable, levels, is_alone) in wanted.items():
        asset = assets[name]
        at, numbers = _numbers(loaded.get(name), variable)
        if not len(at):
            at, numbers = _last_value(readings, asset, variable, now)
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
        return _NO_INSTANTS, _NO_NUMBERS
    numbers = values.astype(np.float64)
    there = ~np.isnan(numbers)
    return columns.ts[there], numbers[there]


def _last_value(
    readings: Readings, asset: Asset, variable: str, now: datetime
) -> tuple[Millis, Floats]:
    """Return the last number of a variable within a week; nothing if there is none."""
    since = now - _LONGEST_SILENCE
    newest = readings.newest_readings(now, [asset.name]).get(asset.name)
    if newest is None or newest.ts <= since:
        return _NO_INSTANTS, _NO_NUMBERS
    wanted = Wanted(asset.name, types_of(asset, [variable]), newest.ts - _back(asset, variable))
    last = readings.load_many([wanted], now)
    at, numbers = _numbers(last.get(asset.name), variable)
    if len(at):  # the whole asset is silent
        return at[-1:], numbers[-1:]
    found = readings.newest_values(asset, {variable: since}, now)
    if variable not in found or found[variable].dtype.kind not in "fiub":
        return _NO_INSTANTS, _NO_NUMBERS
    values = found[variable].dropna()[-1:]
    instants = [to_millis(one) for one in values.index]
    return np.array(instants, np.int64), values.to_numpy(np.float64)


def _fresh_for(asset: Asset, variable: str, at: Millis) -> timedelta:
    """Return how old the last value of a variable may be while readings come as usual."""
    known = asset.variables.get(variable)
    usual = known.sampling if known is not None else None
    if usual is None and len(at) > 1:
        usual = timedelta(milliseconds=float(np.median(np.diff(at))))
    delay = known.delay if known is not None else None
    return max(_LEAST_FRESH, _SAMPLES_MISSED * (usual or timedelta(0))) + (delay or timedelta(0))


def present_value(
    platform: ChartPorts, episode: Episode, now: datetime, zone: tzinfo, language: Language
) -> str | None:
    """Return sentences on the last value of the variable of an episode, as the pages show it, and
    why its alert is not evaluated now; None without any."""
    table = platform.states.load_many([(episode.definition, episode.asset)])
    unknown = table.unknown_reason[0] if table.unknown_count[0] else None
    said = [_last_sentence(platform, episode, now, zone, language)]
    if unknown and unknown not in NOT_COUNTED.values():  # the alarm itself shows its problem
        reason = local_times(unknown, now, zone, language)
        said.append(language.say("Not evaluated now: {reason}.", reason=reason))
    return " ".join(filter(None, said)) or None


def _last_sentence(
    platform: ChartPorts, episode: Episode, now: datetime, zone: tzinfo, language: Language
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
    when = clock_time(line.when, now, zone, language)
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
    """Return the variable of an episode and its levels."""
    if definition is None or asset is None or definition.kind != episode.kind:
        return None
    try:
        charted = kind_of(definition).chart(definition, asset, episode)
    except _FAULTS_OF_DOCUMENTS:  # of data that people wrote
        logging.getLogger(__name__).exception("no present value of episode %s", episode.id)
        return None
    if charted.variable is None:
        return None
    return charted.variable, charted.levels


def _subject(definition: Definition, asset: Asset) -> frozenset[str]:
    """Return the variables that the sentence on an alarm names."""
    if definition.problem is not None:
        return frozenset(definition.problem.variables)
    return definition.variables_evaluated(asset)


def _back(asset: Asset, variable: str) -> timedelta:
    known = asset.variables.get(variable)
    sampling = known.sampling if known is not None else None
    return _BACK if sampling is None else min(max(_BACK, _SAMPLES * sampling), _LONGEST)
