"""Training of the modes of a problem: which of them it is, given that the problem comes.

A mode is named only if it is told from chance on rows that its fit had not seen: those of the
walk-forward folds and of the validation period. The metrics of the test period are of the twin.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.faults import UserError, name_fault
from alerting.definitions.fields.learning import OF_MODES
from alerting.definitions.wording.language import count_in_english
from alerting.episodes.mode_shares import ModeAlarm, count_modes, probable_mode
from alerting.learning.data.dataset import Dataset
from alerting.learning.experiment.chance import placed_share, share_between_groups
from alerting.learning.experiment.experiment import Experiment, Null
from alerting.learning.experiment.folds import Fold
from alerting.learning.models.families.contract import get_family
from alerting.learning.models.mode_model import ModeModel, conditions_of, describe_row
from alerting.learning.models.trained import Estimator, TrainedModel
from alerting.learning.selection.candidates import usable_folds
from alerting.learning.selection.challenger import fit_rows, observe_part
from alerting.learning.selection.operating_point import predicted_episodes_at
from alerting.readings.history import BoolArray, Floats, Positions, to_millis

LEAST_PROBLEMS = 3  # of a mode, on rows that its fit had not seen
MOST_BY_CHANCE = 0.05  # probability, of all modes together


class ModeExperiment(Experiment[Estimator]):
    """Whether a mode comes (`shown`: of each row), fitted on the rows whose modes are known. Folds
    without it on the side of the fit are left out."""

    def __init__(
        self,
        dataset: Dataset,
        definition: TrainedDefinition,
        shown: BoolArray,
        folds: Sequence[Fold] = (),
    ) -> None:
        self.folds = [fold for fold in folds if shown[fold.train].any()]
        self.rows = len(shown)
        self.params = get_family(OF_MODES).proven_params()[1]  # pairs of columns: causes multiply
        self.shown = shown
        self._has_mode = np.asarray(dataset.modes.any(axis=1), np.bool_)
        self._dataset = dataset
        self._weight = _weights(dataset, shown)
        self._is_known = self._has_mode | (dataset.label == 0)
        self._seed = definition.learning.seed

    def fit(self, params: Mapping[str, Any], fold: Fold) -> Estimator:
        rows = fold.train[self._is_known[fold.train]]
        label = self.shown.astype(np.int8)
        return fit_rows(self._dataset, OF_MODES, params, rows, label, self._weight, self._seed)

    def predict(self, fitted: Estimator, params: Mapping[str, Any], rows: Positions) -> Floats:
        """Return the probability of the mode."""
        return fitted.probability_of(self._dataset.matrix[rows])

    def nulls(self, scores: Floats) -> Iterator[Null]:
        """Yield that the mode is placed anywhere in time, and that it is any of the modes."""
        dataset = self._dataset
        most = MOST_BY_CHANCE / dataset.modes.shape[1]
        rows = dataset.measured & ~np.isnan(scores)
        alone = replace(dataset, label=self.shown.astype(np.int8))
        placed = placed_share(alone, np.flatnonzero(rows), scores, self._seed)
        yield Null("nothing announces it beyond chance", placed, most)
        problem = _number_problems(dataset, self._has_mode)
        rows &= self._has_mode
        among = share_between_groups(scores[rows], self.shown[rows], problem[rows])
        yield Null("it cannot be told from the other modes", among, most)

    def find_fault(self) -> str:
        """Return why the mode cannot be told from chance; empty if it can."""
        scores = self.out_of_fold(self.params)
        rows = self._dataset.measured & ~np.isnan(scores) & self.shown
        problems = len(np.unique(_number_problems(self._dataset, self.shown)[rows]))
        if problems < LEAST_PROBLEMS:
            return count_in_english(
                "only {number} problem of it came on rows that its fit had not seen (3 needed)",
                "only {number} problems of it came on rows that its fit had not seen (3 needed)",
                problems,
            )
        null = self.against(scores)
        return f"{null.fault} ({problems} problems, p = {null.share:.2g})" if null else ""

    def rate(self, rows: Positions) -> float:
        """Return the share of rows with the mode ahead, as they are weighted; half a row without
        any."""
        rate = np.average(self.shown[rows], weights=self._weight[rows])
        return float(rate) or 0.5 / len(rows)


def train_modes(
    dataset: Dataset, definition: TrainedDefinition, twin: TrainedModel
) -> tuple[tuple[ModeModel, ...], list[str]]:
    """Fit the modes on the training rows and test them against chance; return them, none if chance
    explains all, and sentences on how the twin's alarms of the test period would have named them.
    """
    refused = list[str]()
    fitted = dict[str, Estimator]()
    train, validation = (np.flatnonzero(dataset.part == part) for part in ("train", "validation"))
    folds = list[Fold]()  # without one that can be used no mode is told from chance
    with suppress(UserError):
        folds = usable_folds(dataset, definition.learning.folds)[0]
        folds.append(Fold(definition.learning.folds + 1, train, validation))
    experiments = _experiments(dataset, definition, folds)
    for name, experiment in experiments.items():
        try:
            if not (why := experiment.find_fault()):
                fitted[name] = experiment.refit(experiment.params, train)
        except Exception as fault:  # a mode ends no training
            why = f"its fit failed ({name_fault(fault)})"
        if why:
            refused.append(f"{name} is left to the others, never named: {why}.")
    modes = _modes_of(definition, experiments, fitted, train) if fitted else ()
    return modes, [*(_describe_test(dataset, definition, twin, modes) if modes else ()), *refused]


def refit_modes(
    dataset: Dataset, definition: TrainedDefinition, twin: TrainedModel, cutoff: datetime
) -> tuple[ModeModel, ...]:
    """Return the modes that the twin names, fitted on all mature rows with labels up to a training
    cutoff; if the definition has other modes now, those that are told from chance."""
    modes = twin.modes
    if {mode.name: mode.condition for mode in modes} != conditions_of(definition.mode_problems):
        modes, _ = train_modes(dataset, definition, twin)
    named = [mode.name for mode in modes if mode.estimator is not None]
    until = to_millis(cutoff) - dataset.gap_ms - dataset.horizon_ms
    rows = np.flatnonzero(dataset.fit & (dataset.at <= until))
    experiments = _experiments(dataset, definition)
    fitted = {
        name: experiment.refit(experiment.params, rows)
        for name, experiment in experiments.items()
        if name in named and experiment.shown[rows].any()
    }
    return _modes_of(definition, experiments, fitted, rows) if named else ()


def _experiments(
    dataset: Dataset, definition: TrainedDefinition, folds: Sequence[Fold] = ()
) -> dict[str, ModeExperiment]:
    return {
        name: ModeExperiment(dataset, definition, shown, folds)
        for name, shown in zip(definition.mode_problems, dataset.modes.T, strict=True)
    }


def _modes_of(
    definition: TrainedDefinition,
    experiments: Mapping[str, ModeExperiment],
    fitted: Mapping[str, Estimator],
    rows: Positions,
) -> tuple[ModeModel, ...]:
    conditions = conditions_of(definition.mode_problems)
    return tuple(
        ModeModel(name, conditions[name], experiment.rate(rows), fitted.get(name))
        for name, experiment in experiments.items()
    )


def _weights(dataset: Dataset, shown: BoolArray) -> Floats:
    """Return weights by which each problem counts as the mean problem, however many rows it has."""
    problem = _number_problems(dataset, shown)
    label = dataset.label == 1
    mean = label.sum() / (_number_problems(dataset, label).max(initial=0) + 1)
    rows = np.bincount(problem[shown], minlength=1)
    return np.where(shown, mean / np.maximum(rows[problem], 1), 1.0)


def _number_problems(dataset: Dataset, shown: BoolArray) -> Positions:
    """Return, for each row, the number of its run of rows with a mode ahead, or of the unit just
    made; -1 without."""
    before = np.append(False, shown[:-1] & (dataset.asset[1:] == dataset.asset[:-1]))
    return np.where(shown, np.cumsum(shown & ~(before & (dataset.gap_ms >= 0))) - 1, -1)


def _describe_test(
    dataset: Dataset,
    definition: TrainedDefinition,
    twin: TrainedModel,
    modes: tuple[ModeModel, ...],
) -> list[str]:
    """Describe how often the alarms of the test period would have named the right mode."""
    test = np.flatnonzero(dataset.part == "test")
    if not len(test):
        return []
    names = np.array([mode.name for mode in modes], dtype=object)
    observed = observe_part(definition, dataset, np.asarray(dataset.part == "test"))
    score = twin.score_matrix(dataset.matrix[test])
    announced = np.zeros(len(dataset.at), np.bool_)
    alarms = []
    for asset, episodes in predicted_episodes_at(observed, score, twin.threshold).items():
        for episode in episodes:
            until = episode.raised if episode.last_high is None else episode.last_high
            is_inside = (dataset.at[test] >= episode.raised) & (dataset.at[test] <= until)
            inside = test[(dataset.asset[test] == asset) & is_inside]
            announced[inside] = True
            named = probable_mode(describe_row(modes, dataset.matrix[inside[:1]]))
            alarms.append(ModeAlarm(named, [*names[dataset.modes[inside].any(axis=0)]]))
    rows = dataset.measured_in("test")
    numbers = [
        (n, _number_problems(dataset, m), m) for n, m in zip(names, dataset.modes.T, strict=True)
    ]
    problems = [[name] for name, at, shown in numbers for _ in np.unique(at[rows & shown])]
    missed = [[n] for n, at, m in numbers for _ in np.setdiff1d(at[rows & m], at[announced])]
    metrics = count_modes(names.tolist(), alarms, problems, missed)
    return [
        f"Of {sum(bool(alarm.came) for alarm in alarms):,} alarms of the test period whose problem "
        f"came, {sum(m.right for m in metrics):,} named its mode.",
        *(
            f"{m.mode}: {count_in_english('{number} alarm', '{number} alarms', m.alarms)}, "
            f"{m.right:,} right, {m.alarms - m.of_right:,} false"
            f"{f', {m.of_right - m.right:,} before another mode' * (m.of_right > m.right)}; "
            f"{m.missed:,} of {m.problems:,} of its problems missed."
            for m, mode in zip(metrics, modes, strict=True)
            if mode.estimator is not None
        ),
    ]
