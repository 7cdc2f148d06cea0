"""What is so now beside open alarms: present values of their variables, and opposite advice."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np

from alerting.definitions.assets import Asset, types_of
from alerting.definitions.faults import UserError
from alerting.definitions.model import Definition
from alerting.definitions.wording.language import Language
from alerting.episodes.episode import Episode
from alerting.kinds.registry import kind_of
from alerting.ports import ChartPorts, Episodes, Readings, Wanted
from alerting.recommendation.conflicts import opposite_advice
from alerting.reporting.base.sentences import clock_time
from alerting.reporting.figures.episode_chart import ChartLevel
from alerting.reporting.figures.sparkline import Sparkline, sparkline

_BACK = timedelta(hours=1)
_SAMPLES = 30  # of a variable that is measured less often
_LONGEST = timedelta(days=2)
_FAULTS_OF_DOCUMENTS = (UserError, ValueError, ArithmeticError, LookupError, TypeError)


def present_values(
    readings: Readings,
    episodes: Iterable[Episode],
    definitions: Mapping[str, Definition],
    assets: Mapping[str, Asset],
    now: datetime,
) -> dict[str, Sparkline]:
    """Return the line of the last hour (more if values are rare) by the id of each episode whose
    variable has a number; one query for all assets. Computed variables have none."""
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
        columns = loaded.get(name)
        values = None if columns is None else columns.values.get(variable)
        if columns is None or values is None or values.dtype.kind not in "fiub":
            continue
        known = assets[name].variables.get(variable)
        unit = known.unit if known else None
        title = (known.title if known else None) or variable.replace("_", " ")
        shown = None if is_alone else title
        line = sparkline(columns.ts, values.astype(np.float64), levels, unit, shown)
        if line is not None:
            lines[id] = line
    return lines


def present_value(
    platform: ChartPorts, episode: Episode, now: datetime, zone: tzinfo, language: Language
) -> str | None:
    """Return a sentence on the last value of the variable of an episode, as the pages show it;
    None without any."""
    revision = platform.definitions.newest_revision(episode.definition)
    asset = platform.assets.get(episode.asset)
    if revision is None or asset is None:
        return None
    definitions = {episode.definition: revision.definition}
    found = present_values(platform.readings, [episode], definitions, {asset.name: asset}, now)
    line = found.get(episode.id)
    if line is None:
        return None
    when = clock_time(datetime.fromtimestamp(line.at / 1000, UTC), now, zone, language)
    value = line.describe(language)
    limit = line.describe_limit(language)
    if limit is None:
        return language.say("Last value ({when}): {value}.", when=when, value=value)
    return language.say(
        "Last value ({when}): {value}; {limit}.", when=when, value=value, limit=limit
    )


def opposite_open(episodes: Episodes, episode: Episode) -> Sequence[str]:
    """Return sentences on open alerts of the asset with the opposite advice."""
    if episode.advice is None or not episode.advice.helps:
        return ()
    return opposite_advice(episodes.find(asset=episode.asset, open_only=True)).get(episode.id, ())


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
