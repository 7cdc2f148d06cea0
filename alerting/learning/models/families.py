"""The model families: what they try, and how they are fitted."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import optuna
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from alerting.definitions.model import Family
from alerting.learning.features.encoding import NO_PAIRS, Columns, Dense, Floats, Pairs
from alerting.learning.models.estimator import ALL_THREADS, SMALL, Blend, Estimator, threads_for
from alerting.learning.models.seed_average import average

Labels = npt.NDArray[np.int8]
Params = dict[str, Any]
AfterTrees = Callable[[int], bool]  # told how many trees have grown, or steps of a linear model were done; False: enough
Watched = tuple[Floats, Labels, Floats | None]  # rows that LightGBM is judged by while it grows, their labels and weights
MOST_ROUNDS = 300
PATIENCE = 50
ROUNDS_UNWATCHED = 100  # of a model whose number of trees nobody has searched
ROUNDS_TO_TELL = 40  # enough to see which columns tell the most
BATCH, LARGE_BATCH = 10, 2  # trees of a forest between two looks at the time, on a small and on a large table
MOST_STEPS = 50  # of Newton's method, which needs about ten
AVERAGED = 3  # models whose mean is taken
SEED_STEP = 1_000_003  # between their seeds: far from the seeds that people choose next to each other
FEW_NEGATIVES = 0.25  # share of the rows without a problem that a tree may see; it sees all others, and takes a third of the time
MOST_PAIRED = 6  # columns whose products and differences a trial may add


def default_params(family: Family) -> Params:
    """The proven default of a family: the first trial of every search."""
    return dict(_DEFAULTS[family])


def proven_params(family: Family) -> list[Params]:
    """The default, and then sets that differ much from it and from each other: each is best for another sort of data."""
    return [default_params(family) | other for other in ({}, *_OTHERS[family])]


def suggest_params(family: Family, trial: optuna.Trial) -> Params:
    """One parameter set of a family."""
    return _SUGGEST[family](trial)


def searched_params(family: Family, params: Mapping[str, Any]) -> Params:
    """Those of the parameters that trials vary."""
    return {name: value for name, value in params.items() if name in _SEARCHED[family]}


def fit_estimator(
    family: Family,
    params: Mapping[str, Any],
    columns: Columns,
    matrix: Floats,
    label: Labels,
    seed: int,
    weight: Floats | None = None,
    threads: int = ALL_THREADS,
    after_trees: AfterTrees | None = None,
) -> Estimator:
    """Fit one family on the rows of a matrix made by `columns`; both classes must be present.

    `params["rounds"]` fixes LightGBM's trees. `weight`: how much each row counts. `after_trees` is asked after each tree of
    LightGBM, every few of a forest and each step of a linear model.
    The same arguments give the same model, whatever the number of threads.
    """
    if family == "lightgbm":
        most = int(params.get("rounds", ROUNDS_UNWATCHED))
        return _grow_lightgbm(params, columns, matrix, label, seed, weight, threads, most, after_trees=after_trees)
    dense = Dense.fit(columns, matrix)
    if family == "random_forest":
        pairs = _telling_pairs(params, columns, matrix, label, seed, weight, threads, after_trees)
        unfitted = Estimator(family, None, columns, dense, pairs)
        return replace(unfitted, model=_grow_forest(params, unfitted.encode(matrix), label, seed, weight, threads, after_trees))
    return Estimator(family, _fit_linear(params, dense.scaled(matrix), label, weight, after_trees), columns, dense)


def fit_steadily(
    family: Family,
    params: Mapping[str, Any],
    columns: Columns,
    matrix: Floats,
    label: Labels,
    seed: int,
    weight: Floats | None = None,
) -> Estimator:
    """As `fit_estimator`, but LightGBM on a small table is the mean of three models that differ by their seeds alone.

    What one of them learned by chance the others did not. Large tables leave little to chance; a forest is a mean already.
    """
    first = fit_estimator(family, params, columns, matrix, label, seed, weight)
    if family != "lightgbm" or matrix.size > SMALL:
        return first
    rounds = int(params.get("rounds", ROUNDS_UNWATCHED))
    seeds = [(seed + k * SEED_STEP) % 2**31 for k in range(1, AVERAGED)]
    others = [_grow_lightgbm(params, columns, matrix, label, s, weight, ALL_THREADS, rounds, pairs=first.pairs) for s in seeds]
    return replace(first, model=average([first.model, *(other.model for other in others)]))


def fit_watched(
    params: Mapping[str, Any],
    columns: Columns,
    matrix: Floats,
    label: Labels,
    seed: int,
    watched: Watched,
    weight: Floats | None = None,
    most_rounds: int = MOST_ROUNDS,
    after_trees: AfterTrees | None = None,
) -> tuple[Estimator, Floats]:
    """LightGBM, and the average precision on `watched` (a later stretch with both classes) after each of its trees.

    It stops growing when that has not improved for 50 trees.
    """
    curve: dict[str, dict[str, list[float]]] = {}
    callbacks = [lightgbm.record_evaluation(curve), lightgbm.early_stopping(PATIENCE, verbose=False)]
    estimator = _grow_lightgbm(
        params, columns, matrix, label, seed, weight, ALL_THREADS, most_rounds, callbacks, watched, after_trees=after_trees
    )
    return estimator, np.asarray(curve["valid_0"]["average_precision"], np.float64)


def trees_of(estimator: Estimator) -> int:
    """How many trees a LightGBM model or a forest has, or after how many steps a linear model was taken."""
    if estimator.family == "lightgbm":
        return int(estimator.model.num_trees())
    return len(estimator.model.estimators_) if estimator.family == "random_forest" else int(estimator.model.n_iter_[0])


def importance(estimator: Estimator | Blend) -> Floats:
    """Share of each column in what the model learned (gain, impurity or absolute weight); adds up to 1 unless all are 0."""
    if isinstance(estimator, Blend):
        shares = [w * importance(member) for member, w in zip(estimator.members, estimator.weights, strict=True)]
        return np.asarray(sum(shares), np.float64)
    model = estimator.model
    if estimator.family == "lightgbm":
        weight = np.asarray(model.feature_importance("gain"), np.float64)
    else:
        weight = np.abs(model.coef_[0]) if estimator.family == "logistic_regression" else model.feature_importances_
    raw = estimator.by_column(weight)
    total = raw.sum()
    return raw / total if total > 0 else raw


def _grow_lightgbm(
    params: Mapping[str, Any],
    columns: Columns,
    matrix: Floats,
    label: Labels,
    seed: int,
    weight: Floats | None,
    threads: int,
    rounds: int,
    callbacks: Sequence[Callable[[Any], None]] = (),
    watched: Watched | None = None,
    pairs: Pairs | None = None,
    after_trees: AfterTrees | None = None,
) -> Estimator:
    if pairs is None:
        pairs = _telling_pairs(params, columns, matrix, label, seed, weight, threads, after_trees)
    expanded = pairs.expand(matrix)
    settings = {
        "objective": "binary",
        "metric": "average_precision",
        "verbosity": -1,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads or threads_for(matrix),
        "bagging_freq": 1,
        **{key: value for key, value in params.items() if key not in ("rounds", "pairs")},
    }
    data = lightgbm.Dataset(
        expanded,
        label,
        weight=weight,
        categorical_feature=list(columns.categorical),
        params={"verbosity": -1},
        feature_name=[f"c{i}" for i in range(expanded.shape[1])],  # its text format knows neither spaces nor colons in names
    )
    valid = [data.create_valid(pairs.expand(watched[0]), watched[1], watched[2])] if watched else None
    booster = lightgbm.train(settings, data, rounds, valid_sets=valid, callbacks=[*_asking(after_trees), *callbacks])
    return Estimator("lightgbm", booster, columns, None, pairs)


def _telling_pairs(
    params: Mapping[str, Any],
    columns: Columns,
    matrix: Floats,
    label: Labels,
    seed: int,
    weight: Floats | None,
    threads: int,
    after_trees: AfterTrees | None,
) -> Pairs:
    """Pairs of the `params["pairs"]` columns that tell a short default LightGBM the most; `after_trees` is told 0 trees."""
    most = int(params.get("pairs", 0))
    if not most:
        return NO_PAIRS
    asked = None if after_trees is None else lambda _: after_trees(0)
    default = default_params("lightgbm")
    plain = _grow_lightgbm(default, columns, matrix, label, seed, weight, threads, ROUNDS_TO_TELL, after_trees=asked)
    return Pairs.among(columns, importance(plain), most)


def _asking(after_trees: AfterTrees | None) -> list[Callable[[Any], None]]:
    """LightGBM's callback that stops when it is told that there are enough trees."""
    if after_trees is None:
        return []

    def ask(environment: Any) -> None:
        if not after_trees(environment.iteration + 1):
            raise lightgbm.callback.EarlyStopException(environment.iteration, environment.evaluation_result_list)

    ask.order = 40  # type: ignore[attr-defined]  # after the evaluation of this tree is recorded
    return [ask]


