"""Texts to start a definition from: by what is there and what is wanted, with a variable of the
plant."""

from datetime import timedelta
from typing import Any

from alerting.adapters.platform import Platform
from alerting.console.definitions.documents import write_yaml_document
from alerting.definitions.assets import Asset
from alerting.definitions.faults import NotFound
from alerting.definitions.fields.starts import Start
from alerting.kinds.registry import definition_types

EMPTY = "empty"
_ASSET = "oven-1"  # of an example, in a plant without assets
_VARIABLE = "temperature"
_LIMIT = 100.0
_RECENT = timedelta(days=1)


def list_starts() -> list[dict[str, Any]]:
    """Return the questions of all kinds with the names under which they are chosen, the simplest
    first."""
    found: list[dict[str, Any]] = [
        {"name": f"{kind}-{number}", "kind": kind, "start": start}
        for kind, definition in definition_types().items()
        for number, start in enumerate(definition.starts, 1)
    ]
    return sorted(found, key=lambda one: one["start"].place)


def starting_text(platform: Platform, chosen: str, asset: str = "") -> str:
    """Return the YAML to start from, on an asset, else on the first one that has numbers. Raises
    NotFound for a name that is none of the questions."""
    if chosen == EMPTY:
        return ""
    one = next((one for one in list_starts() if one["name"] == chosen), None)
    if one is None:
        raise NotFound(f"there is no start {chosen!r}")
    start: Start = one["start"]
    known = platform.assets.get(asset) if asset else None
    fitting = known or next((one for one in platform.assets.all() if _numbers(one)), None)
    name, variable, limit = _chosen_variable(platform, fitting)
    head = {"name": "a-name", "kind": one["kind"], "assets": [name], "title": "A title"}
    return write_yaml_document(head | start.fields(variable, limit))


def _numbers(asset: Asset) -> list[str]:
    return [name for name, one in asset.variables.items() if one.type == "number"]


def _chosen_variable(platform: Platform, asset: Asset | None) -> tuple[str, str, float]:
    """Return asset, variable, and a limit a little above its newest value, or its range's end."""
    if asset is None or not _numbers(asset):
        return (asset.name if asset else _ASSET), _VARIABLE, _LIMIT
    variable = _numbers(asset)[0]
    declared = asset.variables[variable]
    span = platform.readings.span(asset.name)
    if span is not None:
        since = {variable: span[1] - _RECENT}
        values = platform.readings.newest_values(asset, since, span[1])[variable].dropna()
        if len(values):
            value = float(values.iloc[-1])
            return asset.name, variable, float(f"{value + abs(value) * 0.1:.3g}")
    return asset.name, variable, _LIMIT if declared.high is None else declared.high
