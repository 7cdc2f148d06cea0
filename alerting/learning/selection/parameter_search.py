"""The search for a family's parameters: seeded TPE on folds, under a ceiling of CPU time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import optuna

from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.fields.learning import Learning
from alerting.learning.data.dataset import Dataset
from alerting.learning.models.families.contract import LabelledRows, ModelFamily, Params, get_family
from alerting.learning.models.trained import Estimator
from alerting.learning.selection.candidates import (
    Candidate,
    ColumnLimit,
    Fold,
    Positions,
    SearchSample,
    assemble,
    search_sample,
    take_part,
    usable_folds,
)
from alerting.learning.selection.search_ceiling import ReadTime, Trial, run_trials
from alerting.learning.selection.shifted_labels import NOTHING_TRIED, ShiftedLabels
from alerting.readings.history import Floats

# fewer trees rank as well where the risk is coarse, but advise badly: they hardly use most
# variables
LEAST_ROUNDS = 40
STAGES = 6  # numbers of rounds that are scored on shifted labels
UNPRUNED_TRIALS = 3  # trials that finish before one may be pruned for being worse than their median


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
    """Try `learning.trials` parameter sets of a family, the default first, and return the best as a
    candidate.

    A family without parameters to vary is tried once. Every trial is also scored on shifted labels
    (`ShiftedLabels`).

    The score of a set is its mean average precision over the walk-forward folds inside the training
    period; for a family with rounds, with the number of rounds that is best over all folds
    together. The best score wins, of equal ones the earlier set; a set that after some folds is
    worse than the median of the earlier sets after the same folds is pruned. The time that a trial
    takes decides nothing but where the ceiling ends the search (`run_trials`). Sets are tried on a
    sample of a large training period (`search_sample`); the candidate's metrics are of all its
    rows.

    Raises UserError if there is no such family, or if no fold has both classes.
    """
    learning = definition.learning
    model_family = get_family(family)
    folds, notes = usable_folds(dataset, learning.folds)
    sample = search_sample(dataset)
    limit = ColumnLimit.from_plan(dataset.plan)
    matrix = dataset.matrix
    shifted = ShiftedLabels(dataset, folds, learning.seed)
    fixed = model_family.params_for(definition.problem)
    trials = learning.trials if model_family.searched_params(model_family.defaults) else 1
    learning = learning.model_copy(update={"trials": trials})
    search = _Search(dataset, model_family, limit, folds, sample, learning, matrix, shifted, fixed)
    study = _create_study(model_family, learning.seed, warm_start)
    end = run_trials(
        study,
        search.attempt,
        learning,
        lambda done: progress(f"trying {family}", done, trials),
        read_time,
    )
    best = search.best or search.tried[0]
    notes = [*sample.notes, *notes, *end.describe(family, trials)]
    return assemble(
        family,
        dataset,
        folds,
        [*search.tried, *end.failed],
        best,
        search.best_scores,
        search.chance,
        trials,
        notes,
        dict(warm_start or {}),
    )


def _create_study(
    family: ModelFamily, seed: int, warm_start: Mapping[str, Any] | None
) -> optuna.Study:
    """Create a seeded study that begins with the default set, the set of the model in service, and
    the other proven sets."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=4),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED_TRIALS),
    )
    first, *others = family.proven_params()
    before = [{**first, **warm_start}] if warm_start else []
    for params in (first, *before, *others):
        study.enqueue_trial(family.searched_params(params), skip_if_exists=True)
    return study


@dataclass(frozen=True)
class _FoldModel:
    """A fold's model, of the chosen columns alone. `curve`: average precision after each round, if
    it has rounds."""

    fold: Fold
    estimator: Estimator
    chosen: Positions
    curve: Floats


