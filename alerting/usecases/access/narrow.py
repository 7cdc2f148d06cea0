"""The platform of an account with a scope: every port is narrowed to the part that it sees.

What is out of scope does not exist for the account. A field of the platform that has no rules
(`port_rules`) and does not stay as it is, is refused.
"""

from dataclasses import fields, replace
from typing import Any, TypeVar

from alerting.definitions.plants import Plant
from alerting.definitions.upkeep import DeclarationBounds
from alerting.ports import AccessPorts
from alerting.reporting.life.settings import report_subject
from alerting.usecases.access.port_rules import RULES
from alerting.usecases.access.rules import NarrowedPort, Sight
from alerting.usecases.access.silence_rules import SILENCE_RULES
from alerting.usecases.access.visible import VisiblePart

P = TypeVar("P", bound=AccessPorts)
NO_NEW_ASSETS = DeclarationBounds(0, 0, 0)
AS_IT_IS = frozenset({
    "clock", "line_speed", "unit_of_work", "channels", "model_key", "model_file_cache",
    "in_memory", "zone", "language", "latency", "budget", "limits", "retention", "health_limits",
    "plant_report",
})  # fmt: skip
"""Fields of the platform that tell nothing of an asset: settings, clock, units of work."""


def narrow(platform: P, part: VisiblePart, person: str) -> P:
    """Return the platform as an account with a scope sees it, with the settings of the plant in
    which all of the part lies. `person`: name of the account."""
    stores: Any = platform
    rules = {**RULES, **SILENCE_RULES}
    sight = Sight(person, part, stores.episodes, stores.shelves, stores.sources)
    narrowed: dict[str, Any] = {"links": None, "disks": tuple}
    for field in fields(platform):
        value = getattr(platform, field.name)
        if value is not None and field.name not in AS_IT_IS and field.name not in narrowed:
            narrowed[field.name] = NarrowedPort(value, field.type, rules.get(field.name, {}), sight)
    limits = replace(stores.declaration_limits, assets=NO_NEW_ASSETS)
    return in_plant(
        replace(platform, **{**narrowed, "declaration_limits": limits}),
        part.plant,
    )


def in_plant(platform: P, plant: Plant) -> P:
    """Return the platform with what a plant states: time zone, language, report, alarm budget."""
    stores: Any = platform
    settings = plant.settings
    report = stores.plant_report
    changed = {
        "zone": plant.zone(stores.zone),
        "language": plant.language(stores.language),
        "plant_report": replace(
            report,
            period=settings.report_period or report.period,
            recipients=settings.report_recipients if plant.name else report.recipients,
            subject=report_subject(plant.name),
        ),
        "budget": plant.budget(stores.budget),
    }
    return replace(platform, **changed)
