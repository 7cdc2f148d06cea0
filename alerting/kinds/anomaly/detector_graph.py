"""A fitted detector as an ONNX graph, from features to its score, in 64-bit numbers."""

import json

import numpy as np

from alerting.definitions.faults import UserError
from alerting.kinds.anomaly.detectors import (
    Autoencoder,
    BesideSpreads,
    Detector,
    IsolationTrees,
    LevelsAndSpreads,
    PrincipalComponents,
)
from alerting.kinds.anomaly.model import AnomalyModel
from alerting.kinds.anomaly.normal_rows import FARTHEST, NormalSpace
from alerting.kinds.anomaly.scored_strides import THRESHOLD
from alerting.learning.models.onnx_graph import AT_MOST, INPUT, Graph

OUTPUT = "score"


def detector_graph(model: AnomalyModel, asset: str | None = None) -> bytes:
    """Return the bytes of the ONNX file of an asset's detector.

    Input `features`: (rows x columns). Output `score`: (rows x 1), from 1 on an anomaly; NaN for a
    row with a missing value. Raises UserError for a model of several assets of which none is named,
    for an asset that it does not know, and for one by a category.
    """
    names = ", ".join(sorted(model.by_asset))
    if asset is None and len(model.by_asset) > 1:
        raise UserError(f"the model has learned of several assets: name one of {names}")
    fitted = model.by_asset.get(asset or names)
    if fitted is None:
        raise UserError(f"the model has learned nothing of {asset}, only of {names}")
    if fitted.by is not None:
        raise UserError(f"a model by {fitted.by.name} has no ONNX graph")
    graph = Graph()
    raw = _score(graph, fitted.detector, _encode(graph, fitted.space))
    above = graph.add("Sub", raw, graph.constant(fitted.usual))
    scaled = graph.add("Div", above, graph.constant(fitted.limit - fitted.usual))
    # nothing, but NaN for a row with a missing value
    graph.add("Add", scaled, _sum(graph, graph.add("Sub", INPUT, INPUT)), name=OUTPUT)
    properties = {
        "asset": asset or names,
        "revision": str(model.revision),
        "hash": model.hash,
        "training_cutoff": model.training_cutoff.isoformat(),
        "threshold": repr(THRESHOLD),
        "columns": json.dumps([*fitted.plan.columns]),
    }
    return graph.to_bytes(len(fitted.plan.columns), OUTPUT, properties)


def _encode(graph: Graph, space: NormalSpace) -> str:
    """Add what `NormalSpace.encode` does to rows without a missing value."""
    width = len(space.centre)
    matrix = INPUT
    floors = np.zeros(width) if space.floors is None else space.floors
    uncounted = np.isnan(floors)
    logged = (floors != 0) & ~uncounted
    if logged.any():
        plus = graph.add("Add", matrix, graph.constant(np.where(logged, floors, 1.0)))
        is_logged = graph.constant(logged, np.bool_)
        matrix = graph.add("Where", is_logged, graph.add("Log", plus), matrix)
    centred = graph.add("Sub", matrix, graph.constant(space.centre))
    scaled = graph.add("Div", centred, graph.constant(space.scale))
    encoded = graph.add("Clip", scaled, graph.constant(-FARTHEST), graph.constant(FARTHEST))
    if not uncounted.any():
        return encoded
    # each row of the identity becomes the part of its column in what is expected
    parts = space.expect(np.eye(width) * ~uncounted, np.flatnonzero(uncounted).tolist())
    counted = graph.add("Where", graph.constant(uncounted, np.bool_), graph.constant(0.0), encoded)
    return graph.add("MatMul", counted, graph.constant(parts))


def _score(graph: Graph, detector: Detector, rows: str) -> str:
    """Add what `detector.score` does to encoded rows. Raises UserError for a tree without a
    cut."""
    if isinstance(detector, PrincipalComponents):
        inside = graph.add("MatMul", rows, graph.constant(detector.components))
        back = graph.add("MatMul", inside, graph.constant(detector.components.T))
        weighted = graph.add("Mul", inside, graph.constant(np.sqrt(detector.inverse)))
        index = [
            graph.add("Div", _sum_of_squares(graph, part), graph.constant(limit))
            for part, limit in zip(
                (weighted, graph.add("Sub", rows, back)), detector.limits, strict=True
            )
        ]
        return graph.add("Sqrt", graph.add("Add", *index))
    if isinstance(detector, Autoencoder):
        usual = graph.constant(np.sqrt(detector.usual * len(detector.usual)))
        off = graph.add("Sub", rows, _copy(graph, detector, rows))
        return graph.add("Sqrt", _sum_of_squares(graph, graph.add("Div", off, usual)))
    if isinstance(detector, IsolationTrees):
        usual = graph.constant(len(detector.roots) * detector.usual)
        share = graph.add("Div", _add_depths(graph, detector, rows), usual)
        return graph.add("Sub", graph.constant(1.0), share)
    if isinstance(detector, LevelsAndSpreads | BesideSpreads):
        scores = [
            graph.add(
                "Div",
                _score(graph, part, graph.columns(rows, columns.tolist())),
                graph.constant(limit),
            )
            for columns, part, limit in detector.parts()
        ]
        return graph.add("Max", *scores)
    raise UserError(f"a detector of family {detector.family} has no ONNX graph")


def _copy(graph: Graph, detector: Autoencoder, rows: str) -> str:
    farthest = detector.clip_at
    hidden = graph.add("Clip", rows, graph.constant(-farthest), graph.constant(farthest))
    for weights, bias in detector.hidden_layers():
        product = graph.add("MatMul", hidden, graph.constant(weights))
        hidden = graph.add("Relu", graph.add("Add", product, graph.constant(bias)))
    product = graph.add("MatMul", hidden, graph.constant(detector.back))
    return graph.add("Add", product, graph.constant(detector.back_bias))


def _add_depths(graph: Graph, trees: IsolationTrees, rows: str) -> str:
    """Add the sum of the depths of the leaves in which each row ends."""
    is_inner = trees.column >= 0
    roots = trees.roots.astype(np.int64)
    if not is_inner[roots].all():
        raise UserError("a tree without a cut has no ONNX graph")
    number = np.where(is_inner, np.cumsum(is_inner), np.cumsum(~is_inner)) - 1
    sides = [side[is_inner].astype(np.int64) for side in (trees.left, trees.right)]
    cuts = trees.cut[is_inner]
    return graph.add_trees(
        rows,
        {
            "tree_roots": number[roots],
            "nodes_featureids": trees.column[is_inner],
            "nodes_truenodeids": number[sides[0]],
            "nodes_trueleafs": ~is_inner[sides[0]],
            "nodes_falsenodeids": number[sides[1]],
            "nodes_falseleafs": ~is_inner[sides[1]],
        },
        {
            "nodes_splits": cuts,
            "nodes_modes": np.full(len(cuts), AT_MOST, np.uint8),
            "leaf_weights": trees.depth[~is_inner],
        },
    )


def _sum(graph: Graph, rows: str) -> str:
    return graph.add("ReduceSum", rows, graph.constant([1], np.int64))


def _sum_of_squares(graph: Graph, rows: str) -> str:
    return _sum(graph, graph.add("Mul", rows, rows))
