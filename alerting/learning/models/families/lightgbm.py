"""LightGBM: gradient boosted trees; on a small table the mean of three boosters with different
seeds."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from alerting.deferred import lightgbm
from alerting.learning.features.column_pairs import NO_PAIRS, ColumnPairs
from alerting.learning.features.plan import Columns, Encoding
from alerting.learning.models.families.contract import LabelledRows, ModelFamily, Params
from alerting.learning.models.trained import (
    ALL_THREADS,
    CATEGORICAL,
    SMALL,
    Estimator,
    Trees,
    threads_for,
)
from alerting.readings.history import Floats

if TYPE_CHECKING:
    import optuna

MOST_ROUNDS = 300
PATIENCE = 50
ROUNDS_UNWATCHED = 100  # of a model whose number of trees no search has chosen
ROUNDS_FOR_PAIRS = 40  # enough to rank the columns
AVERAGED = 3
# Distance of the seeds of averaged models: far from the adjacent seeds that people choose.
SEED_STEP = 1_000_003
# Share of the rows without a problem that a tree may see; it sees all others. This takes a third of
# the time.
FEW_NEGATIVES = 0.25
# Memory of the histograms of a tree; without a limit thousands of columns take gigabytes.
HISTOGRAMS_MIB = 1024
MOST_PAIRED = 6  # columns whose products and differences a trial may add
MOST_TABLES = 32  # tables whose gains stay in memory: the folds of several searches
_gains: dict[bytes, Floats] = {}


@dataclass(frozen=True)
class Boosters:
    """Fitted boosters, or their texts, which LightGBM reads at the first use, so that a model that
    does not serve costs nothing."""

    fitted: Sequence[lightgbm.Booster] = ()
    texts: Sequence[bytes] = ()

    @cached_property
    def boosters(self) -> Sequence[lightgbm.Booster]:
        """Return the boosters."""
        return self.fitted or [lightgbm.Booster(model_str=t.decode("ascii")) for t in self.texts]

    def fitted_bytes(self) -> Iterable[bytes]:
        """Return the text of the trees of each booster, as it was read: another text of the trees
        is another hash."""
        return self.texts or [trees_text(booster).encode() for booster in self.fitted]

    def files(self) -> dict[str, bytes]:
        """Return one text file for each booster."""
        return {f"model-{i}.txt": text for i, text in enumerate(self.fitted_bytes())}


class BoosterMean(Boosters):
    """The mean of the margins, contributions and importance of one or several boosters."""

    margin_is_probability = False

    def margin(self, encoded: Floats, rounds: int | None = None) -> Floats:
        """Return the log-odds of each row; only from the first `rounds` trees, if given."""
        return self._mean(encoded, threads_for(encoded), raw_score=True, num_iteration=rounds)

    def contributions(self, encoded: Floats) -> tuple[Floats, float]:
        """Return each column's Tree SHAP value for the one row, and the expected margin."""
        shares = self._mean(encoded, 1, pred_contrib=True)[0]
        return shares[:-1], float(shares[-1])

    def importance(self) -> Floats:
        """Return the gain of each encoded column."""
        gains = [
            np.asarray(booster.feature_importance("gain"), np.float64) for booster in self.boosters
        ]
        return np.asarray(np.mean(gains, axis=0), np.float64)

    @property
    def formula(self) -> Trees:
        """Return the trees."""
        return trees_of_texts([trees_text(booster) for booster in self.boosters])

    def _mean(self, encoded: Floats, threads: int, **how: Any) -> Floats:
        predictions = [
            np.asarray(booster.predict(encoded, num_threads=threads, **how), np.float64)
            for booster in self.boosters
        ]
        return np.asarray(sum(predictions[1:], predictions[0]) / len(self.boosters), np.float64)


