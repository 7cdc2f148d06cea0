"""The mean of several LightGBM models as one model, for which everything that can be done with one goes on working."""

from collections.abc import Sequence

import lightgbm

FIRST_TREE, AFTER_TREES, SIZES = "Tree=0\n", "end of trees\n", "tree_sizes="


def average(boosters: Sequence[lightgbm.Booster]) -> lightgbm.Booster:
    """A booster whose margin is the mean of the margins of `boosters`, which were fitted on the same columns.

    It has the trees of all of them, the values of their leaves divided by the number of boosters. Written as LightGBM's own
    text, because its Python interface cannot put trees of two models together.
    """
    header = boosters[0].model_to_string().partition(FIRST_TREE)[0]
    kept = [line for line in header.splitlines() if not line.startswith(SIZES)]  # without sizes it reads tree by tree
    trees: list[str] = []
    for booster in boosters:
        for block in _blocks(booster):
            trees.append(f"Tree={len(trees)}\n{_divided(block, len(boosters))}\n\n")
    return lightgbm.Booster(model_str="\n".join([*kept, "", "".join(trees)]) + f"{AFTER_TREES}\n")


def _blocks(booster: lightgbm.Booster) -> list[str]:
    """The text of each tree without its number."""
    trees = booster.model_to_string().partition(AFTER_TREES)[0].split("\nTree=")[1:]
    return [tree.partition("\n")[2].strip() for tree in trees]


def _divided(tree: str, by: int) -> str:
    return "\n".join(_divided_line(line, by) for line in tree.splitlines())


def _divided_line(line: str, by: int) -> str:
    name, _, values = line.partition("=")
    if name not in ("leaf_value", "internal_value"):
        return line
    return f"{name}={' '.join(repr(float(value) / by) for value in values.split())}"
