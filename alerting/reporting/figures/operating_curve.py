"""Operating points of a model: what each threshold would have found and falsely raised on the rows
that chose one, and the limit of false alarms that chooses it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any

MOST = 10
_USUAL_STATE = 0.5  # an alarm that holds for longer is no choice
_LEAST_LIMIT = 0.1  # false alarms a week and asset
_SMALLEST_RATE = 1e-9  # false alarms a week; what is below is a damaged figure


@dataclass(frozen=True)
class CurvePoint:
    """A threshold, with its metrics on the rows that chose one.

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
    """Return the points that are worth a choice, and the one in force: each finds more problems
    than all with fewer false alarms. Points that find still more, but only with a longer time in
    alarm than the training allowed, follow without `at_most`. At most `most` points, by rising
    share found.

    `curve`: as a training stores it. `max_time_in_alarm`: of the definition; the training may have
    allowed more.
    """
    known = [
        p
        for p in curve
        if all(
            isinstance(p.get(key), int | float)
            for key in ("threshold", "event_recall", "false_alarms_per_week", "time_in_alarm")
        )
    ]
    allowed_time = max(
        [max_time_in_alarm, *(p["time_in_alarm"] for p in known if p.get("within_budget"))]
    )
    choosable = _best([p for p in known if p["time_in_alarm"] <= allowed_time])
    rates = [p["false_alarms_per_week"] for p in choosable]
    points = [
        _point(p, limit_choosing(rate, following))
        for p, rate, following in zip(choosable, rates, [*rates, None][1:], strict=True)
    ]
    points += [_point(p, None) for p in known if p.get("chosen") and p not in choosable]
    most_found = max((p.share_found for p in points), default=-1.0)
    beyond = [
        p
        for p in known
        if p["event_recall"] > most_found and allowed_time < p["time_in_alarm"] <= _USUAL_STATE
    ]
    points += [_point(p, None) for p in _best(beyond)]
    return _thinned(sorted(points, key=lambda p: (p.share_found, p.false_alarms_per_week)), most)


def _best(points: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the points that find more than all with fewer false alarms; of equal ones the chosen
    one, else the one with the shortest time in alarm."""
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
    """Return the places of points in a plot in percent, from the left and from the top: false
    alarms to the right, problems found upwards."""
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
    own = next((rank for rank, point in enumerate(points) if point.chosen), 0)
    wanted = {round(n * (len(points) - 1) / (most - 2)) for n in range(most - 1)}
    return [points[rank] for rank in sorted(wanted | {own})]