class LightGbm(ModelFamily):
    """Gradient boosted trees. `params["rounds"]` fixes the number of trees."""

    name = "lightgbm"
    packages = ("lightgbm",)
    defaults = {  # noqa: RUF012
        "learning_rate": 0.05,
        "num_leaves": 31,
        "min_data_in_leaf": 20,
        "feature_fraction": 0.7,
        "bagging_fraction": 0.8,
        "lambda_l2": 1.0,
        "neg_bagging_fraction": 1.0,
        "extra_trees": False,
        "pairs": 0,
    }
    of_lives = {"rounds": 150, "num_leaves": 15, "min_data_in_leaf": 50}  # noqa: RUF012
    alternatives = (
        # causes that multiply or differ: a power, a temperature against another
        {"pairs": MOST_PAIRED},
        # problems too few to learn by heart
        {"num_leaves": 8, "feature_fraction": 0.3, "neg_bagging_fraction": FEW_NEGATIVES},
        {"extra_trees": True},  # many columns with nearly the same content
    )

    def suggest(self, trial: "optuna.Trial") -> Params:
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
            "num_leaves": trial.suggest_int("num_leaves", 3, 63, log=True),
            "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 3, 200, log=True),
            "feature_fraction": trial.suggest_float("feature_fraction", 0.2, 1.0),
            "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 1.0),
            "lambda_l2": trial.suggest_float("lambda_l2", 0.01, 100.0, log=True),
            "neg_bagging_fraction": trial.suggest_categorical(
                "neg_bagging_fraction", [1.0, FEW_NEGATIVES]
            ),
            "extra_trees": trial.suggest_categorical("extra_trees", [False, True]),
            "pairs": trial.suggest_categorical("pairs", [0, MOST_PAIRED]),
        }

    def fit(
        self,
        params: Mapping[str, Any],
        columns: Columns,
        rows: LabelledRows,
        seed: int,
        threads: int = ALL_THREADS,
    ) -> Estimator:
        """Fit one booster."""
        pairs = informative_pairs(params, columns, rows, seed, threads)
        return self._estimator(
            [_boost(params, columns, rows, seed, pairs, threads)], columns, pairs
        )

    def fit_with_validation(
        self,
        params: Mapping[str, Any],
        columns: Columns,
        rows: LabelledRows,
        validation: LabelledRows,
        seed: int,
    ) -> tuple[Estimator, Floats]:
        """Fit until the average precision on `validation` stops improving for 50 trees."""
        curve: dict[str, dict[str, list[float]]] = {}
        callbacks = [
            lightgbm.record_evaluation(curve),
            lightgbm.early_stopping(PATIENCE, verbose=False),
        ]
        pairs = informative_pairs(params, columns, rows, seed, ALL_THREADS)
        growing = {**params, "rounds": MOST_ROUNDS}
        booster = _boost(
            growing, columns, rows, seed, pairs, callbacks=callbacks, validation=validation
        )
        return self._estimator([booster], columns, pairs), np.asarray(
            curve["valid_0"]["average_precision"], np.float64
        )

    def fit_final(
        self, params: Mapping[str, Any], columns: Columns, rows: LabelledRows, seed: int
    ) -> Estimator:
        """Fit one booster on a large table, and three on a small one, whose mean depends less on
        chance."""
        pairs = informative_pairs(params, columns, rows, seed, ALL_THREADS)
        count = 1 if rows.matrix.size > SMALL else AVERAGED
        seeds = [(seed + k * SEED_STEP) % 2**31 for k in range(count)]
        return self._estimator(
            [_boost(params, columns, rows, s, pairs) for s in seeds], columns, pairs
        )

    def load(self, files: Mapping[str, bytes], width: int) -> BoosterMean:
        """Read every booster at its first use."""
        return BoosterMean(texts=list(files.values()))

    def _estimator(
        self, boosters: Sequence[lightgbm.Booster], columns: Columns, pairs: ColumnPairs
    ) -> Estimator:
        return Estimator(self.name, BoosterMean(boosters), columns, Encoding(pairs=pairs))


