"""The search for a family's best parameters: Optuna's seeded TPE on walk-forward folds."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

import numpy as np
import optuna

from alerting.definitions.model import ClassifierDefinition, Family
from alerting.learning.calibration import sigmoid
from alerting.learning.candidates import (
    Candidate,
    Fold,
    Positions,
    Trial,
    assemble,
    average_precision,
    usable_folds,
)
from alerting.learning.dataset import Dataset
from alerting.learning.encoding import Columns, Floats
from alerting.learning.families import (
    LEAST_ROUNDS,
    ROUNDS_UNWATCHED,
    Params,
    default_params,
    fit_estimator,
    rounds_of,
    suggest_params,
)

WATCHED_SHARE = 0.2  # the newest part of a fold's training rows, on which LightGBM stops


class SearchProgress(Protocol):
    """Told after every trial."""

    def __call__(self, step: str, done: int, total: int | None) -> None: ...


def search_candidate(dataset: Dataset, definition: ClassifierDefinition, family: Family, progress: SearchProgress) -> Candidate:
    """Try `learning.trials` parameter sets of one family, the proven default first, and keep the best.

    A set's worth is its mean average precision over the walk-forward folds inside the training period. LightGBM stops within
    each fold on the newest part of the rows it is fitted on, never on the rows it is scored on, and is then fitted on all
    of them; the candidate keeps the median number of trees. `learning.time_budget` is a ceiling: the trial that runs when
    it ends is the last. Raises Refused when no fold has both classes.
    """
    folds, notes = usable_folds(dataset, definition.learning.folds)
    search = _Search(dataset, family, folds, definition.learning.seed, Columns.of(dataset.plan).matrix(dataset.rows))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=definition.learning.seed, n_startup_trials=4)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial({k: v for k, v in default_params(family).items() if k not in _fixed(family)})
    asked = definition.learning.trials

    def tell(_: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        progress(f"trying {family}", trial.number + 1, asked)

    study.optimize(search.objective, n_trials=1, callbacks=[tell])  # whatever the budget, there is one result
    left = definition.learning.time_budget - (study.trials[0].duration or timedelta(0))
    if asked > 1 and left > timedelta(0):
        study.optimize(search.objective, n_trials=asked - 1, timeout=left.total_seconds(), callbacks=[tell])
    return assemble(family, dataset, folds, search.trials, search.best_scores, asked, notes)


def _fixed(family: Family) -> set[str]:
    """Parameters of a family that no trial varies."""
    return {"n_estimators", "max_samples"} if family == "random_forest" else set()


@dataclass
class _Search:
    """What the trials of one search share, and what they found."""

    dataset: Dataset
    family: Family
    folds: list[Fold]
    seed: int
    matrix: Floats
    trials: list[Trial] = field(default_factory=list)
    best_scores: list[Floats] = field(default_factory=list)

    def objective(self, trial: optuna.Trial) -> float:
        """Mean average precision of one parameter set over the folds."""
        params = suggest_params(self.family, trial)
        fitted = [self._fit_fold(params, fold) for fold in self.folds]
        aps = [average_precision(self.dataset, fold, scores) for fold, (scores, _) in zip(self.folds, fitted, strict=True)]
        mean = float(np.mean(aps))
        if not self.trials or mean > max(t.ap for t in self.trials):
            self.best_scores = [scores for scores, _ in fitted]
        rounds: dict[str, Any] = {"rounds": int(np.median([r for _, r in fitted]))} if self.family == "lightgbm" else {}
        self.trials.append(Trial(params | rounds, mean, tuple(aps)))
        return mean

    def _fit_fold(self, params: Params, fold: Fold) -> tuple[Floats, int]:
        """Scores of the fold's test rows as probabilities, and the number of trees (0 for other families)."""
        columns, label = Columns.of(self.dataset.plan), self.dataset.label
        rounds = self._rounds(params, fold.train) if self.family == "lightgbm" else 0
        full = params | ({"rounds": rounds} if rounds else {})
        weight = self.dataset.weights(fold.train)
        estimator = fit_estimator(
            self.family, full, columns, self.matrix[fold.train], label[fold.train], self.seed, weight=weight
        )
        margin = estimator.margin_of(self.matrix[fold.test])
        return (margin if self.family == "random_forest" else sigmoid(margin)), rounds

    def _rounds(self, params: Params, train: Positions) -> int:
        """How many trees to grow: found by fitting the older part and watching the newest, with the label's reach between."""
        columns, label, at = Columns.of(self.dataset.plan), self.dataset.label, self.dataset.at
        border = np.quantile(at[train], 1 - WATCHED_SHARE)
        older = train[at[train] <= border - self.dataset.gap_ms - self.dataset.horizon_ms]
        newest = train[at[train] > border]
        if not (_both(label[newest]) and _both(label[older])):
            return ROUNDS_UNWATCHED
        watched = (self.matrix[newest], label[newest])
        weight = self.dataset.weights(older)
        estimator = fit_estimator("lightgbm", params, columns, self.matrix[older], label[older], self.seed, watched, weight)
        return max(LEAST_ROUNDS, rounds_of(estimator))


def _both(label: Any) -> bool:
    return bool(0 < label.sum() < len(label))
