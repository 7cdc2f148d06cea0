"""Life of a prediction in event time: expected, happening, over. Live evaluation, backtest and
training metrics share it."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from alerting.definitions.wording.language import translatable
from alerting.detection.occurrences import Occurrences
from alerting.episodes.lifecycle import ConditionState, Step, without_episode
from alerting.readings.instants import FAR_FUTURE, Millis, from_millis, to_millis
from alerting.readings.ragged import Flags, Numbers

RISK_HIGH = translatable("the risk is at or above the threshold")
HORIZON_PASSED = translatable("the horizon has passed")
UNIT_PASSED = translatable("it was about the unit made then")
PROBLEM_OVER = translatable("the problem is over")


class Course(NamedTuple):
    """Course of one prediction (ms): end of the prediction, when its problem is known to have come,
    and when it is over.

    FAR_FUTURE for what does not come, or is not known yet.
    """

    ended_at: int
    happening_at: int
    closed_at: int


@dataclass(frozen=True)
class PredictionRule:
    """Rule by which predictions of one definition on one asset begin and end. `window_ms`: gap +
    horizon.

    `state`: the model predicts the state, and may raise while the problem goes on. `of_unit`: of
    the unit just made, for the stride in which it was made.
    """

    occurrences: Occurrences
    window_ms: int
    horizon_ms: int
    state: bool = False
    of_unit: bool = False
    _true_at: Sequence[int] = field(init=False, repr=False, compare=False)
    _known_at: Sequence[int] = field(init=False, repr=False, compare=False)
    _over_at: Sequence[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("true_at", "known_at", "over_at"):
            object.__setattr__(self, f"_{name}", getattr(self.occurrences, name).tolist())

    def course(self, raised: int) -> Course:
        """Return the course of a prediction raised at an instant (ms).

        It ends with the first problem known after it, at the latest with its window. If the
        condition is true at that end, and `problem.for` is running, the episode stays open until it
        is known whether it is the problem.
        """
        valid_until = raised + self.window_ms
        for i in range(bisect_right(self._over_at, raised), len(self._over_at)):
            if self._true_at[i] > valid_until:
                break
            known = self._known_at[i]
            over = self._over_at[i]
            if known <= raised and not self.state:
                continue
            if known <= valid_until or over > valid_until:
                happening = max(known, raised)
                return Course(min(happening, valid_until), happening, over)
        return Course(valid_until, FAR_FUTURE, valid_until)

    def courses(self, instants: Sequence[int]) -> Iterator[tuple[int, Course]]:
        """Yield raise and course of each prediction of a score that is high at these instants (ms,
        increasing).

        The next one may be raised at the first instant at which the one before is closed.
        """
        position = 0
        while position < len(instants):
            course = self.course(instants[position])
            yield instants[position], course
            position = bisect_left(instants, course.closed_at)


class Rearming(NamedTuple):
    """Instants at which a high score may raise an episode.

    `rearm_at`: until when (ms) no later one may, unless a lower score comes first; 0 without a
    problem that asks for it.
    """

    may_raise: Flags
    rearm_at: int


def rearm(
    at: Millis,
    score: Numbers,
    threshold: float,
    rule: PredictionRule,
    until: int = FAR_FUTURE - 1,
    rearm_at: int = 0,
) -> Rearming:
    """Select the instants at which an episode may be raised: after a problem the score must have
    been lower first.

    Without a lower score it may be raised one horizon after the recovery. `at`: ms, increasing.
    `score`: NaN where unknown or where the instant does not count. `until`: everything up to here
    is known. `rearm_at`: the result for problems that are not among those of the rule, because they
    were over before these instants.
    """
    may_raise = score >= threshold
    lower = np.flatnonzero(score < threshold)
    problems = rule.occurrences
    over = problems.lasted & (problems.over_at <= until)
    ends = np.append(problems.recovered_at[over] + rule.horizon_ms, rearm_at)
    first = np.append(np.searchsorted(at, problems.over_at[over]), 0)
    reached = np.append(lower, len(at))[np.searchsorted(lower, first)]
    for begin, after in zip(
        first.tolist(), np.minimum(reached, np.searchsorted(at, ends)).tolist(), strict=True
    ):
        may_raise[begin:after] = False
    return Rearming(may_raise, int(max(ends[(reached == len(at)) & (ends > until)], default=0)))


def advance_predictions(
    state: ConditionState,
    at: Millis,
    may_raise: Flags,
    rule: PredictionRule,
    stride: timedelta,
    until: datetime,
    of_open: PredictionRule | None = None,
) -> tuple[ConditionState, list[Step]]:
    """Advance a model's episodes through evaluated instants. Nothing is raised while an episode is
    open.

    `at`: evaluated instants in ms, increasing, after the watermark. `may_raise`: as `rearm` selects
    them. `until`: everything up to here is known. `of_open`: the rule of the episode open in
    `state`, if another revision raised it. An episode raised less than a stride after the end of
    the one before continues it, unless the problem of that one came.
    """
    steps: list[Step] = []
    limit = to_millis(until)
    instants = at[may_raise].tolist()
    if state.raised_at is not None:
        course = (of_open or rule).course(to_millis(state.raised_at))
        state = _follow(state, state.raised_at, course, limit, steps, (of_open or rule).of_unit)
        instants = instants[bisect_left(instants, course.closed_at) :]
    for raised, course in rule.courses(instants):
        now = from_millis(raised)
        joined = state.last_closed_at is not None and now - state.last_closed_at < stride
        follows = state.last_raised_at if joined else None
        steps.append(Step("raised", now, now, RISK_HIGH, follows))
        state = _follow(replace(state, raised_at=now), now, course, limit, steps, rule.of_unit)
    return state, steps


def _follow(
    state: ConditionState,
    raised_at: datetime,
    course: Course,
    until: int,
    steps: list[Step],
    of_unit: bool,
) -> ConditionState:
    """Return the state after what is known of the open episode up to an instant (ms), and add the
    steps."""
    ended = from_millis(course.ended_at)
    if course.happening_at <= until and state.happening_since is None:
        state = replace(state, happening_since=from_millis(course.happening_at))
        steps.append(
            Step(
                "happening",
                from_millis(course.happening_at),
                raised_at,
                "",
                prediction_ended_at=ended,
            )
        )
    if course.closed_at > until:
        return state
    reason = (
        PROBLEM_OVER
        if state.happening_since is not None
        else UNIT_PASSED
        if of_unit
        else HORIZON_PASSED
    )
    steps.append(
        Step("closed", from_millis(course.closed_at), raised_at, reason, prediction_ended_at=ended)
    )
    return without_episode(state, from_millis(course.closed_at))


def predicted_intervals(
    at: Millis, score: Numbers, threshold: float, rule: PredictionRule
) -> list[tuple[int, int]]:
    """Return model episodes of one asset as (raised, end of the prediction) in ms: those of
    `advance_predictions`.

    `at`: evaluated instants, increasing.
    """
    may_raise = rearm(at, score, threshold, rule).may_raise
    return [(raised, course.ended_at) for raised, course in rule.courses(at[may_raise].tolist())]
