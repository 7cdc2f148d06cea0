"""Training of the model of modes: which of the named problems it is, given that the problem comes.

A mode is named only if it is told from chance on rows that its fit had not seen: those of the
walk-forward folds and of the validation period. The figures of the test period are of the twin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.fields.learning import OF_MODES
from alerting.definitions.wording.language import count_in_english
from alerting.episodes.mode_shares import ModeAlarm, ModeProblem, count_modes, probable_mode
from alerting.learning.data.dataset import Dataset
from alerting.learning.models.families.contract import LabelledRows, get_family
from alerting.learning.models.mode_model import ModeModel, conditions_of
from alerting.learning.models.trained import Estimator, TrainedModel
from alerting.learning.selection.candidates import (
    ColumnLimit,
    Positions,
    evenly,
    take_part,
    usable_folds,
)
from alerting.learning.selection.challenger import observe_part
from alerting.learning.selection.operating_point import predicted_episodes_at
from alerting.learning.selection.shifted_labels import placed_share
from alerting.readings.history import BoolArray, Floats, to_millis

_MOST_OTHERS = 20_000  # rows without the mode that a fit sees, evenly in time
LEAST_PROBLEMS = 3  # of a mode, on rows that its fit had not seen
MOST_BY_CHANCE = 0.05  # probability, of all modes together


@dataclass(frozen=True)
class TrainedModes:
    """The model of modes, None if no mode is told from chance, and sentences on it."""

    model: ModeModel | None
    notes: tuple[str, ...]


def train_modes(
    dataset: Dataset, definition: TrainedDefinition, twin: TrainedModel
) -> TrainedModes:
    """Fit the modes on the training rows, test them against chance, and count on the test period
    how often the twin's alarms would have named the right one."""
    faults = {
        name: _fault(dataset, definition, number)
        for number, name in enumerate(definition.mode_problems)
    }
    named = [name for name, fault in faults.items() if not fault]
    refused = tuple(
        f"{name} is left to the others, never named: {why}." for name, why in faults.items() if why
    )
    train = np.asarray(dataset.part == "train")
    model = fit_modes(dataset, definition, named, train)
    if model is None:
        return TrainedModes(None, ("No mode is named: none is told from chance.", *refused))
    return TrainedModes(model, (*_describe_test(dataset, definition, twin, model), *refused))


def refit_modes(
    dataset: Dataset, definition: TrainedDefinition, twin: TrainedModel, cutoff: datetime
) -> ModeModel | None:
    """Return the modes that the twin names, fitted on all mature rows with labels up to a training
    cutoff; if the definition has other modes now, those that are told from chance."""
    modes = twin.modes
    if modes is None or modes.conditions != conditions_of(definition.mode_problems):
        modes = train_modes(dataset, definition, twin).model
    if modes is None:
        return None
    until = to_millis(cutoff) - dataset.gap_ms - dataset.horizon_ms
    rows = dataset.fit & (dataset.at <= until)
    return fit_modes(dataset, definition, [*modes.estimators], np.asarray(rows))


def fit_modes(
    dataset: Dataset, definition: TrainedDefinition, named: Sequence[str], rows: BoolArray
) -> ModeModel | None:
    """Fit the model of the named modes on some rows; None if no mode can be fitted."""
    problems = definition.mode_problems
    labels = dict(zip(problems, dataset.modes.T, strict=True))
    estimators = {
        name: estimator
        for name in sorted(named)
        if (estimator := _fit(dataset, definition, labels[name], rows)) is not None
    }
    if not estimators:
        return None
    weight = _weights(dataset, dataset.label == 1)
    total = float(weight[rows].sum())
    rates = {
        name: (float(weight[rows & shown].sum()) or 0.5) / total for name, shown in labels.items()
    }
    return ModeModel(
        conditions_of(problems),
        {name: rates[name] for name in sorted(rates)},
        estimators,
    )


def _fit(
    dataset: Dataset, definition: TrainedDefinition, shown: BoolArray, rows: BoolArray
) -> Estimator | None:
    """Fit one mode on rows whose modes are known; None if they all have it, or none has."""
    has_label = rows & (dataset.modes.any(axis=1) | (dataset.label == 0))
    positive = np.flatnonzero(has_label & shown)
    others = np.flatnonzero(has_label & ~shown)
    if not len(positive) or not len(others):
        return None
    seen = evenly(others, min(len(others), _MOST_OTHERS))
    used = np.sort(np.append(positive, seen))
    label = shown[used].astype(np.int8)
    weight = _weights(dataset, shown)[used] * np.where(label == 1, 1.0, len(others) / len(seen))
    family = get_family(OF_MODES)
    params = family.proven_params()[1]  # with pairs of columns: causes that multiply or differ
    limit = ColumnLimit.from_plan(dataset.plan)
    chosen = limit.choose(
        params, len(used), lambda: limit.rank_all(dataset.matrix, used, shown.astype(np.int8))
    )
    labelled = LabelledRows(take_part(dataset.matrix, used, chosen), label, weight)
    fitted = family.fit(params, limit.take(chosen), labelled, definition.learning.seed)
    return limit.widen(fitted, chosen)


