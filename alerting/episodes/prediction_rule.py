"""The rule by which predictions go through their phases in event time: expected while the risk
stays, happening, over. Live evaluation, backtest and training metrics share it.

A chain of episodes counts as one hit at most; a chain whose problem does not come counts as one
false alarm for each prediction window that it began.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil, exp, log
from typing import NamedTuple

from alerting.deferred import np
from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.wording.language import translatable
from alerting.detection.problem_occurrences import Occurrences
from alerting.episodes.lifecycle import ConditionState, Step, without_episode
from alerting.readings.history import (
    FAR_FUTURE,
    Millis,
    Positions,
    duration_millis,
    from_millis,
    to_millis,
)
from alerting.readings.variable_series import Flags, Numbers

CLEAR_BELOW = 0.5  # log-odds between the threshold and the risk below which an alarm clears
CLEAR_STRIDES = 2

RISK_HIGH = translatable("the risk is at or above the threshold")
RISK_LOW = translatable("the risk is low again")
HORIZON_PASSED = translatable("the horizon has passed")
LONGEST_PASSED = translatable("the longest time of an alarm has passed")
UNIT_PASSED = translatable("it was about the unit made then")
PROBLEM_OVER = translatable("the problem is over")


class AlarmEnd(NamedTuple):
    """How long an alarm lasts without its problem: until the risk was below `clear_at` for
    `clear_for_ms`, at most `longest_ms`.

    `clear_at` None: `CLEAR_BELOW` under the threshold.
    """

    clear_at: float | None
    clear_for_ms: int
    longest_ms: int


class RiskSeries(NamedTuple):
    """Scores at evaluated instants (ms, increasing; NaN: unknown), and the threshold in force."""

    at: Millis
    score: Numbers
    threshold: float


class _Highs(NamedTuple):
    """The instants (ms) at which the risk is not low, and the ends of alarms after them.

    `breaks`: positions in `at` of the instants after which an alarm ends; `ends_at`: when (ms);
    `is_low`: whether it ends because the risk has been low for long enough, and not because the
    horizon has passed.
    """

    at: Millis
    breaks: Positions
    ends_at: Millis
    is_low: Flags

    def last_until(self, instant: int) -> int:
        """Return the last high score up to an instant; 0 without one."""
        which = int(np.searchsorted(self.at, instant, side="right"))
        return int(self.at[which - 1]) if which else 0


class _End(NamedTuple):
    """The end (ms) of a prediction whose problem does not come, the instant of its last high score,
    and the reason."""

    at: int
    last_high_at: int
    reason: str


class Course(NamedTuple):
    """Course of one prediction, in ms: when the prediction ends, when its problem is known to have
    come, when the episode is closed, and its last high score; and why it ends without its problem.

    An instant that does not come, or is not known yet, is FAR_FUTURE.
    """

    ended_at: int
    happening_at: int
    closed_at: int
    last_high_at: int
    reason: str


def alarm_end_of(definition: TrainedDefinition, stride: timedelta) -> AlarmEnd:
    """Return how long the alarms of a definition last, as written or by default. `stride`: the
    stride in force."""
    clear_for = CLEAR_STRIDES * stride if definition.clear_for is None else definition.clear_for
    return AlarmEnd(
        definition.clear_at, duration_millis(clear_for), duration_millis(definition.longest_alarm)
    )


def clear_threshold(threshold: float, clear_at: float | None = None) -> float:
    """Return the risk at or above which an alarm stays, never above the threshold that raises
    it."""
    if clear_at is not None:
        return min(clear_at, threshold)
    if not 0 < threshold < 1:
        return threshold
    return min(1 / (1 + exp(CLEAR_BELOW - log(threshold / (1 - threshold)))), threshold)


@dataclass(frozen=True)
class PredictionRule:
    """Rule by which predictions of one definition on one asset begin and end. `window_ms`: gap +
    horizon.

    `state`: the model predicts the state, and may raise while the problem goes on. `of_unit`: a
    prediction is about the unit just made, and lasts for the stride in which it was made, however
    high the next score is.
    """

    occurrences: Occurrences
    window_ms: int
    horizon_ms: int
    alarm_end: AlarmEnd
    state: bool = False
    of_unit: bool = False
    _true_at: Sequence[int] = field(init=False, repr=False, compare=False)
    _known_at: Sequence[int] = field(init=False, repr=False, compare=False)
    _over_at: Sequence[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("true_at", "known_at", "over_at"):
            object.__setattr__(self, f"_{name}", getattr(self.occurrences, name).tolist())

    def find_highs(self, risk: RiskSeries) -> _Highs:
        """Return the high scores of a series and where alarms end after them. Unknown scores
        neither prolong nor clear an alarm."""
        is_number = ~np.isnan(risk.score)
        at = risk.at[is_number]
        clear = clear_threshold(risk.threshold, self.alarm_end.clear_at)
        high = np.flatnonzero(risk.score[is_number] >= clear)
        following = np.append(high[1:], len(at))[: len(high)]
        times = np.append(at, FAR_FUTURE)
        low = np.searchsorted(at, times[high + 1] + self.alarm_end.clear_for_ms)
        is_low = (high + 1 < following) & (low < following)
        passed = at[high] + self.window_ms
        ends_at = np.where(is_low, np.minimum(times[low], passed), passed)
        breaks = np.flatnonzero(is_low | (times[following] > passed))
        return _Highs(at[high], breaks, ends_at[breaks], (is_low & (times[low] <= passed))[breaks])

    def course(self, raised: int, highs: _Highs) -> Course:
        """Return the course of a prediction that is raised at the instant (ms) of a high score."""
        return self._with_problem(raised, self._end(raised, raised, highs), highs)

    def open_course(self, state: ConditionState, risk: RiskSeries) -> Course:
        """Return the course of the episode open in a state. `risk`: scores after its watermark."""
        raised = to_millis(state.raised_at or state.watermark)
        last = raised if state.last_high_at is None else to_millis(state.last_high_at)
        before = [(last, np.inf)]
        if state.clearing_since is not None:
            before.append((to_millis(state.clearing_since), -np.inf))
        at = np.append(np.array([t for t, _ in before], np.int64), risk.at)
        score = np.append([score for _, score in before], risk.score)
        highs = self.find_highs(RiskSeries(at, score, risk.threshold))
        if state.prediction_ended_at is None:
            return self._with_problem(raised, self._end(raised, last, highs), highs)
        ended = _End(to_millis(state.prediction_ended_at), last, HORIZON_PASSED)
        return self._with_problem(raised, ended, highs)

    def _end(self, raised: int, since: int, highs: _Highs) -> _End:
        """Return the end that a prediction has if its problem does not come. `since`: instant (ms)
        of a high score up to which the prediction is known to last."""
        if self.of_unit:
            return _End(raised + self.window_ms, raised, UNIT_PASSED)
        which = int(np.searchsorted(highs.breaks, np.searchsorted(highs.at, since)))
        end = int(highs.ends_at[which])
        longest = raised + self.alarm_end.longest_ms
        if end > longest:
            return _End(longest, highs.last_until(longest), LONGEST_PASSED)
        reason = RISK_LOW if highs.is_low[which] else HORIZON_PASSED
        return _End(end, int(highs.at[highs.breaks[which]]), reason)

    def _with_problem(self, raised: int, end: _End, highs: _Highs) -> Course:
        """Return the course of a prediction that ends at `end` unless a problem becomes known
        between its raise and that end.

        If the condition is true at that end, and `problem.for` is running, the episode stays open
        until it is known whether it is the problem.
        """
        for i in range(bisect_right(self._over_at, raised), len(self._over_at)):
            if self._true_at[i] > end.at:
                break
            known_at = self._known_at[i]
            over = self._over_at[i]
            if known_at <= raised and not self.state:
                continue
            if known_at <= end.at or over > end.at:
                happening = max(known_at, raised)
                ended = min(happening, end.at)
                last = min(end.last_high_at, highs.last_until(ended))
                return Course(ended, happening, over, last, HORIZON_PASSED)
        return Course(end.at, FAR_FUTURE, end.at, end.last_high_at, end.reason)

    def courses(self, instants: Sequence[int], highs: _Highs) -> Iterator[tuple[int, Course]]:
        """Yield raise (ms) and course of each prediction. `instants`: at which a score may raise
        one (ms, increasing).

        The next prediction may be raised from the first instant on at which the previous one is
        closed.
        """
        position = 0
        while position < len(instants):
            course = self.course(instants[position], highs)
            yield instants[position], course
            position = bisect_left(instants, course.closed_at)

    def continues(self, last_high: int | None, ended: int | None, raised: int) -> bool:
        """Return whether a raise continues the previous prediction, whose problem did not come: it
        lies in that prediction's window, or, for units, in the stride after its end."""
        if self.of_unit:
            return ended is not None and raised - ended < self.window_ms
        return last_high is not None and raised <= last_high + self.window_ms


