"""Find faults of limits: their order, and the variable that they are for."""

from collections.abc import Iterable, Mapping, Sequence

from alerting.definitions.assets import TYPES, Asset, VariableType
from alerting.definitions.faults import Fault, name_hint, shown


def order_faults(path: str, above: float | None, below: float | None) -> Iterable[Fault]:
    """Return the fault of a lower limit that is not below the upper one."""
    if above is not None and below is not None and below >= above:
        yield Fault(
            path,
            f"below {below!s} must be less than above {above!s}",
            "the good range lies between them",
        )


def variable_faults(
    path: str,
    name: str,
    types: Mapping[str, VariableType],
    equals: bool | float | str | None = None,
) -> Iterable[Fault]:
    """Return the faults of a variable with a numeric limit, or with the value that it must have.

    `types`: those of the variables of all matched assets.
    """
    if name not in types:
        yield Fault(
            path,
            f"none of the matched assets has a variable {shown(name)}",
            name_hint(name, types, "known variables"),
        )
    elif equals is not None and not isinstance(equals, TYPES[types[name]][0]):
        kind = types[name]
        wanted = TYPES[types[name]][1]
        yield Fault(
            path,
            f"{shown(equals)} is not a possible value of {shown(name)}, a {kind}",
            f"after equals: write {wanted}",
        )
    elif equals is None and types[name] == "category":
        yield Fault(
            path,
            f"{shown(name)} is a category; a limit needs a number",
            "write equals: and its text",
        )


def category_faults(
    path: str, name: str, targets: Sequence[Asset], *others: str
) -> Iterable[Fault]:
    """Return faults of a variable that groups readings. `others`: what else may be named."""
    types = {n: v.type for asset in targets for n, v in asset.variables.items()}
    choices = f"name a category, or {', '.join(others)}" if others else "name a category"
    if name not in types:
        yield Fault(
            path,
            f"none of the matched assets has a variable {shown(name)}",
            name_hint(name, [*types, *others], "known variables"),
        )
    elif types[name] == "number":
        yield Fault(
            path,
            f"{shown(name)} is a number; a group needs a category",
            choices,
        )
    elif any(asset.delay(name) for asset in targets):
        yield Fault(
            path,
            f"{shown(name)} has a delay: it is not known at the instant that it groups",
            "name another variable",
        )