def _weights(dataset: Dataset, shown: BoolArray) -> Floats:
    """Return weights by which each problem counts as the mean problem, however many rows it has."""
    run = _problem_of_rows(dataset, shown)
    rows = np.bincount(run[run >= 0], minlength=1)
    label = dataset.label == 1
    mean = label.sum() / (_problem_of_rows(dataset, label).max(initial=0) + 1)
    return np.where(run >= 0, mean / np.maximum(rows[run], 1), 1.0)


def _problem_of_rows(dataset: Dataset, shown: BoolArray) -> Positions:
    """Return, for each row, the number of its run of rows with a mode ahead, or of the unit just
    made; -1 without."""
    before = np.append(False, shown[:-1] & (dataset.asset[1:] == dataset.asset[:-1]))
    before &= dataset.gap_ms >= 0
    return np.where(shown, np.cumsum(shown & ~before) - 1, -1)


def _fault(dataset: Dataset, definition: TrainedDefinition, number: int) -> str:
    """Return why a mode cannot be told from chance; empty if it can."""
    shown = dataset.modes[:, number]
    score = _score_unseen(dataset, definition, shown)
    rows = dataset.measured & ~np.isnan(score)
    problems = len(np.unique(_problem_of_rows(dataset, shown)[rows & shown]))
    if problems < LEAST_PROBLEMS:
        return count_in_english(
            "only {number} problem of it came on rows that its fit had not seen (3 needed)",
            "only {number} problems of it came on rows that its fit had not seen (3 needed)",
            problems,
        )
    alone = replace(dataset, label=shown.astype(np.int8))
    seed = definition.learning.seed
    most = MOST_BY_CHANCE / dataset.modes.shape[1]
    if (share := placed_share(alone, np.flatnonzero(rows), score, seed)) > most:
        return f"nothing announces it beyond chance ({problems} problems, p = {share:.2g})"
    if (share := _share_among_problems(dataset, shown, score, rows)) > most:
        return f"it cannot be told from the other modes ({problems} problems, p = {share:.2g})"
    return ""


def _score_unseen(dataset: Dataset, definition: TrainedDefinition, shown: BoolArray) -> Floats:
    """Return the probability of a mode for the rows of folds and validation, by fits that had not
    seen them; NaN elsewhere."""
    score = np.full(len(shown), np.nan)
    folds = usable_folds(dataset, definition.learning.folds)[0]
    parts = [(_mask(fold.train, shown), fold.test) for fold in folds]
    parts.append(
        (np.asarray(dataset.part == "train"), np.flatnonzero(dataset.part == "validation"))
    )
    for train, unseen in parts:
        estimator = _fit(dataset, definition, shown, train)
        if estimator is not None:
            score[unseen] = estimator.probability_of(dataset.matrix[unseen])
    return score


def _mask(positions: Positions, shown: BoolArray) -> BoolArray:
    mask = np.zeros(len(shown), np.bool_)
    mask[positions] = True
    return mask


def _share_among_problems(
    dataset: Dataset, shown: BoolArray, score: Floats, rows: BoolArray
) -> float:
    """Return the probability by chance that the problems of a mode score so high beside those of
    the other modes (Mann and Whitney 1947); each problem counts once."""
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - only a training measures

    others = dataset.modes.any(axis=1) & ~shown
    values = []
    for chosen in (shown, others):
        run = _problem_of_rows(dataset, chosen)
        used = rows & chosen
        values.append([float(score[used & (run == n)].mean()) for n in np.unique(run[used])])
    if not values[1]:
        return 1.0
    return float(mannwhitneyu(*values, alternative="greater").pvalue)


def _describe_test(
    dataset: Dataset, definition: TrainedDefinition, twin: TrainedModel, model: ModeModel
) -> list[str]:
    """Describe how often the alarms of the test period would have named the right mode."""
    test = np.flatnonzero(dataset.part == "test")
    if not len(test):
        return []
    modes = np.array([*definition.mode_problems], dtype=object)
    observed = observe_part(definition, dataset, _mask(test, dataset.label == 1))
    score = twin.score_matrix(dataset.matrix[test])
    announced = np.zeros(len(test), np.bool_)
    alarms = []
    for asset, episodes in predicted_episodes_at(observed, score, twin.threshold).items():
        for episode in episodes:
            until = episode.raised if episode.last_high is None else episode.last_high
            at = dataset.at[test]
            inside = (dataset.asset[test] == asset) & (at >= episode.raised) & (at <= until)
            first = test[inside][:1]
            shown = dataset.modes[test[inside]].any(axis=0)
            announced |= inside
            named = probable_mode(model.describe(dataset.matrix[first]))
            alarms.append(ModeAlarm(named, [*modes[shown]]))
    problems = []
    for number, mode in enumerate(modes):
        run = _problem_of_rows(dataset, dataset.modes[:, number])[test]
        measured = dataset.measured[test] & (run >= 0)
        problems += [
            ModeProblem([mode], bool(announced[run == n].any())) for n in np.unique(run[measured])
        ]
    figures = count_modes(modes.tolist(), alarms, problems)
    right = sum(figure.right for figure in figures)
    of_right = sum(1 for alarm in alarms if alarm.came)
    return [
        f"The probable mode was right in {right} of {of_right} right alarms of the test period.",
        *(
            f"{f.mode}: named by {f.alarms} alarms, rightly by {f.right} of the {f.of_right} whose "
            f"problem came; {f.missed} of {f.problems} problems missed."
            for f in figures
            if f.mode in model.estimators
        ),
    ]
