"""The main picture of a report as a small PNG for e-mail: outcomes on a time line, or the definitions side by side."""

import io
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, DateFormatter, date2num
from matplotlib.figure import Figure

from alerting.reporting.figures.chart_style import chart_style
from alerting.reporting.figures.training_charts import CHOSEN, INK, MAIN, MUTED, RULE
from alerting.reporting.messages import OUTCOME_NAMES

_WIDTH, _DPI = 4.0, 160
_STYLE = chart_style(INK, MUTED, RULE) | {"font.size": 7, "axes.titlesize": 8, "axes.titlecolor": INK, "grid.linewidth": 0.6}
_COLOURS = {"hit": "#12805c", "avoided": MAIN, "false_alarm": CHOSEN, "undetermined": MUTED}
_DEFINITIONS = 12


class ReportPicture(NamedTuple):
    """A PNG and its description for people who cannot see it."""

    png: bytes
    description: str


def report_picture(metrics: Mapping[str, Any], zone: tzinfo) -> ReportPicture | None:
    """Draw the main picture of the stored metrics of a report; None if there is nothing to draw. Deterministic."""
    if "ranked" in metrics:
        return _ranking([ranked["summary"] for ranked in metrics["ranked"]])
    if metrics.get("episodes") or metrics.get("problems"):
        return _time_line(metrics, zone)
    return None


def _time_line(metrics: Mapping[str, Any], zone: tzinfo) -> ReportPicture:
    lanes = [outcome for outcome in _COLOURS if any(e["outcome"] == outcome for e in metrics["episodes"])]
    problems = metrics.get("problems", ())
    names = [*(["problem"] if problems else []), *lanes]
    with matplotlib.rc_context(_STYLE):
        figure, axis = _figure(0.8 + 0.3 * len(names))
        for lane, name in enumerate(names):
            starts = [p["start"] for p in problems] if name == "problem" else _raised(metrics["episodes"], name)
            colour = INK if name == "problem" else _COLOURS[name]
            days = [_day(start) for start in starts]
            axis.plot(days, [lane] * len(days), "|", color=colour, markersize=14, markeredgewidth=2)
        axis.set_yticks(range(len(names)), [_lane_title(name) for name in names])
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.set_xlim(_day(metrics["start"]), _day(metrics["end"]))
        axis.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=8, tz=zone))
        axis.xaxis.set_major_formatter(DateFormatter("%d %b", tz=zone))
        axis.set_title(str(metrics.get("title", "")))
        png = _png(figure)
    counts = ", ".join(f"{len(_raised(metrics['episodes'], name))} {OUTCOME_NAMES[name]}" for name in lanes)
    return ReportPicture(
        png, f"Time line of {len(problems)} problems and {len(metrics['episodes'])} episodes: {counts or 'none'}"
    )


def _ranking(definitions: Sequence[Mapping[str, Any]]) -> ReportPicture | None:
    shown = definitions[:_DEFINITIONS]
    if not shown:
        return None
    with matplotlib.rc_context(_STYLE):
        figure, axis = _figure(0.8 + 0.22 * len(shown))
        left = [0] * len(shown)
        for outcome, metric_name in (("hit", "hits"), ("avoided", "avoided"), ("false_alarm", "false_alarms")):
            widths = [int(row[metric_name]) for row in shown]
            axis.barh(range(len(shown)), widths, left=left, color=_COLOURS[outcome], height=0.6, label=_lane_title(outcome))
            left = [a + b for a, b in zip(left, widths, strict=True)]
        axis.set_yticks(range(len(shown)), [str(row["title"])[:24] for row in shown])
        axis.invert_yaxis()
        axis.legend(loc="lower right", fontsize=6, frameon=False)
        axis.set_title("Episodes by outcome")
        png = _png(figure)
    return ReportPicture(png, f"Episodes by outcome of {len(shown)} definitions")


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained", facecolor="white")
    return figure, figure.subplots()


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def _raised(episodes: Sequence[Mapping[str, Any]], outcome: str) -> list[Any]:
    return [episode["raised_at"] for episode in episodes if episode["outcome"] == outcome]


def _lane_title(name: str) -> str:
    return {"hit": "right"}.get(name, OUTCOME_NAMES.get(name, name))


def _day(at: str | datetime) -> float:
    return float(date2num(datetime.fromisoformat(at) if isinstance(at, str) else at))
