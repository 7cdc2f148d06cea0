"""Values of an episode for messages and pages: the chart of its variable, or of its risk, around
the raise, up to the present; and the present values of the variables of alarms, beside their
limits."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from itertools import islice
from statistics import median

from alerting.deferred import np, pd
from alerting.definitions.alert_definition import Definition
from alerting.definitions.asset_documents import Asset, types_of
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import ENGLISH, Language, translatable
from alerting.detection.evaluation_results_and_texts import Evaluation
from alerting.detection.problem_occurrences import REASONS as NOT_COUNTED
from alerting.episodes.episode import Episode
from alerting.kinds.protocol import Charted, Statistic
from alerting.kinds.registry import kind_of
from alerting.ports import ChartPorts, Picture, ReadingColumns, Readings, Wanted, WantedHistory
from alerting.readings.history import Floats, Millis, millis, to_millis
from alerting.reporting.model_charts import reasons_waterfall, risk_steps
from alerting.reporting.sentences import advice_shown, reasons
from alerting.reporting.variable_charts import (
    AT_RAISE,
    ChartLevel,
    EpisodeChart,
    MovingLevel,
    Panel,
    Sparkline,
    describe,
    episode_chart,
    episode_image,
    new_panel,
    sparkline,
    usual_levels,
)
from alerting.stores.reports import Reports
from alerting.usecases.definitions.versions import find_revision
from alerting.usecases.model_registry import ModelCache
from alerting.usecases.trend_samples import levels_in_force

_BEFORE = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=7))
_AFTER = timedelta(minutes=10)
_ENOUGH = 12
_MOST_READINGS = 8_000
_LONGEST_CHART = timedelta(days=31)


def draw_episode(
    platform: ChartPorts,
    episode: Episode,
    now: datetime,
    language: Language = ENGLISH,
    zone: tzinfo | None = None,
) -> Picture | None:
    """Return the chart of an episode as a PNG for e-mail; None without numbers to draw. `zone`: of
    its times, the platform's if left out."""
    chart = chart_of(platform, episode, now, language)
    if chart is None:
        return None
    waterfall = reasons_waterfall(episode, platform.assets.get(episode.asset), language)
    bars = [bar for bar in (risk_steps(episode, language), waterfall) if bar is not None]
    shown_in = zone or platform.zone
    description = ". ".join(
        [describe(chart, shown_in, language), *(bar.description for bar in bars)]
    )
    return Picture(episode_image(chart, shown_in, bars, language), description)


def draw_report(reports: Reports, id: str, language: Language = ENGLISH) -> Picture | None:
    """Return the time line of a report as a PNG for e-mail; None without one."""
    content = reports.content(id)
    if content is None or not content.picture:
        return None
    return Picture(content.picture, language.say("Time line of problems and alarms"))


def chart_of(
    platform: ChartPorts, episode: Episode, now: datetime, language: Language = ENGLISH
) -> EpisodeChart | None:
    """Return the chart from an hour before the raise (more if readings are rare) to now or the end;
    None without numbers.

    For a model's episode: the risk with its threshold, the variable of the problem with its limit,
    that of the first reason with its usual range, and each variable that the advice changes with
    the advised value. The number of readings is
    bounded; beyond it the chart shows the newest part, as `cut` states.
    """
    revision = find_revision(platform.definitions, episode.definition, episode.revision)
    asset = platform.assets.get(episode.asset)
    if revision is None or asset is None:
        return None
    definition = revision.definition
    span = platform.readings.span(asset.name, now)
    end = now
    if episode.closed_at is not None:  # after which nothing more can belong to it
        predicted_until = episode.valid_until if episode.is_prediction else None
        end = max(episode.closed_at, predicted_until or episode.closed_at) + _AFTER
    stop = max(episode.raised_at, min(now, end, span[1] if span else now))
    charted = kind_of(definition).chart(definition, asset, episode)
    start, cut = _start(
        platform.readings, asset, charted.variable, episode.raised_at, stop, language
    )
    moving, missing = levels_in_force(
        platform, ModelCache(platform), definition, asset, start, stop
    )
    cut = "; ".join(filter(None, (cut, language.translate(missing))))
    panels = []
    if charted.scored:
        panels.append(_score_panel(platform, episode, start, stop))
    if charted.statistic is not None:
        panels.append(_score_panel(platform, episode, start, stop, charted.statistic))
    panels += [
        _make_panel(platform.readings, asset, name, start, stop, shown, moving.get(name, ()))
        for shown in (charted, *charted.others)
        if (name := shown.variable) is not None
    ]
    changes = _find_advised(episode)
    drawn = {charted.variable, *changes, *(shown.variable for shown in charted.others)}
    for reason in reasons(episode)[0][:1]:
        if charted.scored and reason.variable not in drawn:
            why = Charted(reason.variable, usual_levels(reason))
            panels.append(_make_panel(platform.readings, asset, reason.variable, start, stop, why))
    for variable, value in changes.items():
        if variable != charted.variable:
            advised = Charted(variable, (ChartLevel(value, translatable("advised")),))
            panels.append(_make_panel(platform.readings, asset, variable, start, stop, advised))
    return episode_chart(
        episode, [p for p in panels if p is not None], start, now, definition.gap, cut
    )


