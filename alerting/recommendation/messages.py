"""Messages about numbers, variables and columns in plain language."""

from collections.abc import Sequence

from alerting.definitions.assets import Asset, Variable
from alerting.definitions.wording.language import ENGLISH, Styled, Translatable, both, joined, measured, template, translatable
from alerting.episodes.episode import Change, Safety
from alerting.learning.features.plan import Column
from alerting.learning.features.set_point_effects import SetPointEffects

LEVELS = ("last", "mean", "min", "max", "lag")  # aggregations in the variable's own unit that show its level
_UNKNOWN_VARIABLE = Variable()
_PUSHES = template("lowers the risk by {points}"), template("raises the risk by {points}")
_STATISTIC = {
    "mean": template("the mean of {name} over {window}"),
    "min": template("the lowest {name} over {window}"),
    "max": template("the highest {name} over {window}"),
    "std": template("the spread of {name} over {window}"),
    "slope": template("the trend of {name} over {window}"),
    "missing": template("the share of missing values of {name} over {window}"),
    "age": template("the age of the last value of {name}"),
    "lag": template("{name} {window} before"),
    "count": template("the number of {name} events in {window}"),
    "recency": template("the time since the last {name} event"),
}


def title(asset: Asset, variable: str) -> str:
    """Return the title of a variable, or its name with spaces instead of underscores."""
    declared = asset.variables.get(variable, _UNKNOWN_VARIABLE)
    return declared.title or variable.replace("_", " ")


def unit(asset: Asset, variable: str) -> str | None:
    """Return the unit of a variable's values, if it has one."""
    return asset.variables.get(variable, _UNKNOWN_VARIABLE).unit


def quantity(value: float, unit_text: str | None = None) -> Styled:
    """Return a number with three significant digits (whole ones in full) and its unit: `12.3 °C`."""
    return measured(value, ".0f" if abs(value) >= 100 else ".3g", unit_text)


def usual_interval(low: float, high: float, unit_text: str | None = None) -> Styled | Translatable:
    """Return the usual range of a variable: `203 to 215 °C`, and one value where both ends read the same."""
    start, end = quantity(low), quantity(high, unit_text)
    if ENGLISH.show(start) == ENGLISH.show(quantity(high)):
        return end
    return translatable("{low} to {high}", low=start, high=end)


def setting(value: float, unit_text: str | None = None) -> str:
    """Format a set-point in full, as operators enter it: `1234.5 °C`."""
    return f"{value:.10g} {unit_text}" if unit_text else f"{value:.10g}"


def describe_setting(asset: Asset, changes: Sequence[Change]) -> Translatable:
    """Describe the next step of an operator: `Set belt speed from 8.0 to 7.4 m/min and damper from 40 to 60 % now`."""
    return translatable("Set {changes} now", changes=both(*(_step(asset, change) for change in changes)))


def describe_advice(asset: Asset, changes: Sequence[Change], before: float, after: float) -> Translatable:
    """Describe the next step with its effect on the risk: `Set belt speed from 8.0 to 7.4 m/min now. Risk 89 % → 26 %.`"""
    return translatable(
        "{step}. Risk {before} → {after}.",
        step=describe_setting(asset, changes),
        before=Styled(before, "share"),
        after=Styled(after, "share"),
    )


def describe_safety(safety: Safety, aim: float) -> str:
    """Describe what an answer does not reach, as a sentence; empty if it stays under the aimed score."""
    if safety == "threshold":
        return translatable(
            "Set exactly: it keeps the alarm away, but not the risk under {aim} if a setting is missed.", aim=Styled(aim, "share")
        )
    return translatable("Only just enough: if a setting is missed, the alarm may stay.") if safety == "nominal" else ""


def describe_unusual(unusual: float | None) -> Translatable:
    """Describe how unusual the line would be: `As unusual as 1 in 20 normal moments.`"""
    if unusual is None:
        return translatable("Plausibility not known.")
    beyond = 1 - unusual
    if beyond >= 0.5:
        return translatable("As usual as most normal moments.")
    if beyond <= 0:
        return translatable("More unusual than any normal moment known.")
    return translatable("As unusual as 1 in {number} normal moments.", number=Styled(1 / beyond, ".0f"))


def describe_relief(asset: Asset, effects: SetPointEffects, relief: float) -> str:
    """Describe the estimated effect of a change on the problem variable, as a sentence; empty without one.

    `relief`: by how much it takes the variable away from its limit.
    """
    if relief <= 0:
        return ""
    own = unit(asset, effects.variable)
    values = {"variable": Styled(title(asset, effects.variable), "inside"), "amount": measured(relief, ".3g", own)}
    if effects.limit_side > 0:
        text = translatable("By the history it lowers {variable} by at least {amount}.", **values)
    else:
        text = translatable("By the history it raises {variable} by at least {amount}.", **values)
    if relief >= effects.needed - 1e-9:
        return text
    needed = measured(effects.needed, ".3g", own)
    return joined(" ", text, translatable("One problem in five goes more than {amount} beyond the limit.", amount=needed))


