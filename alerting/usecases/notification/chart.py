"""The chart of an episode: the readings of its variable, or its risk, around the raise, up to the
present."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from itertools import islice

from alerting.deferred import np, pd
from alerting.definitions.assets import Asset, types_of
from alerting.definitions.wording.language import ENGLISH, Language, translatable
from alerting.episodes.episode import Episode
from alerting.kinds.protocol.kind import Charted, Statistic
from alerting.kinds.registry import kind_of
from alerting.ports import ChartPorts, Picture, ReadingColumns, Readings, Wanted
from alerting.readings.history import Millis, millis, to_millis
from alerting.readings.ragged import Numbers
from alerting.reporting.base.messages import format_minutes
from alerting.reporting.base.sentences import advice_shown
from alerting.reporting.figures.bars import reasons_waterfall, risk_steps
from alerting.reporting.figures.episode_chart import (
    AT_RAISE,
    ChartLevel,
    EpisodeChart,
    MovingLevel,
    Panel,
    describe,
    episode_chart,
    new_panel,
)
from alerting.stores.reports import Reports
from alerting.usecases.registry.registration import ModelCache
from alerting.usecases.report_material.charted import levels_in_force

_BEFORE = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=7))
_AFTER = timedelta(minutes=10)
_ENOUGH = 12
_MOST_READINGS = 8_000
_LONGEST = timedelta(days=31)


def draw_episode(
    platform: ChartPorts,
    episode: Episode,
    now: datetime,
    language: Language = ENGLISH,
    zone: tzinfo | None = None,
) -> Picture | None:
    """Return the chart of an episode as a PNG for e-mail; None without numbers to draw. `zone`: of
    its times, the platform's if left out."""
    from alerting.reporting.figures.charts import episode_image

    chart = chart_of(platform, episode, now, language)
    if chart is None:
        return None
    found = (
        risk_steps(episode, language),
        reasons_waterfall(episode, platform.assets.get(episode.asset), language),
    )
    bars = [one for one in found if one is not None]
    shown_in = zone or platform.zone
    description = ". ".join(
        [describe(chart, shown_in, language), *(one.description for one in bars)]
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
    and each variable that the advice changes with the advised value. The number of readings is
    bounded; if there are more, the chart shows the newest part and `cut` states it.
    """
    revision = next(
        (
            r
            for r in platform.definitions.revisions(episode.definition)
            if r.number == episode.revision
        ),
        None,
    )
    asset = platform.assets.get(episode.asset)
    if revision is None or asset is None:
        return None
    definition = revision.definition
    span = platform.readings.span(asset.name, now)
    stop = max(episode.raised_at, min(now, _over_at(episode) or now, span[1] if span else now))
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
        panels.append(_risk(platform, episode, start, stop))
    if charted.statistic is not None:
        panels.append(_statistic(platform, episode, start, stop, charted.statistic))
    drawn = [(one.variable, one) for one in (charted, *charted.others) if one.variable is not None]
    panels += [
        _readings(platform.readings, asset, name, start, stop, one, moving.get(name, ()))
        for name, one in drawn
    ]
    for variable, value in _advised(episode).items():
        if variable != charted.variable:
            advised = Charted(variable, (ChartLevel(value, translatable("advised")),))
            panels.append(_readings(platform.readings, asset, variable, start, stop, advised))
    return episode_chart(
        episode, [p for p in panels if p is not None], start, now, definition.gap, cut
    )


def _advised(episode: Episode) -> dict[str, float]:
    """Return the advised values of numbers by variable: the newest advice with a change; of an
    ended episode that of its raise, to which its risks belong."""
    for advice in (advice_shown(episode), episode.recommendation):
        if advice is not None and advice.changes:
            return {c.variable: c.after for c in advice.changes if not isinstance(c.after, str)}
    return {}


def _over_at(episode: Episode) -> datetime | None:
    """Return the instant after which nothing more can belong to the episode; None while it is
    open."""
    if episode.closed_at is None:
        return None
    predicted_until = episode.valid_until if episode.is_prediction else None
    return max(episode.closed_at, predicted_until or episode.closed_at) + _AFTER


def _start(
    readings: Readings,
    asset: Asset,
    variable: str | None,
    raised: datetime,
    stop: datetime,
    language: Language,
) -> tuple[datetime, str]:
    """Return the start of the chart, and a note on what is left out to bound the number of
    readings."""
    if variable is None:
        return max(raised - _BEFORE[1], stop - _LONGEST), ""
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
    longest = min(max(pace * _MOST_READINGS, _BEFORE[0]), _LONGEST)
    if stop - (raised - before) <= longest:
        return raised - before, ""
    return stop - longest, language.say(
        "only the last {duration} are drawn", duration=format_minutes(longest, language)
    )


def load_variable(
    readings: Readings, asset: Asset, variable: str, start: datetime, stop: datetime
) -> ReadingColumns:
    """Return the readings of one variable; a computed one is no column of what is stored."""
    if not asset.is_computed(variable):
        return readings.load_many([Wanted(asset.name, types_of(asset, [variable]), start)], stop)[
            asset.name
        ]
    found = readings.load(asset, start, stop, [variable], events_since=stop).readings[variable]
    return ReadingColumns(
        millis(pd.DatetimeIndex(found.index)), {variable: found.to_numpy(np.float64)}
    )


def _readings(
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


def _statistic(
    platform: ChartPorts, episode: Episode, start: datetime, stop: datetime, statistic: Statistic
) -> Panel | None:
    found = _scores(platform, episode, start, stop)
    if found is None:
        return None
    at, values, interval = found
    return new_panel(
        Panel(statistic.name, statistic.unit, at, values, statistic.levels, hold=10 * interval)
    )


def _risk(platform: ChartPorts, episode: Episode, start: datetime, stop: datetime) -> Panel | None:
    found = _scores(platform, episode, start, stop)
    if found is None:
        return None
    at, values, stride = found
    levels = (
        ()
        if episode.evaluation.threshold is None
        else (ChartLevel(episode.evaluation.threshold, translatable("alarm at")),)
    )
    return new_panel(
        Panel(translatable("Risk"), None, at, values, levels, share=True, hold=3 * stride)
    )


def _scores(
    platform: ChartPorts, episode: Episode, start: datetime, stop: datetime
) -> tuple[Millis, Numbers, timedelta] | None:
    """Return the instants (ms) of the scores, the scores, and the usual time between two; None
    without any."""
    scores = platform.scores.for_interval(
        episode.definition, start, stop + timedelta(milliseconds=1), episode.asset
    )
    rows = list(islice(scores, _MOST_READINGS))
    chosen = {
        to_millis(row["ts"]): row["score"]
        for row in rows
        if row["model_version"] == episode.model_version
    }
    found = {to_millis(row["ts"]): row["score"] for row in rows} | chosen
    if not found and episode.evaluation.value is not None:
        found = {to_millis(episode.raised_at): episode.evaluation.value}
    if not found:
        return None
    at = np.array(sorted(found), np.int64)
    values = np.array([found[t] for t in at.tolist()], np.float64)
    return (
        at,
        values,
        timedelta(milliseconds=float(np.median(np.diff(at)))) if len(at) > 1 else _BEFORE[0],
    )
