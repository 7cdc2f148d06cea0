"""Kind `forecast`: a value ahead, which may leave its limits; evaluated like any model of a
problem."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

import numpy as np

from alerting.deferred import pd
from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.asset_documents import Asset
from alerting.definitions.wording.language import spoken_duration
from alerting.detection.suppressed_intervals import IntervalsByAsset
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import Step
from alerting.kinds.forecast.definition import ForecastDefinition
from alerting.kinds.forecast.model import HIGHEST, LOWEST, MEDIAN, Floats
from alerting.kinds.prediction_evaluation import evaluate_part
from alerting.kinds.prediction_kind import PredictionKind, explain_instant, explain_raise
from alerting.kinds.protocol import (
    Charted,
    EvaluationSources,
    ModelVerification,
    Raise,
    RaiseEvidence,
    ScoreDetails,
    ScoredRows,
    Served,
    TargetEvaluation,
    TrainedKind,
    VersionInterval,
    Why,
    WhyQuestion,
)
from alerting.kinds.shared_inputs import SharedInputs
from alerting.learning.models.trained import Estimator, TrainedModel
from alerting.ports import Files, Predicted
from alerting.readings.history import History, Millis, duration_millis, to_millis
from alerting.reporting.variable_charts import Fan

if TYPE_CHECKING:
    from alerting.kinds.forecast.model import FittedForecast


_NUMBERS = {"low": LOWEST, "median": MEDIAN, "high": HIGHEST}


def evaluate_forecast(
    definition: TrainedDefinition,
    sources: EvaluationSources,
    part: VersionInterval,
    before: TargetEvaluation,
) -> TargetEvaluation:
    """Evaluate a part like that of any prediction, and add the values that were predicted in it."""
    after = evaluate_part(definition, sources, part, before)
    if after.history is None:
        return after
    scored = after.scores[len(before.scores) :]
    served = [_with_values(rows, after.history, sources.shared) for rows in scored]
    return replace(after, scores=[*before.scores, *served])


def _with_values(rows: ScoredRows, history: History, shared: SharedInputs) -> ScoredRows:
    """Return the scored rows with their predicted values, NaN where these are not known."""
    predicted = shared.predicted_values(
        rows.model,
        history.asset,
        rows.at,
        lambda: _predict_rows(
            rows.model, shared.features(rows.model.plan, history, rows.at).matrix, rows.at
        ),
    )
    values = np.where((rows.unknown == "")[:, None, None], predicted, np.nan)
    return replace(rows, values=values, leads_ms=forecast_of(rows.model).leads_ms)


def _predict_rows(model: TrainedModel, matrix: Floats, at: Millis) -> Floats:
    """Return low, median and high at each lead, predicted by the refit for instants after its
    training cutoff."""
    values = np.empty((len(at), len(forecast_of(model).leads_ms), len(_NUMBERS)))
    refit = model.refit
    is_later = at > (np.inf if refit is None else to_millis(refit.training_cutoff))
    for serving, rows in ((model, ~is_later), (refit, is_later)):
        if serving is not None and rows.any():
            quantiles = forecast_of(serving).quantiles(matrix[rows])
            values[rows] = quantiles[..., list(_NUMBERS.values())]
    return values


def predict(model: TrainedModel, row: Floats) -> dict[str, float]:
    """Return a row's forecast as named numbers: `forecast +3600s median`, low and high."""
    forecast = forecast_of(model)
    quantiles = forecast.quantiles(row)[0]
    return {
        _name(lead, side): float(quantiles[number, position])
        for number, lead in enumerate(forecast.leads_ms)
        for side, position in _NUMBERS.items()
    }


def predict_all(model: TrainedModel, row: Floats) -> tuple[Predicted, ...]:
    """Return the forecast of one row of the model's matrix, one value for each time ahead."""
    predicted = predict(model, row)
    return tuple(
        Predicted(
            timedelta(milliseconds=lead),
            *(predicted[_name(lead, side)] for side in ("low", "median", "high")),
        )
        for lead in forecast_of(model).leads_ms
    )


