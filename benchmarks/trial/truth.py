"""Truth of the simulation: the cause behind a problem, the variables that show it, and whether an
action could prevent it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from alerting.definitions.assets import Asset
from alerting.definitions.model import TrainedDefinition
from alerting.demo.disturbances import Cause, Disturbance
from alerting.demo.line import DemoLineState, SetPointChange, simulate
from alerting.detection.problems import find_problems
from alerting.readings.history import History
from benchmarks.trial.readings import LineReadings
from benchmarks.trial.records import Occurrence
from benchmarks.trial.set_points import nearest_permitted

SHOWN_BY: Mapping[Cause, frozenset[str]] = {
    "wet-dough": frozenset({"dough_moisture"}),
    "burner-fault": frozenset({"zone_2_burner_power", "zone_2_temperature"}),
    "damp-air": frozenset({"air_humidity"}),
    "fast-belt": frozenset({"belt_speed_setpoint", "belt_speed"}),
    "stuck-valve": frozenset({"zone_2_burner_power", "zone_2_temperature"}),
}
"""Variables that show a cause directly (docs/demo-line.md: first sign)."""

TRANSIT = 20
"""Minutes until biscuits that a disturbance still touched have passed the gauges, at the slowest
belt."""
SAME = 30
"""Problems less than this many minutes apart are one."""
DRIER = {"belt_speed_setpoint": -1}
"""Direction in which a set-point dries the biscuits; zones dry by rising. By the physics each does
so at every setting."""


def problems_of(
    definition: TrainedDefinition, history: History, origin_ms: int
) -> list[Occurrence]:
    """Return the problems of a history in minutes of the line; those less than half an hour apart
    count as one."""
    found = find_problems(definition.problem, history)
    merged: list[Occurrence] = []
    for start, last in zip(found["start"], found["last"], strict=True):
        begin, end = ((int(t.timestamp() * 1000) - origin_ms) // 60_000 for t in (start, last))
        if merged and begin - merged[-1].end < SAME:
            merged[-1] = Occurrence(merged[-1].start, end)
        else:
            merged.append(Occurrence(begin, end))
    return merged


def cause_of(disturbances: Sequence[Disturbance], minute: int) -> Disturbance | None:
    """Return the disturbance of the product that acts at a minute, or whose biscuits are still on
    their way to the gauges."""
    acting = [d for d in disturbances if d.start <= minute < d.end + TRANSIT]
    return max(acting, key=lambda d: (d.cause != "stuck-valve", d.start), default=None)


def best_actions(
    asset: Asset, state: DemoLineState, max_changes: int
) -> list[tuple[SetPointChange, ...]]:
    """Return the actions that dry most at the line's minute: each choice of set-points, all moved
    as far as permitted at once.

    Every set-point dries more the farther it is moved (docs/demo-line.md: baking), so no smaller
    change can do what these cannot.
    """
    changes = []
    for name, variable in asset.variables.items():
        if variable.controllable and variable.max_change:
            before = state.setpoint(name, state.minute)
            value = nearest_permitted(
                asset, name, before + DRIER.get(name, 1) * variable.max_change, before
            )
            changes.append(SetPointChange(state.minute, name, value, before, "best action"))
    return list(combinations(changes, min(max_changes, len(changes))))


def is_avoidable(
    definition: TrainedDefinition,
    asset: Asset,
    earlier: DemoLineState,
    problem: Occurrence,
    begin: int,
    hold: int,
) -> bool:
    """Return whether some permitted action that begins at a minute would prevent a problem, by
    simulating the strongest ones.

    It lasts `hold` minutes. `earlier`: the line left alone at or before that minute.
    """
    state = simulate(earlier, max(earlier.minute, begin)).state
    until = problem.end + SAME
    return any(
        not problems_after(
            definition,
            asset,
            replace(state, changes=tuple(replace(change, hold=hold) for change in action)),
            until,
        )
        for action in best_actions(asset, state, definition.recommendation.max_changes)
    )


def problems_after(
    definition: TrainedDefinition, asset: Asset, state: DemoLineState, until: int
) -> list[Occurrence]:
    readings = LineReadings(asset, rows=until - state.minute)
    readings.add(simulate(state, until))
    history = readings.load(asset, None, None, [definition.problem.variable or ""])
    return problems_of(definition, history, 0)
