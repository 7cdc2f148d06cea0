"""Kind `forecast`: a value ahead, which may leave its limits; evaluated as any model of a
problem."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from alerting.deferred import pd
from alerting.definitions.assets import Asset
from alerting.definitions.model import TrainedDefinition
from alerting.episodes.episode import Episode
from alerting.kinds.forecast.definition import ForecastDefinition
from alerting.kinds.forecast.explain import (
    evaluate_forecast,
    explain_at,
    explain_forecast,
    fan_of,
    predict_all,
)
from alerting.kinds.prediction.prediction_kind import PredictionKind
from alerting.kinds.protocol.evaluation import ModelVerification, ScoredRows, Served
from alerting.kinds.protocol.kind import Charted, IntervalsByAsset, TrainedKind, Why, WhyQuestion
from alerting.kinds.protocol.scoring import ScoreDetails
from alerting.kinds.protocol.shared_inputs import SharedInputs
from alerting.learning.models.trained import TrainedModel
from alerting.ports import Files
from alerting.readings.history import History


class ForecastKind(PredictionKind):
    """A value will leave its limits."""

    evaluate = staticmethod(evaluate_forecast)
    explain = staticmethod(explain_forecast)

    def why(self, definition: TrainedDefinition, question: WhyQuestion) -> Why:
        return explain_at(definition, question)

    def details(
        self, asset: Asset, history: History, scored: ScoredRows, shared: SharedInputs
    ) -> ScoreDetails:
        matrix = shared.features(scored.model.plan, history, scored.at[-1:]).matrix
        forecast = predict_all(scored.last_model, matrix)
        if not scored.has_alarm:
            return ScoreDetails(forecast=forecast)
        return super().details(asset, history, scored, shared)._replace(forecast=forecast)

    def score_rows(self, model: TrainedModel, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the probability of the problem for each row; without an alarm the nearest
        predicted value."""
        if model.has_alarm:
            return super().score_rows(model, rows)
        serving = model.refit or model
        forecast = [
            predict_all(serving, row[None]) for row in serving.estimator.columns.matrix(rows)
        ]
        nearest = [one[0]._asdict() for one in forecast]
        return pd.DataFrame(nearest, rows.index, columns=["low", "median", "high"])

    def chart(self, definition: TrainedDefinition, asset: Asset, episode: Episode) -> Charted:
        """Draw the risk, and the variable with limits and the forecast at the raise."""
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
        from alerting.kinds.forecast.families import find_forecaster  # noqa: PLC0415 - loads LightGBM: seconds
        from alerting.learning.models.files import model_from_files  # noqa: PLC0415

        return model_from_files(files, find_forecaster)


KIND: TrainedKind[ForecastDefinition] = ForecastKind()