class Rearming(NamedTuple):
    """Instants at which a high score may raise an episode.

    `rearm_at`: until when (ms) no later score may raise an episode unless a lower score comes
    first; 0 if no problem demands that.
    """

    may_raise: Flags
    rearm_at: int


def rearm(
    risk: RiskSeries,
    rule: PredictionRule,
    until: int = FAR_FUTURE - 1,
    rearm_at: int = 0,
) -> Rearming:
    """Select the instants at which an episode may be raised: after a problem the score must first
    have been below the threshold.

    Without a lower score an episode may be raised one horizon after the recovery. `risk`: scores
    are NaN also at instants that do not count. `until`: everything up to here is known. `rearm_at`:
    the result for problems that the rule does not know because they were over before these
    instants.
    """
    at = risk.at
    may_raise = risk.score >= risk.threshold
    lower = np.flatnonzero(risk.score < risk.threshold)
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


@dataclass(frozen=True)
class AdvancedPredictions:
    """State and steps after some instants, and the course of every episode that was open at any of
    them."""

    state: ConditionState
    steps: list[Step]
    courses: Mapping[datetime, Course]


def advance_predictions(
    state: ConditionState,
    risk: RiskSeries,
    may_raise: Flags,
    rule: PredictionRule,
    until: datetime,
    of_open: PredictionRule | None = None,
    is_about_open: bool = True,
) -> AdvancedPredictions:
    """Advance a model's episodes through evaluated instants. Nothing is raised while an episode is
    open.

    `risk`: scores after the watermark. `may_raise`: as `rearm` selects them. `until`: everything up
    to here is known. `of_open`: the rule of the episode open in `state`, if another revision raised
    that episode; `is_about_open`: whether scores are about that episode's problem. An episode
    raised in the window of the previous one continues it, unless the previous one's problem came.
    """
    steps: list[Step] = []
    courses: dict[datetime, Course] = {}
    limit = to_millis(until)
    instants = risk.at[may_raise].tolist()
    if state.raised_at is not None:
        open_risk = risk if is_about_open else risk._replace(score=np.full(len(risk.at), np.nan))
        course = (of_open or rule).open_course(state, open_risk)
        courses[state.raised_at] = course
        state = _follow(state, state.raised_at, course, limit, steps, open_risk)
        instants = instants[bisect_left(instants, course.closed_at) :]
    for raised, course in rule.courses(instants, rule.find_highs(risk)):
        now = from_millis(raised)
        courses[now] = course
        follows = state.last_raised_at
        last_high = None if state.last_high_at is None else to_millis(state.last_high_at)
        closed = None if state.last_closed_at is None else to_millis(state.last_closed_at)
        if follows is not None and not rule.continues(last_high, closed, raised):
            follows = None
        steps.append(Step("raised", now, now, RISK_HIGH, follows))
        state = replace(state, raised_at=now, clearing_since=None)
        state = _follow(state, now, course, limit, steps, risk)
    return AdvancedPredictions(state, steps, courses)


