"""Messages about numbers, variables and columns in plain language."""

from collections.abc import Sequence
from datetime import timedelta

from alerting.definitions.assets import Asset, Variable
from alerting.definitions.wording.spoken import inside_sentence, spoken_duration, spoken_points, spoken_share
from alerting.episodes.episode import Change, Safety
from alerting.learning.features.plan import Column
from alerting.learning.features.set_point_effects import SetPointEffects
from alerting.readings.history import from_millis

LEVELS = ("last", "mean", "min", "max", "lag")  # aggregations in the variable's own unit that show its level
_UNKNOWN_VARIABLE = Variable()
_STATISTIC = {
    "mean": "the mean of {name} over {window}",
    "min": "the lowest {name} over {window}",
    "max": "the highest {name} over {window}",
    "std": "the spread of {name} over {window}",
    "slope": "the trend of {name} over {window}",
    "missing": "the share of missing values of {name} over {window}",
    "age": "the age of the last value of {name}",
    "lag": "{name} {window} before",
    "count": "the number of {name} events in {window}",
    "recency": "the time since the last {name} event",
}


def title(asset: Asset, variable: str) -> str:
    """Return the title of a variable, or its name with spaces instead of underscores."""
    declared = asset.variables.get(variable, _UNKNOWN_VARIABLE)
    return declared.title or variable.replace("_", " ")


def unit(asset: Asset, variable: str) -> str | None:
    """Return the unit of a variable's values, if it has one."""
    return asset.variables.get(variable, _UNKNOWN_VARIABLE).unit


def quantity(value: float, unit_text: str | None = None) -> str:
    """Format a number with three significant digits (whole ones in full) and its unit: `12.3 °C`."""
    digits = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{digits} {unit_text}" if unit_text else digits


def usual_interval(low: float, high: float, unit_text: str | None = None) -> str:
    """Format the usual range of a variable: `203 to 215 °C`, and one value where both ends read the same."""
    ends = [quantity(end) for end in (low, high)]
    text = ends[0] if ends[0] == ends[1] else " to ".join(ends)
    return f"{text} {unit_text}" if unit_text else text


def setting(value: float, unit_text: str | None = None) -> str:
    """Format a set-point in full, as operators enter it: `1234.5 °C`."""
    return f"{value:.10g} {unit_text}" if unit_text else f"{value:.10g}"


def describe_setting(asset: Asset, changes: Sequence[Change]) -> str:
    """Describe the next step of an operator: `Set belt speed from 8.0 to 7.4 m/min and damper from 40 to 60 % now`."""
    return "Set " + " and ".join(_step(asset, change) for change in changes) + " now"


def risk_step(before: float, after: float) -> str:
    """Describe the effect of a change on the risk: `Risk 89 % → 26 %`."""
    return f"Risk {spoken_share(before)} → {spoken_share(after)}"


def describe_safety(safety: Safety, aim: float) -> str:
    """Describe what an answer does not reach, as a sentence; empty if it stays under the aimed score."""
    if safety == "threshold":
        return f"Set exactly: it keeps the alarm away, but not the risk under {spoken_share(aim)} if a setting is missed."
    return "Only just enough: if a setting is missed, the alarm may stay." if safety == "nominal" else ""


def describe_unusual(unusual: float | None) -> str:
    """Describe how unusual the line would be: `As unusual as 1 in 20 normal moments.`"""
    if unusual is None:
        return "Plausibility not known."
    beyond = 1 - unusual
    if beyond >= 0.5:
        return "As usual as most normal moments."
    return f"As unusual as 1 in {1 / beyond:.0f} normal moments." if beyond > 0 else "More unusual than any normal moment known."


def describe_relief(asset: Asset, effects: SetPointEffects, relief: float) -> str:
    """Describe the estimated effect of a change on the problem variable, as a sentence; empty without one.

    `relief`: by how much it takes the variable away from its limit.
    """
    if relief <= 0:
        return ""
    name, own = inside_sentence(title(asset, effects.variable)), unit(asset, effects.variable)
    push, side = ("lowers", "above") if effects.limit_side > 0 else ("raises", "below")
    text = f"By the history it {push} {name} by at least {quantity(relief, own)}"
    if relief < effects.needed - 1e-9:
        return f"{text}; one problem in five goes more than {quantity(effects.needed, own)} {side} the limit."
    return f"{text}."


