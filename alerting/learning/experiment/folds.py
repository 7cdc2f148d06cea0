"""Folds: rows that a fit learns from, and rows that it has not seen, on which it is measured.

Four schemes cut them: walk-forward in time, by results that are few, by groups of which none is on
both sides, and by short intervals of one long history.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from alerting.readings.history import BoolArray, Millis, Positions

_INTERVALS = 40  # of a history whose folds take short intervals in turn


@dataclass(frozen=True)
class Fold:
    """One fold: it is fitted on `train` and scored on `test` (positions of rows). `number`: from 1
    on, the same for the same border whatever other folds are left out."""

    number: int
    train: Positions
    test: Positions


def cut_walk_forward(at: Millis, purge_ms: int, number: int) -> list[Fold]:
    """Return `number` folds of rows at these instants (ms).

    The time is cut into number + 1 equal intervals. Each interval except the first is scored by a
    fit on all earlier ones, without the rows within the purge before it. A fold may be empty on
    either side.
    """
    if not len(at):
        return []
    first = int(at.min()) - 1
    last = int(at.max())
    edges = [first + (last - first) * i // (number + 1) for i in range(number + 2)]
    return [
        Fold(
            place,
            np.flatnonzero(at <= begin - purge_ms),
            np.flatnonzero((at > begin) & (at <= end)),
        )
        for place, (begin, end) in enumerate(pairwise(edges[1:]), start=1)
    ]


def cut_by_results(at: Millis, has_result: BoolArray, purge_ms: int, number: int) -> list[Fold]:
    """Return folds of rows at these instants (ms) with equally many results to score. Each is
    fitted on all rows before and after it but those within the purge: results are too few for
    walk-forward folds. A fold without a result to learn from is left out."""
    instants = np.sort(at[has_result])
    starts = sorted({block[0] for block in np.array_split(instants, number) if len(block)})
    folds = []
    for place, (begin, end) in enumerate(pairwise([*starts, at.max(initial=0) + 1]), start=1):
        apart = (at < begin - purge_ms) | (at >= end + purge_ms)
        if (apart & has_result).any():
            scored = (at >= begin) & (at < end)
            folds.append(Fold(place, np.flatnonzero(apart), np.flatnonzero(scored)))
    return folds


def cut_by_group(group: npt.NDArray[Any], is_event: BoolArray, number: int) -> list[Fold]:
    """Return folds of rows of which each holds whole groups. Groups with an event (as their first
    row says) are spread evenly over the folds."""
    _, first, of_row = np.unique(group, return_index=True, return_inverse=True)
    fold = np.argsort(np.argsort(is_event[first], kind="stable"))[of_row] % number
    return [
        Fold(place + 1, np.flatnonzero(fold != place), np.flatnonzero(fold == place))
        for place in range(number)
    ]


def cut_by_interval(at: Millis, window_ms: int, number: int) -> Iterator[Fold]:
    """Yield folds that get short intervals of the time in turn, so that each is fitted on all
    regimes of the history. Rows within a window of a fold's unseen interval are not fitted on, so
    that both sides share no reading. `at`: increasing instants (ms)."""
    length = max(window_ms, (int(at[-1]) - int(at[0])) // _INTERVALS + 1)
    fold_of_row = ((at - at[0]) // length) % number
    for place in range(number):
        unseen = np.flatnonzero(fold_of_row == place)
        if not len(unseen):
            continue
        last = len(unseen) - 1
        after = at[unseen][np.clip(np.searchsorted(at[unseen], at), 0, last)]
        before = at[unseen][np.clip(np.searchsorted(at[unseen], at, side="right") - 1, 0, last)]
        fit = np.flatnonzero((np.abs(after - at) >= window_ms) & (np.abs(at - before) >= window_ms))
        if len(fit) < len(at) // 4:  # a history of few windows
            fit = np.flatnonzero(fold_of_row != place)
        yield Fold(place + 1, fit, unseen)


def folds_among(rows: Positions, folds: list[Fold]) -> list[Fold]:
    """Return folds that were cut of some rows as folds of all rows. `rows`: their positions."""
    return [Fold(fold.number, rows[fold.train], rows[fold.test]) for fold in folds]


def evenly(rows: Positions, count: int) -> Positions:
    """Return `count` of the rows, as evenly spaced as possible; all where there are no more."""
    if count >= len(rows):
        return rows
    return rows[(np.arange(count, dtype=np.int64) * len(rows) + len(rows) // 2) // count]


def merge(folds: Sequence[Fold], scores: Sequence[Any], rows: int) -> npt.NDArray[Any]:
    """Return the scores of each fold's rows as one array of all rows, NaN where no fold scored."""
    scored = [np.asarray(score, np.float64) for score in scores]
    merged = np.full((rows, *(scored[0].shape[1:] if scored else ())), np.nan)
    for fold, score in zip(folds, scored, strict=True):
        merged[fold.test] = score
    return merged
