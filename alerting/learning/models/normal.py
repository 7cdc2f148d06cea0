"""Normal operation: a sample of training rows without a problem, and their distances.

Joint plausibility of a row is its distance to normal operation: the mean distance to the five
nearest normal rows, where the distance of two rows is the sum over variables of their difference in
median absolute deviations. Its quantile among the distances of the normal rows themselves says how
unusual the row is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from alerting.deferred import np, npt, pd
from alerting.learning.features.plan import FeaturePlan

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

Floats: TypeAlias = "npt.NDArray[np.float64]"
NEAREST = 5
MOST_ROWS = 2_000
MOST_VALUES = 100_000
DIGITS = 6  # significant ones that are stored


@dataclass(frozen=True, eq=False)
class NormalSample:
    """A sample of normal training rows. `columns`: of levels; `scale`: their deviations.

    `rows`: (rows x columns), in deviations from the median, without missing values; `centre`: the
    median. `distances`: of each sampled row to the others, increasing.
    """

    columns: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    rows: Floats
    distances: Floats

    def distance(self, values: Floats) -> Floats:
        """Return each row's mean distance to the five nearest normal rows; missing is median."""
        nearest, _ = self._tree.query(self._scaled(values), min(NEAREST, len(self.rows)), p=1)
        return np.asarray(nearest.mean(axis=1), np.float64)

    def unusual(self, distance: Floats) -> Floats:
        """Return the share of the sampled rows that lie nearer to the others than this."""
        return np.asarray(
            np.searchsorted(self.distances, distance, side="left") / max(len(self.distances), 1)
        )

    def limit(self, share: float) -> float:
        """Return the distance within which this share of the sampled rows lies."""
        return float(np.quantile(self.distances, share))

    @cached_property
    def _tree(self) -> cKDTree:
        return _tree_of(self.rows)

    def _scaled(self, values: Floats) -> Floats:
        scaled = (values - np.asarray(self.centre)) / np.asarray(self.scale)
        return np.where(np.isnan(scaled), 0.0, scaled)


def _tree_of(rows: Floats) -> cKDTree:
    from scipy.spatial import cKDTree  # noqa: PLC0415 - commands that score nothing load no library of models

    return cKDTree(rows)


def sample_normal(
    plan: FeaturePlan, rows: pd.DataFrame, label: npt.NDArray[np.int8], seed: int
) -> NormalSample | None:
    """Return at most 2,000 normal rows and 100,000 values, by the seed; None of too few."""
    columns = level_columns(plan)
    normal = np.flatnonzero(label == 0)
    most = min(MOST_ROWS, MOST_VALUES // max(len(columns), 1))
    if not columns or min(len(normal), most) <= NEAREST:
        return None
    if len(normal) > most:
        normal = np.sort(np.random.default_rng(seed).choice(normal, most, replace=False))
    values = rows[list(columns)].to_numpy(np.float64)[normal]
    values = np.where(np.isfinite(values), values, np.nan)
    known = [column[~np.isnan(column)] for column in values.T]
    centre = [_round(float(np.median(column))) if len(column) else 0.0 for column in known]
    scale = [
        _round(_deviation(column, middle)) for column, middle in zip(known, centre, strict=True)
    ]
    empty = NormalSample(
        columns, tuple(centre), tuple(scale), np.empty((0, len(columns))), np.empty(0)
    )
    scaled = np.vectorize(_round, otypes=[np.float64])(empty._scaled(values))
    nearest, _ = _tree_of(scaled).query(scaled, NEAREST + 1, p=1)  # the nearest is the row itself
    distances = np.array([_round(d) for d in np.sort(nearest[:, 1:].mean(axis=1))])
    return NormalSample(columns, empty.centre, empty.scale, scaled, distances)


def level_columns(plan: FeaturePlan) -> tuple[str, ...]:
    """Return the level column of each number: its last value, else its shortest mean."""
    found: dict[str, str] = {}
    for aggregation in ("last", "mean"):
        for column in plan.layout:
            if (
                column.kind == "variable"
                and column.aggregation == aggregation
                and column.name not in plan.levels
            ):
                found.setdefault(column.source, column.name)
    return tuple(found[number.name] for number in plan.numbers if number.name in found)


def take_levels(plan: FeaturePlan, rows: pd.DataFrame, used: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """Return the level columns of the used rows, without a copy of the others."""
    return rows[list(level_columns(plan))][used]


def _deviation(values: Floats, middle: float) -> float:
    """Return the median absolute deviation; where 0 the mean one, 1 if all are equal."""
    off = np.abs(values - middle)
    return (
        next((d for d in (float(np.median(off)), float(off.mean())) if d > 0), 1.0)
        if len(off)
        else 1.0
    )


def _round(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
