"""What kinds share whose model predicts a problem: the score is a probability, an episode has a
prediction window, and the score at an instant is explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias, TypeVar

import numpy as np

from alerting.deferred import pd
from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import first_line
from alerting.definitions.fields.names_and_times import merge
from alerting.definitions.fields.problem import variable_title
from alerting.definitions.wording.language import (
    format_threshold,
    in_english,
    joined,
    spoken_share,
    spoken_threshold,
    translatable,
)
from alerting.detection.evaluation_results_and_texts import Evaluation, risk_message
from alerting.detection.problem_occurrences import find_occurrences, predicts
from alerting.episodes.advice import split_reasons
from alerting.episodes.episode import Contribution, Episode, RecommendationResult
from alerting.episodes.lifecycle import ConditionState, Step
from alerting.episodes.mode_shares import ModeShare, describe_modes
from alerting.episodes.prediction_rule import clear_threshold
from alerting.kinds.prediction_evaluation import evaluate_part
from alerting.kinds.protocol import (
    Charted,
    Gap,
    Inputs,
    Raise,
    RaiseEvidence,
    ScoreDetails,
    ScoredRows,
    Why,
    WhyQuestion,
)
from alerting.kinds.shared_inputs import SharedInputs
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.features.point_in_time import build_features
from alerting.learning.models.mode_model import conditions_of, describe_row
from alerting.learning.models.trained import TrainedModel
from alerting.readings.history import History, from_millis, to_millis
from alerting.recommendation.explanation import (
    Explanation,
    contributions,
    explain,
    explain_matrix,
    recommend,
)
from alerting.reporting.variable_charts import levels_by_variable, problem_levels, usual_levels

T = TypeVar("T")


def explain_raise(
    definition: TrainedDefinition,
    asset: Asset,
    step: Step,
    at_raise: Raise,
    history: History | None,
) -> RaiseEvidence:
    """Return the content of a new episode: the risk, the last values of the model's variables,
    contributions and advice. `history`: the readings that advice is computed from, one row per
    instant; None: no advice."""
    model = at_raise.model
    why, advice, fault = _explain(definition, asset, at_raise, history, step.at)
    risk = risk_message(
        definition,
        asset,
        history.event_types if history is not None else (),
        at_raise.value or 0.0,
        model.threshold if model else None,
    )
    modes = name_modes(definition, asset, model, at_raise.row)
    evaluation = Evaluation(
        step.at,
        "triggered",
        joined("; ", risk, describe_modes(modes), fault),
        at_raise.value,
        model.threshold if model else None,
        at_raise.model_version,
    )
    if model is None or history is None:
        return RaiseEvidence(evaluation, True, {}, why, advice, modes)
    inputs = _share(
        at_raise,
        history,
        step.at,
        "inputs",
        lambda: {name: _last_value(history, name, step.at) for name in model.plan.variables},
    )
    return RaiseEvidence(evaluation, True, inputs, why, advice, modes)


def name_modes(
    definition: TrainedDefinition,
    asset: Asset,
    model: TrainedModel | None,
    row: pd.DataFrame | None,
) -> tuple[ModeShare, ...]:
    """Return which of the named problems it probably is; nothing if the model does not know the
    definition's modes. `row`: the one row of features at the raise."""
    if model is None or row is None:
        return ()
    conditions = {mode.name: mode.condition for mode in model.modes}
    if not conditions or conditions != conditions_of(definition.mode_problems):
        return ()
    plan = model.plan
    titles = [variable_title(plan.source_of(name), asset.variables) for name in plan.columns]
    return describe_row(model.modes, model.estimator.columns.matrix(row), titles)


def _share(
    at_raise: Raise, history: History | None, at: datetime, limits: str, compute: Callable[[], T]
) -> T:
    """Return the result of `compute` for the model and the readings at an instant; a result for
    another definition with the same model is used again."""
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
    """Return contributions, advice, and an empty text; if the model fails, neither of them, and the
    fault as text."""
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
    """Return the recommendation at an instant, from the rows of a history, within the definition's
    limits for advice."""
    limits = definition.recommendation
    return recommend(model, history, at, limits.max_changes, limits.variables, explained)


Describe: TypeAlias = "Callable[[TrainedModel, pd.DataFrame], list[str]]"


