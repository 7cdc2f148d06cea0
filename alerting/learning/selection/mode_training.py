"""Training of the modes of a problem: which of them it is, given that the problem comes.

A mode is named only if it is told from chance on rows that its fit had not seen: those of the
walk-forward folds and of the validation period. The metrics of the test period are of the twin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from alerting.deferred import pd
from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.faults import name_fault
from alerting.definitions.fields.learning import OF_MODES
from alerting.definitions.wording.language import count_in_english
from alerting.episodes.mode_shares import ModeAlarm, count_modes, probable_mode
from alerting.learning.data.dataset import Dataset
from alerting.learning.experiment.chance import placed_share
from alerting.learning.experiment.folds import Positions
from alerting.learning.models.families.contract import get_family
from alerting.learning.models.mode_model import ModeModel, conditions_of, describe_row
from alerting.learning.models.trained import Estimator, TrainedModel
from alerting.learning.selection.candidates import usable_folds
from alerting.learning.selection.challenger import fit_rows, observe_part
from alerting.learning.selection.operating_point import predicted_episodes_at
from alerting.readings.history import BoolArray, Floats, to_millis

LEAST_PROBLEMS = 3  # of a mode, on rows that its fit had not seen
MOST_BY_CHANCE = 0.05  # probability, of all modes together


class _Recipe(NamedTuple):
    family: str
    params: Mapping[str, Any]


def train_modes(
    dataset: Dataset, definition: TrainedDefinition, twin: TrainedModel
) -> tuple[tuple[ModeModel, ...], list[str]]:
    """Fit the modes on the training rows and test them against chance; return them, none if chance
    explains all, and sentences on how the twin's alarms of the test period would have named them.
    """
    refused = list[str]()
    fitted = dict[str, Estimator]()
    train: BoolArray = np.asarray(dataset.part == "train")
    for name, shown in zip(definition.mode_problems, dataset.modes.T, strict=True):
        try:
            if not (why := _fault(dataset, definition, shown)):
                fitted[name] = _fit(dataset, definition, shown, train)
        except Exception as fault:  # a mode ends no training
            why = f"its fit failed ({name_fault(fault)})"
        if why:
            refused.append(f"{name} is left to the others, never named: {why}.")
    modes = _modes_of(dataset, definition, fitted, train) if fitted else ()
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
    rows = dataset.fit & (dataset.at <= until)
    fitted = {
        name: _fit(dataset, definition, shown, rows)
        for name, shown in zip(definition.mode_problems, dataset.modes.T, strict=True)
        if name in named and shown[rows].any()
    }
    return _modes_of(dataset, definition, fitted, rows) if named else ()


def _modes_of(
    dataset: Dataset,
    definition: TrainedDefinition,
    fitted: Mapping[str, Estimator],
    rows: BoolArray,
) -> tuple[ModeModel, ...]:
    modes = []
    conditions = conditions_of(definition.mode_problems)
    for (name, condition), shown in zip(conditions.items(), dataset.modes.T, strict=True):
        rate = float(np.average(shown[rows], weights=_weights(dataset, shown)[rows]))
        modes.append(ModeModel(name, condition, rate or 0.5 / len(rows), fitted.get(name)))
    return tuple(modes)


def _fit(
    dataset: Dataset, definition: TrainedDefinition, shown: BoolArray, rows: BoolArray
) -> Estimator:
    """Fit one mode on the rows whose modes are known, with pairs of columns: causes multiply."""
    recipe = _Recipe(OF_MODES, get_family(OF_MODES).proven_params()[1])
    weighted = replace(dataset, weight=_weights(dataset, shown))
    used = rows & (dataset.modes.any(axis=1) | (dataset.label == 0))
    return fit_rows(weighted, recipe, definition, used, shown.astype(np.int8))


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


def _fault(dataset: Dataset, definition: TrainedDefinition, shown: BoolArray) -> str:
    """Return why a mode cannot be told from chance; empty if it can."""
    score = _score_unseen(dataset, definition, shown)
    rows = dataset.measured & ~np.isnan(score)
    problems = len(np.unique(_number_problems(dataset, shown)[rows & shown]))
    if problems < LEAST_PROBLEMS:
        return count_in_english(
            "only {number} problem of it came on rows that its fit had not seen (3 needed)",
            "only {number} problems of it came on rows that its fit had not seen (3 needed)",
            problems,
        )
    alone = replace(dataset, label=shown.astype(np.int8))
    most = MOST_BY_CHANCE / dataset.modes.shape[1]
    alone_share = placed_share(alone, np.flatnonzero(rows), score, definition.learning.seed)
    for fault, share in (
        ("nothing announces it beyond chance", alone_share),
        (
            "it cannot be told from the other modes",
            _share_among_problems(dataset, shown, score, rows),
        ),
    ):
        if share > most:
            return f"{fault} ({problems} problems, p = {share:.2g})"
    return ""


def _score_unseen(dataset: Dataset, definition: TrainedDefinition, shown: BoolArray) -> Floats:
    """Return the probability of a mode for the rows of folds and validation, by fits that had not
    seen them; NaN elsewhere."""
    score = np.full(len(shown), np.nan)
    train, validation = (np.flatnonzero(dataset.part == part) for part in ("train", "validation"))
    folds = usable_folds(dataset, definition.learning.folds)[0]
    for seen, unseen in [*((fold.train, fold.test) for fold in folds), (train, validation)]:
        if shown[seen].any():
            rows = np.isin(np.arange(len(shown)), seen)
            estimator = _fit(dataset, definition, shown, rows)
            score[unseen] = estimator.probability_of(dataset.matrix[unseen])
    return score


def _share_among_problems(
    dataset: Dataset, shown: BoolArray, score: Floats, rows: BoolArray
) -> float:
    """Return the probability by chance that the problems of a mode score so high beside those of
    the other modes (Mann and Whitney 1947); each problem counts once."""
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - only a training measures

    has_mode = np.asarray(dataset.modes.any(axis=1), np.bool_)
    columns = {"shown": shown, "score": score, "problem": _number_problems(dataset, has_mode)}
    problems = pd.DataFrame(columns)[rows & has_mode].groupby("problem").agg("max")
    parts = [problems["score"][problems["shown"] == is_shown] for is_shown in (True, False)]
    return float(mannwhitneyu(*parts, alternative="greater").pvalue) if len(parts[1]) else 1.0


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
        f"The probable mode was right in {sum(m.right for m in metrics)} of "
        f"{sum(bool(alarm.came) for alarm in alarms)} right alarms of the test period.",
        *(
            f"{m.mode}: named by {m.alarms} alarms, rightly by {m.right} of the {m.of_right} whose "
            f"problem came; {m.missed} of {m.problems} problems missed."
            for m, mode in zip(metrics, modes, strict=True)
            if mode.estimator is not None
        ),
    ]
