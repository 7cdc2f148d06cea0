"""The panel of a trend: its variables with their last values, the ranges of their axes, the limits
of alerts on them, and the alerts that it proposes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import yaml

from alerting.console.plant.trend_picture import AxisRange, TrendQuery, numeric_names
from alerting.deferred import np
from alerting.definitions.alert_definition import AssetIndex, Definition, matching_assets
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import UserError
from alerting.definitions.fields.condition_fields import Conditions
from alerting.definitions.wording.language import Language, Styled, translatable
from alerting.ports import Platform
from alerting.reporting.charts import LimitLine
from alerting.reporting.variable_charts import (
    ChartLevel,
    condition_levels,
    levels_by_variable,
    problem_levels,
)
from alerting.usecases.explain import LimitCondition
from alerting.usecases.trend_series import LastSample, VariableSeries, last_samples

MOST_VARIABLES_OFFERED = 200


class PanelVariable(NamedTuple):
    """A variable of the panel. `low`, `high`: the typed ends of its axis; `refusal`: why they are
    not used; `draft`: the alert that is proposed for it, empty without values."""

    name: str
    title: str
    unit: str
    is_drawn: bool
    last: LastSample | None
    low: str = ""
    high: str = ""
    refusal: str = ""
    draft: str = ""


def title_of(asset: Asset, variable: str) -> str:
    """Return the name of a variable for people."""
    return asset.variables[variable].title or variable.replace("_", " ")


def panel_variables(
    platform: Platform,
    asset: Asset,
    query: TrendQuery,
    refusals: Mapping[str, str],
    drafts: Mapping[str, str],
) -> tuple[list[PanelVariable], bool]:
    """Return the drawn variables and the numbers whose name or title has the searched text, in the
    order of the asset, with their last values; and whether there are more."""
    searched = query.text.strip().casefold()
    fitting = [
        name
        for name in numeric_names(asset)
        if searched in f"{name} {title_of(asset, name)}".casefold() or name in query.variables
    ]
    shown = fitting[:MOST_VARIABLES_OFFERED]
    shown += [name for name in query.variables if name not in shown]
    now = platform.clock.now()
    span = platform.readings.span(asset.name, now)
    last = last_samples(platform, asset, shown, min(now, span[1])) if span else {}
    ends = dict(query.ranges)
    variables = [
        PanelVariable(
            name,
            title_of(asset, name),
            asset.variables[name].unit or "",
            name in query.variables,
            last.get(name),
            ends.get(f"low.{name}", ""),
            ends.get(f"high.{name}", ""),
            refusals.get(name, ""),
            drafts.get(name, ""),
        )
        for name in shown
    ]
    return variables, len(fitting) > MOST_VARIABLES_OFFERED


def read_ranges(query: TrendQuery) -> tuple[dict[str, AxisRange], dict[str, str]]:
    """Return the wanted ends of the axes of drawn variables, and why others are not used."""
    ends = dict(query.ranges)
    ranges: dict[str, AxisRange] = {}
    refusals: dict[str, str] = {}
    for name in query.variables:
        try:
            low = read_number(ends.get(f"low.{name}", ""))
            high = read_number(ends.get(f"high.{name}", ""))
            if low is not None and high is not None and low >= high:
                raise UserError(translatable("the axis must begin below its upper end"))
            ranges[name] = AxisRange(low, high)
        except UserError as fault:
            refusals[name] = fault.message
    return ranges, refusals


def read_number(text: str) -> float | None:
    """Return a number that a person wrote with a decimal point or comma; None without one. Raises
    UserError."""
    if not text.strip():
        return None
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e300:
        raise UserError(translatable("“{text}” is not a number", text=text))
    return value


def alert_limits(
    platform: Platform, asset: Asset, names: Sequence[str], language: Language
) -> dict[str, list[LimitLine]]:
    """Return the limits of the active alerts on each variable of an asset, with their titles."""
    index = AssetIndex([asset])
    lines: dict[str, list[LimitLine]] = {name: [] for name in names}
    for revision in platform.definitions.latest_revisions():
        definition = revision.definition
        if definition.state != "active" or not matching_assets(definition, index):
            continue
        title = language.translate(definition.title or definition.name)
        for name, levels in _levels(definition, asset).items():
            if name in lines:
                texts = (f"{title} {language.show(Styled(v.value, 'g'))}" for v in levels)
                lines[name] += map(LimitLine, (level.value for level in levels), texts)
    return lines


def _levels(definition: Definition, asset: Asset) -> Mapping[str, Sequence[ChartLevel]]:
    if isinstance(definition, Conditions):
        if (combination := definition.combination) is not None:
            return levels_by_variable(combination, asset)
        return {definition.variable: condition_levels(definition, asset)}
    problem = definition.problem
    if problem is None:
        return {}
    if problem.combination is not None:
        return levels_by_variable(problem.combination, asset)
    return dict.fromkeys(problem.variables, problem_levels(problem))


def propose_alerts(asset: Asset, series: Sequence[VariableSeries]) -> dict[str, str]:
    """Return for each variable with values an alert above nearly all that is drawn, as YAML."""
    drafts = {}
    for drawn in series:
        high = drawn.high[~np.isnan(drawn.high)]
        if len(high):
            limit = float(f"{np.quantile(high, 0.99):.4g}")
            drafts[drawn.variable] = draft_alert(asset, LimitCondition(drawn.variable, above=limit))
    return drafts


def draft_alert(asset: Asset, condition: LimitCondition) -> str:
    """Return the definition that raises an alarm at a condition, as YAML."""
    sides = {"above": condition.above, "below": condition.below}
    side = "high" if condition.above is not None else "low"
    document = {
        "name": f"{asset.name}-{condition.variable}-{side}".lower().replace("_", "-"),
        "kind": "threshold",
        "assets": [asset.name],
        "variable": condition.variable,
        **{key: value for key, value in sides.items() if value is not None},
    }
    if condition.lasting:
        document["for"] = f"{int(condition.lasting.total_seconds())}s"
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
