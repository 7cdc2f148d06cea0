"""Fill the platform with a past of the demo line."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.definitions.faults import UserError
from alerting.demo.advance import advance_line, stored_line
from alerting.demo.air_filter import air_filter
from alerting.demo.asset import ASSET, EVENT_TYPES, demo_asset
from alerting.demo.checkweigher import checkweigher
from alerting.demo.exhaust_fan import exhaust_fan
from alerting.demo.line import new_line
from alerting.demo.ports import LineStore
from alerting.ports import Assets, Progress, WritePorts, silent

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
    lines: LineStore,
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
