"""Variables that follow each other, so that a model can use either: a reason names them as one."""

from __future__ import annotations

from alerting.deferred import np, pd
from alerting.readings.history import Floats

ALIKE = 0.9  # least mean likeness between the variables of a group
FEWEST_ROWS = 100
# of time: only what moves together within them counts, since slow drifts agree by chance
BLOCKS = 10
FEW_LEVELS = 20  # different values of a set-point
RARE = 0.05  # of the rows: what leaves its usual value less often is like nothing by chance
# least correlation of a set-point's next step with how far a variable is ahead of it that shows
# that the set-point answers the variable
ANSWERS = 0.1


def group_columns(rows: Floats) -> tuple[tuple[int, ...], ...]:
    """Return the positions of columns that move together, each in at most one group of two or more.

    `rows`: (rows x columns), NaN where missing. The likeness of two columns is the correlation of
    their ranks; of one with few levels the covariance by the smaller of both variances, so that a
    set-point is as like as can be to what rises whenever it rises. Groups are those of average
    linkage. None from fewer than 100 rows.
    """
    if len(rows) < FEWEST_ROWS or rows.shape[1] < 2:
        return ()
    from scipy.cluster.hierarchy import fcluster, linkage  # noqa: PLC0415 - only models need it
    from scipy.spatial.distance import squareform  # noqa: PLC0415

    ranks = pd.DataFrame(rows).rank()
    mean = ranks.groupby(np.arange(len(rows)) * BLOCKS // len(rows)).transform("mean")
    centred = (ranks - mean).fillna(0.0).to_numpy()
    together = centred.T @ centred / len(rows)
    spread = np.diag(together)
    least = RARE * (1 - RARE) * len(rows) ** 2 / 4  # the variance of ranks of a rare switch
    has_few_levels = pd.DataFrame(rows).nunique().to_numpy() <= FEW_LEVELS
    scale = np.where(
        np.logical_or.outer(has_few_levels, has_few_levels),
        np.minimum.outer(spread, spread),
        np.sqrt(np.multiply.outer(spread, spread)),
    )
    like = np.abs(together) / np.maximum(scale, least)
    apart = squareform(1 - np.minimum(like, 1.0), checks=False)
    number = fcluster(linkage(apart, "average"), 1 - ALIKE, "distance")
    several = np.flatnonzero(np.bincount(number) > 1)
    return tuple(tuple(np.flatnonzero(number == k).tolist()) for k in several)


def slope(follower: Floats, driver: Floats) -> float:
    """Return by how much one column moves with one unit of another, by least squares; 0 for a
    driver that does not move."""
    moved = driver - driver.mean()
    return float(moved @ (follower - follower.mean()) / ((moved @ moved) or 1.0))


def is_answer(set_point: Floats, variable: Floats) -> bool:
    """Return whether a set-point follows a variable: it moves to where the variable has gone
    before. Both are by time, without missing values."""
    gain = slope(variable, set_point)
    ahead = np.sign(gain) * (variable - variable.mean() - gain * (set_point - set_point.mean()))
    step = np.diff(set_point)
    least = ANSWERS * np.linalg.norm(ahead[:-1]) * np.linalg.norm(step)
    return bool(ahead[:-1] @ step > least)
