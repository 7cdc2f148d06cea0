"""One experiment: what learns from rows states its folds, how it is fitted and predicts, and its
loss. Search, prediction out of fold and refit are the same for all.

A null says what the figures are worth: those that nothing but chance reaches (`chance`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from alerting.deferred import optuna
from alerting.definitions.fields.learning import Learning
from alerting.learning.experiment.chance import NOTHING_TRIED
from alerting.learning.experiment.folds import Fold, merge
from alerting.learning.experiment.trials import ReadTime, SearchEnd, Trial, run_trials
from alerting.readings.history import Floats, Positions

UNPRUNED_TRIALS = 3  # trials that finish before one may be pruned for being worse than their median
Params = dict[str, Any]
FittedT = TypeVar("FittedT")


class Assessed(NamedTuple):
    """A trial as a warning: average precision of each fold; scores of each fold's rows, which only
    the best trial computes; and the figures of the same fits on labels that mean nothing
    (`NOTHING_TRIED` without)."""

    precisions: tuple[float, ...]
    scores: Callable[[], Sequence[Floats]]
    chance: Floats = NOTHING_TRIED


class Null(NamedTuple):
    """What may explain scores instead: the `fault` if it does; its probability (`share`) to give
    scores so good, and the largest with which they count as explained by more (`most`)."""

    fault: str
    share: float
    most: float


class Space(NamedTuple):
    """What a search tries: `proven` sets first, in this order, then what `suggest` draws. `prunes`:
    whether a set ends early that after some folds is worse than the median of earlier sets."""

    suggest: Callable[[optuna.Trial], Params]
    proven: Sequence[Params]
    prunes: bool = False


@dataclass
class Found:
    """The result of a search. `best`: the set with the least `loss`, of equal ones the earlier (or
    as `Experiment.is_better` says);
    `predicted` and `scores`, by fold, are its own. `tried`: all trials. `end`: how it ended.
    `chance`: the largest figure of all trials on each draw of the null."""

    best: Trial | None = None
    loss: float = np.inf
    predicted: Sequence[Floats] = ()
    scores: Sequence[Floats] = ()
    chance: Floats = field(default_factory=lambda: NOTHING_TRIED)
    tried: list[Trial] = field(default_factory=list)
    end: SearchEnd | None = None


class Experiment(ABC, Generic[FittedT]):
    """Rows that are learned from, in `folds`, whose numbers differ.

    A subclass has the rows; `rows` is their number. Its methods get positions among them.
    """

    folds: list[Fold]
    rows: int

    @abstractmethod
    def fit(self, params: Mapping[str, Any], fold: Fold) -> FittedT:
        """Fit on the rows of `fold.train`, which `fold.test` may stop early. Deterministic."""

    @abstractmethod
    def predict(self, fitted: FittedT, params: Mapping[str, Any], rows: Positions) -> Floats:
        """Return the prediction of each of these rows."""

    def loss(self, predicted: Floats, rows: Positions) -> float:
        """Return the mean loss of predictions of rows; the least is best. For a search alone.
        Raises TypeError if the experiment states none."""
        raise TypeError(f"{type(self).__name__} states no loss, so it cannot be searched")

    def compared(self, fold: Fold) -> Positions:
        """Return the rows on which trials are compared."""
        return fold.test

    def is_better(self, loss: float, predicted: Sequence[Floats], result: Found) -> bool:
        """Return whether a set with this loss replaces the best one so far, if there is one.
        `predicted`: of the rows of each fold."""
        return result.best is None or loss < result.loss

    def complete(self, params: Params, fitted: Sequence[FittedT]) -> Params:
        """Return a set with the parameters that the folds decide together."""
        return params

    def assess(
        self,
        params: Params,
        fitted: Sequence[FittedT],
        predicted: Sequence[Floats],
        losses: Sequence[float],
    ) -> Assessed:
        """Return a trial's figures as a warning. A pruned one has the first folds alone."""
        return Assessed(tuple(-loss for loss in losses), lambda: predicted)

    def nulls(self, scores: Floats) -> Iterator[Null]:
        """Yield what may explain scores of all rows instead; NaN where no fold scored a row."""
        yield from ()

    def against(self, scores: Floats) -> Null | None:
        """Return the first null that explains scores of all rows, None if none does."""
        return next((null for null in self.nulls(scores) if null.share > null.most), None)

    def refit(self, params: Mapping[str, Any], rows: Positions) -> FittedT:
        """Fit on these rows alone."""
        return self.fit(params, Fold(0, rows, rows[:0]))

    def out_of_fold(self, params: Mapping[str, Any]) -> Floats:
        """Return the prediction of each row by a fit that has not seen it; NaN where no fold
        scored it."""
        predicted = [self.predict(self.fit(params, fold), params, fold.test) for fold in self.folds]
        return merge(self.folds, predicted, self.rows)

    def search(
        self,
        space: Space,
        learning: Learning,
        report: Callable[[int], None] = lambda _: None,
        read_time: ReadTime | None = None,
    ) -> Found:
        """Try `learning.trials` sets, and return the one with the least mean loss over the folds.

        A seeded TPE follows the proven sets. `report` is called with the number of trials done;
        with `read_time` the search ends at its ceiling (`run_trials`), which alone depends on time.
        Raises SearchFailed if no trial could be fitted.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=learning.seed, n_startup_trials=4),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED_TRIALS)
            if space.prunes
            else optuna.pruners.NopPruner(),
        )
        for params in space.proven:
            study.enqueue_trial(params, skip_if_exists=True)
        result = Found()
        end = run_trials(
            study, lambda trial: self._try(space, trial, result), learning, report, read_time
        )
        result.tried += end.failed
        result.end = end
        return result

    def _try(self, space: Space, trial: optuna.Trial, result: Found) -> float:
        params = space.suggest(trial)
        fitted = list[FittedT]()
        predicted = list[Floats]()
        losses = list[float]()
        completed = params
        for fold in self.folds:
            fitted.append(self.fit(params, fold))
            together = self.complete(params, fitted)
            if together != completed:  # the folds before are scored by it, too
                completed = together
                predicted.clear()
                losses.clear()
            for model in fitted[len(predicted) :]:
                rows = self.compared(self.folds[len(predicted)])
                predicted.append(self.predict(model, completed, rows))
                losses.append(self.loss(predicted[-1], rows))
            trial.report(float(np.mean(losses)), len(fitted))
            if result.tried and len(fitted) < len(self.folds) and trial.should_prune():
                break
        loss = float(np.mean(losses))
        if np.isnan(loss):
            raise ValueError("its loss is not a number")
        assessed = self.assess(completed, fitted, predicted, losses)
        result.chance = np.maximum(result.chance, assessed.chance)
        ap = float(np.mean(assessed.precisions)) if assessed.precisions else np.nan
        tried = Trial(completed, ap, assessed.precisions)
        if len(fitted) < len(self.folds):
            result.tried.append(replace(tried, state="pruned"))
            raise optuna.TrialPruned
        result.tried.append(tried)
        if self.is_better(loss, predicted, result):
            result.best = tried
            result.loss = loss
            result.predicted = predicted
            result.scores = assessed.scores()
        return loss