@dataclass
class _Search:
    """The shared state of the trials of one search, and their results.

    `fixed`: parameters that the problem decides. `strengths`: by number of a fold, how well each
    column ranks its rows; computed when a trial first needs it. `best_scores`: of all test rows of
    each fold, though trials are compared on those of the sample. `chance`: the best figure of all
    trials on each shift of the labels.
    """

    dataset: Dataset
    family: ModelFamily
    limit: ColumnLimit
    folds: list[Fold]
    sample: SearchSample
    learning: Learning
    matrix: Floats
    shifted: ShiftedLabels
    fixed: Params
    strengths: dict[int, Floats] = field(default_factory=dict)
    tried: list[Trial] = field(default_factory=list)
    best: Trial | None = None
    best_scores: list[Floats] = field(default_factory=list)
    chance: Floats = field(default_factory=lambda: NOTHING_TRIED)

    def attempt(self, trial: optuna.Trial) -> float:
        """Return a set's mean average precision over the folds, or raise TrialPruned."""
        params = self.family.suggest(trial) | self.fixed
        fitted: list[_FoldModel] = []
        pruned = False
        for number in range(len(self.folds)):
            fitted.append(self._fit(params, number))
            tried, scores = self._evaluate(params, fitted)
            trial.report(tried.ap, len(fitted))
            if self.tried and len(fitted) < len(self.folds) and trial.should_prune():
                pruned = True
                break
        if pruned:
            tried = replace(tried, state="pruned")
        elif self.best is None or tried.ap > self.best.ap:
            self.best = tried
            self.best_scores = (
                [self._score(f, tried.params.get("rounds"), f.fold.test) for f in fitted]
                if self.sample.thinned
                else scores
            )
        self.chance = np.max([self.chance, *self._score_shifts(fitted)], axis=0)
        self.tried.append(tried)
        if pruned:
            raise optuna.TrialPruned
        return tried.ap

    def _score_shifts(self, fitted: Sequence[_FoldModel]) -> Iterator[Floats]:
        """Yield the average precisions on shifted labels after several numbers of rounds, because
        the choice of the rounds can be luck."""
        longest = max(len(f.curve) for f in fitted)
        stages = (
            np.geomspace(min(LEAST_ROUNDS, longest), longest, STAGES).astype(int).tolist()
            if longest
            else [None]
        )
        for rounds in dict.fromkeys(stages):
            yield self.shifted.evaluate(
                [
                    self._score(f, rounds, part)
                    for f, part in zip(fitted, self.shifted.rows, strict=False)
                ]
            )

    def _fit(self, params: Params, number: int) -> _FoldModel:
        fold = self.folds[number]
        rows = self.sample.select_rows(fold.train)
        chosen = self.limit.choose(params, len(rows), lambda: self._rank_columns(number, rows))
        estimator, curve = self.family.fit_with_validation(
            params,
            self.limit.take(chosen),
            self._labelled_rows(rows, chosen),
            self._labelled_rows(self.sample.select_rows(fold.test), chosen),
            self.learning.seed,
        )
        return _FoldModel(fold, estimator, chosen, curve)

    def _rank_columns(self, number: int, rows: Positions) -> Floats:
        if number not in self.strengths:
            self.strengths[number] = self.limit.rank_all(self.matrix, rows, self.dataset.label)
        return self.strengths[number]

    def _labelled_rows(self, rows: Positions, chosen: Positions) -> LabelledRows:
        part = take_part(self.matrix, rows, chosen)
        return LabelledRows(part, self.dataset.label[rows], self.sample.weights(rows))

    def _evaluate(self, params: Params, fitted: Sequence[_FoldModel]) -> tuple[Trial, list[Floats]]:
        rounds = _common_rounds([f.curve for f in fitted])
        tests = [self.sample.select_rows(f.fold.test) for f in fitted]
        scores = [self._score(f, rounds, test) for f, test in zip(fitted, tests, strict=True)]
        aps = tuple(
            self._average_precision(test, score) for test, score in zip(tests, scores, strict=True)
        )
        best_rounds: Params = {"rounds": rounds} if rounds else {}
        return Trial(params | best_rounds, float(np.mean(aps)), aps), scores

    def _score(self, fitted: _FoldModel, rounds: int | None, rows: Positions) -> Floats:
        most = None if rounds is None else min(rounds, len(fitted.curve))
        return fitted.estimator.probability_of(take_part(self.matrix, rows, fitted.chosen), most)

    def _average_precision(self, rows: Positions, score: Floats) -> float:
        from sklearn.metrics import average_precision_score  # noqa: PLC0415 - takes a second to import; only a training measures

        return float(
            average_precision_score(
                self.dataset.label[rows], score, sample_weight=self.sample.weights(rows)
            )
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
