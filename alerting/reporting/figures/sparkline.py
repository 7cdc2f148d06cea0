"""The last values of a variable as a small line with its limit, and the present one in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median
from typing import Literal

from alerting.definitions.wording.language import (
    ENGLISH,
    Language,
    digits_beside,
    measured,
    template,
)
from alerting.reporting.base.messages import number
from alerting.reporting.figures.episode_chart import ChartLevel, Floats, Millis, thin_out

COLUMNS = 30
_ENOUGH = 6
_SIDE = 100.0
_LEAST_MOVE = 0.02  # of the range of values and limit
_LEAST_JUMP = 0.25
_JUMP_STEPS = 4
_PARTS = 3  # of the last third
_LEAST_PART = 2
_TURN_STEPS = 2.5
_LEAST_TURN = 0.05
_CLEAR_STEPS = 5
_LEAST_PROGRESS = 0.125  # of a move between thirds; steady rising gives a third of it
Direction = Literal["rising", "falling", "steady"]
_NOW = {
    "rising": template("{value}, rising"),
    "falling": template("{value}, falling"),
    "steady": template("{value}, steady"),
}


@dataclass(frozen=True)
class Sparkline:
    """The line in a square of 100 units (path data), the height of its limit, and the last value.

    `direction`: None where there are too few values to see one. `at`: of the last value (ms).
    `title`: of the variable, where the sentence on the alarm need not name it. `is_old`: a newer
    value should have come; then the course is not known.
    """

    path: str
    limit_y: float | None
    limit: float | None
    value: float
    unit: str | None
    at: int
    direction: Direction | None
    title: str | None = None
    is_old: bool = False

    @property
    def when(self) -> datetime:
        """Return the instant of the last value."""
        return datetime.fromtimestamp(self.at / 1000, UTC)

    def describe(self, language: Language = ENGLISH) -> str:
        """Return the last value and its course: `3.9 %, rising`, `Belt speed 2 m/min, steady`."""
        digits = digits_beside(self.value, self.limit)
        value = f"{number(self.value, digits, language)}{f' {self.unit}' if self.unit else ''}"
        shown = f"{self.title} {value}" if self.title else value
        if self.direction is None or self.is_old:
            return shown
        return language.say(_NOW[self.direction], value=shown)

    def describe_limit(self, language: Language = ENGLISH) -> str | None:
        """Return the limit as reasons name it, not rounded further: `limit 216.5 °C`; None without
        one."""
        if self.limit is None:
            return None
        return language.say("limit {value}", value=measured(self.limit, "g", self.unit))


def sparkline(
    at: Millis,
    values: Floats,
    levels: Sequence[ChartLevel],
    unit: str | None,
    title: str | None = None,
) -> Sparkline | None:
    """Return the line of the last values, with the limit nearest to the last one; None without a
    value. A usual or expected value is no limit."""
    at, values = thin_out(at, values, COLUMNS)
    if not len(at):
        return None
    last = float(values[-1])
    limit = min(
        (level.value for level in levels if level.is_limit),
        key=lambda v: abs(v - last),
        default=None,
    )
    low = float(min(values.min(), last if limit is None else limit))
    high = float(max(values.max(), last if limit is None else limit))
    height = high - low or abs(high) or 1.0
    low -= 0.06 * height
    height *= 1.12
    width = max(1, int(at[-1] - at[0]))
    xs = (_SIDE * (at - at[0]) / width).round(1).tolist()
    ys = (_SIDE * (1 - (values - low) / height)).round(1).tolist()
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in zip(xs, ys, strict=True))
    limit_y = None if limit is None else round(_SIDE * (1 - (limit - low) / height), 1)
    direction = _direction(values.tolist(), height)
    return Sparkline(path, limit_y, limit, last, unit, int(at[-1]), direction, title)


def _direction(values: Sequence[float], height: float) -> Direction | None:
    """Return where the last third of values lies beside the third before: further than the usual
    step between two values, and than a small part of the range.

    After a jump that most of the third does not show yet, the last value decides: it lies a quarter
    of the range away from the others, and four of their usual steps. What has moved and stays where
    it is, is steady; what turns within the last third has its new direction.
    """
    if len(values) < _ENOUGH:
        return None
    third = len(values) // 3
    moved = median(values[-third:]) - median(values[-2 * third : -third])
    step = median(abs(later - earlier) for earlier, later in pairwise(values))
    least_jump = max(_JUMP_STEPS * step, _LEAST_JUMP * height)
    jump = values[-1] - median(values[-2 * third :])
    if abs(jump) > least_jump:
        moved = jump
    part = third // _PARTS
    last = median(values[-max(part, 1) :])
    if part >= _LEAST_PART and abs(values[-1] - last) <= least_jump:
        late = last - median(values[-2 * part : -part])
        if abs(late) > max(_TURN_STEPS * step, _LEAST_TURN * height):
            moved = late
        elif abs(moved) > _CLEAR_STEPS * step and late * moved < _LEAST_PROGRESS * moved * moved:
            return "steady"
    if abs(moved) <= max(step, _LEAST_MOVE * height):
        return "steady"
    return "rising" if moved > 0 else "falling"
