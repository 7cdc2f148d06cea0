"""The part that kinds share whose model predicts a problem: its score is a probability, an episode
has a prediction window."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from alerting.alarm_kpis.intervals import merge
from alerting.deferred import pd
from alerting.definitions.assets import Asset
from alerting.definitions.model import TrainedDefinition
from alerting.detection.problems import find_occurrences, predicts
from alerting.episodes.episode import Episode
from alerting.kinds.prediction.evaluation import evaluate_part
from alerting.kinds.prediction.explanation import explain_raise
from alerting.kinds.prediction.why import explain_instant
from alerting.kinds.protocol.evaluation import ScoredRows
from alerting.kinds.protocol.kind import Charted, Gap, Inputs, Why, WhyQuestion
from alerting.kinds.protocol.scoring import ScoreDetails
from alerting.kinds.protocol.shared_inputs import SharedInputs
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.models.trained import TrainedModel
from alerting.readings.history import History, from_millis, to_millis
from alerting.recommendation.contributions import contributions, explain_matrix
from alerting.reporting.figures.episode_chart import ChartLevel, levels_by_variable, problem_levels


class PredictionKind:
    """All methods of such a kind but `load`."""

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
        """Draw the risk, and the variables of the problem; for a predicted event the variable that
        contributed most."""
        if (combination := definition.problem.combination) is not None:
            first, *others = (
                Charted(*drawn) for drawn in levels_by_variable(combination, asset).items()
            )
            return first._replace(scored=True, others=tuple(others))
        strongest = max(episode.contributions, key=lambda c: abs(c.share), default=None)
        if definition.problem.variable is not None or strongest is None:
            variable = definition.problem.variable
            return Charted(variable, problem_levels(definition.problem), scored=True)
        usual: tuple[ChartLevel, ...] = (
            (ChartLevel(float(strongest.usual), "usual", is_limit=False),)
            if isinstance(strongest.usual, int | float)
            else ()
        )
        if strongest.usual_low is not None and strongest.usual_high is not None:
            usual = (
                ChartLevel(strongest.usual_low, "usual from", is_limit=False),
                ChartLevel(strongest.usual_high, "usual to", is_limit=False),
            )
        return Charted(strongest.variable, usual, scored=True)

    def has_score_each_stride(self, definition: TrainedDefinition) -> bool:
        """Return whether it has strides: the unit just made is scored as it comes."""
        return not definition.is_of_unit

    def data_gaps(
        self, definition: TrainedDefinition, history: History, start: datetime, end: datetime
    ) -> tuple[Gap, ...]:
        """Return the times that do not count, and the time after the last reading."""
        last = history.readings.index[-1].to_pydatetime()
        gaps = [(max(last, start), end)] if last < end else []
        if predicts(definition, history.asset) == "onset":
            problems = find_occurrences(definition, history)
            of = problems.lasted
            latest = to_millis(end)
            known = problems.known_at[of]
            recovered = np.minimum(problems.recovered_at[of], latest)
            gaps += [
                (from_millis(a), from_millis(b))
                for a, b in zip(known.tolist(), recovered.tolist(), strict=True)
                if a < b
            ]
        return tuple(merge(gaps, start, end))
