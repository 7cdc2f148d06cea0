"""Drift of a model's variables as its page shows it, with proposals."""

from datetime import datetime, timedelta
from typing import Any

from alerting.adapters.platform import Platform
from alerting.console.trends.address import trend_of_variables
from alerting.definitions.assets import Asset
from alerting.learning.metrics.drift_findings import DefinitionDrift, DriftFinding
from alerting.ports import PlatformAlert
from alerting.reporting.figures.drift_chart import draw_drift
from alerting.usecases.definitions.platform_alerts import MISCALIBRATED, UNDERPERFORMS

_BEFORE = timedelta(days=3)


def describe_drift(platform: Platform, name: str, now: datetime) -> dict[str, Any] | None:
    """Return the last check of a definition, its findings on visible assets, and the alerts on the
    performance of its model; None where nothing is known."""
    check = platform.drift.get(name)
    alerts = _alerts(platform, name)
    if check is None and not alerts:
        return None
    assets = {asset.name: asset for asset in platform.assets.all()}
    findings = check.findings if check else ()
    return {
        "check": check,
        "findings": [
            _finding(check, one, assets[one.asset], now)
            for one in findings
            if check and one.asset in assets
        ],
        "doubts": [one for one in (check.doubts if check else ()) if one.asset in {"", *assets}],
        "alerts": alerts,
    }


def _finding(
    check: DefinitionDrift, found: DriftFinding, asset: Asset, now: datetime
) -> dict[str, Any]:
    first = found.moved[0]
    titles = {n: v.title or n for n, v in asset.variables.items()}
    units = {n: v.unit or "" for n, v in asset.variables.items()}
    trend = trend_of_variables(asset, found.variables, found.since - _BEFORE, now)
    marked = trend_of_variables(asset, found.variables, found.since, now)
    mark = "bad" if found.cause == "sensor" else "not_to_learn_from"
    return {
        "found": found,
        "asset": asset.title or asset.name,
        "titles": titles,
        "units": units,
        "beside": [_setting_title(name, titles) for name in found.beside],
        "chart": draw_drift(found.days, first, found.since, check.learned_until),
        "dismissed": check.dismissed(found, now),
        "trend": trend,
        "mark": marked and f"{marked}&mark={mark}#marks",
    }


def _setting_title(name: str, titles: dict[str, str]) -> str:
    """Return the title of a set-point, or of a category with its value (`recipe=B`)."""
    variable, equals, value = name.partition("=")
    return f"{titles.get(variable, variable)}{equals}{value}"


def _alerts(platform: Platform, name: str) -> list[PlatformAlert]:
    kinds = (MISCALIBRATED, UNDERPERFORMS)
    found = platform.platform_alerts.open()
    return [alert for alert in found if alert.subject == name and alert.kind in kinds]