def _follow(
    state: ConditionState,
    raised_at: datetime,
    course: Course,
    until: int,
    steps: list[Step],
    risk: RiskSeries,
) -> ConditionState:
    """Return the state with all that is known of the open episode up to an instant (ms), and add
    the steps to a list."""
    ended = from_millis(course.ended_at)
    state = replace(
        state,
        clearing_since=_clearing_since(state, course, risk),
        last_high_at=from_millis(course.last_high_at),
    )
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
    if min(course.happening_at, course.ended_at) <= until:
        state = replace(state, prediction_ended_at=ended)
    if course.closed_at > until:
        return state
    reason = PROBLEM_OVER if state.happening_since is not None else course.reason
    steps.append(
        Step("closed", from_millis(course.closed_at), raised_at, reason, prediction_ended_at=ended)
    )
    return without_episode(state, from_millis(course.closed_at))


def _clearing_since(state: ConditionState, course: Course, risk: RiskSeries) -> datetime | None:
    """Return the instant of the first low score after the last high score; None without one."""
    if state.clearing_since is not None and from_millis(course.last_high_at) < state.clearing_since:
        return state.clearing_since
    later = risk.at[(risk.at > course.last_high_at) & ~np.isnan(risk.score)]
    return from_millis(int(later[0])) if len(later) else None


