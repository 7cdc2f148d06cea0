"""Pictures of charts in mails and of trainings, with texts that have room, in letters that this
machine can draw."""

import gc
import io
import re
from collections.abc import Sequence
from functools import lru_cache
from textwrap import shorten
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from alerting.reporting.charts import COLOURS, Plot

if TYPE_CHECKING:
    from PIL.Image import Image

_FURTHER_FONTS = ("Noto Sans CJK SC", "WenQuanYi Zen Hei", "Droid Sans Fallback", "Noto Sans Thai")
_LABEL = 30  # letters beside an axis of a PNG
_STYLE = {
    "font.size": 7.5,
    "text.parse_math": False,  # a title may have two dollars
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "lines.linewidth": 0.8,
    "text.color": COLOURS["muted"],
    "axes.labelcolor": COLOURS["muted"],
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "grid.linewidth": 0.6,
    "axes.edgecolor": COLOURS["rule"],
    "grid.color": COLOURS["rule"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}

_ONE_PICTURE = Lock()
"""One picture at a time: whether garbage is collected is of the process, not of a thread."""


class Fonts(NamedTuple):
    """The families of a picture's texts, those of further scripts where they are installed, and
    all characters that they have."""

    names: list[str]
    characters: frozenset[int]


def drawable(text: str, most: int = 60) -> str:
    """Return a text as a picture shows it: cut to `most` letters, with `…` for what no font of this
    machine has. The description beside the picture has it whole."""
    drawn = fonts().characters
    shown = re.sub("\0+", "…", "".join(c if ord(c) in drawn else "\0" for c in text))
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


@lru_cache(1)
def fonts() -> Fonts:
    """Return the fonts of this machine that pictures use."""
    from matplotlib.font_manager import (  # noqa: PLC0415 - only mails and trainings need it
        findfont,
        fontManager,
        get_font,
    )

    installed = {font.name for font in fontManager.ttflist}
    names = ["DejaVu Sans", *(name for name in _FURTHER_FONTS if name in installed)]
    characters = (get_font(findfont(name)).get_charmap() for name in names)
    return Fonts(names, frozenset().union(*characters))


def png(plots: Sequence[Plot], width: float = 420) -> bytes:
    """Return plots as a PNG on white. The same plots give the same bytes."""
    # a figure holds itself: of the youngest generation it goes at once, else with a full collection
    with _ONE_PICTURE:
        collects = gc.isenabled()
        gc.disable()
        try:
            picture = _draw_picture(plots, width)
        finally:
            if collects:
                gc.enable()
        gc.collect(1)
    out = io.BytesIO()
    picture.quantize(32).save(out, "png", optimize=True)
    return out.getvalue()


def _draw_picture(plots: Sequence[Plot], width: float) -> "Image":
    """Return plots as a picture in RGB."""
    from matplotlib import rcParams  # noqa: PLC0415 - only mails and trainings need it
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    # nobody else draws in our processes, and a context is not of a thread
    rcParams.update(_STYLE | {"font.family": fonts().names})
    heights = [30 + plot.height + plot.axis_height() for plot in plots]
    figure = Figure((width / 100, sum(heights) / 100), 200, layout="constrained")
    axes = figure.subplots(len(plots), squeeze=False, gridspec_kw={"height_ratios": heights})
    for axis, plot in zip(axes.flat, plots, strict=True):
        _draw(axis, plot)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba())
    return picture.convert("RGB")


def _draw(axis: Any, plot: Plot) -> None:
    """Draw a plot on axes of matplotlib."""
    axis.set(xlim=plot.x, ylim=plot.y, axisbelow=True)
    axis.set_xlabel(plot.x_title, loc="right")
    title = [plot.title, *(text for _, text in plot.moments)]
    axis.set_title(drawable("; ".join(filter(None, title)), 3 * _LABEL), loc="left")
    axis.set_xticks([x for x, _ in plot.x_ticks], [text for _, text in plot.x_ticks])
    labels = [drawable(shorten(text, _LABEL, placeholder=" …")) for _, text in plot.y_ticks]
    axis.set_yticks([y for y, _ in plot.y_ticks], labels)
    axis.grid(plot.grid, axis="y")
    for shape in plot.shapes:
        xs, ys = zip(*shape.points, strict=True)
        colour = COLOURS.get(shape.colour, COLOURS["muted"])
        look: dict[str, Any] = {"color": colour, "clip_on": True}
        match shape.kind:
            case "text":
                dx, dy = shape.shift
                axis.annotate(
                    drawable(shape.text),
                    shape.points[0],
                    (0.7 * dx, -0.7 * dy),
                    textcoords="offset points",
                    ha={"start": "left", "middle": "center", "end": "right"}[shape.anchor],
                    color=COLOURS["muted"],
                )
            case "area":
                axis.fill(xs, ys, alpha=shape.opacity, linewidth=0, **look)
            case "dot":
                axis.plot(xs, ys, ".", markersize=1.6 * shape.width, **look)
            case "line":
                axis.plot(xs, ys, "--" if shape.dashed else "-", lw=0.7 * shape.width, **look)
    for level, _, text_y, text in plot.placed_levels():
        height = min(max(level.value, plot.y[0]), plot.y[1])
        colour = COLOURS["limit" if level.is_limit else "muted"]
        axis.axhline(height, color=colour, ls="--" if level.is_limit else ":")
        axis.text(1, 1 - text_y / plot.height, drawable(text), ha="right", transform=axis.transAxes)
