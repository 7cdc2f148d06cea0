"""Evaluate a model of a problem over one interval of event time: from histories to steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.asset_documents import Asset, EventType
from alerting.definitions.fields.problem import variable_title
from alerting.definitions.wording.language import translatable
from alerting.detection.evaluation_results_and_texts import (
    NO_READINGS_FOR_MODEL,
    duration_value,
)
from alerting.detection.problem_occurrences import (
    REASONS,
    KnownProblem,
    Scores,
    describe_happening,
    find_occurrences,
    first_lookback,
    match_names,
    predicts,
    problem_delay,
    problem_lookback,
    why_not_counted,
)
from alerting.episodes.episode import PLATFORM
from alerting.episodes.lifecycle import ConditionState, Step
from alerting.episodes.prediction_rule import (
    AdvancedPredictions,
    Course,
    PredictionRule,
    RiskSeries,
    advance_predictions,
    alarm_end_of,
    rearm,
)
from alerting.kinds.protocol import (
    NO_MODEL,
    EvaluationSources,
    Raise,
    Refresh,
    ScoredRows,
    TargetEvaluation,
    VersionInterval,
    carried_reason,
    confine_fault,
)
from alerting.kinds.shared_inputs import SharedInputs
from alerting.learning.features.point_in_time import (
    evaluated_instants,
    grid,
    has_any_value,
    has_needed_value,
)
from alerting.learning.features.reading_counts import TOO_FEW, most_have_enough_readings
from alerting.learning.models.trained import TrainedModel
from alerting.ports import Definitions, Episodes, ModelUnavailable
from alerting.readings.history import (
    BoolArray,
    History,
    Millis,
    duration_millis,
    from_millis,
    to_millis,
    with_older,
)
from alerting.recommendation.levers import with_drivers

_MOMENT = timedelta(milliseconds=1)
_REFRESHED_EVERY = 60_000  # ms


@dataclass(frozen=True)
class OpenPrediction:
    """The open prediction of a target, and the problem that is going on, as they are before an
    evaluation.

    `raising`: the revision of the definition that raised the prediction and whose problem ends it;
    the present definition without an open prediction. `closed_by_hand`: when an operator ended the
    problem that is going on.
    """

    raising: TrainedDefinition
    known_problem: KnownProblem
    closed_by_hand: datetime | None

    def is_about(self, definition: TrainedDefinition) -> bool:
        """Return whether the open prediction is about the problem of this definition."""
        return self.raising.problem == definition.problem


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
    """Return the state at the end of a part, with the facts on problem and raise that the next part
    needs."""
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
    """Return the problem in the state at the start of a part; an empty one if the definition's
    problem may have changed."""
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
    """Return the rule by which predictions of a definition end. `closed_by_hand`: when an operator
    ended the problem that is going on.

    A prediction of the unit just made is about one stride.
    """
    occurrences = find_occurrences(definition, history, earlier)
    if closed_by_hand is not None:
        occurrences = occurrences.ended_at(closed_by_hand)
    return PredictionRule(
        occurrences,
        duration_millis(stride if definition.is_of_unit else definition.window.until),
        duration_millis(stride if definition.is_of_unit else definition.horizon),
        alarm_end_of(definition, stride),
        predicts(definition, history.asset) == "state",
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
    """Return the first instant from which readings are needed: for the features, and for values of
    the problem that are known by now.

    The first evaluation also needs problems whose recovery, or the horizon after that, reaches into
    the part.
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
    read = [pattern for d in definitions if d.life_ends for pattern in d.events_read()]
    names = match_names([t.name for t in event_types], read)
    delays += [t.delay for t in event_types if t.name in names]
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
    """Return the definition that raised the open episode; its problem decides how the episode
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
    raised = episodes.find(name, asset.name, start=state.raised_at, end=state.watermark + _MOMENT)
    closed = (
        t.at
        for e in raised
        if not e.withdrawn
        for t in e.transitions
        if t.kind == "closed" and t.actor != PLATFORM
    )
    return max(closed, default=None)


@dataclass(frozen=True)
class _Inputs:
    """Inputs of the evaluation of a part: its model, if any, the readings, and the instants (ms) to
    score.

    `rule`: how predictions of the definition end; `open_rule`: how the open prediction ends.
    `rearm_at`: until when (ms) a high score raises no episode unless a lower score came first.
    """

    definition: TrainedDefinition
    part: VersionInterval
    state: ConditionState
    model: TrainedModel | None
    shared: SharedInputs
    history: History
    stride: timedelta
    at: Millis
    open_one: OpenPrediction
    open_rule: PredictionRule
    rule: PredictionRule
    rearm_at: int


@dataclass(frozen=True)
class _Scored:
    """Scores at the instants of a part, NaN where unknown, with the reason there, else "".

    `twin`: scores of the twin in shadow, NaN also where the refit does not score. `rows`: the
    features.
    """

    score: Scores
    twin: Scores
    unknown: npt.NDArray[np.object_]
    rows: pd.DataFrame | None = None


def evaluate_part(
    definition: TrainedDefinition,
    sources: EvaluationSources,
    part: VersionInterval,
    before: TargetEvaluation,
) -> TargetEvaluation:
    """Score every stride of a part with the champion in force there; a model that cannot be read
    ends the evaluation."""
    try:
        inputs = _read_inputs(definition, sources, part, before.state)
        scored = _score_instants(inputs)
    except ModelUnavailable as unavailable:
        return before.stop(f"the model cannot be read: {unavailable}")
    advanced = _advance(inputs, scored)
    return TargetEvaluation(
        advanced.state,
        [*before.steps, *((step, part) for step in advanced.steps)],
        before.raises | _raises(inputs, scored, advanced.steps),
        [*before.scores, *_scored_rows(inputs, scored)],
        _unknown_at_end(before, inputs, scored),
        history=inputs.history,
        refreshes=before.refreshes | _refreshes(inputs, scored, advanced.courses),
        valid_until={**before.valid_until, **_valid_until(inputs, advanced.courses)},
        has_model=inputs.model is not None,
    )


def _read_inputs(
    definition: TrainedDefinition,
    sources: EvaluationSources,
    part: VersionInterval,
    state: ConditionState,
) -> _Inputs:
    asset = sources.asset
    model = _model_in_force(definition, sources, part)
    open_one = read_open_prediction(definition, sources, part, state)
    definitions = (definition, open_one.raising)
    known_problem = (
        open_one.known_problem if open_one.is_about(definition) else KnownProblem(part.start)
    )
    by_events = any(d.problem.event is not None for d in definitions) or bool(
        model is not None and model.plan.events
    )
    event_types = sources.platform.assets.event_types() if by_events else ()
    start = read_from(asset, event_types, part, definitions, model, known_problem.is_first)
    history = _read_history(
        sources.shared, asset, start, part, model, definitions, with_events=by_events
    )
    stride = stride_of(definition, model)
    open_rule = prediction_rule(
        open_one.raising, history, open_one.known_problem, stride, open_one.closed_by_hand
    )
    is_own = open_one.raising is definition
    return _Inputs(
        definition,
        part,
        state,
        model,
        sources.shared,
        history,
        stride,
        _evaluated_instants(definition, stride, model, history, part),
        open_one,
        open_rule,
        open_rule if is_own else prediction_rule(definition, history, known_problem, stride),
        0 if known_problem.is_first or state.rearm_at is None else to_millis(state.rearm_at),
    )


def _model_in_force(
    definition: TrainedDefinition, sources: EvaluationSources, part: VersionInterval
) -> TrainedModel | None:
    """Return the champion of a part, without its refit if that has given way to the twin; None
    without a champion."""
    if part.model_version is None:
        return None
    model = sources.models.get(definition, part.model_version)
    return replace(model, refit=None) if part.by_twin else model


def _advance(inputs: _Inputs, scored: _Scored) -> AdvancedPredictions:
    part = inputs.part
    has_alarm = inputs.model is not None and inputs.model.has_alarm
    threshold = inputs.model.threshold if inputs.model and has_alarm else np.inf
    risk = RiskSeries(inputs.at, scored.score, threshold)
    rearming = rearm(risk, inputs.rule, to_millis(part.end), inputs.rearm_at)
    advanced = advance_predictions(
        inputs.state,
        risk,
        rearming.may_raise,
        inputs.rule,
        part.end,
        inputs.open_rule,
        inputs.open_one.is_about(inputs.definition),
    )
    after = state_at_end(
        inputs.state, advanced.state, part, inputs.open_rule, inputs.rule, rearming.rearm_at
    )
    steps = [_with_reason(inputs, step) for step in advanced.steps]
    return AdvancedPredictions(after, steps, advanced.courses)


def _valid_until(inputs: _Inputs, courses: Mapping[datetime, Course]) -> dict[datetime, datetime]:
    """Return, by raise, the end of the prediction window: gap and horizon after the last high
    score."""
    windows = {
        raised: (inputs.open_one.raising if raised == inputs.state.raised_at else inputs.definition)
        for raised in courses
    }
    return {
        raised: from_millis(course.last_high_at) + windows[raised].gap + windows[raised].horizon
        for raised, course in courses.items()
    }


def _with_reason(inputs: _Inputs, step: Step) -> Step:
    """Return the step; if the problem of its episode has come, with that problem as its reason."""
    if step.kind != "happening":
        return step
    is_open_one = step.raised_at == inputs.state.raised_at
    definition = inputs.open_one.raising if is_open_one else inputs.definition
    occurrences = (inputs.open_rule if is_open_one else inputs.rule).occurrences
    reason = describe_happening(definition.problem, inputs.history, occurrences, step.at)
    return replace(step, reason=reason)


def _raises(inputs: _Inputs, scored: _Scored, steps: Sequence[Step]) -> dict[datetime, Raise]:
    raised = [step.at for step in steps if step.kind == "raised"]
    if not raised:
        return {}
    rows = np.searchsorted(inputs.at, [to_millis(at) for at in raised]).tolist()
    return {at: _values_at(inputs, scored, row) for at, row in zip(raised, rows, strict=True)}


def _refreshes(
    inputs: _Inputs, scored: _Scored, courses: Mapping[datetime, Course]
) -> dict[datetime, Refresh]:
    """Return the instants at which reasons and advice of predictions are computed again; none
    without a model of their problem."""
    if inputs.model is None or not inputs.open_one.is_about(inputs.definition):
        return {}
    # of the one that was open before, if its problem had not come, and of those raised here
    ends = {
        raised_at: course.ended_at
        for raised_at, course in courses.items()
        if raised_at != inputs.state.raised_at or inputs.state.happening_since is None
    }
    stride = duration_millis(inputs.stride)
    rows = refreshed_rows(ends, inputs.at, scored.score, inputs.rule, stride)
    return {
        raised_at: Refresh(
            from_millis(int(inputs.at[row])), _values_at(inputs, scored, row), inputs.definition
        )
        for raised_at, row in rows.items()
    }


def _values_at(inputs: _Inputs, scored: _Scored, row: int) -> Raise:
    at = from_millis(int(inputs.at[row]))
    return Raise(
        float(scored.score[row]),
        row=None if scored.rows is None else scored.rows.iloc[[row]],
        model=None if inputs.model is None else inputs.model.serving(at),
        model_version=inputs.part.model_version,
        history=inputs.history,
        shared=inputs.shared,
    )


def _scored_rows(inputs: _Inputs, scored: _Scored) -> list[ScoredRows]:
    version = inputs.part.model_version
    if inputs.model is None or version is None:
        return []
    rows = ScoredRows(
        inputs.at,
        scored.score,
        scored.twin,
        scored.unknown,
        inputs.model,
        version,
        has_alarm=inputs.model.has_alarm,
    )
    return [rows]


def _unknown_at_end(before: TargetEvaluation, inputs: _Inputs, scored: _Scored) -> str | None:
    """Return why the last instant up to the end of a part is unknown, None if it is known."""
    if inputs.model is None:
        return NO_MODEL
    return (scored.unknown[-1] or None) if len(scored.unknown) else carried_reason(before)


def stride_of(definition: TrainedDefinition, model: TrainedModel | None) -> timedelta:
    """Return the time between two scores: as the definition states it, or as it was derived for the
    model."""
    if definition.features.stride or model is None:
        return definition.stride
    return timedelta(milliseconds=model.plan.stride_ms)


def _evaluated_instants(
    definition: TrainedDefinition,
    stride: timedelta,
    model: TrainedModel | None,
    history: History,
    part: VersionInterval,
) -> Millis:
    """Return the evaluated instants (ms) of a part; without a model, all instants of the stride."""
    start = to_millis(part.start)
    end = to_millis(part.end)
    if model is None:
        return grid(start, end, duration_millis(stride))
    plan = replace(model.plan, stride_ms=duration_millis(stride))
    return evaluated_instants(definition, plan, history, start, end)


def _read_history(
    shared: SharedInputs,
    asset: Asset,
    start: datetime,
    part: VersionInterval,
    model: TrainedModel | None,
    definitions: Sequence[TrainedDefinition],
    with_events: bool,
) -> History:
    """Return the readings from `start` to the end of a part that problems, features of a model and
    advice need: no other variables, and events only if one of these needs events.

    From before `start` it has the values that may be carried forward into the part, the last event
    of each type, and ongoing events.
    """
    names = {
        *(v for d in definitions for v in d.problem.variables),
        *(with_drivers(asset, model.plan.variables) if model else ()),
    }
    history = shared.load(asset, start, part.end, names, with_events)
    longest = model.plan.carried_longer if model else {}
    since = {name: start - carry for name, carry in longest.items() if name in history.readings}
    return (
        with_older(history, shared.newest_values(history.asset, since, start)) if since else history
    )


def _score_instants(inputs: _Inputs) -> _Scored:
    """Score the instants of a part. Raises ModelUnavailable if the model fails in any way."""
    at = inputs.at
    model = inputs.model
    if model is None:
        nothing = np.full(len(at), np.nan)
        return _Scored(nothing, nothing, np.full(len(at), NO_MODEL, dtype=object))
    with confine_fault("the model cannot score"):
        rows, scored = inputs.shared.score(model, inputs.history, at)
    unknown = np.full(len(at), "", dtype=object)
    for mask, reason in _reasons_of_unknown(inputs, model):
        unknown[mask] = reason
    is_known = (unknown == "") & model.has_alarm
    return _Scored(
        np.where(is_known, scored.score, np.nan),
        np.where(is_known, scored.twin, np.nan),
        unknown,
        rows.frame,
    )


def _reasons_of_unknown(inputs: _Inputs, model: TrainedModel) -> list[tuple[BoolArray, str]]:
    """Return masks of the instants at which the problem cannot be predicted, each with the reason;
    a later reason replaces an earlier one."""
    at = inputs.at
    rule = inputs.rule
    learned = translatable(
        "the model has learned from times up to {until}", until=model.training_cutoff
    )
    reasons: list[tuple[BoolArray, str]] = [(at <= to_millis(model.training_cutoff), learned)]
    if (name := inputs.definition.must_know) is not None:
        why = translatable(
            "{name} is not known: it has no value of the last {duration}",
            name=variable_title(name, inputs.history.asset.variables),
            duration=duration_value(timedelta(milliseconds=model.plan.carry_ms(name))),
        )
        reasons.append((~has_needed_value(inputs.definition, model.plan, inputs.history, at), why))
    enough = most_have_enough_readings(model.plan, inputs.history, at)
    reasons.append((~enough, TOO_FEW))
    if not model.plan.usual or not enough.all():  # half of the usual readings are values
        reasons.append(
            (
                ~has_any_value(model.plan, inputs.history, at),
                translatable(NO_READINGS_FOR_MODEL, duration=duration_value(model.plan.lookback)),
            )
        )
    uncounted = why_not_counted(
        at, rule.occurrences, not rule.state, recovered_at=inputs.rearm_at - rule.horizon_ms
    )
    return [*reasons, *((uncounted == name, reason) for name, reason in REASONS.items())]


def refreshed_rows(
    ends: Mapping[datetime, int], at: Millis, score: Scores, rule: PredictionRule, stride: int
) -> dict[datetime, int]:
    """Return, by raise, the row at which reasons and advice are computed again: the last known
    score between raise and end of the prediction that is the first score in its minute; a
    prediction without such a score is absent. `stride`: time between two scored instants (ms).

    Instants at which the condition is already true count only for a model of the state. The row
    depends on the evaluated instants, and not on the number of evaluations that they took.
    """
    means_nothing = np.isnan(score) | (at % _REFRESHED_EVERY >= stride)
    if not rule.state:
        means_nothing |= rule.occurrences.hold_at(at)
    scored = np.flatnonzero(~means_nothing)
    rows = {}
    for raised_at, end in ends.items():
        last = int(np.searchsorted(at[scored], end)) - 1
        if last >= 0 and at[scored[last]] > to_millis(raised_at):
            rows[raised_at] = int(scored[last])
    return rows
