"""Candidates: the result of a family's search on walk-forward folds."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.definitions.faults import TrainingRefused, UserError
from alerting.definitions.wording.language import joined, template, translatable
from alerting.detection.problems import BoolArray
from alerting.learning.data.dataset import Dataset
from alerting.learning.data.split import walk_forward_folds
from alerting.learning.metrics.bootstrap import bootstrap_rows, time_blocks
from alerting.learning.metrics.confidence import enclosing_interval, percentile_interval
from alerting.learning.metrics.metrics import Floats, row_metrics
from alerting.learning.models.trained import Estimator
from alerting.learning.search.sample import Positions, search_sample

_LEAST_SHARE = 1e-15  # a risk that differs from 0, and from 1, in a float
ARRAYS = ("oof", "chance", "loss")  # of a candidate, stored as a file each


class _Use(NamedTuple):
    """Texts on a fold that cannot be used: it has no rows, or rows of one class."""

    no_row: str
    positive: str
    negative: str


_FITTED = _Use(
    translatable("there is no row to be fitted on"),
    template("all {rows} rows it would be fitted on are positive"),
    template("all {rows} rows it would be fitted on are negative"),
)
_SCORED = _Use(
    translatable("there is no row to be scored on"),
    template("all {rows} rows it would be scored on are positive"),
    template("all {rows} rows it would be scored on are negative"),
)


@dataclass(frozen=True)
class Fold:
    """One walk-forward fold: it is fitted on `train` and scored on `test` (positions of rows)."""

    number: int
    train: Positions
    test: Positions


@dataclass(frozen=True)
class Trial:
    """One parameter set, and its mean average precision over the completed folds.

    `state`: complete; or pruned (stopped after some folds, worse than the median of the trials
    before it).
    """

    params: dict[str, Any]
    ap: float
    folds: tuple[float, ...]
    state: str = "complete"


@dataclass(frozen=True)
class Candidate:
    """The best of one family's search, with everything needed to fit it again.

    `oof`: out-of-fold probability of every row of the dataset (NaN where no fold scored it).
    `chance`: the best figure of all its trials on each shift of the labels
    (`ShiftedLabels.evaluate`). `metrics`: means over folds of ap, roc_auc and prevalence, and the
    limits of the 95 % confidence intervals of the first two (`ap_low`, `ap_high` ...) where they
    can be known. `tried`: all trials done, in order; `cut_short`: the time budget ended before all
    `trials_asked` were done. `warm_start`: parameters that were tried second, {} if none. A search
    with the same number of trials, the same `warm_start` and enough time finds the same candidate.
    `loss`: out-of-fold CRPS of every row of the dataset (NaN where no fold scored it), of kinds
    that predict values; else empty. `notes`: sentences on folds that could not be used, and on a
    search that was cut short.
    """

    family: str
    params: dict[str, Any]
    oof: Floats
    chance: Floats
    metrics: dict[str, float]
    tried: tuple[Trial, ...]
    trials_asked: int
    cut_short: bool
    notes: tuple[str, ...] = field(default=())
    warm_start: dict[str, Any] = field(default_factory=dict)
    loss: Floats = field(default_factory=lambda: np.empty(0))

    @property
    def ap(self) -> float:
        """Return mean out-of-fold average precision; NaN where nothing could be warned of."""
        return self.metrics.get("ap", float("nan"))

    @property
    def trials(self) -> int:
        """Return the number of parameter sets tried."""
        return len(self.tried)


def usable_folds(dataset: Dataset, folds: int) -> tuple[list[Fold], list[str]]:
    """Return the usable walk-forward folds, and a sentence on every other one.

    A usable fold has both classes on both sides, among all rows and among those of the search's
    sample. Raises UserError if none is left, because no candidate can be chosen honestly then.
    """
    usable = []
    notes = list[str]()
    sample = search_sample(dataset)
    by_word = dataset.label != dataset.label_by_data  # metrics rest on data, not on feedback
    for number, (train, later) in enumerate(walk_forward_folds(dataset, folds), start=1):
        test = later[~by_word[later]]
        fault = _fault(dataset.label[sample.select_rows(train)], _FITTED) or _fault(
            dataset.label[sample.select_rows(test)], _SCORED
        )
        if fault:
            notes.append(
                translatable(
                    "fold {number} of {folds} was left out: {fault}",
                    number=number,
                    folds=folds,
                    fault=fault,
                )
            )
        else:
            usable.append(Fold(number, np.asarray(train, np.int64), np.asarray(test, np.int64)))
    if not usable:
        raise TrainingRefused(
            dataset.definition,
            translatable(
                "no walk-forward fold has rows with and without a problem: {notes}; use a longer "
                "history, fewer learning.folds, or a problem that occurs more often",
                notes=joined("; ", *notes) if notes else translatable("no folds"),
            ),
        )
    return usable, notes


def average_precision(dataset: Dataset, fold: Fold, score: Floats) -> float:
    """Return the average precision of scores of a fold's test rows."""
    return float(row_metrics(dataset.label[fold.test], score)["ap"] or 0.0)


