"""Measure how late readings come, and the latency that evaluation would need for them."""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerting.ports import Assets, Platform
from alerting.ports.late import LatePart
from alerting.usecases.ingestion.late_rows import evaluated_since, rows_since

_SHARE = 0.95
_LONGEST_WAIT = timedelta(minutes=15)  # for a longer wait, reprocessing of late readings is the better way


@dataclass(frozen=True)
class Lateness:
    """Late rows of one variable or event type of an asset. `longest`: from the time stamp to the arrival.

    `latency`: enough for nineteen of twenty deliveries; None if longer than fifteen minutes, and for events, for which
    evaluation does not wait.
    """

    asset: str
    what: str
    deliveries: int
    rows: int
    longest: timedelta
    newest: datetime
    latency: timedelta | None


def lateness(platform: Platform, start: datetime) -> list[Lateness]:
    """Return the late rows since an instant, by asset and variable or event type, the most frequent first.

    Rows are those of deliveries with the variable. The availability delay of a variable is not lateness and is subtracted.
    """
    found: dict[tuple[str, str, bool], list[tuple[datetime, LatePart]]] = defaultdict(list)
    arrivals = platform.arrivals.since(start)
    since = evaluated_since(platform, {part.asset for arrival in arrivals for part in arrival.parts})
    for arrival in arrivals:
        for part in arrival.parts:
            evaluated_from = since.get(part.asset)
            if evaluated_from is None or part.last < evaluated_from:
                continue
            late = replace(part, first=max(part.first, evaluated_from), rows=rows_since(platform, part, evaluated_from))
            for name in (*part.variables, *part.events):
                found[part.asset, name, name in part.variables].append((arrival.arrived_at, late))
    lines = [_line(platform.assets, *key, parts) for key, parts in found.items()]
    return sorted(lines, key=lambda line: (-line.deliveries, line.asset, line.what))


def _line(assets: Assets, asset: str, name: str, is_variable: bool, parts: list[tuple[datetime, LatePart]]) -> Lateness:
    declared = assets.get(asset)
    variable = declared.variables.get(name) if declared and is_variable else None
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
