"""Keeps the memory of a training under a limit: training rows are thinned evenly in time, and it says so, or it is refused.

Decided before any feature is computed, from what the rows will need. The figures are upper bounds of what was measured in
processes of their own: `benchmarks/training_scale.py` and `test_training_memory.py` hold them against the peak.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alerting.definitions.faults import UserError
from alerting.definitions.model import FAMILIES, ClassifierDefinition, Family
from alerting.detection.problems import BoolArray
from alerting.learning.data.quality import Finding
from alerting.learning.data.split import Parts
from alerting.learning.features.plan import FeaturePlan
from alerting.readings.history import Millis

FIXED_MIB = 520  # the libraries, and what does not grow with the rows: a model that is the mean of three among it
MOST_THINNING = 50  # fewer training rows than one in so many: the stride is too fine for this machine
THINNED = "memory"
_READINGS = 4  # the readings, as they are read, as they were known at as_of, and what is asked of them
_TABLES = 3  # the rows, and either the assets' parts of them or their file, twice
_BESIDE = 16  # values beside each row: label, asset, instant, part, score ...
_PAIRED = 30  # products and differences of pairs that a model may add to its columns
_MAKING_PAIRS = 3 * _PAIRED  # while these are made
_SCALED = 3  # of the encoded columns: expanded, scaled, and weighted for a sum of squares
_EXPANDED = 2  # of the encoded columns: expanded, and joined to products and differences or copied at half the width
_TREES = 60  # a forest's nodes by training row: about four times what was measured
_BESIDE_FITTING = 8  # label, weight, score and gradient of each training row


@dataclass(frozen=True)
class Size:
    """What a training works on: values of readings, rows, those of training among them, columns of the model, these as they
    are encoded for models that know neither missing values nor categories, and the families that are fitted."""

    readings: int
    rows: int
    training: int
    columns: int
    encoded: int
    families: tuple[Family, ...] = FAMILIES

    @property
    def mib(self) -> int:
        """The most memory that it needs, in MiB, with 8 bytes for each value."""
        building = _READINGS * self.readings + self.rows * (_TABLES * self.columns + _BESIDE)
        most = max(self._fitting(family) for family in self.families)
        fitting = self.rows * (2 * self.columns + _BESIDE) + self.training * (self.columns + most)
        return FIXED_MIB + round(8 * max(building, fitting) / 2**20)

    def _fitting(self, family: Family) -> float:
        """Values by training row that fitting this family needs beside the columns."""
        if family == "lightgbm":
            paired = self.columns + _PAIRED
            bins = paired / 8  # a byte each
            return max(_MAKING_PAIRS, paired + _PAIRED) + bins + _BESIDE_FITTING
        if family == "random_forest":
            return _EXPANDED * (self.encoded + _PAIRED) + _TREES + _BESIDE_FITTING
        return _SCALED * self.encoded + _BESIDE_FITTING


def encoded_columns(plan: FeaturePlan) -> int:
    """At most so many columns has a model that knows neither missing values (a flag each) nor categories (a column a level)."""
    numbers = len(plan.columns) - len(plan.levels)
    return 2 * numbers + sum(len(levels) for levels in plan.levels.values())


def within_memory(
    definition: ClassifierDefinition,
    plan: FeaturePlan,
    readings: int,
    at: Millis,
    part: Parts,
    label: npt.NDArray[np.int8],
    memory_mib: int | None,
) -> tuple[BoolArray, Finding | None]:
    """Which rows to keep, and what to say of it: all, or of training only every k-th instant that this much memory allows.

    Both classes are thinned alike, on the same instants of all assets; validation and test stay whole, because episodes are
    judged on them. Raises UserError, with the figures, when even one in fifty training rows is too many, or leaves one class.
    """
    train = part == "train"
    everything = np.ones(len(at), np.bool_)

    def size(rows: int, training: int) -> Size:
        return Size(readings, rows, training, len(plan.columns), encoded_columns(plan), tuple(definition.learning.candidates))

    needed = size(len(at), int(train.sum())).mib
    if memory_mib is None or needed <= memory_mib:
        return everything, None
    turn = at // plan.stride_ms
    for every in range(2, MOST_THINNING + 1):
        kept = ~train | (turn % every == 0)
        left = label[train & kept]
        if not 0 < left.sum() < len(left):
            break
        if size(int(kept.sum()), len(left)).mib <= memory_mib:
            words = (
                f"Only every {every}. instant of the training period was kept ({len(left)} of {int(train.sum())} rows): all of "
                f"them would need about {needed} MiB of memory, and {memory_mib} are allowed."
            )
            return kept, Finding("memory", None, float(every), "left out", words)
    rest = int((~train).sum())
    raise UserError(
        f"{definition.name}: {len(at)} rows of {len(plan.columns)} columns, from {readings} values of readings, need about "
        f"{needed} MiB of memory, and {memory_mib} are allowed; even a small part of "
        f"the training rows beside the {rest} others is too much. Lengthen features.stride, use fewer variables or windows, "
        "or allow more with ALERTING_TRAINING_MEMORY_MIB"
    )
