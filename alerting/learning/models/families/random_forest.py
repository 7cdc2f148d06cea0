"""Random forest: the mean vote of trees grown side by side."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import NODE_DTYPE, Tree

from alerting.learning.features.plan import Columns, Dense, Encoding
from alerting.learning.models.families.contract import LabelledRows, ModelFamily, Params
from alerting.learning.models.families.lightgbm import MOST_PAIRED, informative_pairs
from alerting.learning.models.trained import ALL_THREADS, Estimator, ModelRefused, Trees
from alerting.readings.history import Floats

if TYPE_CHECKING:
    import optuna

# columns looked at for one split: with more, fits on hundreds of columns take longer and are no
# better
MOST_PER_SPLIT = 32
# Trees of a trial: they order sets of parameters as well as all trees do, in two fifths of the
# time; the final fit has all trees.
MOST_TRIED_TREES = 40
SHARE = 0.3  # of the columns, at most MOST_PER_SPLIT; another one is hardly another forest


FOREST = "forest.npy"
# a node: the number of its tree, scikit-learn's fields, and the shares of both classes in it;
# children are positions in their own tree, the root is its first node
NODE = np.dtype(
    [
        ("tree", "<i4"),
        ("left_child", "<i4"),
        ("right_child", "<i4"),
        ("feature", "<i4"),
        ("threshold", "<f8"),
        ("impurity", "<f8"),
        ("n_node_samples", "<i4"),
        ("weighted_n_node_samples", "<f8"),
        ("missing_go_to_left", "u1"),
        ("value", "<f8", (2,)),
    ]
)


@dataclass(frozen=True)
class Forest:
    """A fitted forest: scikit-learn's trees."""

    trees: Sequence[Tree]
    margin_is_probability: ClassVar[bool] = True

    def margin(self, encoded: Floats, rounds: int | None = None) -> Floats:
        """Return the mean vote, bit for bit as `predict_proba` does, without its checks, which take
        5 ms."""
        with np.errstate(over="ignore"):
            rows = np.ascontiguousarray(encoded, np.float32)
        votes = np.zeros(len(rows))
        for tree in self.trees:
            votes += tree.predict(rows)[:, 1]
        return votes / len(self.trees)

    def contributions(self, encoded: Floats) -> tuple[Floats, float]:
        """Return each column's Tree SHAP value for the one row, and the expected margin."""
        shares = np.asarray(
            self._explainer.shap_values(encoded, check_additivity=False), np.float64
        )
        return shares[0, :, 1], float(self._explainer.expected_value[1])

    @cached_property
    def _explainer(self) -> Any:
        import shap  # noqa: PLC0415 - takes a second and 130 MB to import; only forests need it

        return shap.TreeExplainer(self._classifier, feature_perturbation="tree_path_dependent")

    @property
    def formula(self) -> Trees:
        """Return the trees."""
        left_children = list[Any]()
        right_children = list[Any]()
        values = list[Any]()
        for tree in self.trees:
            leaf = tree.children_left < 0
            number = np.where(leaf, ~(np.cumsum(leaf) - 1), np.cumsum(~leaf) - 1)
            left_children.append(number[tree.children_left[~leaf]])
            right_children.append(number[tree.children_right[~leaf]])
            votes = tree.value[leaf, 0]
            values.append(votes[:, 1] / votes.sum(axis=1) / len(self.trees))
        feature = np.concatenate([t.feature[t.children_left >= 0] for t in self.trees])
        return Trees(
            feature.astype(np.int64),
            np.concatenate([t.threshold[t.children_left >= 0] for t in self.trees]),
            np.zeros(len(feature), np.int64),
            left_children,
            right_children,
            values,
            single=True,
        )

    def importance(self) -> Floats:
        """Return the mean decrease of impurity by each encoded column."""
        return np.asarray(self._classifier.feature_importances_, np.float64)

    @property
    def _classifier(self) -> RandomForestClassifier:
        """Return the forest as scikit-learn's model, which is not stored."""
        forest = _set_two_classes(RandomForestClassifier(len(self.trees)), self.trees[0])
        forest.estimators_ = [_set_two_classes(DecisionTreeClassifier(), t) for t in self.trees]
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
        nodes = np.empty(sum(tree.node_count for tree in self.trees), NODE)
        begin = 0
        for number, tree in enumerate(self.trees):
            tree_nodes = nodes[begin : begin + tree.node_count]
            fields = tree.__getstate__()["nodes"]
            for name in NODE_DTYPE.names:
                tree_nodes[name] = fields[name]
            tree_nodes["tree"] = number
            tree_nodes["value"] = tree.value[:, 0]
            begin += tree.node_count
        data = io.BytesIO()
        np.save(data, nodes, allow_pickle=False)
        return {FOREST: data.getvalue()}


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
        most = np.finfo(np.float32).max  # products of pairs may lie beyond
        encoded = np.clip(encoding.encode(rows.matrix), -most, most)
        share = params["max_features"]
        if isinstance(share, float):
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
        """Return the parameters that trials vary; a share of columns from an earlier model is named
        SHARE."""
        searched = super().searched_params(params)
        if isinstance(searched.get("max_features"), float):
            searched["max_features"] = SHARE
        return searched

    def load(self, files: Mapping[str, bytes], width: int) -> Forest:
        """Read the forest at its first use. Raises ModelRefused without its file."""
        if FOREST not in files:
            raise ModelRefused(f"model files without {FOREST}; train the model again")
        return StoredForest(files[FOREST], width)


class StoredForest(Forest):
    """A `Forest` from a file that is read at the first use."""

    def __init__(self, data: bytes, width: int) -> None:
        object.__setattr__(self, "_stored", (data, width))

    @cached_property
    def trees(self) -> Sequence[Tree]:
        """Return the trees. Raises ModelRefused if they cannot be read."""
        data, width = self.__dict__["_stored"]
        try:
            nodes = np.load(io.BytesIO(data), allow_pickle=False)
            fields = np.zeros(len(nodes), NODE_DTYPE)
            for name in NODE_DTYPE.names:
                fields[name] = nodes[name]
            values = np.ascontiguousarray(nodes["value"])[:, None]
            ends = np.cumsum(np.bincount(nodes["tree"])).tolist()
            return [
                _tree(fields[begin:end], values[begin:end], width)
                for begin, end in pairwise([0, *ends])
            ]
        except (ValueError, KeyError, IndexError, EOFError, TypeError) as fault:
            raise ModelRefused(
                f"model files without a readable {FOREST}; train the model again"
            ) from fault


def _tree(nodes: Any, values: Floats, width: int) -> Tree:
    tree = Tree(width, np.array([2]), 1)
    most = len(nodes)  # nothing here asks for the depth
    tree.__setstate__({"max_depth": most, "node_count": most, "nodes": nodes, "values": values})
    return tree


def _set_two_classes(model: Any, tree: Tree) -> Any:
    model.classes_ = np.array([0, 1])
    model.n_classes_ = 2
    model.n_outputs_ = 1
    model.n_features_in_ = tree.n_features
    return model


FAMILY = RandomForest()
