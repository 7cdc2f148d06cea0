"""Texts from which a new definition starts: they follow from a question and from the chosen asset
and variable. If there are several and none was chosen, the text leaves them empty."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from alerting.console.api.parameters import write_yaml_document
from alerting.console.plant.trend_picture import numeric_names
from alerting.console.rendering import address_with
from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import NotFound
from alerting.definitions.fields.shared_fields import Start
from alerting.definitions.wording.language import translatable
from alerting.kinds.registry import definition_types
from alerting.learning.selection.decision import threshold_alert
from alerting.ports import Platform
from alerting.usecases.definitions.versions import require_revision

EMPTY = "empty"
_LIMIT = 100.0
MOST_OFFERED = 50


@dataclass(frozen=True)
class ChosenSubject:
    """The subject of a new definition. `asset`, `variable`: the named ones, else the only existing
    ones; None and empty where a person has to choose among `assets`, or `variables`. `is_example`:
    whether the plant has no assets yet."""

    asset: Asset | None = None
    variable: str = ""
    assets: Sequence[Asset] = ()
    variables: Sequence[tuple[str, str]] = ()
    is_example: bool = False

    def address(self, start: str = "", asset: str = "", variable: str = "") -> str:
        """Return the address of a new definition of this subject, or of a chosen part of it."""
        named = {
            "start": start,
            "asset": asset or (self.asset.name if self.asset else ""),
            "variable": variable or self.variable,
        }
        return address_with("/definitions/new", named)


def find_subject(platform: Platform, asset: str, variable: str) -> ChosenSubject:
    """Return the subject of a new definition, from an asset and a variable that are named or empty.
    Raises NotFound for unknown names."""
    named = platform.assets.get(asset) if asset else None
    if asset and named is None:
        raise NotFound(translatable("there is no such asset"))
    fitting = (
        [named]
        if named
        else [
            asset
            for asset in platform.assets.all()
            if (variable in asset.variables if variable else numeric_names(asset))
        ]
    )
    if variable and not any(variable in candidate.variables for candidate in fitting):
        raise NotFound(translatable("there is no such variable"))
    if not fitting:
        return ChosenSubject(is_example=not platform.assets.all())
    if len(fitting) > 1:
        return ChosenSubject(None, variable, fitting)
    numbers = numeric_names(fitting[0])
    if variable or len(numbers) == 1:
        return ChosenSubject(fitting[0], variable or numbers[0])
    titles = [(name, fitting[0].variables[name].title or "") for name in numbers]
    return ChosenSubject(fitting[0], variables=titles)


def list_starts() -> list[dict[str, Any]]:
    """Return the questions of all kinds, the simplest first, with the names by which people choose
    them."""
    starts: list[dict[str, Any]] = [
        {"name": f"{kind}-{number}", "kind": kind, "start": start}
        for kind, definition in definition_types().items()
        for number, start in enumerate(definition.starts, 1)
    ]
    return sorted(starts, key=lambda described: described["start"].order)


def starting_text(platform: Platform, chosen: str, subject: ChosenSubject) -> str:
    """Return the YAML to start from, empty where a person has to choose. Raises NotFound if no
    question has this name."""
    assets = [subject.asset.name] if subject.asset else []
    if subject.is_example:
        assets = ["oven-1"]
    if chosen == EMPTY:
        named: dict[str, Any] = {"assets": assets} if subject.asset else {}
        named |= {"variable": subject.variable} if subject.variable else {}
        return write_yaml_document(named) if named else ""
    variable = "temperature" if subject.is_example else subject.variable
    limit = _LIMIT if subject.is_example else _limit(platform, subject)
    start = _start(chosen)
    head = {"name": "a-name", "kind": start["kind"], "assets": assets, "title": "A title"}
    return write_yaml_document(head | start["start"].fields(variable, limit))


def alert_at_limit(platform: Platform, name: str) -> str:
    """Return the alert, as YAML, that raises where the problem of a definition begins. Raises
    NotFound if no limit shows it."""
    definition = require_revision(platform.definitions, name).definition
    alert = threshold_alert(definition) if isinstance(definition, TrainedDefinition) else ""
    if not alert:
        raise NotFound(translatable("no alert at a limit follows from this definition"))
    return alert


def asks_for_variable(chosen: str) -> bool:
    """Return whether the text of a question names a variable. Raises NotFound if no question has
    this name."""
    if chosen == EMPTY:
        return False
    start: Start = _start(chosen)["start"]
    return start.fields("a", _LIMIT) != start.fields("b", _LIMIT)


def _start(chosen: str) -> dict[str, Any]:
    start = next((start for start in list_starts() if start["name"] == chosen), None)
    if start is None:
        raise NotFound(f"there is no start {chosen!r}")
    return start


def _limit(platform: Platform, subject: ChosenSubject) -> float | None:
    """Return a limit a little above the newest value of the variable, or its range's end; None if
    no limit can be proposed."""
    asset = subject.asset
    if asset is None or subject.variable not in numeric_names(asset):
        return None
    declared = asset.variables[subject.variable]
    span = platform.readings.span(asset.name, platform.clock.now())
    if span is not None:
        since = {subject.variable: span[1] - timedelta(days=1)}
        values = platform.readings.newest_values(asset, since, span[1])[subject.variable].dropna()
        if len(values):
            value = float(values.iloc[-1])
            return float(f"{value + abs(value) * 0.1:.3g}")
    return _LIMIT if declared.high is None else declared.high
