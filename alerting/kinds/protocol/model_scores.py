"""Scores of a model, and of its twin beside its refit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alerting.deferred import np
from alerting.readings.history import Millis, to_millis

if TYPE_CHECKING:
    from alerting.learning.models.trained import Floats, TrainedModel

ModelKey = tuple[object, ...]


@dataclass(frozen=True)
class ModelScores:
    """Scores of a model, and those of its twin where its refit scored, if they are wanted; NaN
    elsewhere."""

    score: Floats
    twin: Floats

    def split(self, parts: int) -> list[ModelScores]:
        """Return the scores in parts of equal length."""
        pieces = zip(np.split(self.score, parts), np.split(self.twin, parts), strict=True)
        return [ModelScores(score, twin) for score, twin in pieces]


def model_key(model: TrainedModel) -> ModelKey:
    """Return what tells a model from every other: its definition, training, and the hashes of it
    and its refit, which were checked when its files were read."""
    trained = (model.definition, model.revision, model.as_of, model.training_cutoff)
    refit = model.refit
    return (*trained, model.hash, *((refit.hash, refit.training_cutoff) if refit else ()))


def score_matrix(model: TrainedModel, matrix: Floats, at: Millis, with_twins: bool) -> ModelScores:
    """Return the scores of rows of features at these instants."""
    by_refit = np.zeros(len(at), np.bool_)
    if model.refit is not None:
        by_refit = at > to_millis(model.refit.training_cutoff)
    score = np.empty(len(at))
    twin = np.full(len(at), np.nan)
    if len(at) and (with_twins or not by_refit.all()):
        score = np.array(model.score_matrix(matrix), np.float64)
    if model.refit is not None and by_refit.any():
        if with_twins:
            twin[by_refit] = score[by_refit]
        score[by_refit] = model.refit.score_matrix(matrix[by_refit])
    return ModelScores(score, twin)
