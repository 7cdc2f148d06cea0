"""The file of a forest: one array with the nodes of all its trees, read without running code."""

import io
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from sklearn.tree._tree import NODE_DTYPE, Tree

from alerting.learning.models.skops_archive import check_array
from alerting.learning.models.trained import ModelRefused

FOREST = "forest.npy"
MOST_TREES = 10_000
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
Nodes = npt.NDArray[np.void]


def nodes_of(trees: Sequence[Tree]) -> Nodes:
    """Return the nodes of all trees, one tree after the other."""
    nodes = np.empty(sum(tree.node_count for tree in trees), NODE)
    begin = 0
    for number, tree in enumerate(trees):
        own = nodes[begin : begin + tree.node_count]
        fields = tree.__getstate__()["nodes"]
        for name in NODE_DTYPE.names:
            own[name] = fields[name]
        own["tree"] = number
        own["value"] = tree.value[:, 0]
        begin += tree.node_count
    return nodes


def trees_of(nodes: Nodes, width: int) -> list[Tree]:
    """Return scikit-learn's trees for `width` columns, of nodes that were checked."""
    fields = np.zeros(len(nodes), NODE_DTYPE)
    for name in NODE_DTYPE.names:
        fields[name] = nodes[name]
    values = np.ascontiguousarray(nodes["value"])[:, None]
    bounds = [*_roots(nodes).tolist(), len(nodes)]
    classes = np.array([2])
    trees = []
    for begin, end in pairwise(bounds):
        tree = Tree(width, classes, 1)
        tree.__setstate__(
            {
                "max_depth": end - begin,  # at most; nothing here asks for it
                "node_count": end - begin,
                "nodes": fields[begin:end],
                "values": values[begin:end],
            }
        )
        trees.append(tree)
    return trees


def dump_nodes(nodes: Nodes) -> bytes:
    """Return the content of the file."""
    file = io.BytesIO()
    np.save(file, nodes, allow_pickle=False)
    return file.getvalue()


def read_nodes(data: bytes) -> Nodes:
    """Read the file, not what its nodes say. Raises ModelRefused if it is no array of nodes."""
    try:
        check_array(data)
        nodes: Nodes = np.load(io.BytesIO(data), allow_pickle=False)
        if nodes.dtype != NODE or nodes.ndim != 1:
            raise ValueError("it is not an array of nodes")
    except ValueError as fault:
        raise ModelRefused(f"{FOREST} is damaged and was not loaded: {fault}") from fault
    return nodes


def check_nodes(nodes: Nodes, width: int, name: str) -> None:
    """Refuse nodes that are not trees for `width` columns: so a walk from a root always ends at a
    leaf of its tree. Raises ModelRefused, in which the file is called `name`."""
    steps = np.diff(nodes["tree"], prepend=-1)
    if not len(nodes) or steps[0] != 1 or steps.min() < 0 or steps.max() > 1:
        raise ModelRefused(f"{name} holds trees that are not numbered from 0")
    if nodes["tree"][-1] >= MOST_TREES:
        raise ModelRefused(f"{name} holds a forest of more than {MOST_TREES} trees")
    if not _are_trees(nodes):
        raise ModelRefused(f"{name} holds a tree whose nodes point outside of it, or twice at one")
    feature = nodes["feature"][nodes["left_child"] >= 0]
    if np.any((feature < 0) | (feature >= width)):
        raise ModelRefused(f"{name} holds a tree that is not for {width} columns")
    numbers = [nodes[of] for of in ("value", "impurity", "weighted_n_node_samples")]
    # a limit may be infinite, where missing values alone go to one side
    if np.isnan(nodes["threshold"]).any() or not all(np.isfinite(one).all() for one in numbers):
        raise ModelRefused(f"{name} holds a tree with nodes that are not numbers")


def _are_trees(nodes: Nodes) -> bool:
    roots = _roots(nodes)
    tree = nodes["tree"]
    first = roots[tree]
    after = np.append(roots[1:], len(nodes))[tree]
    own = np.arange(len(nodes))
    left = nodes["left_child"] + first
    right = nodes["right_child"] + first
    leaf = (nodes["left_child"] == -1) & (nodes["right_child"] == -1)
    inner = (left > own) & (right > own) & (left < after) & (right < after)
    # before children are counted: the count takes memory up to the largest position
    if not np.all(leaf | inner):
        return False
    parents = np.bincount(np.concatenate([left[inner], right[inner]]), minlength=len(nodes))
    return np.array_equal(parents, own != first)


def _roots(nodes: Nodes) -> npt.NDArray[np.int64]:
    """Return the position of each tree's first node."""
    return np.flatnonzero(np.diff(nodes["tree"], prepend=-1))
