"""Variables that follow each other, so that a model can use either: a reason names them as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from alerting.deferred import np, npt, pd
from alerting.readings.history import Floats

Ints: TypeAlias = "npt.NDArray[np.int64]"

ALIKE = 0.9  # least mean likeness between the variables of a group
FEWEST_ROWS = 100
# of an asset's time: only what moves together within them counts, since slow drifts agree by chance
BLOCKS = 10
ROWS_IN_BLOCK = 10  # at least, so that assets with few rows have fewer blocks
FEW_LEVELS = 20  # different values of a set-point
RARE = 0.05  # of the rows: what leaves its usual value less often is like nothing by chance
# least correlation of a set-point's next step with how far a variable is ahead of it that shows
# that the set-point answers the variable
ANSWERS = 0.1
CERTAIN = 3.0  # standard errors of a correlation whose sign is no chance


def group_columns(rows: Floats, asset: Sequence[int] | Ints = ()) -> tuple[tuple[int, ...], ...]:
    """Return the positions of columns that move together, each in at most one group of two or more.

    `rows`: (rows x columns), NaN where missing. `asset`: number of each row's asset; without, all
    are of one. The likeness of two columns is the correlation of their ranks within assets, over
    the rows that have both; of one with few levels the covariance by the smaller of both variances,
    so that a set-point is as like as can be to what rises whenever it rises. Groups are those of
    average linkage. None from fewer than 100 rows.
    """
    if len(rows) < FEWEST_ROWS or rows.shape[1] < 2:
        return ()
    from scipy.cluster.hierarchy import fcluster, linkage  # noqa: PLC0415 - only models need it
    from scipy.spatial.distance import squareform  # noqa: PLC0415

    asset = _numbers(asset, len(rows))
    frame = pd.DataFrame(rows)
    width = rows.shape[1]
    together, spread, pairs = (np.zeros((width, width)) for _ in range(3))
    for _, part in frame.groupby(asset).rank(pct=True).groupby(_blocks(asset)):
        there = part.notna().to_numpy(np.float64)
        values = part.fillna(0.0).to_numpy()
        count = there.T @ there
        total = values.T @ there  # of a column, over the rows that have the other one, too
        share = total / np.maximum(count, 1)
        together += values.T @ values - total * share.T
        spread += (values**2).T @ there - total * share
        pairs += count
    least = pairs * RARE * (1 - RARE) / 4  # of ranks of a rare switch
    has_few_levels = frame.nunique().to_numpy() <= FEW_LEVELS
    scale = np.where(
        np.logical_or.outer(has_few_levels, has_few_levels),
        np.minimum(spread, spread.T),
        np.sqrt(np.maximum(spread * spread.T, 0.0)),
    )
    like = np.abs(together) / np.maximum(scale, np.maximum(least, 1e-9))
    like[pairs < FEWEST_ROWS] = 0.0
    np.fill_diagonal(like, 1.0)
    apart = squareform(1 - np.minimum(like, 1.0), checks=False)
    number = fcluster(linkage(apart, "average"), 1 - ALIKE, "distance")
    several = np.flatnonzero(np.bincount(number) > 1)
    return tuple(tuple(np.flatnonzero(number == k).tolist()) for k in several)


def gain_within(follower: Floats, driver: Floats, asset: Sequence[int] | Ints = ()) -> float:
    """Return by how much one column moves with one unit of another within assets, over the rows
    that have both; 0 where that of an asset has the other sign beyond chance, or nothing moves.

    `asset`: as `group_columns`.
    """
    asset = _numbers(asset, len(driver))
    pairs = pd.DataFrame({"follower": follower, "driver": driver}).dropna()
    moved = pairs - pairs.groupby(_blocks(asset)[pairs.index]).transform("mean")
    gain = slope(*moved.to_numpy().T) if len(moved) else 0.0
    for _, part in moved.groupby(asset[pairs.index]):
        y, x = part.to_numpy().T
        if -np.sign(gain) * (x @ y) > CERTAIN * np.sqrt((x @ x) * (y @ y) / len(x)):
            return 0.0
    return gain


def _numbers(asset: Sequence[int] | Ints, rows: int) -> Ints:
    return np.asarray(asset if len(asset) else np.zeros(rows), np.int64)


def _blocks(asset: Ints) -> Ints:
    """Return a number for each row's block of its asset's rows."""
    rows = pd.Series(asset).groupby(asset)
    size = rows.transform("size")
    block = rows.cumcount() * (size // ROWS_IN_BLOCK).clip(1, BLOCKS) // size
    return np.asarray(asset * BLOCKS + block, np.int64)


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