def _find_advised(episode: Episode) -> dict[str, float]:
    """Return the advised values of numbers by variable, from the newest advice with a change; for
    an ended episode, from the advice of its raise, to which its risks belong."""
    for advice in (advice_shown(episode), episode.recommendation):
        if advice is not None and advice.changes:
            return {c.variable: c.after for c in advice.changes if not isinstance(c.after, str)}
    return {}


def _start(
    readings: Readings,
    asset: Asset,
    variable: str | None,
    raised: datetime,
    stop: datetime,
    language: Language,
) -> tuple[datetime, str]:
    """Return the start of the chart, and a note on the part that is left out to bound the number of
    readings."""
    if variable is None:
        return max(raised - _BEFORE[1], stop - _LONGEST_CHART), ""
    before = _BEFORE[0]
    pace = timedelta(0)
    for longer in _BEFORE:
        before = (
            longer
            if pace * _MOST_READINGS > longer or not pace
            else max(before, pace * _MOST_READINGS)
        )
        columns = load_variable(readings, asset, variable, raised - before, raised)
        values = columns.values.get(variable)
        pace = before / max(len(columns.ts), 1)
        if before < longer or values is None or np.count_nonzero(values == values) >= _ENOUGH:  # noqa: PLR0124 - not NaN
            break
    longest = min(max(pace * _MOST_READINGS, _BEFORE[0]), _LONGEST_CHART)
    if stop - (raised - before) <= longest:
        return raised - before, ""
    return stop - longest, language.say(
        "only the last {duration} are drawn", duration=language.minutes(longest)
    )


def load_variable(
    readings: Readings, asset: Asset, variable: str, start: datetime, stop: datetime
) -> ReadingColumns:
    """Return the readings of one variable, which may be computed and then has no stored column."""
    if not asset.is_computed(variable):
        return readings.load_many([Wanted(asset.name, types_of(asset, [variable]), start)], stop)[
            asset.name
        ]
    values = readings.load(
        WantedHistory(asset, start, stop, [variable], events_since=stop)
    ).readings[variable]
    return ReadingColumns(
        millis(pd.DatetimeIndex(values.index)), {variable: values.to_numpy(np.float64)}
    )


def _make_panel(
    readings: Readings,
    asset: Asset,
    variable: str,
    start: datetime,
    stop: datetime,
    charted: Charted,
    moving: tuple[MovingLevel, ...] = (),
) -> Panel | None:
    columns = load_variable(readings, asset, variable, start, stop)
    values = columns.values.get(variable)
    if values is None or not len(values) or not np.issubdtype(np.asarray(values).dtype, np.number):
        return None
    numbers = np.asarray(values, np.float64)
    declared = asset.variables.get(variable)
    at = columns.ts[~np.isnan(numbers)]
    hold = 10 * timedelta(milliseconds=float(np.median(np.diff(at)))) if len(at) > 1 else _BEFORE[0]
    return new_panel(
        Panel(
            name=declared.title if declared and declared.title else variable,
            unit=declared.unit if declared else None,
            at=columns.ts,
            values=numbers,
            levels=tuple(
                level for level in charted.levels if not (moving and level.label == AT_RAISE)
            ),
            moving=moving,
            hold=charted.stale_after or hold,
            fan=charted.fan,
        )
    )


