"""Charts of models as numbers: bars of a risk, which pages draw as SVG and e-mails as PNG; and
operating points: for each threshold, the problems that it would have found and its false alarms on
the rows that chose a threshold, and the limit of false alarms that would choose it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any, Literal

from alerting.definitions.asset_documents import Asset
from alerting.definitions.wording.language import ENGLISH, Language, Styled, template, translatable
from alerting.episodes.episode import Contribution, Episode

SHOWN = 6
CAVEAT = translatable(
    "Points are percentage points of risk: they add up from the usual risk of the training rows to "
    "this one. They say what the model used, not what caused the problem."
)


@dataclass(frozen=True)
class Bar:
    """One bar between two shares. `kind`: a level of the risk, or a step of it up or down."""

    label: str
    start: float
    end: float
    kind: Literal["usual", "up", "down", "risk", "after"]
    text: str


@dataclass(frozen=True)
class BarChart:
    """Bars below each other on one axis from `low` to `high`.

    `threshold`: at which the alarm is raised, None if it is not known; `alarm`: its label.
    """

    title: str
    bars: tuple[Bar, ...]
    low: float
    high: float
    threshold: float | None
    description: str
    alarm: str = ""

    def percent_at(self, value: float) -> float:
        """Return the position of a value in percent of the width."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)


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
    ranked = sorted(contributions, key=lambda c: -abs(c.share))
    steps = [(titles.get(c.variable, c.variable), c.share) for c in ranked[:SHOWN]]
    others = ranked[SHOWN:]
    if others:
        title = language.say_count("{number} other", "{number} others", len(others))
        steps.append((title, sum(c.share for c in others)))
    level = usual = score - sum(share for _, share in steps)
    start, end = sorted((0.0, level))
    bars = [Bar(language.say("Usual risk"), start, end, "usual", language.share(level))]
    for title, share in steps:
        start, end = sorted((level, level + share))
        text = f"{'+' if share >= 0 else '-'}{language.points(abs(share))}"
        bars.append(Bar(title, start, end, "up" if share >= 0 else "down", text))
        level += share
    bars.append(_level(template("Risk"), score, "risk", language))
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
    bars = [_level(template("When the alarm came"), at_raise, "risk", language)]
    # once the problem has come, what a model says is no risk that it will come
    waits = episode.condition == "open" and episode.happening_at is None
    if episode.present is not None and waits:
        bars.append(_level(template("Now"), episode.present.risk, "risk", language))
    if advice.changes and advice.risk_after < advice.risk_before:
        bars.append(_level(template("With this change"), advice.risk_after, "after", language))
    if len(bars) == 1:
        return None
    return _chart(language.say("Risk"), bars, episode.evaluation.threshold, language)


def importance_bars(
    importance: Mapping[str, float], titles: Mapping[str, str], language: Language = ENGLISH
) -> BarChart | None:
    """Return the mean size of each variable's share in a score, the largest first."""
    bars = [
        Bar(titles.get(name, name), 0.0, share, "risk", language.points(share))
        for name, share in sorted(importance.items(), key=lambda item: -item[1])
        if share > 0
    ]
    title = language.say("How much each variable moves the risk")
    return _chart(title, bars, None, language) if bars else None


def _level(label: str, value: float, kind: Literal["risk", "after"], language: Language) -> Bar:
    return Bar(language.say(label), 0.0, value, kind, language.share(value))


def _chart(
    title: str, bars: Sequence[Bar], threshold: float | None, language: Language
) -> BarChart:
    values = [value for bar in bars for value in (bar.start, bar.end)]
    alarm = ""
    if threshold is not None:
        values.append(threshold)
        alarm = language.say("alarm at {threshold}", threshold=language.share(threshold))
    low = min(0.0, *values)
    high = max(*values, 1e-6)
    summary = ", ".join(f"{bar.label} {bar.text}" for bar in bars)
    described = f"{title}: {summary}{'; ' if alarm else ''}{alarm}"
    return BarChart(
        title, tuple(bars), low, high + 0.02 * (high - low), threshold, described, alarm
    )