def _grow_forest(
    params: Mapping[str, Any],
    encoded: Floats,
    label: Labels,
    seed: int,
    weight: Floats | None,
    threads: int,
    after_trees: AfterTrees | None,
) -> RandomForestClassifier:
    """Grown in batches: the same trees as all at once."""
    wanted = int(params["n_estimators"])
    total, positive = (float(len(label)), label.sum()) if weight is None else (weight.sum(), weight[label == 1].sum())
    balanced = {0: total / (2 * (total - positive)), 1: total / (2 * positive)}
    settings = {key: value for key, value in params.items() if key != "pairs"}
    settings["class_weight"] = balanced if params["class_weight"] == "balanced" else None
    forest = RandomForestClassifier(**settings, random_state=seed, n_jobs=threads or -1, warm_start=True)
    batch = BATCH if encoded.size <= SMALL else LARGE_BATCH
    for grown in range(batch, wanted + batch, batch):
        forest.set_params(n_estimators=min(grown, wanted)).fit(encoded, label, weight)
        if after_trees is not None and not after_trees(len(forest.estimators_)):
            break
    # one thread from here: several would add up the votes in any order, and the last bits would differ
    return forest.set_params(n_jobs=1, warm_start=False)


def _fit_linear(
    params: Mapping[str, Any], encoded: Floats, label: Labels, weight: Floats | None, after_steps: AfterTrees | None
) -> LogisticRegression:
    """By Newton's method, step by step: it keeps nothing but the coefficients, so it can be stopped in between."""
    linear = LogisticRegression(**params, solver="newton-cholesky", warm_start=True, max_iter=1)
    step, goes_on = 0, True
    while goes_on and step < MOST_STEPS:
        with threadpool_limits(limits=1), warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            linear.fit(encoded, label, weight)  # sums of several threads differ in the last bits
        step += 1
        converged = not any(issubclass(warning.category, ConvergenceWarning) for warning in told)
        goes_on = not converged and (after_steps is None or after_steps(step))
    linear.n_iter_ = np.array([step], np.int32)
    return linear.set_params(warm_start=False)