def _step(asset: Asset, change: Change) -> str:
    name, before, after = inside_sentence(title(asset, change.variable)), change.before, change.after
    ramp = f" over {spoken_duration(change.takes)}" if change.takes else ""
    if isinstance(before, str) or isinstance(after, str):
        return f"{name} from {before} to {after}{ramp}"
    decimals = max(_decimals(before), _decimals(after))
    own = f" {change.unit}" if change.unit else ""
    return f"{name} from {before:.{decimals}f} to {after:.{decimals}f}{own}{ramp}"


def _decimals(value: float) -> int:
    text = f"{value:.7g}"  # a value of 32 bits has no more digits: 7.4 is stored as 7.400000095
    return 0 if "e" in text else len(text.partition(".")[2])


def column_value(asset: Asset, column: Column, value: float | str | None) -> str:
    """Format the value of a column with the unit of its aggregation; None for text values."""
    if value is None:
        return "not known"
    if isinstance(value, str):
        return value
    if column.kind == "variable" and asset.variables.get(column.source, _UNKNOWN_VARIABLE).type == "boolean" and value in (0, 1):
        return "true" if value else "false"
    if column.aggregation == "missing":
        return spoken_share(value)
    if column.aggregation in ("age", "recency"):
        return spoken_duration(from_millis(int(value * 1000)) - from_millis(0))
    own = unit(asset, column.source) if column.kind == "variable" else None
    return quantity(value, f"{own or ''}/h" if column.aggregation == "slope" else own)


def describe_contribution(
    asset: Asset,
    column: Column,
    value: float | str | None,
    usual: float | str | None,
    share: float,
    usual_range: tuple[float, float] | None = None,
) -> str:
    """Describe a contribution: `zone 2 temperature, 12 °C above its usual 203 to 215 °C, raises the risk by 31 points`.

    `usual`: the median or most frequent level; `usual_range`: the 10 and 90 % quantiles of a number, where they are known.
    """
    push = f"{'raises' if share > 0 else 'lowers'} the risk by {spoken_points(abs(share))}"
    if _is_level(asset, column) and isinstance(value, float) and isinstance(usual, float):
        return f"{_subject(asset, column)}, {_against_usual(asset, column, value, usual, usual_range)}, {push}"
    shown, usually = column_value(asset, column, value), column_value(asset, column, usual)
    state = column.aggregation in ("last", "value")
    if shown == usually:
        return f"{_subject(asset, column)}{' is ' if state else ', '}{shown} as usual{' and ' if state else ', '}{push}"
    if state:
        return f"{_subject(asset, column)} is {shown} (usually {usually}), which {push}"
    return f"{_subject(asset, column)}, {shown} (usually {usually}), {push}"


def _is_level(asset: Asset, column: Column) -> bool:
    boolean = asset.variables.get(column.source, _UNKNOWN_VARIABLE).type == "boolean"
    return column.kind == "variable" and column.aggregation in LEVELS and not boolean


def _subject(asset: Asset, column: Column) -> str:
    name = inside_sentence(title(asset, column.source)) if column.kind == "variable" else column.source
    pattern = _STATISTIC.get(column.aggregation, "{name}")
    return pattern.format(name=name, window=spoken_duration(timedelta(milliseconds=column.window_ms or 0)))


def _against_usual(asset: Asset, column: Column, value: float, usual: float, usual_range: tuple[float, float] | None) -> str:
    own = unit(asset, column.source)
    if usual_range is not None:
        low, high = usual_range
        usually = f"its usual {usual_interval(low, high, own)}"
        if low <= value <= high:
            return f"{quantity(value, own)}, within {usually}"
        beyond = f"{quantity(value - high, own)} above" if value > high else f"{quantity(low - value, own)} below"
        return f"{beyond} {usually}"
    distance = value - usual
    if abs(distance) <= 1e-3 * max(abs(usual), 1e-9):
        return f"at its usual {quantity(usual, unit(asset, column.source))}"
    return f"{quantity(abs(distance), unit(asset, column.source))} {'above' if distance > 0 else 'below'} its usual"
