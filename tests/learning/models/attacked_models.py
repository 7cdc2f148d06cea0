"""Runs `damaged_models` or `read_hostile` of a family, for `tests.helpers.forked`: both load the
same libraries."""

import sys

from tests.learning.models import damaged_models, read_hostile

PROGRAMS = {"damaged": damaged_models.main, "hostile": read_hostile.main}
LIBRARIES = (
    "alerting.learning.models.families.lightgbm",
    "alerting.learning.models.families.logistic_regression",
    "alerting.learning.models.families.random_forest",
    "alerting.learning.search.search",
    "alerting.learning.selection.challenger",
    "alerting.learning.selection.choice",
)


def main() -> None:
    """Run the program of the first word with the words after it."""
    PROGRAMS[sys.argv.pop(1)]()
