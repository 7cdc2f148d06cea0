"""Variables that follow each other, so that a model can use either: a reason names them as one."""

from __future__ import annotations

from alerting.deferred import np, npt, pd
from alerting.readings.history import Floats

ALIKE = 0.9  # least mean likeness between the variables of a group
FEWEST_ROWS = 100
# Parts of an asset's time: only what moves together within each counts, as slow drifts agree by
# chance.
BLOCKS = 10
FEW_LEVELS = 20  # different values of a set-point
RARE = 0.05  # of the rows: what leaves its usual value less often is like nothing by chance
# A set-point answers a variable if its next step has at least this correlation with how far the
# variable is ahead of it.
ANSWERS = 0.1
CERTAIN = 3.0  # standard errors of what moves together, by block, whose sign is no chance


def group_columns(rows: Floats, asset: npt.NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    """Return the positions of columns that move together, each in at most one group of two or more.

    `rows`: (rows x columns), NaN where missing. `asset`: number of each row's asset. The likeness
    of two columns is the correlation of their ranks within assets, over the rows that have both; of
    one with few levels the covariance by the smaller of both variances, so that a set-point is as
    like as can be to what rises whenever it rises. Groups are those of average linkage. None from
    fewer than 100 rows.
    """
    if len(rows) < FEWEST_ROWS or rows.shape[1] < 2:
        return ()
    from scipy.cluster.hierarchy import fcluster, linkage  # noqa: PLC0415 - only models need it
    from scipy.spatial.distance import squareform  # noqa: PLC0415

    centred = _centre(pd.DataFrame(rows).groupby(asset).rank(pct=True), asset)
    has_value = centred.notna().to_numpy(np.float64)
    values = centred.fillna(0.0).to_numpy()
    spread = (values**2).T @ has_value  # of a column, in the rows that have the other one, too
    pairs = has_value.T @ has_value
    # of ranks of a rare switch
    least = np.where(pairs < FEWEST_ROWS, np.inf, pairs * RARE * (1 - RARE) / 4)
    levels = pd.DataFrame(rows).groupby(asset).nunique().max()
    has_few_levels = levels.to_numpy() <= FEW_LEVELS
    scale = np.where(
        np.logical_or.outer(has_few_levels, has_few_levels),
        np.minimum(spread, spread.T),
        np.sqrt(spread * spread.T),
    )
    like = np.abs(values.T @ values) / np.maximum(scale, least)
    apart = squareform(1 - np.minimum(like, 1.0), checks=False)
    number = fcluster(linkage(apart, "average"), 1 - ALIKE, "distance")
    several = np.flatnonzero(np.bincount(number) > 1)
    return tuple(tuple(np.flatnonzero(number == k).tolist()) for k in several)


def gain_within(follower: Floats, driver: Floats, asset: npt.NDArray[np.int64]) -> float:
    """Return by how much one column moves with one unit of another within assets, over the rows
    that have both; 0 where that of an asset has the other sign beyond chance, or nothing moves.

    `asset`: as `group_columns`.
    """
    pairs = pd.DataFrame({"follower": follower + 0 * driver, "driver": driver + 0 * follower})
    y, x = _centre(pairs, asset).to_numpy().T
    of_block = pd.DataFrame({"xy": x * y, "xx": x * x}).groupby([asset, _blocks(asset)]).sum()
    gain = float(of_block["xy"].sum() / (of_block["xx"].sum() or 1.0))
    together = of_block["xy"].groupby(level=0)
    chance: pd.Series = CERTAIN * together.std() * np.sqrt(together.size())
    return 0.0 if (np.sign(gain) * together.sum() < -chance).any() else gain


def _centre(rows: pd.DataFrame, asset: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Return rows less the mean of their block."""
    return rows - rows.groupby([asset, _blocks(asset)]).transform("mean")


def _blocks(asset: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the number of each row's block: ten of an asset, of at least ten rows."""
    of_asset = pd.Series(asset).groupby(asset)
    length = (of_asset.transform("size") / BLOCKS).clip(FEWEST_ROWS / BLOCKS)
    return (of_asset.cumcount() // length).to_numpy()


def is_answer(set_point: Floats, variable: Floats, asset: npt.NDArray[np.int64]) -> bool:
    """Return whether a set-point follows a variable: it moves to where the variable has gone
    before, or both do not move together. Both are by time, without missing values."""
    gain = gain_within(variable, set_point, asset)
    ahead = np.sign(gain) * (variable - variable.mean() - gain * (set_point - set_point.mean()))
    step = np.diff(set_point)
    least = ANSWERS * np.linalg.norm(ahead[:-1]) * np.linalg.norm(step)
    return gain == 0.0 or bool(ahead[:-1] @ step > least)
