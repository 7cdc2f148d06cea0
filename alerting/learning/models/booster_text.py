"""Checks of LightGBM's model text before LightGBM reads it.

LightGBM follows the numbers of a model text without a check: a text that ends too early, or a child
index outside of its tree, reads foreign memory; children in a circle never end. So this module
checks all numbers by which it navigates.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from alerting.learning.models.bounds import Trees
from alerting.learning.models.trained import ModelRefused

HEADER = (
    "version",
    "num_class",
    "num_tree_per_iteration",
    "label_index",
    "max_feature_idx",
    "objective",
    "feature_names",
)
FIXED = {"version": "v4", "num_class": "1", "num_tree_per_iteration": "1", "label_index": "0"}
END = "end of trees\n\npandas_categorical:null\n"
MOST_TREES = 100_000
MOST_LEAVES = 131_072  # of one tree, as many as LightGBM grows
MOST_DEPTH = 1_000  # contributions take memory by the square of it
_OBJECTIVE = re.compile(r"binary sigmoid:\d{1,3}(\.\d{1,6})?|quantile")
_INTS = re.compile(r"-?\d{1,10}(?: -?\d{1,10})*")
_NUMBERS = re.compile(r"[-+0-9.eE infa]*")
_NODES = ("split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child")
_INNER = ("internal_value", "internal_weight", "internal_count")
_LEAVES = ("leaf_value", "leaf_weight", "leaf_count")
_COUNTS = ("num_leaves", "num_cat", "is_linear", "shrinkage")
_CATEGORICAL = 1  # bit of decision_type

Ints = npt.NDArray[np.int64]


def check_booster(data: bytes, features: int) -> str:
    """Return the text of a booster. Raises ModelRefused if LightGBM must not read it."""
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
    parent = np.full(nodes + int(first_leaf[-1]), -1)
    is_left = np.zeros(nodes + int(first_leaf[-1]), np.bool_)
    bits_of = np.zeros((nodes, 2), np.int64)
    bits = [np.empty(0, np.int64)]
    threshold = np.concatenate([np.empty(0), *(_numbers(tree["threshold"]) for tree in trees)])
    decision = np.concatenate(
        [np.empty(0), *(_numbers(tree["decision_type"]) for tree in trees)]
    ).astype(np.int64)
    for number, tree in enumerate(trees):
        for side in ("left_child", "right_child"):
            child = _numbers(tree[side]).astype(np.int64)
            below = np.where(child >= 0, first[number] + child, nodes + first_leaf[number] + ~child)
            parent[below] = first[number] + np.arange(len(child))
            is_left[below] = side == "left_child"
        if tree.get("num_cat", "0") != "0":
            own = first[number] + np.flatnonzero(
                decision[first[number] : first[number + 1]] & _CATEGORICAL
            )
            bounds = _numbers(tree["cat_boundaries"]).astype(np.int64) + sum(map(len, bits))
            chosen = threshold[own].astype(np.int64)
            bits_of[own] = np.column_stack([bounds[chosen], bounds[chosen + 1]])
            bits.append(_numbers(tree["cat_threshold"]).astype(np.int64))
    return Trees(
        feature=np.concatenate(
            [np.empty(0), *(_numbers(tree["split_feature"]) for tree in trees)]
        ).astype(np.int64),
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
    _require(
        set(header) == {*HEADER, "feature_infos", "tree_sizes"},
        "its header does not have the fields of this platform's models",
    )
    _require(
        all(header[name] == value for name, value in FIXED.items()),
        "its header does not have the values of this platform's models",
    )
    _require(
        _OBJECTIVE.fullmatch(header["objective"]) is not None,
        "its objective is not that of this platform's models",
    )
    _require(
        _whole(header["max_feature_idx"]) == features - 1, f"it is not for {features} features"
    )
    for name in ("feature_names", "feature_infos"):
        _require(len(header[name].split(" ")) == features, f"{name} are not {features}")
    sizes = _ints(header["tree_sizes"], "tree_sizes")
    _require(
        1 <= len(sizes) <= MOST_TREES, f"it has {len(sizes)} trees; 1 to {MOST_TREES} are allowed"
    )
    _require(
        bool((sizes > 0).all()) and int(sizes.sum()) <= len(trees), "its text ends within a tree"
    )
    trees_read = []
    start = 0
    for number, size in enumerate(sizes.tolist()):
        trees_read.append(_read_tree(trees[start : start + size], number))
        start += size
    _require(trees[start:] == END, "its end is not that of a model")
    _check_trees(trees_read, features)
    return text


def _read_tree(block: str, number: int) -> dict[str, str]:
    first, *lines = block.rstrip("\n").split("\n")
    where = f"tree {number}"
    _require(
        first == f"Tree={number}" and block.endswith("\n"),
        f"{where} is not at the place that its size gives",
    )
    tree = _fields(lines)
    categories = ("cat_boundaries", "cat_threshold") if tree.get("num_cat", "0") != "0" else ()
    _require(
        set(tree) == {*_COUNTS, *_NODES, *_LEAVES, *_INNER, *categories},
        f"{where} does not have the fields of this platform's models",
    )
    _require(tree["is_linear"] == "0", f"{where} is not of the kind of this platform's models")
    return tree


def _check_trees(trees: Sequence[Mapping[str, str]], features: int) -> None:
    """Check the numbers of all trees at once, field by field: there are hundreds of trees."""
    leaves = np.array([_whole(tree["num_leaves"]) for tree in trees], np.int64)
    _require_all(
        (leaves >= 1) & (leaves <= MOST_LEAVES),
        np.arange(len(trees)),
        f"has not 1 to {MOST_LEAVES} leaves",
    )
    inner = leaves - 1
    _require_all(
        np.isfinite(_float_column(trees, "shrinkage", np.ones(len(trees), np.int64))),
        np.arange(len(trees)),
        "has no shrinkage",
    )
    # first: from here on there are as many leaves as the text has values
    values = _float_column(trees, "leaf_value", leaves)
    tree_of_leaf, tree_of = (np.repeat(np.arange(len(trees)), counts) for counts in (leaves, inner))
    _require_all(np.isfinite(values), tree_of_leaf, "has leaves that are not numbers")
    _float_column(trees, "leaf_count", leaves)
    _float_column(
        [tree for tree, n in zip(trees, inner, strict=True) if n], "leaf_weight", leaves[inner > 0]
    )
    for name in ("split_gain", *_INNER):
        _float_column(trees, name, inner)
    threshold = _float_column(trees, "threshold", inner)
    # inf parts missing values from all others
    _require_all(~np.isnan(threshold), tree_of, "has limits that are not numbers")
    feature, decision, left, right = (
        _ints(_joined(trees, name, inner), name)
        for name in ("split_feature", "decision_type", "left_child", "right_child")
    )
    _require_all((feature >= 0) & (feature < features), tree_of, "uses features that do not exist")
    _check_children(left, right, inner, tree_of)
    _require_all((decision >= 0) & (decision < 16), tree_of, "has an unknown type of decision")
    is_category = (decision & _CATEGORICAL) == 1
    starts = np.cumsum(inner) - inner
    for number in np.union1d(
        np.unique(tree_of[is_category]),
        np.array([number for number, tree in enumerate(trees) if tree["num_cat"] != "0"], np.int64),
    ).tolist():
        own = slice(starts[number], starts[number] + inner[number])
        chosen = threshold[own][is_category[own]]
        _check_categories(trees[number], chosen, _whole(trees[number]["num_cat"]), f"tree {number}")


def _check_children(left: Ints, right: Ints, inner: Ints, tree_of: Ints) -> None:
    """Check that every later node and leaf is the child of exactly one earlier node.

    `inner`: number of nodes of each tree; `left`, `right`: the children of all nodes, tree after
    tree; `tree_of`: their trees.
    """
    first = np.cumsum(inner) - inner
    first_leaf = first + np.arange(len(inner))
    children, parents, trees = (
        np.concatenate(both)
        for both in ((left, right), (np.arange(len(left)),) * 2, (tree_of,) * 2)
    )
    nodes = children >= 0
    _require_all(
        children[nodes] > (parents - first[trees])[nodes],
        trees[nodes],
        "has children that lead back",
    )
    _require_all(children < inner[trees], trees, "has children that point outside of it")
    _require_all(~children <= inner[trees], trees, "has leaves that point outside of it")
    of_node = np.bincount((first[trees] + children)[nodes], minlength=len(left))
    is_first = np.zeros(len(left), np.bool_)
    is_first[first[inner > 0]] = True
    _require_all(of_node == ~is_first, tree_of, "has children that point outside of it")
    of_leaf = np.bincount(
        (first_leaf[trees] + ~children)[~nodes], minlength=int(inner.sum()) + len(inner)
    )
    tree_of_leaf = np.repeat(np.arange(len(inner)), inner + 1)
    _require_all(
        of_leaf == (inner[tree_of_leaf] > 0), tree_of_leaf, "has leaves that point outside of it"
    )
    below = first[inner > 0]
    depth = 0
    while len(below):
        _require_all(
            np.array([depth <= MOST_DEPTH]), tree_of[below[:1]], f"is deeper than {MOST_DEPTH}"
        )
        both = np.concatenate([left[below], right[below]])
        below = (np.concatenate([first[tree_of[below]]] * 2) + both)[both >= 0]
        depth += 1


def _check_categories(
    tree: Mapping[str, str], chosen: npt.NDArray[np.float64], count: int, where: str
) -> None:
    """Check the categories of a tree. `chosen`: limits of nodes that choose by category."""
    if not count:
        _require(not len(chosen), f"{where} names categories beyond its list")
        return
    bounds = _ints(tree["cat_boundaries"], where)
    bits = _ints(tree["cat_threshold"], where)
    _require(bool(((bits >= 0) & (bits < 2**32)).all()), f"{where} has unknown categories")
    fits = (
        len(bounds) == count + 1
        and bounds[0] == 0
        and bounds[-1] == len(bits)
        and bool((np.diff(bounds) > 0).all())
    )
    _require(bool(fits), f"the categories of {where} point outside of it")
    _require(
        sorted(chosen.tolist()) == list(range(count)),
        f"the categories of {where} are not those of its nodes",
    )


def _fields(lines: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.partition("=")
        _require(
            bool(equals) and name not in found, f"it has a line that cannot be read: {line[:40]!r}"
        )
        found[name] = value
    return found


def _whole(text: str) -> int:
    _require(re.fullmatch(r"\d{1,9}", text) is not None, f"{text[:40]!r} is not a count")
    return int(text)


def _ints(text: str, where: str) -> Ints:
    _require(
        not text or _INTS.fullmatch(text) is not None, f"{where} has fields that are not numbers"
    )
    return np.array([*map(int, text.split(" "))] if text else [], np.int64)


def _float_column(
    trees: Sequence[Mapping[str, str]], name: str, counts: Ints
) -> npt.NDArray[np.float64]:
    text = _joined(trees, name, counts)
    _require(_NUMBERS.fullmatch(text) is not None, f"{name} are not numbers")
    return np.array([*map(float, text.split(" "))] if text else [], np.float64)


def _joined(trees: Sequence[Mapping[str, str]], name: str, counts: Ints) -> str:
    texts = [tree[name] for tree in trees]
    found = np.array([text.count(" ") + 1 if text else 0 for text in texts], np.int64)
    _require_all(found == counts, np.arange(len(trees)), "has fields of different lengths")
    return " ".join(text for text in texts if text)


def _require_all(conditions: npt.NDArray[np.bool_], tree_of: Ints, fault: str) -> None:
    """Raise ValueError with the number of the first tree for which a condition is false."""
    if not conditions.all():
        raise ValueError(f"tree {tree_of[int(np.argmin(conditions))]} {fault}")


def _require(condition: bool, fault: str) -> None:
    if not condition:
        raise ValueError(fault)