def _score_panel(
    platform: ChartPorts,
    episode: Episode,
    start: datetime,
    stop: datetime,
    statistic: Statistic | None = None,
) -> Panel | None:
    """Return the scores of an episode's definition, as its risk or as a statistic; None without
    any."""
    stored = platform.scores.for_interval(
        episode.definition, start, stop + timedelta(milliseconds=1), episode.asset
    )
    rows = list(islice(stored, _MOST_READINGS))
    rows.sort(key=lambda row: row["model_version"] == episode.model_version)  # the last one counts
    score_at = {to_millis(row["ts"]): row["score"] for row in rows}
    evaluation = episode.evaluation
    if not score_at and evaluation.value is not None:
        score_at = {to_millis(episode.raised_at): evaluation.value}
    if not score_at:
        return None
    at = np.array(sorted(score_at), np.int64)
    values = np.array([score_at[t] for t in at.tolist()], np.float64)
    usual = timedelta(milliseconds=float(np.median(np.diff(at)))) if len(at) > 1 else _BEFORE[0]
    if statistic is not None:
        is_control = any(level.label == "UCL" for level in statistic.levels)
        chart = Panel(statistic.name, statistic.unit, at, values, statistic.levels)
        return new_panel(replace(chart, hold=10 * usual, is_control=is_control))
    limit = evaluation.threshold
    levels = () if limit is None else (ChartLevel(limit, translatable("alarm at")),)
    risk = Panel(translatable("Risk"), None, at, values, levels, share=True, hold=3 * usual)
    return new_panel(risk)


_BACK = timedelta(hours=1)
_SAMPLES = 30  # of a variable that is measured less often
_SAMPLES_MISSED = 5
_FAULTS_OF_DOCUMENTS = (UserError, ValueError, ArithmeticError, LookupError, TypeError)


def present_values(
    readings: Readings,
    episodes: Iterable[Episode],
    definitions: Mapping[str, Definition],
    assets: Mapping[str, Asset],
    now: datetime,
) -> dict[str, Sparkline]:
    """Return, by the id of each episode whose variable has a number, the line of the last hour
    (more if values are rare); if that has no value, the last value of a week.

    One query reads all assets, two read all silent assets, and one reads each asset that goes on
    without the variable. Computed variables have no line.
    """
    charted: dict[str, tuple[str, str, tuple[ChartLevel, ...], bool]] = {}
    since: dict[str, datetime] = {}
    names: dict[str, set[str]] = {}
    for episode in episodes:
        asset = assets.get(episode.asset)
        variable_and_levels = _find_charted(definitions.get(episode.definition), asset, episode)
        if asset is None or variable_and_levels is None:
            continue
        variable, levels = variable_and_levels
        if asset.is_computed(variable):
            continue
        definition = definitions[episode.definition]
        named = definition.variables_evaluated(asset)
        if definition.problem is not None:  # what the sentence on an alarm names
            named = frozenset(definition.problem.variables)
        is_alone = named == {variable}
        charted[episode.id] = (asset.name, variable, levels, is_alone)
        names.setdefault(asset.name, set()).add(variable)
        start = now - _back(asset, variable)
        since[asset.name] = min(start, since.get(asset.name, start))
    if not charted:
        return {}
    loaded = readings.load_many(
        [Wanted(name, types_of(assets[name], sorted(names[name])), since[name]) for name in names],
        now,
    )
    silent = {
        (name, variable)
        for name, variable, _, _ in charted.values()
        if not len(_numbers(loaded.get(name), variable)[0])
    }
    last = _last_values(readings, assets, silent, now) if silent else {}
    lines = {}
    for id, (name, variable, levels, is_alone) in charted.items():
        asset = assets[name]
        at, numbers = last.get((name, variable)) or _numbers(loaded.get(name), variable)
        declared = asset.variables.get(variable)
        unit = declared.unit if declared else None
        title = (declared.title if declared else None) or variable.replace("_", " ")
        line = sparkline(at, numbers, levels, unit, None if is_alone else title)
        if line is not None:
            lines[id] = replace(line, is_old=now - line.when > _fresh_for(asset, variable, at))
    return lines


def episode_without_alarm(definition: Definition, asset: str, at: datetime) -> Episode:
    """Return an episode that stands for a definition on an asset without an alarm, so that its
    present value can be read like that of an alarm. Its id is the asset."""
    return Episode(
        *(asset, definition.name, 0, definition.kind, asset, "", "low"),
        *(at, at, "closed", at, Evaluation(at, "clear", "")),
    )


def distances_beyond(lines: Mapping[str, Sparkline]) -> Mapping[str, float]:
    """Return how far the last value of each line lies beyond its limit, on the side of most; none
    where values cannot be compared: no limits, or several units or variables."""
    beyond = {id: line.value - line.limit for id, line in lines.items() if line.limit is not None}
    if not beyond or len({(line.unit, line.title) for line in lines.values()}) > 1:
        return {}
    side = 1 if median(beyond.values()) >= 0 else -1
    return {id: side * distance for id, distance in beyond.items()}


def _numbers(columns: ReadingColumns | None, variable: str) -> tuple[Millis, Floats]:
    """Return the numbers of a variable with their instants; nothing if there are none."""
    values = None if columns is None else columns.values.get(variable)
    if columns is None or values is None or values.dtype.kind not in "fiub":
        return np.empty(0, np.int64), np.empty(0)
    numbers = values.astype(np.float64)
    is_number = ~np.isnan(numbers)
    return columns.ts[is_number], numbers[is_number]


