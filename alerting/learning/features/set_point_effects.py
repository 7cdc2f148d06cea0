"""How far the problem variable follows each set-point, estimated from the history.

A model of the risk overrates small changes if operators mostly changed set-points when needed and
as far as needed. So the effect is estimated apart from the risk: a partially linear model (Robinson
1988), in which trees explain outcome and set-points by all other measurements, on other blocks of
time than those they predict (Chernozhukov et al. 2018, double machine learning); the remaining
movement of the outcome is regressed on the remaining movement of the set-points. What moves
together with a set-point, as its follower, is no explanation. Errors are robust within blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from alerting.deferred import lightgbm, np, npt, pd
from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.asset_documents import Asset, in_order
from alerting.detection.problem_occurrences import find_problems
from alerting.learning.features.moving_together import group_columns, is_answer
from alerting.learning.features.plan import MOST_COLUMNS, FeaturePlan, Name, Stored
from alerting.readings.history import Floats, History, duration_millis, in_range

Ints: TypeAlias = "npt.NDArray[np.int64]"
MOST_ROWS = 20_000  # of all assets together; more are averaged over longer times
FEWEST_ROWS = 500
FEWEST_PROBLEMS = 5
MOST_CONTROLS = 100
BLOCKS = 200
FOLDS = 5
FEWEST_MOVES = 10  # blocks of time in which a set-point was moved
CERTAIN = 1.96  # standard errors: 95 %
PEAK = 0.9
DIGITS = 6  # significant ones that are stored
MOST_PROBLEMS = 0.8
TREES = 60
_SETTINGS = {
    "objective": "regression",
    "num_leaves": 15,
    "learning_rate": 0.1,
    "min_data_in_leaf": 50,
    "verbosity": -1,
}
_SAME_ALWAYS = {"num_threads": 1, "deterministic": True, "force_row_wise": True, "seed": 0}


@dataclass(frozen=True)
class SetPointEffects(Stored):
    """Effects of set-points on the variable of the problem.

    `limit_side`: 1 if values above the limit are the problem, -1 if values below are. `needed`: the
    excess over the limit that 4 of 5 past problems did not exceed for more than a tenth of their
    time. `effects`: by set-point, the change of the variable for one unit of the set-point, and its
    standard error; only set-points that moved often enough.
    """

    variable: Name
    limit_side: Literal[-1, 1]
    needed: Annotated[float, Field(gt=0)]
    effects: Annotated[
        Mapping[Name, tuple[float, Annotated[float, Field(ge=0)]]],
        Field(min_length=1, max_length=MOST_COLUMNS),
    ]
    limit: float

    def relief(self, name: str) -> float:
        """Return how far one unit of a set-point moves the variable away from the limit; 0 if that
        is not known with 95 %."""
        effect, error = self.effects.get(name, (0.0, 0.0))
        least = max(abs(effect) - CERTAIN * error, 0.0)
        return -self.limit_side * float(np.copysign(least, effect)) if least else 0.0


def estimate_effects(
    definition: TrainedDefinition, plan: FeaturePlan, histories: Sequence[History]
) -> SetPointEffects | None:
    """Estimate all set-points' effects; None without a one-sided limit or enough history.
    `histories`: one for each asset."""
    problem = definition.problem
    if (
        problem.variable is None
        or (problem.above is None) == (problem.below is None)
        or definition.is_of_unit
    ):
        return None
    set_points = [
        [
            n
            for n, v in h.asset.variables.items()
            if v.controllable and v.type == "number" and n in h.readings
        ]
        for h in histories
    ]
    levers = [
        name
        for name in (set_points[0] if set_points else ())
        if name != problem.variable and all(name in names for names in set_points)
    ]
    side: Literal[-1, 1] = -1 if problem.above is None else 1
    limit = float((problem.below if problem.above is None else problem.above) or 0.0)
    beyond = [
        peak for h in histories for peak in _peaks(definition, h, problem.variable, side, limit)
    ]
    if not levers or len(beyond) < FEWEST_PROBLEMS:
        return None
    followers = {name for h in histories for name in _followers(h.asset, levers)}
    read = [
        *(number.name for number in plan.numbers),
        *(category.name for category in plan.categories),
    ]
    controls = [n for n in read if n not in {*levers, *followers, problem.variable}]
    rows = _rows(definition, plan, histories, problem.variable, levers, controls)
    if len(rows) < FEWEST_ROWS:
        return None
    effects = _regress(rows.drop(columns=_companions(rows, levers)), levers)
    needed = float(np.quantile(beyond, MOST_PROBLEMS))
    return (
        SetPointEffects(problem.variable, side, round_stored(needed), effects, limit)
        if effects and needed > 0
        else None
    )


def _followers(asset: Asset, names: Sequence[str]) -> set[str]:
    moved = set(names)
    for relation in in_order(asset.relations):
        if moved & set(relation.drivers):
            moved.add(relation.variable)
    moved |= set(asset.computed_of(moved))
    return moved - set(names)


def _companions(rows: pd.DataFrame, levers: Sequence[str]) -> list[str]:
    """Return the controls that move together with a single set-point and are not what it answers:
    they follow it, and explained by them it would have no effect of its own."""
    names = [str(name) for name in rows if name not in ("y", "asset/")]
    companions = []
    for group in group_columns(rows[names].to_numpy(np.float64), rows["asset/"].to_numpy(np.int64)):
        first, *others = sorted((names[i] for i in group), key=lambda name: name not in levers)
        values = rows[[first, *others, "asset/"]].dropna()
        values[[first, *others]] -= values.groupby("asset/").transform("mean")
        if first in levers and others[0] not in levers and len(values):
            companions += [
                name
                for name in others
                if not is_answer(*values[[first, name, "asset/"]].to_numpy().T)
            ]
    return companions


def _peaks(
    definition: TrainedDefinition, history: History, variable: str, side: int, limit: float
) -> list[float]:
    """Return how far each problem went beyond the limit: the excess that lasted for a tenth of its
    time."""
    values = _numbers(history, variable).dropna()
    problems = find_problems(definition.problem, history)
    during = (
        values.loc[start:last]
        for start, last in zip(problems["start"], problems["last"], strict=True)
    )
    return [float(np.quantile(side * (v - limit), PEAK)) for v in during if len(v)]


def _numbers(history: History, name: str) -> pd.Series:
    """Return a variable's values without measuring faults; categories as numbers."""
    values = (
        history.readings[name]
        if name in history.readings
        else pd.Series(np.nan, history.readings.index)
    )
    variable = history.asset.variables.get(name)
    if variable is not None and variable.type != "category":
        values = pd.to_numeric(values, errors="coerce")
    elif not pd.api.types.is_numeric_dtype(values.dtype):
        codes, _ = pd.factorize(values.astype(str).where(values.notna()), sort=True)
        return pd.Series(np.where(codes < 0, np.nan, codes), values.index)
    return pd.Series(in_range(history.asset, name, np.asarray(values, np.float64)), values.index)


