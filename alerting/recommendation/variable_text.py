"""Messages about numbers, variables and columns in plain language."""

from collections.abc import Sequence

from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.wording.language import (
    ENGLISH,
    Styled,
    Translatable,
    Value,
    join_first,
    join_with_and,
    joined,
    measured,
    template,
    translatable,
)
from alerting.episodes.episode import Change, Quantity, Safety
from alerting.learning.features.plan import Column
from alerting.learning.features.set_point_effects import SetPointEffects

# aggregations in the variable's own unit that show its level
LEVELS = ("last", "mean", "min", "max", "lag")
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
_QUANTITY = {
    "mean": template("mean over {window}"),
    "std": template("spread over {window}"),
    "min": template("lowest value over {window}"),
    "max": template("highest value over {window}"),
    "slope": template("trend over {window}"),
    "missing": template("missing values over {window}"),
    "age": template("age of the last value"),
    "lag": template("{window} before"),
    "count": template("number in {window}"),
    "recency": template("time since the last one"),
}
_TRENDS = (
    template("{name} falling by {rate} over {window} (usual: {usual}), {effect}"),
    template("{name} rising by {rate} over {window} (usual: {usual}), {effect}"),
)
WITHIN_NORMAL = 0.99  # of normal rows that are less unusual
_NOTICEABLE = 0.05  # of the usual range
NAMED = 4  # variables of a group; more are counted


def title(asset: Asset, variable: str) -> str:
    """Return the title of a variable; without one its name with spaces instead of underscores."""
    return asset.variables.get(variable, _UNKNOWN_VARIABLE).title or variable.replace("_", " ")


def unit(asset: Asset, variable: str) -> str | None:
    """Return the unit of a variable's values, if it has one."""
    return asset.variables.get(variable, _UNKNOWN_VARIABLE).unit


def quantity(value: float, unit_text: str | None = None) -> Styled:
    """Return a number with three significant digits and its unit: `12.3 °C`."""
    return measured(value, ".0f" if abs(value) >= 100 else ".3g", unit_text)


def usual_interval(low: float, high: float, unit_text: str | None = None) -> Styled | Translatable:
    """Format a usual range: `203 to 215 °C`, or one value if both ends read the same."""
    start = quantity(low)
    end = quantity(high, unit_text)
    if ENGLISH.show(start) == ENGLISH.show(quantity(high)):
        return end
    return translatable("{low} to {high}", low=start, high=end)


def setting(value: float, unit_text: str | None = None) -> str:
    """Format a set-point in full, as operators enter it: `1234.5 °C`."""
    return f"{value:.10g} {unit_text}" if unit_text and unit_text != "1" else f"{value:.10g}"


def describe_setting(asset: Asset, changes: Sequence[Change]) -> Translatable:
    """Describe the next step: `Set Belt speed from 8.0 to 7.4 m/min and damper from 40 …`."""
    return translatable(
        "Set {changes}", changes=join_with_and(*(_step(asset, change) for change in changes))
    )


def describe_advice(
    asset: Asset, changes: Sequence[Change], before: float, after: float
) -> Translatable:
    """Describe the next step with its effect: `Set Belt speed … Risk 89 % → 26 %.`"""
    return translatable(
        "{step}. Risk {before} → {after}.",
        step=describe_setting(asset, changes),
        before=Styled(before, "share"),
        after=Styled(after, "share"),
    )


def describe_safety(safety: Safety) -> str:
    """Describe the safety that an answer does not reach; empty if it stays under the aimed
    score."""
    if safety == "threshold":
        return translatable("Set these values exactly; small deviations may not be enough.")
    return (
        translatable("Only just enough: if a setting is missed, the alarm may stay.")
        if safety == "nominal"
        else ""
    )


def is_within_normal(unusual: float | None) -> bool:
    """Return whether settings are known to be no more unusual than normal operation."""
    return unusual is not None and unusual <= WITHIN_NORMAL


def describe_unusual(unusual: float | None) -> Translatable:
    """Describe how unusual the line would be with the settings, as a sentence."""
    if unusual is None:
        return translatable("It is not known whether these settings are within normal operation.")
    if is_within_normal(unusual):
        return translatable("These settings are within normal operation.")
    if unusual < 1:
        return translatable("These settings are at the edge of normal operation.")
    return translatable("These settings are outside of all normal operation so far.")


def describe_followers(asset: Asset, names: Sequence[str]) -> str:
    """Describe which variables are assumed to follow a change; empty without any."""
    return (
        translatable("Should follow: {names}.", names=_list_titles(asset, names)) if names else ""
    )


def describe_together(asset: Asset, names: Sequence[str], reason: str) -> Translatable:
    """Describe a reason of several variables: `Screw speed and Melt pressure move together: …`."""
    names_text = _list_titles(asset, names)
    return translatable("{names} move together: {reason}", names=names_text, reason=reason)


