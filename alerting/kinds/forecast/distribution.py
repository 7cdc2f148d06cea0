"""Distributions as quantiles: score, calibration, and the chance to leave limits."""

import numpy as np
import numpy.typing as npt

from alerting.learning.models.trained import sigmoid

Floats = npt.NDArray[np.float64]

QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
MEDIAN = QUANTILES.index(0.5)
# of the 90 % interval
LOWEST = 0
HIGHEST = len(QUANTILES) - 1
_LEVELS = np.array(QUANTILES)
_LOG_ODDS = np.log(_LEVELS / (1 - _LEVELS))
_FARTHEST = 12.0  # log-odds beyond which a probability is not told apart
_APART = 1e-9  # least distance of neighbouring quantiles, relative to their size


def in_order(quantiles: Floats) -> Floats:
    """Return quantiles (... x QUANTILES) that do not fall, each a little above the one before."""
    risen = np.maximum.accumulate(quantiles, axis=-1)
    size = np.maximum(np.abs(risen).max(axis=-1, keepdims=True), 1.0)
    return np.asarray(risen + _APART * size * np.arange(len(QUANTILES)))


def crps(quantiles: Floats, values: Floats) -> Floats:
    """Return twice the mean pinball loss of each row's quantiles, over known values.

    It approximates the continuous ranked probability score (Gneiting and Raftery 2007) in the unit
    of the values; NaN for a row without any value.
    """
    off = values[..., None] - quantiles
    loss = 2 * np.maximum(_LEVELS * off, (_LEVELS - 1) * off).mean(axis=-1)
    known = ~np.isnan(loss)
    count = known.sum(axis=1)
    total = np.where(known, loss, 0.0).sum(axis=1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def covered(quantiles: Floats, values: Floats) -> Floats:
    """Return 1.0 for values in the 90 % interval, 0.0 outside, NaN without a value."""
    inside = (values >= quantiles[..., LOWEST]) & (values <= quantiles[..., HIGHEST])
    return np.where(np.isnan(values), np.nan, inside)


def conformal_shifts(quantiles: Floats, values: Floats) -> Floats:
    """Return what to add to each quantile so that it holds on unseen rows.

    Conformalized quantile regression (Romano, Patterson and Candès 2019, theorem 2: each side by
    itself): the quantile of the differences between value and predicted quantile, with the
    correction for a finite sample. The median stays as it is; so do the quantiles of a lead with
    too few values to correct them.
    """
    shifts = np.zeros(quantiles.shape[1:])
    for lead in range(quantiles.shape[1]):
        known = ~np.isnan(values[:, lead])
        off = np.sort(values[known, lead][:, None] - quantiles[known, lead], axis=0)
        for number, level in enumerate(QUANTILES):
            rank = (
                np.ceil((len(off) + 1) * level) if level > 0.5 else np.floor((len(off) + 1) * level)
            )
            if number != MEDIAN and 1 <= rank <= len(off):
                shifts[lead, number] = off[int(rank) - 1, number]
    return shifts


def log_odds_outside(quantiles: Floats, above: float | None, below: float | None) -> Floats:
    """Return the log-odds that a value lies outside of the limits, from its quantiles.

    Between quantiles, and beyond the outermost ones, the log-odds of the distribution function run
    linearly. Without a limit no value lies outside.
    """
    if above is None and below is None:
        return np.full(quantiles.shape[:-1], -_FARTHEST)
    sides = [] if above is None else [-_log_odds_below(quantiles, above)]
    sides += [] if below is None else [_log_odds_below(quantiles, below)]
    if len(sides) == 1:
        return np.asarray(np.clip(sides[0], -_FARTHEST, _FARTHEST))
    outside = np.clip(sigmoid(sides[0]) + sigmoid(sides[1]), 1e-12, 1 - 1e-12)
    return np.asarray(np.clip(np.log(outside / (1 - outside)), -_FARTHEST, _FARTHEST))


def _log_odds_below(quantiles: Floats, limit: float) -> Floats:
    upper = np.clip((quantiles <= limit).sum(axis=-1), 1, len(QUANTILES) - 1)
    low, high = (
        np.take_along_axis(quantiles, (upper - back)[..., None], axis=-1)[..., 0] for back in (1, 0)
    )
    share = (limit - low) / (high - low)
    return np.asarray(_LOG_ODDS[upper - 1] + share * (_LOG_ODDS[upper] - _LOG_ODDS[upper - 1]))