MOST = 10
_USUAL_STATE = 0.5  # an alarm that holds for longer is no choice
_LEAST_LIMIT = 0.1  # false alarms a week and asset
_SMALLEST_RATE = 1e-9  # false alarms a week; what is below is a damaged figure


@dataclass(frozen=True)
class CurvePoint:
    """A threshold, with its metrics on the rows that chose a threshold.

    `problems_found` of `problems`: None in trainings of earlier versions, which stored
    `share_found` alone. `false_alarms_per_week`: on each asset; `assets`: their number, None as
    before. `chosen`: in force with this model. `at_most`: the
    `operating_point.false_alarms_per_week` by which a training with these data would choose it,
    None where its time in alarm is beyond the limit.
    """

    threshold: float
    share_found: float
    false_alarms_per_week: float
    time_in_alarm: float
    precision: float | None
    problems_found: int | None
    problems: int | None
    assets: int | None
    chosen: bool
    at_most: float | None

    @property
    def on_all(self) -> float:
        """Return the false alarms a week on all assets together."""
        return self.false_alarms_per_week * (self.assets or 1)


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
    complete = [
        p
        for p in curve
        if all(
            isinstance(p.get(key), int | float)
            for key in ("threshold", "event_recall", "false_alarms_per_week", "time_in_alarm")
        )
    ]
    allowed_time = max(
        [max_time_in_alarm, *(p["time_in_alarm"] for p in complete if p.get("within_budget"))]
    )
    choosable = _best([p for p in complete if p["time_in_alarm"] <= allowed_time])
    rates = [p["false_alarms_per_week"] for p in choosable]
    points = [
        _point(p, limit_choosing(rate, following))
        for p, rate, following in zip(choosable, rates, [*rates, None][1:], strict=True)
    ]
    points += [_point(p, None) for p in complete if p.get("chosen") and p not in choosable]
    most_found = max((p.share_found for p in points), default=-1.0)
    beyond = [
        p
        for p in complete
        if p["event_recall"] > most_found and allowed_time < p["time_in_alarm"] <= _USUAL_STATE
    ]
    points += [_point(p, None) for p in _best(beyond)]
    return _thinned(sorted(points, key=lambda p: (p.share_found, p.false_alarms_per_week)), most)


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
        if following is None:
            return _LEAST_LIMIT
        if following < _SMALLEST_RATE:
            return 0.0
        step = 10.0 ** floor(log10(following / 2))
        return min(floor(following / 2 / step) * step, _LEAST_LIMIT)
    if rate < _SMALLEST_RATE:
        return rate
    for digits in range(1, 6):
        step = 10.0 ** (floor(log10(rate)) - digits + 1)
        limit = float(f"{ceil(rate / step - 1e-9) * step:.6g}")
        if limit >= rate and (following is None or limit < following):
            return limit
    return rate


def curve_line(points: Sequence[CurvePoint]) -> list[tuple[float, float]]:
    """Return the positions of points in a plot, in percent from the left and from the top: false
    alarms increase to the right, problems found upwards."""
    widest = max((p.false_alarms_per_week for p in points), default=0.0) or 1.0
    return [
        (round(4 + 92 * p.false_alarms_per_week / widest, 2), round(94 - 88 * p.share_found, 2))
        for p in points
    ]


def _order(point: Mapping[str, Any]) -> tuple[float, float, float]:
    return (
        point["false_alarms_per_week"],
        -point["event_recall"],
        point["time_in_alarm"],
    )


def _point(p: Mapping[str, Any], at_most: float | None) -> CurvePoint:
    return CurvePoint(
        p["threshold"],
        p["event_recall"],
        p["false_alarms_per_week"],
        p["time_in_alarm"],
        p.get("episode_precision"),
        p.get("n_found"),
        p.get("n_events"),
        p.get("n_assets"),
        bool(p.get("chosen")),
        at_most,
    )


def _thinned(points: Sequence[CurvePoint], most: int) -> list[CurvePoint]:
    if len(points) <= most:
        return list(points)
    chosen = next((rank for rank, point in enumerate(points) if point.chosen), 0)
    ranks = {round(n * (len(points) - 1) / (most - 2)) for n in range(most - 1)}
    return [points[rank] for rank in sorted(ranks | {chosen})]