def explain_forecast(
    definition: TrainedDefinition,
    asset: Asset,
    step: Step,
    at_raise: Raise,
    history: History | None,
) -> RaiseEvidence:
    """Return the content of a prediction's episode, with the values predicted at the raise.
    `history`: as for `explain_raise`, one row per instant."""
    evidence = explain_raise(definition, asset, step, at_raise, history)
    if at_raise.model is None or at_raise.row is None:
        return evidence
    predicted = predict(at_raise.model, at_raise.model.estimator.columns.matrix(at_raise.row))
    return replace(evidence, inputs={**evidence.inputs, **predicted})


def fan_of(definition: TrainedDefinition, episode: Episode) -> Fan | None:
    """Return the fan of the forecast at the raise; None without its values."""
    last = episode.inputs.get(definition.problem.variable or "")
    leads = sorted(
        int(name.split()[1][1:-1])
        for name in episode.inputs
        if name.startswith("forecast ") and name.endswith(" low")
    )
    if not isinstance(last, int | float) or not leads:
        return None
    sides = {
        side: [float(last), *(_number(episode, 1000 * lead, side) for lead in leads)]
        for side in _NUMBERS
    }
    begin = to_millis(episode.raised_at)
    at = [begin + 1000 * lead for lead in (0, *leads)]
    leads_ms = [1000 * lead for lead in leads]
    of_present = is_of_present(definition, leads_ms)
    after = None if of_present else _crossing(definition, leads_ms, sides["median"])
    crossing = None if after is None else begin + after
    return Fan(
        tuple(at), tuple(sides["low"]), tuple(sides["median"]), tuple(sides["high"]), crossing
    )


def explain_at(definition: TrainedDefinition, question: WhyQuestion) -> Why:
    """Explain the risk like that of any prediction, with the values predicted at that instant."""
    name = definition.problem.variable or ""
    unit = question.asset.variables[name].unit if name in question.asset.variables else None

    def describe(model: TrainedModel, row: pd.DataFrame) -> list[str]:
        return describe_forecast(
            definition,
            unit,
            float(row[f"{name}.last"].iloc[0]),
            forecast_of(model).leads_ms,
            predict(model, model.estimator.columns.matrix(row)),
        )

    return explain_instant(definition, question, describe)


def is_of_present(definition: TrainedDefinition, leads: Sequence[int]) -> bool:
    """Return whether a model with these leads (ms) estimates the present value between results:
    every other one predicts up to the end of the horizon."""
    return leads[-1] < duration_millis(definition.gap + definition.horizon)


def describe_forecast(
    definition: TrainedDefinition,
    unit: str | None,
    last: float,
    leads: Sequence[int],
    predicted: dict[str, float],
) -> list[str]:
    """Return a sentence on each lead (ms), and when the median leaves its limit; one sentence on
    the present value if it is estimated between results."""
    name = definition.problem.variable or ""
    if is_of_present(definition, leads):
        return [f"estimate of {name} now: {_interval(unit, leads[0], predicted)}"]
    sentences = [_sentence(name, unit, lead, predicted) for lead in leads]
    crossing = _crossing(
        definition, leads, [last, *(predicted[_name(lead, "median")] for lead in leads)]
    )
    if crossing:  # 0: the last value is outside already
        minutes = timedelta(minutes=max(1, round(crossing / 60_000)))
        sentences.append(f"the median leaves its limit in about {spoken_duration(minutes)}")
    return sentences


def forecast_of(model: TrainedModel) -> FittedForecast:
    """Return the forecaster of a model."""
    return forecast_in(model.estimator)


def forecast_in(estimator: Estimator) -> FittedForecast:
    """Return the forecaster of an estimator."""
    return cast("FittedForecast", estimator.model)


