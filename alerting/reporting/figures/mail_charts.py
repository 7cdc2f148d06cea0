"""Charts for e-mail as small PNG files, readable on a phone: of an episode and of a report."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter, num2date
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from alerting.definitions.wording.language import ENGLISH, Language, translatable
from alerting.reporting.base.messages import OUTCOME_NAMES
from alerting.reporting.figures.bars import BarChart
from alerting.reporting.figures.canvas import (
    BAR_COLOURS,
    DAY_MS,
    WHITE,
    date_number,
    draw_limits,
    png,
    show_numbers,
)
from alerting.reporting.figures.episode_chart import (
    EpisodeChart,
    Panel,
    describe_moving,
    lines,
    value_range,
)

_DPI = 160
_WIDTH = 4.0  # inches
_STYLE = {"font.size": 7, "axes.titlesize": 8}
_PANEL_PX = 320
_BAR_PX = 30
_TITLE_PX = 60


class ReportPicture(NamedTuple):
    """A PNG and its description for people who cannot see it."""

    png: bytes
    description: str


def episode_image(
    chart: EpisodeChart, zone: tzinfo, bars: Sequence[BarChart] = (), language: Language = ENGLISH
) -> bytes:
    """Draw panels below each other, limits dashed, the episode shaded; below them the bars."""
    heights = [
        _PANEL_PX * (0.4 + 0.6 * len(chart.panels)),
        *(_TITLE_PX + _BAR_PX * len(one.bars) for one in bars),
    ]

    def draw(figure: Figure) -> None:
        parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        axes = parts[0].subplots(len(chart.panels), sharex=True, squeeze=False)[:, 0]
        for axis, panel in zip(axes, chart.panels, strict=True):
            _draw_panel(axis, panel, chart, language)
        for part, one in zip(parts[1:], bars, strict=True):
            _draw_bars(part, one)
        axes[-1].xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=8, tz=zone))
        axes[-1].xaxis.set_major_formatter(DateFormatter("%H:%M", tz=zone))
        named = f"{chart.raised_at.astimezone(zone):%Z}"
        axes[-1].set_xlabel(named, loc="right", color=WHITE["muted"], fontsize=6)

    return png((_WIDTH, sum(heights) / _DPI), draw, _STYLE, _DPI)


def _draw_panel(axis: Axes, panel: Panel, chart: EpisodeChart, language: Language) -> None:
    scale = 100.0 if panel.share else 1.0
    raised = date_number(chart.raised_at)
    end = max(chart.raised_at, chart.closed_at or chart.now or chart.end)
    axis.axvspan(raised, date_number(end), color=WHITE["false_alarm"], alpha=0.12, linewidth=0)
    axis.axvline(raised, color=WHITE["false_alarm"], linewidth=1)
    line: dict[str, Any] = {"color": WHITE["score"], "markersize": 3, "drawstyle": "steps-post"}
    for at, values in lines(panel):
        marker = "." if len(panel.at) < 60 else ""
        axis.plot(at / DAY_MS, values * scale, linewidth=1.1, marker=marker, **line)
    if panel.fan is not None:
        ahead = [at / DAY_MS for at in panel.fan.at]
        area: dict[str, Any] = {"color": WHITE["score"], "alpha": 0.15, "linewidth": 0}
        axis.fill_between(ahead, panel.fan.low, panel.fan.high, **area)
        axis.plot(ahead, panel.fan.middle, color=WHITE["score"], linewidth=1, linestyle="--")
    draw_limits(axis, panel, WHITE, scale)
    _name_limits(axis, panel, scale, language)
    axis.set_title(language.say("Risk, %") if panel.share else panel.heading(language))
    show_numbers(axis.yaxis, language)
    low, high = value_range(panel)
    axis.set_ylim(low * scale, high * scale)
    axis.set_xlim(date_number(chart.start), date_number(chart.end))


def _name_limits(axis: Axes, panel: Panel, scale: float, language: Language) -> None:
    """Write its name at each limit, and limits that change into the corner."""
    low, high = value_range(panel)
    for level in panel.levels:
        if low <= level.value <= high:
            below = -7 if level.value > low + 0.85 * (high - low) else 2
            axis.annotate(
                f"{language.translate(level.label)} {panel.show(level.value, language)}",
                (0.01, level.value * scale),
                (0, below),
                ("axes fraction", "data"),
                "offset points",
                fontsize=6,
            )
    for moving in panel.moving:
        if len(moving.values_in_force):
            label = describe_moving(panel, moving, language)
            axis.annotate(label, (0.01, 0.02), xycoords="axes fraction", fontsize=6)


def _draw_bars(part: SubFigure, chart: BarChart) -> None:
    axis = part.subplots()
    places = range(len(chart.bars))
    axis.barh(
        places,
        [bar.end - bar.start for bar in chart.bars],
        left=[bar.start for bar in chart.bars],
        color=[WHITE[BAR_COLOURS[bar.kind]] for bar in chart.bars],
        height=0.6,
    )
    if chart.threshold is not None:
        axis.axvline(chart.threshold, color=WHITE["ink"], linewidth=1, linestyle="--")
    for place, bar in zip(places, chart.bars, strict=True):
        axis.annotate(
            bar.text, (bar.end, place), (2, 0), textcoords="offset points", va="center", fontsize=6
        )
    axis.set_yticks(places, [f"{bar.label[:1].upper()}{bar.label[1:]}" for bar in chart.bars])
    axis.set_xlim(chart.low, chart.high + 0.16 * (chart.high - chart.low))
    axis.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    title = f"{chart.title}; {chart.alarm}" if chart.alarm else chart.title
    part.suptitle(title, x=0.02, ha="left", fontsize=8, color=WHITE["ink"])


def report_picture(
    metrics: Mapping[str, Any], zone: tzinfo, language: Language = ENGLISH
) -> ReportPicture | None:
    """Draw outcomes on a time line, or the definitions side by side; None without any."""
    if "ranked" in metrics:
        return _ranking([ranked["summary"] for ranked in metrics["ranked"]], language)
    if metrics.get("episodes") or metrics.get("problems"):
        return _time_line(metrics, zone, language)
    return None


def _time_line(metrics: Mapping[str, Any], zone: tzinfo, language: Language) -> ReportPicture:
    raised = {
        outcome: [e["raised_at"] for e in metrics["episodes"] if e["outcome"] == outcome]
        for outcome in ("hit", "avoided", "false_alarm", "undetermined")
    }
    problems = [problem["start"] for problem in metrics.get("problems", ())]
    lanes = {name: at for name, at in {"problem": problems, **raised}.items() if at}

    def draw(figure: Figure) -> None:
        axis = figure.subplots()
        for lane, (name, starts) in enumerate(lanes.items()):
            days = [_day(start) for start in starts]
            mark: dict[str, Any] = {"markersize": 14, "markeredgewidth": 2}
            axis.plot(days, [lane] * len(days), "|", color=WHITE[name], **mark)
        axis.set_yticks(range(len(lanes)), [_lane_title(name, language) for name in lanes])
        axis.set_ylim(len(lanes) - 0.4, -0.6)
        axis.set_xlim(_day(metrics["start"]), _day(metrics["end"]))
        axis.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=8, tz=zone))
        axis.xaxis.set_major_formatter(
            FuncFormatter(lambda at, _: language.month_day(num2date(at, zone)))
        )
        axis.set_title(str(metrics.get("title", "")))

    counts = [
        f"{language.translate(OUTCOME_NAMES[name])}: {len(raised[name])}"
        for name in lanes
        if name in raised
    ]
    description = language.say(
        "Time line of {problems} problems and {episodes} alarms: {outcomes}",
        problems=len(problems),
        episodes=len(metrics["episodes"]),
        outcomes=", ".join(counts) or language.say("none"),
    )
    return ReportPicture(png((_WIDTH, 0.8 + 0.3 * len(lanes)), draw, _STYLE, _DPI), description)


def _ranking(definitions: Sequence[Mapping[str, Any]], language: Language) -> ReportPicture | None:
    shown = definitions[:12]
    if not shown:
        return None

    def draw(figure: Figure) -> None:
        axis = figure.subplots()
        places = range(len(shown))
        left = [0] * len(shown)
        counted = {"hit": "hits", "avoided": "avoided", "false_alarm": "false_alarms"}
        for outcome, count in counted.items():
            widths = [int(row[count]) for row in shown]
            label = _lane_title(outcome, language)
            axis.barh(places, widths, left=left, color=WHITE[outcome], height=0.6, label=label)
            left = [a + b for a, b in zip(left, widths, strict=True)]
        axis.set_yticks(places, [str(row["title"])[:24] for row in shown])
        axis.invert_yaxis()
        axis.legend(loc="lower right", fontsize=6, frameon=False)
        axis.set_title(language.say("Alarms by outcome"))

    description = language.say_count(
        "Alarms by outcome of {number} definition",
        "Alarms by outcome of {number} definitions",
        len(shown),
    )
    return ReportPicture(png((_WIDTH, 0.8 + 0.22 * len(shown)), draw, _STYLE, _DPI), description)


def _lane_title(name: str, language: Language) -> str:
    named = {"hit": translatable("right"), "problem": translatable("problem")}
    return language.translate(named.get(name, OUTCOME_NAMES.get(name, name)))


def _day(at: str | datetime) -> float:
    return date_number(datetime.fromisoformat(at) if isinstance(at, str) else at)
