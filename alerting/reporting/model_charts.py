"""Charts of models: bars of a risk; operating points, with the problems that each threshold would
have found and its false alarms on the rows that chose a threshold, and the limit of false alarms
that would choose it; calibration; and the charts of a training for the registry."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from math import ceil, floor, log10
from typing import Any, Literal, NamedTuple

from alerting.deferred import np
from alerting.definitions.asset_documents import Asset
from alerting.definitions.wording.language import (
    ENGLISH,
    Language,
    Styled,
    format_threshold,
    join_first,
    template,
    translatable,
)
from alerting.episodes.episode import Contribution, Episode
from alerting.readings.history import Floats
from alerting.reporting.charts import ROW, Plot, PlotSeries, number_ticks, share_ticks
from alerting.reporting.pictures import png

SHOWN = 6
CAVEAT = translatable(
    "Points are percentage points of risk: they add up from the usual risk of the training rows to "
    "this one. They say what the model used, not what caused the problem."
)


class Bar(NamedTuple):
    """One bar between two shares. `kind`: a level of the risk, or a step of it up or down."""

    label: str
    start: float
    end: float
    kind: Literal["usual", "up", "down", "risk", "after"]
    text: str


class BarChart(NamedTuple):
    """Bars below each other on one axis. `threshold`: at which the alarm is raised, if it is known;
    `alarm`: its label."""

    title: str
    bars: tuple[Bar, ...]
    threshold: float | None = None
    alarm: str = ""

    @property
    def description(self) -> str:
        """Return the text alternative."""
        summary = ", ".join(f"{bar.label} {bar.text}" for bar in self.bars)
        return "; ".join(filter(None, (f"{self.title}: {summary}", self.alarm)))


def reasons_waterfall(
    episode: Episode, asset: Asset | None, language: Language = ENGLISH
) -> BarChart | None:
    """Return the bars of how the variables lead to the risk: the newest risk of an open episode,
    else that of the raise."""
    if not episode.is_prediction:
        return None
    newest = episode.present if episode.condition == "open" else None
    why = newest.contributions if newest else episode.contributions
    score = newest.risk if newest else episode.evaluation.value
    # the reasons are those of the advice that stays
    if newest is not None and newest.advised_at is not None:
        score = newest.recommendation.risk_before
    return waterfall(why, score, episode.evaluation.threshold, titles_of(asset), language)


def titles_of(asset: Asset | None) -> dict[str, str]:
    """Return the titles of variables that have one, by name."""
    declared = asset.variables.items() if asset else ()
    return {name: variable.title for name, variable in declared if variable.title}


def waterfall(
    contributions: Sequence[Contribution],
    score: float | None,
    threshold: float | None,
    titles: Mapping[str, str],
    language: Language = ENGLISH,
) -> BarChart | None:
    """Return the steps from the usual score to this one. `titles`: of variables, by name."""
    if score is None or not contributions:
        return None
    shares = [
        (language.translate(join_first([titles.get(n, n) for n in c.names], 2)), c.share)
        for c in contributions
    ]
    steps = _largest(shares, SHOWN, language)
    level = usual = score - sum(share for _, share in steps)
    start, end = sorted((0.0, level))
    bars = [Bar(language.say("Usual risk"), start, end, "usual", language.share(level))]
    for title, share in steps:
        start, end = sorted((level, level + share))
        text = f"{'+' if share >= 0 else '-'}{language.points(abs(share))}"
        bars.append(Bar(title, start, end, "up" if share >= 0 else "down", text))
        level += share
    bars.append(Bar(language.say("Risk"), 0.0, score, "risk", language.share(score)))
    course = (
        template("How the risk rose from {usual} to {risk}")
        if score >= usual
        else template("How the risk fell from {usual} to {risk}")
    )
    title = language.say(course, usual=Styled(usual, "share"), risk=Styled(score, "share"))
    return _chart(title, bars, threshold, language)


def risk_steps(episode: Episode, language: Language = ENGLISH) -> BarChart | None:
    """Return the risk at the raise, now (until the problem has come), and after the advised change;
    None without any."""
    advice = episode.advice if episode.condition == "open" else episode.recommendation
    at_raise = episode.evaluation.value
    if at_raise is None or advice is None or not episode.is_prediction:
        return None
    # once the problem has come, what a model says is no risk that it will come
    waits = episode.condition == "open" and episode.happening_at is None
    present = episode.present.risk if episode.present is not None and waits else None
    has_change = advice.changes and advice.risk_after < advice.risk_before
    levels: tuple[tuple[str, float | None, Literal["risk", "after"]], ...] = (
        (template("When the alarm came"), at_raise, "risk"),
        (template("Now"), present, "risk"),
        (template("With this change"), advice.risk_after if has_change else None, "after"),
    )
    bars = [
        Bar(language.say(label), 0.0, value, kind, language.share(value))
        for label, value, kind in levels
        if value is not None
    ]
    threshold = episode.evaluation.threshold
    return _chart(language.say("Risk"), bars, threshold, language) if len(bars) > 1 else None


def importance_bars(
    shares: Mapping[str, float],
    titles: Mapping[str, str],
    language: Language = ENGLISH,
    title: str = "",
    show: Callable[[float], str] | None = None,
) -> BarChart | None:
    """Return the share of each variable in a score, the largest first; None without any. `show`:
    how a share is written, by default in points."""
    named = [
        (titles.get(n, n.replace("_", " ")), share) for n, share in shares.items() if share > 0
    ]
    bars = [
        Bar(name, 0.0, share, "risk", (show or language.points)(share))
        for name, share in _largest(named, MOST_VARIABLES, language)
    ]
    title = title or language.say("How much each variable moves the risk")
    return BarChart(title, tuple(bars)) if bars else None


def _largest(
    shares: Sequence[tuple[str, float]], most: int, language: Language
) -> list[tuple[str, float]]:
    """Return the largest shares with their names, and the sum of the others."""
    ranked = sorted(shares, key=lambda named: -abs(named[1]))
    others = ranked[most:]
    title = language.say_count("{number} other", "{number} others", len(others))
    return [*ranked[:most], *([(title, sum(share for _, share in others))] if others else [])]


def _chart(
    title: str, bars: Sequence[Bar], threshold: float | None, language: Language
) -> BarChart:
    alarm = language.say("alarm at {threshold}", threshold=language.share(threshold or 0.0))
    return BarChart(title, tuple(bars), threshold, "" if threshold is None else alarm)


MOST = 10
_USUAL_STATE = 0.5  # an alarm that holds for longer is no choice
_LEAST_LIMIT = 0.1  # false alarms a week and asset
_MEASURED = (
    *("threshold", "event_recall", "false_alarms_per_week", "time_in_alarm"),
    *("n_found", "n_events", "n_assets"),
)
_SMALLEST_RATE = 1e-9  # false alarms a week; what is below is a damaged figure


@dataclass(frozen=True)
class CurvePoint:
    """A threshold, with its metrics on the rows that chose a threshold.

    `problems_found` of `problems`. `false_alarms_per_week`: on each asset; `assets`: their number.
    `chosen`: in force with this model. `at_most`: the `operating_point.false_alarms_per_week` by
    which a training with these data would choose it, None where its time in alarm is beyond the
    limit.
    """

    threshold: float
    share_found: float
    false_alarms_per_week: float
    time_in_alarm: float
    precision: float | None
    problems_found: int
    problems: int
    assets: int
    chosen: bool
    at_most: float | None

    @property
    def on_all(self) -> float:
        """Return the false alarms a week on all assets together."""
        return self.false_alarms_per_week * self.assets


def operating_points(
    curve: Sequence[Mapping[str, Any]], max_time_in_alarm: float, most: int = MOST
) -> list[CurvePoint]:
    """Return the points worth choosing, and the point in force: each finds more problems than all
    points with fewer false alarms. Points that find still more, but only with a longer time in
    alarm than the training allowed, follow without `at_most`. At most `most` points, by rising
    share found.

    `curve`: as a training stores it. `max_time_in_alarm`: of the definition; the training may have
    allowed more.
    """
    complete = [p for p in curve if all(isinstance(p.get(key), int | float) for key in _MEASURED)]
    allowed_time = max(
        [max_time_in_alarm, *(p["time_in_alarm"] for p in complete if p.get("within_budget"))]
    )
    choosable = _best([p for p in complete if p["time_in_alarm"] <= allowed_time])
    rates = [p["false_alarms_per_week"] for p in choosable]
    limits = [limit_choosing(*pair) for pair in zip(rates, [*rates, None][1:], strict=True)]
    shown = [*choosable, *(p for p in complete if p.get("chosen") and p not in choosable)]
    most_found = max((p["event_recall"] for p in shown), default=-1.0)
    beyond = [
        p
        for p in complete
        if p["event_recall"] > most_found and allowed_time < p["time_in_alarm"] <= _USUAL_STATE
    ]
    points = [
        CurvePoint(
            p["threshold"],
            p["event_recall"],
            p["false_alarms_per_week"],
            p["time_in_alarm"],
            p.get("episode_precision"),
            p["n_found"],
            p["n_events"],
            p["n_assets"],
            bool(p.get("chosen")),
            at_most,
        )
        for p, at_most in zip_longest([*shown, *_best(beyond)], limits)
    ]
    points.sort(key=lambda p: (p.share_found, p.false_alarms_per_week))
    if len(points) <= most:
        return points
    chosen = next((rank for rank, point in enumerate(points) if point.chosen), 0)
    ranks = {round(n * (len(points) - 1) / (most - 2)) for n in range(most - 1)}
    return [points[rank] for rank in sorted(ranks | {chosen})]


def _best(points: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the points that find more problems than all points with fewer false alarms; of equal
    points the chosen one, else the one with the shortest time in alarm."""
    best: list[Mapping[str, Any]] = []
    for point in sorted(points, key=_order):
        if not best or point["event_recall"] > best[-1]["event_recall"]:
            best.append(point)
        elif point.get("chosen") and _order(point)[:2] == _order(best[-1])[:2]:
            best[-1] = point
    return best