def _rows(
    definition: TrainedDefinition,
    plan: FeaturePlan,
    histories: Sequence[History],
    variable: str,
    levers: Sequence[str],
    controls: Sequence[str],
) -> pd.DataFrame:
    """Return a row per stride: the means over the window before it; and `y`, the mean of the
    variable over the predicted time after it."""
    indices = [history.readings.index for history in histories if len(history.readings)]
    length = sum(int((index[-1] - index[0]) / pd.Timedelta(1, "ms")) for index in indices)
    bucket = plan.stride_ms * max(1, -(-length // (plan.stride_ms * MOST_ROWS)))
    before = max(1, plan.windows_ms[0] // bucket)
    ahead = max(1, duration_millis(definition.gap + definition.horizon) // bucket)
    parts = []
    for number, history in enumerate(histories):
        values = pd.DataFrame(
            {name: _numbers(history, name) for name in (variable, *levers, *controls)}
        )
        means = values.resample(pd.Timedelta(bucket, "ms"), label="right", closed="right").mean()
        means[list(levers)] = means[list(levers)].ffill()
        rows = means[[*levers, *controls]].rolling(before, min_periods=1).mean()
        rows["y"] = means[variable][::-1].rolling(ahead, min_periods=1).mean()[::-1].shift(-1)
        rows["asset/"] = float(number)
        parts.append(rows)
    rows = pd.concat(parts, ignore_index=True)
    return rows[rows[["y", *levers]].notna().all(axis=1)].reset_index(drop=True)


def _regress(rows: pd.DataFrame, levers: Sequence[str]) -> dict[str, tuple[float, float]]:
    controls = _strongest(rows.drop(columns=["y", *levers]), rows["y"])
    block = np.arange(len(rows)) * BLOCKS // len(rows)
    state = rows[controls].to_numpy(np.float64)
    outcome = _residuals(state, rows["y"].to_numpy(np.float64), block)
    moved = np.column_stack(
        [_residuals(state, rows[name].to_numpy(np.float64), block) for name in levers]
    )
    moves = rows[list(levers)].groupby(block).agg(np.ptp).gt(0).sum().to_numpy()
    usable = np.flatnonzero((moves >= FEWEST_MOVES) & (moved.std(axis=0) > 0))
    if not len(usable):
        return {}
    moved = moved[:, usable]
    inverse = np.linalg.pinv(moved.T @ moved)
    effect = inverse @ moved.T @ outcome
    off = outcome - moved @ effect
    scores = np.array([moved[block == b].T @ off[block == b] for b in range(BLOCKS)])
    error = np.sqrt(np.diag(inverse @ (scores.T @ scores) @ inverse))
    return {
        levers[k]: (round_stored(float(effect[i])), round_stored(float(error[i])))
        for i, k in enumerate(usable.tolist())
    }


def _strongest(controls: pd.DataFrame, outcome: pd.Series) -> list[str]:
    names = [str(name) for name in controls]
    if len(names) <= MOST_CONTROLS:
        return names
    strength = controls.corrwith(outcome).abs().fillna(0.0)
    return [
        str(name)
        for name in strength.sort_values(ascending=False, kind="stable").index[:MOST_CONTROLS]
    ]


def _residuals(state: Floats, values: Floats, block: Ints) -> Floats:
    """Return the values minus the predictions of trees that were fitted on the other blocks."""
    residuals = np.empty(len(values))
    for fold in range(FOLDS):
        in_fold = block % FOLDS == fold
        data = lightgbm.Dataset(state[~in_fold], values[~in_fold], params={"verbosity": -1})
        residuals[in_fold] = values[in_fold] - np.asarray(
            lightgbm.train(_SETTINGS | _SAME_ALWAYS, data, TREES).predict(
                state[in_fold], num_threads=1
            )
        )
    return residuals


def round_stored(value: float) -> float:
    """Return a number with the significant digits that are stored."""
    return float(f"{value:.{DIGITS}g}")
