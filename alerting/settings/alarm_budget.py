"""Settings of the alarm budget: alarms per operator position, and definitions beyond it."""

from typing import get_args

from alerting.definitions.upkeep import AlarmBudget, GateMode
from alerting.settings.variables import Variables, one_of, positive_number

BUDGET = "ALERTING_ALARM_BUDGET"
_alarms = positive_number(100_000, "is not a number of alarms a day: give one above 0, e.g. 144")


def read_alarm_budget(variables: Variables) -> AlarmBudget:
    """Return the alarm budget.

    `ALERTING_ALARM_GATE`: refuse (the default), warn or off. `ALERTING_ALARM_BUDGET`: alarms a day
    at each position, and `ALERTING_ALARM_BUDGET_<POSITION>` at one (lower case, `_` turned into
    `-`).
    """
    default = AlarmBudget(mode="refuse")
    return AlarmBudget(
        mode=variables.read("ALERTING_ALARM_GATE", one_of(get_args(GateMode)), default.mode),
        per_day=variables.read(BUDGET, _alarms, default.per_day),
        by_position=variables.read_group(f"{BUDGET}_", _alarms, default.per_day),
    )
