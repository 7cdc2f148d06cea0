"""The filter of the supply air: it clogs within a day, and its pressure drop tells.

An asset of its own with randomness of its own, as the check-weigher. All of it is a function of the
seed and the minute.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import pi, sin
from typing import NamedTuple

from alerting.definitions.assets import Asset, Variable
from alerting.demo.asset import MINUTE
from alerting.demo.chance import DAY, Stream, generator, normal_of_day
from alerting.demo.disturbances import Disturbance, LineSchedule

AIR_FILTER = "air-filter-1"
PRESSURE_DROP = "pressure_drop"
AIR_FLOW = "air_flow"
EVERY = 10  # minutes between two readings
SLOT = DAY  # in each interval of this length the filter is changed once
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
    sampling = EVERY * MINUTE
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
    for minute in schedule.running(first, last, EVERY):
        noise = normal_of_day(schedule.seed, Stream.FLOW, minute // DAY, DAY // EVERY, 2)[
            minute % DAY // EVERY
        ]
        flow = USUAL_FLOW + 100.0 * sin(2 * pi * minute / DAY) + 25.0 * float(noise[0])
        drop = _drop(schedule.seed, minute) * (flow / USUAL_FLOW) ** 2 + 3.0 * float(noise[1])
        yield minute, {PRESSURE_DROP: round(drop, 1), AIR_FLOW: round(flow, 1)}


def cloggings(schedule: LineSchedule, first: int, last: int) -> list[Disturbance]:
    """Return the filters of [first, last) that clog beyond the limit; size in Pa."""
    lives = (_life(schedule.seed, slot) for slot in range(first // SLOT, last // SLOT + 2))
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
    slot = minute // SLOT
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
    return slot * SLOT + int(
        SLOT * (0.55 + 0.4 * float(generator(seed, Stream.FILTER, slot).random()))
    )
