"""Drift of inputs: how far the values of a period are from those of the model's training.

Population stability index (PSI) over ten bins between fixed quantiles of the reference (Siddiqi
2006), and the Wasserstein distance in standard deviations of the reference, as Evidently computes
it. Categories are their own bins. A drift is called one only where the index or the distance is
larger than chance makes it, given how slowly the variable changes (`chance`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.wording.language import Styled, translatable
from alerting.learning.features.moments import Floats
from alerting.reporting.definition.chance import (
    measure_correlation,
    psi,
    psi_by_chance,
    wasserstein_by_chance,
)

BINS = 10
CLEAR = 0.25  # of the PSI (Siddiqi 2006): from here on the distribution is another one
SLIGHT = 0.1  # from here on it has moved
LEAST_VALUES = 100
OTHER = translatable("other")
Bins = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Drift:
    """Drift of one variable. `labels`: of bins; `reference`, `current`: their shares.

    `missing_before`, `missing`: share of samples without a value. `independent`: number of
    independent values that those of the period are worth; `psi_by_chance`, `wasserstein_by_chance`:
    what so many exceed once in a hundred times by chance.
    """

    variable: str
    psi: float
    wasserstein: float | None
    labels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]
    missing_before: float
    missing: float
    reference_values: int
    values: int
    independent: float
    psi_by_chance: float
    wasserstein_by_chance: float | None

    @property
    def is_beyond_chance(self) -> bool:
        """Return whether the difference is larger than the slowness of the variable explains."""
        distance = self.wasserstein
        usual = self.wasserstein_by_chance
        return self.psi > self.psi_by_chance or (
            distance is not None and usual is not None and distance > usual
        )

    @property
    def is_clear(self) -> bool:
        """Return whether the distribution is clearly another one."""
        return self.psi >= CLEAR and self.is_beyond_chance

    @property
    def is_slight(self) -> bool:
        """Return whether the distribution has moved, but not clearly."""
        return SLIGHT <= self.psi < CLEAR and self.is_beyond_chance

    @property
    def is_slow(self) -> bool:
        """Return whether the difference is no larger than a slow variable explains."""
        return self.psi >= CLEAR and not self.is_beyond_chance


def drift_of_inputs(
    reference: Mapping[str, pd.DataFrame], current: Mapping[str, pd.DataFrame]
) -> tuple[Drift, ...]:
    """Return the drift of each variable with enough values on both sides, the largest first.

    Both: readings (see `History`) by asset. Only assets with both are compared, all of them
    together; each asset weighs by its number of samples.
    """
    assets = [a for a in reference if a in current and len(reference[a]) and len(current[a])]
    names = sorted(
        {str(n) for a in assets for n in reference[a].columns}
        & {str(n) for a in assets for n in current[a].columns}
    )
    found = [
        _drift(
            name,
            {a: reference[a][name] for a in assets if name in reference[a]},
            {a: current[a][name] for a in assets if name in current[a]},
        )
        for name in names
    ]
    return tuple(sorted((d for d in found if d is not None), key=lambda d: (-d.psi, d.variable)))


def _drift(
    name: str, references: Mapping[str, pd.Series], currents: Mapping[str, pd.Series]
) -> Drift | None:
    reference, current = (pd.concat(list(columns.values())) for columns in (references, currents))
    before = reference.dropna()
    now = current.dropna()
    if min(len(before), len(now)) < LEAST_VALUES:
        return None
    are_numbers = pd.api.types.is_numeric_dtype(before) and pd.api.types.is_numeric_dtype(now)
    old, new = (
        side.to_numpy(np.float64) if are_numbers else np.array([]) for side in (before, now)
    )
    labels, bins = (
        _number_bins(old, new)
        if are_numbers
        else _category_bins(before.astype(str), now.astype(str))
    )
    shares = [np.bincount(side, minlength=len(labels)) / len(side) for side in bins]
    index = float(psi(*shares))
    known, independent = _independent_values(before, bins[0], references, currents, are_numbers)
    return Drift(
        variable=name,
        psi=index,
        wasserstein=standardised_wasserstein(old, new) if are_numbers else None,
        labels=labels,
        reference=tuple(shares[0].tolist()),
        current=tuple(shares[1].tolist()),
        missing_before=1 - len(before) / len(reference),
        missing=1 - len(now) / len(current),
        reference_values=len(before),
        values=len(now),
        independent=independent,
        psi_by_chance=psi_by_chance(shares[0], known, independent),
        wasserstein_by_chance=wasserstein_by_chance(old, known, independent)
        if are_numbers
        else None,
    )


def _independent_values(
    before: pd.Series,
    bins: Bins,
    references: Mapping[str, pd.Series],
    currents: Mapping[str, pd.Series],
    are_numbers: bool,
) -> tuple[float, float]:
    """Return what the reference (`before`, with its bins) and the period are worth."""
    known = independent = 0.0
    ends = np.cumsum([int(column.notna().sum()) for column in references.values()])
    for (asset, column), end in zip(references.items(), ends, strict=True):
        current = currents.get(asset)
        own = slice(end - int(column.notna().sum()), end)
        seconds = pd.DatetimeIndex(before.index[own]).as_unit("ms").asi8 / 1000.0
        correlation = measure_correlation(seconds, bins[own], are_numbers) if len(seconds) else None
        values = int(current.notna().sum()) if current is not None else 0
        if correlation is None:
            known = known + len(seconds)
            independent = independent + values
            continue
        known += min(correlation.independent_in_sample(seconds[-1] - seconds[0]), len(seconds))
        if current is not None and values > 1:
            at = pd.DatetimeIndex(current.dropna().index).as_unit("ms").asi8 / 1000.0
            independent += min(correlation.independent_within(max(at[-1] - at[0], 1.0)), values)
    return known, independent


def standardised_wasserstein(reference: Floats, current: Floats) -> float:
    """Return the Wasserstein distance in standard deviations of the reference (at least 0.001)."""
    from scipy.stats import wasserstein_distance  # noqa: PLC0415 - takes a second to import; only reports measure drift

    return float(wasserstein_distance(reference, current) / max(float(reference.std()), 0.001))


def quantile_edges(reference: Floats) -> Floats:
    """Return the inner edges of at most ten bins with about equal numbers of values."""
    return np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))


def _number_bins(reference: Floats, current: Floats) -> tuple[tuple[str, ...], tuple[Bins, Bins]]:
    """Return the names of the bins, and the bin of each value on both sides."""
    edges = quantile_edges(reference)
    texts = [Styled(float(edge), ".4g") for edge in edges]
    between = (translatable("{low} to {high}", low=a, high=b) for a, b in pairwise(texts))
    labels = (
        translatable("up to {value}", value=texts[0]),
        *between,
        translatable("above {value}", value=texts[-1]),
    )
    old, new = (np.asarray(np.searchsorted(edges, side), np.int64) for side in (reference, current))
    return labels, (old, new)


def _category_bins(
    reference: pd.Series, current: pd.Series
) -> tuple[tuple[str, ...], tuple[Bins, Bins]]:
    """Return the most frequent categories and one for all others, and each value's bin."""
    named = (
        reference.value_counts()
        .sort_index(kind="stable")
        .sort_values(ascending=False, kind="stable")
        .index[: BINS - 1]
    )
    index = {str(name): i for i, name in enumerate(named)}
    old, new = (np.asarray(s.map(index).fillna(len(index)), np.int64) for s in (reference, current))
    has_others = max(old.max(), new.max()) == len(index)
    return (*index, OTHER) if has_others else tuple(index), (old, new)
