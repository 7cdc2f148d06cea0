"""The main picture of a report as a small PNG for e-mail: outcomes on a time line, or the
definitions side by side."""

import io
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, date2num, num2date
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from alerting.definitions.wording.language import ENGLISH, Language, translatable
from alerting.reporting.base.messages import OUTCOME_NAMES
from alerting.reporting.figures.chart_style import chart_style
from alerting.reporting.figures.training_charts import CHOSEN, INK, MAIN, MUTED, RULE

_WIDTH = 4.0
_DPI = 160
_STYLE = chart_style(INK, MUTED, RULE) | {
    "font.size": 7,
    "axes.titlesize": 8,
    "axes.titlecolor": INK,
    "grid.linewidth": 0.6,
}
_COLOURS = {"hit": "#12805c", "avoided": MAIN, "false_alarm": CHOSEN, "undetermined": MUTED}
_DEFINITIONS = 12


class ReportPicture(NamedTuple):
    """A PNG and its description for people who cannot see it."""

    png: bytes
    description: str


def report_picture(
    metrics: Mapping[str, Any], zone: tzinfo, language: Language = ENGLISH
) -> ReportPicture | None:
    """Draw the main picture of the stored metrics of a report; None if there is nothing to draw.
    Deterministic."""
    if "ranked" in metrics:
        return _ranking([ranked["summary"] for ranked in metrics["ranked"]], language)
    if metrics.get("episodes") or metrics.get("problems"):
        return _time_line(metrics, zone, language)
    return None


def _time_line(metrics: Mapping[str, Any], zone: tzinfo, language: Language) -> ReportPicture:
    lanes = [
        outcome for outcome in _COLOURS if any(e["outcome"] == outcome for e in metrics["episodes"])
    ]
    problems = metrics.get("problems", ())
    names = [*(["problem"] if problems else []), *lanes]
    with matplotlib.rc_context(_STYLE):
        figure, axis = _figure(0.8 + 0.3 * len(names))
        for lane, name in enumerate(names):
            starts = (
                [p["start"] for p in problems]
                if name == "problem"
                else _raised(metrics["episodes"], name)
            )
            colour = INK if name == "problem" else _COLOURS[name]
            days = [_day(start) for start in starts]
            axis.plot(days, [lane] * len(days), "|", color=colour, markersize=14, markeredgewidth=2)
        axis.set_yticks(range(len(names)), [_lane_title(name, language) for name in names])
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.set_xlim(_day(metrics["start"]), _day(metrics["end"]))
        axis.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=8, tz=zone))
        axis.xaxis.set_major_formatter(
            FuncFormatter(lambda at, _: language.month_day(num2date(at, zone)))
        )
        axis.set_title(str(metrics.get("title", "")))
        png = _png(figure)
    counts = [
        f"{language.translate(OUTCOME_NAMES[name])}: {len(_raised(metrics['episodes'], name))}"
        for name in lanes
    ]
    description = language.say(
        "Time line of {problems} problems and {episodes} alarms: {outcomes}",
        problems=len(problems),
        episodes=len(metrics["episodes"]),
        outcomes=", ".join(counts) or language.say("none"),
    )
    return ReportPicture(png, description)


def _ranking(definitions: Sequence[Mapping[str, Any]], language: Language) -> ReportPicture | None:
    shown = definitions[:_DEFINITIONS]
    if not shown:
        return None
    with matplotlib.rc_context(_STYLE):
        figure, axis = _figure(0.8 + 0.22 * len(shown))
        left = [0] * len(shown)
        for outcome, metric_name in (
            ("hit", "hits"),
            ("avoided", "avoided"),
            ("false_alarm", "false_alarms"),
        ):
            widths = [int(row[metric_name]) for row in shown]
            axis.barh(
                range(len(shown)),
                widths,
                left=left,
                color=_COLOURS[outcome],
                height=0.6,
                label=_lane_title(outcome, language),
            )
            left = [a + b for a, b in zip(left, widths, strict=True)]
        axis.set_yticks(range(len(shown)), [str(row["title"])[:24] for row in shown])
        axis.invert_yaxis()
        axis.legend(loc="lower right", fontsize=6, frameon=False)
        axis.set_title(language.say("Alarms by outcome"))
        png = _png(figure)
    return ReportPicture(
        png,
        language.say_count(
            "Alarms by outcome of {number} definition",
            "Alarms by outcome of {number} definitions",
            len(shown),
        ),
    )


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained", facecolor="white")
    return figure, figure.subplots()


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def _raised(episodes: Sequence[Mapping[str, Any]], outcome: str) -> list[Any]:
    return [episode["raised_at"] for episode in episodes if episode["outcome"] == outcome]


def _lane_title(name: str, language: Language) -> str:
    named = {"hit": translatable("right"), "problem": translatable("problem")}
    return language.translate(named.get(name, OUTCOME_NAMES.get(name, name)))


def _day(at: str | datetime) -> float:
    return float(date2num(datetime.fromisoformat(at) if isinstance(at, str) else at))
