"""Candidates: the result of a family's search on walk-forward folds; and the training rows of a
search: all, or a sample of a large table.

All rows of the rarer class stay; the other class is thinned evenly in time, and each row that stays
has the weight of the rows that it represents, so that prevalence and probabilities remain the same.
Only trials are fitted and compared on the sample: a candidate's metrics and out-of-fold scores are
of all rows, and the chosen candidate is fitted on all rows.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.definitions.faults import TrainingRefused, UserError, name_fault
from alerting.definitions.wording.language import joined, template, translatable
from alerting.learning.data.dataset import Dataset
from alerting.learning.experiment.experiment import Found
from alerting.learning.experiment.folds import Fold, cut_walk_forward, evenly, folds_among, merge
from alerting.learning.experiment.trials import Trial, describe_failed
from alerting.learning.features.plan import Columns
from alerting.learning.models.families.contract import STRONGEST
from alerting.learning.models.trained import Estimator
from alerting.learning.score_metrics import (
    bootstrap_rows,
    enclosing_interval,
    percentile_interval,
    row_metrics,
)
from alerting.readings.history import BoolArray, Floats, Positions

_LEAST_SHARE = 1e-15  # a risk that differs from 0, and from 1, in a float
ARRAYS = ("oof", "chance", "loss")  # of a candidate, stored as a file each


class _Use(NamedTuple):
    """Texts about a fold that cannot be used, because it has no rows, or rows of one class."""

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
class Candidate:
    """The best of one family's search, with everything needed to fit it again.

    `oof`: out-of-fold probability of every row of the dataset (NaN where no fold scored it).
    `chance`: the best figure of all its trials on each shift of the labels
    (`ShiftedLabels.evaluate`). `metrics`: means over folds of ap, roc_auc and prevalence, and the
    limits of the 95 % confidence intervals of the first two (`ap_low`, `ap_high` ...) where they
    can be known. `tried`: all trials, in order, failed ones last; `cut_short`:
    whether the time budget ended before all `trials_asked` were done. `warm_start`: parameters of
    the second trial, {} if none were given. A search with the same number of trials, the same
    `warm_start` and enough time finds the same candidate. `loss`: out-of-fold CRPS of every row of
    the dataset (NaN where no fold scored it), of kinds that predict values; else empty. `notes`:
    sentences on folds that could not be used, and on a search that was cut short; `statistics`:
    figures that only statisticians read.
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
    statistics: tuple[str, ...] = ()
    warm_start: dict[str, Any] = field(default_factory=dict)
    loss: Floats = field(default_factory=lambda: np.empty(0))

    @property
    def ap(self) -> float:
        """Return the mean out-of-fold average precision; NaN if there is nothing to warn of."""
        return self.metrics.get("ap", float("nan"))

    @property
    def failure(self) -> str:
        """Return how many trials failed, and why; empty without one."""
        return describe_failed(self.tried)

    @property
    def trials(self) -> int:
        """Return the number of parameter sets tried."""
        return len(self.tried)


class FitFailed(UserError):
    """The final fit of a `name`, a family or an asset, raised an exception."""

    def __init__(self, name: str, fault: Exception) -> None:
        self.name = name
        super().__init__(translatable("its fit failed: {fault}", fault=name_fault(fault)))


@contextmanager
def final_fit(name: str) -> Iterator[None]:
    """Raise FitFailed for an exception within; a refusal stays one."""
    try:
        yield
    except UserError:
        raise
    except Exception as fault:
        raise FitFailed(name, fault) from fault


def walk_forward_folds(dataset: Dataset, folds: int) -> list[Fold]:
    """Return walk-forward folds inside the training period, purged as at the borders of the
    parts."""
    train = np.flatnonzero(dataset.part == "train")
    return folds_among(train, cut_walk_forward(dataset.at[train], dataset.purge_ms, folds))


