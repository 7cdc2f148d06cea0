"""Settings of the alarm budget: alarms per operator position, and definitions beyond it."""

from typing import get_args

from alerting.definitions.upkeep import AlarmBudget, GateMode
from alerting.settings.variables import Variables, one_of, positive_number, whole_number

BUDGET = "ALERTING_ALARM_BUDGET"
_alarms = positive_number(100_000, "is not a number of alarms a day: give one above 0, e.g. 144")
_days = whole_number(1, 90, "is not a number of days: give a whole number from 1 to 90")
_flood = whole_number(
    1, 1000, "is not a number of alarms in ten minutes: give a whole number from 1 to 1000, e.g. 10"
)
_share = positive_number(1, "is not a share: give a number above 0 and at most 1, e.g. 0.01")


def read_alarm_budget(variables: Variables) -> AlarmBudget:
    """Return the alarm budget.

    `ALERTING_ALARM_GATE`: refuse (the default), warn or off. `ALERTING_ALARM_BUDGET`: alarms a day
    at each position, and `ALERTING_ALARM_BUDGET_<POSITION>` at one (lower case, `_` turned into
    `-`). `ALERTING_ALARM_GATE_DAYS`: number of past days that count. `ALERTING_ALARM_FLOOD`: more
    alarms than this in ten minutes are a flood, and `ALERTING_ALARM_FLOOD_SHARE` of the ten-minute
    periods may be one.
    """
    default = AlarmBudget(mode="refuse")
    return AlarmBudget(
        mode=variables.read("ALERTING_ALARM_GATE", one_of(get_args(GateMode)), default.mode),
        per_day=variables.read(BUDGET, _alarms, default.per_day),
        by_position=variables.read_group(f"{BUDGET}_", _alarms, default.per_day),
        flood_above=variables.read("ALERTING_ALARM_FLOOD", _flood, default.flood_above),
        most_floods=variables.read("ALERTING_ALARM_FLOOD_SHARE", _share, default.most_floods),
        days=variables.read("ALERTING_ALARM_GATE_DAYS", _days, default.days),
    )