def assemble(
    family: str,
    dataset: Dataset,
    folds: Sequence[Fold],
    trials: Sequence[Trial],
    best: Trial,
    scores: Sequence[Floats],
    chance: Floats,
    asked: int,
    notes: Sequence[str],
    warm_start: dict[str, Any] | None = None,
) -> Candidate:
    """Assemble the candidate of one search; `scores` are those of its best trial, by fold."""
    oof = np.full(len(dataset.label), np.nan)
    for fold, score in zip(folds, scores, strict=True):
        oof[fold.test] = score
    return Candidate(
        family=family,
        params=best.params,
        oof=oof,
        chance=chance,
        metrics=_average_folds(dataset, folds, scores),
        tried=tuple(trials),
        trials_asked=asked,
        cut_short=len(trials) < asked,
        notes=tuple(notes),
        warm_start=warm_start or {},
    )


def rows_out_of_fold(
    dataset: Dataset, candidate: Candidate, measured: BoolArray
) -> BoolArray | None:
    """Select the rows of the training period that the folds of a candidate scored, where the
    `measured` ones are of one class; None where these have both, or the others have not."""
    if not _is_one_class(dataset.label[measured]):
        return None
    rows = np.asarray(~np.isnan(candidate.oof) & (dataset.part == "train"))
    return None if _is_one_class(dataset.label[rows]) else rows


def margin_out_of_fold(candidate: Candidate, estimator: Estimator) -> Floats:
    """Return the margin of each row out of fold, as the estimator of all rows has it."""
    if estimator.model.margin_is_probability:
        return candidate.oof
    inside = np.clip(candidate.oof, _LEAST_SHARE, 1 - _LEAST_SHARE)
    return np.asarray(np.log(inside) - np.log1p(-inside), np.float64)


def _average_folds(
    dataset: Dataset, folds: Sequence[Fold], scores: Sequence[Floats]
) -> dict[str, float]:
    """Return means over the folds, with 95 % intervals where every fold has draws; nothing without
    folds."""
    if not folds:
        return {}
    by_fold = [row_metrics(dataset.label[f.test], s) for f, s in zip(folds, scores, strict=True)]
    metrics = {
        key: float(np.mean([m[key] for m in by_fold])) for key in ("ap", "roc_auc", "prevalence")
    }
    samples = [draw_fold(dataset, fold, score) for fold, score in zip(folds, scores, strict=True)]
    for name in ("ap", "roc_auc"):
        bounds = percentile_interval(np.mean([d[name] for d in samples], axis=0))
        if bounds is not None:
            low, high = enclosing_interval(bounds, (metrics[name], metrics[name]))
            metrics |= {f"{name}_low": low, f"{name}_high": high}
    return metrics


def draw_fold(dataset: Dataset, fold: Fold, score: Floats) -> dict[str, Floats]:
    """Return a fold's metrics in each draw of its time blocks; the same for any score."""
    block = time_blocks(
        dataset.at[fold.test], dataset.asset[fold.test], dataset.gap_ms, dataset.horizon_ms
    )
    return bootstrap_rows(dataset.label[fold.test], score, block, seed=fold.number)


def _is_one_class(label: npt.NDArray[np.int8]) -> bool:
    return int(label.sum()) in (0, len(label))


def _fault(label: npt.NDArray[np.int8], use: _Use) -> str | None:
    if not len(label):
        return use.no_row
    if _is_one_class(label):
        return translatable(use.positive if label[0] else use.negative, rows=len(label))
    return None


def candidate_files(candidate: Candidate) -> dict[str, bytes]:
    """Return a candidate as files: JSON, and its arrays in numpy's format."""
    document = {key: value for key, value in asdict(candidate).items() if key not in ARRAYS}
    files = {"candidate.json": json.dumps(document, indent=1, sort_keys=True).encode()}
    for name in ARRAYS:
        data = io.BytesIO()
        np.save(data, getattr(candidate, name), allow_pickle=False)
        files[f"{name}.npy"] = data.getvalue()
    return files


def candidate_from_files(files: Mapping[str, bytes]) -> Candidate:
    """Read the candidate that `candidate_files` wrote. Raises UserError if files are damaged."""
    try:
        document = json.loads(files["candidate.json"])
        document["tried"] = tuple(
            Trial(**{**t, "folds": tuple(t["folds"])}) for t in document["tried"]
        )
        document["notes"] = tuple(document["notes"])
        arrays = {name: files[f"{name}.npy"] for name in ARRAYS}
        return Candidate(
            **document,
            **{
                name: np.load(io.BytesIO(data), allow_pickle=False) for name, data in arrays.items()
            },
        )
    except (KeyError, TypeError, ValueError, RecursionError, SyntaxError) as fault:
        raise UserError(
            f"the files of a candidate are damaged: {fault}; run this candidate of the training "
            "again"
        ) from fault
