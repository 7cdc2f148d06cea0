"""The live line: it drives the clock and stays ahead, so that every minute exists."""

from collections.abc import Callable
from datetime import datetime, timedelta
from math import ceil

from alerting.demo.advance import Advance, advance_line, stored_line
from alerting.demo.line import DemoLineState
from alerting.demo.ports import LineClock, LineStore
from alerting.ports import WritePorts

TICK = 1.0  # seconds of the wall between two looks at the clock
# Longest time for which the clock runs without renewal, after the process that runs the line has
# stopped.
LEASE = timedelta(seconds=5)


def run_line(
    *,
    plant: WritePorts,
    lines: LineStore,
    clock: LineClock,
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
