"""The operating point: the threshold that is best for operators within their limits, evaluated by
the episodes that it would raise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp
from typing import Any

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.alert_definition import OperatingPoint
from alerting.definitions.wording.language import (
    count_in_english,
    spoken_false_alarms,
    spoken_number,
    spoken_rate,
    spoken_share,
    spoken_threshold,
    template,
)
from alerting.detection.problem_occurrences import Occurrences
from alerting.episodes.prediction_rule import (
    AlarmEnd,
    CountedEpisode,
    PredictionRule,
    RiskSeries,
    count_episodes,
    predicted_episodes,
)
from alerting.learning.score_metrics import (
    WEEK_S,
    EventMetrics,
    ProblemIntervals,
    count_warnable,
    event_metrics,
    occurred_after,
    problem_intervals,
)
from alerting.readings.history import BoolArray, Floats, Millis, Positions

MOST_THRESHOLDS = 100
CURVE_SAMPLES = 200
TIMES_OF_PERFECT = 2  # the time of an alarm that holds before each problem, and never else
MOST_TIME_IN_ALARM = 0.5  # an alarm that holds for longer is the usual state
_THOUSAND = 1000
_LOW = 0.5  # a risk below which most alarms are false if it is right
_LEAST_SHARE = 1e-15  # a risk that differs from 0, and from 1, in a float
VALIDATION = template("the validation period")
OUT_OF_FOLD = template("the rows out of fold of the training period")
CURVE_METRICS = ("event_recall", "false_alarms_per_week", "time_in_alarm", "episode_precision")


@dataclass(frozen=True)
class ObservedRows:
    """The evaluated rows of an interval, and the problems that occurred there.

    `at`, `asset`: instant (ms) and asset of each evaluated row; those of one asset in the order of
    time. `measured`: whether the label of each row is known. `problems`, `rules`: by asset, the
    problems, and the rule by which predictions begin and end. `observed_s`: by asset, seconds of
    evaluated running time. `gap_ms`, `horizon_ms`: as for `event_metrics`.
    """

    at: Millis
    asset: npt.NDArray[np.object_]
    measured: BoolArray
    problems: Mapping[str, ProblemIntervals]
    rules: Mapping[str, PredictionRule]
    observed_s: Mapping[str, float]
    gap_ms: int
    horizon_ms: int


def observe_rows(
    at: Millis,
    asset: npt.NDArray[np.object_],
    measured: BoolArray,
    problems: pd.DataFrame,
    occurrences: pd.DataFrame,
    onset: bool,
    observed_s: Mapping[str, float],
    gap_ms: int,
    horizon_ms: int,
    alarm_end: AlarmEnd,
) -> ObservedRows:
    """Combine evaluated rows, problems (columns asset, start, end) and occurrences (asset and the
    fields of `Occurrences`). `alarm_end`: how long alarms last.

    A problem counts as an event if a warning at some evaluated row would have been in time.
    """
    problems_by_asset = warnable_problems(at, asset, problems, onset, gap_ms, horizon_ms)
    rules = {
        name: PredictionRule(
            Occurrences.from_columns(
                occurrences[occurrences["asset"] == name].sort_values("start")
            ),
            max(gap_ms, 0) + horizon_ms,
            horizon_ms,
            alarm_end,
            state=not onset,
            of_unit=gap_ms < 0,
        )
        for name in problems_by_asset
    }
    return ObservedRows(
        at, asset, measured, problems_by_asset, rules, observed_s, gap_ms, horizon_ms
    )


def warnable_problems(
    at: Millis,
    asset: npt.NDArray[np.object_],
    problems: pd.DataFrame,
    onset: bool,
    gap_ms: int,
    horizon_ms: int,
) -> dict[str, ProblemIntervals]:
    """Return the problems of each asset with evaluated rows; a problem counts if some row could
    have warned of it in time."""
    return {
        name: count_warnable(
            problem_intervals(problems[problems["asset"] == name].sort_values("start"), onset),
            np.sort(at[asset == name]),
            gap_ms,
            horizon_ms,
        )
        for name in sorted(set(asset))
    }


def predicted_episodes_at(
    observed: ObservedRows, score: Floats, threshold: float
) -> dict[str, list[CountedEpisode]]:
    """Return the episodes that this threshold would have raised, by asset.

    Episodes are left out if the data cannot tell whether the problem followed.
    """
    rows_by_asset = {name: np.flatnonzero(observed.asset == name) for name in observed.rules}
    return {
        name: asset_episodes(observed, name, rows, score[rows], threshold)
        for name, rows in rows_by_asset.items()
        if len(rows)
    }


def asset_episodes(
    observed: ObservedRows, name: str, rows: Positions, score: Floats, threshold: float
) -> list[CountedEpisode]:
    """Return the episodes that a threshold would have raised on one asset. `rows`: positions of its
    rows; `score`: scores of these rows."""
    at = observed.at[rows]
    raised = predicted_episodes(RiskSeries(at, score, threshold), observed.rules[name])
    problems = observed.problems[name]
    labelled = np.append(0, np.cumsum(observed.measured[rows]))
    stride = round(observed.observed_s[name] * 1000 / len(at))
    return [
        _with_observed_length(episode, at, stride)
        for episode in count_episodes(raised, observed.gap_ms, observed.horizon_ms)
        if _is_determined(episode, at, labelled)
        or occurred_after(
            episode.raised, problems, observed.gap_ms, observed.horizon_ms, episode.last_high
        )[0]
        != "no"
    ]


def _with_observed_length(episode: CountedEpisode, at: Millis, stride: int) -> CountedEpisode:
    """Return an episode shortened by the time (ms) in it without a row; each row gives the state
    until the next stride. Reports count the time in alarm in the same way."""
    first = int(np.searchsorted(at, episode.raised, side="right")) - 1
    begins = at[first : int(np.searchsorted(at, episode.ended))]
    ends = np.minimum(begins + stride, np.append(begins[1:], episode.ended))
    length = int((ends - np.maximum(begins, episode.raised)).sum())
    return episode._replace(ended=episode.raised + length)


def _is_determined(episode: CountedEpisode, at: Millis, labelled: npt.NDArray[np.int64]) -> bool:
    """Return whether the data show if the problem of an episode came: rows with a known label lie
    in its window, and data reach its end. `labelled`: for each row, number of earlier rows with a
    known label."""
    first = int(np.searchsorted(at, episode.raised))
    last = first if episode.last_high is None else int(np.searchsorted(at, episode.last_high))
    return bool(labelled[last + 1] > labelled[first] and labelled[-1] > labelled[last])


def evaluate_threshold(
    observed: ObservedRows, score: Floats, threshold: float, seed: int, samples: int = 1000
) -> EventMetrics:
    """Compute the metrics of the alerts that operators would have received with this threshold.
    `score`: one for each observed row."""
    return event_metrics(
        predicted_episodes_at(observed, score, threshold),
        observed.problems,
        observed.gap_ms,
        observed.horizon_ms,
        observed.observed_s,
        seed,
        samples,
    )


@dataclass(frozen=True)
class ThresholdChoice:
    """The threshold, its reason, and every other threshold that was compared.

    `finds`: whether it finds any problem within the budget. `curve`: JSON-able rows by rising
    threshold, each with its metrics, their 95 % confidence intervals by a bootstrap over events and
    episodes, whether it is within the limits, and whether it was chosen. `period`: of the rows.
    `is_fixed`: by the definition, whatever these rows show.
    """

    threshold: float
    finds: bool
    reason: str
    curve: tuple[dict[str, Any], ...]
    period: str = VALIDATION
    is_fixed: bool = False


def count_at_each(
    observed: ObservedRows, score: Floats, choice: ThresholdChoice
) -> list[dict[str, Any]]:
    """Return the event metrics of rows at each threshold of a curve, without intervals."""
    thresholds = [point["threshold"] for point in choice.curve]
    return [
        {
            **evaluate_threshold(observed, score, threshold, seed=0, samples=1).to_document(),
            "threshold": threshold,
            "intervals": {},
        }
        for threshold in thresholds
    ]


@dataclass(frozen=True)
class _ThresholdOption:
    """A threshold and the metrics of its alerts; `loss` is the value to minimise, in the terms of
    the configured goal."""

    threshold: float
    met: EventMetrics
    loss: float
    allowed: bool


def choose_threshold(
    observed: ObservedRows,
    score: Floats,
    goal: OperatingPoint,
    seed: int,
    period: str = VALIDATION,
) -> ThresholdChoice:
    """Choose the threshold that is best by the configured goal, within the allowed time in alarm
    (`with_enough_time`); of equally good thresholds with equally few false alarms, the middle in
    log-odds.

    A threshold that the goal fixes (`alarm_at`) takes the place of the chosen one, which the reason
    names. By false alarms a week or by least precision: the most event recall within that limit.
    By cost: the least sum of missed problems and false alarms, each times its cost. If no threshold
    within a limit finds a problem, the lowest threshold within it is chosen, because it uses the
    whole limit that operators accepted; the choice says so. A threshold above all scores raises no
    episode, so it is within any limit; it is chosen where no problem occurs. `period`: of the rows,
    in words.
    """
    goal = with_enough_time(observed, goal)

    def weigh(threshold: float) -> _ThresholdOption:
        met = evaluate_threshold(observed, score, threshold, seed, CURVE_SAMPLES)
        cost = _cost(met, goal)
        loss = -(met.event_recall or 0.0) if cost is None else cost
        return _ThresholdOption(threshold, met, loss, not _exceeded_limits(met, goal))

    weighed = [weigh(threshold) for threshold in _thresholds(score)]
    allowed = [w for w in weighed if w.allowed]
    best = min(allowed, key=lambda w: (*_rank(w), -w.threshold))
    finds = bool(best.met.n_found)
    if finds:
        # few problems leave many thresholds equally good: at the edge of them the scores of the
        # next problem decide, so the middle is taken, although it was not the one that won
        middle = weigh(_middle(score, weighed, best))
        if middle.allowed and _rank(middle) <= _rank(best):
            best = middle
            weighed = sorted([*weighed, middle], key=lambda w: w.threshold)
    elif goal.cost_of_miss is None and best.met.n_events:
        best = min(allowed, key=lambda w: w.threshold)
    curve = tuple(_point(w, goal) | {"chosen": w is best} for w in weighed)
    observed_s = sum(observed.observed_s.values())
    is_of_unit = observed.gap_ms < 0 and observed_s > 0
    parts_a_week = len(observed.at) * WEEK_S / observed_s if is_of_unit else None
    limits = _describe_limits(_deciding_limits(weighed, best, goal), goal, best.met, parts_a_week)
    reason = _reason(best.met, goal, finds, period, parts_a_week, limits)
    if finds and period == VALIDATION:
        reason += _stricter(weighed, best, parts_a_week)
    choice = ThresholdChoice(best.threshold, finds, reason, curve, period)
    if goal.alarm_at is None:
        return choice
    fixed = weigh(goal.alarm_at)
    return fix_threshold(choice, _point(fixed, goal), _describe_alarms(fixed.met, parts_a_week))


def fix_threshold(
    choice: ThresholdChoice, fixed: Mapping[str, Any], reached: str
) -> ThresholdChoice:
    """Return the threshold that the definition fixes instead of a choice. `fixed`: its point on the
    curve; `reached`: what it finds, in words."""
    threshold = fixed["threshold"]
    others = [point for point in choice.curve if point["threshold"] != threshold]
    curve = [*({**point, "chosen": False} for point in others), {**fixed, "chosen": True}]
    reason = (
        f"fixed by the definition (operating_point.alarm_at), in {choice.period} {reached}; "
        f"without it {spoken_threshold(choice.threshold)} would be chosen: {choice.reason}"
    )
    return replace(
        choice,
        threshold=threshold,
        finds=bool(fixed["n_found"]),
        reason=reason,
        curve=tuple(sorted(curve, key=lambda point: point["threshold"])),
        is_fixed=True,
    )


def lower_to_reach(choice: ThresholdChoice, score: Floats, reached: Floats) -> ThresholdChoice:
    """Adapt a threshold that was chosen on out-of-fold scores to the model that was fitted on all
    these rows: if fewer of the model's scores reach it, lower it until as many do.

    `score`: the out-of-fold scores; `reached`: the model's scores of the same rows. The models of
    the folds saw other shares of problems, so their scores may be higher than any score of the
    model.
    """
    chosen = np.sort(score)
    reached_scores = np.sort(reached)

    def lower(threshold: float) -> float:
        first = int(np.searchsorted(chosen, threshold))
        return (
            min(threshold, float(reached_scores[first]))
            if first < len(reached_scores)
            else threshold
        )

    return replace(
        choice,
        threshold=lower(choice.threshold),
        curve=tuple(point | {"threshold": lower(point["threshold"])} for point in choice.curve),
    )


def with_enough_time(observed: ObservedRows, goal: OperatingPoint) -> OperatingPoint:
    """Return the limits with as much time in alarm as frequent problems need: by default twice the
    time of a perfect alarm, if that is more; a written limit stays."""
    default = OperatingPoint.model_fields["max_time_in_alarm"].default
    if goal.max_time_in_alarm != default or not len(observed.at):
        return goal
    perfect = sum(
        int(_is_expected(observed.at[observed.asset == name], problems, observed).sum())
        for name, problems in observed.problems.items()
    ) / len(observed.at)
    most = max(default, min(TIMES_OF_PERFECT * perfect, MOST_TIME_IN_ALARM))
    return goal.model_copy(update={"max_time_in_alarm": most})


def _is_expected(at: Millis, problems: ProblemIntervals, observed: ObservedRows) -> BoolArray:
    """Return a mask of the instants at which a perfect alarm would be open: from gap + horizon
    before a problem on."""
    until = at + observed.gap_ms + observed.horizon_ms
    first = np.searchsorted(problems.end, at + min(observed.gap_ms, 0), side="right")
    return np.asarray(np.append(problems.start, np.iinfo(np.int64).max)[first] <= until)


def _rank(weighed: _ThresholdOption) -> tuple[float, int]:
    """Return the rank of a threshold; two thresholds of one rank are equally good."""
    return weighed.loss, weighed.met.n_false_alarms


def _middle(score: Floats, weighed: Sequence[_ThresholdOption], best: _ThresholdOption) -> float:
    """Return the middle, in log-odds, of the thresholds as good as the best: from the next lower
    score on, up to the highest."""
    lowest = best.threshold
    for option in reversed([w for w in weighed if w.threshold <= best.threshold]):
        if not option.allowed or _rank(option) != _rank(best):
            break
        lowest = option.threshold
    below = score[score < lowest]
    ends = np.array([float(below.max()) if len(below) else lowest, best.threshold])
    inside = np.clip(ends, _LEAST_SHARE, 1 - _LEAST_SHARE)
    odds = float(np.mean(np.log(inside) - np.log1p(-inside)))
    return min(1 / (1 + exp(-odds)), best.threshold)


def _thresholds(score: Floats) -> list[float]:
    """Return the thresholds to compare: scores that occur, denser towards the highest, and one
    above all scores."""
    distinct = np.unique(score[~np.isnan(score)])[::-1]
    if len(distinct) > MOST_THRESHOLDS:
        ranks = np.geomspace(1, len(distinct), MOST_THRESHOLDS) - 1
        distinct = distinct[np.unique(np.round(ranks).astype(int))]
    above = np.nextafter(distinct[0], np.inf) if len(distinct) else 1.0
    return sorted({float(above), *distinct.tolist()})


def _cost(met: EventMetrics, goal: OperatingPoint) -> float | None:
    """Return the cost of missed problems and false alarms; None if the definition names no
    costs."""
    if goal.cost_of_miss is None or goal.cost_of_false_alarm is None:
        return None
    return (
        met.n_events - met.n_found
    ) * goal.cost_of_miss + met.n_false_alarms * goal.cost_of_false_alarm


def _exceeded_limits(met: EventMetrics, goal: OperatingPoint) -> frozenset[str]:
    """Return the metrics that are beyond a limit; without observed time only a threshold that
    raises no episode is within all."""
    if not met.n_episodes:
        return frozenset()
    most = goal.most_false_alarms
    least = goal.least_precision
    weekly = met.false_alarms_per_week
    beyond = {
        "time_in_alarm": met.time_in_alarm is None or met.time_in_alarm > goal.max_time_in_alarm,
        "false_alarms_per_week": weekly is None or (most is not None and weekly > most),
        "episode_precision": least is not None and not (met.episode_precision or 0.0) >= least,
    }
    return frozenset(name for name, is_beyond in beyond.items() if is_beyond)


def _deciding_limits(
    weighed: Sequence[_ThresholdOption], best: _ThresholdOption, goal: OperatingPoint
) -> frozenset[str]:
    """Return the limits without which a threshold better than the best one would be taken: those
    that the better ones exceed which exceed the fewest."""
    exceeded = [_exceeded_limits(w.met, goal) for w in weighed if w.loss < best.loss]
    fewest = min(map(len, exceeded), default=0)
    return frozenset().union(*(names for names in exceeded if len(names) == fewest))


def _point(weighed: _ThresholdOption, goal: OperatingPoint) -> dict[str, Any]:
    met = weighed.met
    return {
        "threshold": weighed.threshold,
        **{name: getattr(met, name) for name in CURVE_METRICS},
        **{name: getattr(met, name) for name in ("n_episodes", "n_found", "n_events", "n_assets")},
        "cost": _cost(met, goal),
        "intervals": {
            name: list(met.intervals[name]) for name in CURVE_METRICS if name in met.intervals
        },
        "within_budget": weighed.allowed,
    }


def _stricter(
    weighed: Sequence[_ThresholdOption], best: _ThresholdOption, parts_a_week: float | None
) -> str:
    """Return what a higher threshold reaches, if the best one is low and raises false alarms: of
    those that find at least half as many problems, the one with the most right alarms."""
    right = best.met.episode_precision or 0.0
    higher = [
        option
        for option in weighed
        if option.threshold > best.threshold
        and 2 * option.met.n_found >= best.met.n_found
        and (option.met.episode_precision or 0.0) > right
    ]
    if best.threshold >= _LOW or not higher:
        return ""
    option = max(higher, key=lambda o: (o.met.episode_precision or 0.0, o.met.n_found))
    return (
        f". From {spoken_threshold(option.threshold)}: {_describe_alarms(option.met, parts_a_week)}"
    )


def _describe_alarms(met: EventMetrics, parts_a_week: float | None) -> str:
    """Describe what a threshold finds: `4 of 6 problems announced, 1 false alarm (1.9 a week), 80 %
    of the alarms right`. `parts_a_week`: None where rows are no parts."""
    counts = count_in_english(
        "{found} of {number} problem {verb}",
        "{found} of {number} problems {verb}",
        met.n_events,
        found=f"{met.n_found:,}",
        verb="announced" if parts_a_week is None else "found",
    )
    if not met.n_false_alarms:
        return f"{counts}, no false alarm"
    on_all = f" on all {met.n_assets} assets" if met.n_assets > 1 else ""
    weekly = (met.false_alarms_per_week or 0.0) * met.n_assets
    alarms = count_in_english(
        "{number} false alarm ({rate})",
        "{number} false alarms ({rate})",
        met.n_false_alarms,
        rate=f"{spoken_rate(weekly)} a week{on_all}"
        if parts_a_week is None
        else f"{spoken_rate(1000 * weekly / parts_a_week)} in 1,000 parts",
    )
    return f"{counts}, {alarms}, {spoken_share(met.episode_precision or 0.0)} of the alarms right"


def _describe_limits(
    names: frozenset[str], goal: OperatingPoint, met: EventMetrics, parts_a_week: float | None
) -> str:
    """Describe these limits of a threshold: `at most 3 false alarms a week and 20 % of the time in
    alarm`; of parts without weeks, which may be invented."""
    most = goal.most_false_alarms
    alarms = spoken_false_alarms(most or 0.0, met.n_assets)
    if parts_a_week is not None:
        allowed = spoken_rate(1000 * (most or 0.0) * max(met.n_assets, 1) / parts_a_week)
        alarms = f"{allowed} false alarms in 1,000 parts"
    in_alarm = f"{spoken_share(goal.max_time_in_alarm)} of the time in alarm"
    right = f"at least {spoken_share(goal.least_precision or 0.0)} right alarms"
    upper = (
        alarms if most is not None and "false_alarms_per_week" in names else "",
        in_alarm if "time_in_alarm" in names else "",
    )
    at_most = " and ".join(filter(None, upper))
    least = right if "episode_precision" in names else ""
    return " and ".join(filter(None, (least, at_most and f"at most {at_most}")))


def _reason(
    met: EventMetrics,
    goal: OperatingPoint,
    finds: bool,
    period: str,
    parts_a_week: float | None,
    limits: str,
) -> str:
    if not met.n_events:
        return (
            f"no problem occurs in {period}, so nothing shows which threshold finds one; one above "
            "all its scores was taken, which raises no alarm there"
        )
    within = f"with {limits}" if limits else ""
    if goal.cost_of_miss is not None and goal.cost_of_false_alarm is not None:
        return _reason_of_cost(met, goal.cost_of_miss, goal.cost_of_false_alarm, within, period)
    if finds:
        reached = _describe_alarms(met, parts_a_week)
        in_alarm = f"{spoken_share(met.time_in_alarm or 0.0)} of the time in alarm"
        more = " ".join(filter(None, ("; no other finds more", within)))
        return f"in {period} {reached}, {in_alarm}{more if met.n_found < met.n_events else ''}"
    late = count_in_english(
        " ({number} alarm came with the problem itself: right, but too late)",
        " ({number} alarms came with the problem itself: right, but too late)",
        met.n_with_problem,
    )
    return (
        f"{within}{', ' * bool(within)}no threshold finds a problem in {period}"
        f"{late if met.n_with_problem else ''}; the lowest within the limits was taken"
    )


def _reason_of_cost(
    met: EventMetrics, miss: float, false_alarm: float, within: str, period: str
) -> str:
    missed = met.n_events - met.n_found
    cost = missed * miss + met.n_false_alarms * false_alarm
    misses = count_in_english(
        "{missed} of {number} problem missed at {cost} each",
        "{missed} of {number} problems missed at {cost} each",
        met.n_events,
        missed=f"{missed:,}",
        cost=_spoken_cost(miss),
    )
    alarms = count_in_english(
        "{number} false alarm at {cost}",
        "{number} false alarms at {cost} each",
        met.n_false_alarms,
        cost=_spoken_cost(false_alarm),
    )
    sums = f"{misses} and {alarms}"
    if met.n_episodes:
        least = " ".join(filter(None, ("the least cost", within)))
        return f"{least}: {_spoken_cost(cost)} in {period}, {sums}"
    none = " ".join(filter(None, ("no episode is raised:", within, "that costs least in", period)))
    return f"{none}: {_spoken_cost(cost)}, {sums}"


def _spoken_cost(value: float) -> str:
    return f"{value:,.0f}" if value >= _THOUSAND else spoken_number(value)
