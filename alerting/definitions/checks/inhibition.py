"""Find faults of alerts that inhibit others: unknown ones, those of other assets, and circles."""

from collections.abc import Iterable, Mapping

from alerting.definitions.faults import Fault, name_hint, shown
from alerting.definitions.model import AssetIndex, Definition, matching_assets

_PATH = "suppression.while"


def inhibition_faults(
    definition: Definition, others: Mapping[str, Definition], assets: AssetIndex
) -> Iterable[Fault]:
    """Return faults of alerts that inhibit a definition. `others`: all in force, by name."""
    own = {asset.name for asset in matching_assets(definition, assets)}
    for i, name in enumerate(inhibitors_of(definition)):
        path = f"{_PATH}.{i}.definition"
        other = others.get(name)
        if name == definition.name:
            yield Fault(path, "is this definition itself", "name another one")
        elif other is None:
            yield Fault(
                path,
                f"there is no definition {shown(name)}",
                name_hint(name, others, "known definitions"),
            )
        elif other.state == "retired":
            yield Fault(
                path,
                f"{shown(name)} is retired, and raises nothing any more",
                "name another one, or remove it",
            )
        elif own and own.isdisjoint(asset.name for asset in matching_assets(other, assets)):
            yield Fault(
                path,
                f"{shown(name)} is evaluated on none of these assets",
                "it inhibits on the same asset only",
            )
        elif (circle := _circle(definition, name, others)) is not None:
            yield Fault(
                path,
                f"inhibits in a circle: {circle}",
                "remove one of them, or no alert of the circle may be announced",
            )


def inhibitors_of(definition: Definition) -> list[str]:
    """Return the names of the alerts that inhibit a definition."""
    return (
        [other.definition for other in definition.suppression.inhibited]
        if definition.suppression
        else []
    )


def _circle(definition: Definition, first: str, others: Mapping[str, Definition]) -> str | None:
    """Return the way from a definition by its first inhibitor back to itself; None without one."""
    ways = [[definition.name, first]]
    seen = set[str]()
    while ways:
        way = ways.pop()
        if way[-1] == definition.name:
            return " \u2192 ".join(way)
        if way[-1] in others and way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, name] for name in inhibitors_of(others[way[-1]])]
    return None