def predicted_episodes(risk: RiskSeries, rule: PredictionRule) -> list[PredictedEpisode]:
    """Return the model episodes of one asset, by the rule of `advance_predictions`."""
    may_raise = rearm(risk, rule).may_raise
    episodes: list[PredictedEpisode] = []
    before: Course | None = None
    for raised, course in rule.courses(risk.at[may_raise].tolist(), rule.find_highs(risk)):
        continues = (
            before is not None
            and before.happening_at == FAR_FUTURE
            and rule.continues(before.last_high_at, before.closed_at, raised)
        )
        episodes.append(PredictedEpisode(raised, course.ended_at, course.last_high_at, continues))
        before = course
    return episodes


class PredictedEpisode(NamedTuple):
    """One episode of a model: raise, end of the prediction and last high score (ms), and whether it
    continues the previous one."""

    raised: int
    ended: int
    last_high: int
    continues: bool = False


class CountedEpisode(NamedTuple):
    """One episode in ms, as metrics count it.

    `last_high`: instant of its last high score, from which its prediction window reaches; None: its
    raise. `false_alarms`: the number of false alarms that it counts as if its problem does not
    come. `continues`: whether it continues the previous episode, so that both are one hit at most.
    """

    raised: int
    ended: int
    last_high: int | None = None
    false_alarms: int = 1
    continues: bool = False


def count_episodes(
    episodes: Sequence[PredictedEpisode], gap_ms: int, horizon_ms: int
) -> list[CountedEpisode]:
    """Return the predictions of one asset as metrics count them, in the order of time.

    Each prediction of the unit just made (gap below zero) is about another unit.
    """
    if gap_ms < 0:
        return [CountedEpisode(e.raised, e.ended) for e in episodes]
    return [
        CountedEpisode(e.raised, e.ended, e.last_high, count, e.continues)
        for e, count in zip(episodes, false_alarms_of(episodes, gap_ms + horizon_ms), strict=True)
    ]


def false_alarms_of(episodes: Sequence[PredictedEpisode], window_ms: int) -> list[int]:
    """Return how many false alarms each episode counts as if its problem does not come: the number
    of prediction windows that it began.

    The windows of a chain of episodes are counted from its first raise, each once. `episodes`: of
    one asset, in the order of time.
    """
    counts = []
    start = counted = 0
    for raised, ended, _, continues in episodes:
        if not continues:
            start = raised
            counted = 0
        begun = max(ceil((ended - start) / window_ms), (raised - start) // window_ms + 1)
        counts.append(max(0, begun - max(counted, (raised - start) // window_ms)))
        counted = max(counted, begun)
    return counts
