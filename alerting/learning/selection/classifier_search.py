"""The search for the parameters of a family of classifiers: by average precision on walk-forward
folds, with columns and rounds that the folds decide."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from alerting.definitions.alert_definition import TrainedDefinition
from alerting.learning.data.dataset import Dataset
from alerting.learning.experiment.chance import NOTHING_TRIED, ShiftedLabels
from alerting.learning.experiment.experiment import Assessed, Experiment, Space
from alerting.learning.experiment.folds import Fold
from alerting.learning.experiment.trials import ReadTime
from alerting.learning.features.plan import Columns
from alerting.learning.models.families.contract import LabelledRows, Params, get_family
from alerting.learning.models.trained import Estimator
from alerting.learning.selection.candidates import (
    Candidate,
    ColumnLimit,
    assemble,
    search_sample,
    take_part,
    usable_folds,
)
from alerting.readings.history import Floats, Positions

# fewer trees rank as well where the risk is coarse, but advise badly: they hardly use most
# variables
LEAST_ROUNDS = 40
STAGES = 6  # numbers of rounds that are scored on shifted labels


class SearchProgress(Protocol):
    """Called after every trial."""

    def __call__(self, step: str, done: int, total: int | None) -> None: ...


def search_candidate(
    dataset: Dataset,
    definition: TrainedDefinition,
    family: str,
    progress: SearchProgress,
    warm_start: Mapping[str, Any] | None = None,
    read_time: ReadTime | None = None,
) -> Candidate:
    """Try `learning.trials` parameter sets of a family, the default first, then those of the model
    in service, and return the best as a candidate.

    A family without parameters to vary is tried once. Every trial is also scored on shifted labels
    (`ShiftedLabels`). The score of a set is its mean average precision over the folds inside the
    training period; for a family with rounds, with the number of rounds that is best over all folds
    together. Sets are tried on a sample of a large training period (`search_sample`); the
    candidate's metrics are of all its rows.

    Raises UserError if there is no such family, or if no fold has both classes.
    """
    experiment = ClassifierExperiment(dataset, definition, family)
    of_family = experiment.family
    trials = definition.learning.trials if of_family.searched_params(of_family.defaults) else 1
    first, *others = of_family.proven_params()
    before = [{**first, **warm_start}] if warm_start else []
    result = experiment.search(
        Space(
            experiment.suggest,
            [of_family.searched_params(params) for params in (first, *before, *others)],
            prunes=True,
        ),
        definition.learning.model_copy(update={"trials": trials}),
        lambda done: progress(f"trying {family}", done, trials),
        read_time,
    )
    return assemble(
        family, dataset, experiment.folds, result, trials, experiment.notes, dict(warm_start or {})
    )


@dataclass(frozen=True)
class _FoldModel:
    """A fold's model, of the chosen columns alone. `curve`: average precision after each round, if
    it has rounds."""

    estimator: Estimator
    chosen: Positions
    curve: Floats


class ClassifierExperiment(Experiment[_FoldModel]):
    """The probability of a problem, by one family, tried on the rows of a search. The model that is
    registered is fitted on all rows, by `fit_rows`. Raises UserError if there is no such family, or
    no usable fold."""

    def __init__(self, dataset: Dataset, definition: TrainedDefinition, family: str) -> None:
        self.family = get_family(family)
        self.rows = len(dataset.label)
        self._dataset = dataset
        self._seed = definition.learning.seed
        self._sample = search_sample(dataset)
        self.folds, notes = usable_folds(dataset, definition.learning.folds)
        self.notes = [*self._sample.notes, *notes]
        self._limit = ColumnLimit(Columns.from_plan(dataset.plan))
        self._matrix = dataset.matrix
        self._shifted = ShiftedLabels(dataset, self.folds, self._seed)
        self._fixed = self.family.params_for(definition.problem)
        self._strengths = dict[int, Floats]()

    def suggest(self, trial: Any) -> Params:
        """Return the next set, with the parameters that the problem decides."""
        return self.family.suggest(trial) | self._fixed

    def fit(self, params: Mapping[str, Any], fold: Fold) -> _FoldModel:
        rows = self._sample.select_rows(fold.train)
        chosen = self._limit.choose(params, len(rows), lambda: self._rank_columns(fold, rows))
        estimator, curve = self.family.fit_with_validation(
            params,
            self._limit.take(chosen),
            self._labelled_rows(rows, chosen),
            self._labelled_rows(self.compared(fold), chosen),
            self._seed,
        )
        return _FoldModel(estimator, chosen, curve)

    def compared(self, fold: Fold) -> Positions:
        return self._sample.select_rows(fold.test)

    def complete(self, params: Params, fitted: Sequence[_FoldModel]) -> Params:
        rounds = _common_rounds([model.curve for model in fitted])
        return params | {"rounds": rounds} if rounds else params

    def predict(self, fitted: _FoldModel, params: Mapping[str, Any], rows: Positions) -> Floats:
        most = min(params["rounds"], len(fitted.curve)) if len(fitted.curve) else None
        return fitted.estimator.probability_of(take_part(self._matrix, rows, fitted.chosen), most)

    def loss(self, predicted: Floats, rows: Positions) -> float:
        from sklearn.metrics import average_precision_score  # noqa: PLC0415 - takes a second to import; only a training measures

        weight = self._sample.weights(rows)
        return -float(
            average_precision_score(self._dataset.label[rows], predicted, sample_weight=weight)
        )

    def assess(
        self,
        params: Params,
        fitted: Sequence[_FoldModel],
        predicted: Sequence[Floats],
        losses: Sequence[float],
    ) -> Assessed:
        figures = tuple(-loss for loss in losses)
        chance = np.max([NOTHING_TRIED, *self._score_shifts(fitted)], axis=0)

        def score_all() -> Sequence[Floats]:
            if not self._sample.thinned:
                return predicted
            return [
                self.predict(model, params, fold.test)
                for fold, model in zip(self.folds, fitted, strict=True)
            ]

        return Assessed(figures, score_all, chance)

    def _score_shifts(self, fitted: Sequence[_FoldModel]) -> Iterator[Floats]:
        """Yield the average precisions on shifted labels after several numbers of rounds, because
        the choice of the rounds can be luck."""
        longest = max(len(model.curve) for model in fitted)
        least = min(LEAST_ROUNDS, longest)
        stages = np.geomspace(least, longest, STAGES).astype(int).tolist() if longest else [0]
        for rounds in dict.fromkeys(stages):
            yield self._shifted.evaluate(
                [
                    self.predict(model, {"rounds": rounds}, part)
                    for model, part in zip(fitted, self._shifted.rows, strict=False)
                ]
            )

    def _rank_columns(self, fold: Fold, rows: Positions) -> Floats:
        """Return how well each column ranks a fold's rows, computed when a trial first needs it."""
        if fold.number not in self._strengths:
            self._strengths[fold.number] = self._limit.rank_all(
                self._matrix, rows, self._dataset.label
            )
        return self._strengths[fold.number]

    def _labelled_rows(self, rows: Positions, chosen: Positions) -> LabelledRows:
        return LabelledRows(
            take_part(self._matrix, rows, chosen),
            self._dataset.label[rows],
            self._sample.weights(rows),
        )


def _common_rounds(curves: Sequence[Floats]) -> int | None:
    """Return the best number of trees over all folds; a fold that stopped early keeps its last
    value."""
    longest = max(len(curve) for curve in curves)
    if not longest:
        return None
    full = [np.concatenate([curve, np.full(longest - len(curve), curve[-1])]) for curve in curves]
    mean = np.mean(full, axis=0)
    least = min(LEAST_ROUNDS, longest)
    return int(np.argmax(mean[least - 1 :])) + least
