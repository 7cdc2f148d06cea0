"""Settings of the operator of the trial."""

from alerting.definitions.assets import Asset
from alerting.demo.set_points import value_on_step


def nearest_permitted(asset: Asset, name: str, value: float, current: float) -> float:
    """Return the nearest setting that an operator can set at once, on a step."""
    variable = asset.variables[name]
    change = float("inf") if variable.max_change is None else variable.max_change
    low = max(-float("inf") if variable.min is None else variable.min, current - change)
    high = min(float("inf") if variable.max is None else variable.max, current + change)
    if low > high:  # the present setting is farther outside of the limits than one change
        return value_on_step(variable, current + change if current < low else current - change)
    return value_on_step(variable, min(high, max(low, value)))
