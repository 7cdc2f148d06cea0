"""What an operator position may be asked to answer, after EEMUA 191 and ISA-18.2: a setting of the platform."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

GateMode = Literal["refuse", "warn", "off"]


@dataclass(frozen=True)
class AlarmBudget:
    """What a position may be asked to answer, and what happens to a definition that asks for more.

    `per_day`: alarms a day, 144 is one in ten minutes (EEMUA 191: very likely acceptable); `by_position`: where it is another
    number. `flood_above`: more than so many in ten minutes are a flood, and at most `most_floods` of those periods may be
    (ISA-18.2). `days`: how much of the past is judged.
    """

    mode: GateMode = "off"
    per_day: float = 144
    by_position: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    flood_above: int = 10  # more than one operator can answer
    most_floods: float = 0.01
    days: int = 7

    def of(self, position: str) -> float:
        """Alarms a day that this position may be asked to answer."""
        return self.by_position.get(position, self.per_day)


NO_GATE = AlarmBudget()
