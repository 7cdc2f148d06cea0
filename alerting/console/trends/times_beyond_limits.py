"""The part of a trend's page that finds times beyond limits."""

from datetime import timedelta
from typing import Any

import yaml

from alerting.adapters.platform import Platform
from alerting.console.api.parameters import read_duration
from alerting.console.trends.address import Asked
from alerting.console.trends.picture import ShownTime
from alerting.definitions.assets import Asset
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.usecases.explain.explain import LimitCondition, find_times, numeric_variables
from alerting.usecases.labels.overlay import without_bad_values


def find_part(platform: Platform, asset: Asset, asked: Asked, shown: ShownTime) -> dict[str, Any]:
    """Return the condition that is asked for, its limits, the times at which it held, why they
    cannot be found, and the definition that raises an alarm at it. Raises NotFound, and UserError
    for a variable that is no number."""
    found: dict[str, Any] = {
        "condition": None,
        "levels": [],
        "found": None,
        "wrong": "",
        "draft": "",
    }
    if not asked.find:
        return found
    numeric_variables(asset, [asked.find])
    try:
        condition = _condition(asked)
        found["condition"] = condition
        found["levels"] = [v for v in (condition.above, condition.below) if v is not None]
        found["draft"] = _draft(asset, condition)
        readings = without_bad_values(platform).readings
        found["found"] = find_times(readings, asset, condition, *shown)
    except UserError as fault:
        found["wrong"] = fault.message
    except ValueError as fault:
        found["wrong"] = f"“{asked.lasting}” {fault}"
    return found


def _condition(asked: Asked) -> LimitCondition:
    lasting = read_duration(asked.lasting) if asked.lasting.strip() else timedelta(0)
    condition = LimitCondition(asked.find, _number(asked.above), _number(asked.below), lasting)
    condition.problem()
    return condition


def _number(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        found = float("nan")
    if not abs(found) < 1e300:
        raise UserError(translatable("“{text}” is not a number", text=text))
    return found


def _draft(asset: Asset, condition: LimitCondition) -> str:
    """Return the definition that raises an alarm at a condition, as YAML."""
    sides = {"above": condition.above, "below": condition.below}
    side = "high" if condition.above is not None else "low"
    name = f"{asset.name}-{condition.variable}-{side}".lower().replace("_", "-")
    document = {
        "name": name,
        "kind": "threshold",
        "assets": [asset.name],
        "variable": condition.variable,
        **{key: value for key, value in sides.items() if value is not None},
    }
    if condition.lasting:
        document["for"] = f"{int(condition.lasting.total_seconds())}s"
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
