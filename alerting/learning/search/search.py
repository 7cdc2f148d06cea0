"""The search for a family's best parameters: Optuna's seeded TPE on walk-forward folds, within a ceiling of time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

import numpy as np
import optuna
from sklearn.metrics import average_precision_score

from alerting.definitions.durations import format_duration
from alerting.definitions.faults import UserError
from alerting.definitions.model import ClassifierDefinition, Family
from alerting.learning.data.dataset import Dataset
from alerting.learning.features.encoding import Columns, Floats
from alerting.learning.models.estimator import Estimator
from alerting.learning.models.families import (
    Params,
    fit_estimator,
    fit_watched,
    proven_params,
    searched_params,
    suggest_params,
    trees_of,
)
from alerting.learning.search.candidates import Candidate, Fold, Trial, assemble, beats, usable_folds
from alerting.learning.search.sample import Positions, SearchSample, search_sample

LEAST_ROUNDS = 40  # fewer trees rank as well where the risk is coarse, but advise badly: they barely see most variables
UNPRUNED_TRIALS = 3  # so many are finished before one may be given up for being worse than their median
Stopwatch = Callable[[], float]


class SearchProgress(Protocol):
    """Told after every trial."""

    def __call__(self, step: str, done: int, total: int | None) -> None: ...


def no_time_passes() -> float:
    """The stopwatch of a search without a ceiling."""
    return 0.0


def search_candidate(
    dataset: Dataset,
    definition: ClassifierDefinition,
    family: Family,
    progress: SearchProgress,
    warm_start: Mapping[str, Any] | None = None,
    stopwatch: Stopwatch = no_time_passes,
) -> Candidate:
    """Try `learning.trials` parameter sets of one family and keep the best: the proven default first, then `warm_start`.

    A set's worth is its mean average precision over the walk-forward folds inside the training period; for LightGBM at the
    number of trees that is best over all folds together. A later set must beat an earlier one by more than the standard error
    over the folds; one that is worse than the median of those before it after the same folds is given up (pruned).
    `learning.time_budget` is a ceiling, looked at between folds and between trees: a set that it interrupts does not count.
    Only the first set is kept then, with the folds, or at least the trees, that were done.
    Sets are tried on a sample of a large training period (`search_sample`); the candidate's figures are of all its rows.
    `stopwatch` tells seconds; where none passes the ceiling is never reached unless it is 0.

    Raises UserError when no fold has both classes.
    """
    ceiling = definition.learning.time_budget.total_seconds()
    began = stopwatch()
    asked = definition.learning.trials
    return _search(dataset, definition, family, asked, warm_start, progress, lambda: stopwatch() - began >= ceiling)


def repeat_search(dataset: Dataset, definition: ClassifierDefinition, done: Candidate) -> Candidate:
    """The same search again, with the trials that were done and without a ceiling: everything but `cut_short` is equal.

    `definition` and `dataset` must be those of the first time. Raises UserError for a baseline, which was not searched.
    """
    if done.family in ("baseline", "blend"):
        raise UserError(f"a {done.family} is computed, not searched: there is nothing to repeat")
    return _search(
        dataset,
        definition,
        cast(Family, done.family),
        len(done.tried),
        done.warm_start,
        lambda *_: None,
        lambda: False,
        done.tried[0],
    )


def _search(
    dataset: Dataset,
    definition: ClassifierDefinition,
    family: Family,
    asked: int,
    warm_start: Mapping[str, Any] | None,
    progress: SearchProgress,
    time_is_up: Callable[[], bool],
    before: Trial | None = None,
) -> Candidate:
    folds, notes = usable_folds(dataset, definition.learning.folds)
    sample, matrix = search_sample(dataset), Columns.of(dataset.plan).matrix(dataset.rows)
    search = _Search(dataset, family, folds, sample, definition.learning.seed, matrix, time_is_up, before)
    study = _study(family, definition.learning.seed, warm_start)
    while len(search.tried) < asked and not (search.tried and time_is_up()):
        trial = study.ask()
        try:
            tried = search.run(trial)
        except _Interrupted:
            break
        if tried.state == "pruned":
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, tried.ap)
        progress(f"trying {family}", len(search.tried), asked)
    notes = [*sample.notes, *notes, *_ended_early(definition, family, asked, search)]
    best = search.best or search.tried[0]
    used = folds[: len(best.folds)]
    return assemble(family, dataset, used, search.tried, best, search.best_scores, asked, notes, dict(warm_start or {}))


def _study(family: Family, seed: int, warm_start: Mapping[str, Any] | None) -> optuna.Study:
    """Seeded; the default is tried first, then what served before, then the other proven sets."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=4),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED_TRIALS),
    )
    first, *others = proven_params(family)
    before = [{**first, **warm_start}] if warm_start else []
    for params in (first, *before, *others):
        study.enqueue_trial(searched_params(family, params), skip_if_exists=True)
    return study


def _ended_early(definition: ClassifierDefinition, family: Family, asked: int, search: "_Search") -> list[str]:
    """Sentences on a search that the ceiling cut short; none otherwise."""
    done, notes = len(search.tried), []
    if done < asked:
        budget = format_duration(definition.learning.time_budget)
        notes.append(f"the time budget of {budget} ended the search of {family} after {done} of {asked} trials")
    if search.tried[0].state == "cut":
        notes.append(f"{len(search.best_scores)} of {len(search.folds)} folds of its first trial were done in that time")
    return notes


