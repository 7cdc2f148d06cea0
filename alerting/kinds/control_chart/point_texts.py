"""Sentences about the points of a control chart, and about what it charts."""

import re

from alerting.definitions.asset_documents import Asset
from alerting.definitions.fields.problem import title_in_sentence
from alerting.definitions.wording.language import (
    Styled,
    Translatable,
    in_english,
    joined,
    measured,
    spoken_number,
    template,
    translatable,
)
from alerting.kinds.control_chart.definition import RULES, ControlChartDefinition, RuleName
from alerting.kinds.control_chart.model import LIMIT, SPREAD, Chart, Point
from alerting.readings.history import from_millis

_VARIES = (
    template("{name} varies less than usual: standard deviation {value} in a subgroup"),
    template("{name} varies more than usual: standard deviation {value} in a subgroup"),
)
_BEYOND = (
    template(
        "{name} has shifted down: its charted value {value} is below the control limit {limit}"
    ),
    template("{name} has shifted up: its charted value {value} is above the control limit {limit}"),
)
_PATTERN = (
    template("{name} has shifted down: {rules}; now {value}, centre line {centre}"),
    template("{name} has shifted up: {rules}; now {value}, centre line {centre}"),
)

_STATISTICS = frozenset({
    template("value"), template("EWMA of the value"), template("CUSUM of the value"),
    template("residual"), template("EWMA of the residual"), template("CUSUM of the residual"),
    template("mean value of {number}"), template("EWMA of the mean value of {number}"),
    template("CUSUM of the mean value of {number}"), template("mean residual of {number}"),
    template("EWMA of the mean residual of {number}"),
    template("CUSUM of the mean residual of {number}"),
})  # fmt: skip
_NUMBER = re.compile(r"\d+")


def statistic_text(stored: str) -> str:
    """Return the name of a charted statistic, as an episode stores it, as a text for every
    language."""
    numbers = _NUMBER.findall(stored)
    text = _NUMBER.sub("{number}", stored)
    return (
        translatable(text, **({"number": numbers[0]} if numbers else {}))
        if text in _STATISTICS
        else stored
    )


def shift_message(
    definition: ControlChartDefinition, asset: Asset, chart: Chart, point: Point
) -> str:
    """Return why a point signals: `Force has shifted up: its charted value 203.2 kN (EWMA of the
    value) is above the control limit 202.9 kN`."""
    name = title_in_sentence(asset, definition.variable)
    variable = asset.variables.get(definition.variable)
    unit = variable.unit if variable else None
    if point.signals.keys() == {SPREAD} and point.spread is not None:
        high = chart.spread is not None and point.spread > chart.spread[1] * chart.sigma
        return translatable(_VARIES[high], name=name, value=measured(point.spread, ".3g", unit))
    limits = chart.limits
    of_statistic = None if chart.kind == "cusum" else unit
    is_up = point.statistic >= limits.centre
    beside = limits.centre
    if LIMIT in point.signals:
        beside = limits.upper if is_up else limits.lower
    style = _style(point.statistic, beside)
    now = _charted(chart, measured(point.statistic, style, of_statistic))
    if LIMIT in point.signals:
        limit = measured(beside, style, of_statistic)
        return translatable(_BEYOND[is_up], name=name, value=now, limit=limit)
    return translatable(
        _PATTERN[is_up],
        name=name,
        rules=joined("; ", *(describe_signal(signal) for signal in point.signals)),
        value=now,
        centre=measured(beside, style, of_statistic),
    )


def _charted(chart: Chart, value: Styled) -> Styled | Translatable:
    """Return a charted value with the name of its statistic, unless it is the value of the variable
    itself."""
    if chart.statistic == "value":
        return value
    return translatable(
        "{value} ({statistic})", value=value, statistic=statistic_text(chart.statistic)
    )


def _style(value: float, beside: float) -> str:
    """Return a format in which two numbers differ: three significant digits, or more if needed."""
    styles = (f".{digits}g" for digits in range(3, 15))
    return next((s for s in styles if spoken_number(value, s) != spoken_number(beside, s)), ".3g")


def describe_signal(signal: str) -> str:
    """Describe a signal; a rule with its name."""
    if signal == LIMIT:
        return translatable("the charted value lies beyond the control limit")
    if signal == SPREAD:
        return translatable(
            "the standard deviation in the subgroup lies beyond its limits (S chart)"
        )
    name: RuleName = signal  # type: ignore[assignment]
    return translatable("{rule} ({name})", rule=translatable(RULES[name].message), name=name)


def describe_points(point: Point) -> list[str]:
    """Return a sentence for each signal of a point, with the instants of the points that gave
    it."""
    return [
        in_english(
            "{signal}: points of {instants}",
            signal=describe_signal(signal),
            instants=joined(", ", *(in_english("{at}", at=from_millis(t)) for t in instants)),
        )
        for signal, instants in point.signals.items()
    ]
