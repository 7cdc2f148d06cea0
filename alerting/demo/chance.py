"""Stateless randomness: every number is a function of seed, stream and counter alone.

Philox is a counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
2011). Its key is (seed, stream), its counter contains the day or slot. A simulation that is cut
into chunks, or killed and resumed, draws the same numbers.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt

DAY = 1440  # minutes in a day of the line

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
    """Return standard normal draws of one day."""
    return generator(seed, stream, day).standard_normal(shape)


@dataclass(frozen=True)
class DayOfChance:
    """A day of draws: normal `walks` (1440, 7) and `errors` (1440, 15), uniform `gaps`."""

    walks: npt.NDArray[np.float64]
    errors: npt.NDArray[np.float64]
    gaps: npt.NDArray[np.float64]


def generator(seed: int, stream: Stream, counter: int) -> np.random.Generator:
    """Return the generator of one counter (a day, or a slot of the schedule) of one stream."""
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