def _sentence(name: str, unit: str | None, lead: int, predicted: dict[str, float]) -> str:
    ahead = spoken_duration(timedelta(milliseconds=lead))
    return f"forecast of {name} in {ahead}: {_interval(unit, lead, predicted)}"


def _interval(unit: str | None, lead: int, predicted: dict[str, float]) -> str:
    low = f"{predicted[_name(lead, 'low')]:.4g}"
    high = f"{predicted[_name(lead, 'high')]:.4g}"
    median = f"{predicted[_name(lead, 'median')]:.4g}"
    shown = f"{median} {unit}" if unit and unit != "1" else median
    return f"{shown} (90 %: {low} to {high})"


def _crossing(
    definition: TrainedDefinition, leads: Sequence[int], middle: Sequence[float]
) -> int | None:
    """Return when (ms) the median leaves its limits. `middle`: the last known value, then the
    median of each lead."""
    problem = definition.problem
    at = [0, *leads]
    for limit, sign in ((problem.above, 1), (problem.below, -1)):
        if limit is None:
            continue
        off = [sign * (value - limit) for value in middle]
        first = next((number for number, value in enumerate(off) if value > 0), None)
        if first is not None:
            if first == 0:
                return at[0]
            share = -off[first - 1] / (off[first] - off[first - 1])
            return round(at[first - 1] + share * (at[first] - at[first - 1]))
    return None


def _name(lead_ms: int, side: str) -> str:
    return f"forecast +{lead_ms // 1000}s {side}"


def _number(episode: Episode, lead_ms: int, side: str) -> float:
    value = episode.inputs.get(_name(lead_ms, side))
    return float(value) if isinstance(value, int | float) else float("nan")


class ForecastKind(PredictionKind):
    """A value will leave its limits."""

    evaluate = staticmethod(evaluate_forecast)
    explain = staticmethod(explain_forecast)
    why = staticmethod(explain_at)

    def details(
        self, asset: Asset, history: History, scored: ScoredRows, shared: SharedInputs
    ) -> ScoreDetails:
        matrix = shared.features(scored.model.plan, history, scored.at[-1:]).matrix
        forecast = predict_all(scored.last_model, matrix)
        if not scored.has_alarm:
            return ScoreDetails(forecast=forecast)
        return super().details(asset, history, scored, shared)._replace(forecast=forecast)

    def score_rows(self, model: TrainedModel, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the probability of the problem for each row; for a forecast without an alarm the
        nearest predicted value."""
        if model.has_alarm:
            return super().score_rows(model, rows)
        serving = model.refit or model
        forecast = [
            predict_all(serving, row[None]) for row in serving.estimator.columns.matrix(rows)
        ]
        nearest = [values[0]._asdict() for values in forecast]
        return pd.DataFrame(nearest, rows.index, columns=["low", "median", "high"])

    def chart(self, definition: TrainedDefinition, asset: Asset, episode: Episode) -> Charted:
        """Return the risk, and the variable with its limits and the forecast at the raise."""
        drawn = super().chart(definition, asset, episode)
        return (
            drawn._replace(fan=fan_of(definition, episode))
            if drawn.variable == definition.problem.variable
            else drawn
        )

    def verify(
        self,
        definition: ForecastDefinition,
        served: Sequence[Served],
        histories: Iterable[History],
        as_of: datetime,
        suppressed: IntervalsByAsset,
    ) -> ModelVerification | None:
        from alerting.kinds.forecast.verification import verify_intervals  # noqa: PLC0415 - loads learning: seconds

        return verify_intervals(definition, served, histories, as_of, suppressed)

    def load(self, files: Files) -> TrainedModel:
        from alerting.kinds.forecast.forecasters import find_forecaster  # noqa: PLC0415 - loads LightGBM: seconds
        from alerting.learning.models.model_files import model_from_files  # noqa: PLC0415

        return model_from_files(files, find_forecaster)


KIND: TrainedKind[ForecastDefinition] = ForecastKind()
