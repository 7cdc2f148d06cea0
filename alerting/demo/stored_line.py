"""The stored line: its past, the next minutes, the live line, which drives the clock and stays
ahead, so that every minute exists, and set-points changed by a person.

One document in MongoDB per asset holds its state and its pending requests. A crash between any two
writes changes nothing: the same minutes are computed again, bit for bit, and merged with the stored
ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil, isfinite

from pymongo import ReturnDocument

from alerting.adapters.mongo.mongo import MongoClock
from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.faults import UserError, close_names
from alerting.demo.disturbances import DAY, air_filter, checkweigher, exhaust_fan
from alerting.demo.line import (
    ASSET,
    EVENT_TYPES,
    DemoLineState,
    SetPointChange,
    demo_asset,
    new_line,
    simulate,
    weigh,
)
from alerting.ports import Assets, Progress, WritePorts, silent
from alerting.stores.database.documents import (
    LINES,
    Document,
    MongoDatabase,
    from_document,
    good,
    insert_new,
    to_document,
)
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings


@dataclass(frozen=True)
class SetPointRequest:
    """A set-point that a person requests; the line applies it at the next minute it computes."""

    id: str
    variable: str
    value: float
    actor: str


@dataclass(frozen=True)
class StoredLine:
    """A line as stored. `version` counts the writes of its state."""

    state: DemoLineState
    version: int
    requests: tuple[SetPointRequest, ...] = ()


class MongoLines:
    """Demo lines, one per asset."""

    def __init__(self, database: MongoDatabase) -> None:
        self._lines = database[LINES]

    def load(self, asset: str) -> StoredLine | None:
        document = self._lines.find_one({"_id": asset})
        return next(iter(good(LINES, [] if document is None else [document], _read_line)), None)

    def save(
        self,
        asset: str,
        before: StoredLine | None,
        state: DemoLineState,
        taken: Sequence[SetPointRequest] = (),
    ) -> StoredLine | None:
        """Replace the state if its version fits; requests that came meanwhile stay."""
        if before is None:
            first = {"_id": asset, "version": 1, "state": to_document(state), "requests": []}
            return StoredLine(state, 1) if insert_new(self._lines, first) else None
        after = self._lines.find_one_and_update(
            {"_id": asset, "version": before.version},
            {
                "$set": {"state": to_document(state), "version": before.version + 1},
                "$pull": {"requests": {"id": {"$in": [request.id for request in taken]}}},
            },
            return_document=ReturnDocument.AFTER,
        )
        return None if after is None else _read_line(after)

    def ask(self, asset: str, request: SetPointRequest) -> bool:
        return (
            self._lines.update_one(
                {"_id": asset}, {"$push": {"requests": to_document(request)}}
            ).matched_count
            == 1
        )


def _read_line(document: Document) -> StoredLine:
    requests = tuple(from_document(SetPointRequest, request) for request in document["requests"])
    return StoredLine(
        from_document(DemoLineState, document["state"]), document["version"], requests
    )


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
    """Return the present set-point, or the last requested value since."""
    requested = [request.value for request in line.requests if request.variable == name]
    return requested[-1] if requested else line.state.setpoint(name, line.state.minute)


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


SEED = 1
DAYS = 30


@dataclass(frozen=True)
class Filled:
    """Result of a fill: new rows and events, and the interval with readings."""

    rows: int
    events: int
    start: datetime
    end: datetime


def fill(
    *,
    assets: Assets,
    plant: WritePorts,
    lines: MongoLines,
    end: datetime,
    days: int = DAYS,
    progress: Progress = silent,
) -> Filled:
    """Fill the platform with `days` of the line that end with a whole minute at `end`.

    An existing line keeps its seed and its past: an unfinished fill is finished, a finished one
    changes nothing. Raises UserError for less than one day.
    """
    if days < 1:
        raise UserError(f"the demo line needs at least one day of past, not {days}")
    assets.store_assets([demo_asset(), checkweigher(), air_filter(), exhaust_fan()])
    assets.put_event_types(EVENT_TYPES)
    if lines.load(ASSET) is None:
        origin = end.replace(second=0, microsecond=0) - timedelta(days=days)
        lines.save(ASSET, None, new_line(SEED, origin, days))
    state = stored_line(lines).state
    filled = advance_line(lines, plant, state.live_from, state.instant(state.live_from), progress)
    return Filled(filled.rows, filled.events, state.origin, filled.line.state.until)


@dataclass(frozen=True)
class Advance:
    """Result of a step: rows that were new or changed, and the line afterwards."""

    rows: int
    events: int
    line: StoredLine


def stored_line(lines: MongoLines) -> StoredLine:
    """Return the line. Raises UserError if there is none yet."""
    line = lines.load(ASSET)
    if line is None:
        raise UserError("there is no demo line yet: `alerting up` makes one")
    return line


def advance_line(
    lines: MongoLines,
    plant: WritePorts,
    until: int,
    arrived_at: datetime,
    progress: Progress = silent,
) -> Advance:
    """Compute and store all minutes up to `until`. Raises UserError beside another run."""
    line = stored_line(lines)
    if line.requests:  # their minute is stored first, so that a crash cannot change it
        taken = take_over(line.state, line.requests)
        line = _require_saved(lines.save(ASSET, line, taken, line.requests))
    first = line.state.minute
    rows = 0
    events = 0
    while line.state.minute < until:
        stop = min(until, line.state.minute + DAY)
        simulated = simulate(line.state, stop)
        rows += add_readings(plant, [*simulated.rows, *weigh(line.state, stop)], arrived_at)
        events += add_events(plant, simulated.events, arrived_at) if simulated.events else 0
        line = _require_saved(lines.save(ASSET, line, simulated.state))
        progress("simulating the demo line (minutes)", line.state.minute - first, until - first)
    return Advance(rows, events, line)


def _require_saved(line: StoredLine | None) -> StoredLine:
    if line is None:
        raise UserError("another process already runs the demo line; this process stops")
    return line


TICK = 1.0  # seconds of the wall between two looks at the clock
# Longest time for which the clock runs without renewal, after the process that runs the line has
# stopped.
LEASE = timedelta(seconds=5)


def run_line(
    *,
    plant: WritePorts,
    lines: MongoLines,
    clock: MongoClock,
    speed: float,
    wait: Callable[[float], bool],
    report_step: Callable[[Advance], None] = lambda _: None,
) -> None:
    """Run the line until `wait(seconds)` returns True; then stop the clock.

    The clock continues where it stopped, or where the readings end if that is later: it never runs
    backwards. `report_step` is called with every step that computed something. Raises UserError if
    there is no line, or another process runs it too.
    """
    line = stored_line(lines)
    now = clock.now() if line.state.minute > line.state.live_from else line.state.until
    lead = lead_minutes(speed)
    step = advance_line(lines, plant, line.state.minutes_at(now) + lead, now)
    clock.start(now, speed, lease(step.line.state, now, speed))
    try:
        while not wait(TICK):
            now = clock.now()
            step = advance_line(lines, plant, step.line.state.minutes_at(now) + lead, now)
            clock.renew(lease(step.line.state, clock.now(), speed))
            if step.rows:
                report_step(step)
    finally:
        clock.freeze()


def lease(state: DemoLineState, now: datetime, speed: float) -> timedelta:
    """Return how long the clock may run: LEASE, and never past the last reading."""
    return min(LEASE, max(timedelta(0), state.until - now) / speed)


def lead_minutes(speed: float) -> int:
    """Return the minutes to compute ahead: the time that the clock gains in a lease, and one
    minute."""
    return ceil(speed * (LEASE.total_seconds() + TICK) / 60) + 1
