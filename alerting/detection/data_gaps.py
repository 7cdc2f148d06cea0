"""Intervals in which a threshold could not be evaluated, because its variable had no known
value."""

from datetime import datetime, timedelta

from alerting.definitions.fields.conditions import Conditions
from alerting.detection.conditions import status_intervals
from alerting.readings.history import History

_MOMENT = timedelta(milliseconds=1)
Gap = tuple[datetime, datetime]


def data_gaps(
    definition: Conditions, history: History, start: datetime, end: datetime
) -> tuple[Gap, ...]:
    """Return the intervals in (start, end] with an unknown status, as live evaluation finds them.

    `history` begins before `start`, so that the value in force there is known.
    """
    first = (
        min(start, history.readings.index[0].to_pydatetime() - _MOMENT)
        if len(history.readings)
        else start
    )
    gaps: list[Gap] = []
    for interval in status_intervals(definition, history, first, end):
        begin = max(interval.start, start)
        stop = min(interval.end, end)
        if interval.status != "unknown" or begin >= stop:
            continue
        if gaps and gaps[-1][1] == begin:
            gaps[-1] = (gaps[-1][0], stop)
        else:
            gaps.append((begin, stop))
    return tuple(gaps)
