"""The split by time into train, validation and test, purged between them."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt

from alerting.definitions.faults import TrainingRefused
from alerting.definitions.fields.learning import Dates
from alerting.definitions.model import TrainedDefinition
from alerting.definitions.wording.language import translatable
from alerting.learning.features.plan import FeaturePlan, describe_window
from alerting.readings.history import Millis, duration_millis, from_millis, to_millis

PARTS = ("train", "validation", "test")
_PERIODS = {
    "train": translatable("training"),
    "validation": translatable("validation"),
    "test": translatable("test"),
}
Parts = npt.NDArray[np.object_]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Borders:
    """The parts in ms: (start, train_end], (validation, validation_end], (test, end]."""

    start: int
    train_end: int
    validation: int
    validation_end: int
    test: int
    end: int


class Parted(Protocol):
    """Rows with instants (ms) and parts, and the purge that they need."""

    @property
    def at(self) -> Millis: ...

    @property
    def part(self) -> Parts: ...

    @property
    def purge_ms(self) -> int: ...


def split_borders(definition: TrainedDefinition, start: int, end: int) -> Borders:
    """Cut one common interval: the newest is test, before it validation, the rest train.

    Shares are of the interval; a length ends where the next part begins; dates are as given.
    """
    periods = definition.periods
    span = end - start
    validation = periods.validation
    test = periods.test
    if isinstance(validation, float) and isinstance(test, float) and validation + test >= 1:
        raise TrainingRefused(
            definition.name,
            translatable(
                "periods.validation {validation} and periods.test {test} leave nothing to train "
                "on; they must add up to less than 1, for example 0.2 and 0.2",
                validation=str(validation),
                test=str(test),
            ),
        )
    test_start = _start_of(test, end, span)
    validation_start = _start_of(validation, test_start, span)
    if isinstance(validation, float) and isinstance(test, float):
        validation_start = end - round(span * (validation + test))
    train = periods.train
    train_start = start if train is None else max(start, _start_of(train, validation_start, span))
    return Borders(
        train_start,
        _end_of(train, validation_start),
        validation_start,
        _end_of(validation, test_start),
        test_start,
        end,
    )


def _start_of(period: timedelta | Dates | float, end: int, span: int) -> int:
    if isinstance(period, Dates):
        return to_millis(period.start)
    return end - (
        duration_millis(period) if isinstance(period, timedelta) else round(span * period)
    )


def _end_of(period: timedelta | Dates | float | None, following: int) -> int:
    return (
        to_millis(period.end) if isinstance(period, Dates) and period.end is not None else following
    )


def purge_length(definition: TrainedDefinition, plan: FeaturePlan) -> int:
    """Return how far before a border (ms) rows are purged.

    The label of a row reaches gap + horizon + `for` ahead, and the rows after the border look the
    plan's reach back. The recency of events is exempt.
    """
    label = definition.gap + definition.horizon + definition.problem.hold
    return duration_millis(label) + plan.reach_ms


def assign_parts(at: Millis, borders: Borders, purge_ms: int) -> Parts:
    """Assign a part to each instant; the purge shortens the earlier one."""
    part = np.full(len(at), "purged", dtype=object)
    train_end = min(borders.train_end, borders.validation - purge_ms)
    validation_end = min(borders.validation_end, borders.test - purge_ms)
    ends = (train_end, validation_end, borders.end)
    starts = (borders.start, borders.validation, borders.test)
    for name, first, last in zip(PARTS, starts, ends, strict=True):
        part[(at > first) & (at <= last)] = name
    return part


def require_all_parts(
    definition: TrainedDefinition, part: Parts, borders: Borders, purge_ms: int
) -> None:
    """Raise UserError, with the numbers and what to change, if a part has no row."""
    spans = (
        borders.train_end - borders.start,
        borders.validation_end - borders.validation,
        borders.end - borders.test,
    )
    label = duration_millis(definition.gap + definition.horizon + definition.problem.hold)
    for name, span in zip(PARTS, spans, strict=True):
        if not (part == name).any():
            raise TrainingRefused(
                definition.name,
                translatable(
                    "the {period} period has no usable row. The readings from {start} to {end} "
                    "leave it {length}; of that the purge takes {purge} before a border (gap + "
                    "horizon + for: {label}, longest window: {window}), and the newest labels are "
                    "not known yet. Import a longer history, shorten features.windows or the "
                    "horizon, or change periods",
                    period=_PERIODS[name],
                    start=from_millis(borders.start + 1).isoformat(),
                    end=from_millis(borders.end).isoformat(),
                    length=describe_window(max(0, span) // 60_000 * 60_000),
                    purge=describe_window(purge_ms),
                    label=describe_window(label),
                    window=describe_window(purge_ms - label),
                ),
            )


def walk_forward_folds(dataset: Parted, n: int) -> list[tuple[Positions, Positions]]:
    """Return `n` folds inside train as positions (fitted on, scored on).

    The train period is cut into n + 1 equal intervals. Each but the first is scored after all
    before it, purged as at the borders of the parts. A fold may be empty on either side.
    """
    train = np.flatnonzero(dataset.part == "train")
    at = dataset.at[train]
    if not len(at):
        return []
    first = int(at.min()) - 1
    last = int(at.max())
    edges = [first + (last - first) * i // (n + 1) for i in range(n + 2)]
    return [
        (train[at <= begin - dataset.purge_ms], train[(at > begin) & (at <= end)])
        for begin, end in pairwise(edges[1:])
    ]
