"""The machines beside the oven: check-weigher, filter of the supply air, exhaust fan.

Assets of their own with randomness of their own, so that the oven's readings and disturbances are
the same with them and without. All of it is a function of the seed and the minute.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import pi, sin
from typing import NamedTuple

from alerting.definitions.asset_documents import Asset, Variable
from alerting.demo.asset import MINUTE
from alerting.demo.disturbances import (
    DAY,
    Disturbance,
    LineSchedule,
    Stream,
    generator,
    normal_of_day,
)

CHECKWEIGHER = "checkweigher-1"
WEIGHT = "biscuit_weight"
USUAL = 12.5  # mean weight of a biscuit in g
SPREAD = 0.08  # standard deviation of a minute's mean in g
# In each interval of this length the calibration steps once, and the belt of the fan slips once.
SLOT = 5 * DAY


def checkweigher() -> Asset:
    """Return the check-weigher with its one variable, a reading a minute."""
    weight = Variable(
        title="Mean biscuit weight of a minute", unit="g", low=5, high=20, sampling=MINUTE
    )
    return Asset(name=CHECKWEIGHER, title="Check-weigher 1", variables={WEIGHT: weight})


def weights(schedule: LineSchedule, first: int, last: int) -> Iterator[tuple[int, float]]:
    """Yield each minute's weight on the scale; none while the line stands."""
    for minute in schedule.running(first, last):
        step = calibration_step(schedule, minute // SLOT)
        off = step.size if step is not None and step.start <= minute < step.end else 0.0
        noise = normal_of_day(schedule.seed, Stream.SCALE, minute // DAY, DAY)[minute % DAY]
        yield minute, round(USUAL + SPREAD * float(noise) + off, 3)


def calibration_steps(schedule: LineSchedule, first: int, last: int) -> list[Disturbance]:
    """Return the steps that begin in [first, last), in order."""
    return schedule.one_in_slots(calibration_step, SLOT, first, last)


@lru_cache(maxsize=64)
def calibration_step(schedule: LineSchedule, slot: int) -> Disturbance | None:
    """Return the step of a slot, in g; none where it would begin with the live line."""
    chance = generator(schedule.seed, Stream.CALIBRATION, slot)
    start = slot * SLOT + int(chance.integers(DAY, SLOT - DAY))
    lasts = int(chance.integers(180, 480))
    size = float(chance.uniform(0.12, 0.2)) * (1 if chance.random() < 0.5 else -1)
    if schedule.in_showcase(start):
        return None
    return Disturbance("calibration-step", start, ramp=0, hold=lasts, fade=0, size=size)


AIR_FILTER = "air-filter-1"
PRESSURE_DROP = "pressure_drop"
AIR_FLOW = "air_flow"
_FILTER_EVERY = 10  # minutes between two readings
CLEAN = 180.0  # pressure drop of a clean filter at the usual flow, in Pa
LIMIT = 400.0
USUAL_FLOW = 5200.0  # supply air in m³/h
_BEND = 1.4  # above 1: a filter clogs faster the more dust it holds
_RARELY = 0.15  # share of filters that are changed before the limit


class _Life(NamedTuple):
    """One filter: from the minute it is put in to its change, and its pressure drop then, Pa."""

    start: int
    end: int
    last: float


def air_filter() -> Asset:
    """Return the filter with pressure drop and flow, a reading every ten minutes."""
    sampling = _FILTER_EVERY * MINUTE
    drop = Variable(
        title="Pressure drop across the air filter", unit="Pa", low=0, high=1000, sampling=sampling
    )
    flow = Variable(title="Supply air flow", unit="m³/h", low=0, high=10_000, sampling=sampling)
    return Asset(
        name=AIR_FILTER,
        title="Supply air filter of oven 1",
        variables={PRESSURE_DROP: drop, AIR_FLOW: flow},
    )


def pressure_drops(
    schedule: LineSchedule, first: int, last: int
) -> Iterator[tuple[int, dict[str, float | str | bool]]]:
    """Yield every tenth minute with pressure drop and flow; none while the line stands."""
    for minute in schedule.running(first, last, _FILTER_EVERY):
        noise = normal_of_day(schedule.seed, Stream.FLOW, minute // DAY, DAY // _FILTER_EVERY, 2)[
            minute % DAY // _FILTER_EVERY
        ]
        flow = USUAL_FLOW + 100.0 * sin(2 * pi * minute / DAY) + 25.0 * float(noise[0])
        drop = _drop(schedule.seed, minute) * (flow / USUAL_FLOW) ** 2 + 3.0 * float(noise[1])
        yield minute, {PRESSURE_DROP: round(drop, 1), AIR_FLOW: round(flow, 1)}


def cloggings(schedule: LineSchedule, first: int, last: int) -> list[Disturbance]:
    """Return the filters of [first, last) that clog beyond the limit; size in Pa."""
    lives = (_life(schedule.seed, slot) for slot in range(first // DAY, last // DAY + 2))
    return [
        Disturbance(
            "filter-fouling",
            life.start,
            ramp=life.end - life.start,
            hold=0,
            fade=0,
            size=life.last - CLEAN,
        )
        for life in lives
        if first <= life.start < last and life.last > LIMIT
    ]


def _drop(seed: int, minute: int) -> float:
    slot = minute // DAY
    life = _life(seed, slot) if minute < _changed(seed, slot) else _life(seed, slot + 1)
    return float(
        CLEAN + (life.last - CLEAN) * ((minute - life.start) / (life.end - life.start)) ** _BEND
    )


@lru_cache(maxsize=64)
def _life(seed: int, slot: int) -> _Life:
    chance = generator(seed, Stream.FILTER, slot)
    chance.random()  # the minute of the change
    last = chance.uniform(330, 380) if chance.random() < _RARELY else chance.uniform(430, 520)
    return _Life(_changed(seed, slot - 1) if slot else 0, _changed(seed, slot), float(last))


def _changed(seed: int, slot: int) -> int:
    return slot * DAY + int(
        DAY * (0.55 + 0.4 * float(generator(seed, Stream.FILTER, slot).random()))
    )


EXHAUST_FAN = "exhaust-fan-1"
MOTOR_SPEED = "motor_speed"
EXHAUST_FLOW = "exhaust_flow"
MOTOR_CURRENT = "motor_current"
BEARING = "bearing_temperature"
_FAN_EVERY = 5  # minutes between two readings
FOLLOWS = {
    MOTOR_SPEED: (1450.0, 110.0, 4.0),
    EXHAUST_FLOW: (7200.0, 620.0, 25.0),
    MOTOR_CURRENT: (14.0, 1.6, 0.08),
}
FOLLOWS |= {BEARING: (58.0, 3.0, 0.3)}
"""Usual level, by how much it follows one unit of load, and noise, in the variable's unit."""
# parts of the load
_DAILY = 0.8
_HOURLY = 0.6
# share of the flow that is lost
_SMALLEST = 0.06
_LARGEST = 0.09


def exhaust_fan() -> Asset:
    """Return the fan with its four variables, a reading every five minutes."""
    sampling = _FAN_EVERY * MINUTE
    variables = {
        MOTOR_SPEED: Variable(
            title="Motor speed", unit="1/min", low=0, high=3000, sampling=sampling
        ),
        EXHAUST_FLOW: Variable(
            title="Exhaust air flow", unit="m³/h", low=0, high=15_000, sampling=sampling
        ),
        MOTOR_CURRENT: Variable(title="Motor current", unit="A", low=0, high=40, sampling=sampling),
        BEARING: Variable(
            title="Bearing temperature", unit="°C", low=0, high=150, sampling=sampling
        ),
    }
    return Asset(name=EXHAUST_FAN, title="Exhaust fan of oven 1", variables=variables)


def fan_values(
    schedule: LineSchedule, first: int, last: int
) -> Iterator[tuple[int, dict[str, float | str | bool]]]:
    """Yield the sensors every fifth minute; none while the line stands."""
    for minute in schedule.running(first, last, _FAN_EVERY):
        hour, part = divmod(minute, 60)
        before = _of_hour(schedule.seed, hour)
        after = _of_hour(schedule.seed, hour + 1)
        load = _DAILY * sin(2 * pi * minute / DAY) + _HOURLY * (
            before + (after - before) * part / 60
        )
        of_day = (DAY // _FAN_EVERY, len(FOLLOWS))
        noise = normal_of_day(schedule.seed, Stream.FAN, minute // DAY, *of_day)[
            minute % DAY // _FAN_EVERY
        ]
        values = {
            name: usual + by * load + spread * float(error)
            for (name, (usual, by, spread)), error in zip(FOLLOWS.items(), noise, strict=True)
        }
        slip = belt_slip(schedule, minute // SLOT)
        if slip is not None:
            values[EXHAUST_FLOW] *= 1 - slip.level(minute)
        yield minute, {name: round(value, 2) for name, value in values.items()}


def belt_slips(schedule: LineSchedule, first: int, last: int) -> list[Disturbance]:
    """Return the slips that begin in [first, last); size: the share of the flow lost."""
    return schedule.one_in_slots(belt_slip, SLOT, first, last)


@lru_cache(maxsize=64)
def belt_slip(schedule: LineSchedule, slot: int) -> Disturbance | None:
    """Return a slot's slip; none in the last filled week, or with the live line."""
    chance = generator(schedule.seed, Stream.BELT, slot)
    start = slot * SLOT + int(chance.integers(DAY, SLOT - DAY))
    lasts = int(chance.integers(120, 240))
    size = float(chance.uniform(_SMALLEST, _LARGEST))
    if schedule.in_showcase(start) or 0 <= schedule.live_from - start < 7 * DAY:
        return None
    return Disturbance("slipping-belt", start, ramp=10, hold=lasts, fade=5, size=size)


def _of_hour(seed: int, hour: int) -> float:
    return float(normal_of_day(seed, Stream.LOAD, hour // 24, 24)[hour % 24])
