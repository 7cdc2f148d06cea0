"""Advance the stored line: requests into the state, then readings, then the new state.

A crash between any two writes changes nothing: the same minutes are computed again, bit for bit,
and merged with those stored.
"""

from dataclasses import dataclass
from datetime import datetime

from alerting.definitions.faults import UserError
from alerting.demo.asset import ASSET
from alerting.demo.chance import DAY
from alerting.demo.line import simulate, weigh
from alerting.demo.ports import LineStore, StoredLine
from alerting.demo.set_points import take_over
from alerting.ports import Progress, WritePorts, silent
from alerting.usecases.ingestion.arrivals import add_events, add_readings


@dataclass(frozen=True)
class Advance:
    """Result of a step: rows that were new or changed, and the line afterwards."""

    rows: int
    events: int
    line: StoredLine


def stored_line(lines: LineStore) -> StoredLine:
    """Return the line. Raises UserError if there is none yet."""
    line = lines.load(ASSET)
    if line is None:
        raise UserError("there is no demo line yet: `alerting up` makes one")
    return line


def advance_line(
    lines: LineStore,
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


def _with_requests(lines: LineStore, line: StoredLine) -> StoredLine:
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
