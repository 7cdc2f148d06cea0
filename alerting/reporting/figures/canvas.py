"""Parts of all charts: colours, axes, curves and bars, as SVG for pages or as PNG."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from html import escape
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, num2date
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, ScalarFormatter

from alerting.definitions.wording.language import ENGLISH, Language, Styled
from alerting.reporting.base import messages
from alerting.reporting.figures.episode_chart import Panel, value_range

Colours = Mapping[str, str]
# matplotlib knows no CSS variables: pages are drawn in placeholder colours, and each is replaced by
# its variable, so that charts follow light and dark.
PAGE: Colours = {
    "ink": "#010101",
    "muted": "#010102",
    "rule": "#010103",
    "score": "#010104",
    "hit": "#010105",
    "avoided": "#010106",
    "false_alarm": "#010107",
    "undetermined": "#010108",
    "problem": "#010109",
}
WHITE: Colours = {
    "ink": "#1c2733",
    "muted": "#5b6875",
    "rule": "#dde3e8",
    "score": "#1f6fb2",
    "hit": "#12805c",
    "avoided": "#1f6fb2",
    "false_alarm": "#c0262d",
    "undetermined": "#5b6875",
    "problem": "#1c2733",
}
# The name of the colour of each kind of bar.
BAR_COLOURS = {
    "usual": "undetermined",
    "up": "false_alarm",
    "down": "hit",
    "risk": "score",
    "after": "hit",
}
WIDTH = 10.5  # of a page, in inches of 72 CSS pixels
MOST_VARIABLES = 15
DAY_MS = 86_400_000
Points = Sequence[Mapping[str, Any]]


def _style(colours: Colours, **changes: Any) -> dict[str, Any]:
    return {
        "font.size": 10,
        "axes.edgecolor": colours["rule"],
        "axes.labelcolor": colours["muted"],
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.titlelocation": "left",
        "axes.titlesize": 10,
        "grid.color": colours["rule"],
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "text.parse_math": False,
        "text.color": colours["ink"],
        "xtick.color": colours["rule"],
        "xtick.labelcolor": colours["muted"],
        "ytick.color": colours["rule"],
        "ytick.labelcolor": colours["muted"],
        **changes,
    }


def png(
    size: tuple[float, float],
    draw: Callable[[Figure], None],
    style: Mapping[str, Any],
    dpi: float = 100,
) -> bytes:
    """Draw a PNG on white. The same chart gives the same bytes."""
    with matplotlib.rc_context(_style(WHITE, **{"axes.titlecolor": WHITE["ink"], **style})):
        figure = Figure(figsize=size, dpi=dpi, layout="constrained", facecolor="white")
        draw(figure)
        buffer = io.BytesIO()
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def inline_svg(
    name: str,
    label: str,
    size: tuple[float, float],
    draw: Callable[[Figure], None],
    language: Language = ENGLISH,
) -> str:
    """Draw inline SVG without fixed colours. `name`: for ids; `label`: the text alternative."""
    style = _style(PAGE, **{"svg.fonttype": "none", "svg.hashsalt": name})
    with matplotlib.rc_context(style):
        figure = Figure(figsize=size, layout="constrained")
        figure.patch.set_alpha(0)
        draw(figure)
        for axes in figure.axes:
            axes.patch.set_alpha(0)
            for axis in (axes.xaxis, axes.yaxis):
                show_numbers(axis, language)
        buffer = io.StringIO()
        FigureCanvasSVG(figure).print_svg(
            buffer, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    return _inline(buffer.getvalue(), name, label)


def _inline(svg: str, name: str, label: str) -> str:
    svg = svg[svg.index("<svg") :]
    role = f' role="img" aria-label="{escape(label)}"'
    # a name may have a backslash
    svg = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', lambda _: role, svg, count=1)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*;?", "", svg)
    svg = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    for variable, colour in PAGE.items():
        svg = svg.replace(colour, f"var(--{variable.replace('_', '-')})")
    return svg


def time_axis(axes: Axes, zone: tzinfo, language: Language = ENGLISH, most: int = 10) -> None:
    """Label at most this many times of a zone: days, hours with their day, or hours."""
    axes.xaxis.set_major_locator(
        AutoDateLocator(minticks=4 if most > 6 else 2, maxticks=most, tz=zone)
    )
    days = float(np.ptp(axes.get_xlim()))

    def show(at: float, _: int | None) -> str:
        moment = num2date(at, zone)
        day = language.month_day(moment) if days > 1 else ""
        return " ".join(filter(None, (day, f"{moment:%H:%M}" if days <= 5 else "")))

    axes.xaxis.set_major_formatter(FuncFormatter(show))
    axes.set_xlabel(language.say("time ({zone})", zone=messages.zone_name(zone)))


def date_number(instant: datetime) -> float:
    """Return matplotlib's date of an instant: days since 1970."""
    return instant.timestamp() / 86_400


