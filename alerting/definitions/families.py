"""Names of model families: those of the platform, and those that installed packages add.

A package adds a family by an entry point in the group `alerting.families`: name of the family =
`module:object`.
"""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from alerting.definitions.faults import name_hint, shown
from alerting.definitions.left import left_hint

BUILT_IN = ("logistic_regression", "random_forest", "lightgbm")
# tried for every problem whose variable the model may see, without being asked for
PERSISTENCE = "persistence"
GROUP = "alerting.families"
_LONGEST = "random_forest"
_SHORTEST = ("logistic_regression", PERSISTENCE)


@cache  # a look at every installed package takes a twentieth of a second
def find_added(name: str) -> EntryPoint | None:
    """Return the entry point of a family that an installed package adds; None without one."""
    return next(iter(entry_points(group=GROUP, name=name)), None)


def require_family(name: str) -> str:
    """Return the name of an installed family. Raises ValueError, with these, for others."""
    if name in BUILT_IN or find_added(name):
        return name
    names = [*BUILT_IN, *sorted(entry_points(group=GROUP).names)]
    hint = left_hint("family", name) or name_hint(name, names, "families of this platform")
    raise ValueError(f"{shown(name)} is not a family that can be trained here; {hint}")


def longest_first(families: Iterable[str]) -> list[str]:
    """Return families in the order in which a training begins to search them: those that take
    longest first, so that none of these runs alone at the end where fewer run at once than there
    are."""

    def order(name: str) -> tuple[int, str]:
        return (name in _SHORTEST) - (name == _LONGEST), name

    return sorted(families, key=order)