def _step(asset: Asset, change: Change) -> Translatable:
    name, before, after = Styled(title(asset, change.variable), "inside"), change.before, change.after
    if isinstance(before, str) or isinstance(after, str):
        step = translatable("{name} from {before} to {after}", name=name, before=str(before), after=str(after))
    else:
        style = f".{max(_decimals(before), _decimals(after))}f"
        end = measured(after, style, change.unit)
        step = translatable("{name} from {before} to {after}", name=name, before=Styled(before, style), after=end)
    if not change.takes:
        return step
    return translatable("{change} over {duration}", change=step, duration=Styled(change.takes.total_seconds(), "duration"))


def _decimals(value: float) -> int:
    text = f"{value:.7g}"  # a value of 32 bits has no more digits: 7.4 is stored as 7.400000095
    return 0 if "e" in text else len(text.partition(".")[2])


def column_value(asset: Asset, column: Column, value: float | str | None) -> str | Styled | Translatable:
    """Return the value of a column with the unit of its aggregation."""
    if value is None:
        return translatable("not known")
    if isinstance(value, str):
        return value
    if column.kind == "variable" and asset.variables.get(column.source, _UNKNOWN_VARIABLE).type == "boolean" and value in (0, 1):
        return translatable("true") if value else translatable("false")
    if column.aggregation == "missing":
        return Styled(value, "share")
    if column.aggregation in ("age", "recency"):
        return Styled(int(value), "duration")
    own = unit(asset, column.source) if column.kind == "variable" else None
    return quantity(value, f"{own or ''}/h" if column.aggregation == "slope" else own)


def describe_contribution(
    asset: Asset,
    column: Column,
    value: float | str | None,
    usual: float | str | None,
    share: float,
    usual_range: tuple[float, float] | None = None,
) -> Translatable:
    """Describe a contribution: `zone 2 temperature, 12 °C above its usual 203 to 215 °C, raises the risk by 31 points`.

    `usual`: the median or most frequent level; `usual_range`: the 10 and 90 % quantiles of a number, where they are known.
    """
    subject, size = describe_column(asset, column), Styled(abs(share), "points")
    push = _PUSHES[share > 0]
    if _is_level(asset, column) and isinstance(value, float) and isinstance(usual, float):
        relation = _against_usual(asset, column, value, usual, usual_range)
        return joined(", ", subject, relation, translatable(push, points=size))
    shown, usually = column_value(asset, column, value), column_value(asset, column, usual)
    is_state = column.aggregation in ("last", "value")
    if ENGLISH.show(shown) == ENGLISH.show(usually):
        as_usual = (
            template("{subject} is {value} as usual and {effect}")
            if is_state
            else template("{subject}, {value} as usual, {effect}")
        )
        return translatable(as_usual, subject=subject, value=shown, effect=translatable(push, points=size))
    values = {"subject": subject, "value": shown, "usual": usually, "effect": translatable(push, points=size)}
    if is_state:
        return translatable("{subject} is {value} (usually {usual}), which {effect}", **values)
    return translatable("{subject}, {value} (usually {usual}), {effect}", **values)


def _is_level(asset: Asset, column: Column) -> bool:
    boolean = asset.variables.get(column.source, _UNKNOWN_VARIABLE).type == "boolean"
    return column.kind == "variable" and column.aggregation in LEVELS and not boolean


def describe_column(asset: Asset, column: Column) -> Translatable:
    """Describe what a column shows: `the mean of zone 2 temperature over 10 min`."""
    is_variable = column.kind == "variable"
    name = Styled(title(asset, column.source), "inside") if is_variable else column.source
    window = Styled((column.window_ms or 0) / 1000, "duration")
    return translatable(_STATISTIC.get(column.aggregation, "{name}"), name=name, window=window)


def _against_usual(
    asset: Asset, column: Column, value: float, usual: float, usual_range: tuple[float, float] | None
) -> Translatable:
    own = unit(asset, column.source)
    if usual_range is not None:
        low, high = usual_range
        interval = usual_interval(low, high, own)
        if low <= value <= high:
            return translatable("{value}, within its usual {usual}", value=quantity(value, own), usual=interval)
        if value > high:
            return translatable("{difference} above its usual {usual}", difference=quantity(value - high, own), usual=interval)
        return translatable("{difference} below its usual {usual}", difference=quantity(low - value, own), usual=interval)
    distance = value - usual
    if abs(distance) <= 1e-3 * max(abs(usual), 1e-9):
        return translatable("at its usual {usual}", usual=quantity(usual, own))
    size = quantity(abs(distance), own)
    return (
        translatable("{difference} above its usual", difference=size)
        if distance > 0
        else translatable("{difference} below its usual", difference=size)
    )