def _list_titles(asset: Asset, names: Sequence[str]) -> str:
    titles = [title(asset, name) for name in names]
    if len(titles) > NAMED:
        return join_first(titles, NAMED)
    return join_with_and(*([joined(", ", *titles[:-1])] if titles[1:] else []), titles[-1])


def describe_relief(asset: Asset, effects: SetPointEffects, relief: float) -> str:
    """Describe a change's estimated effect, `relief`, on the problem; empty without one."""
    if relief <= 0:
        return ""
    amount = measured(relief, ".0f" if relief >= 10 else ".2g", unit(asset, effects.variable))
    values: dict[str, Value] = {"variable": title(asset, effects.variable), "amount": amount}
    if effects.limit_side > 0:
        return translatable("Past data: {variable} falls by at least {amount}.", **values)
    return translatable("Past data: {variable} rises by at least {amount}.", **values)


def describe_worst_cases(asset: Asset, effects: SetPointEffects, relief: float) -> str:
    """Describe how far past problems went beyond the limit, if that is more than the effect of the
    advice."""
    if not 0 < relief < effects.needed - 1e-9:
        return ""
    name = title(asset, effects.variable)
    unit_text = unit(asset, effects.variable)
    farthest = quantity(effects.limit + effects.limit_side * effects.needed, unit_text)
    if effects.limit_side > 0:
        return translatable(
            "In 1 of 5 past cases {variable} went above {value}.", variable=name, value=farthest
        )
    return translatable(
        "In 1 of 5 past cases {variable} went below {value}.", variable=name, value=farthest
    )


def _step(asset: Asset, change: Change) -> Translatable:
    name = title(asset, change.variable)
    before = change.before
    after = change.after
    if isinstance(before, str) or isinstance(after, str):
        step = translatable(
            "{name} from {before} to {after}", name=name, before=str(before), after=str(after)
        )
    else:
        style = f".{max(decimals(before), decimals(after))}f"
        end = measured(after, style, change.unit)
        step = translatable(
            "{name} from {before} to {after}", name=name, before=Styled(before, style), after=end
        )
    if not change.takes:
        return step
    return translatable(
        "{change} over {duration}",
        change=step,
        duration=Styled(change.takes.total_seconds(), "duration"),
    )


def decimals(value: float) -> int:
    """Return the number of decimals of a reading or setting, at most those of 32 bits."""
    text = f"{value:.7g}"  # a value of 32 bits has no more digits: 7.4 is stored as 7.400000095
    return 0 if "e" in text else len(text.partition(".")[2])


def column_unit(asset: Asset, column: Column) -> str | None:
    """Return the unit of a column: the variable's unit, per hour for trends, none for times."""
    if column.kind != "variable" or column.aggregation in ("missing", "age", "recency", "count"):
        return None
    unit_text = unit(asset, column.source)
    return f"{unit_text or ''}/h" if column.aggregation == "slope" else unit_text


def column_value(
    asset: Asset, column: Column, value: float | str | None
) -> str | Styled | Translatable:
    """Return the value of a column with the unit of its aggregation."""
    if (
        column.kind == "variable"
        and asset.variables.get(column.source, _UNKNOWN_VARIABLE).type == "boolean"
        and value in (0, 1)
    ):
        return translatable("true") if value else translatable("false")
    return statistic_value(column.aggregation, value, column_unit(asset, column))


def statistic_value(
    statistic: str, value: float | str | None, unit_text: str | None
) -> str | Styled | Translatable:
    """Return the value of a statistic as people read it."""
    if value is None:
        return translatable("not known")
    if isinstance(value, str):
        return value
    if statistic == "missing":
        return Styled(value, "share")
    return (
        Styled(int(value), "duration")
        if statistic in ("age", "recency")
        else quantity(value, unit_text)
    )


def quantity_name(shown: Quantity) -> Translatable | None:
    """Return the name of a quantity of a variable: `trend over 1 h`; None if it is the value
    itself."""
    name = _QUANTITY.get(shown.statistic)
    window = Styled(shown.window.total_seconds() if shown.window else 0.0, "duration")
    return None if name is None else translatable(name, window=window)


def quantity_value(shown: Quantity) -> Translatable:
    """Return the value of a quantity: `33 %/h`."""
    return translatable("{value}", value=statistic_value(shown.statistic, shown.value, shown.unit))


