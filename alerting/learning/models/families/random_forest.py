"""Random forest: the mean vote of trees grown side by side."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import Tree

from alerting.learning.features.encoding import Columns, Dense, Encoding, Floats
from alerting.learning.models.bounds import BoolArray, Trees, TreesBound
from alerting.learning.models.estimator import ALL_THREADS, Estimator
from alerting.learning.models.families.contract import LabelledRows, ModelFamily, Params
from alerting.learning.models.families.forest_file import (
    FOREST,
    MOST_TREES,
    check_nodes,
    dump_nodes,
    nodes_of,
    read_nodes,
    trees_of,
)
from alerting.learning.models.families.lightgbm import MOST_PAIRED, informative_pairs
from alerting.learning.models.families.sklearn_file import (
    SKLEARN,
    load_checked_sklearn,
    load_sklearn,
)
from alerting.learning.models.trained import ModelRefused

if TYPE_CHECKING:
    import optuna

# columns looked at for one split: with more, fits on hundreds of columns take longer and are no
# better
MOST_PER_SPLIT = 32
# of these parameters, which order sets as well as all trees do in two fifths of the time; the final
# fit has all trees
MOST_TRIED_TREES = 40
SHARE = 0.3  # of the columns, at most MOST_PER_SPLIT; another one is hardly another forest


@dataclass(frozen=True)
class Forest:
    """A fitted forest: scikit-learn's trees."""

    trees: Sequence[Tree]
    margin_is_probability: ClassVar[bool] = True

    def margin(self, encoded: Floats, rounds: int | None = None) -> Floats:
        """Return the mean vote, bit for bit `predict_proba`, whose checks take 5 ms."""
        with np.errstate(over="ignore"):
            rows = np.ascontiguousarray(encoded, np.float32)
        votes = np.zeros(len(rows))
        for tree in self.trees:
            votes += tree.predict(rows)[:, 1]
        return votes / len(self.trees)

    def contributions(self, encoded: Floats) -> tuple[Floats, float]:
        """Return each column's Tree SHAP value for the one row, and the expected margin."""
        found = np.asarray(self._explainer.shap_values(encoded, check_additivity=False), np.float64)
        return found[0, :, 1], float(self._explainer.expected_value[1])

    @cached_property
    def _explainer(self) -> Any:
        import shap  # noqa: PLC0415 - takes a second and 130 MB to import; only forests need it

        return shap.TreeExplainer(self._classifier, feature_perturbation="tree_path_dependent")

    def bound(self, row: Floats, free: BoolArray) -> TreesBound:
        """Return lower bounds of the mean vote over boxes where only free columns differ."""
        return TreesBound(self.formula, row, free)

    @cached_property
    def formula(self) -> Trees:
        """Return the trees."""
        return _trees_of(self.trees)

    def importance(self) -> Floats:
        """Return the mean decrease of impurity by each encoded column."""
        return np.asarray(self._classifier.feature_importances_, np.float64)

    @property
    def _classifier(self) -> RandomForestClassifier:
        """The same as scikit-learn's model, which is not stored."""
        forest = _of_two_classes(RandomForestClassifier(len(self.trees)), self.trees[0])
        forest.estimators_ = [_of_two_classes(DecisionTreeClassifier(), t) for t in self.trees]
        for model, tree in zip(forest.estimators_, self.trees, strict=True):
            model.tree_ = tree
        return forest

    def fitted_bytes(self) -> Iterator[bytes]:
        """Return structure and values of every tree as bytes."""
        for tree in self.trees:
            for part in (
                tree.children_left,
                tree.children_right,
                tree.feature,
                tree.threshold,
                tree.value,
            ):
                yield np.ascontiguousarray(part).tobytes()

    def files(self) -> dict[str, bytes]:
        """Return one array."""
        return {FOREST: dump_nodes(nodes_of(self.trees))}