def limit_choosing(rate: float, following: float | None) -> float:
    """Return a short number from `rate` on and below `following`, the rate of the next point."""
    if rate <= 0:
        half = _LEAST_LIMIT if following is None else min(following / 2, _LEAST_LIMIT)
        return float(f"{half:.0e}") if half >= _SMALLEST_RATE else 0.0
    for digit in range(0 if rate >= _SMALLEST_RATE else 5, 5):
        scale = 10.0 ** (digit - floor(log10(rate)))
        limit = float(f"{ceil(rate * scale - 1e-9) / scale:.6g}")
        if limit >= rate and (following is None or limit < following):
            return limit
    return rate


def curve_plot(points: Sequence[CurvePoint], language: Language = ENGLISH) -> Plot:
    """Return the share of problems found over the false alarms a week on all assets; points that no
    limit chooses are not on the line."""
    most = 1.05 * max((p.on_all for p in points), default=0.0) or 1.0
    title = language.say("Problems found")
    x_ticks = number_ticks(0, most, language)
    plot = Plot((0, most), (0, 1.05), 200, title, x_ticks, share_ticks(0, 1, language))
    plot.unit = "share"
    plot.x_title = language.say("false alarms a week")
    on_line = [p for p in points if p.at_most is not None]
    plot.line([p.on_all for p in on_line], [p.share_found for p in on_line])
    groups = (
        (template("a threshold to choose"), "score", 5, "dot"),
        (template("too long in alarm"), "undetermined", 5, "dot beyond"),
        (template("in force now"), "limit", 8, "dot chosen"),
    )
    for rank, (name, colour, radius, look) in enumerate(groups):
        group = [p for p in points if rank == (2 if p.chosen else p.at_most is None)]
        shares = [p.share_found for p in group]
        plot.dots([p.on_all for p in group], shares, colour, radius, language.say(name), look)
    plot.series.append(
        PlotSeries(title, [p.on_all for p in points], [p.share_found for p in points])
    )
    return plot