def explain_instant(
    definition: TrainedDefinition, question: WhyQuestion, describe: Describe = lambda *_: []
) -> Why:
    """Explain the score of the last stride at an instant, with the three strongest contributions.

    `describe`: returns facts of the kind from the feature row and the model that scored it.
    """
    blank = question.blank
    recovery = definition.problem.recovery or timedelta(0)
    begin = question.at - definition.longest_window - definition.stride - recovery
    evaluated = question.evaluate(ConditionState(watermark=begin))
    scored = next((s for s in reversed(evaluated.scores) if len(s.at)), None)
    has_score = scored is not None and not scored.unknown[-1]
    if evaluated.unknown or scored is None or not has_score:
        none = (
            "no unit was made in the last stride"
            if definition.is_of_unit
            else "no instant of the stride lies in the interval"
        )
        reason = evaluated.unknown or none
        answer = joined("", "cannot tell: ", reason)
        return replace(blank, verdict="unknown", answer=answer, unknown=reason)
    when = scored.at[-1:]
    serving = scored.last_model
    if not scored.has_alarm:
        facts = (
            describe(serving, build_features(serving.plan, evaluated.history, when))
            if evaluated.history is not None
            else []
        )
        return replace(
            blank,
            verdict="normal",
            answer=joined("; ", "its values serve without an alarm", *facts),
            model_version=scored.model_version,
        )
    score = float(scored.score[-1])
    facts = [
        f"model version {scored.model_version} gives the risk {score:.3f}, its threshold is "
        f"{format_threshold(scored.threshold)}"
    ]
    if evaluated.history is not None:
        row = build_features(serving.plan, evaluated.history, when)
        named = describe_modes(name_modes(definition, question.asset, serving, row))
        facts += [*describe(serving, row), *filter(None, [named])]
        facts += [c.message for c in split_reasons(contributions(serving, row, question.asset))[0]]
    facts += [life.message for life in scored.lives[-1:] if life is not None]
    why = replace(
        blank,
        score=score,
        threshold=scored.threshold,
        model_version=scored.model_version,
        facts=tuple(facts),
    )
    risk = f"the risk is {spoken_share(score)} (alarm at {spoken_threshold(scored.threshold)})"
    state = evaluated.state
    if state.raised_at is not None:
        return replace(why, verdict="open", answer=_describe_open(definition, state, risk, scored))
    if score < scored.threshold:
        return replace(why, verdict="normal", answer=f"not raised: {risk}")
    if (
        question.covering is None
        and state.raised_at is None
        and state.rearm_at is not None
        and state.rearm_at > question.at
    ):
        answer = in_english(
            "not raised: {risk}, but it has not been lower than that since the last problem was "
            "over; an alert is raised after a lower risk, or from {rearm} on, one horizon after "
            "the recovery",
            risk=risk,
            rearm=state.rearm_at,
        )
        return replace(why, verdict="pending", answer=answer, due_at=state.rearm_at)
    return replace(why, verdict="open", answer=risk)


def _describe_open(
    definition: TrainedDefinition, state: ConditionState, risk: str, scored: ScoredRows
) -> str:
    """Describe why an alarm is open at an instant: the problem has come, or the risk stays."""
    if state.happening_since is not None:
        return in_english(
            "{risk}; the problem goes on since {since}", risk=risk, since=state.happening_since
        )
    clear = clear_threshold(scored.threshold, definition.clear_at)
    stays = f"{risk}; the alarm stays while the risk is not below {spoken_threshold(clear)}"
    if state.clearing_since is None:
        return stays
    return in_english(
        "{stays}, and has been low since {since}", stays=stays, since=state.clearing_since
    )


class PredictionKind:
    """All methods of a kind whose model predicts a problem, except `load`."""

    evaluate = staticmethod(evaluate_part)
    explain = staticmethod(explain_raise)
    outcome = staticmethod(predicts)

    def why(self, definition: TrainedDefinition, question: WhyQuestion) -> Why:
        return explain_instant(definition, question)

    def plan_of(self, model: TrainedModel, asset: str) -> FeaturePlan:
        return model.plan

    def score_rows(self, model: TrainedModel, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the probability of the problem for each row, by the refit where there is one."""
        return pd.DataFrame({"probability": (model.refit or model).score(rows)}, index=rows.index)

    def details(
        self, asset: Asset, history: History, scored: ScoredRows, shared: SharedInputs
    ) -> ScoreDetails:
        model = scored.last_model
        rows = shared.features(scored.model.plan, history, scored.at[-1:])
        return ScoreDetails(
            contributions(model, rows.frame, asset, explain_matrix(model, rows.matrix[0]))
        )

    def inputs(self, definition: TrainedDefinition, asset: Asset) -> Inputs:
        return Inputs()

    def chart(self, definition: TrainedDefinition, asset: Asset, episode: Episode) -> Charted:
        """Return the risk, and the variables of the problem; for a predicted event the variable
        that contributed most."""
        if (combination := definition.problem.combination) is not None:
            levels = levels_by_variable(combination, asset)
            first, *others = [Charted(*drawn) for drawn in levels.items()]
            return first._replace(scored=True, others=tuple(others))
        strongest = max(episode.contributions, key=lambda c: abs(c.share), default=None)
        if definition.problem.variable is not None or strongest is None:
            variable = definition.problem.variable
            return Charted(variable, problem_levels(definition.problem), scored=True)
        return Charted(strongest.variable, usual_levels(strongest), scored=True)

    def has_score_each_stride(self, definition: TrainedDefinition) -> bool:
        """Return whether the model gives a score each stride: for the unit just made it scores each
        unit as it comes."""
        return not definition.is_of_unit

    def unevaluated_intervals(
        self, definition: TrainedDefinition, history: History, start: datetime, end: datetime
    ) -> tuple[Gap, ...]:
        """Return the intervals that do not count after a problem, and the time after the last
        reading."""
        last = history.readings.index[-1].to_pydatetime()
        gaps = [(max(last, start), end)] if last < end else []
        if predicts(definition, history.asset) == "onset":
            problems = find_occurrences(definition, history)
            lasted = problems.lasted
            recovered = np.minimum(problems.recovered_at[lasted], to_millis(end))
            gaps += [
                (from_millis(a), from_millis(b))
                for a, b in zip(problems.known_at[lasted].tolist(), recovered.tolist(), strict=True)
                if a < b
            ]
        return tuple(merge(gaps, start, end))
