"""Set-points changed by a person: check a request, and apply it to the line."""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite

from alerting.definitions.assets import Asset, Variable
from alerting.definitions.faults import UserError, close_names
from alerting.demo.line import DemoLineState, SetPointChange
from alerting.demo.line_store import SetPointRequest, StoredLine


def check_set_point(asset: Asset, name: str, value: float, current: float) -> float:
    """Return the value on a step. Raises UserError for what no operator could set."""
    variable = asset.variables.get(name)
    if variable is None or not variable.controllable:
        raise UserError(_not_settable(asset, name))
    if not isfinite(value):
        raise UserError(f"{name}: {value} is not a number")
    rounded = value_on_step(variable, value)
    unit = variable.unit or ""
    low = -float("inf") if variable.min is None else variable.min
    if not (low <= rounded <= (float("inf") if variable.max is None else variable.max)):
        raise UserError(
            f"{name}: {value:g} {unit} is outside of its limits, {variable.min:g} to "
            f"{variable.max:g} {unit}"
        )
    if variable.max_change and abs(rounded - current) > variable.max_change + 1e-9:
        raise UserError(
            f"{name}: from {current:g} to {rounded:g} {unit} is more than the largest change at "
            f"once, {variable.max_change:g} {unit}; change it in steps"
        )
    return rounded


def present_setting(line: StoredLine, name: str) -> float:
    """Return the present set-point, or the last one requested since."""
    asked = [request.value for request in line.requests if request.variable == name]
    return asked[-1] if asked else line.state.setpoint(name, line.state.minute)


def take_over(state: DemoLineState, requests: Sequence[SetPointRequest]) -> DemoLineState:
    """Return the state with the requests in force from the next minute that the line computes."""
    for request in requests:
        before = state.setpoint(request.variable, state.minute)
        change = SetPointChange(
            state.minute, request.variable, request.value, before, request.actor
        )
        others = tuple(
            c for c in state.changes if (c.minute, c.variable) != (change.minute, change.variable)
        )
        state = replace(state, changes=(*others, change))
    return state


def value_on_step(variable: Variable, value: float) -> float:
    """Return the nearest value on a step of a set-point."""
    step = variable.step or 1e-6
    return round(round(value / step) * step, 6)


def _not_settable(asset: Asset, name: str) -> str:
    settable = [n for n, v in asset.variables.items() if v.controllable]
    near = close_names(name, settable, most=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{name!r} is not a set-point of {asset.name}{hint} (set-points: {', '.join(settable)})"