def usable_folds(dataset: Dataset, folds: int) -> tuple[list[Fold], list[str]]:
    """Return the usable walk-forward folds, and a sentence on every other one.

    A usable fold has both classes on both sides, among all rows and among those of the search's
    sample. Raises UserError if none is left, because no candidate can be chosen honestly then.
    """
    usable = []
    notes = list[str]()
    sample = search_sample(dataset)
    by_word = dataset.label != dataset.label_by_data  # metrics rest on data, not on feedback
    for cut in walk_forward_folds(dataset, folds):
        fold = replace(cut, test=cut.test[~by_word[cut.test]])
        fault = _fault(dataset.label[sample.select_rows(fold.train)], _FITTED) or _fault(
            dataset.label[sample.select_rows(fold.test)], _SCORED
        )
        if fault:
            notes.append(
                translatable(
                    "fold {number} of {folds} was left out: {fault}",
                    number=fold.number,
                    folds=folds,
                    fault=fault,
                )
            )
        else:
            usable.append(fold)
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
    folds: list[Fold],
    result: Found,
    trials_asked: int,
    notes: Sequence[str],
    warm_start: dict[str, Any],
) -> Candidate:
    """Assemble the candidate of one search. `folds`: those of the scores of its best trial."""
    ended = result.end.describe(family, trials_asked) if result.end else []
    return Candidate(
        family=family,
        params=(result.best or result.tried[0]).params,
        oof=merge(folds, result.scores, len(dataset.label)),
        chance=result.chance,
        metrics=_average_folds(dataset, folds, result.scores),
        tried=tuple(result.tried),
        trials_asked=trials_asked,
        cut_short=len(result.tried) < trials_asked,
        notes=(*notes, *ended),
        warm_start=warm_start,
    )


def rows_out_of_fold(
    dataset: Dataset, candidate: Candidate, measured: BoolArray
) -> BoolArray | None:
    """Select the rows of the training period that the folds of a candidate scored; None if they are
    not needed because the `measured` rows have both classes, or if the scored rows lack a class."""
    if not is_one_class(dataset.label[measured]):
        return None
    rows = np.asarray(~np.isnan(candidate.oof) & (dataset.part == "train"))
    return None if is_one_class(dataset.label[rows]) else rows


def margin_out_of_fold(candidate: Candidate, estimator: Estimator) -> Floats:
    """Return the out-of-fold margin of each row, in the form that the estimator returns."""
    if estimator.model.margin_is_probability:
        return candidate.oof
    inside = np.clip(candidate.oof, _LEAST_SHARE, 1 - _LEAST_SHARE)
    return np.asarray(np.log(inside) - np.log1p(-inside), np.float64)


def _average_folds(
    dataset: Dataset, folds: Sequence[Fold], scores: Sequence[Floats]
) -> dict[str, float]:
    """Return the mean metrics over the folds, with 95 % intervals if every fold has draws; empty
    without folds."""
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
    return bootstrap_rows(
        dataset.label[fold.test], score, dataset.time_blocks(fold.test), seed=fold.number
    )


def is_one_class(label: npt.NDArray[np.int8]) -> bool:
    """Return whether all rows, or no rows, have a problem ahead; True without rows."""
    return int(label.sum()) in (0, len(label))


def _fault(label: npt.NDArray[np.int8], use: _Use) -> str | None:
    if not len(label):
        return use.no_row
    if is_one_class(label):
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
        for name in ("notes", "statistics"):
            document[name] = tuple(document.get(name, ()))
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


Labels = npt.NDArray[np.int8]
MOST_SEARCHED = 150_000  # rows, of a table with at most MOST_CELLS
MOST_CELLS = 60_000_000  # rows times columns; a wider table is searched on fewer rows
LEAST_SEARCHED = 20_000  # however many columns there are


@dataclass(frozen=True)
class ColumnLimit:
    """The columns of one feature plan, with the limit that a fit uses no more columns than it has
    rows."""

    columns: Columns

    def choose(self, params: Mapping[str, Any], rows: int, rank: Callable[[], Floats]) -> Positions:
        """Return the positions of the columns for a fit on a number of rows, in increasing order.

        These are all columns, unless there are more than rows, or more than `params` asks for
        (STRONGEST): then the best ranking columns, and the column that `params` names (`column`).
        `rank`: returns the result of `rank_all`; called only if columns are left out.
        """
        every = np.arange(len(self.columns.names))
        most = min(rows, params.get(STRONGEST) or rows)
        if len(every) <= most:
            return every
        strength = rank().copy()
        if params.get("column") is not None:
            strength[self.columns.names.index(params["column"])] = np.inf
        return np.sort(np.argsort(-strength, kind="stable")[:most])

    def rank_all(self, matrix: Floats, rows: Positions, label: Labels) -> Floats:
        """Return the `ranking_strength` of every column on these rows of the matrix."""
        every = np.arange(len(self.columns.names))
        return ranking_strength(matrix, rows, every, label[rows], self.columns.categorical)

    def take(self, chosen: Positions) -> Columns:
        """Return the chosen columns alone."""
        names = tuple(self.columns.names[i] for i in chosen)
        return Columns(
            names,
            {name: self.columns.levels[name] for name in names if name in self.columns.levels},
        )

    def widen(self, estimator: Estimator, chosen: Positions) -> Estimator:
        """Return an estimator that was fitted on chosen columns in a form that reads all
        columns."""
        if len(chosen) == len(self.columns.names):
            return estimator
        return replace(
            estimator,
            columns=self.columns,
            encoding=replace(estimator.encoding, columns=tuple(chosen.tolist())),
        )


