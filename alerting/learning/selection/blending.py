"""A small blend of the families' best models, chosen only where it wins on rows that no search has seen.

Greedy selection with replacement over out-of-fold scores (Caruana et al. 2004).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from alerting.definitions.model import TrainedDefinition
from alerting.learning.data.dataset import Dataset
from alerting.learning.features.encoding import Columns
from alerting.learning.metrics.metrics import Floats, row_metrics
from alerting.learning.models.estimator import BLEND, Blend, Estimator
from alerting.learning.search.candidates import Candidate, Fold, Trial, assemble, average_precision, is_better, usable_folds
from alerting.learning.search.chance import NOTHING_TRIED, ShiftedLabels
from alerting.learning.search.sample import Positions
from alerting.learning.selection.challenger import fit_rows
from alerting.learning.selection.promotion import DAY_MS, paired_differences

PICKS = 10  # so that weights are tenths
CONFIDENCE = 0.9  # share of the resampled validation periods in which the blend must be better


@dataclass(frozen=True)
class BlendTrials:
    """The blends tried over the folds: how many, their best figure on each shift of the labels, and the best one.

    `best`: None where none is better by more than the standard error than the best family alone.
    """

    tried: int
    chance: Floats
    best: Candidate | None


@dataclass(frozen=True)
class BlendChoice:
    """The members of a challenger. `estimator`: fitted on the training rows; None where the choice needed no fit."""

    candidate: Candidate
    estimator: Estimator | Blend | None = None


def choose_blend(dataset: Dataset, blend: Candidate | None, chosen: Candidate, definition: TrainedDefinition) -> BlendChoice:
    """Choose the blend, which has won over the folds, if it wins on the validation period too; otherwise `chosen`.

    Both are fitted on the training rows, and the blend must have the better average precision in nine of ten bootstrap samples of
    the validation period, drawn in blocks of time. The notes of the returned candidate state the result.
    """
    if blend is None:
        return BlendChoice(chosen)
    matrix = Columns.from_plan(dataset.plan).matrix(dataset.rows)
    fitted = cast(Blend, fit_rows(dataset, blend, definition, matrix, dataset.part == "train", dataset.label))
    alone = next(member for member in fitted.members if member.family == chosen.family)
    single, blended, share = _on_validation(dataset, matrix, alone, fitted, definition.learning.seed)
    if share is None:
        return BlendChoice(chosen, alone)
    wins = share >= CONFIDENCE
    note = (
        f"A blend ({_describe_members(blend)}) was {'taken' if wins else 'tried and not taken'}: on "
        "the validation period its average "
        f"precision is {blended:.3f}, that of {chosen.family} alone {single:.3f}; it is better in {share:.0%} of the samples."
    )
    choice = blend if wins else chosen
    return BlendChoice(replace(choice, notes=(*choice.notes, note)), fitted if wins else alone)


def try_blends(
    dataset: Dataset, candidates: Sequence[Candidate], chosen: Candidate, definition: TrainedDefinition
) -> BlendTrials:
    """Try blends over the folds: to `chosen`, add nine times the candidate that makes the mean of all best."""
    folds = usable_folds(dataset, definition.learning.folds)[0]
    shifted, chance = ShiftedLabels(dataset, folds, definition.learning.seed), NOTHING_TRIED
    if len(folds) < 2 or len(candidates) < 2:
        return BlendTrials(0, chance, None)
    picks, best = [chosen], _trial(dataset, folds, [chosen])
    alone, picked = best, list(picks)
    for _ in range(PICKS - 1):
        options = [_trial(dataset, folds, [*picks, c]) for c in candidates]
        figures = [shifted.evaluate([_mean([*picks, c], rows) for rows in shifted.rows]) for c in candidates]
        chance = np.max([chance, *figures], axis=0)
        most = max(range(len(options)), key=lambda i: options[i].ap)
        picks.append(candidates[most])
        if options[most].ap > best.ap:
            best, picked = options[most], list(picks)
    tried = len(candidates) * (PICKS - 1)
    if len({c.family for c in picked}) < 2 or not is_better(best, alone):
        return BlendTrials(tried, chance, None)
    scores = [_mean(picked, fold.test) for fold in folds]
    return BlendTrials(tried, chance, assemble(BLEND, dataset, folds, [best], best, scores, chance, 1, []))


def _trial(dataset: Dataset, folds: Sequence[Fold], picks: Sequence[Candidate]) -> Trial:
    aps = tuple(average_precision(dataset, fold, _mean(picks, fold.test)) for fold in folds)
    return Trial({"members": _members(picks)}, float(np.mean(aps)), aps)


def _mean(picks: Sequence[Candidate], rows: Positions) -> Floats:
    return np.asarray(np.mean([c.oof[rows] for c in picks], axis=0), np.float64)


def _members(picks: Sequence[Candidate]) -> list[dict[str, Any]]:
    counts = Counter(c.family for c in picks)
    first = {c.family: c for c in reversed(picks)}
    return [
        {"family": family, "weight": count / len(picks), "params": first[family].params}
        for family, count in sorted(counts.items())
    ]


def _on_validation(
    dataset: Dataset, matrix: Floats, alone: Estimator, blend: Blend, seed: int
) -> tuple[float, float, float | None]:
    """Return both average precisions on the validation period, and the share of its samples in which the blend is better.

    The share is None if no sample has both classes.
    """
    validation = dataset.measured_in("validation")
    label = dataset.label[validation]
    scores = [estimator.margin_of(matrix[validation]) for estimator in (alone, blend)]
    block_ms = max(DAY_MS, 2 * (dataset.gap_ms + dataset.horizon_ms))
    _, block = np.unique(dataset.at[validation] // block_ms, return_inverse=True)
    differences = paired_differences(label, scores[1], scores[0], block, seed)
    single, blended = (row_metrics(label, score)["ap"] or 0.0 for score in scores)
    return single, blended, float(np.mean(differences > 0)) if len(differences) else None


def _describe_members(blend: Candidate) -> str:
    return ", ".join(f"{member['weight']:.0%} {member['family']}" for member in blend.params["members"])