def _suggest_lightgbm(trial: optuna.Trial) -> Params:
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 3, 63, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 3, 200, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.2, 1.0),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 1.0),
        "lambda_l2": trial.suggest_float("lambda_l2", 0.01, 100.0, log=True),
        "neg_bagging_fraction": trial.suggest_categorical("neg_bagging_fraction", [1.0, FEW_NEGATIVES]),
        "extra_trees": trial.suggest_categorical("extra_trees", [False, True]),
        "pairs": trial.suggest_categorical("pairs", [0, MOST_PAIRED]),
    }


def _suggest_forest(trial: optuna.Trial) -> Params:
    return {
        "n_estimators": 100,
        "max_samples": 0.7,
        "max_depth": trial.suggest_int("max_depth", 6, 16),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 2, 50, log=True),
        "max_features": trial.suggest_categorical("max_features", ["sqrt", 0.2, 0.3]),
        "class_weight": trial.suggest_categorical("class_weight", [None, "balanced"]),
        "pairs": trial.suggest_categorical("pairs", [0, MOST_PAIRED]),
    }


def _suggest_logistic(trial: optuna.Trial) -> Params:
    return {
        "C": trial.suggest_float("C", 1e-4, 10.0, log=True),
        "class_weight": trial.suggest_categorical("class_weight", [None, "balanced"]),
    }


_SUGGEST: Mapping[Family, Callable[[optuna.Trial], Params]] = {
    "lightgbm": _suggest_lightgbm,
    "random_forest": _suggest_forest,
    "logistic_regression": _suggest_logistic,
}
_DEFAULTS: Mapping[Family, Params] = {
    "lightgbm": {
        "learning_rate": 0.05,
        "num_leaves": 31,
        "min_data_in_leaf": 20,
        "feature_fraction": 0.7,
        "bagging_fraction": 0.8,
        "lambda_l2": 1.0,
        "neg_bagging_fraction": 1.0,
        "extra_trees": False,
        "pairs": 0,
    },
    "random_forest": {
        "n_estimators": 100,
        "max_samples": 0.7,
        "max_depth": 12,
        "min_samples_leaf": 5,
        "max_features": "sqrt",
        "class_weight": None,
        "pairs": 0,
    },
    "logistic_regression": {"C": 0.01, "class_weight": None},
}
_OTHERS: Mapping[Family, Sequence[Params]] = {
    "lightgbm": (
        {"pairs": MOST_PAIRED},  # causes that multiply or differ: a power, a temperature against another
        {"num_leaves": 8, "feature_fraction": 0.3, "neg_bagging_fraction": FEW_NEGATIVES},  # problems too few to learn by heart
        {"extra_trees": True},  # many columns that say nearly the same
    ),
    "random_forest": (
        {"pairs": MOST_PAIRED, "min_samples_leaf": 2, "max_depth": 16, "max_features": 0.3},
        {"min_samples_leaf": 20, "class_weight": "balanced"},
    ),
    "logistic_regression": ({"class_weight": "balanced"},),
}
_SEARCHED: Mapping[Family, frozenset[str]] = {
    "lightgbm": frozenset(_DEFAULTS["lightgbm"]),
    "random_forest": frozenset(_DEFAULTS["random_forest"]) - {"n_estimators", "max_samples"},
    "logistic_regression": frozenset(_DEFAULTS["logistic_regression"]),
}
