"""What operators may be asked to answer: alarms a day, per position, and what happens to a definition that wants more."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar, cast, get_args

from alerting.definitions.alarm_budget import AlarmBudget, GateMode
from alerting.definitions.faults import Fault

GATE, BUDGET, DAYS = "ALERTING_ALARM_GATE", "ALERTING_ALARM_BUDGET", "ALERTING_ALARM_GATE_DAYS"
FLOOD, FLOOD_SHARE = "ALERTING_ALARM_FLOOD", "ALERTING_ALARM_FLOOD_SHARE"
POSITION_PREFIX = f"{BUDGET}_"
T = TypeVar("T")


def read_alarm_budget(environ: Mapping[str, str], faults: list[Fault]) -> AlarmBudget:
    """`ALERTING_ALARM_GATE`: refuse (the default), warn or off. `ALERTING_ALARM_BUDGET`: alarms a day at each position, and
    `ALERTING_ALARM_BUDGET_<POSITION>` at one (lower case, `_` turned into `-`). `ALERTING_ALARM_GATE_DAYS`: how much of the past
    is judged. `ALERTING_ALARM_FLOOD`: more alarms than this in ten minutes are a flood, and `ALERTING_ALARM_FLOOD_SHARE` of the
    ten-minute periods may be one. Faults are added to the list.
    """

    def read(name: str, parse: Callable[[str], T], default: T) -> T:
        text = environ.get(name, "").strip()
        try:
            return parse(text) if text else default
        except ValueError as fault:
            faults.append(Fault(name, str(fault)))
            return default

    default = AlarmBudget(mode="refuse")
    named = [key for key in sorted(environ) if key.startswith(POSITION_PREFIX) and environ[key].strip()]
    by_position = {
        key.removeprefix(POSITION_PREFIX).lower().replace("_", "-"): read(key, _alarms, default.per_day) for key in named
    }
    return AlarmBudget(
        mode=read(GATE, _mode, default.mode),
        per_day=read(BUDGET, _alarms, default.per_day),
        by_position=MappingProxyType(by_position),
        flood_above=read(FLOOD, _flood, default.flood_above),
        most_floods=read(FLOOD_SHARE, _share, default.most_floods),
        days=read(DAYS, _days, default.days),
    )


def _mode(text: str) -> GateMode:
    if text not in get_args(GateMode):
        raise ValueError(f"{text!r} is none of {', '.join(get_args(GateMode))}")
    return cast(GateMode, text)


def _alarms(text: str) -> float:
    try:
        alarms = float(text)
    except ValueError:
        alarms = 0.0
    if not 0 < alarms <= 100_000:
        raise ValueError(f"{text!r} is no number of alarms a day: give one above 0, e.g. 144")
    return alarms


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 90:
        raise ValueError(f"{text!r} is no number of days: give a whole number from 1 to 90")
    return int(text)


def _flood(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise ValueError(f"{text!r} is no number of alarms in ten minutes: give a whole number from 1 to 1000, e.g. 10")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ValueError(f"{text!r} is no share: give a number above 0 and at most 1, e.g. 0.01")
    return share