def take_part(matrix: Floats, rows: Positions, columns: Positions) -> Floats:
    """Return some rows and columns of a matrix, in one copy."""
    return matrix[rows] if len(columns) == matrix.shape[1] else matrix[np.ix_(rows, columns)]


def ranking_strength(
    matrix: Floats, rows: Positions, columns: Positions, label: Labels, categorical: Sequence[int]
) -> Floats:
    """Return how far the ranking of rows by each column is from chance: |Mann-Whitney's U| in
    standard deviations.

    `label`: labels of the rows. Missing values are left out; for a category the level counts that
    separates best.
    """
    texts = set(categorical)
    positive = label == 1
    strengths = [
        _strength(matrix[rows, i], positive, _category_difference if i in texts else _difference)
        for i in columns
    ]
    return np.array(strengths, np.float64)


def _strength(
    values: Floats, positive: BoolArray, difference: Callable[[Floats, Floats], float]
) -> float:
    is_known = ~np.isnan(values)
    ones = values[is_known & positive]
    zeros = values[is_known & ~positive]
    if not len(ones) or not len(zeros):
        return 0.0
    return abs(difference(ones, zeros)) * float(
        np.sqrt(12 * len(ones) * len(zeros) / (len(ones) + len(zeros) + 1))
    )


def _difference(ones: Floats, zeros: Floats) -> float:
    """Return by how much the share of pairs with the larger value in the positive row exceeds a
    half; ties count half."""
    zeros = np.sort(zeros)
    below = (
        np.searchsorted(zeros, ones, side="left").sum()
        + np.searchsorted(zeros, ones, side="right").sum()
    )
    return float(below / (2 * len(ones) * len(zeros)) - 0.5)


def _category_difference(ones: Floats, zeros: Floats) -> float:
    """Return the same difference for the level (code) of a category that separates best."""
    size = int(max(ones.max(), zeros.max())) + 1
    shares = [
        np.bincount(codes.astype(np.int64), minlength=size) / len(codes) for codes in (ones, zeros)
    ]
    return float(np.abs(shares[0] - shares[1]).max() / 2)


@dataclass(frozen=True)
class SearchSample:
    """Rows of a search: for each row of the dataset, whether the search uses it, and its weight.

    `notes`: a sentence where rows were excluded, none otherwise.
    """

    selected: BoolArray
    weight: Floats
    notes: tuple[str, ...]

    @property
    def thinned(self) -> bool:
        """Return whether any row was excluded."""
        return bool(self.notes)

    def select_rows(self, rows: Positions) -> Positions:
        """Return the rows (positions) that belong to the sample."""
        return rows[self.selected[rows]]

    def weights(self, rows: Positions) -> Floats | None:
        """Return the weights of some rows of the sample (positions); None if all are 1."""
        weight = self.weight[rows]
        return None if (weight == 1.0).all() else weight


def search_sample(dataset: Dataset, most: int | None = None) -> SearchSample:
    """Return a sample of at most `most` rows (default: fewer with many columns)."""
    if most is None:
        most = min(MOST_SEARCHED, max(LEAST_SEARCHED, MOST_CELLS // len(dataset.plan.columns)))
    train = np.flatnonzero(dataset.part == "train")
    selected = np.ones(len(dataset.label), np.bool_)
    weight = dataset.weight.copy()
    if len(train) <= most:
        return SearchSample(selected, weight, ())
    with_problem = train[dataset.label[train] == 1]
    without = train[dataset.label[train] == 0]
    first = min(len(with_problem), max(most // 2, most - len(without)))
    selected[train] = False
    for rows, count in ((with_problem, first), (without, most - first)):
        selected[evenly(rows, count)] = True
        weight[rows] *= len(rows) / max(count, 1)
    note = (
        f"searched on {most:,} of {len(train):,} training rows ({_share(first, len(with_problem))} "
        f"with a problem ahead, {_share(most - first, len(without))} without, evenly in time and "
        "weighted); figures and the final fit are of all rows"
    )
    return SearchSample(selected, weight, (note,))


def _share(count: int, total: int) -> str:
    return f"all {total:,}" if count == total else f"{count:,} of {total:,}"
