"""The stored line: its past, the next minutes, and the live line, which drives the clock and stays
ahead, so that every minute exists.

A crash between any two writes changes nothing: the same minutes are computed again, bit for bit,
and merged with those stored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from alerting.adapters.mongo.clock import MongoClock
from alerting.definitions.faults import UserError
from alerting.demo.asset import ASSET, EVENT_TYPES, demo_asset
from alerting.demo.chance import DAY
from alerting.demo.line import DemoLineState, new_line, simulate, weigh
from alerting.demo.line_store import MongoLines, StoredLine
from alerting.demo.machines import air_filter, checkweigher, exhaust_fan
from alerting.demo.set_points import take_over
from alerting.ports import Assets, Progress, WritePorts, silent
from alerting.usecases.ingestion.arrivals import add_events, add_readings

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
    seed: int = SEED,
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
        lines.save(ASSET, None, new_line(seed, origin, days))
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
    line = _with_requests(lines, stored_line(lines))
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


def _with_requests(lines: MongoLines, line: StoredLine) -> StoredLine:
    """Store the minute of each request first, so that a crash cannot change it."""
    if not line.requests:
        return line
    return _require_saved(
        lines.save(ASSET, line, take_over(line.state, line.requests), line.requests)
    )


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
    """Return the minutes to compute ahead: what the clock gains in a lease, and one."""
    return ceil(speed * (LEASE.total_seconds() + TICK) / 60) + 1
