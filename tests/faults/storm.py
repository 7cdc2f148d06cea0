"""What is done to the parts: something every few seconds, drawn from a seed."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.faults.parts import Part

PAUSE_S = (0.8, 5.0)
DOWN_S = (0.0, 4.0)
FREEZES = 0.45
POWER_CUTS = 0.03


@dataclass
class Storm:
    """`longest_freeze_s`: beyond the time-outs of channels and database, so that both sides of them are met."""

    parts: Sequence[Part]
    seed: int
    longest_freeze_s: float

    def rage(self, seconds: float, told: Callable[[float], None]) -> None:
        """Kill and freeze for so long; then bring everything back."""
        chance = random.Random(self.seed)
        over = time.monotonic() + seconds
        next_at = time.monotonic() + 2.0
        while (now := time.monotonic()) < over:
            if now >= next_at:
                self._strike(chance, now)
                next_at = now + chance.uniform(*PAUSE_S)
            self._tend()
            told(over - now)
            time.sleep(0.05)
        self.recover()

    def _strike(self, chance: random.Random, now: float) -> None:
        if chance.random() < POWER_CUTS:
            down = chance.uniform(*DOWN_S)
            for part in self.parts:
                if not part.is_hit:
                    part.kill(now, down)
            return
        part, freezes = chance.choice(self.parts), chance.random() < FREEZES
        lasting = chance.uniform(0.3, self.longest_freeze_s) if freezes else chance.uniform(*DOWN_S)
        if not part.is_hit and part.running:
            (part.freeze if freezes else part.kill)(now, lasting)

    def _tend(self) -> None:
        for part in self.parts:
            part.tend(time.monotonic())

    def recover(self) -> None:
        """Bring back what is down, and watch that nothing ends by itself from here on."""
        for part in self.parts:
            if part.is_hit:
                part.bring_back(time.monotonic())

    def calm(self, until: Callable[[], bool], seconds: float) -> bool:
        """Watch and do nothing until it is so. False when it is not so after these seconds."""
        over = time.monotonic() + seconds
        while not until():
            if time.monotonic() > over:
                return False
            self._tend()
            time.sleep(0.3)
        return True