def _order(point: Mapping[str, Any]) -> tuple[float, float, float]:
    return (
        point["false_alarms_per_week"],
        -point["event_recall"],
        point["time_in_alarm"],
    )


MOST_VARIABLES = 15
_BARS = {
    "usual": ("undetermined", ""),
    "up": ("false-alarm", template("raises the risk")),
    "down": ("hit", template("lowers the risk")),
    "risk": ("score", ""),
    "after": ("hit", ""),
}


def bars_plot(chart: BarChart, language: Language = ENGLISH) -> Plot:
    """Return the plot of bars below each other with their texts, and the threshold dashed."""
    ends = [0.0, *(end for bar in chart.bars for end in (bar.start, bar.end))]
    low = min(ends)
    high = max(*ends, chart.threshold or 0.0, 1e-6)
    rows = range(len(chart.bars) - 1, -1, -1)
    plot = Plot(
        (low, high + 0.22 * (high - low)),
        (-0.5, len(chart.bars) - 0.5),
        ROW * len(chart.bars),
        chart.title,
        share_ticks(low, high, language),
        [(float(row), bar.label) for row, bar in zip(rows, chart.bars, strict=True)],
        grid=False,
        named_rows=True,
        rows=[(bar.label, bar.text) for bar in chart.bars],
    )
    for row, bar in zip(rows, chart.bars, strict=True):
        colour, name = _BARS[bar.kind]
        plot.bar((bar.start, bar.end), (row - 0.3, row + 0.3), colour, 1, language.say(name))
        plot.write(bar.end, row, bar.text, shift=(5, 4), look="amount")
    if chart.threshold is not None:
        plot.moment(chart.threshold, chart.alarm, "limit", dashed=True)
    return plot