def informative_pairs(
    params: Mapping[str, Any], columns: Columns, rows: LabelledRows, seed: int, threads: int
) -> ColumnPairs:
    """Return all pairs of the `params["pairs"]` columns with the largest gain.

    The gains do not depend on the parameter set that a search tries, so all sets with pairs share
    the gains of a fold.
    """
    most = int(params.get("pairs", 0))
    if not most:
        return NO_PAIRS
    shape = (rows.matrix.shape, columns.categorical, seed, threads, rows.weight is None)
    digest = hashlib.blake2b(repr(shape).encode())
    for part in (rows.matrix, rows.label, rows.weight):
        if part is not None:
            digest.update(np.ascontiguousarray(part).data)
    table = digest.digest()
    gains = _gains.get(table)
    if gains is None:
        short = {**LightGbm.defaults, "rounds": ROUNDS_FOR_PAIRS}
        gains = BoosterMean((_boost(short, columns, rows, seed, NO_PAIRS, threads),)).importance()
        if len(_gains) >= MOST_TABLES:
            _gains.clear()
        _gains[table] = gains
    return ColumnPairs.choose(columns, gains, most)


def trees_text(booster: lightgbm.Booster) -> str:
    """Return the trees alone, without the section that names the number of threads."""
    trees, end, _ = str(booster.model_to_string()).partition("end of trees\n")
    return f"{trees}{end}\npandas_categorical:null\n"


def trees_of_texts(texts: Sequence[str]) -> Trees:
    """Return the trees of several boosters on the same columns as one model, whose margin is the
    mean of theirs."""
    trees = [
        dict(line.split("=", 1) for line in block.strip().split("\n")[1:])
        for text in texts
        for block in text.partition("end of trees")[0].split("Tree=")[1:]
    ]
    columns: dict[str, list[Any]] = {
        name: [np.array(tree.get(name, "").split(), np.float64) for tree in trees]
        for name in (
            *("split_feature", "threshold", "decision_type", "left_child", "right_child"),
            *("leaf_value", "cat_boundaries", "cat_threshold"),
        )
    }
    bits = [
        np.split(words.astype(np.int64), ends[1:-1].astype(np.int64)) if len(words) else []
        for words, ends in zip(columns["cat_threshold"], columns["cat_boundaries"], strict=True)
    ]
    kinds = [part.astype(np.int64) for part in columns["decision_type"]]
    return Trees(
        feature=np.concatenate(columns["split_feature"]).astype(np.int64),
        threshold=np.concatenate(columns["threshold"]),
        decision=np.concatenate(kinds),
        left_child=[part.astype(np.int64) for part in columns["left_child"]],
        right_child=[part.astype(np.int64) for part in columns["right_child"]],
        value=[part / len(texts) for part in columns["leaf_value"]],
        categories=[
            words_of_tree[int(number)]
            for words_of_tree, kind, limits in zip(bits, kinds, columns["threshold"], strict=True)
            for number in limits[(kind & CATEGORICAL) != 0]
        ],
    )


def _boost(
    params: Mapping[str, Any],
    columns: Columns,
    rows: LabelledRows,
    seed: int,
    pairs: ColumnPairs,
    threads: int = ALL_THREADS,
    callbacks: Sequence[Callable[[Any], None]] = (),
    validation: LabelledRows | None = None,
) -> lightgbm.Booster:
    expanded = pairs.expand(rows.matrix)
    settings = {
        "objective": "binary",
        "metric": "average_precision",
        "verbosity": -1,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "histogram_pool_size": HISTOGRAMS_MIB,
        "num_threads": threads or threads_for(rows.matrix),
        "bagging_freq": 1,
        **{key: value for key, value in params.items() if key not in ("rounds", "pairs")},
    }
    data = lightgbm.Dataset(
        expanded,
        rows.label,
        weight=rows.weight,
        categorical_feature=list(columns.categorical),
        params={"verbosity": -1},
        # its text format knows neither spaces nor colons in names
        feature_name=[f"c{i}" for i in range(expanded.shape[1])],
    )
    valid = (
        [data.create_valid(pairs.expand(validation.matrix), validation.label, validation.weight)]
        if validation
        else None
    )
    booster = lightgbm.train(
        settings,
        data,
        int(params.get("rounds", ROUNDS_UNWATCHED)),
        valid_sets=valid,
        callbacks=list(callbacks),
        keep_training_booster=True,  # otherwise early stopping discards the trees after the best
    )
    return booster.free_dataset()


FAMILY = LightGbm()
