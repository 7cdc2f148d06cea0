"""Kind `classifier`: a trained model predicts the problem, and may estimate the remaining life."""

from dataclasses import replace
from datetime import datetime

import numpy as np

from alerting.deferred import pd
from alerting.definitions.alert_definition import LifeEnds, TrainedDefinition
from alerting.definitions.asset_documents import Asset
from alerting.episodes.lifecycle import Step
from alerting.episodes.remaining_life import RemainingLife
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.kinds.prediction_evaluation import evaluate_part
from alerting.kinds.prediction_kind import PredictionKind, explain_raise
from alerting.kinds.protocol import (
    EvaluationSources,
    Raise,
    RaiseEvidence,
    ScoredRows,
    TargetEvaluation,
    TrainedKind,
    VersionInterval,
)
from alerting.learning.features.life_features import build_life_features, life_columns, life_plan
from alerting.learning.models.trained import TrainedModel
from alerting.ports import Files, WantedHistory
from alerting.readings.buckets import HOUR
from alerting.readings.history import Floats, History, Millis, from_millis, to_millis


def estimate_lives(
    ends: LifeEnds, model: TrainedModel, matrix: Floats, features: Floats, at: Millis
) -> tuple[RemainingLife | None, ...]:
    """Return the remaining life at these instants (ms), estimated by the refit after its training
    cutoff; None without a model of it. `matrix`, `features`: rows of the plan's columns, and of
    `build_life_features`."""
    lives: list[RemainingLife | None] = []
    refit = model.refit
    by_twin = at <= (np.inf if refit is None else to_millis(refit.training_cutoff))
    for serving, rows in ((model, by_twin), (refit, ~by_twin)):
        if serving is None or serving.life is None:
            lives += [None] * int(rows.sum())
        else:
            lives += serving.life.estimate(matrix[rows], features[rows], at[rows], ends)
    return tuple(lives)


def evaluate_classifier(
    definition: TrainedDefinition,
    sources: EvaluationSources,
    part: VersionInterval,
    before: TargetEvaluation,
) -> TargetEvaluation:
    """Evaluate a part like that of any prediction, and add the remaining life where it is known."""
    after = evaluate_part(definition, sources, part, before)
    ends = definition.life_ends
    history = after.history
    if ends is None or history is None:
        return after
    served = []
    lives: dict[datetime, RemainingLife | None] = {}
    for rows in after.scores[len(before.scores) :]:
        matrix = sources.shared.features(rows.model.plan, history, rows.at).matrix
        features = _read_life_features(ends, sources, rows, history)
        estimated = estimate_lives(ends, rows.model, matrix, features, rows.at)
        is_known = (rows.unknown == "").tolist()
        shown = [
            life if is_told else None for life, is_told in zip(estimated, is_known, strict=True)
        ]
        served.append(replace(rows, lives=tuple(shown)))
        lives |= zip(map(from_millis, rows.at.tolist()), shown, strict=True)

    def with_life(values: Raise, at: datetime) -> Raise:
        return replace(values, life=lives.get(at, values.life))

    return replace(
        after,
        scores=[*before.scores, *served],
        raises={at: with_life(values, at) for at, values in after.raises.items()},
        refreshes={
            raised_at: replace(refresh, values=with_life(refresh.values, refresh.at))
            for raised_at, refresh in after.refreshes.items()
        },
    )


def _read_life_features(
    ends: LifeEnds, sources: EvaluationSources, rows: ScoredRows, history: History
) -> Floats:
    """Return the rows of `build_life_features`, whose windows are longer than those of a history,
    and begin with its life; without columns if no model reads them."""
    if all(part is None or part.life is None for part in (rows.model, rows.model.refit)):
        return np.empty((len(rows.at), 0))
    plan = rows.model.plan
    of_life = life_plan(plan)
    if of_life is None or not len(rows.at):
        return build_life_features(plan, ends, history, rows.at, lambda *_: history)
    start = from_millis(int(rows.at[0])) - of_life.lookback
    request = sources.asset, start, from_millis(int(rows.at[-1])), of_life.variables
    wide = sources.shared.load(*request, with_events=False)
    wide = replace(wide, events=history.events, event_types=history.event_types)

    def load(start: int, end: int) -> History:
        span = from_millis(start), from_millis(end)
        return sources.platform.readings.load(
            WantedHistory(sources.asset, *span, of_life.variables, with_events=False)
        )

    return build_life_features(plan, ends, wide, rows.at, load)


def explain_classifier(
    definition: TrainedDefinition,
    asset: Asset,
    step: Step,
    at_raise: Raise,
    history: History | None,
) -> RaiseEvidence:
    """Return the content of a prediction's episode, with the remaining life at the raise.
    `history`: as for `explain_raise`, one row per instant."""
    return replace(explain_raise(definition, asset, step, at_raise, history), life=at_raise.life)


class ClassifierKind(PredictionKind):
    """A trained model that predicts whether the problem occurs within the horizon."""

    evaluate = staticmethod(evaluate_classifier)
    explain = staticmethod(explain_classifier)

    def score_rows(self, model: TrainedModel, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the probability of the problem for each row and, where it is estimated, low,
        median and high of the remaining life (hours), from the columns `life_columns`, too, any of
        which may be missing."""
        scored = super().score_rows(model, rows)
        serving = model.refit or model
        if serving.life is None:
            return scored
        features = rows.reindex(columns=list(life_columns(serving.plan))).to_numpy(np.float64)
        matrix = serving.estimator.columns.matrix(rows)
        low, median, high, _ = serving.life.times(matrix, features, None).T / HOUR
        return scored.assign(low=low, median=median, high=high)

    def load(self, files: Files) -> TrainedModel:
        from alerting.learning.models.model_files import model_from_files  # noqa: PLC0415 - loads LightGBM and scikit-learn: seconds

        return model_from_files(files)


KIND: TrainedKind[ClassifierDefinition] = ClassifierKind()
