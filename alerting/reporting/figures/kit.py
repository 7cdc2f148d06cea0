"""The kit of charts: plots of lines, areas, bars and dots, as SVG for pages and as PNG for mails
and for the registry."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from html import escape
from itertools import pairwise
from typing import Literal, NamedTuple

from alerting.definitions.wording.language import ENGLISH, Language, Styled
from alerting.readings.instants import to_millis

WIDTH = 760.0  # CSS pixels of a whole page; half of it in a pair
COLOURS = {
    "ink": "#1c2733",
    "muted": "#5b6875",
    "rule": "#dde3e8",
    "score": "#1f6fb2",
    "hit": "#12805c",
    "avoided": "#3f8fc9",
    "false-alarm": "#c0262d",
    "undetermined": "#8c949b",
    "problem": "#8b2f8f",
}
"""Colours on white by name; pages have variables of these names, which follow light and dark."""
BAR_COLOURS = {
    "usual": "undetermined",
    "up": "false-alarm",
    "down": "hit",
    "risk": "score",
    "after": "hit",
}
_SIZE = 11  # of words
_LETTER = 6.8  # width of one on average
_TOP = 20.0
_RIGHT = 12.0
_GAP = 10.0
_SHARP = 2  # pixels of a PNG to one of CSS
_SMOOTH = 2  # drawn so much larger, and reduced
_TICK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 14400, 43200, 129600)
Anchor = Literal["start", "middle", "end"]
Tick = tuple[float, str]


class Shape(NamedTuple):
    """A line (of a width), an area (filled), a dot (of a radius: the width) or words at a point."""

    kind: Literal["line", "area", "dot", "text"]
    points: tuple[tuple[float, float], ...]
    colour: str
    width: float = 1.2
    dashed: bool = False
    opacity: float = 1.0
    text: str = ""
    anchor: Anchor = "start"
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass
class Plot:
    """One plot with its axes; shapes are added in units of the data, the first ones below."""

    x: tuple[float, float]
    y: tuple[float, float]
    height: float = 150.0
    title: str = ""
    x_ticks: Sequence[Tick] = ()
    y_ticks: Sequence[Tick] = ()
    x_title: str = ""
    grid: bool = True
    shapes: list[Shape] = field(default_factory=list)

    def line(
        self,
        at: Iterable[float],
        values: Iterable[float],
        colour: str = "score",
        width: float = 1.3,
        dashed: bool = False,
        steps: bool = False,
    ) -> None:
        """Add a line; in steps each value holds until the next one."""
        points = [*zip(map(float, at), map(float, values), strict=True)]
        if steps:
            corners = zip(points[1:], points, strict=False)
            points = [*points[:1], *(p for (x, y), (_, v) in corners for p in ((x, v), (x, y)))]
        if len(points) > 1:
            self.shapes.append(Shape("line", tuple(points), colour, width, dashed))

    def area(
        self,
        at: Sequence[float],
        low: Sequence[float],
        high: Sequence[float],
        colour: str = "score",
        opacity: float = 0.2,
    ) -> None:
        """Add an area between two lines."""
        points = (*zip(at, low, strict=True), *zip(reversed(at), reversed(high), strict=True))
        if len(points) > 2:
            self.shapes.append(Shape("area", points, colour, opacity=opacity))

    def bar(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        colour: str = "score",
        opacity: float = 1.0,
    ) -> None:
        """Add a rectangle."""
        self.area(x, (y[0],) * 2, (y[1],) * 2, colour, opacity)

    def dots(
        self,
        at: Iterable[float],
        values: Iterable[float],
        colour: str = "score",
        radius: float = 3,
    ) -> None:
        """Add a dot at each value."""
        self.shapes += [
            Shape("dot", ((float(x), float(y)),), colour, radius)
            for x, y in zip(at, values, strict=True)
        ]

    def level(self, value: float, colour: str = "problem", dashed: bool = True) -> None:
        """Add a line across the plot."""
        self.line(self.x, (value, value), colour, 1, dashed)

    def moment(self, at: float, colour: str = "ink", dashed: bool = False) -> None:
        """Add an upright line."""
        self.line((at, at), self.y, colour, 1, dashed)

    def write(
        self,
        x: float,
        y: float,
        text: str,
        anchor: Anchor = "start",
        colour: str = "muted",
        shift: tuple[float, float] = (0.0, -3.0),
    ) -> None:
        """Add words beside a point, so many pixels away from it."""
        self.shapes.append(Shape("text", ((x, y),), colour, text=text, anchor=anchor, shift=shift))


def number_ticks(low: float, high: float, language: Language = ENGLISH) -> list[Tick]:
    """Return round numbers between two, at most six."""
    return [(v, language.show(Styled(v, "g"))) for v in round_numbers(low, high)]


def share_ticks(low: float, high: float, language: Language = ENGLISH) -> list[Tick]:
    """Return round shares between two, as percent."""
    return [(v, f"{language.digits(f'{100 * v:g}')} %") for v in round_numbers(low, high)]


def round_numbers(low: float, high: float) -> list[float]:
    """Return round numbers between two, at most six."""
    rough = (high - low) / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(s * size for s in (1.0, 2.0, 2.5, 5.0, 10.0) if s * size >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [float(f"{k * step:.10g}") for k in range(first, first + 6) if k * step <= high * 1.0001]


def time_ticks(
    start: datetime, end: datetime, zone: tzinfo, language: Language = ENGLISH, most: int = 8
) -> list[Tick]:
    """Return round times of a zone between two (ms): hours, days, or both."""
    minutes = max((end - start).total_seconds() / 60, 1)
    step = next((s for s in _TICK_STEPS if minutes / s <= most), _TICK_STEPS[-1])
    midnight = start.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    found: list[Tick] = []
    for k in range(most + 1 + 1440 // step):
        at = midnight + timedelta(minutes=step) * k
        if start <= at <= end and len(found) <= most:
            day = language.month_day(at) if minutes > 1440 else ""
            clock = f"{at:%H:%M}" if step < 1440 else ""
            found.append((float(to_millis(at)), " ".join(filter(None, (day, clock)))))
    return found


def svg(plots: Sequence[Plot], label: str, width: float = WIDTH, columns: int = 1) -> str:
    """Return plots below each other as inline SVG in the colours of the page. `label`: the text
    alternative."""
    shapes, height = _lay_out(plots, width, columns)
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {width:g} {height:g}" '
        f'font-size="{_SIZE}">{"".join(map(_svg_shape, shapes))}</svg>'
    )


def _svg_shape(shape: Shape) -> str:
    colour = f"var(--{shape.colour})"
    (x, y), *_ = shape.points
    if shape.kind == "text":
        anchor = f' text-anchor="{shape.anchor}"' if shape.anchor != "start" else ""
        return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}"{anchor}>{escape(shape.text)}</text>'
    if shape.kind == "dot":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{shape.width:g}" fill="{colour}"/>'
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in shape.points)
    if shape.kind == "area":
        opacity = f' fill-opacity="{shape.opacity:g}"' if shape.opacity < 1 else ""
        return f'<path d="{path}Z" fill="{colour}"{opacity}/>'
    dashes = ' stroke-dasharray="4 3"' if shape.dashed else ""
    return (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{shape.width:g}"{dashes}/>'
    )


def png(plots: Sequence[Plot], width: float = 420, columns: int = 1) -> bytes:
    """Return plots as a PNG on white. The same plots give the same bytes."""
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 - only mails and trainings need it

    factor = _SHARP * _SMOOTH
    shapes, height = _lay_out(plots, width, columns)
    image = Image.new("RGB", (round(width * factor), round(height * factor)), "white")
    draw = ImageDraw.Draw(image, "RGBA")
    from importlib.util import find_spec  # noqa: PLC0415 - without the library itself

    found = find_spec("matplotlib")
    assert found is not None and found.submodule_search_locations is not None  # noqa: S101 - a requirement
    font = ImageFont.truetype(
        (f"{found.submodule_search_locations[0]}/mpl-data/fonts/ttf/DejaVuSans.ttf"),
        _SIZE * factor * 0.92,
    )
    for shape in shapes:
        points = [(x * factor, y * factor) for x, y in shape.points]
        colour = COLOURS[shape.colour]
        if shape.kind == "text":
            anchor = {"start": "ls", "middle": "ms", "end": "rs"}[shape.anchor]
            draw.text(points[0], shape.text, colour, font, anchor)
        elif shape.kind == "dot":
            draw.circle(points[0], shape.width * factor, colour)
        elif shape.kind == "area":
            draw.polygon(points, f"{colour}{round(255 * shape.opacity):02x}")
        else:
            for part in _dashes(points, factor) if shape.dashed else (points,):
                draw.line(part, colour, round(shape.width * factor), joint="curve")
    out = io.BytesIO()
    small = image.resize((image.width // _SMOOTH, image.height // _SMOOTH), Image.Resampling.BOX)
    small.quantize(64).save(out, "PNG", optimize=True)
    return out.getvalue()


def _dashes(
    points: Sequence[tuple[float, float]], factor: float
) -> Iterable[list[tuple[float, float]]]:
    """Yield the dashes of a line, piece after piece."""
    for (x, y), (to_x, to_y) in pairwise(points):
        length = math.hypot(to_x - x, to_y - y)
        for k in range(math.ceil(length / (7 * factor))):
            ends = (min(part / length, 1.0) for part in (7 * factor * k, factor * (7 * k + 4)))
            yield [(x + share * (to_x - x), y + share * (to_y - y)) for share in ends]


def _lay_out(plots: Sequence[Plot], width: float, columns: int) -> tuple[list[Shape], float]:
    """Return all shapes of plots in pixels, and the height of the whole."""
    left = 8 + _LETTER * max((len(text) for p in plots for _, text in p.y_ticks), default=0)
    cell = width / columns
    shapes: list[Shape] = []
    top = 0.0
    for first in range(0, len(plots), columns):
        row = plots[first : first + columns]
        for column, plot in enumerate(row):
            right = (column + 1) * cell - _RIGHT
            shapes += _lay_out_plot(plot, column * cell + left, right, top + _TOP)
        axis = max((16 if p.x_ticks else 0) + (16 if p.x_title else 0) for p in row)
        top += _TOP + max(p.height for p in row) + axis + _GAP
    return shapes, round(top, 1)


def _lay_out_plot(plot: Plot, left: float, right: float, top: float) -> Iterable[Shape]:
    x0, x1 = plot.x
    y0, y1 = plot.y
    bottom = top + plot.height

    def locate(point: tuple[float, float]) -> tuple[float, float]:
        x = left + (right - left) * (point[0] - x0) / ((x1 - x0) or 1.0)
        y = bottom - plot.height * (point[1] - y0) / ((y1 - y0) or 1.0)
        return min(max(x, left), right), min(max(y, top), bottom)

    if plot.title:
        yield Shape("text", ((left, top - 7),), "muted", text=plot.title)
    for value, text in plot.y_ticks:
        _, y = locate((x0, value))
        if plot.grid:
            yield Shape("line", ((left, y), (right, y)), "rule", 0.8)
        yield Shape("text", ((left - 5, y + 4),), "muted", text=text, anchor="end")
    for shape in plot.shapes:
        dx, dy = shape.shift
        points = tuple((x + dx, y + dy) for x, y in map(locate, shape.points))
        yield shape._replace(points=points)
    if plot.x_ticks or plot.grid:
        yield Shape("line", ((left, bottom), (right, bottom)), "rule", 1)
    for value, text in plot.x_ticks:
        x, _ = locate((value, y0))
        at = min(max(x, left + 2.5 * len(text)), right - 2.5 * len(text))
        yield Shape("text", ((at, bottom + 14),), "muted", text=text, anchor="middle")
    if plot.x_title:
        y = bottom + (30 if plot.x_ticks else 14)
        yield Shape("text", ((right, y),), "muted", text=plot.x_title, anchor="end")