def _last_values(
    readings: Readings, assets: Mapping[str, Asset], silent: Set[tuple[str, str]], now: datetime
) -> dict[tuple[str, str], tuple[Millis, Floats]]:
    """Return the last number of each variable (by asset and variable) that has one in a week."""
    since = now - timedelta(days=7)
    variables: dict[str, list[str]] = {}
    for name, variable in sorted(silent):
        variables.setdefault(name, []).append(variable)
    newest = readings.newest_readings(now, list(variables))
    requests = [
        Wanted(
            name,
            types_of(assets[name], variables[name]),
            newest[name].ts - max(_back(assets[name], variable) for variable in variables[name]),
        )
        for name in variables
        if name in newest and newest[name].ts > since
    ]
    loaded = readings.load_many(requests, now) if requests else {}
    last = {}
    for name, columns in loaded.items():
        others = {}
        for variable in variables[name]:
            at, numbers = _numbers(columns, variable)
            if len(at):  # the whole asset is silent
                last[name, variable] = at[-1:], numbers[-1:]
            else:  # its other variables have newer values
                others[variable] = since
        if not others:
            continue
        newest_numbers = readings.newest_values(assets[name], others, now)
        for variable in others.keys() & newest_numbers.keys():
            if newest_numbers[variable].dtype.kind in "fiub":
                values = newest_numbers[variable].dropna()[-1:]
                at = np.array([to_millis(instant) for instant in values.index], np.int64)
                last[name, variable] = at, values.to_numpy(np.float64)
    return last


def _fresh_for(asset: Asset, variable: str, at: Millis) -> timedelta:
    """Return how old the last value of a variable may be while readings come as usual."""
    declared = asset.variables.get(variable)
    usual = declared.sampling if declared is not None else None
    if usual is None and len(at) > 1:
        usual = timedelta(milliseconds=float(np.median(np.diff(at))))
    delay = declared.delay if declared is not None else None
    return max(timedelta(minutes=10), _SAMPLES_MISSED * (usual or timedelta(0))) + (
        delay or timedelta(0)
    )


def present_value(
    platform: ChartPorts,
    episode: Episode,
    now: datetime,
    language: Language,
) -> str | None:
    """Return sentences on the last value of the variable of an episode, as the pages show it, and
    why its alert is not evaluated now, by the reader's clock; None without any."""
    table = platform.states.load_many([(episode.definition, episode.asset)])
    unknown = table.unknown_reason[0] if table.unknown_count[0] else None
    revision = platform.definitions.newest_revision(episode.definition)
    asset = platform.assets.get(episode.asset)
    sentences = []
    if revision is not None and asset is not None:
        definitions = {episode.definition: revision.definition}
        lines = present_values(platform.readings, [episode], definitions, {asset.name: asset}, now)
        line = lines.get(episode.id)
        if line is not None:
            value = line.describe(language)
            limit = line.describe_limit(language)
            sentences.append(
                language.say("Last value ({when}): {value}.", when=line.when, value=value)
                if limit is None
                else language.say(
                    "Last value ({when}): {value}; {limit}.",
                    when=line.when,
                    value=value,
                    limit=limit,
                )
            )
            if line.is_old:
                sentences.append(language.say("No value has come since."))
    if unknown and unknown not in NOT_COUNTED.values():  # the alarm itself shows its problem
        reason = language.translate(unknown)
        sentences.append(language.say("Not evaluated now: {reason}.", reason=reason))
    return " ".join(sentences) or None


def _find_charted(
    definition: Definition | None, asset: Asset | None, episode: Episode
) -> tuple[str, tuple[ChartLevel, ...]] | None:
    """Return the variable of an episode and its levels; of several severities, only the levels of
    the episode's severity."""
    if definition is None or asset is None or definition.kind != episode.kind:
        return None
    try:
        charted = kind_of(definition).chart(definition, asset, episode)
    except _FAULTS_OF_DOCUMENTS:  # of data that people wrote
        logging.getLogger(__name__).exception("no present value of episode %s", episode.id)
        return None
    if charted.variable is None:
        return None
    levels = tuple(level for level in charted.levels if level.label == episode.severity)
    return charted.variable, levels or charted.levels


def _back(asset: Asset, variable: str) -> timedelta:
    declared = asset.variables.get(variable)
    sampling = declared.sampling if declared is not None else None
    return _BACK if sampling is None else min(max(_BACK, _SAMPLES * sampling), timedelta(days=2))
