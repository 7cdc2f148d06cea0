"""Last values before a history, which are in force in it."""

from datetime import datetime, timedelta

from alerting.definitions.fields.conditions import Conditions
from alerting.definitions.model import Definition
from alerting.detection.conditions import search_from
from alerting.ports import Readings
from alerting.readings.history import History, with_older


def with_last_values(readings: Readings, definition: Definition, history: History) -> History:
    """Return the history with earlier last values, for conditions of several variables."""
    combination = definition.combination if isinstance(definition, Conditions) else None
    if combination is None:
        return history
    begin = history.readings.index[0].to_pydatetime() - timedelta(milliseconds=1)
    since: dict[str, datetime] = {}
    for condition in combination.leaves():
        since[condition.variable] = min(
            search_from(condition, begin), since.get(condition.variable, begin)
        )
    return with_older(history, readings.newest_values(history.asset, since, begin))
