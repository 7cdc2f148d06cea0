"""Forecasters: their parameters, how they are fitted on values ahead, and how a fitted one is
read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter, ValidationError
from threadpoolctl import ThreadpoolController

from alerting.definitions.faults import UserError
from alerting.definitions.fields.learning import MEAN, PERSISTENCE, SEASONAL
from alerting.kinds.forecast.model import (
    FILE,
    QUANTILES,
    Boosted,
    FittedForecast,
    LinearForecaster,
    Naive,
    Smoothing,
    moved,
)
from alerting.learning.features.plan import LAST_RESULTS, Columns, Dense, median_of
from alerting.learning.models.families.contract import Params
from alerting.learning.models.families.quantile_trees import PACKAGES, QuantileTrees, fit_quantiles
from alerting.learning.models.trained import ModelRefused
from alerting.readings.history import Floats, Positions

if TYPE_CHECKING:
    import optuna
    from scipy.sparse import csc_matrix

DIFFERENCE = "difference"
LEVEL = "level"
ALL = "all"  # windows
_READ = TypeAdapter(FittedForecast)
_MOST_SMOOTHED = 5_000  # rows on which the parameters of smoothing are chosen
# fewer columns fit faster, and follow chance less: on 1,000 noisy ones losses are 4 to 11 % less
_MOST_COLUMNS = 64
_ROWS_TO_CHOOSE = 4_000  # rows at leads
_ROUNDS_TO_CHOOSE = 40
_TO_CHOOSE = {
    "num_leaves": 15,
    "learning_rate": 0.1,
    "min_data_in_leaf": 30,
    "feature_fraction": 0.5,
}
_NOT_OF_TREES = ("of", "results", "windows", "rounds")
# to find the pools of threads of numpy's libraries takes as long as a fit
_find_pools = cache(ThreadpoolController)
# level, trend, damping
_GRID = tuple(product((0.2, 0.4, 0.6, 0.8, 1.0), (0.0, 0.1, 0.3), (0.8, 0.9, 0.98)))


class Anchor(NamedTuple):
    """The value to which a difference is added: its position, and the pairs of columns of which a
    difference is seen."""

    position: int
    pairs: tuple[tuple[int, int], ...]


class Visible(NamedTuple):
    """What a parameter set sees of a task: an anchor (None for the level itself), the pairs of
    columns that are subtracted, and the positions of the columns that it may use."""

    anchor: int | None
    pairs: tuple[tuple[int, int], ...]
    columns: tuple[int, ...]


@dataclass(frozen=True)
class Task:
    """The task of a forecast: its columns in the rows of a feature plan, and its leads.

    `last`: position of the last known value; `lags`: positions of the values before it, the oldest
    first, `step_ms` apart. `seasonal`: for each lead, position of the value one season before;
    empty without a season. `strongest`: the columns that trees use, as `Forecaster.strongest`
    chooses them on the same rows with the same seed; None if each fit chooses its columns.
    Of an estimate between results: `anchors`, by the number of results whose mean it begins from;
    `windows`: by their choice, the positions of the columns that it may see.
    """

    columns: Columns
    last: int
    lags: tuple[int, ...]
    step_ms: int
    seasonal: tuple[int, ...]
    leads_ms: tuple[int, ...]
    above: float | None
    below: float | None
    strongest: "Positions | None" = field(default=None, compare=False)
    anchors: Mapping[int, Anchor] = field(default_factory=dict)
    windows: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def model(self, core: Naive | Smoothing | LinearForecaster | Boosted) -> FittedForecast:
        """Return the fitted forecaster around a core model."""
        return FittedForecast(core, self.leads_ms, self.above, self.below, len(self.columns.names))

    def see(self, params: Mapping[str, Any]) -> Visible:
        """Return what a parameter set sees. `of`: the level or the difference from an anchor; of an
        estimate between results also `results`, the number of results of the anchor, and
        `windows`."""
        columns = self.windows.get(params.get("windows", ALL), range(len(self.columns.names)))
        if params["of"] == LEVEL:
            means = [anchor.position for anchor in self.anchors.values()]
            return Visible(None, (), tuple(sorted({*columns, *means})))
        anchor = self.anchors.get(params.get("results", LAST_RESULTS), Anchor(self.last, ()))
        pairs = tuple(pair for pair in anchor.pairs if pair[0] in columns)
        return Visible(anchor.position, pairs, tuple(columns))

    def usual(self, matrix: Floats) -> float:
        """Return the median of the last values, which replaces a missing last value."""
        return median_of(matrix[:, self.last])


@dataclass(frozen=True)
class Forecaster:
    """A family of forecasters. `fit`: fits on rows and values ahead; the same rows give the same
    model.

    `proven`: parameter sets in the order in which a search tries them; `results`: those for a
    value that is estimated between its results; `begins`: what such an estimate may begin from and
    which windows it may see, the simplest first, tried before the sets. `packages`: the libraries
    that scoring needs, besides numpy and pandas. `strongest`: returns the columns that its fits
    use, which depend on what a set sees alone; None if they use all columns.
    """

    name: str
    fit: Callable[[Mapping[str, Any], Task, Floats, Floats, int], FittedForecast]
    proven: Sequence[Params] = ({},)
    results: Sequence[Params] = ({},)
    suggest: Callable[["optuna.Trial"], Params] = lambda _: {}
    packages: Sequence[str] = ()
    strongest: Callable[[Mapping[str, Any], Task, Floats, Floats, int], Positions] | None = None
    begins: Sequence[Params] = ()

    def load(self, files: Mapping[str, bytes], width: int) -> FittedForecast:
        """Read the forecaster in files that `FittedForecast.files` wrote. Raises ModelRefused if a
        file is damaged."""
        try:
            model = _READ.validate_json(files[FILE])
        except (KeyError, ValidationError) as fault:
            raise ModelRefused(
                f"model files without a readable {FILE}; train the model again"
            ) from fault
        if isinstance(model.core, Boosted):
            trees = QuantileTrees(texts=[files[name] for name in files if name != FILE])
            model = replace(model, core=replace(model.core, trees=trees))
        _check(model, width, len(files) - 1)
        return model.as_read(files[FILE])


# fields with a value for each lead
_BY_LEAD: Mapping[type, Sequence[str]] = {
    Naive: ("spread", "columns"),
    Smoothing: ("spread", "steps"),
    LinearForecaster: ("spread", "weights", "intercepts"),
    Boosted: ("leads",),
}


def _check(model: FittedForecast, width: int, trees: int) -> None:
    """Check that the parts of a model fit together, so that no model serves that cannot predict."""
    core = model.core
    leads = len(model.leads_ms)
    last = getattr(core, "last", None)
    used = [*getattr(core, "columns", ()), *(() if last is None else (last,))]
    rows = [*getattr(core, "spread", ()), *model.shifts]
    by_lead = [getattr(core, name) for name in _BY_LEAD[type(core)]]
    fits = (
        model.width == width
        and leads >= 1
        and all(len(values) == leads for values in by_lead)
        and all(column < width for column in used)
        and all(len(row) == len(QUANTILES) for row in rows)
        and len(model.shifts) in (0, leads)
    )
    if isinstance(core, LinearForecaster):
        dense = core.dense
        positions = [
            *dense.numbers,
            *dense.flagged,
            *(position for position, _ in dense.categories),
        ]
        fits = (
            fits
            and all(position < width for position in positions)
            and all(len(row) == dense.width for row in core.weights)
            and len(dense.medians) == len(dense.numbers)
            and len(dense.mean) == len(dense.scale) == dense.width
        )
    if isinstance(core, Boosted):
        fits = fits and trees == len(QUANTILES)
    if not fits:
        raise ModelRefused(f"{FILE} holds a model that is not for {width} columns")


def _fit_naive(
    columns_of: Callable[[Task], tuple[int, ...]],
    params: Mapping[str, Any],
    task: Task,
    matrix: Floats,
    future: Floats,
    seed: int,
) -> FittedForecast:
    """Fit the residuals of known values. `columns_of`: gives their columns, one for each lead."""
    core = Naive(columns_of(task), task.usual(matrix), ())
    return task.model(replace(core, spread=_spread(future - core.centre(matrix))))


def _fit_mean(
    params: Mapping[str, Any], task: Task, matrix: Floats, future: Floats, seed: int
) -> FittedForecast:
    """Fit a constant for each lead, which no column moves."""
    nothing = Dense.fit(task.columns, matrix, scaled=True, chosen=())
    present = [column[~np.isnan(column)] for column in future.T]
    means = tuple(float(values.mean()) if len(values) else 0.0 for values in present)
    core = LinearForecaster(nothing, ((),) * len(means), means, None, 0.0, ())
    return task.model(replace(core, spread=_spread(future - core.centre(matrix))))


def _fit_smoothing(
    params: Mapping[str, Any], task: Task, matrix: Floats, future: Floats, seed: int
) -> FittedForecast:
    steps = tuple(lead / task.step_ms for lead in task.leads_ms)
    columns = (*task.lags, task.last)
    usual = task.usual(matrix)
    every = max(1, len(matrix) // _MOST_SMOOTHED)
    some = matrix[::every]
    targets = future[::every]
    options = [Smoothing(columns, steps, *values, usual, ()) for values in _GRID]
    errors = [_absolute_error(option.centre(some), targets) for option in options]
    core = options[int(np.argmin(errors))]
    return task.model(replace(core, spread=_spread(future - core.centre(matrix))))


def _suggest_ridge(trial: "optuna.Trial") -> Params:
    return {
        "of": trial.suggest_categorical("of", [DIFFERENCE, LEVEL]),
        "penalty": trial.suggest_float("penalty", 1e-4, 10.0, log=True),
    }


def _fit_ridge(
    params: Mapping[str, Any], task: Task, matrix: Floats, future: Floats, seed: int
) -> FittedForecast:
    """Fit ridge regression and its residuals. `penalty`: per row, of scaled columns."""
    last, pairs, seen = task.see(params)
    usual = task.usual(matrix)
    rows = moved(matrix, pairs)
    dense = Dense.fit(task.columns, rows, scaled=True, chosen=seen)
    target = _target(future, matrix, last, usual)
    weights, intercepts = _solve_ridge(float(params["penalty"]), dense.encode(rows), target)
    core = LinearForecaster(dense, weights, intercepts, last, usual, (), pairs)
    return task.model(replace(core, spread=_spread(future - core.centre(matrix))))


def _solve_ridge(
    penalty: float, encoded: Floats, target: Floats
) -> tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]:
    """Return weights and intercept of each lead (column of the target)."""
    rows = None
    weights = []
    intercepts = []
    with _find_pools().limit(limits=1):
        for values in target.T:
            # most leads have a value at the same rows, whose products take most of the time
            has_value = ~np.isnan(values)
            if rows is None or not np.array_equal(rows, has_value):
                rows = has_value
                x = encoded[rows]
                centre = x.mean(axis=0)
                x -= centre
                products = x.T @ x + penalty * len(x) * np.eye(x.shape[1])
            y = values[rows]
            mean = float(y.mean())
            solution = np.linalg.solve(products, x.T @ (y - mean))
            weights.append(tuple(solution.tolist()))
            intercepts.append(mean - float((centre * solution).sum()))
    return tuple(weights), tuple(intercepts)


def _suggest_trees(trial: "optuna.Trial") -> Params:
    return {
        "of": trial.suggest_categorical("of", [DIFFERENCE, LEVEL]),
        "rounds": trial.suggest_int("rounds", 100, 400),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.1, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 4, 31, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 10, 200, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.2, 1.0),
    }


def _fit_trees(
    params: Mapping[str, Any], task: Task, matrix: Floats, future: Floats, seed: int
) -> FittedForecast:
    last, pairs, _ = task.see(params)
    usual = task.usual(matrix)
    leads = tuple(lead / task.leads_ms[-1] for lead in task.leads_ms)
    target = _target(future, matrix, last, usual)
    strongest = task.strongest
    if strongest is None:
        strongest = _strongest_columns(params, task, matrix, future, seed)
    rows, values = _at_leads(moved(matrix, pairs), strongest, leads, target)
    trees = fit_quantiles(
        {key: value for key, value in params.items() if key not in _NOT_OF_TREES}
        # on the few hundred rows with a result finer bins follow chance, and take longer
        | ({"max_bin": 31} if task.anchors else {}),
        rows,
        values,
        task.columns.categorical,
        QUANTILES,
        params["rounds"],
        seed,
    )
    return task.model(Boosted(leads, last, usual, trees, pairs))


def _strongest_columns(
    params: Mapping[str, Any], task: Task, matrix: Floats, future: Floats, seed: int
) -> Positions:
    """Return the positions of the columns from which a short fit of the median gains most, in
    increasing order; all columns that a parameter set sees if these are few."""
    last, pairs, columns = task.see(params)
    seen = np.array(columns)
    if len(seen) <= (2 if task.anchors else 1) * _MOST_COLUMNS:  # results are few: quick fits
        return seen
    target = _target(future, matrix, last, task.usual(matrix))
    matrix = moved(matrix, pairs)
    every = -(-target.size // _ROWS_TO_CHOOSE)
    some = slice(None, None, every)
    rows, values = _at_leads(matrix[some], seen, task.leads_ms, target[some])
    short = fit_quantiles(
        _TO_CHOOSE, rows, values, task.columns.categorical, (0.5,), _ROUNDS_TO_CHOOSE, seed
    )
    gains = short.importance(0)[seen]
    return np.sort(seen[np.argsort(-gains, kind="stable")[:_MOST_COLUMNS]])


def _at_leads(
    matrix: Floats, chosen: Positions, leads: Sequence[float], target: Floats
) -> tuple["csc_matrix", Floats]:
    """Return one row for each row and lead, with the lead as last column, and its value in `target`
    (rows x leads); rows without a value are left out.

    Columns that are not chosen are 0 in every row, so that no tree can use them and they cost
    neither time nor memory.
    """
    from scipy.sparse import csc_matrix  # noqa: PLC0415 - only a training needs it

    lead, row = np.nonzero(~np.isnan(target.T))
    columns = [*(matrix[row, column] for column in chosen), np.asarray(leads)[lead]]
    filled = np.zeros(matrix.shape[1] + 1, np.int64)
    filled[[*chosen, -1]] = len(row)
    places = np.tile(np.arange(len(row)), len(columns))
    ends = np.concatenate([[0], np.cumsum(filled)])
    shape = (len(row), matrix.shape[1] + 1)
    return csc_matrix((np.concatenate(columns), places, ends), shape), target[row, lead]


def _target(future: Floats, matrix: Floats, last: int | None, usual: float) -> Floats:
    if last is None:
        return future
    before = matrix[:, [last]]
    return future - np.where(np.isnan(before), usual, before)


def _absolute_error(centre: Floats, values: Floats) -> float:
    off = np.abs(values - centre)
    return float(off[~np.isnan(off)].mean()) if not np.isnan(off).all() else 0.0


def _spread(residuals: Floats) -> tuple[tuple[float, ...], ...]:
    """Return the quantiles of the residuals (rows x leads) at each lead; 0 for a lead without
    residuals."""
    return tuple(
        tuple(np.quantile(values, QUANTILES).tolist())
        if len(values := column[~np.isnan(column)])
        else (0.0,) * len(QUANTILES)
        for column in residuals.T
    )


# from the simplest on: the mean of four results hides most noise of their measurement
_BEGINS: Sequence[Params] = (
    {"of": DIFFERENCE, "results": LAST_RESULTS},
    {"of": LEVEL, "results": LAST_RESULTS},
    {"of": DIFFERENCE, "results": 2},
    {"of": DIFFERENCE, "results": 1},
)


FORECASTERS: Mapping[str, Forecaster] = {
    forecaster.name: forecaster
    for forecaster in (
        Forecaster(
            PERSISTENCE, partial(_fit_naive, lambda task: (task.last,) * len(task.leads_ms))
        ),
        Forecaster(MEAN, _fit_mean),
        Forecaster(SEASONAL, partial(_fit_naive, lambda task: task.seasonal)),
        Forecaster("smoothing", _fit_smoothing),
        Forecaster(
            "ridge",
            _fit_ridge,
            [
                {"of": kind, "penalty": penalty}
                for penalty in (0.01, 0.1, 0.001)
                for kind in (DIFFERENCE, LEVEL)
            ],
            [{"penalty": penalty} for penalty in (0.3, 0.1, 1.0, 0.03)],
            _suggest_ridge,
            begins=[
                {**begin, "windows": windows}
                for begin in _BEGINS
                for windows in (ALL, "long", "short", "last")
            ],
        ),
        Forecaster(
            "boosted_trees",
            _fit_trees,
            [
                {
                    "of": kind,
                    "rounds": rounds,
                    "num_leaves": leaves,
                    "learning_rate": 0.05,
                    "min_data_in_leaf": 30,
                    "feature_fraction": 0.5,
                }
                for kind, rounds, leaves in (
                    (DIFFERENCE, 150, 15),
                    (LEVEL, 150, 15),
                    (DIFFERENCE, 300, 8),
                )
            ],
            [
                {
                    **begin,
                    "windows": ALL,
                    "rounds": rounds,
                    "num_leaves": leaves,
                    "learning_rate": rate,
                    "min_data_in_leaf": 10,
                    "feature_fraction": share,
                }
                for begin, rounds, leaves, rate, share in (
                    (_BEGINS[0], 100, 4, 0.05, 0.5),
                    (_BEGINS[1], 100, 4, 0.05, 0.5),
                    (_BEGINS[1], 200, 7, 0.08, 0.3),
                    (_BEGINS[2], 100, 4, 0.05, 0.5),
                )
            ],
            _suggest_trees,
            PACKAGES,
            _strongest_columns,
        ),
    )
}


def find_forecaster(name: str) -> Forecaster:
    """Return a forecaster by its name. Raises UserError if there is none."""
    if name not in FORECASTERS:
        raise UserError(f"there is no forecaster {name!r}; there are {', '.join(FORECASTERS)}")
    return FORECASTERS[name]
