"""Kind `classifier`: a trained model predicts the problem, and may estimate the remaining life."""

from dataclasses import replace

import numpy as np

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
    TargetEvaluation,
    TrainedKind,
    VersionInterval,
)
from alerting.learning.features.lives import ages, find_lives
from alerting.learning.models.trained import TrainedModel
from alerting.ports import Files
from alerting.readings.history import Floats, History, Millis, to_millis


def estimate_lives(
    ends: LifeEnds, model: TrainedModel, history: History, matrix: Floats, at: Millis
) -> tuple[RemainingLife | None, ...]:
    """Return the remaining life at these instants (ms), estimated by the refit after its training
    cutoff; None without a model of it."""
    lives: list[RemainingLife | None] = []
    age = ages(find_lives(ends, history), at)
    refit = model.refit
    by_twin = at <= (np.inf if refit is None else to_millis(refit.training_cutoff))
    for serving, rows in ((model, by_twin), (refit, ~by_twin)):
        if serving is None or serving.life is None:
            lives += [None] * int(rows.sum())
        else:
            lives += serving.life.estimate(matrix[rows], age[rows], at[rows], ends)
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
    for rows in after.scores[len(before.scores) :]:
        matrix = sources.shared.features(rows.model.plan, history, rows.at).matrix
        lives = estimate_lives(ends, rows.model, history, matrix, rows.at)
        is_known = (rows.unknown == "").tolist()
        shown = [life if is_told else None for life, is_told in zip(lives, is_known, strict=True)]
        served.append(replace(rows, lives=tuple(shown)))
    return replace(after, scores=[*before.scores, *served])


def explain_classifier(
    definition: TrainedDefinition,
    asset: Asset,
    step: Step,
    at_raise: Raise,
    history: History | None,
) -> RaiseEvidence:
    """Return the content of a prediction's episode, with the remaining life at the raise."""
    evidence = explain_raise(definition, asset, step, at_raise, history)
    model = at_raise.model
    ends = definition.life_ends
    if ends is None or model is None or at_raise.row is None or history is None:
        return evidence
    matrix = model.estimator.columns.matrix(at_raise.row)
    at = np.array([to_millis(step.at)])
    return replace(evidence, life=estimate_lives(ends, model, history, matrix, at)[0])


class ClassifierKind(PredictionKind):
    """A trained model that predicts whether the problem occurs within the horizon."""

    evaluate = staticmethod(evaluate_classifier)
    explain = staticmethod(explain_classifier)

    def load(self, files: Files) -> TrainedModel:
        from alerting.learning.models.model_files import model_from_files  # noqa: PLC0415 - loads LightGBM and scikit-learn: seconds

        return model_from_files(files)


KIND: TrainedKind[ClassifierDefinition] = ClassifierKind()
