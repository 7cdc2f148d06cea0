"""Charts of variables: of an episode, with panels, limits, instants and a text alternative; and the
last values as a small line, with a text on the present value.

The chart of an episode has no more points than a chart can show: first, lowest, highest and last
per column.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import cycle, pairwise
from statistics import median
from typing import Literal, NamedTuple

from markupsafe import Markup

from alerting.deferred import np
from alerting.definitions.alert_definition import Condition, Problem
from alerting.definitions.asset_documents import Asset
from alerting.definitions.fields.condition_fields import Combination
from alerting.definitions.threshold_limits import levels_on, unknown_limits
from alerting.definitions.wording.language import (
    ENGLISH,
    Language,
    Styled,
    digits_beside,
    measured,
    template,
    translatable,
)
from alerting.episodes.episode import Contribution, Episode
from alerting.readings.history import Floats, Millis, duration_millis, from_millis, to_millis
from alerting.reporting.charts import (
    LimitLine,
    Plot,
    PlotSeries,
    figure,
    number_ticks,
    share_ticks,
    spark,
    time_ticks,
)
from alerting.reporting.model_charts import BarChart, bars_plot
from alerting.reporting.phrases import number
from alerting.reporting.pictures import png

COLUMNS = 320
_FEW = 60  # values of which each has a dot
_RULES = ("problem", "event", "hit", "undetermined")  # colours
AT_RAISE = translatable("limit at the raise")


@dataclass(frozen=True)
class ChartLevel:
    """A dashed line across a panel. `is_limit`: not what is usual or to be expected."""

    value: float
    label: str
    is_limit: bool = True


@dataclass(frozen=True)
class MovingLevel:
    """A dashed line: each value is in force from its instant (ms) to the next one or `end`; NaN: no
    limit."""

    at: Millis
    values: Floats
    end: int
    label: str

    def parts(self, low: float, high: float) -> list[tuple[Millis, Floats]]:
        """Return its unbroken parts between two values, each with the instant at which it ends."""
        at = np.append(self.at, self.end)
        inside = (self.values >= low) & (self.values <= high)
        edges = np.flatnonzero(np.diff(np.r_[False, inside, False])).reshape(-1, 2).tolist()
        return [
            (at[first : last + 1], np.append(self.values[first:last], self.values[last - 1]))
            for first, last in edges
        ]

    def cut_before(self, start: int) -> MovingLevel:
        """Return the line from an instant (ms) on."""
        first = max(int(np.searchsorted(self.at, start, side="right")) - 1, 0)
        return replace(self, at=np.maximum(self.at[first:], start), values=self.values[first:])

    @property
    def values_in_force(self) -> Floats:
        """Return the values that were in force."""
        return self.values[~np.isnan(self.values)]

    @property
    def gap(self) -> timedelta:
        """Return for how long no limit was in force."""
        return timedelta(
            milliseconds=int(np.diff(np.append(self.at, self.end))[np.isnan(self.values)].sum())
        )


class LevelsInForce(NamedTuple):
    """Limits that change, by variable, and why they are not known (empty if they are)."""

    by_variable: Mapping[str, tuple[MovingLevel, ...]]
    missing: str = ""


NO_MOVING_LEVELS = LevelsInForce({})


@dataclass(frozen=True)
class Fan:
    """A forecast at a raise: instants ahead (ms), the median and the 90 % interval.

    It begins with the last known value. `crossing`: the instant at which the median leaves its
    limit, if it does.
    """

    at: tuple[int, ...]
    low: tuple[float, ...]
    middle: tuple[float, ...]
    high: tuple[float, ...]
    crossing: int | None = None


@dataclass(frozen=True)
class Panel:
    """One variable, or the risk as shares from 0 to 1 (`share`), over time.

    `hold`: the longest time for which a value is carried forward without a next one; then the line
    breaks; without, each value is a sample. `is_control`: of a control chart, whose points beyond
    the limits are marked. `signals`: by rule, the points at which it signals.
    """

    name: str
    unit: str | None
    at: Millis
    values: Floats
    levels: tuple[ChartLevel, ...] = ()
    share: bool = False
    hold: timedelta = timedelta(days=1)
    fan: Fan | None = None
    moving: tuple[MovingLevel, ...] = ()
    note: str = ""
    is_control: bool = False
    signals: Mapping[str, tuple[Millis, Floats]] = field(default_factory=dict)

    def show(self, value: float, language: Language, digits: int = 4) -> str:
        """Return a value as the chart shows it."""
        return language.share(value) if self.share else language.show(Styled(value, f".{digits}g"))

    def measure(self, value: float, language: Language) -> str:
        """Return a value as the chart shows it, with its unit."""
        return " ".join(filter(None, (self.show(value, language), self.unit)))


@dataclass(frozen=True)
class EpisodeChart:
    """Panels from `start` to `end`. `window`: of the prediction. `cut`: what lies outside."""

    panels: tuple[Panel, ...]
    start: datetime
    end: datetime
    raised_at: datetime
    happening_at: datetime | None
    closed_at: datetime | None
    now: datetime | None
    window: tuple[datetime, datetime] | None = None
    cut: str = ""


def problem_levels(problem: Problem) -> tuple[ChartLevel, ...]:
    """Return the limits of a problem, or its value if that is a number."""
    if isinstance(problem.equals, float):
        return (ChartLevel(problem.equals, translatable("problem")),)
    return tuple(
        ChartLevel(value, translatable("limit"))
        for value in (problem.below, problem.above)
        if value is not None
    )


def usual_levels(reason: Contribution) -> tuple[ChartLevel, ...]:
    """Return the ends of the usual range of a reason's variable, or its usual value; none of a
    text."""
    usual = reason.usual if isinstance(reason.usual, int | float) else None
    values = (
        (translatable("usual from"), reason.usual_low),
        (translatable("usual to"), reason.usual_high),
        (translatable("usual"), usual if reason.usual_low is None else None),
    )
    return tuple(
        ChartLevel(float(value), name, is_limit=False)
        for name, value in values
        if value is not None
    )


def levels_by_variable(combination: Combination, asset: Asset) -> dict[str, tuple[ChartLevel, ...]]:
    """Return the limits of conditions of several variables, by variable as they are written."""
    by_variable: defaultdict[str, tuple[ChartLevel, ...]] = defaultdict(tuple)
    for leaf in combination.leaves():
        by_variable[leaf.variable] += condition_levels(leaf, asset)
    return by_variable


def condition_levels(definition: Condition, asset: Asset) -> tuple[ChartLevel, ...]:
    """Return the limits on the values of a variable, the least severe first; none of a rate or of a
    number in a time."""
    if definition.rate_per or definition.count_within or unknown_limits(definition, asset):
        return ()
    several = definition.levels is not None
    levels = []
    for level in levels_on(definition, asset):
        label = level.severity if several else translatable("limit")
        numbers = [level.below, level.above, *(level.inside or ())]
        if isinstance(level.equals, float | int) and not isinstance(level.equals, bool):
            numbers.append(float(level.equals))
        levels += [ChartLevel(value, label) for value in numbers if value is not None]
    return tuple(levels)


def new_panel(panel: Panel) -> Panel:
    """Return the panel with at most four points for each column of a chart."""
    at, values = thin_out(panel.at, panel.values, COLUMNS)
    width = timedelta(milliseconds=int(at[-1] - at[0]) / COLUMNS) if len(at) else timedelta(0)
    return replace(panel, at=at, values=values, hold=max(panel.hold, 2 * width))


def thin_out(at: Millis, values: Floats, columns: int) -> tuple[Millis, Floats]:
    """Return first, lowest, highest and last value of each column, without missing ones."""
    is_known = ~np.isnan(values)
    at = at[is_known]
    values = values[is_known]
    if len(at) <= 4 * columns:
        return at, values
    column = (at - at[0]) * columns // max(1, int(at[-1] - at[0]) + 1)
    starts = np.flatnonzero(np.r_[True, column[1:] != column[:-1]])
    chosen: set[int] = set()
    for first, last in zip(starts.tolist(), [*(starts[1:] - 1).tolist(), len(at) - 1], strict=True):
        part = values[first : last + 1]
        chosen |= {first, last, first + int(part.argmin()), first + int(part.argmax())}
    indices = np.array(sorted(chosen))
    return at[indices], values[indices]


def episode_chart(
    episode: Episode,
    panels: Sequence[Panel],
    start: datetime,
    now: datetime,
    gap: timedelta,
    cut: str = "",
) -> EpisodeChart | None:
    """Return the chart of an episode from `start` on; None without a number to draw."""
    filled = [p for p in panels if len(p.at)]
    if not filled:
        return None
    drawn_from = max(to_millis(start), min(int(p.at[0]) for p in filled))
    is_open = episode.condition == "open"
    expected = episode.expected_until(now) if is_open else episode.valid_until
    window_end = expected if episode.is_prediction else None
    ends = (
        from_millis(max(int(p.at[-1]) for p in filled)),
        min(window_end, now + (now - start)) if window_end else None,
        now if is_open else None,
        episode.raised_at,
    )
    return EpisodeChart(
        panels=tuple(
            replace(p, moving=tuple(level.cut_before(drawn_from) for level in p.moving))
            for p in filled
        ),
        start=from_millis(drawn_from),
        end=max(filter(None, ends)),
        raised_at=episode.raised_at,
        happening_at=episode.happening_at,
        closed_at=episode.closed_at,
        now=now if is_open else None,
        window=(episode.raised_at + gap, window_end) if window_end else None,
        cut=cut,
    )


def describe(chart: EpisodeChart, zone: tzinfo = UTC, language: Language = ENGLISH) -> str:
    """Return the text alternative of the chart."""
    local = (at.astimezone(zone) for at in (chart.start, chart.end))
    ends = [f"{language.month_day(at)} {at:%H:%M}" for at in local]
    panels = "; ".join(_describe_panel(panel, language) for panel in chart.panels)
    return f"{panels}; {language.say('from {start} to {end}', start=ends[0], end=ends[1])}"


def _describe_panel(panel: Panel, language: Language) -> str:
    name = language.translate(panel.name)
    values = panel.values
    shown = (
        language.say(
            "{name} {low} to {high}, last {last}",
            name=name,
            low=panel.show(float(values.min()), language),
            high=panel.measure(float(values.max()), language),
            last=panel.measure(float(values[-1]), language),
        )
        if len(values)
        else language.say("{label} not known", label=name)
    )
    limits = [
        f"{language.translate(level.label)} {panel.measure(level.value, language)}"
        for level in panel.levels
    ]
    moving = [describe_moving(panel, level, language) for level in panel.moving]
    return ", ".join([shown, *limits, *moving])


def describe_moving(panel: Panel, level: MovingLevel, language: Language) -> str:
    """Return a changing limit in words: label, lowest and highest value, time without one."""
    label = language.translate(level.label)
    values = level.values_in_force
    if not len(values):
        return language.say("{label} not known", label=label)
    low, high = [panel.show(float(end), language) for end in (values.min(), values.max())]
    limit = panel.measure(float(values.max()), language)
    course = language.say("{label} {low} to {high}", label=label, low=low, high=limit)
    shown = f"{label} {limit}" if low == high else course
    without = language.say(
        "{limit}, not known for {duration}", limit=shown, duration=language.minutes(level.gap)
    )
    return without if level.gap else shown


def lines(panel: Panel) -> list[tuple[Millis, Floats]]:
    """Return the unbroken parts of a line; a value is carried forward for at most `hold`, and none
    after the last one, where the variable is unknown. Each part has instants (ms) and values."""
    hold = duration_millis(panel.hold)
    breaks = np.flatnonzero(np.diff(panel.at) > hold) + 1
    parts = zip(np.split(panel.at, breaks), np.split(panel.values, breaks), strict=True)
    return [
        (np.append(at, min(at[-1] + hold, panel.at[-1])), np.append(values, values[-1]))
        for at, values in parts
        if len(at)
    ]


def value_range(panel: Panel) -> tuple[float, float]:
    """Return the range of a chart: all values, their predictions, and the limits near them; for a
    variable without a value yet, the range of its prediction alone."""
    if panel.share:
        return 0.0, 1.0
    fan = () if panel.fan is None else (*panel.fan.low, *panel.fan.high)
    shown = [*fan, *panel.values.tolist()]
    moving = [value for level in panel.moving for value in level.values_in_force.tolist()]
    levels = [*(level.value for level in panel.levels), *moving]
    low = min(shown, default=0.0)
    high = max(shown, default=0.0)
    shown += sorted(levels, key=lambda v: max(low - v, v - high))[:1]
    reach = max(shown, default=0.0) - min(shown, default=0.0) or abs(high) or 1.0
    low = min(shown, default=0.0) - reach
    high = max(shown, default=0.0) + reach
    shown += [value for value in levels if low <= value <= high]
    low = min(shown, default=0.0)
    high = max(shown, default=0.0)
    pad = 0.08 * (high - low or abs(high) or 1.0)
    return low - pad, high + pad


def panel_plot(
    panel: Panel,
    start: float,
    end: float,
    ticks: Sequence[tuple[float, str]],
    language: Language = ENGLISH,
) -> Plot:
    """Return the plot of a variable between two instants (ms) with its limits, named on it."""
    low, high = value_range(panel)
    y_ticks = (share_ticks if panel.share else number_ticks)(low, high, language)
    heading = ", ".join(filter(None, (language.translate(panel.name), panel.unit)))
    title = "; ".join(filter(None, (heading, language.translate(panel.note))))
    unit = "share" if panel.share else panel.unit or ""
    plot = Plot((start, end), (low, high), 120, title, ticks, y_ticks, unit=unit)
    if panel.fan is not None:
        interval = language.say("90 % interval")
        plot.area(panel.fan.at, panel.fan.low, panel.fan.high, opacity=0.18, name=interval)
        name = language.say("predicted")
        plot.line(panel.fan.at, panel.fan.middle, dashed=bool(panel.hold), name=name)
        plot.series.append(PlotSeries(name, panel.fan.at, panel.fan.middle))
    if not panel.hold:
        plot.dots(panel.at, panel.values, "ink", 3, language.say("sample"), "dot sample")
    else:
        for at, values in lines(panel):
            plot.line(at, values, steps=True)
        few = panel.at[: _FEW * (len(panel.at) <= _FEW)]
        plot.dots(few, panel.values[: len(few)], radius=2.5)
    if panel.is_control:
        limits = [level.value for level in panel.levels if level.is_limit]
        is_beyond = (panel.values < min(limits)) | (panel.values > max(limits))
        name = language.say("beyond the limits")
        plot.dots(panel.at[is_beyond], panel.values[is_beyond], "limit", 5, name, "dot beyond")
    for colour, (rule, (at, values)) in zip(cycle(_RULES), panel.signals.items(), strict=False):
        plot.dots(at, values, colour, 3.5, language.translate(rule))
    hold = duration_millis(panel.hold) or None
    plot.series.append(PlotSeries(language.translate(panel.name), panel.at, panel.values, hold))
    for level in panel.levels:
        label = language.translate(level.label)
        is_zone = len(label) == 1 and not panel.share  # of a control chart
        text = label if is_zone else f"{label} {panel.measure(level.value, language)}"
        plot.levels.append(LimitLine(level.value, text, level.is_limit))
    for moving in panel.moving:
        name = describe_moving(panel, moving, language)
        for at, values in moving.parts(low, high):
            plot.line(at, values, "limit", 1.4, dashed=True, steps=True, name=name, look="moving")
        plot.series.append(PlotSeries(language.translate(moving.label), moving.at, moving.values))
    return plot


def episode_plots(chart: EpisodeChart, zone: tzinfo, language: Language = ENGLISH) -> list[Plot]:
    """Return panels below each other, the alarm and the predicted time shaded, with the marked
    instants."""
    start = to_millis(chart.start)
    end = max(to_millis(chart.end), start + 1)
    ticks = time_ticks(chart.start, chart.end, zone, language, most=5)
    plots = [panel_plot(panel, start, end, (), language) for panel in chart.panels]
    ahead = next((p.fan.crossing for p in chart.panels if p.fan is not None), None)
    moments = (
        (template("raised {time}"), chart.raised_at),
        (template("happening {time}"), chart.happening_at),
        (template("over {time}"), chart.closed_at),
        (template("now {time}"), chart.now),
        (template("limit expected {time}"), None if ahead is None else from_millis(ahead)),
    )
    over = max(chart.raised_at, chart.closed_at or chart.now or chart.end)
    for plot in plots:
        if chart.raised_at >= chart.start:
            band = (float(to_millis(chart.raised_at)), float(to_millis(over)))
            plot.band(band, "alarm", language.say("alarm"), "false-alarm")
        if chart.window is not None:
            window = (float(to_millis(chart.window[0])), float(to_millis(chart.window[1])))
            plot.band(window, "expected", language.say("predicted time"), "score", part=0.08)
        for rank, (label, at) in enumerate(moments):
            if at is not None and chart.start <= at <= chart.end:
                text = language.say(label, time=f"{at.astimezone(zone):%H:%M}")
                is_last = plot is plots[-1]
                plot.moment(to_millis(at), text if is_last else "", "ink", dashed=rank > 2)
    plots[-1].x_ticks = ticks
    plots[-1].x_title = f"{chart.end.astimezone(zone):%Z}"
    return plots


def episode_figure(chart: EpisodeChart, zone: tzinfo, language: Language = ENGLISH) -> Markup:
    """Return the chart of an episode for its page."""
    plots = episode_plots(chart, zone, language)
    return figure(plots, describe(chart, zone, language), language, zone, chart.cut, id="chart")


def episode_image(
    chart: EpisodeChart, zone: tzinfo, bars: Sequence[BarChart] = (), language: Language = ENGLISH
) -> bytes:
    """Draw the chart of an episode for mails, and below it the bars."""
    plots = episode_plots(chart, zone, language)
    return png([*plots, *(bars_plot(chart_of_bars, language) for chart_of_bars in bars)])


_ENOUGH = 6
_LEAST_MOVE = 0.02  # of the range of values and limit
_LEAST_JUMP = 0.25
_JUMP_STEPS = 4
_PARTS = 3  # of the last third
_LEAST_PART = 2
_TURN_STEPS = 2.5
_LEAST_TURN = 0.05
_CLEAR_STEPS = 5
_LEAST_PROGRESS = 0.125  # of a move between thirds; steady rising gives a third of it
Direction = Literal["rising", "falling", "steady"]
_NOW = {
    "rising": template("{value}, rising"),
    "falling": template("{value}, falling"),
    "steady": template("{value}, steady"),
}


@dataclass(frozen=True)
class Sparkline:
    """The line of the last values with its limit, and the last value.

    `direction`: None where there are too few values to see one. `at`: of the last value (ms).
    `title`: of the variable, where the sentence on the alarm need not name it. `is_old`: a newer
    value should have come; then the course is not known.
    """

    drawn: Markup
    limit: float | None
    value: float
    unit: str | None
    at: int
    direction: Direction | None
    title: str | None = None
    is_old: bool = False

    @property
    def when(self) -> datetime:
        """Return the instant of the last value."""
        return from_millis(self.at)

    def describe(self, language: Language = ENGLISH) -> str:
        """Return the last value and its course: `3.9 %, rising`, `Belt speed 2 m/min, steady`."""
        digits = digits_beside(self.value, self.limit)
        value = f"{number(self.value, digits, language)}{f' {self.unit}' if self.unit else ''}"
        shown = f"{self.title} {value}" if self.title else value
        if self.direction is None or self.is_old:
            return shown
        return language.say(_NOW[self.direction], value=shown)

    def describe_limit(self, language: Language = ENGLISH) -> str | None:
        """Return the limit as reasons name it, not rounded further: `limit 216.5 °C`; None without
        one."""
        if self.limit is None:
            return None
        return language.say("limit {value}", value=measured(self.limit, "g", self.unit))


def sparkline(
    at: Millis,
    values: Floats,
    levels: Sequence[ChartLevel],
    unit: str | None,
    title: str | None = None,
) -> Sparkline | None:
    """Return the line of the last values, with the limit nearest to the last one; None without a
    value. A usual or expected value is no limit. `at`: the instant (ms) of each value."""
    at, values = thin_out(at, values, 30)
    if not len(at):
        return None
    last = float(values[-1])
    limit = min(
        (level.value for level in levels if level.is_limit),
        key=lambda v: abs(v - last),
        default=None,
    )
    low = float(min(values.min(), last if limit is None else limit))
    high = float(max(values.max(), last if limit is None else limit))
    height = high - low or abs(high) or 1.0
    low -= 0.06 * height
    height *= 1.12
    numbers = values.tolist()
    direction = _direction(numbers, height)
    drawn = (
        _draw_spark(tuple(at.tolist()), tuple(numbers), (low, low + height), limit)
        if len(at) > 1
        else Markup()
    )
    return Sparkline(drawn, limit, last, unit, int(at[-1]), direction, title)


@lru_cache(1_000)  # some 3 MB: the front page shows the same line until a value comes
def _draw_spark(
    at: tuple[float, ...], values: tuple[float, ...], y: tuple[float, float], limit: float | None
) -> Markup:
    plot = Plot((at[0], at[-1]), y)
    plot.line(at, values)
    plot.levels += [] if limit is None else [LimitLine(limit, "")]
    return spark(plot)


def _direction(values: Sequence[float], height: float) -> Direction | None:
    """Return the direction of the last third of values compared with the third before it, if they
    differ by more than the usual step between two values and a small part of the range.

    After a jump that most of the third does not show yet, the last value decides: it lies a quarter
    of the range away from the others, and four of their usual steps. What has moved and stays where
    it is, is steady; what turns within the last third has its new direction.
    """
    if len(values) < _ENOUGH:
        return None
    third = len(values) // 3
    moved = median(values[-third:]) - median(values[-2 * third : -third])
    step = median(abs(later - earlier) for earlier, later in pairwise(values))
    least_jump = max(_JUMP_STEPS * step, _LEAST_JUMP * height)
    jump = values[-1] - median(values[-2 * third :])
    if abs(jump) > least_jump:
        moved = jump
    part = third // _PARTS
    last = median(values[-max(part, 1) :])
    if part >= _LEAST_PART and abs(values[-1] - last) <= least_jump:
        late = last - median(values[-2 * part : -part])
        if abs(late) > max(_TURN_STEPS * step, _LEAST_TURN * height):
            moved = late
        elif abs(moved) > _CLEAR_STEPS * step and late * moved < _LEAST_PROGRESS * moved * moved:
            return "steady"
    if abs(moved) <= max(step, _LEAST_MOVE * height):
        return "steady"
    return "rising" if moved > 0 else "falling"
