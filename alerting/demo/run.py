"""The live line: follows the clock that it drives, always a little ahead, so that nobody reads a minute that is not there yet."""

from collections.abc import Callable
from datetime import datetime, timedelta
from math import ceil

from alerting.demo.advance import Advance, advance_line, stored_line
from alerting.demo.line import LineState
from alerting.demo.ports import LineClock, LineStore
from alerting.ports import Readings

TICK = 1.0
"""Seconds of the wall between two looks at the clock."""
LEASE = timedelta(seconds=5)
"""How long the clock goes on by itself, at most, when the process that runs the line has died."""


def run_line(
    *,
    readings: Readings,
    lines: LineStore,
    clock: LineClock,
    speed: float,
    wait: Callable[[float], bool],
    told: Callable[[Advance], None] = lambda _: None,
) -> None:
    """Run the line until `wait(seconds)` says True; then the clock stands still.

    The clock goes on where it stood, or where the readings end if that is later: it never goes back. `told` hears of every
    step that computed something. Raises UserError when there is no line, or another process runs it, too.
    """
    line = stored_line(lines)
    now = clock.now() if line.state.minute > line.state.live_from else line.state.until
    lead = lead_minutes(speed)
    step = advance_line(lines, readings, line.state.minutes_at(now) + lead, now)
    clock.start(now, speed, lease(step.line.state, now, speed))
    try:
        while not wait(TICK):
            now = clock.now()
            step = advance_line(lines, readings, step.line.state.minutes_at(now) + lead, now)
            clock.renew(lease(step.line.state, clock.now(), speed))
            if step.rows:
                told(step)
    finally:
        clock.freeze()


def lease(state: LineState, now: datetime, speed: float) -> timedelta:
    """How long the clock may go on by itself: LEASE, and never past the last reading, however slow the writes have been."""
    return min(LEASE, max(timedelta(0), state.until - now) / speed)


def lead_minutes(speed: float) -> int:
    """Minutes that are computed ahead: what the clock can gain within the lease, and one more."""
    return ceil(speed * (LEASE.total_seconds() + TICK) / 60) + 1
