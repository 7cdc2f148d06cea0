"""The exhaust fan: four variables follow its load, and a slipping belt lowers the flow.

An asset of its own with randomness of its own, as the check-weigher. All of it is a function of the
seed and the minute.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import pi, sin

from alerting.definitions.assets import Asset, Variable
from alerting.demo.asset import MINUTE
from alerting.demo.chance import DAY, Stream, generator, normal_of_day
from alerting.demo.disturbances import Disturbance, LineSchedule

EXHAUST_FAN = "exhaust-fan-1"
MOTOR_SPEED = "motor_speed"
EXHAUST_FLOW = "exhaust_flow"
MOTOR_CURRENT = "motor_current"
BEARING = "bearing_temperature"
EVERY = 5  # minutes between two readings
SLOT = 5 * DAY  # in each interval of this length the belt slips once, until it is tightened
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
    sampling = EVERY * MINUTE
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
    for minute in schedule.running(first, last, EVERY):
        hour, part = divmod(minute, 60)
        before = _of_hour(schedule.seed, hour)
        after = _of_hour(schedule.seed, hour + 1)
        load = _DAILY * sin(2 * pi * minute / DAY) + _HOURLY * (
            before + (after - before) * part / 60
        )
        of_day = (DAY // EVERY, len(FOLLOWS))
        noise = normal_of_day(schedule.seed, Stream.FAN, minute // DAY, *of_day)[
            minute % DAY // EVERY
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
