"""Checks of LightGBM's model text before LightGBM reads it.

LightGBM follows the numbers of a model text without a check: a text that ends too early, or a child index outside of its
tree, reads foreign memory; children in a circle never end. So this module checks all numbers by which it navigates.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from alerting.learning.models.bounds import Trees
from alerting.learning.models.trained import ModelRefused

HEADER = ("version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective", "feature_names")
HEADER_MORE = ("feature_infos", "tree_sizes")
FIXED = {"version": "v4", "num_class": "1", "num_tree_per_iteration": "1", "label_index": "0"}
END = "end of trees\n\npandas_categorical:null\n"
MOST_TREES = 100_000
MOST_LEAVES = 131_072  # of one tree, as many as LightGBM grows
MOST_DEPTH = 1_000  # contributions take memory by the square of it
_OBJECTIVE = re.compile(r"binary sigmoid:\d{1,3}(\.\d{1,6})?")
_NUMBERS = re.compile(r"[-+0-9.eE infa]*")
_NODES = ("split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child")
_INNER = ("internal_value", "internal_weight", "internal_count")
_LEAVES = ("leaf_value", "leaf_weight", "leaf_count")
_COUNTS = ("num_leaves", "num_cat", "is_linear", "shrinkage")
_CATEGORIES = ("cat_boundaries", "cat_threshold")
_CATEGORICAL = 1  # bit of decision_type

Ints = npt.NDArray[np.int64]


def check_booster(data: bytes, features: int) -> str:
    """Return the text of a booster on this number of features. Raises ModelRefused if LightGBM must not read it."""
    try:
        return _check_text(data.decode("ascii"), features)
    except (ValueError, IndexError, OverflowError) as fault:
        raise ModelRefused(f"the LightGBM model is damaged: {fault}") from fault


def trees_of_texts(texts: Sequence[str]) -> Trees:
    """Return the trees of boosters of the same columns, whose margin is the mean of theirs."""
    trees = [_fields(block.strip().split("\n")[1:]) for text in texts for block in _blocks(text)]
    inner = [int(tree["num_leaves"]) - 1 for tree in trees]
    first = np.cumsum([0, *inner])
    first_leaf = np.cumsum([0, *(n + 1 for n in inner)])
    nodes = int(first[-1])
    parent, is_left = np.full(nodes + int(first_leaf[-1]), -1), np.zeros(nodes + int(first_leaf[-1]), np.bool_)
    bits_of, bits = np.zeros((nodes, 2), np.int64), [np.empty(0, np.int64)]
    threshold = np.concatenate([np.empty(0), *(_numbers(tree["threshold"]) for tree in trees)])
    decision = np.concatenate([np.empty(0), *(_numbers(tree["decision_type"]) for tree in trees)]).astype(np.int64)
    for number, tree in enumerate(trees):
        for side in ("left_child", "right_child"):
            child = _numbers(tree[side]).astype(np.int64)
            below = np.where(child >= 0, first[number] + child, nodes + first_leaf[number] + ~child)
            parent[below], is_left[below] = first[number] + np.arange(len(child)), side == "left_child"
        if tree.get("num_cat", "0") != "0":
            own = first[number] + np.flatnonzero(decision[first[number] : first[number + 1]] & _CATEGORICAL)
            bounds = _numbers(tree["cat_boundaries"]).astype(np.int64) + sum(map(len, bits))
            chosen = threshold[own].astype(np.int64)
            bits_of[own] = np.column_stack([bounds[chosen], bounds[chosen + 1]])
            bits.append(_numbers(tree["cat_threshold"]).astype(np.int64))
    return Trees(
        feature=np.concatenate([np.empty(0), *(_numbers(tree["split_feature"]) for tree in trees)]).astype(np.int64),
        threshold=threshold,
        decision=decision,
        parent=parent,
        is_left=is_left,
        value=np.concatenate([_numbers(tree["leaf_value"]) for tree in trees]) / len(texts),
        first_leaf=first_leaf[:-1],
        bits=np.concatenate(bits),
        bits_of=bits_of,
    )


def _blocks(text: str) -> Sequence[str]:
    return ["Tree=" + block for block in text.partition("end of trees")[0].split("Tree=")[1:]]


def _numbers(text: str) -> npt.NDArray[np.float64]:
    return np.array(text.split(), np.float64)


def _check_text(text: str, features: int) -> str:
    head, blank, trees = text.partition("\n\n")
    first, *lines = head.split("\n")
    if first != "tree" or not blank:
        raise ValueError("its beginning is not that of a model")
    header = _fields(lines)
    _require(set(header) == {*HEADER, *HEADER_MORE}, "its header does not have the fields of this platform's models")
    _require(
        all(header[name] == value for name, value in FIXED.items()),
        "its header does not have the values of this platform's models",
    )
    _require(_OBJECTIVE.fullmatch(header["objective"]) is not None, "its objective is not that of this platform's models")
    _require(_whole(header["max_feature_idx"]) == features - 1, f"it is not for {features} features")
    for name in ("feature_names", "feature_infos"):
        _require(len(header[name].split(" ")) == features, f"{name} are not {features}")
    sizes = _ints(header["tree_sizes"], "tree_sizes")
    _require(1 <= len(sizes) <= MOST_TREES, f"it has {len(sizes)} trees; 1 to {MOST_TREES} are allowed")
    _require(bool((sizes > 0).all()) and int(sizes.sum()) <= len(trees), "its text ends within a tree")
    start = 0
    for number, size in enumerate(sizes.tolist()):
        _check_tree(trees[start : start + size], number, features)
        start += size
    _require(trees[start:] == END, "its end is not that of a model")
    return text


def _check_tree(block: str, number: int, features: int) -> None:
    first, *lines = block.rstrip("\n").split("\n")
    where = f"tree {number}"
    _require(first == f"Tree={number}" and block.endswith("\n"), f"{where} is not at the place that its size gives")
    tree = _fields(lines)
    categories = _CATEGORIES if tree.get("num_cat", "0") != "0" else ()
    _require(
        set(tree) == {*_COUNTS, *_NODES, *_LEAVES, *_INNER, *categories},
        f"{where} does not have the fields of this platform's models",
    )
    leaves, cats = _whole(tree["num_leaves"]), _whole(tree["num_cat"])
    _require(1 <= leaves <= MOST_LEAVES, f"{where} has {leaves} leaves")
    _require(tree["is_linear"] == "0", f"{where} is not of the kind of this platform's models")
    _require(bool(np.isfinite(_floats(tree["shrinkage"], 1, where)).all()), f"{where} has no shrinkage")
    _check_leaves(tree, leaves, where)
    nodes = {name: _ints(tree[name], where) for name in ("split_feature", "decision_type", "left_child", "right_child")}
    _require(all(len(values) == leaves - 1 for values in nodes.values()), f"{where} has fields of different lengths")
    for name in ("split_gain", *_INNER):
        _floats(tree[name], leaves - 1, where)
    threshold = _floats(tree["threshold"], leaves - 1, where)
    # inf parts the missing values from all others
    _require(not np.isnan(threshold).any(), f"{where} has limits that are not numbers")
    feature = nodes["split_feature"]
    _require(bool(((feature >= 0) & (feature < features)).all()), f"{where} uses features that do not exist")
    _check_children(nodes["left_child"], nodes["right_child"], where)
    _check_categories(tree, nodes["decision_type"], threshold, cats, where)


def _check_leaves(tree: Mapping[str, str], leaves: int, where: str) -> None:
    _require(bool(np.isfinite(_floats(tree["leaf_value"], leaves, where)).all()), f"{where} has leaves that are not numbers")
    _floats(tree["leaf_count"], leaves, where)
    if leaves > 1:  # a tree of one leaf may have no weight
        _floats(tree["leaf_weight"], leaves, where)


def _check_children(left: Ints, right: Ints, where: str) -> None:
    """Check that every node but the first, and every leaf, is the child of exactly one earlier node."""
    inner = len(left)
    if not inner:
        return
    children = np.concatenate([left, right])
    parents = np.concatenate([np.arange(inner)] * 2)
    nodes = children >= 0
    _require(bool((children[nodes] > parents[nodes]).all()), f"the children of {where} lead back")
    _require(sorted(children[nodes].tolist()) == list(range(1, inner)), f"the children of {where} point outside of it")
    _require(sorted((~children[~nodes]).tolist()) == list(range(inner + 1)), f"the leaves of {where} point outside of it")
    depth = np.zeros(inner, np.int64)
    for node in range(inner):
        for child in (left[node], right[node]):
            if child >= 0:
                depth[child] = depth[node] + 1
    _require(int(depth.max()) <= MOST_DEPTH, f"{where} is deeper than {MOST_DEPTH}")


def _check_categories(
    tree: Mapping[str, str], decision: Ints, threshold: npt.NDArray[np.float64], count: int, where: str
) -> None:
    _require(bool(((decision >= 0) & (decision < 16)).all()), f"{where} has an unknown type of decision")
    chosen = threshold[(decision & _CATEGORICAL) == 1]
    if not count:
        _require(not len(chosen), f"{where} names categories beyond its list")
        return
    bounds, bits = _ints(tree["cat_boundaries"], where), _ints(tree["cat_threshold"], where)
    _require(bool(((bits >= 0) & (bits < 2**32)).all()), f"{where} has unknown categories")
    fits = len(bounds) == count + 1 and bounds[0] == 0 and bounds[-1] == len(bits) and bool((np.diff(bounds) > 0).all())
    _require(bool(fits), f"the categories of {where} point outside of it")
    _require(sorted(chosen.tolist()) == list(range(count)), f"the categories of {where} are not those of its nodes")


def _fields(lines: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.partition("=")
        _require(bool(equals) and name not in found, f"it has a line that cannot be read: {line[:40]!r}")
        found[name] = value
    return found


def _whole(text: str) -> int:
    _require(re.fullmatch(r"\d{1,9}", text) is not None, f"{text[:40]!r} is not a count")
    return int(text)


def _ints(text: str, where: str) -> Ints:
    values = text.split(" ") if text else []
    _require(all(re.fullmatch(r"-?\d{1,10}", value) for value in values), f"{where} has fields that are not numbers")
    return np.array([int(value) for value in values], np.int64)


def _floats(text: str, count: int, where: str) -> npt.NDArray[np.float64]:
    _require(_NUMBERS.fullmatch(text) is not None, f"{where} has fields that are not numbers")
    values = np.array([float(value) for value in text.split(" ")] if text else [], np.float64)
    _require(len(values) == count, f"{where} has fields of different lengths")
    return values


def _require(condition: bool, fault: str) -> None:
    if not condition:
        raise ValueError(fault)
