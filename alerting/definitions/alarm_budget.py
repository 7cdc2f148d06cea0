"""Budget of alarms for an operator position, after EEMUA 191, ISA-18.2: a setting."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

GateMode = Literal["refuse", "warn", "off"]


@dataclass(frozen=True)
class AlarmBudget:
    """Most alarms that a position has to answer, and how the platform treats a definition that
    exceeds them.

    `per_day`: alarms a day; 144 is one in ten minutes (EEMUA 191: very likely acceptable).
    `by_position`: other numbers for single positions. `flood_above`: more alarms than this in ten
    minutes are a flood. `most_floods`: largest allowed share of such periods (ISA-18.2). `days`:
    length of the past that is evaluated.
    """

    mode: GateMode = "off"
    per_day: float = 144
    by_position: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    flood_above: int = 10  # more than one operator can answer
    most_floods: float = 0.01
    days: int = 7

    def for_position(self, position: str) -> float:
        """Return the budget of a position in alarms a day."""
        return self.by_position.get(position, self.per_day)


NO_GATE = AlarmBudget()
