"""Calibration slope and intercept: logistic regression of the label on the log-odds of the score.

Cox (1958), "Two further applications of a model for binary regression"; Steyerberg (2019),
"Clinical Prediction Models", chapter 15. A slope of 1 and an intercept of 0 are perfect; a slope
below 1 says that scores are too extreme.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
# scores are cut to [LEAST, 1 - LEAST]; Newton steps
LEAST = 1e-9
STEPS = 25


def log_odds(score: Floats) -> Floats:
    """Return the log-odds of probabilities."""
    cut = np.clip(score, LEAST, 1 - LEAST)
    return np.asarray(np.log(cut / (1 - cut)))


def recalibrate(odds: Floats, positives: Floats, rows: Floats) -> tuple[Floats, Floats]:
    """Return slope and intercept of each sample by Newton's method; NaN where the scores separate
    both classes or are all equal.

    `odds`: log-odds of each group of rows; `positives`, `rows`: counts (samples x groups).
    """
    shift = float(np.average(odds, weights=rows.sum(axis=0)))
    x = odds - shift
    with np.errstate(all="ignore"):
        share = positives.sum(axis=1) / rows.sum(axis=1)
        base = np.log(share / (1 - share))
        slope = np.zeros(len(rows))
        for _ in range(STEPS):
            p = 1 / (1 + np.exp(-np.clip(base[:, None] + slope[:, None] * x, -500, 500)))
            error = positives - rows * p
            weight = rows * p * (1 - p)
            g0 = error.sum(axis=1)
            g1 = error @ x
            h00 = weight.sum(axis=1)
            h01 = weight @ x
            h11 = weight @ (x * x)
            determinant = h00 * h11 - h01 * h01
            step0 = (h11 * g0 - h01 * g1) / determinant
            step1 = (h00 * g1 - h01 * g0) / determinant
            base = base + np.clip(step0, -2, 2)
            slope = slope + np.clip(step1, -1, 1)
        is_done = (np.abs(step0) < 1e-6) & (np.abs(step1) < 1e-6)
    return np.where(is_done, slope, np.nan), np.where(is_done, base - slope * shift, np.nan)