class _Interrupted(Exception):
    """The ceiling ended a parameter set half way."""


@dataclass(frozen=True)
class _Fitted:
    """One fold's model. `curve`: LightGBM's average precision after each tree. `shortened`: the ceiling stopped its growth."""

    fold: Fold
    estimator: Estimator
    curve: Floats
    shortened: bool


@dataclass
class _Search:
    """What the trials of one search share, and what they found. `before`: the first trial of a search that is repeated.

    `best_scores`: of all test rows of each fold, though trials are held against each other on those of the sample.
    """

    dataset: Dataset
    family: Family
    folds: list[Fold]
    sample: SearchSample
    seed: int
    matrix: Floats
    time_is_up: Callable[[], bool]
    before: Trial | None = None
    tried: list[Trial] = field(default_factory=list)
    best: Trial | None = None
    best_scores: list[Floats] = field(default_factory=list)

    def run(self, trial: optuna.Trial) -> Trial:
        """Try one parameter set fold by fold. Raises _Interrupted when the time is up, but not for the first set."""
        first, state = not self.tried, "complete"
        params = suggest_params(self.family, trial)
        fitted: list[_Fitted] = []
        for fold in self._folds(first):
            try:
                fitted.append(self._fit(params, fold, may_shorten=first and not fitted))
            except _Interrupted:
                if not first:
                    raise
                break
            trial.report(self._judge(params, fitted)[0].ap, len(fitted))
            if first and self.time_is_up():
                break
            if len(fitted) < len(self.folds) and not first and trial.should_prune():
                state = "pruned"
                break
        if first and (len(fitted) < len(self.folds) or fitted[0].shortened):
            state = "cut"
        tried, scores = self._judge(params, fitted)
        tried = replace(tried, state=state)
        if state != "pruned" and (self.best is None or beats(tried, self.best)):
            self.best, self.best_scores = tried, self._of_all_rows(tried, fitted) if self.sample.thinned else scores
        self.tried.append(tried)
        return tried

    def _of_all_rows(self, tried: Trial, fitted: Sequence[_Fitted]) -> list[Floats]:
        return [self._scores(f, tried.params.get("rounds"), f.fold.test) for f in fitted]

    def _folds(self, first: bool) -> list[Fold]:
        repeated = self.before is not None and self.before.state == "cut" and first
        return self.folds[: len(self.before.folds)] if repeated and self.before else self.folds

    def _fit(self, params: Params, fold: Fold, may_shorten: bool) -> _Fitted:
        """Fit on the fold's training rows. Raises _Interrupted when the time is up before all trees have grown."""
        shortened = False

        def after_trees(grown: int) -> bool:
            nonlocal shortened
            time_is_up = self.time_is_up()
            if time_is_up and not may_shorten:
                raise _Interrupted
            repeated = self.before is not None and grown == self.before.grown
            shortened = may_shorten and (time_is_up or repeated)
            return not shortened

        dataset, columns = self.dataset, Columns.of(self.dataset.plan)
        train, test = self.sample.of(fold.train), self.sample.of(fold.test)
        matrix, label, weight = self.matrix[train], dataset.label[train], self.sample.weights(train)
        if self.family != "lightgbm":
            estimator = fit_estimator(
                self.family, params, columns, matrix, label, self.seed, weight=weight, after_trees=after_trees
            )
            return _Fitted(fold, estimator, np.empty(0), shortened)
        watched = (self.matrix[test], dataset.label[test], self.sample.weights(test))
        estimator, curve = fit_watched(params, columns, matrix, label, self.seed, watched, weight, after_trees=after_trees)
        return _Fitted(fold, estimator, curve, shortened)

    def _judge(self, params: Params, fitted: Sequence[_Fitted]) -> tuple[Trial, list[Floats]]:
        """The trial as far as it was done, and the scores of the sample's test rows of its folds, as probabilities."""
        rounds = _common_rounds([f.curve for f in fitted]) if self.family == "lightgbm" else None
        tests = [self.sample.of(f.fold.test) for f in fitted]
        scores = [self._scores(f, rounds, test) for f, test in zip(fitted, tests, strict=True)]
        aps = tuple(self._average_precision(test, score) for test, score in zip(tests, scores, strict=True))
        trees = trees_of(fitted[0].estimator)
        found: Params = {"rounds": rounds} if rounds else {}
        if self.family == "random_forest":
            found["n_estimators"] = trees
        grown = trees if fitted[0].shortened else None
        return Trial(params | found, float(np.mean(aps)), aps, grown=grown), scores

    def _scores(self, fitted: _Fitted, rounds: int | None, rows: Positions) -> Floats:
        most = None if rounds is None else min(rounds, trees_of(fitted.estimator))
        return fitted.estimator.probability_of(self.matrix[rows], most)

    def _average_precision(self, rows: Positions, score: Floats) -> float:
        return float(average_precision_score(self.dataset.label[rows], score, sample_weight=self.sample.weights(rows)))


def _common_rounds(curves: Sequence[Floats]) -> int:
    """The number of trees that is best on average over the folds; a fold that stopped growing stays at its last value."""
    longest = max(len(curve) for curve in curves)
    full = [np.concatenate([curve, np.full(longest - len(curve), curve[-1])]) for curve in curves]
    mean = np.mean(full, axis=0)
    least = min(LEAST_ROUNDS, longest)
    return int(np.argmax(mean[least - 1 :])) + least