def calibration_plot(
    bins: Sequence[Mapping[str, Any]], x_title: str, y_title: str, language: Language = ENGLISH
) -> Plot:
    """Return the observed share against the score, with 95 % intervals where they are known; the
    diagonal is exact."""
    highest = max(max(p["score"], p["observed"], p.get("high", 0.0)) for p in bins)
    limit = min(1.0, 1.1 * highest) or 1.0
    ticks = share_ticks(0, limit, language)
    plot = Plot((0, limit), (0, limit), 190, y_title, ticks, ticks, x_title)
    plot.unit = plot.x_unit = "share"
    plot.line(
        (0, limit), (0, limit), "muted", 1, dashed=True, name=language.say("exact"), look="usual"
    )
    interval = language.say("95 % interval")
    for point in (p for p in bins if "low" in p):
        plot.line((point["score"],) * 2, (point["low"], point["high"]), width=1, name=interval)
    scores = [point["score"] for point in bins]
    observed = [point["observed"] for point in bins]
    plot.line(scores, observed)
    plot.dots(scores, observed, name=language.say("measured"))
    plot.series.append(PlotSeries(y_title, scores, observed))
    return plot


def evidence_charts(evidence: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, bytes]:
    """Draw PNG files by name for a challenger's evidence.

    `evidence`: `threshold_curve`, `reliability` and `importance` as the training stores them; of a
    value without an alarm only the last one. `names`: titles of variables. Charts without data are
    omitted.
    """
    curve = evidence.get("threshold_curve", ())
    bins = evidence.get("reliability", ())
    files: dict[str, bytes] = {}
    if len(curve) > 1:
        plot = curve_plot(operating_points(curve, 0.0))
        chosen = next(point["threshold"] for point in curve if point["chosen"])
        plot.title += f"; threshold in service: {format_threshold(chosen)}"
        files["threshold.png"] = png([plot])
    if bins:
        plot = calibration_plot(bins, "score (probability)", "share that a problem followed")
        files["calibration.png"] = png([plot])
    whole = sum(evidence["importance"].values()) or 1.0
    shares = {name: share / whole for name, share in evidence["importance"].items()}
    title = "Importance of each variable for the model"
    if bars := importance_bars(shares, names, ENGLISH, title, ENGLISH.share):
        files["importance.png"] = png([bars_plot(bars)], 560)
    return files


def swarm(
    variables: Sequence[str], shares: Floats, values: Floats, names: Mapping[str, str]
) -> bytes:
    """Draw the share (SHAP) of each variable in the score of each row, of rows by variable; the
    redder a dot, the higher the value. `names`: titles."""
    ranked = np.argsort(-np.abs(shares).mean(axis=0), kind="stable")[:MOST_VARIABLES]
    low = min(float(shares.min()), 0.0)
    high = max(float(shares.max()), 1e-6)
    rows = [float(len(ranked) - 1 - place) for place in range(len(ranked))]
    titles = [names.get(variables[i], variables[i]) for i in ranked]
    y_ticks = [*zip(rows, titles, strict=True)]
    x_title = "share of the variable in the score; red: a high value, blue: a low one"
    y = (-0.5, len(ranked) - 0.5)
    plot = Plot((low, high), y, 26 * len(ranked), "", number_ticks(low, high), y_ticks, x_title)
    spread = np.random.default_rng(0)
    for row, i in zip(rows, ranked, strict=True):
        is_known = ~np.isnan(values[:, i])
        middle = np.median(values[is_known, i]) if is_known.any() else 0.0
        at = row + spread.uniform(-0.3, 0.3, len(shares))
        for side, colour in enumerate(("undetermined", "score", "false-alarm")):
            on_side = np.where(is_known, 1 + (values[:, i] > middle), 0) == side
            plot.dots(shares[on_side, i], at[on_side], colour, 1.6)
    return png([plot], 640)
