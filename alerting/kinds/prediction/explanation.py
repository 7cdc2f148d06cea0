"""Content of a prediction's episode: the risk, its reasons, and the advice."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from alerting.definitions.assets import Asset
from alerting.definitions.faults import first_line
from alerting.definitions.model import TrainedDefinition
from alerting.definitions.wording.language import joined, translatable
from alerting.detection.evaluation import Evaluation
from alerting.detection.messages.problem_messages import risk_message
from alerting.episodes.episode import Contribution, RecommendationResult
from alerting.episodes.lifecycle import Step
from alerting.kinds.protocol.evaluation import Raise, RaiseEvidence
from alerting.learning.models.trained import TrainedModel
from alerting.readings.history import History
from alerting.recommendation.contributions import Explanation, contributions, explain
from alerting.recommendation.whatif import recommend

T = TypeVar("T")


def explain_raise(
    definition: TrainedDefinition,
    asset: Asset,
    step: Step,
    at_raise: Raise,
    history: History | None,
) -> RaiseEvidence:
    """Return the content of a new episode: the risk, the last values of the model's variables,
    contributions and advice."""
    model = at_raise.model
    why, advice, fault = _explain(definition, asset, at_raise, history, step.at)
    risk = risk_message(
        definition,
        asset,
        history.event_types if history is not None else (),
        at_raise.value or 0.0,
        model.threshold if model else None,
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
        return RaiseEvidence(evaluation, True, {}, why, advice)
    inputs = _share(
        at_raise,
        history,
        step.at,
        "inputs",
        lambda: {name: _last_value(history, name, step.at) for name in model.plan.variables},
    )
    return RaiseEvidence(evaluation, True, inputs, why, advice)


def _share(
    at_raise: Raise, history: History | None, at: datetime, limits: str, compute: Callable[[], T]
) -> T:
    """Return what `compute` makes of the model and the readings at an instant, or what it made for
    another definition."""
    if at_raise.shared is None or at_raise.model is None or history is None:
        return compute()
    return at_raise.shared.explain(at_raise.model, history, at, limits, compute)


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
