"""Parts that several pages show: mutes with their texts; and charts: of a preview, whose limits can
be moved, raises by day, and times of an asset."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from math import floor, log10
from typing import Any

from fastapi import Request
from markupsafe import Markup

from alerting.console.rendering import language_of, zone_of
from alerting.definitions.alert_definition import matching_assets
from alerting.definitions.asset_documents import event_titles
from alerting.definitions.wording.language import Language, translatable
from alerting.episodes.episode import Episode
from alerting.kinds.registry import charting_kind_of
from alerting.operators.actions_and_mutes import Mute
from alerting.ports import Document, ModelUnavailable, Platform
from alerting.readings.history import from_millis, to_millis
from alerting.reporting.charts import LimitLine, Plot, figure, spark, time_ticks
from alerting.reporting.variable_charts import (
    EpisodeChart,
    Panel,
    describe,
    new_panel,
    panel_plot,
)
from alerting.usecases.alarm_load.definition_overview import DefinitionLine
from alerting.usecases.backtest.preview_chart import PreviewChart
from alerting.usecases.definitions.versions import newest_title, present_answer
from alerting.usecases.episodes.mutes_and_suppression import mutes_at
from alerting.usecases.evaluation.target import chart_last_days
from alerting.usecases.model_registry import ModelCache
from alerting.usecases.notification.muting_and_summaries import describe_matcher

MUTE_REASONS = (
    translatable("maintenance"),
    translatable("cleaning"),
    translatable("sensor fault"),
    translatable("nuisance alarm"),
    translatable("product change"),
    translatable("start-up or shut-down"),
    translatable("known, being repaired"),
    translatable("test"),
)


@dataclass(frozen=True)
class MuteTexts:
    """A mute for people: the alarms that it covers, and the titles of its asset and of the event
    that ends it."""

    scope: str
    event: str
    event_asset: str


def texts_of(
    request: Request, platform: Platform, mutes: Sequence[Mute]
) -> Mapping[str, MuteTexts]:
    """Return the texts of each mute by its id."""
    names = {name for mute in mutes for name in (mute.part, mute.asset, mute.event_asset) if name}
    by_name = platform.assets.get_many(names) if names else {}
    assets = {name: asset.title for name, asset in by_name.items() if asset.title}
    has_events = any(mute.event for mute in mutes)
    events = event_titles(platform.assets.event_types()) if has_events else {}
    definitions = {mute.definition for mute in mutes if mute.definition}
    titles = {name: newest_title(platform.definitions, name) for name in definitions}
    language = language_of(request)
    return {
        mute.id: MuteTexts(
            describe_matcher(
                mute,
                assets.get(mute.asset or mute.part or ""),
                titles.get(mute.definition or ""),
                language,
            ),
            events.get(mute.event or "", mute.event or ""),
            assets.get(mute.event_asset or "", mute.event_asset or ""),
        )
        for mute in mutes
    }


def present_mutes(
    request: Request,
    platform: Platform,
    now: datetime,
    asset: str | None = None,
    definition: str | None = None,
) -> dict[str, Any]:
    """Return the mutes in force now with their texts, for other pages: all, or mutes of one asset
    and the assets above it, or mutes that name one definition."""
    mutes = mutes_at(platform, now).select_for(definition, asset)
    return with_texts(request, platform, [mute for mute in mutes if mute.phase(now) == "present"])


def with_texts(request: Request, platform: Platform, present: Sequence[Mute]) -> dict[str, Any]:
    """Return mutes with their texts, for the list on other pages."""
    return {"present": present, "texts": texts_of(request, platform, present)}


MOST_BANDS = 400


def preview_figure(
    drawn: PreviewChart,
    zone: tzinfo,
    language: Language,
    document: Document,
    names: Mapping[str, str],
) -> Markup:
    """Return the chart of a preview: panels with limits, and times of alarms. `document`: the
    draft, whose limits can be moved. `names`: of the times, for the legend."""
    before = drawn.start - timedelta(seconds=1)  # no episode of the chart lies within it
    panels = tuple(panel for panel in drawn.panels if len(panel.at))
    if not panels:
        return Markup()
    chart = EpisodeChart(panels, drawn.start, drawn.end, before, None, None, None)
    paths = {value: path for path, value in _movable(document).items()}
    start = float(to_millis(drawn.start))
    end = float(to_millis(drawn.end))
    plots = []
    for panel in panels:
        plot = panel_plot(panel, start, end, (), language)
        for look, name in names.items():
            for first, last in sorted(getattr(drawn, look))[-MOST_BANDS:]:
                times = (float(to_millis(first)), float(to_millis(last)))
                plot.band(times, look, name, BAND_COLOURS[look])
        plot.levels = [_movable_level(plot, panel, level, paths, language) for level in plot.levels]
        plots.append(plot)
    plots[-1].x_ticks = time_ticks(drawn.start, drawn.end, zone, language)
    return figure(plots, describe(chart, zone, language), language, zone, id="chart")


BAND_COLOURS = {
    "suppressed": "muted",
    "draft": "false-alarm",
    "both": "undetermined",
    "served": "avoided",
    "problem": "problem",
}


def charts_of_last_days(
    request: Request, platform: Platform, line: DefinitionLine, now: datetime
) -> list[tuple[str, Markup]]:
    """Return title and chart of the last days of at most four assets, where the model in service
    charts each reading against limits."""
    answering = present_answer(
        platform.definitions.revisions(line.name), platform.decisions.for_definition(line.name)
    )
    definition = None if answering.revision is None else answering.revision.definition
    if definition is None or charting_kind_of(definition) is None:
        return []
    models = ModelCache(platform)
    drawn: list[tuple[str, Markup]] = []
    for asset in matching_assets(definition, platform.assets.find_matching(definition.assets))[:4]:
        with suppress(ModelUnavailable):  # the page of models says why
            panel = chart_last_days(platform, models, answering, asset, now)
            if panel is not None and len(panel.at):
                alarms = platform.episodes.overlapping(
                    line.name, asset.name, from_millis(int(panel.at[0])), now
                )
                title = asset.title or asset.name
                drawn.append((title, _draw_last_days(request, panel, alarms, line, now)))
    return drawn


def _draw_last_days(
    request: Request, panel: Panel, alarms: Sequence[Episode], line: DefinitionLine, now: datetime
) -> Markup:
    """Return a chart up to now, with the times of alarms and the end of what was learned from."""
    language = language_of(request)
    zone = zone_of(request)
    begin = from_millis(int(panel.at[0]))
    plot = panel_plot(
        new_panel(panel),
        float(panel.at[0]),
        float(to_millis(now)),
        time_ticks(begin, now, zone, language),
        language,
    )
    for alarm in alarms:
        times = (to_millis(max(alarm.raised_at, begin)), to_millis(alarm.closed_at or now))
        plot.band(times, "alarm", language.say("alarm"), "false-alarm")
    if line.learned_until and begin < line.learned_until < now:
        plot.moment(to_millis(line.learned_until), language.say("learned up to here"), dashed=True)
    chart = EpisodeChart((panel,), begin, now, begin, None, None, None)
    return figure([plot], describe(chart, zone, language), language, zone)


def _movable(document: Document) -> dict[str, float]:
    """Return, by path, the limits of a draft that are numbers in fields of their own."""
    groups: tuple[tuple[str, Any], ...] = (("", document), ("problem.", document.get("problem")))
    return {
        prefix + name: float(group[name])
        for prefix, group in groups
        if isinstance(group, Mapping)
        for name in ("above", "below")
        if isinstance(group.get(name), int | float) and not isinstance(group[name], bool)
    }


def _movable_level(
    plot: Plot, panel: Panel, level: LimitLine, paths: Mapping[float, str], language: Language
) -> LimitLine:
    """Return a limit with the path of its field, the step by which it moves, and its text with a
    placeholder for another value; as it is without a field."""
    if level.value not in paths:
        return level
    step = 10.0 ** floor(log10((plot.y[1] - plot.y[0]) / 100))
    moves = {
        "path": paths[level.value],
        "value": f"{level.value:.12g}",
        "words": level.text.replace(panel.show(level.value, language), "{value}"),
        "label": language.say("Move the limit"),
        "step": f"{step:.12g}",
    }
    return level._replace(moves=moves)


def raises_spark(raises: Sequence[int], language: Language) -> Markup:
    """Return the bars of the raises of each day."""
    label = language.say_count(
        "{number} alarm in 28 days", "{number} alarms in 28 days", sum(raises)
    )
    return _draw_raises(tuple(raises), label)


@lru_cache(1_000)  # some 4 MB: a list shows the same bars until an alarm is raised
def _draw_raises(raises: tuple[int, ...], label: str) -> Markup:
    most = max(raises, default=0) or 1
    plot = Plot((0, len(raises)), (0, most))
    plot.bar((0, len(raises)), (0, 0.04 * most), "rule")
    for day, count in enumerate(raises):
        if count:
            plot.bar((day, day + 0.8), (0, max(count, 0.1 * most)), "false-alarm")
    return spark(plot, label, 112, 28)


def share_track(share: float, colour: str = "link", height: int = 6) -> Markup:
    """Return a bar of a share of the width."""
    plot = Plot((0, 1), (0, 1))
    plot.bar((0, 1), (0, 1), "rule")
    plot.bar((0, share), (0, 1), colour)
    return spark(plot, width="100%", height=height)
