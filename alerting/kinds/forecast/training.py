"""Training of a forecast: a search by CRPS, calibration, and a test of the warnings."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version
from itertools import chain
from math import isnan
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from alerting.definitions.fields.learning import BASELINES, MEAN
from alerting.definitions.wording.language import spoken_share
from alerting.kinds.forecast.definition import OWN_LAGS, ForecastDefinition
from alerting.kinds.forecast.forecasters import ALL, FORECASTERS, Task, Visible
from alerting.kinds.forecast.kind import forecast_in, forecast_of
from alerting.kinds.forecast.model import (
    MEDIAN,
    QUANTILES,
    Floats,
    Naive,
    Rows,
    conformal_shifts,
    covered,
    crps,
    in_order,
)
from alerting.kinds.forecast.result_folds import (
    INTERVAL_FOLDS,
    ForecastFolds,
    compare_with_results,
    forecast_folds,
    result_folds,
    without_threshold,
)
from alerting.kinds.forecast.value_challenger import (
    fails_value_test,
    mean_of,
    value_challenger,
)
from alerting.kinds.forecast.verification import (
    ForecastsAndValues,
    compare_forecasts,
    share_of_samples,
)
from alerting.kinds.training_protocol import Challenger, KindTraining
from alerting.learning.data.dataset import Dataset, at_stride
from alerting.learning.data.dataset_rows import leads_of
from alerting.learning.experiment.chance import ShiftedLabels
from alerting.learning.experiment.experiment import Assessed, Experiment, Found, Params, Space
from alerting.learning.experiment.folds import Fold, merge
from alerting.learning.experiment.trials import ReadTime
from alerting.learning.features.plan import (
    LAST_RESULTS,
    Columns,
    Encoding,
    FeaturePlan,
    describe_window,
)
from alerting.learning.features.planning import LAGS_OF_RESULTS
from alerting.learning.models.model_files import model_files
from alerting.learning.models.trained import Estimator, TrainedModel, sigmoid
from alerting.learning.selection.candidates import (
    Candidate,
    assemble,
    average_precision,
    final_fit,
)
from alerting.learning.selection.challenger import (
    ChallengerEvidence,
    finish_challenger,
    refit,
    sample_shares,
)
from alerting.learning.selection.choice import (
    LEAST_PROBLEMS,
    ChanceTest,
    compare_best,
    evaluate_onset,
    name_family,
)
from alerting.learning.selection.classifier_search import SearchProgress
from alerting.ports import Files
from alerting.readings.history import BoolArray, Positions, duration_millis

if TYPE_CHECKING:
    import optuna


_CONFIDENCE = 0.9  # share of the samples in which a candidate must be better than another one
_MOST_ROWS = 12_000  # of a fit; beyond that rows are taken evenly
# a trial is fitted on fewer rows of a fold, evenly: each row counts once for each lead, and
# together they are about _MOST_TRIED, unless those are less than _LEAST_TRIED rows
_MOST_TRIED = 16_000
_LEAST_TRIED = 2_000


_FEW_RESULTS = 70  # to learn from; with fewer the choice of a set follows noise
_LIKELY = 0.7  # share of the samples in which a set must be better than a simpler one


class ForecastTraining:
    """Models of the values ahead."""

    compare = staticmethod(compare_forecasts)

    def train(
        self,
        dataset: Dataset,
        definition: ForecastDefinition,
        family: str,
        progress: SearchProgress,
        warm_start: Mapping[str, Any] | None = None,
        read_time: ReadTime | None = None,
    ) -> Candidate:
        """Try `learning.trials` sets on the folds and return the best by mean CRPS.

        The proven default is tried first, then the parameters of the champion, up to the ceiling
        (`run_trials`). The risk of each trial is also scored on shifted labels, for the test
        against chance.
        """
        experiment = ForecastExperiment(dataset, definition, family)
        # the search of what an estimate begins from uses of the same ceiling
        used = None if read_time is None else chain([read_time()], iter(read_time, None)).__next__
        first, *others = experiment.find_proven(read_time)
        trials = definition.learning.trials if others else 1
        before = [dict(warm_start)] if warm_start else []
        if dataset.plan.results_of:  # what a champion of before there was a choice begins from
            before = [{"results": LAST_RESULTS, "windows": ALL, **params} for params in before]
        result = experiment.search(
            Space(experiment.suggest, [first, *before, *others]),
            definition.learning.model_copy(update={"trials": trials}),
            lambda done: progress(f"trying {family}", done, trials),
            used,
        )
        folds = experiment.cut
        candidate = assemble(
            family, dataset, folds.warnings, result, trials, folds.notes, dict(warm_start or {})
        )
        predicted = merge(folds.values, result.predicted, experiment.rows)
        scored = ~np.isnan(predicted[:, 0, 0])
        if dataset.plan.results_of:  # compared with the intervals that it will have
            shifts = conformal_shifts(predicted[scored], dataset.future[scored])
            predicted = in_order(predicted + shifts)
        loss = crps(predicted, dataset.future)
        metrics = {"crps": mean_of(loss) if dataset.plan.results_of else result.loss}
        return replace(candidate, metrics={**candidate.metrics, **metrics}, loss=loss)

    def choose(
        self, dataset: Dataset, definition: ForecastDefinition, candidates: Sequence[Candidate]
    ) -> tuple[ChanceTest | None, Challenger | None]:
        """Choose the candidate with the least CRPS among those whose warnings are not worse beyond
        chance, and calibrate it.

        If warnings do not exceed chance, or there is nothing to warn of, only the values that the
        best candidate predicts, no baseline, are compared with the last known value and the mean.
        An estimate between results does not warn if it is shown to be no better than the last
        result and the mean, or if its threshold finds no problem of the validation period. Values
        that are then tested after others on the same period must be better in more samples.
        """
        best = choose_candidate(dataset, candidates)
        chance = _test_against_chance(dataset, definition, best, candidates)
        matrix = dataset.matrix

        train: BoolArray = np.asarray(dataset.part == "train")

        def fit(candidate: Candidate, has_alarm: bool) -> Estimator:
            with final_fit(candidate.family):
                fitted = fit_rows(dataset, candidate, definition, train)
                if not dataset.plan.results_of:
                    return calibrated(fitted, dataset)
                unseen = forecast_unseen(dataset, candidate, definition, train, fitted, has_alarm)
                return calibrated(fitted, dataset, unseen)

        def estimate(
            candidate: Candidate, fitted: Estimator, has_alarm: bool, tests: int = 1
        ) -> Challenger:
            recipes = [replace(candidate, family=name, params={}) for name in BASELINES[:2]]
            baselines = [fit(recipe, has_alarm) for recipe in recipes]
            return value_challenger(
                dataset, definition, candidate, fitted, baselines, matrix, tests
            )

        def estimate_alone(tests: int = 1) -> Challenger:
            by_value = choose_candidate(dataset, candidates, by_warnings=False)
            return estimate(by_value, fit(by_value, False), False, tests)

        if chance is None or not chance.passed:
            return chance, estimate_alone()
        estimator = fit(best, True)
        if dataset.plan.results_of and fails_value_test(estimate(best, estimator, True)):
            return chance, estimate_alone(tests=2)
        with final_fit(best.family):
            model, evidence = finish_challenger(dataset, best, definition, estimator)
        if dataset.plan.results_of and not evidence.events["validation"].n_found:
            return without_threshold(chance, dataset.problems_in_validation), estimate_alone()
        if (sample := sample_shares(model, dataset)) is not None:
            evidence = replace(evidence, importance=sample.importance, shap=sample)
        evidence = _with_test(evidence, estimator, matrix, dataset, definition)
        return replace(chance, validation=evidence.validation), Challenger(best, model, evidence)

    def refit(
        self, dataset: Dataset, twin: TrainedModel, definition: ForecastDefinition
    ) -> TrainedModel | None:
        """Return the model with its parameters fitted on all mature rows, with the calibration of
        its quantiles, as its refit; values alone between results are calibrated on all of them."""

        def fit(rows: BoolArray) -> Estimator:
            fitted = fit_rows(dataset, twin, definition, rows)
            if dataset.plan.results_of and not twin.has_alarm:
                unseen = forecast_unseen(dataset, twin, definition, rows, fitted, False)
                return _shifted(fitted, unseen)
            model = replace(forecast_in(fitted), shifts=forecast_of(twin).shifts)
            return replace(fitted, model=model)

        return refit(dataset, twin, definition, fit)

    def save(self, model: TrainedModel) -> Files:
        packages = sorted({"numpy", "pandas", *FORECASTERS[model.family].packages})
        requirements = "".join(f"{package}=={version(package)}\n" for package in packages)
        return model_files(model) | {"requirements.txt": requirements.encode()}


def _test_against_chance(
    dataset: Dataset,
    definition: ForecastDefinition,
    best: Candidate,
    candidates: Sequence[Candidate],
) -> ChanceTest | None:
    """Return the test of the best candidate's warnings against chance; None without an alarm. Of an
    estimate between results the validation period must have as many problems as the folds."""
    if not definition.has_alarm:
        return None
    folds = forecast_folds(dataset, definition).warnings
    shifted = ShiftedLabels(dataset, folds, definition.learning.seed)
    chance = compare_best(best.ap if folds else 0.0, candidates, shifted.problems)
    if not chance.is_above:
        return replace(chance, prevalence=shifted.prevalence)
    if dataset.plan.results_of and dataset.problems_in_validation < LEAST_PROBLEMS:
        return without_threshold(chance, dataset.problems_in_validation)
    _, onset = evaluate_onset(dataset, definition, candidates, [best])
    return replace(chance, onset=onset)


def task_of(definition: ForecastDefinition, plan: FeaturePlan) -> Task:
    """Return the task of a definition, with the columns of a plan."""
    columns = Columns.from_plan(plan)
    name = definition.problem.variable
    leads = tuple(duration_millis(lead) for lead in leads_of(definition, plan))
    sampling_ms = next((number.sampling_ms for number in plan.numbers if number.name == name), None)
    sampling = None if sampling_ms is None else timedelta(milliseconds=sampling_ms)
    step = duration_millis(at_stride(definition, plan).lag_step(sampling))
    count = LAGS_OF_RESULTS if plan.results_of else OWN_LAGS
    spaced = [step * number for number in range(count, 0, -1)]
    seasonal: list[int] = []
    for lead in leads if definition.season else ():
        lag = definition.season_lag(timedelta(milliseconds=lead))
        column = (
            f"{name}.last" if lag is None else f"{name}.lag.{describe_window(duration_millis(lag))}"
        )
        seasonal.append(columns.names.index(column))
    return Task(
        columns,
        columns.names.index(f"{name}.last"),
        tuple(columns.names.index(f"{name}.lag.{describe_window(lag)}") for lag in spaced),
        step,
        tuple(seasonal),
        leads,
        definition.problem.above,
        definition.problem.below,
        **compare_with_results(plan, columns.names),
    )


def calibrated(
    estimator: Estimator, dataset: Dataset, beside: ForecastsAndValues | None = None
) -> Estimator:
    """Return a forecaster with its quantiles calibrated on the validation period. `beside`: other
    forecasts of values that they have not seen; few results need them."""
    rows = np.flatnonzero(dataset.measured_in("validation"))
    quantiles = forecast_in(estimator).quantiles(dataset.matrix, rows)
    values = dataset.future[rows]
    if beside is not None:
        quantiles = np.concatenate([beside.quantiles, quantiles])
        values = np.concatenate([beside.values, values])
    return _shifted(estimator, ForecastsAndValues(quantiles, values))


def _shifted(estimator: Estimator, unseen: ForecastsAndValues) -> Estimator:
    shifts = conformal_shifts(*unseen)
    model = replace(forecast_in(estimator), shifts=tuple(tuple(row.tolist()) for row in shifts))
    return replace(estimator, model=model)


class ForecastExperiment(Experiment[Estimator]):
    """The values ahead, by one family. Its rows without a value ahead are not fitted on.

    `spread`: quantiles of residuals that each fit gets, if not its own. `most`: rows of a fit, in
    `folds`; without these a search's, on fewer rows, in those of `cut`.
    Raises UserError if no fold has values on both sides.
    """

    def __init__(
        self,
        dataset: Dataset,
        definition: ForecastDefinition,
        family: str,
        folds: list[Fold] | None = None,
        most: int = _MOST_ROWS,
    ) -> None:
        self.family = FORECASTERS[family]
        self.rows = len(dataset.at)
        self._dataset = dataset
        self._future = dataset.future
        self._matrix = dataset.matrix
        self._seed = definition.learning.seed
        self._task = task_of(definition, dataset.plan)
        self._most = most
        self._definition = definition
        self._results = int(dataset.has_future[dataset.part == "train"].sum())
        self._strongest = dict[tuple[int, Visible], Positions]()
        self.spread: Rows | None = None
        self.cut = ForecastFolds(folds or [], [], [])
        if folds is None:
            self.cut = forecast_folds(dataset, definition)
            self._shifted = ShiftedLabels(dataset, self.cut.warnings, self._seed)
            self._most = max(_LEAST_TRIED, _MOST_TRIED // self._future.shape[1])
        self.folds = self.cut.values
        self._of_warnings = self
        if folds is None and self.cut.warnings is not self.folds:
            self._of_warnings = ForecastExperiment(
                dataset, definition, family, self.cut.warnings, self._most
            )

    def find_proven(self, read_time: ReadTime | None) -> Sequence[Params]:
        """Return the proven sets. Those of an estimate between results begin from what is best for
        the first of them on the folds, within the ceiling of a search."""
        if not self._dataset.plan.results_of:
            return self.family.proven
        proven = self.family.results
        begins = [{**proven[0], **begin} for begin in self.family.begins]
        if not begins:
            return proven
        values = ForecastExperiment(
            self._dataset, self._definition, self.family.name, self.folds, self._most
        )
        result = values.search(
            Space(values.suggest, begins),
            self._definition.learning.model_copy(update={"trials": len(begins)}),
            read_time=read_time,
        )
        best = result.best.params if result.best else begins[0]
        return [{**best, **params} for params in proven]

    def suggest(self, trial: "optuna.Trial") -> Params:
        """Return a parameter set; of an estimate between results with what it begins from."""
        params = self.family.suggest(trial)
        if self._dataset.plan.results_of and "of" in params:
            params["results"] = trial.suggest_categorical("results", [*self._task.anchors])
            params["windows"] = trial.suggest_categorical("windows", [*self._task.windows])
        return params

    def is_better(self, loss: float, predicted: Sequence[Floats], result: Found) -> bool:
        """Return whether a set replaces the best one so far: between results only if it is so in
        most samples, and of few results in nearly all, for the simplest is tried first."""
        if result.best is None or not self._dataset.plan.results_of:
            return super().is_better(loss, predicted, result)
        gains = [
            self.losses(before, fold.test) - self.losses(now, fold.test)
            for fold, before, now in zip(self.folds, result.predicted, predicted, strict=True)
        ]
        blocks = self._dataset.time_blocks(np.concatenate([fold.test for fold in self.folds]))
        needed = _CONFIDENCE if self._results < _FEW_RESULTS else _LIKELY
        return (share_of_samples(np.concatenate(gains), blocks) or 0.0) >= needed

    def fit(self, params: Mapping[str, Any], fold: Fold) -> Estimator:
        used = fold.train[self._dataset.has_future[fold.train]]
        used = used[:: max(1, -(-len(used) // self._most))]
        rows = self._matrix[used]
        future = self._future[used]
        task = self._task
        if self.family.strongest is not None and fold.number:
            # of 100 columns the choice takes .12 of the 2.1 CPU s of a fit, of 400 .49 of 2.5
            key = (fold.number, task.see(params))
            if key not in self._strongest:
                self._strongest[key] = self.family.strongest(params, task, rows, future, self._seed)
            task = replace(task, strongest=self._strongest[key])
        model = self.family.fit(params, task, rows, future, self._seed)
        if self.spread is not None:
            model = replace(model, core=replace(cast("Naive", model.core), spread=self.spread))
        return Estimator(self.family.name, model, task.columns, Encoding())

    def predict(self, fitted: Estimator, params: Mapping[str, Any], rows: Positions) -> Floats:
        """Return the quantiles (rows x leads x quantiles)."""
        return forecast_in(fitted).quantiles(self._matrix, rows)

    def loss(self, predicted: Floats, rows: Positions) -> float:
        return mean_of(self.losses(predicted, rows))

    def losses(self, predicted: Floats, rows: Positions) -> Floats:
        """Return the CRPS of each row; of trees between results how far off the median is, because
        their intervals are too narrow until they are calibrated."""
        if self._dataset.plan.results_of and self.family.packages:
            return np.asarray(np.abs(self._future[rows] - predicted[..., MEDIAN]).mean(axis=1))
        return crps(predicted, self._future[rows])

    def assess(
        self,
        params: Params,
        fitted: Sequence[Estimator],
        predicted: Sequence[Floats],
        losses: Sequence[float],
    ) -> Assessed:
        """Return the average precision and the risks on the folds with warnings, which are others
        than those with values between results."""
        folds = self.cut.warnings
        if folds is not self.folds:
            fitted = [self._of_warnings.fit(params, fold) for fold in folds]
            predicted = [
                self.predict(model, params, fold.test)
                for fold, model in zip(folds, fitted, strict=True)
            ]
        risks = [
            sigmoid(forecast_in(model).margin_of(quantiles))
            for model, quantiles in zip(fitted, predicted, strict=True)
        ]
        if not folds:
            return Assessed((), list)
        figures = [
            average_precision(self._dataset, *pair) for pair in zip(folds, risks, strict=True)
        ]
        shifted = [
            risk[np.isin(fold.test, rows)]
            for fold, risk, rows in zip(folds, risks, self._shifted.rows, strict=True)
        ]
        return Assessed(tuple(figures), lambda: risks, self._shifted.evaluate(shifted))


def forecast_unseen(
    dataset: Dataset,
    recipe: Candidate | TrainedModel,
    definition: ForecastDefinition,
    rows: BoolArray,
    fitted: Estimator,
    has_alarm: bool,
) -> ForecastsAndValues:
    """Return the values between results of these rows beside forecasts that have not seen them.

    Those of a model without an alarm have the residuals of `fitted`, which learned from all rows:
    fewer rows are followed more closely, and shifts of narrower intervals would make its own too
    wide.
    """
    folds = result_folds(dataset, rows, INTERVAL_FOLDS)
    scored = np.concatenate([np.empty(0, np.int64), *(fold.test for fold in folds)])
    if not folds:
        return ForecastsAndValues(
            np.empty((0, dataset.future.shape[1], len(QUANTILES))), dataset.future[:0]
        )
    experiment = ForecastExperiment(dataset, definition, recipe.family, folds)
    if not has_alarm:  # whose risk is calibrated by itself
        experiment.spread = getattr(forecast_in(fitted).core, "spread", None)
    return ForecastsAndValues(experiment.out_of_fold(recipe.params)[scored], dataset.future[scored])


def fit_rows(
    dataset: Dataset,
    recipe: Candidate | TrainedModel,
    definition: ForecastDefinition,
    rows: BoolArray,
) -> Estimator:
    """Fit a recipe on the rows that have a value ahead."""
    experiment = ForecastExperiment(dataset, definition, recipe.family, [])
    return experiment.refit(recipe.params, np.flatnonzero(rows))


def choose_candidate(
    dataset: Dataset, candidates: Sequence[Candidate], by_warnings: bool = True
) -> Candidate:
    """Return the candidate with the least CRPS, of equal ones the one with the best warnings; a
    baseline if no other is better than it, but not the mean, which warns of nothing. Of values
    alone return the best one that is no baseline: the test period decides."""
    if by_warnings:
        candidates = [candidate for candidate in candidates if candidate.family != MEAN]
    others = [candidate for candidate in candidates if candidate.family not in BASELINES[:2]]
    best = min(candidates, key=lambda candidate: candidate.metrics["crps"])
    equal = [
        candidate
        for candidate in candidates
        if candidate is best or share_worse(dataset, candidate, best) < _CONFIDENCE
    ]
    simple = [candidate for candidate in equal if candidate.family in BASELINES]
    if by_warnings and not isnan(best.ap):
        chosen = max(simple or equal, key=lambda candidate: candidate.ap)
    else:
        remaining = simple or equal if by_warnings else others or candidates
        chosen = min(remaining, key=lambda candidate: candidate.metrics["crps"])
    baseline = min(
        (candidate for candidate in candidates if candidate.family in BASELINES),
        key=lambda candidate: candidate.metrics["crps"],
    )
    compared = ", ".join(
        f"{name_family(candidate.family)} {candidate.metrics['crps']:.4g}"
        for candidate in candidates
        if candidate is not chosen
    )
    skill = ""
    if chosen is not baseline and baseline.metrics["crps"] > 0:
        less = 1 - chosen.metrics["crps"] / baseline.metrics["crps"]
        more_or_less = "less" if less >= 0 else "more"
        skill = f", {spoken_share(abs(less))} {more_or_less} than {name_family(baseline.family)}"
    note = (
        f"{name_family(chosen.family)} was chosen: its CRPS out of fold is "
        f"{chosen.metrics['crps']:.4g}{skill} ({compared})"
    )
    if by_warnings and not isnan(chosen.ap):
        note += f", its average precision as a warning {chosen.ap:.3f}"
    return replace(chosen, statistics=(*chosen.statistics, note))


def share_worse(dataset: Dataset, candidate: Candidate, best: Candidate) -> float:
    """Return the share of time block samples with a larger CRPS (Künsch 1989)."""
    lead = candidate.loss - best.loss
    rows = np.flatnonzero(~np.isnan(lead))
    return share_of_samples(lead[rows], dataset.time_blocks(rows)) or 0.0


def _with_test(
    evidence: ChallengerEvidence,
    estimator: Estimator,
    matrix: Floats,
    dataset: Dataset,
    definition: ForecastDefinition,
) -> ChallengerEvidence:
    """Return the evidence with how good the values were on the test period."""
    rows = np.flatnonzero(dataset.measured_in("test") & dataset.has_future)
    if not len(rows):
        return evidence
    future = dataset.future[rows]
    quantiles = forecast_in(estimator).quantiles(matrix, rows)
    last = matrix[rows, task_of(definition, dataset.plan).last][:, None]
    inside = mean_of(covered(quantiles, future))
    error = mean_of(np.abs(future - quantiles[..., MEDIAN]))
    naive = mean_of(np.abs(future - last))
    leads = future.shape[1]
    which = f" at all {leads} times ahead" if leads > 1 else ""
    graded = "; a report grades the values of the nearest time alone" if leads > 1 else ""
    note = (
        f"On the test period the 90 % interval holds {spoken_share(inside)} of the values{which}; "
        f"the median is off by {error:.4g} on average, the last known value by {naive:.4g}"
        f"{graded}."
    )
    return replace(evidence, notes=(*evidence.notes, note), errors=(error, naive))


TRAINING: KindTraining[ForecastDefinition] = ForecastTraining()
