"""Life of a prediction in event time: expected, happening, over. Live evaluation, backtest and training metrics share it."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from alerting.detection.occurrences import Occurrences
from alerting.episodes.lifecycle import ConditionState, Step, without_episode
from alerting.readings.instants import FAR_FUTURE, Millis, from_millis, to_millis
from alerting.readings.ragged import Flags

HORIZON_PASSED = "the horizon has passed"
PROBLEM_OVER = "the problem is over"


class Course(NamedTuple):
    """Course of one prediction (ms): end of the prediction, when its problem is known to have come, and when it is over.

    FAR_FUTURE for what does not come, or is not known yet.
    """

    ended_at: int
    happening_at: int
    closed_at: int


@dataclass(frozen=True)
class PredictionRule:
    """How predictions of one definition on one asset end. `window_ms`: gap + horizon.

    `state`: the model predicts the state, and may raise while the problem goes on.
    """

    occurrences: Occurrences
    window_ms: int
    state: bool = False
    _true_at: Sequence[int] = field(init=False, repr=False, compare=False)
    _known_at: Sequence[int] = field(init=False, repr=False, compare=False)
    _over_at: Sequence[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("true_at", "known_at", "over_at"):
            object.__setattr__(self, f"_{name}", getattr(self.occurrences, name).tolist())

    def course(self, raised: int) -> Course:
        """Return the course of a prediction raised at an instant (ms).

        It ends with the first problem known after it, at the latest with its window. If the condition is true at that end, and
        `problem.for` is running, the episode stays open until it is known whether it is the problem.
        """
        valid_until = raised + self.window_ms
        for i in range(bisect_right(self._over_at, raised), len(self._over_at)):
            if self._true_at[i] > valid_until:
                break
            known, over = self._known_at[i], self._over_at[i]
            if known <= raised and not self.state:
                continue
            if known <= valid_until or over > valid_until:
                happening = max(known, raised)
                return Course(min(happening, valid_until), happening, over)
        return Course(valid_until, FAR_FUTURE, valid_until)


def advance_predictions(
    state: ConditionState,
    at: Millis,
    triggered: Flags,
    rule: PredictionRule,
    stride: timedelta,
    until: datetime,
    of_open: PredictionRule | None = None,
) -> tuple[ConditionState, list[Step]]:
    """Advance a model's episodes through evaluated instants. Nothing is raised while an episode is open.

    `at`: evaluated instants in ms, increasing, after the watermark. `until`: everything up to here is known. `of_open`: the
    rule of the episode open in `state`, if another revision raised it. An episode raised less than a stride after the end of the
    one before continues it, unless the problem of that one came.
    """
    steps: list[Step] = []
    limit = to_millis(until)
    rule_of_open = of_open or rule
    for instant in [*at[triggered].tolist(), limit + 1]:
        if state.raised_at is not None:
            state = _follow(state, state.raised_at, rule_of_open, min(instant, limit), steps)
            if state.raised_at is not None:
                continue
            rule_of_open = rule
        if instant <= limit:
            now = from_millis(instant)
            joined = state.last_closed_at is not None and now - state.last_closed_at < stride
            follows = state.last_raised_at if joined else None
            steps.append(Step("raised", now, now, "the risk is at or above the threshold", follows))
            state = replace(state, raised_at=now)
    return state, steps


def _follow(state: ConditionState, raised_at: datetime, rule: PredictionRule, until: int, steps: list[Step]) -> ConditionState:
    """Return the state after what is known of the open episode up to an instant (ms), and add the steps."""
    course = rule.course(to_millis(raised_at))
    ended = from_millis(course.ended_at)
    if course.happening_at <= until and state.happening_since is None:
        state = replace(state, happening_since=from_millis(course.happening_at))
        steps.append(Step("happening", from_millis(course.happening_at), raised_at, "", prediction_ended_at=ended))
    if course.closed_at > until:
        return state
    reason = PROBLEM_OVER if state.happening_since is not None else HORIZON_PASSED
    steps.append(Step("closed", from_millis(course.closed_at), raised_at, reason, prediction_ended_at=ended))
    return without_episode(state, from_millis(course.closed_at))


def predicted_intervals(at: Millis, triggered: Flags, rule: PredictionRule) -> list[tuple[int, int]]:
    """Return model episodes of one asset as (raised, end of the prediction) in ms, equal to those of `advance_predictions`.

    The next one may be raised at the first triggered instant at which the one before is closed. `at`: evaluated instants,
    increasing.
    """
    intervals: list[tuple[int, int]] = []
    free_from = -FAR_FUTURE
    for raised in at[triggered].tolist():
        if raised >= free_from:
            course = rule.course(raised)
            intervals.append((raised, course.ended_at))
            free_from = course.closed_at
    return intervals
