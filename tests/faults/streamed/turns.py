"""A storm in which stream services and the rounds of the scheduler evaluate by turns."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.faults.parts import Part
from tests.faults.storm import Storm

TURNS = 0.06
"""Share of the attacks that stop all services, all rounds, or both."""
AWAY_S = (8.0, 30.0)
_STOPPED: Sequence[tuple[str, ...]] = (("stream",), ("scheduler",), ("stream", "scheduler"))


@dataclass
class StreamStorm(Storm):
    """Now and then kills all stream services, the rounds of the scheduler, or both, for some
    time. `turns`: how often, by what was away."""

    turns: Counter[str] = field(default_factory=Counter)

    def _strike(self, chance: random.Random, now: float) -> None:
        if chance.random() >= TURNS:
            super()._strike(chance, now)
            return
        names = chance.choice(_STOPPED)
        away = chance.uniform(*AWAY_S)
        self.turns[" and ".join(names)] += 1
        for part in self.parts:
            if part.name.startswith(names):
                self._stop(part, now, away)

    def _stop(self, part: Part, now: float, seconds: float) -> None:
        if part.is_hit:
            part.bring_back(now)
        part.kill(now, seconds)
