"""Programme of the line: disturbances, stops, maintenance, batches, and the crew's trims; and the
machines beside the oven: check-weigher, filter of the supply air, exhaust fan.

The machines are assets of their own with randomness of their own, so that the oven's readings and
disturbances are the same with and without them. Everything is a function of the seed and the minute
(counted from the line's first), so this module has no state.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from functools import lru_cache
from math import pi, sin
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.definitions.asset_documents import Asset, Variable

MINUTE = timedelta(minutes=1)
DAY = 1440  # minutes in a day of the line

# Set-points of the recipe: zones in °C, belt in m/min.
NOMINAL = {
    "zone_1_setpoint": 205.0,
    "zone_2_setpoint": 225.0,
    "zone_3_setpoint": 215.0,
    "belt_speed_setpoint": 8.0,
}

SET_POINTS = tuple(NOMINAL)

DRIFTS = 7  # random walks of the line: flour, air, dough, three zones' draughts, fouling

SENSORS = 15


class Stream(IntEnum):
    """Independent sources of chance."""

    WALKS = 1
    SENSORS = 2
    GAPS = 3
    DISTURBANCES = 4
    STOPS = 5
    TRIMS = 6
    BATCHES = 7
    VALVES = 8
    OPERATOR = 9
    CALIBRATION = 10
    SCALE = 11
    FILTER = 12
    FLOW = 13
    BELT = 14
    LOAD = 15
    FAN = 16


@lru_cache(maxsize=16)
def normal_of_day(seed: int, stream: Stream, day: int, *shape: int) -> npt.NDArray[np.float64]:
    """Return standard normal draws of one day, in an array of this shape."""
    return generator(seed, stream, day).standard_normal(shape)


@dataclass(frozen=True)
class DayOfChance:
    """A day of draws: normal `walks` (1440, 7) and `errors` (1440, 15), uniform `gaps`."""

    walks: npt.NDArray[np.float64]
    errors: npt.NDArray[np.float64]
    gaps: npt.NDArray[np.float64]


def generator(seed: int, stream: Stream, counter: int) -> np.random.Generator:
    """Return the generator of one counter (a day, or a slot of the schedule) of one stream.

    Philox is a counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2,
    3", 2011): a simulation that is cut into chunks, or killed and resumed, draws the same numbers.
    """
    return np.random.Generator(
        np.random.Philox(key=np.array([seed, stream], np.uint64), counter=[0, counter, 0, 0])
    )


@lru_cache(maxsize=4)
def day_of_chance(seed: int, day: int) -> DayOfChance:
    """Return all draws of one day; they are the same for every minute of it."""
    return DayOfChance(
        walks=generator(seed, Stream.WALKS, day).standard_normal((DAY, DRIFTS)),
        errors=generator(seed, Stream.SENSORS, day).standard_normal((DAY, SENSORS)),
        gaps=generator(seed, Stream.GAPS, day).random((DAY, SENSORS)),
    )


Cause = Literal[
    "wet-dough",
    "burner-fault",
    "damp-air",
    "fast-belt",
    "stuck-valve",
    "calibration-step",
    "filter-fouling",
    "slipping-belt",
]

# One disturbance of the product begins in most slots of four hours, and ends before the next slot.
SLOT = 240
VALVE_SLOT = 5 * DAY
STOP_SLOT = 480
TRIM_SLOT = 120
BATCH = 50
MAINTENANCE_EVERY = 4 * DAY
MAINTENANCE_AT = 300
MAINTENANCE_LASTS = 45

# Smallest and largest peak: points of moisture, lost share of burner 2, points of humidity, m/min,
# least power of burner 2.
SIZES: dict[Cause, tuple[float, float]] = {
    "wet-dough": (5.5, 9.0),
    "burner-fault": (0.49, 0.56),
    "damp-air": (30.0, 42.0),
    "fast-belt": (1.7, 2.3),
    "stuck-valve": (0.66, 0.74),
}

# Shortest and longest time from the start to the peak, in minutes; a valve sticks within 15.
RAMPS: dict[Cause, tuple[int, int]] = {
    "wet-dough": (15, 32),
    "burner-fault": (12, 24),
    "damp-air": (15, 32),
    "fast-belt": (15, 30),
}

_PRODUCT_CAUSES: tuple[Cause, ...] = ("wet-dough", "burner-fault", "damp-air", "fast-belt")
_QUIET_SHARE = 0.03
_WEAK_SHARE = 0.02
_WEAKNESS = 0.4
_STOP_SHARE = 0.7
_ANSWERED_SHARE = 0.4

# Fewest and most steps by which the crew trims a set-point, and the step.
TRIMS = dict.fromkeys(SET_POINTS, (-1, 1, 2.0)) | {"belt_speed_setpoint": (-1, 1, 0.1)}
# Changes by attentive crews while a disturbance lasts: one of these. The last is seldom enough.
ANSWERS: tuple[dict[str, float], ...] = (
    {"belt_speed_setpoint": -0.8, "zone_3_setpoint": 10.0},
    {"belt_speed_setpoint": -0.8, "zone_1_setpoint": 10.0},
    {"belt_speed_setpoint": -0.6, "zone_1_setpoint": 8.0, "zone_3_setpoint": 8.0},
    {"belt_speed_setpoint": -0.4},
)


@dataclass(frozen=True)
class Disturbance:
    """A disturbance. From `start` it grows for `ramp` minutes to `size`, stays for `hold`, fades in
    `fade`.

    `answered`: minute at which an attentive crew, warned beforehand, sets its `answer` until the
    disturbance is over; None without such a crew.
    """

    cause: Cause
    start: int
    ramp: int
    hold: int
    fade: int
    size: float
    answered: int | None = None
    answer: Mapping[str, float] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """Return the first minute without any effect of the disturbance."""
        return self.start + self.ramp + self.hold + self.fade

    def correction(self, name: str, minute: int) -> float:
        """Return by how much the crew has changed this set-point because of the disturbance."""
        answering = self.answered is not None and self.answered <= minute < self.end
        return self.answer.get(name, 0.0) if answering else 0.0

    def level(self, minute: int) -> float:
        """Return the effect of the disturbance in this minute, in the unit of its size."""
        since = minute - self.start
        return self.size * max(0.0, min(1.0, since / self.ramp, (self.end - minute) / self.fade))


@dataclass(frozen=True)
class LineSchedule:
    """Programme of the line. The showcase is the first slot after `live_from`."""

    seed: int
    live_from: int

    def acting(self, minute: int) -> tuple[Disturbance, ...]:
        """Return this minute's disturbances: at most one of the product and one stuck valve."""
        candidates = (
            _slot_disturbance(self, minute // SLOT),
            _stuck_valve(self, minute // VALVE_SLOT),
        )
        return tuple(d for d in candidates if d is not None and d.start <= minute < d.end)

    def disturbances(self, first: int, last: int) -> list[Disturbance]:
        """Return all disturbances that begin in [first, last), in order."""
        of_product = self.one_in_slots(_slot_disturbance, SLOT, first, last)
        valves = self.one_in_slots(_stuck_valve, VALVE_SLOT, first, last)
        return sorted([*of_product, *valves], key=lambda d: d.start)

    def in_showcase(self, minute: int) -> bool:
        """Return whether the minute lies in the slot with which the live line begins."""
        return self.live_from <= minute < self.live_from + SLOT

    def stop(self, minute: int) -> tuple[int, int] | None:
        """Return the stop [start, end) of the line that includes this minute, or maintenance."""
        stop = self.maintenance(minute) or _stop_of_slot(self.seed, minute // STOP_SLOT)
        return (
            stop if stop and stop[0] <= minute < stop[1] and not self.in_showcase(stop[0]) else None
        )

    def running(self, first: int, last: int, every: int = 1) -> Iterator[int]:
        """Yield every so many minutes of [first, last), without minutes in which the line
        stands."""
        return (
            minute
            for minute in range(-(-first // every) * every, last, every)
            if self.stop(minute) is None
        )

    def one_in_slots(
        self,
        of_slot: "Callable[[LineSchedule, int], Disturbance | None]",
        slot: int,
        first: int,
        last: int,
    ) -> list[Disturbance]:
        """Return the disturbances that begin in [first, last); each slot has one at most."""
        candidates = (of_slot(self, number) for number in range(first // slot, last // slot + 1))
        return [
            disturbance
            for disturbance in candidates
            if disturbance is not None and first <= disturbance.start < last
        ]

    def maintenance(self, minute: int) -> tuple[int, int] | None:
        """Return the maintenance [start, end) that includes this minute: burners are cleaned."""
        start = minute // MAINTENANCE_EVERY * MAINTENANCE_EVERY + MAINTENANCE_AT
        return (
            (start, start + MAINTENANCE_LASTS)
            if start <= minute < start + MAINTENANCE_LASTS
            else None
        )

    def crew_setpoint(self, name: str, minute: int) -> float:
        """Return the crew's set-point: the recipe, a slow trim, and a belt run too fast."""
        acting = self.acting(minute)
        value = (
            NOMINAL[name]
            + self._trim(name, minute)
            + sum(d.correction(name, minute) for d in acting)
        )
        if name == "belt_speed_setpoint":
            value += sum(d.level(minute) for d in acting if d.cause == "fast-belt")
        return round(value, 1)

    def batch(self, minute: int) -> float:
        """Return how much wetter (standard normal) this minute's batch of dough is."""
        return _batch(self.seed, minute // BATCH)

    def _trim(self, name: str, minute: int) -> float:
        if self.in_showcase(minute):
            return 0.0
        slot = minute // TRIM_SLOT
        at, trim = _trim_of_slot(self.seed, name, slot)
        if minute < slot * TRIM_SLOT + at:
            return _trim_of_slot(self.seed, name, slot - 1)[1] if slot else 0.0
        return trim


@lru_cache(maxsize=64)
def _slot_disturbance(schedule: LineSchedule, slot: int) -> Disturbance | None:
    """Return the disturbance of the product in a slot of the schedule; None in a quiet slot."""
    if schedule.in_showcase(slot * SLOT):
        return Disturbance(
            "wet-dough", start=schedule.live_from, ramp=25, hold=60, fade=20, size=7.0
        )
    chance = generator(schedule.seed, Stream.DISTURBANCES, slot)
    if chance.random() < _QUIET_SHARE:
        return None
    cause = _PRODUCT_CAUSES[int(chance.integers(len(_PRODUCT_CAUSES)))]
    low, high = SIZES[cause]
    start = slot * SLOT + int(chance.integers(0, 60))
    answered = chance.random() < _ANSWERED_SHARE and cause != "fast-belt"
    return Disturbance(
        cause=cause,
        start=start,
        answered=start + int(chance.integers(3, 8)) if answered else None,
        answer=ANSWERS[int(chance.integers(len(ANSWERS)))],
        ramp=int(chance.integers(*RAMPS[cause], endpoint=True)),
        hold=int(chance.integers(30, 76)),
        fade=int(chance.integers(10, 26)),
        size=float(chance.uniform(low, high))
        * (_WEAKNESS if chance.random() < _WEAK_SHARE else 1.0),
    )


@lru_cache(maxsize=64)
def _stuck_valve(schedule: LineSchedule, slot: int) -> Disturbance | None:
    chance = generator(schedule.seed, Stream.VALVES, slot)
    low, high = SIZES["stuck-valve"]
    return Disturbance(
        "stuck-valve",
        slot * VALVE_SLOT + int(chance.integers(DAY, VALVE_SLOT - SLOT)),
        ramp=15,
        hold=int(chance.integers(15, 40)),
        fade=5,
        size=float(chance.uniform(low, high)),
    )


@lru_cache(maxsize=64)
def _stop_of_slot(seed: int, slot: int) -> tuple[int, int] | None:
    chance = generator(seed, Stream.STOPS, slot)
    if chance.random() >= _STOP_SHARE:
        return None
    start = slot * STOP_SLOT + int(chance.integers(0, STOP_SLOT - 30))
    return start, start + int(chance.integers(4, 13))


@lru_cache(maxsize=64)
def _trim_of_slot(seed: int, name: str, slot: int) -> tuple[int, float]:
    chance = generator(seed, Stream.TRIMS, slot * len(SET_POINTS) + SET_POINTS.index(name))
    fewest, most, step = TRIMS[name]
    return int(chance.integers(0, TRIM_SLOT)), step * int(chance.integers(fewest, most + 1))


@lru_cache(maxsize=64)
def _batch(seed: int, number: int) -> float:
    return float(generator(seed, Stream.BATCHES, number).standard_normal())


CHECKWEIGHER = "checkweigher-1"
WEIGHT = "biscuit_weight"
USUAL = 12.5  # mean weight of a biscuit in g
SPREAD = 0.08  # standard deviation of a minute's mean in g
# In each interval of this length the calibration steps once, and the belt of the fan slips once.
MACHINE_SLOT = 5 * DAY


def checkweigher() -> Asset:
    """Return the check-weigher with its one variable, a reading a minute."""
    weight = Variable(
        title="Mean biscuit weight of a minute", unit="g", low=5, high=20, sampling=MINUTE
    )
    return Asset(name=CHECKWEIGHER, title="Check-weigher 1", variables={WEIGHT: weight})


def weights(schedule: LineSchedule, first: int, last: int) -> Iterator[tuple[int, float]]:
    """Yield each minute's weight on the scale; none while the line stands."""
    for minute in schedule.running(first, last):
        step = calibration_step(schedule, minute // MACHINE_SLOT)
        off = step.size if step is not None and step.start <= minute < step.end else 0.0
        noise = normal_of_day(schedule.seed, Stream.SCALE, minute // DAY, DAY)[minute % DAY]
        yield minute, round(USUAL + SPREAD * float(noise) + off, 3)


def calibration_steps(schedule: LineSchedule, first: int, last: int) -> list[Disturbance]:
    """Return the steps that begin in [first, last), in order."""
    return schedule.one_in_slots(calibration_step, MACHINE_SLOT, first, last)


@lru_cache(maxsize=64)
def calibration_step(schedule: LineSchedule, slot: int) -> Disturbance | None:
    """Return the step of a slot, in g; None if it would begin with the live line."""
    chance = generator(schedule.seed, Stream.CALIBRATION, slot)
    start = slot * MACHINE_SLOT + int(chance.integers(DAY, MACHINE_SLOT - DAY))
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
    """The life of one filter: from the minute in which it is put in to its change, and its last
    pressure drop, Pa."""

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
    life = _life(seed, slot) if minute < _change_minute(seed, slot) else _life(seed, slot + 1)
    return float(
        CLEAN + (life.last - CLEAN) * ((minute - life.start) / (life.end - life.start)) ** _BEND
    )


@lru_cache(maxsize=64)
def _life(seed: int, slot: int) -> _Life:
    chance = generator(seed, Stream.FILTER, slot)
    chance.random()  # the minute of the change
    last = chance.uniform(330, 380) if chance.random() < _RARELY else chance.uniform(430, 520)
    return _Life(
        _change_minute(seed, slot - 1) if slot else 0, _change_minute(seed, slot), float(last)
    )


def _change_minute(seed: int, slot: int) -> int:
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
    BEARING: (58.0, 3.0, 0.3),
}
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
        before = _hourly_load(schedule.seed, hour)
        after = _hourly_load(schedule.seed, hour + 1)
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
        slip = belt_slip(schedule, minute // MACHINE_SLOT)
        if slip is not None:
            values[EXHAUST_FLOW] *= 1 - slip.level(minute)
        yield minute, {name: round(value, 2) for name, value in values.items()}


def belt_slips(schedule: LineSchedule, first: int, last: int) -> list[Disturbance]:
    """Return the slips that begin in [first, last); size: the share of the flow lost."""
    return schedule.one_in_slots(belt_slip, MACHINE_SLOT, first, last)


@lru_cache(maxsize=64)
def belt_slip(schedule: LineSchedule, slot: int) -> Disturbance | None:
    """Return a slot's slip; none in the last filled week, or with the live line."""
    chance = generator(schedule.seed, Stream.BELT, slot)
    start = slot * MACHINE_SLOT + int(chance.integers(DAY, MACHINE_SLOT - DAY))
    lasts = int(chance.integers(120, 240))
    size = float(chance.uniform(_SMALLEST, _LARGEST))
    if schedule.in_showcase(start) or 0 <= schedule.live_from - start < 7 * DAY:
        return None
    return Disturbance("slipping-belt", start, ramp=10, hold=lasts, fade=5, size=size)


def _hourly_load(seed: int, hour: int) -> float:
    return float(normal_of_day(seed, Stream.LOAD, hour // 24, 24)[hour % 24])
