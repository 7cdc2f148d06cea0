"""A trained model as an ONNX graph, from features to probability, in 64-bit numbers.

The graph is written from the model's own trees and weights, not by converters of libraries: these
know neither the encoding of the columns nor calibration, and compare in 32 bits. It
needs a runtime of `ai.onnx.ml` 5 (operator TreeEnsemble with 64-bit numbers), such as onnxruntime
1.21.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from alerting.definitions.faults import UserError
from alerting.definitions.fields.learning import BUILT_IN
from alerting.learning.features.plan import FARTHEST, Dense, Encoding
from alerting.learning.models.trained import (
    CATEGORICAL,
    DEFAULT_LEFT,
    NAN_IS_MISSING,
    ZERO_IS_MISSING,
    Estimator,
    TrainedModel,
    Trees,
    WeightedSum,
)

INPUT = "features"
OUTPUT = "probability"
_ML = "ai.onnx.ml"
# numbers of modes and of an aggregation of TreeEnsemble
AT_MOST = 0
_MEMBER = 6
_SUM = 1


@runtime_checkable
class WithFormula(Protocol):
    """A fitted model that is trees or a weighted sum; others have no graph."""

    @property
    def formula(self) -> Trees | WeightedSum:
        """Return the form of the margin."""


def onnx_graph(model: TrainedModel) -> bytes:
    """Return the bytes of a model's ONNX file. Raises UserError for other families.

    Input `features`: (rows x columns), as `Columns.matrix` makes it: a category is the number of
    its level, a missing value NaN. Output `probability`: (rows x 1). The properties of the file
    name the columns, their levels and the threshold.
    """
    graph = Graph()
    matrix = graph.add("Where", graph.add("IsInf", INPUT), graph.constant(np.array(np.nan)), INPUT)
    scaled = graph.add(
        "Mul",
        _member_margin(graph, model.estimator, matrix),
        graph.constant(-model.calibration.slope),
    )
    small = graph.add("Exp", graph.add("Add", scaled, graph.constant(-model.calibration.intercept)))
    unity = graph.constant(1.0)
    graph.add("Div", unity, graph.add("Add", small, unity), name=OUTPUT)
    columns = model.estimator.columns
    properties = {
        "definition": model.definition,
        "revision": str(model.revision),
        "hash": model.hash,
        "training_cutoff": model.training_cutoff.isoformat(),
        "threshold": repr(model.threshold),
        "columns": json.dumps(columns.names),
        "levels": json.dumps({name: list(levels) for name, levels in columns.levels.items()}),
    }
    return graph.to_bytes(len(columns.names), OUTPUT, properties)


class Graph:
    """Nodes and constants under construction."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def add(
        self,
        operator: str,
        *inputs: str,
        name: str | None = None,
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Add a node; return the name of its result."""
        name = name or f"r{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], domain=domain, **attributes))
        return name

    def constant(self, values: npt.ArrayLike, dtype: npt.DTypeLike = np.float64) -> str:
        """Add a constant; return its name."""
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def columns(self, matrix: str, positions: Sequence[int]) -> str:
        """Add the choice of some columns of a matrix."""
        return self.add("Gather", matrix, self.constant(positions, np.int64), axis=1)

    def add_trees(
        self, matrix: str, integers: Mapping[str, npt.ArrayLike], tensors: Mapping[str, Any]
    ) -> str:
        """Add the sum of the leaves, of one target, in which each row ends: attributes of
        `TreeEnsemble` by name."""
        attributes: dict[str, Any] = {
            name: np.asarray(values, np.int64).tolist() for name, values in integers.items()
        }
        attributes |= {
            name: numpy_helper.from_array(array, name) for name, array in tensors.items()
        }
        attributes["leaf_targetids"] = [0] * len(tensors["leaf_weights"])
        return self.add(
            "TreeEnsemble", matrix, domain=_ML, n_targets=1, aggregate_function=_SUM, **attributes
        )

    def to_bytes(self, width: int, result: str, properties: Mapping[str, str]) -> bytes:
        """Return the finished graph as a file: from `features` (rows x width) to a `result`
        (rows x 1). `properties`: texts by name."""
        ends = (
            [helper.make_tensor_value_info(INPUT, TensorProto.DOUBLE, ["rows", width])],
            [helper.make_tensor_value_info(result, TensorProto.DOUBLE, ["rows", 1])],
        )
        graph = helper.make_graph(self._nodes, "alerting", *ends, self._constants)
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid(_ML, 5)]
        made = helper.make_model(
            graph, opset_imports=opsets, ir_version=10, producer_name="alerting"
        )
        helper.set_model_props(made, dict(properties))
        onnx.checker.check_model(made)
        return bytes(made.SerializeToString())


def _member_margin(graph: Graph, member: Estimator, matrix: str) -> str:
    if not isinstance(member.model, WithFormula):
        raise UserError(
            f"a model of family {member.family} has no ONNX graph; those of these families have: "
            f"{', '.join(BUILT_IN)}"
        )
    formula = member.model.formula
    encoded = _encode(graph, member.encoding, matrix, len(member.columns.names))
    if isinstance(formula, Trees):
        return _trees(graph, formula, encoded)
    weighted = graph.add("Mul", encoded, graph.constant(formula.weights))
    total = graph.add("ReduceSum", weighted, graph.constant([1], np.int64))
    return graph.add("Add", total, graph.constant(formula.intercept))


def _encode(graph: Graph, encoding: Encoding, matrix: str, width: int) -> str:
    if encoding.columns is not None:
        matrix = graph.columns(matrix, encoding.columns)
        width = len(encoding.columns)
    full = plain = matrix
    if encoding.dense is not None:
        medians = np.full(width, np.nan)
        medians[list(encoding.dense.numbers)] = encoding.dense.medians
        full = graph.add("Where", graph.add("IsNaN", matrix), graph.constant(medians), matrix)
        plain = _expand(graph, encoding.dense, matrix, full)
    if not encoding.pairs.positions:
        return plain
    first = graph.columns(full, [position for position, _ in encoding.pairs.positions])
    second = graph.columns(full, [position for _, position in encoding.pairs.positions])
    return graph.add(
        "Concat", plain, graph.add("Mul", first, second), graph.add("Sub", first, second), axis=1
    )


def _expand(graph: Graph, dense: Dense, matrix: str, full: str) -> str:
    """Add what `Dense.encode` does. `full`: the matrix with medians for missing numbers."""
    parts = [graph.columns(full, dense.numbers)]
    if dense.flagged:
        parts.append(
            graph.add(
                "Cast",
                graph.add("IsNaN", graph.columns(matrix, dense.flagged)),
                to=TensorProto.DOUBLE,
            )
        )
    for column, count in dense.categories:
        is_level = graph.add(
            "Equal", graph.columns(matrix, [column]), graph.constant(np.arange(count))
        )
        parts.append(graph.add("Cast", is_level, to=TensorProto.DOUBLE))
    raw = graph.add("Concat", *parts, axis=1)
    if not dense.scale:
        return raw
    centred = graph.add("Sub", raw, graph.constant(dense.mean))
    scaled = graph.add("Div", centred, graph.constant(dense.scale))
    return graph.add("Clip", scaled, graph.constant(-FARTHEST), graph.constant(FARTHEST))


def _trees(graph: Graph, trees: Trees, encoded: str) -> str:
    if trees.single:
        encoded = graph.add(
            "Cast", graph.add("Cast", encoded, to=TensorProto.FLOAT), to=TensorProto.DOUBLE
        )
    is_category = trees.decision & CATEGORICAL != 0
    missing = trees.decision & (ZERO_IS_MISSING | NAN_IS_MISSING)
    if (~is_category & (missing == ZERO_IS_MISSING)).any():
        raise UserError("a model to which zeros are missing values has no ONNX graph")
    missing_left = (
        np.where(
            missing == NAN_IS_MISSING, trees.decision & DEFAULT_LEFT != 0, trees.threshold >= 0
        )
        & ~is_category
    )
    inner = len(trees.feature)
    counts = [*map(len, trees.left_child)]
    first = np.cumsum([0, *counts])[:-1]
    first_leaf = np.cumsum([0, *map(len, trees.value)])[:-1]
    # trees of one leaf: each gets a node that leads to it on both sides
    alone = first_leaf[np.array(counts) == 0]
    none = np.zeros_like(alone)

    def number_children(side: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
        """Return the number of each child among the nodes, or leaves, of all trees."""
        return np.concatenate(
            [
                np.where(child < 0, ~child + leaf, child + node)
                for child, node, leaf in zip(side, first, first_leaf, strict=True)
            ]
        )

    integers: dict[str, Sequence[Any]] = {
        "tree_roots": [
            *first[np.array(counts) > 0],
            *range(inner, inner + len(alone)),
        ],
        "nodes_featureids": [*trees.feature, *none],
        "nodes_missing_value_tracks_true": [*missing_left, *none],
        "nodes_truenodeids": [*number_children(trees.left_child), *alone],
        "nodes_trueleafs": [*(np.concatenate(trees.left_child) < 0), *(none + 1)],
        "nodes_falsenodeids": [*number_children(trees.right_child), *alone],
        "nodes_falseleafs": [*(np.concatenate(trees.right_child) < 0), *(none + 1)],
    }
    tensors = {
        "nodes_splits": np.array([*np.where(is_category, 0.0, trees.threshold), *none], np.float64),
        "nodes_modes": np.array(
            [*np.where(is_category, _MEMBER, AT_MOST), *(none + AT_MOST)], np.uint8
        ),
        "leaf_weights": np.asarray(np.concatenate(trees.value), np.float64),
    }
    if is_category.any():
        members: list[float] = []
        for words in trees.categories:
            is_left = (words[:, None] >> np.arange(32)) & 1
            members += [*np.flatnonzero(is_left.ravel()).astype(np.float64), np.nan]
        tensors["membership_values"] = np.array(members, np.float64)
    return graph.add_trees(encoded, integers, tensors)