def quantity_usual(shown: Quantity) -> Translatable:
    """Return the usual range of a quantity, or its usual value: `-1 to 1 %/h`."""
    low = shown.usual_low
    high = shown.usual_high
    if low is None or high is None:
        return translatable(
            "{value}", value=statistic_value(shown.statistic, shown.usual, shown.unit)
        )
    if shown.statistic in ("missing", "age", "recency"):
        ends = [statistic_value(shown.statistic, end, None) for end in (low, high)]
        return (
            translatable("{value}", value=ends[1])
            if ENGLISH.show(ends[0]) == ENGLISH.show(ends[1])
            else translatable("{low} to {high}", low=ends[0], high=ends[1])
        )
    return translatable("{value}", value=usual_interval(low, high, shown.unit))


def is_unusual(
    value: float | str | None, usual: float | str | None, usual_range: tuple[float, float] | None
) -> bool:
    """Return whether a value is outside its usual range, or, without a range, differs from the
    usual value."""
    if not isinstance(value, float | int) or not isinstance(usual, float | int):
        return value != usual
    if usual_range is None:
        return abs(value - usual) > max(_NOTICEABLE * abs(usual), 1e-9)
    low, high = usual_range
    noticeable = max(_NOTICEABLE * (high - low), 1e-3 * max(abs(low), abs(high)))
    return value < low - noticeable or value > high + noticeable


def describe_contribution(
    asset: Asset, column: Column, shown: Quantity, share: float
) -> Translatable:
    """Describe: `Zone 2 temperature, 12 °C above its usual 203 to 215 °C, raises the risk …`.

    A quantity that is as usual raises the risk by its combination with others only, and the message
    says that.
    """
    subject = describe_column(asset, column)
    effect = translatable(_PUSHES[share > 0], points=Styled(abs(share), "points"))
    value = column_value(asset, column, shown.value)
    is_state = column.aggregation in ("last", "value")
    if share > 0 and not shown.is_unusual:
        return translatable(
            "{subject}, {value}, {effect}, but only together with other values",
            subject=subject,
            value=value,
            effect=effect,
        )
    if isinstance(shown.value, float) and isinstance(shown.usual, float):
        boolean = asset.variables.get(column.source, _UNKNOWN_VARIABLE).type == "boolean"
        if column.kind == "variable" and column.aggregation in LEVELS and not boolean:
            return joined(
                ", ",
                subject,
                _against_usual(asset, column, shown.value, shown.usual, shown),
                effect,
            )
        if column.aggregation == "slope" and shown.is_unusual:
            rate = float(shown.value) if isinstance(shown.value, float) else 0.0
            return translatable(
                _TRENDS[rate > 0],
                name=title(asset, column.source),
                rate=quantity(abs(rate), shown.unit),
                window=Styled(shown.window.total_seconds() if shown.window else 0.0, "duration"),
                usual=quantity_usual(shown),
                effect=effect,
            )
    usually = (
        column_value(asset, column, shown.usual)
        if shown.usual_low is None
        else quantity_usual(shown)
    )
    if not shown.is_unusual:
        as_usual = (
            template("{subject} is {value} as usual and {effect}")
            if is_state
            else template("{subject}, {value} as usual, {effect}")
        )
        return translatable(as_usual, subject=subject, value=value, effect=effect)
    values = {"subject": subject, "value": value, "usual": usually, "effect": effect}
    if is_state:
        return translatable("{subject} is {value} (usually {usual}), which {effect}", **values)
    return translatable("{subject}, {value} (usually {usual}), {effect}", **values)


def describe_column(asset: Asset, column: Column) -> Translatable:
    """Describe the quantity in a column: `the mean of Zone 2 temperature over 10 min`."""
    is_variable = column.kind == "variable"
    name = title(asset, column.source) if is_variable else column.source
    window = Styled((column.window_ms or 0) / 1000, "duration")
    return translatable(_STATISTIC.get(column.aggregation, "{name}"), name=name, window=window)


def _against_usual(
    asset: Asset, column: Column, value: float, usual: float, shown: Quantity
) -> Translatable:
    unit_text = unit(asset, column.source)
    low = shown.usual_low
    high = shown.usual_high
    if low is not None and high is not None:
        interval = usual_interval(low, high, unit_text)
        if low <= value <= high:
            return translatable(
                "{value}, within its usual {usual}",
                value=quantity(value, unit_text),
                usual=interval,
            )
        if value > high:
            return translatable(
                "{difference} above its usual {usual}",
                difference=quantity(value - high, unit_text),
                usual=interval,
            )
        return translatable(
            "{difference} below its usual {usual}",
            difference=quantity(low - value, unit_text),
            usual=interval,
        )
    distance = value - usual
    if abs(distance) <= 1e-3 * max(abs(usual), 1e-9):
        return translatable("at its usual {usual}", usual=quantity(usual, unit_text))
    size = quantity(abs(distance), unit_text)
    return (
        translatable("{difference} above its usual", difference=size)
        if distance > 0
        else translatable("{difference} below its usual", difference=size)
    )