def show_percent(axis: Axis, language: Language = ENGLISH) -> None:
    """Write the shares of an axis as percent."""
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{language.digits(f'{100 * value:g}')} %")
    )


def show_numbers(axis: Axis, language: Language) -> None:
    """Write the plain numbers of an axis as the language does."""
    if type(axis.get_major_formatter()) is ScalarFormatter:
        axis.set_major_formatter(FuncFormatter(lambda value, _: language.show(Styled(value, "g"))))


def draw_limits(axes: Axes, panel: Panel, colours: Colours, scale: float = 1.0) -> None:
    """Draw the limits of a panel dashed, in steps where they change."""
    dashed: dict[str, Any] = {"color": colours["problem"], "linewidth": 1, "linestyle": "--"}
    for level in panel.levels:
        axes.axhline(level.value * scale, **dashed)
    for moving in panel.moving:
        for at, values in moving.parts(*value_range(panel)):
            axes.plot(at / DAY_MS, values * scale, drawstyle="steps-post", **dashed)


def draw_precision_recall(
    axes: Axes,
    points: Points,
    prevalence: float | None,
    in_service: tuple[float, float] | None,
    label: str,
    colours: Colours,
) -> None:
    """Draw precision against recall, chance dashed, and the labelled point in service."""
    recall, precision = ([point[name] for point in points] for name in ("recall", "precision"))
    axes.step(recall, precision, where="post", color=colours["score"], linewidth=1.7)
    if prevalence is not None:
        axes.axhline(prevalence, color=colours["muted"], linewidth=1, linestyle="--")
    axes.set(xlim=(0, 1.01), ylim=(0, 1.03))
    if in_service is None:
        return
    axes.plot(*in_service, "o", color=colours["false_alarm"], markersize=7)
    is_left = in_service[0] > 0.3  # of the point; below it where there is no room above
    axes.annotate(
        label,
        in_service,
        (-9 if is_left else 9, -16 if in_service[1] > 0.5 else 9),
        textcoords="offset points",
        ha="right" if is_left else "left",
    )


def draw_calibration(axes: Axes, bins: Points, colours: Colours) -> float:
    """Draw the observed share against the score with 95 % intervals; return the axes' end."""
    score, observed, low, high = (
        np.array([one[name] for one in bins]) for name in ("score", "observed", "low", "high")
    )
    limit = min(1.0, 1.1 * float(max(score.max(), high.max())))
    axes.plot([0, limit], [0, limit], color=colours["muted"], linewidth=1, linestyle="--")
    axes.errorbar(
        score,
        observed,
        np.maximum([observed - low, high - observed], 0),
        color=colours["score"],
        marker="o",
        markersize=4,
        linewidth=1.4,
        elinewidth=1,
    )
    axes.set(xlim=(0, limit), ylim=(0, limit))
    return limit


def draw_shares(
    axes: Axes,
    shares: Sequence[tuple[str, float, str]],
    colours: Colours,
    language: Language = ENGLISH,
    height: float = 0.8,
    offset: float = 0.0,
) -> None:
    """Draw a bar for each name, share and text, the first one at the bottom."""
    at = np.arange(len(shares)) + offset
    sizes = [share for _, share, _ in shares]
    drawn = axes.barh(at, sizes, height, color=colours["score"])
    axes.bar_label(drawn, [text for *_, text in shares], padding=4, color=colours["muted"])
    axes.set_yticks(np.arange(len(shares)), [name for name, *_ in shares])
    axes.set_xlim(0, 1.15 * max(*sizes, 1e-9))
    show_percent(axes.xaxis, language)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0, labelcolor=colours["ink"])
