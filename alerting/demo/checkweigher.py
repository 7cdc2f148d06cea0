"""The check-weigher: mean weight of a minute's biscuits, and steps of its calibration.

An asset of its own with randomness of its own, so that the oven's readings and disturbances are the
same with it and without. All of it is a function of the seed and the minute.
"""

from collections.abc import Iterator
from functools import lru_cache

from alerting.definitions.assets import Asset, Variable
from alerting.demo.asset import MINUTE
from alerting.demo.chance import DAY, Stream, generator, normal_of_day
from alerting.demo.disturbances import Disturbance, LineSchedule

CHECKWEIGHER = "checkweigher-1"
WEIGHT = "biscuit_weight"
USUAL = 12.5  # mean weight of a biscuit in g
SPREAD = 0.08  # standard deviation of a minute's mean in g
# In each interval of this length the calibration steps once, until the next check of the scale.
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
