"""The one component of charts: a description of plots in units of the data, and its two drawings.

Pages and reports draw it as SVG that is as wide as its column, in which text keeps its size; mails
and trainings as PNG. Axes have round ticks, limits are always drawn, the legend lists what is
drawn, and a script of the pages reads the same numbers out.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal, NamedTuple, cast

from markupsafe import Markup

from alerting.deferred import np
from alerting.definitions.wording.language import ENGLISH, Language, Styled
from alerting.readings.history import to_millis
from alerting.reporting.templates import environment

COLOURS = {
    "ink": "#1c2733",
    "muted": "#5b6875",
    "rule": "#dde3e8",
    "score": "#0072b2",
    "limit": "#c04f00",
    "hit": "#12805c",
    "avoided": "#3f8fc9",
    "false-alarm": "#c8501e",
    "undetermined": "#8c949b",
    "problem": "#8b2f8f",
    "event": "#b38600",
}
"""Colours on white by name, after Okabe and Ito; pages have variables of these names."""
_TOP = 26.0
_GAP = 10.0
_LINE = 14.0  # height of a line of text
ROW = 22.0
"""Pixels of a bar."""
_TALL_ROW = 38.0  # with its name above it
_BROAD = 7  # letters beside an axis that need a broader margin
_TITLE_FROM = 0.8  # share of the width from which a date would meet the title of its axis
_LABEL_WIDTH = 0.3  # of a marked instant on a phone, as a share of the width
_MIDDLE = 0.5  # of the width: words of an instant on its right half stand left of it
_TICK_STEPS_S = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200),
    *(86400, 172800, 432000, 864000, 1209600),
)
_DAY_S = 86_400
Anchor = Literal["start", "middle", "end"]
Tick = tuple[float, str]


class Shape(NamedTuple):
    """A line (of a width), an area (filled), a dot (of a radius: the width) or words at a point.

    `name`: in the legend; `look`: its class on pages; `shift`: of words, in pixels.
    """

    kind: Literal["line", "area", "dot", "text"]
    points: tuple[tuple[float, float], ...]
    colour: str
    width: float = 1.2
    dashed: bool = False
    opacity: float = 1.0
    text: str = ""
    anchor: Anchor = "start"
    shift: tuple[float, float] = (0.0, 0.0)
    name: str = ""
    look: str = ""

    @property
    def paint(self) -> str:
        """Return the colour of a page, which follows light and dark."""
        return f"var(--{self.colour},{COLOURS.get(self.colour, COLOURS['muted'])})"

    @property
    def is_rectangle(self) -> bool:
        """Return whether it is a band or bar, which keeps its edges sharp."""
        return self.kind == "area" and self.look != "fan"


class LimitLine(NamedTuple):
    """A line across a plot with its text. `is_limit`: not what is usual. `moves`: attributes by
    which a script moves it."""

    value: float
    text: str
    is_limit: bool = True
    moves: Mapping[str, str] = {}


class PlotSeries(NamedTuple):
    """Numbers that are read out and saved: NaN for none. `hold`: for how long a value is carried
    forward; None for one that stands for all up to the next."""

    name: str
    at: Iterable[float]
    values: Iterable[float]
    hold: float | None = None


@dataclass
class Plot:
    """One plot with its axes; shapes are added in units of the data, the first ones below.

    `named_rows`: the ticks upwards are names of rows. `is_right`: it lies over the plot before it,
    with its axis at the right, and `taken` are the heights of texts there. `unit`, `x_unit`: of
    values, `share` of shares.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    height: float = 150.0
    title: str = ""
    x_ticks: Sequence[Tick] = ()
    y_ticks: Sequence[Tick] = ()
    x_title: str = ""
    grid: bool = True
    named_rows: bool = False
    is_right: bool = False
    unit: str = ""
    x_unit: str = ""
    shapes: list[Shape] = field(default_factory=list)
    levels: list[LimitLine] = field(default_factory=list)
    moments: list[Tick] = field(default_factory=list)
    series: list[PlotSeries] = field(default_factory=list)
    rows: list[tuple[str, str]] = field(default_factory=list)
    taken: tuple[float, ...] = ()

    def line(
        self,
        at: Iterable[float],
        values: Iterable[float],
        colour: str = "score",
        width: float = 1.6,
        dashed: bool = False,
        steps: bool = False,
        name: str = "",
        look: str = "line",
    ) -> None:
        """Add a line; in `steps` each value is carried forward until the next one."""
        points = [*zip(map(float, at), map(float, values), strict=True)]
        if steps:
            corners = zip(points[1:], points, strict=False)
            points = [*points[:1], *(p for (x, y), (_, v) in corners for p in ((x, v), (x, y)))]
        if len(points) > 1:
            self.shapes.append(
                Shape("line", tuple(points), colour, width, dashed, name=name, look=look)
            )

    def area(
        self,
        at: Sequence[float],
        low: Sequence[float],
        high: Sequence[float],
        colour: str = "score",
        opacity: float = 0.2,
        name: str = "",
        look: str = "fan",
        text: str = "",
    ) -> None:
        """Add an area between two lines. `text`: its title."""
        points = (*zip(at, low, strict=True), *zip(reversed(at), reversed(high), strict=True))
        if len(points) > 2:
            self.shapes.append(
                Shape("area", points, colour, opacity=opacity, text=text, name=name, look=look)
            )

    def bar(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        colour: str = "score",
        opacity: float = 1.0,
        name: str = "",
    ) -> None:
        """Add a rectangle."""
        self.area(x, (y[0],) * 2, (y[1],) * 2, colour, opacity, name, "block")

    def band(
        self,
        x: tuple[float, float],
        look: str,
        name: str,
        colour: str,
        text: str = "",
        part: float = 1.0,
    ) -> None:
        """Add a time that is marked from the top to the bottom, or in an upper part of the plot."""
        low, high = self.y
        bottom = high - part * (high - low)
        opacity = 0.16 if part == 1 else 0.45
        look = f"band {look}"
        self.area(x, (bottom, bottom), (high, high), colour, opacity, name, look, text)

    def dots(
        self,
        at: Iterable[float],
        values: Iterable[float],
        colour: str = "score",
        radius: float = 3,
        name: str = "",
        look: str = "dot",
    ) -> None:
        """Add a dot at each value."""
        self.shapes += [
            Shape("dot", ((float(x), float(y)),), colour, radius, name=name, look=look)
            for x, y in zip(at, values, strict=True)
        ]

    def moment(self, at: float, text: str = "", colour: str = "ink", dashed: bool = False) -> None:
        """Add an upright line, with a text below the axis."""
        self.line((at, at), self.y, colour, 1.2, dashed, look="moment")
        if text:
            self.moments.append((at, text))

    def write(
        self,
        x: float,
        y: float,
        text: str,
        anchor: Anchor = "start",
        shift: tuple[float, float] = (0.0, -3.0),
        look: str = "",
    ) -> None:
        """Add words beside a point, so many pixels away from it."""
        self.shapes.append(
            Shape("text", ((x, y),), "muted", text=text, anchor=anchor, shift=shift, look=look)
        )

    def share_across(self, x: float) -> float:
        """Return the place of a value between the left edge, 0, and the right one, 1."""
        return min(max((x - self.x[0]) / ((self.x[1] - self.x[0]) or 1.0), 0.0), 1.0)

    def pixels_down(self, y: float) -> float:
        """Return how many pixels a value lies below the upper edge, within the plot."""
        share = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1.0)
        return self.height * (1 - min(max(share, 0.0), 1.0))

    def placed_levels(self) -> list[tuple[LimitLine, float, float, str]]:
        """Return each limit, highest first, with the heights of its line and text in pixels, and
        the text; texts lie apart, and an arrow leads to a limit beyond the plot. Of more than have
        room those nearest to the middle."""
        placed: list[tuple[LimitLine, float, float, str]] = []
        free = 0.0
        near = sorted(self.levels, key=lambda level: abs(2 * level.value - sum(self.y)))
        ranked = sorted(near[: int(self.height // _LINE)], key=lambda level: -level.value)
        for rank, level in enumerate(ranked):
            y = self.pixels_down(level.value)
            least = self.height - _LINE * (len(ranked) - 1 - rank)
            text_y = max(free, min(y - 4 if y > _LINE else y + _LINE, least))
            text_y = self._find_free(text_y, max(free, _LINE))
            free = text_y + _LINE
            arrow = "↑ " if level.value > self.y[1] else "↓ " if level.value < self.y[0] else ""
            placed.append((level, y, text_y, arrow + level.text))
        return placed

    def _find_free(self, preferred: float, least: float) -> float:
        """Return the height nearest to a preferred one at which a text meets none of the plot
        below; the preferred one where there is no room."""
        steps = range(0, int(self.height), 7)
        heights = [preferred + side * step for step in steps for side in (1, -1)]
        free = (
            y
            for y in heights
            if (y == preferred or least <= y <= self.height)
            and all(abs(y - text_y) >= _LINE for text_y in self.taken)
        )
        return next(free, preferred)

    def placed_moments(self) -> list[tuple[float, str, Anchor, int]]:
        """Return the share of the width, text, side and row of each marked instant; a text that
        would overlap moves a row down."""
        rows: list[list[float]] = []  # where texts begin
        placed: list[tuple[float, str, Anchor, int]] = []
        for at, text in self.moments:
            share = self.share_across(at)
            is_left = share > _MIDDLE
            begin = share - _LABEL_WIDTH * is_left
            rows.append([])
            row = next(
                rank
                for rank, begins in enumerate(rows)
                if all(abs(begin - first) >= _LABEL_WIDTH for first in begins)
            )
            rows[row].append(begin)
            placed.append((share, text, "end" if is_left else "start", row))
        return placed

    def lines(self) -> list[Shape]:
        """Return what is as wide as the plot and no rectangle."""
        flat = ("line", "area")
        return [shape for shape in self.shapes if shape.kind in flat and not shape.is_rectangle]

    def path(self, shape: Shape) -> str:
        """Return the points of a shape as path data in a square that is 1000 wide."""
        low, high = np.array([self.x, self.y]).T
        shares = (np.array(shape.points) - low) / np.where(high == low, 1.0, high - low)
        pixels = (np.array([0, 1]) - np.clip(shares, 0, 1) * (-1, 1)) * (1000, self.height)
        return "M" + "L".join(["%.1f %.1f"] * len(pixels)) % tuple(pixels.ravel().tolist())

    def rectangle(self, shape: Shape) -> Markup:
        """Return a band or bar as SVG."""
        begin, end = (self.share_across(shape.points[i][0]) for i in (0, 1))
        low, high = sorted(self.pixels_down(shape.points[i][1]) for i in (0, 2))
        x = f'x="{100 * begin:.2f}%" width="{100 * max(end - begin, 0.0015):.2f}%"'
        place = f'class="{shape.look}" {x} y="{low:.1f}" height="{high - low:.1f}"'
        paint = f'fill="{shape.paint}" fill-opacity="{shape.opacity:g}"'
        words = Markup("<title>{}</title>").format(shape.text) if shape.text else ""
        return Markup(f"<rect {place} {paint}>{words}</rect>")  # noqa: S704 - words are escaped

    def narrow_parity(self) -> int:
        """Return which ticks, even or odd ones, stay in a narrow column: those with a new date."""
        dated = [rank for rank, (_, text) in enumerate(self.x_ticks) if rank and "\n" in text]
        return dated[0] % 2 if dated else 0

    def axis_height(self) -> float:
        """Return the height of what is below the plot, without marked instants."""
        dated = [self.share_across(at) for at, text in self.x_ticks if "\n" in text]
        meets_title = bool(self.x_title) and any(share > _TITLE_FROM for share in dated)
        return 16.0 * (bool(self.x_ticks) + bool(self.x_title or dated) + meets_title)


def number_ticks(low: float, high: float, language: Language = ENGLISH) -> list[Tick]:
    """Return round numbers between two, at most six."""
    return [(v, language.show(Styled(v, "g"))) for v in round_numbers(low, high)]


def share_ticks(low: float, high: float, language: Language = ENGLISH) -> list[Tick]:
    """Return round shares between two, as percent."""
    return [(v, language.show(Styled(100 * v, "g %"))) for v in round_numbers(low, high)]


def round_numbers(low: float, high: float) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten between two numbers, at most six."""
    rough = (high - low) / 5
    if not rough > 0:
        return []
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(s * size for s in (1.0, 2.0, 5.0, 10.0) if s * size >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [
        float(f"{k * step:.10g}") + 0.0
        for k in range(first, first + 6)
        if k * step <= high + 1e-4 * rough
    ]


def time_ticks(
    start: datetime, end: datetime, zone: tzinfo, language: Language = ENGLISH, most: int = 8
) -> list[Tick]:
    """Return round times of a zone between two (ms); below the first one and where a day begins
    stands the date. Of a longer time the first instants of months, with the year below."""
    seconds = max((end - start).total_seconds(), 1)
    if seconds > 110 * _DAY_S:
        return _month_ticks(start.astimezone(zone), end.astimezone(zone), language, most)
    step = next((s for s in _TICK_STEPS_S if seconds / s <= most), _TICK_STEPS_S[-1])
    midnight = start.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    skipped = int((start - midnight).total_seconds()) // step
    ticks: list[Tick] = []
    day = ""
    for k in range(max(skipped - 7200 // step, 0), skipped + most + 3 + 7200 // step):
        at = midnight + timedelta(seconds=step) * k
        at = at.astimezone(UTC).astimezone(zone)  # a time that a change of the clock leaves out
        millis = float(to_millis(at))
        if not start <= at <= end or (ticks and millis <= ticks[-1][0]) or len(ticks) > most:
            continue
        date = language.month_day(at)
        clock = f"{at:%H:%M:%S}" if step < 60 else f"{at:%H:%M}"
        text = date if step >= _DAY_S else clock if date == day else f"{clock}\n{date}"
        ticks.append((millis, text))
        day = date
    return ticks


def _month_ticks(start: datetime, end: datetime, language: Language, most: int) -> list[Tick]:
    """Return the first instants of months; the year stands below the first one and January."""
    first = 12 * start.year + start.month - 1
    last = 12 * end.year + end.month - 1
    step = next((s for s in (1, 2, 3, 6) if (last - first) / s <= 1.6 * most), 12)
    names = language.locale.months["stand-alone"]["abbreviated"]
    begins = [
        datetime(month // 12, month % 12 + 1, 1, tzinfo=start.tzinfo)
        for month in range(first + 1, last + 1)
        if month % step == 0
    ]
    return [
        (float(to_millis(at)), names[at.month] + (f"\n{at.year}" if at.month == 1 or not n else ""))
        for n, at in enumerate(begins)
    ]


# Pages


def figure(
    plots: Sequence[Plot],
    label: str,
    language: Language = ENGLISH,
    zone: tzinfo | None = None,
    note: str = "",
    **attributes: str,
) -> Markup:
    """Return a chart of a page with its legend, what a script reads out, and the buttons that save
    it. `label`: the text alternative. `zone`: of times; without one, x is a number."""
    numbers = {
        "x": plots[0].x,
        "zone": str(zone) if zone else "",
        "xUnit": plots[-1].x_unit,
        "xTitle": plots[-1].x_title,
        "language": "en-GB" if language.code == "en" else language.code,
        "none": language.say("no value"),
        "since": language.say("since the mark"),
        "panels": [
            {
                "title": plot.title,
                "unit": plot.unit,
                "y": _short(plot.y),
                "rows": plot.rows,
                "series": [
                    {
                        "name": series.name,
                        "t": _short((t - plot.x[0] for t in map(float, series.at)), 9),
                        "v": _short(map(float, series.values)),
                        "hold": series.hold,
                    }
                    for series in plot.series
                ],
            }
            for plot in plots
        ],
    }
    hint = language.say("Chart. Arrow keys read the values.")
    saves = (language.say("Save the picture"), language.say("Save the numbers"))
    read_out = json.dumps(numbers, separators=(",", ":"))
    return _render(
        "figure", svg(plots, label, hint), legend(plots), read_out, note, attributes, *saves
    )


def _render(macro: str, *values: object) -> Markup:
    module = environment().get_template("page/chart.html").module
    return cast(Markup, getattr(module, macro)(*values))


def _short(values: Iterable[float], digits: int = 6) -> list[float | int | None]:
    """Return numbers with few digits, None for NaN."""
    listed = tuple(values)
    text = ",".join([f"%.{digits}g"] * len(listed)) % listed
    return cast("list[float | int | None]", json.loads(f"[{text.replace('nan', 'null')}]"))


def legend(plots: Sequence[Plot]) -> Markup:
    """Return an entry for each named shape that is drawn, in the order of drawing."""
    named: dict[str, Shape] = {}
    for shape in (shape for plot in plots for shape in plot.shapes if shape.name):
        named.setdefault(shape.name, shape)
    keys = {"area": ((0, 0), (1000, 0), (1000, 12), (0, 12)), "line": ((0, 6), (1000, 6))}
    key = Plot((0, 1000), (12, 0), 12)
    entries = [
        (
            name,
            key,
            shape._replace(
                points=keys.get(shape.kind, ((500, 6),)), text="", width=min(shape.width, 4.5)
            ),
        )
        for name, shape in named.items()
    ]
    return _render("legend", entries)


def svg(plots: Sequence[Plot], label: str, hint: str = "") -> Markup:
    """Return plots below each other as inline SVG in the colours of the page. `label`: the text
    alternative. `hint`: how to use it, where a script runs."""
    placed: list[tuple[Plot, float]] = []
    is_sided = any(plot.is_right for plot in plots)
    top = 16.0 * is_sided
    for plot in plots:
        if plot.is_right:
            below, height = placed[-1]
            taken = tuple(text_y for _, _, text_y, _ in below.placed_levels())
            placed.append((replace(plot, taken=taken), height))
            continue
        top += _TOP if plot.title else 6.0
        drawn = plot
        if plot.named_rows:  # a line of text above each row, and what it holds below it
            shapes = [
                s._replace(points=tuple((x, 0.6 * y + 0.4 * round(y) - 0.19) for x, y in s.points))
                if s.look != "moment"
                else s
                for s in plot.shapes
            ]
            drawn = replace(plot, height=_TALL_ROW * len(plot.y_ticks), shapes=shapes)
        placed.append((drawn, top))
        top += drawn.height + plot.axis_height() + _GAP
        top += _LINE * len({row for _, _, _, row in plot.placed_moments()})
    is_broad = any(len(text) > _BROAD for p in plots if not p.named_rows for _, text in p.y_ticks)
    margin = " sided" * is_sided
    margin += " broad" if is_broad else " rows" if all(p.named_rows for p in plots) else ""
    return _render("drawing", placed, label, margin, top, hint)


def still(plots: Sequence[Plot], label: str) -> Markup:
    """Return plots with their legend for a page without scripts."""
    return svg(plots, label) + Markup('<p class="legend">{}</p>').format(legend(plots))


def spark(plot: Plot, label: str = "", width: int | str = 96, height: int = 34) -> Markup:
    """Return a plot as small as a word, without axes. `label`: empty where the text beside it says
    the same."""
    return _render("spark", replace(plot, height=height), label, width)