class RandomForest(ModelFamily):
    """Trees on bootstrap samples of the rows."""

    name = "random_forest"
    packages = ("scikit-learn", "shap", "skops")
    defaults = {  # noqa: RUF012
        "n_estimators": 100,
        "max_samples": 0.5,
        "max_depth": 12,
        "min_samples_leaf": 5,
        "max_features": "sqrt",
        "class_weight": None,
        "pairs": 0,
    }
    alternatives = (
        {"pairs": MOST_PAIRED, "min_samples_leaf": 2, "max_depth": 16, "max_features": SHARE},
        {"min_samples_leaf": 20, "class_weight": "balanced"},
    )
    fixed = frozenset({"n_estimators", "max_samples"})

    def suggest(self, trial: "optuna.Trial") -> Params:
        """Suggest one parameter set of a search."""
        return {
            "n_estimators": self.defaults["n_estimators"],
            "max_samples": self.defaults["max_samples"],
            "max_depth": trial.suggest_int("max_depth", 6, 16),
            "min_samples_leaf": trial.suggest_int("min_samples_leaf", 2, 50, log=True),
            "max_features": trial.suggest_categorical("max_features", ["sqrt", SHARE]),
            "class_weight": trial.suggest_categorical("class_weight", [None, "balanced"]),
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
        """Fit on rows of both classes; balanced classes count the weights of their rows."""
        pairs = informative_pairs(params, columns, rows, seed, threads)
        label = rows.label
        weight = rows.weight
        total = float(len(label)) if weight is None else float(weight.sum())
        positive = float(label.sum() if weight is None else weight[label == 1].sum())
        settings = {key: value for key, value in params.items() if key != "pairs"}
        if params["class_weight"] == "balanced":
            settings["class_weight"] = {
                0: total / (2 * (total - positive)),
                1: total / (2 * positive),
            }
        encoding = Encoding(Dense.fit(columns, rows.matrix, scaled=False), pairs)
        encoded = encoding.encode(rows.matrix)
        if isinstance(share := params["max_features"], float):
            settings["max_features"] = min(max(1, int(share * encoded.shape[1])), MOST_PER_SPLIT)
        forest = RandomForestClassifier(**settings, random_state=seed, n_jobs=threads or -1)
        forest.fit(encoded, label, weight)
        trees = [tree.tree_ for tree in forest.estimators_]
        return Estimator(self.name, Forest(trees), columns, encoding)

    def fit_with_validation(
        self,
        params: Mapping[str, Any],
        columns: Columns,
        rows: LabelledRows,
        validation: LabelledRows,
        seed: int,
    ) -> tuple[Estimator, Floats]:
        """Fit fewer trees than the final model has."""
        few = {**params, "n_estimators": min(params["n_estimators"], MOST_TRIED_TREES)}
        return self.fit(few, columns, rows, seed), np.empty(0)

    def searched_params(self, params: Mapping[str, Any]) -> Params:
        """Return the parameters that trials vary; another share, of an earlier model, as SHARE."""
        found = super().searched_params(params)
        if isinstance(found.get("max_features"), float):
            found["max_features"] = SHARE
        return found

    def load(self, files: Mapping[str, bytes], width: int) -> Forest:
        """Read the forest, and check the structure of every tree."""
        if FOREST in files:
            name = FOREST
            nodes = read_nodes(files[FOREST])
        else:
            name = SKLEARN
            stored = load_sklearn(
                files, RandomForestClassifier, lambda forest: _check_parts(forest, width)
            )
            nodes = nodes_of([tree.tree_ for tree in stored.estimators_])
        check_nodes(nodes, width, name)
        return Forest(trees_of(nodes, width))

    def load_checked(self, files: Mapping[str, bytes], width: int) -> Forest:
        """Read the forest at its first use."""
        return StoredForest(files, width)


class StoredForest(Forest):
    """The same, of a file that was checked before: read at the first use."""

    def __init__(self, files: Mapping[str, bytes], width: int) -> None:
        object.__setattr__(self, "_stored", (dict(files), width))

    @cached_property
    def trees(self) -> Sequence[Tree]:
        """Return the trees."""
        files, width = self.__dict__["_stored"]
        if FOREST in files:
            return trees_of(read_nodes(files[FOREST]), width)
        return [tree.tree_ for tree in load_checked_sklearn(files).estimators_]


def _of_two_classes(model: Any, tree: Tree) -> Any:
    model.classes_ = np.array([0, 1])
    model.n_classes_ = 2
    model.n_outputs_ = 1
    model.n_features_in_ = tree.n_features
    return model


def _trees_of(trees: Sequence[Any]) -> Trees:
    inner = [np.flatnonzero(tree.children_left >= 0) for tree in trees]
    leaves = [np.flatnonzero(tree.children_left < 0) for tree in trees]
    first = np.cumsum([0, *map(len, inner)])
    first_leaf = np.cumsum([0, *map(len, leaves)])
    nodes = int(first[-1])
    parent = np.full(nodes + int(first_leaf[-1]), -1)
    is_left = np.zeros(nodes + int(first_leaf[-1]), np.bool_)
    for number, tree in enumerate(trees):
        position = np.empty(tree.node_count, np.int64)
        position[inner[number]] = first[number] + np.arange(len(inner[number]))
        position[leaves[number]] = nodes + first_leaf[number] + np.arange(len(leaves[number]))
        for side, children in ((True, tree.children_left), (False, tree.children_right)):
            below = position[children[inner[number]]]
            parent[below] = position[inner[number]]
            is_left[below] = side
    votes = [tree.value[own, 0] for tree, own in zip(trees, leaves, strict=True)]
    return Trees(
        feature=np.concatenate(
            [tree.feature[own] for tree, own in zip(trees, inner, strict=True)]
        ).astype(np.int64),
        threshold=np.concatenate(
            [tree.threshold[own] for tree, own in zip(trees, inner, strict=True)]
        ),
        decision=np.zeros(nodes, np.int64),
        parent=parent,
        is_left=is_left,
        value=np.concatenate([vote[:, 1] / vote.sum(axis=1) for vote in votes]) / len(trees),
        first_leaf=first_leaf[:-1],
        bits=np.empty(0, np.int64),
        bits_of=np.zeros((nodes, 2), np.int64),
        single=True,
    )


def _check_parts(forest: RandomForestClassifier, width: int) -> None:
    """Check the trees of a skops file, which earlier versions wrote, but not their nodes."""
    trees = forest.estimators_
    if not isinstance(trees, list) or not 1 <= len(trees) <= MOST_TREES:
        raise ModelRefused(
            f"{SKLEARN} holds a forest without trees, or with more than {MOST_TREES}"
        )
    for tree in trees:
        if type(tree) is not DecisionTreeClassifier:
            raise ModelRefused(f"{SKLEARN} holds a {type(tree).__name__} among its trees")
        if tree.tree_.n_features != width or tree.tree_.value.shape[1:] != (1, 2):
            raise ModelRefused(f"{SKLEARN} holds a tree that is not for {width} columns")


FAMILY = RandomForest()
