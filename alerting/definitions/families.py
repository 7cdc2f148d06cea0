"""Names of model families: those of the platform, optional ones among them, and those that
installed packages add.

A package adds a family by an entry point in the group `alerting.families`: name of the family =
`module:object`.
"""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec

from alerting.definitions.faults import name_hint, shown
from alerting.definitions.wording.language import translatable

BUILT_IN = ("logistic_regression", "random_forest", "lightgbm")
# of the platform, each with the library of its name, which need not be installed
OPTIONAL = ("xgboost",)
# tried for every problem whose variable the model may see, without being asked for
PERSISTENCE = "persistence"
GROUP = "alerting.families"
_LONGEST = "random_forest"
_SHORTEST = ("logistic_regression", PERSISTENCE)


@cache  # a look at every installed package takes a twentieth of a second
def find_added(name: str) -> EntryPoint | None:
    """Return the entry point of a family that an installed package adds; None without one."""
    return next(iter(entry_points(group=GROUP, name=name)), None)


def is_installed(name: str) -> bool:
    """Return whether a family is an optional one whose library is installed."""
    return name in OPTIONAL and find_spec(name) is not None


def require_family(name: str) -> str:
    """Return the name of an installed family. Raises ValueError, with these, for others."""
    if name in BUILT_IN or is_installed(name) or find_added(name):
        return name
    if name in OPTIONAL:
        raise ValueError(
            translatable(
                "{name} is not installed here; install it wherever models are trained: pip install "
                "alerting[{name}]",
                name=name,
            )
        )
    names = [*BUILT_IN, *filter(is_installed, OPTIONAL), *sorted(entry_points(group=GROUP).names)]
    hint = name_hint(name, names, translatable("families of this platform"))
    raise ValueError(
        translatable(
            "{name} is not a family that can be trained here; {hint}", name=shown(name), hint=hint
        )
    )


def longest_first(families: Iterable[str]) -> list[str]:
    """Return families in the order in which a training begins to search them: those that take
    longest first, so that none of these runs alone at the end where fewer run at once than there
    are."""

    def order(name: str) -> tuple[int, str]:
        return (name in _SHORTEST) - (name == _LONGEST), name

    return sorted(families, key=order)
