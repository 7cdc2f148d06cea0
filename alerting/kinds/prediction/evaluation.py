"""Evaluate a model of a problem over one interval of event time: from histories to steps of
episodes, and what a raise shows."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from alerting.definitions.assets import Asset
from alerting.definitions.faults import first_line
from alerting.definitions.model import TrainedDefinition
from alerting.definitions.wording.language import joined, translatable
from alerting.definitions.wording.spoken import spoken_duration
from alerting.detection.classifier import Scores, describe_happening
from alerting.detection.counted_times import REASONS, why_not_counted
from alerting.detection.evaluation import Evaluation
from alerting.detection.messages.problem_messages import risk_message
from alerting.detection.problems import BoolArray, KnownProblem
from alerting.episodes.episode import Contribution, RecommendationResult
from alerting.episodes.lifecycle import Step
from alerting.episodes.predictions import PredictionRule, advance_predictions, rearm
from alerting.kinds.prediction.open_prediction import (
    closed_by_operator,
    known_problem,
    prediction_rule,
    raising_definition,
    read_from,
    state_at_end,
)
from alerting.kinds.prediction.refresh import courses_of, refreshes_of
from alerting.kinds.protocol.evaluation import (
    Evidence,
    Raise,
    ScoredRows,
    Sources,
    TargetEvaluation,
    VersionInterval,
)
from alerting.kinds.protocol.shared_inputs import Scored, SharedInputs
from alerting.learning.data.point_in_time import evaluated_instants, has_any_value, has_needed_value
from alerting.learning.features.build import grid
from alerting.learning.models.trained import TrainedModel
from alerting.ports import ModelUnavailable
from alerting.readings.history import History, Millis, duration_millis, to_millis, with_older
from alerting.recommendation.contributions import Explanation, contributions, explain
from alerting.recommendation.levers import with_drivers
from alerting.recommendation.whatif import recommend

NO_MODEL = "no model is in service yet"
_MOMENT = timedelta(milliseconds=1)
T = TypeVar("T")


def evaluate_part(
    definition: TrainedDefinition, sources: Sources, part: VersionInterval, before: TargetEvaluation
) -> TargetEvaluation:
    """Score every stride of a part with the champion in force there; a model that cannot be read
    ends the evaluation."""
    try:
        model = (
            None
            if part.model_version is None
            else sources.models.get(definition, part.model_version)
        )
        if model is not None and part.by_twin:
            model = replace(model, refit=None)
        raising = raising_definition(sources.platform.definitions, before.state, part, definition)
        by_hand = closed_by_operator(
            sources.platform.episodes, before.state, definition.name, sources.asset
        )
        return _evaluate_interval(sources, before, part, definition, model, raising, by_hand)
    except ModelUnavailable as unavailable:
        why = f"the model cannot be read: {unavailable}"
        return replace(before, unknown=why, unreadable=why)


def _evaluate_interval(
    sources: Sources,
    result: TargetEvaluation,
    part: VersionInterval,
    definition: TrainedDefinition,
    model: TrainedModel | None,
    raising: TrainedDefinition,
    closed_by_hand: datetime | None,
) -> TargetEvaluation:
    """Evaluate one part. `raising`: the definition, as it was when the open episode was raised,
    whose problem ends it."""
    state = result.state
    asset = sources.asset
    platform = sources.platform
    known = known_problem(state, part)
    anew = KnownProblem(part.start)
    earlier = known if raising is definition or raising.problem == definition.problem else anew
    by_events = any(d.problem.event is not None for d in (definition, raising)) or (
        model is not None and model.plan.events
    )
    event_types = platform.assets.event_types() if by_events else ()
    start = read_from(asset, event_types, part, (definition, raising), model, earlier.is_first)
    history = _read_history(sources.shared, asset, start, part, model, (definition, raising))
    stride = stride_of(definition, model)
    of_open = prediction_rule(raising, history, known, stride, closed_by_hand)
    rule = (
        of_open
        if raising is definition
        else prediction_rule(definition, history, earlier, stride, None)
    )
    at = _evaluated_instants(definition, stride, model, history, part)
    rearm_at = 0 if earlier.is_first or state.rearm_at is None else to_millis(state.rearm_at)
    (score, twin), rows, unknown = _score(
        sources.shared, definition, model, history, rule, at, rearm_at
    )
    rearming = rearm(
        at, score, model.threshold if model else np.inf, rule, to_millis(part.end), rearm_at
    )
    after, steps = advance_predictions(
        state, at, rearming.may_raise, rule, stride, part.end, of_open
    )
    raises = dict(result.raises)
    for i, step in enumerate(steps):
        if step.kind == "raised" and rows is not None:
            row = int(np.searchsorted(at, to_millis(step.at)))
            serving = None if model is None else model.serving(step.at)
            raises[step.at] = Raise(
                float(score[row]),
                None,
                rows.iloc[[row]],
                serving,
                part.model_version,
                history,
                sources.shared,
            )
        elif step.kind == "happening":
            problem, own = (
                (raising.problem, of_open)
                if step.raised_at == state.raised_at
                else (definition.problem, rule)
            )
            steps[i] = replace(
                step, reason=describe_happening(problem, history, own.occurrences, step.at)
            )
    refreshes = dict(result.refreshes)
    if model is not None and rows is not None and raising.problem == definition.problem:
        courses = courses_of(result.state, steps, of_open, rule)
        version = part.model_version
        shared = sources.shared
        refreshes |= refreshes_of(
            courses, definition, model, version, at, score, rows, history, shared, rule
        )
    scored = [*result.scores]
    if model is not None and part.model_version is not None:
        scored.append(ScoredRows(at, score, twin, unknown, model, part.model_version))
    return TargetEvaluation(
        state_at_end(state, after, part, of_open, rule, rearming.rearm_at),
        [*result.steps, *((s, part) for s in steps)],
        raises,
        result.changes,
        scored,
        NO_MODEL if model is None else str(unknown[-1]) or None if len(at) else None,
        history=history,
        refreshes=refreshes,
    )


def stride_of(definition: TrainedDefinition, model: TrainedModel | None) -> timedelta:
    """Return the time between two scores: as the definition states it, or that of the model, which
    was derived for it."""
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
    """Return the instants (ms) of a part that are evaluated; without a model, those of the
    stride."""
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
) -> History:
    """Return what problems, features of a model and advice need from `start` to the end of a part:
    no other variables or events.

    Before `start` these are the values that may be carried forward into it, the last event of each
    type, and ongoing events.
    """
    names = {
        *(v for d in definitions for v in d.problem.variables),
        *(with_drivers(asset, model.plan.variables) if model else ()),
    }
    history = shared.load(asset, start, part.end, names)
    longest = model.plan.carried_longer if model else {}
    since = {name: start - carry for name, carry in longest.items() if name in history.readings}
    return with_older(history, shared.newest(history.asset, since, start)) if since else history


def _score(
    shared: SharedInputs,
    definition: TrainedDefinition,
    model: TrainedModel | None,
    history: History,
    rule: PredictionRule,
    at: Millis,
    rearm_at: int,
) -> tuple[tuple[Scores, Scores], pd.DataFrame | None, npt.NDArray[np.object_]]:
    """Return scores and those of the twin in shadow, the feature rows, and the reason where an
    instant is unknown, else "".

    Scores are NaN where unknown, those in shadow also where the refit does not score.
    """
    if model is None:
        return (np.full(len(at), np.nan),) * 2, None, np.full(len(at), NO_MODEL, dtype=object)
    rows, scored = _score_features(shared, model, history, at)
    reasons: list[tuple[BoolArray, str]] = [
        (
            at <= to_millis(model.training_cutoff),
            f"the model has learned from times up to {model.training_cutoff.isoformat()}",
        )
    ]
    if (name := definition.must_know) is not None:
        span = spoken_duration(timedelta(milliseconds=model.plan.carry_ms(name)))
        lacking = ~has_needed_value(definition, model.plan, history, at)
        reasons.append((lacking, f"{name} is not known: it has no value of the last {span}"))
    reasons.append(
        (
            ~has_any_value(model.plan, history, at),
            f"no values are known of the last {spoken_duration(model.plan.lookback)}",
        )
    )
    uncounted = why_not_counted(
        at, rule.occurrences, not rule.state, recovered_at=rearm_at - rule.horizon_ms
    )
    reasons += [(uncounted == name, reason) for name, reason in REASONS.items()]
    unknown = np.full(len(at), "", dtype=object)
    for mask, reason in reasons:
        unknown[mask] = reason
    score, twin = (
        np.where(unknown == "", values, np.nan) for values in (scored.score, scored.twin)
    )
    return (score, twin), rows, unknown


def _score_features(
    shared: SharedInputs, model: TrainedModel, history: History, at: Millis
) -> tuple[pd.DataFrame, Scored]:
    """Return feature rows and scores. Raises ModelUnavailable if a model fails in any way, so that
    the round continues."""
    try:
        rows, scored = shared.score(model, history, at)
    except Exception as fault:
        raise ModelUnavailable(f"the model cannot score: {first_line(fault)}") from fault
    return rows.frame, scored


def explain_raise(
    definition: TrainedDefinition,
    asset: Asset,
    step: Step,
    at_raise: Raise,
    history: History | None,
) -> Evidence:
    """Return the content of a new episode: the risk, the last values of the model's variables,
    contributions and advice."""
    model = at_raise.model
    why, advice, fault = _explain(definition, asset, at_raise, history, step.at)
    risk = risk_message(
        definition, asset, at_raise.value or 0.0, model.threshold if model else None
    )
    reason = joined("; ", risk, fault)
    evaluation = Evaluation(
        step.at,
        "triggered",
        reason,
        at_raise.value,
        model.threshold if model else None,
        at_raise.model_version,
    )
    if model is None or history is None:
        return Evidence(evaluation, True, {}, why, advice)
    inputs = _share(
        at_raise, history, step.at, "inputs", lambda: _last_values(model, history, step.at)
    )
    return Evidence(evaluation, True, inputs, why, advice)


def _share(
    at_raise: Raise, history: History | None, at: datetime, limits: str, compute: Callable[[], T]
) -> T:
    """Return what `compute` makes of the model and the readings at an instant, or what it made for
    another definition."""
    if at_raise.shared is None or at_raise.model is None or history is None:
        return compute()
    return at_raise.shared.explain(at_raise.model, history, at, limits, compute)


def _last_values(
    model: TrainedModel, history: History, at: datetime
) -> dict[str, float | str | None]:
    return {name: _last_value(history, name, at) for name in model.plan.variables}


def _last_value(history: History, variable: str, at: datetime) -> float | str | None:
    if variable not in history.readings:
        return None
    values = history.readings[variable].dropna().loc[: at - history.delay(variable)]
    last: float | str | None = values.iloc[-1] if len(values) else None
    return last


def _explain(
    definition: TrainedDefinition,
    asset: Asset,
    at_raise: Raise,
    history: History | None,
    at: datetime,
) -> tuple[tuple[Contribution, ...], RecommendationResult | None, str]:
    """Return contributions, advice, and an empty text; without both, and with the fault as text, if
    the model fails."""
    model = at_raise.model
    row = at_raise.row
    if model is None or row is None:
        return (), None, ""

    def compute() -> tuple[tuple[Contribution, ...], RecommendationResult | None]:
        explained = explain(model, row)
        advice = None if history is None else advise(definition, model, history, at, explained)
        return contributions(model, row, asset, explained), advice

    try:
        return (
            *_share(at_raise, history, at, definition.recommendation.model_dump_json(), compute),
            "",
        )
    except Exception as fault:
        return (
            (),
            None,
            translatable("the model cannot explain it: {fault}", fault=first_line(fault)),
        )


def advise(
    definition: TrainedDefinition,
    model: TrainedModel,
    history: History,
    at: datetime,
    explained: Explanation | None = None,
) -> RecommendationResult:
    """Return the recommendation at an instant, within the limits of the definition."""
    wanted = definition.recommendation
    return recommend(model, history, at, wanted.max_changes, wanted.variables, explained)
