"""Texts to start a definition from: by what is there and what is wanted, on the asset and variable
that were chosen. Where there are several and none was chosen, the text leaves them empty."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from alerting.console.definitions.documents import write_yaml_document
from alerting.definitions.assets import Asset
from alerting.definitions.faults import NotFound
from alerting.definitions.fields.starts import Start
from alerting.definitions.wording.language import translatable
from alerting.kinds.registry import definition_types
from alerting.ports import Platform

EMPTY = "empty"
_ASSET = "oven-1"  # of an example, in a plant without assets
_VARIABLE = "temperature"
_LIMIT = 100.0
_RECENT = timedelta(days=1)
MOST_OFFERED = 50


@dataclass(frozen=True)
class ChosenSubject:
    """What a new definition is about. `asset`, `variable`: as they were named, else the only ones
    there are; None and empty where a person has to choose among `assets`, or `variables`.

    `is_example`: the plant has no assets yet.
    """

    asset: Asset | None = None
    variable: str = ""
    assets: Sequence[Asset] = ()
    variables: Sequence[tuple[str, str]] = ()
    is_example: bool = False

    def address(self, start: str = "", asset: str = "", variable: str = "") -> str:
        """Return the address of a new definition of this subject, or of a part that is chosen."""
        named = {
            "start": start,
            "asset": asset or (self.asset.name if self.asset else ""),
            "variable": variable or self.variable,
        }
        query = urlencode({name: value for name, value in named.items() if value})
        return f"/definitions/new?{query}" if query else "/definitions/new"


def find_subject(platform: Platform, asset: str, variable: str) -> ChosenSubject:
    """Return what a new definition is about, of an asset and a variable that are named or empty.
    Raises NotFound for names that are not known."""
    named = platform.assets.get(asset) if asset else None
    if asset and named is None:
        raise NotFound(translatable("there is no such asset"))
    fitting = [named] if named else [a for a in platform.assets.all() if _fits(a, variable)]
    if variable and not any(variable in one.variables for one in fitting):
        raise NotFound(translatable("there is no such variable"))
    if not fitting:
        return ChosenSubject(is_example=not platform.assets.all())
    if len(fitting) > 1:
        return ChosenSubject(None, variable, fitting)
    numbers = _numbers(fitting[0])
    if variable or len(numbers) == 1:
        return ChosenSubject(fitting[0], variable or numbers[0])
    titles = [(name, fitting[0].variables[name].title or "") for name in numbers]
    return ChosenSubject(fitting[0], variables=titles)


def list_starts() -> list[dict[str, Any]]:
    """Return the questions of all kinds with the names under which they are chosen, the simplest
    first."""
    found: list[dict[str, Any]] = [
        {"name": f"{kind}-{number}", "kind": kind, "start": start}
        for kind, definition in definition_types().items()
        for number, start in enumerate(definition.starts, 1)
    ]
    return sorted(found, key=lambda one: one["start"].order)


def starting_text(platform: Platform, chosen: str, subject: ChosenSubject) -> str:
    """Return the YAML to start from, with nothing where a person has to choose. Raises NotFound for
    a name that is none of the questions."""
    assets = [_ASSET] if subject.is_example else [subject.asset.name] if subject.asset else []
    if chosen == EMPTY:
        named: dict[str, Any] = {"assets": assets} if subject.asset else {}
        named |= {"variable": subject.variable} if subject.variable else {}
        return write_yaml_document(named) if named else ""
    variable = _VARIABLE if subject.is_example else subject.variable
    limit = _LIMIT if subject.is_example else _limit(platform, subject)
    one = _start(chosen)
    head = {"name": "a-name", "kind": one["kind"], "assets": assets, "title": "A title"}
    return write_yaml_document(head | one["start"].fields(variable, limit))


def asks_for_variable(chosen: str) -> bool:
    """Return whether the text of a question names a variable. Raises NotFound for a name that is
    none of the questions."""
    if chosen == EMPTY:
        return False
    start: Start = _start(chosen)["start"]
    return start.fields("a", _LIMIT) != start.fields("b", _LIMIT)


def _start(chosen: str) -> dict[str, Any]:
    one = next((one for one in list_starts() if one["name"] == chosen), None)
    if one is None:
        raise NotFound(f"there is no start {chosen!r}")
    return one


def _fits(asset: Asset, variable: str) -> bool:
    return variable in asset.variables if variable else bool(_numbers(asset))


def _numbers(asset: Asset) -> list[str]:
    return [name for name, one in asset.variables.items() if one.type == "number"]


def _limit(platform: Platform, subject: ChosenSubject) -> float | None:
    """Return a limit a little above the newest value of the variable, or its range's end; None
    where none can be proposed."""
    asset = subject.asset
    if asset is None or subject.variable not in _numbers(asset):
        return None
    declared = asset.variables[subject.variable]
    span = platform.readings.span(asset.name, platform.clock.now())
    if span is not None:
        since = {subject.variable: span[1] - _RECENT}
        values = platform.readings.newest_values(asset, since, span[1])[subject.variable].dropna()
        if len(values):
            value = float(values.iloc[-1])
            return float(f"{value + abs(value) * 0.1:.3g}")
    return _LIMIT if declared.high is None else declared.high
