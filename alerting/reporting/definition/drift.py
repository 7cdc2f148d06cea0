"""Drift of inputs: how far the values of a period are from those of the model's training.

Population stability index (PSI) over ten bins between fixed quantiles of the reference (Siddiqi 2006), and the Wasserstein
distance in standard deviations of the reference, as Evidently computes it. Categories are their own bins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import is_numeric_dtype

from alerting.learning.features.moments import Floats

BINS = 10
CLEAR = 0.25  # of the PSI (Siddiqi 2006): from here on the distribution is another one
SLIGHT = 0.1  # from here on it has moved
LEAST_VALUES = 100
_EMPTY = 1e-4  # share of an empty bin, as in Evidently
OTHER = "other"


@dataclass(frozen=True)
class Drift:
    """Drift of one variable. `labels`: bins; `reference`, `current`: their shares. `wasserstein`: None for categories.

    `missing_before`, `missing`: share of samples without a value.
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

    @property
    def is_clear(self) -> bool:
        """Return whether the distribution is clearly another one."""
        return self.psi >= CLEAR

    @property
    def is_slight(self) -> bool:
        """Return whether the distribution has moved, but not clearly."""
        return SLIGHT <= self.psi < CLEAR


def drift_of_inputs(reference: Mapping[str, pd.DataFrame], current: Mapping[str, pd.DataFrame]) -> tuple[Drift, ...]:
    """Return the drift of each variable with enough values on both sides, the largest first.

    Both: readings (see `History`) by asset. Only assets with both are compared, all of them together; each asset weighs by its
    number of samples.
    """
    assets = [a for a in reference if a in current and len(reference[a]) and len(current[a])]
    names = sorted({str(n) for a in assets for n in reference[a].columns} & {str(n) for a in assets for n in current[a].columns})
    found = [_drift(name, _column(reference, assets, name), _column(current, assets, name)) for name in names]
    return tuple(sorted((d for d in found if d is not None), key=lambda d: (-d.psi, d.variable)))


def _column(frames: Mapping[str, pd.DataFrame], assets: Sequence[str], name: str) -> pd.Series:
    return pd.concat([frames[a][name] for a in assets if name in frames[a]], ignore_index=True)


def _drift(name: str, reference: pd.Series, current: pd.Series) -> Drift | None:
    before, now = reference.dropna(), current.dropna()
    if min(len(before), len(now)) < LEAST_VALUES:
        return None
    distance: float | None = None
    if not (is_numeric_dtype(before) and is_numeric_dtype(now)):
        labels, shares = _category_shares(before.astype(str), now.astype(str))
    else:
        old, new = before.to_numpy(np.float64), now.to_numpy(np.float64)
        labels, shares = _number_shares(old, new)
        distance = standardised_wasserstein(old, new)
    return Drift(
        variable=name,
        psi=psi(*shares),
        wasserstein=distance,
        labels=labels,
        reference=tuple(shares[0].tolist()),
        current=tuple(shares[1].tolist()),
        missing_before=1 - len(before) / len(reference),
        missing=1 - len(now) / len(current),
        reference_values=len(before),
        values=len(now),
    )


def psi(reference: Floats, current: Floats) -> float:
    """Return the population stability index of shares by bin; an empty bin counts as 0.01 %."""
    old, new = (np.where(shares == 0, _EMPTY, shares) for shares in (reference, current))
    return float(np.sum((new - old) * np.log(new / old)))


def standardised_wasserstein(reference: Floats, current: Floats) -> float:
    """Return the Wasserstein distance in standard deviations of the reference (at least 0.001)."""
    from scipy.stats import wasserstein_distance  # noqa: PLC0415 - takes a second to import; only reports measure drift

    return float(wasserstein_distance(reference, current) / max(float(reference.std()), 0.001))


def quantile_edges(reference: Floats) -> Floats:
    """Return the inner edges of ten bins with about equal numbers of reference values; fewer where many values are equal."""
    return np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))


def _number_shares(reference: Floats, current: Floats) -> tuple[tuple[str, ...], tuple[Floats, Floats]]:
    edges = quantile_edges(reference)
    texts = [f"{edge:.4g}" for edge in edges]
    labels = (f"up to {texts[0]}", *(f"{a} to {b}" for a, b in pairwise(texts)), f"above {texts[-1]}")
    return labels, (
        _shares(np.searchsorted(edges, reference), len(labels)),
        _shares(np.searchsorted(edges, current), len(labels)),
    )


def _category_shares(reference: pd.Series, current: pd.Series) -> tuple[tuple[str, ...], tuple[Floats, Floats]]:
    """Return the shares of the most frequent reference categories, of the other ones together, and of those new in `current`."""
    named = reference.value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable").index[: BINS - 1]
    labels = (*(str(name) for name in named), OTHER)
    index = {name: i for i, name in enumerate(labels[:-1])}
    both = (s.map(index).fillna(len(index)).to_numpy(np.int64) for s in (reference, current))
    old, new = (_shares(bins, len(labels)) for bins in both)
    if old[-1] == 0 and new[-1] == 0:
        return labels[:-1], (old[:-1], new[:-1])
    return labels, (old, new)


def _shares(bins: npt.NDArray[np.integer[Any]], number: int) -> Floats:
    return np.bincount(bins, minlength=number) / len(bins)
