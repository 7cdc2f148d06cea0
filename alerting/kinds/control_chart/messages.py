"""What a control chart says of a point, in the language of the plant."""

from alerting.definitions.assets import Asset
from alerting.detection.control_charts.chart import LIMIT, SPREAD, Chart, Point
from alerting.detection.control_charts.rules import RULES, RuleName
from alerting.kinds.control_chart.definition import ControlChartDefinition
from alerting.readings.history import from_millis

_SECOND = "%H:%M:%S"


def shift_message(definition: ControlChartDefinition, asset: Asset, chart: Chart, point: Point) -> str:
    """Return why a point signals: `Zone 2 temperature has shifted up: EWMA of the value 203.2 °C, above the limit 202.9 °C`."""
    variable = asset.variables.get(definition.variable)
    name = (variable and variable.title) or definition.variable[:1].upper() + definition.variable[1:].replace("_", " ")
    unit = f" {variable.unit}" if variable and variable.unit and chart.kind != "cusum" else ""
    limits = chart.limits
    if not point.signals.keys() - {SPREAD}:
        return (
            f"{name} varies {_more_or_less(chart, point)} than usual: standard deviation {point.spread:.4g}{unit} in a subgroup"
        )
    direction = "up" if point.statistic >= limits.centre else "down"
    nearest = limits.upper if direction == "up" else limits.lower
    texts = [describe_signal(signal) for signal in point.signals]
    if LIMIT in point.signals:
        beyond = "above" if direction == "up" else "below"
        now = f"{chart.statistic} {point.statistic:.5g}{unit}"
        return f"{name} has shifted {direction}: {now}, {beyond} the limit {nearest:.5g}{unit}"
    return (
        f"{name} has shifted {direction}: {'; '.join(texts)} (now {point.statistic:.5g}{unit}, "
        f"centre line {limits.centre:.5g}{unit}, limits {limits.lower:.5g} and {limits.upper:.5g}{unit})"
    )


def _more_or_less(chart: Chart, point: Point) -> str:
    high = chart.spread is not None and point.spread is not None and point.spread > chart.spread[1] * chart.sigma
    return "more" if high else "less"


def describe_signal(signal: str) -> str:
    """Return a signal in words, a rule with its name."""
    if signal == LIMIT:
        return "the statistic lies beyond the control limit"
    if signal == SPREAD:
        return "the standard deviation in the subgroup lies beyond its limits (S chart)"
    name: RuleName = signal  # type: ignore[assignment]
    return f"{RULES[name].message} ({name})"


def describe_points(point: Point) -> list[str]:
    """Return a sentence for each signal of a point, with the instants of the points that gave it."""
    lines = []
    for signal, instants in point.signals.items():
        stamps = [from_millis(t) for t in instants]
        shown = ", ".join(f"{t:{_SECOND}}" for t in stamps)
        lines.append(f"{describe_signal(signal)}: points of {stamps[0]:%Y-%m-%d} UTC at {shown}")
    return lines
