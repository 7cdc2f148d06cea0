"""The readings of an episode around its raise as one small PNG, for e-mail: to be read on a phone, alone, on white."""

import io
from datetime import UTC, datetime

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, DateFormatter, date2num
from matplotlib.figure import Figure
from pandas.api.types import is_numeric_dtype

from alerting.episodes.episode import Episode
from alerting.readings.history import History
from alerting.reporting.training_drawings import CHOSEN, INK, MAIN, MUTED, RULE

WIDTH_PX, HEIGHT_PX, DPI = 640, 320, 160
_MOST_POINTS = 1200
_STYLE = {
    "font.size": 7,
    "axes.edgecolor": RULE,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 8,
    "axes.titlecolor": INK,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.color": RULE,
    "ytick.labelcolor": MUTED,
}


def drawn_variable(episode: Episode, variable: str | None = None) -> str | None:
    """What to draw: the variable of a threshold, or the one that contributed most to a risk; None without any."""
    if variable is not None:
        return variable
    strongest = max(episode.contributions, key=lambda c: abs(c.share), default=None)
    return strongest.variable if strongest else None


def episode_drawing(episode: Episode, history: History, variable: str) -> tuple[bytes, str] | None:
    """PNG and its description in words; None where the history has no numbers of this variable.

    The limit (of a model's contribution: the usual value) is dashed, the time since the raise shaded.
    """
    if variable not in history.readings or not is_numeric_dtype(history.readings[variable]):
        return None
    values = history.readings[variable].dropna()
    if values.empty:
        return None
    line, line_is = _reference(episode, variable)
    known = history.asset.variables.get(variable)
    name, unit = (known.title if known and known.title else variable), (known.unit if known else None)
    title = f"{name}{f', {unit}' if unit else ''}" + (f"; dashed: {line_is} {line:.4g}" if line is not None else "")
    thinned = values.iloc[:: max(1, len(values) // _MOST_POINTS)]
    png = _png(
        [t.to_pydatetime() for t in thinned.index],
        thinned.to_numpy(dtype=float),
        line,
        episode.raised_at,
        episode.closed_at or values.index[-1].to_pydatetime(),
        title,
    )
    low, high, last = float(values.min()), float(values.max()), float(values.iloc[-1])
    span = f"from {values.index[0]:%d %b %H:%M} to {values.index[-1]:%d %b %H:%M} UTC"
    words = f"{title}; {low:.4g} to {high:.4g} {span}, last {last:.4g}"
    return png, words


def _reference(episode: Episode, variable: str) -> tuple[float | None, str]:
    if episode.kind == "threshold":
        return episode.evaluation.threshold, "limit"
    usual = next((c.usual for c in episode.contributions if c.variable == variable), None)
    return (float(usual), "usual") if isinstance(usual, int | float) else (None, "")


def _png(at: list[datetime], values: np.ndarray, line: float | None, start: datetime, end: datetime, title: str) -> bytes:
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI, layout="constrained", facecolor="white")
        axes = figure.subplots()
        days = np.asarray(date2num(at))
        axes.axvspan(*date2num([start, max(start, end)]), color=CHOSEN, alpha=0.12, linewidth=0)
        axes.axvline(date2num(start), color=CHOSEN, linewidth=1)
        marker = "." if len(at) < 60 else ""
        axes.plot(days, values, color=MAIN, linewidth=1.1, drawstyle="steps-post", marker=marker, markersize=3)
        if line is not None:
            axes.axhline(line, color=INK, linewidth=1, linestyle="--")
        axes.set_title(title)
        axes.margins(x=0.01)
        axes.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=6, tz=UTC))
        axes.xaxis.set_major_formatter(DateFormatter("%H:%M", tz=UTC))
        axes.set_xlabel("UTC", loc="right", color=MUTED, fontsize=6)
        buffer = io.BytesIO()
        FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()
