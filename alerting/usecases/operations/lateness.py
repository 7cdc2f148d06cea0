"""How late readings come, and how long evaluation would have to wait for them: the meter of late data."""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerting.ports import Platform
from alerting.ports.late import LatePart
from alerting.usecases.ingestion.late_rows import judged_since, rows_since

_SHARE = 0.95
_LONGEST_WAIT = timedelta(minutes=15)  # whoever waits longer wants late alerts judged again instead


@dataclass(frozen=True)
class Lateness:
    """What came late of one variable or event type of an asset. `longest`: from the time stamp to the arrival.

    `latency`: what would have been enough for nineteen of twenty deliveries; None if nobody would want to wait so long, and
    for events, which are not waited for.
    """

    asset: str
    what: str
    deliveries: int
    rows: int
    longest: timedelta
    newest: datetime
    latency: timedelta | None


def lateness(platform: Platform, start: datetime) -> list[Lateness]:
    """What came late since an instant, by asset and variable or event type, the most frequent first.

    Rows are those of deliveries that held the variable; the delay of a variable is no lateness and is taken off.
    """
    found: dict[tuple[str, str, bool], list[tuple[datetime, LatePart]]] = defaultdict(list)
    arrivals = platform.arrivals.since(start)
    since = judged_since(platform, {part.asset for arrival in arrivals for part in arrival.parts})
    for arrival in arrivals:
        for part in arrival.parts:
            judged = since.get(part.asset)
            if judged is None or part.last < judged:
                continue
            late = replace(part, first=max(part.first, judged), rows=rows_since(platform, part, judged))
            for name in (*part.variables, *part.events):
                found[part.asset, name, name in part.variables].append((arrival.arrived_at, late))
    lines = [_line(platform, *key, parts) for key, parts in found.items()]
    return sorted(lines, key=lambda line: (-line.deliveries, line.asset, line.what))


def _line(platform: Platform, asset: str, name: str, is_variable: bool, parts: list[tuple[datetime, LatePart]]) -> Lateness:
    known = platform.assets.get(asset)
    variable = known.variables.get(name) if known and is_variable else None
    delay = variable.delay if variable else timedelta(0)
    lags = sorted(max(arrived - part.first - delay, timedelta(0)) for arrived, part in parts)
    enough = lags[-(-int(_SHARE * 100) * len(lags) // 100) - 1]
    seconds = timedelta(seconds=-(-enough // timedelta(seconds=1)))
    return Lateness(
        asset,
        name,
        len(parts),
        sum(part.rows for _, part in parts),
        lags[-1],
        max(arrived for arrived, _ in parts),
        seconds if is_variable and seconds <= _LONGEST_WAIT else None,
    )
