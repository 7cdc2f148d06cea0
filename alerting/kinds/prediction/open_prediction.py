"""The open episode of a model and its current problem, as read before an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerting.definitions.assets import Asset, EventType
from alerting.definitions.model import TrainedDefinition
from alerting.detection.problems import (
    KnownProblem,
    find_occurrences,
    first_lookback,
    predicts,
    problem_delay,
    problem_lookback,
)
from alerting.episodes.episode import PLATFORM
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.predictions import PredictionRule, alarm_end_of
from alerting.kinds.protocol.evaluation import EvaluationSources, VersionInterval
from alerting.learning.models.trained import TrainedModel
from alerting.ports import Definitions, Episodes
from alerting.readings.history import History, duration_millis, from_millis

_MOMENT = timedelta(milliseconds=1)


@dataclass(frozen=True)
class OpenPrediction:
    """The open prediction of a target, and its current problem, as they are before an evaluation.

    `raising`: the definition as it was when the prediction was raised, whose problem ends it;
    without an open prediction the present one. `closed_by_hand`: when an operator ended the problem
    that goes on.
    """

    raising: TrainedDefinition
    known_problem: KnownProblem
    closed_by_hand: datetime | None

    def is_about(self, definition: TrainedDefinition) -> bool:
        """Return whether it predicts the problem of this definition."""
        return self.raising.problem == definition.problem

    def rule(self, history: History, stride: timedelta) -> PredictionRule:
        """Return how it ends."""
        return prediction_rule(
            self.raising, history, self.known_problem, stride, self.closed_by_hand
        )


def read_open_prediction(
    definition: TrainedDefinition,
    sources: EvaluationSources,
    part: VersionInterval,
    state: ConditionState,
) -> OpenPrediction:
    """Return the prediction that is open at the start of a part."""
    platform = sources.platform
    return OpenPrediction(
        _raising_definition(platform.definitions, state, part, definition),
        _known_problem(state, part),
        _closed_by_operator(platform.episodes, state, definition.name, sources.asset),
    )


def state_at_end(
    before: ConditionState,
    after: ConditionState,
    part: VersionInterval,
    of_open: PredictionRule,
    rule: PredictionRule,
    rearm_at: int,
) -> ConditionState:
    """Return the state at the end of a part, with what the next one needs to know of the problem
    and of the raise."""
    is_same = after.raised_at is not None and after.raised_at == before.raised_at
    raised_here = part.revision.number if part.revision and after.raised_at else None
    occurrences = (of_open if is_same else rule).occurrences
    return replace(
        after,
        watermark=part.end,
        raised_by=before.raised_by if is_same else raised_here,
        problem_since=occurrences.start_at(part.end) if occurrences.is_carried else None,
        rearm_at=from_millis(rearm_at),
    )


def _known_problem(state: ConditionState, part: VersionInterval) -> KnownProblem:
    """Return the problem in the state at the start of a part; nothing if the problem may be another
    one."""
    if part.is_new and state.raised_at is None:
        return KnownProblem(part.start)
    return KnownProblem(part.start, state.problem_since, is_first=state.rearm_at is None)


def prediction_rule(
    definition: TrainedDefinition,
    history: History,
    earlier: KnownProblem,
    stride: timedelta,
    closed_by_hand: datetime | None = None,
) -> PredictionRule:
    """Return how predictions of a definition end. `closed_by_hand`: when an operator ended the
    problem that goes on.

    A prediction of the unit just made is about one stride.
    """
    occurrences = find_occurrences(definition, history, earlier)
    if closed_by_hand is not None:
        occurrences = occurrences.ended_at(closed_by_hand)
    state = predicts(definition, history.asset) == "state"
    times = (
        (stride, stride) if definition.is_of_unit else (definition.window.until, definition.horizon)
    )
    window, horizon = (duration_millis(d) for d in times)
    return PredictionRule(
        occurrences,
        window,
        horizon,
        alarm_end_of(definition, stride),
        state,
        definition.is_of_unit,
    )


def read_from(
    asset: Asset,
    event_types: Sequence[EventType],
    part: VersionInterval,
    definitions: Sequence[TrainedDefinition],
    model: TrainedModel | None,
    is_first: bool,
) -> datetime:
    """Return the first instant of needed data: for the features, and for values of the problem that
    are known now.

    The first evaluation also needs the problems whose recovery, or the horizon after it, reaches
    into the part.
    """
    before = (
        max(
            (d.problem.recovery or timedelta(0)) + 2 * d.horizon + d.gap + first_lookback(d.problem)
            for d in definitions
        )
        if is_first
        else timedelta(0)
    )
    delays = [problem_delay(d.problem, asset, event_types) for d in definitions]
    delays += [t.delay for t in event_types if model and t.name in model.plan.events]
    hold = max(d.problem.hold for d in definitions)
    lookback = max(model.plan.lookback, before) if model else before
    carried = max(problem_lookback(d.problem) for d in definitions)
    return part.start - lookback - hold - max(delays) - carried - _MOMENT


def _raising_definition(
    definitions: Definitions,
    state: ConditionState,
    part: VersionInterval,
    definition: TrainedDefinition,
) -> TrainedDefinition:
    """Return the definition by which the open episode was raised, whose problem decides how it
    ends."""
    if state.raised_by is None or part.revision is None or state.raised_by == part.revision.number:
        return definition
    raising = next(
        (r for r in definitions.revisions(definition.name) if r.number == state.raised_by), None
    )
    return (
        raising.definition
        if raising is not None and isinstance(raising.definition, TrainedDefinition)
        else definition
    )


def _closed_by_operator(
    episodes: Episodes, state: ConditionState, name: str, asset: Asset
) -> datetime | None:
    """Return when an operator closed the episode that is happening, None otherwise."""
    if state.happening_since is None or state.raised_at is None:
        return None
    found = episodes.find(name, asset.name, start=state.raised_at, end=state.watermark + _MOMENT)
    closed = (
        t.at
        for e in found
        if not e.withdrawn
        for t in e.transitions
        if t.kind == "closed" and t.actor != PLATFORM
    )
    return max(closed, default=None)
