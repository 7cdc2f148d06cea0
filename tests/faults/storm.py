"""Attacks on the parts: one every few seconds, drawn from a seed."""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.faults.parts import Part

PAUSE_S = (0.8, 5.0)
DOWN_S = (0.0, 4.0)
FREEZES = 0.45
POWER_CUTS = 0.03
AIMED = 0.5
"""Share of the kills that wait until a notifier is in the middle of a delivery, so that its claim
is left behind, or the scheduler in the middle of a tick."""
AIM_S = 1.5
TURNS = 0.06
"""Share of the attacks on streams that stop all services, all rounds, or both."""
AWAY_S = (8.0, 30.0)
_STOPPED: Sequence[tuple[str, ...]] = (("stream",), ("scheduler",), ("stream", "scheduler"))
OUTAGE_MINUTES = 20.0
"""Once in a long run, no evaluator for so many minutes of the plant: more than what goes into a
digest was over by then."""


@dataclass
class Storm:
    """`longest_freeze_s`: beyond the time-outs of channels and database, so that both sides of them
    are met."""

    parts: Sequence[Part]
    seed: int
    longest_freeze_s: float
    outage_s: float = 0.0
    pause_s: tuple[float, float] = PAUSE_S

    def rage(self, seconds: float, told: Callable[[float], None]) -> None:
        """Kill and freeze for so long, a third through with an outage of evaluation; then bring
        everything back."""
        chance = random.Random(self.seed)
        over = time.monotonic() + seconds
        next_at = time.monotonic() + 2.0
        outage_at = over - seconds * 2 / 3 if self.outage_s else over
        while (now := time.monotonic()) < over:
            if now >= outage_at:
                outage_at = over
                self._stop_all(["evaluator"], now, self.outage_s)
            if now >= next_at:
                self._strike(chance, now)
                next_at = now + chance.uniform(*self.pause_s)
            self._tend()
            told(over - now)
            time.sleep(0.05)
        for part in self.parts:
            if part.is_hit:
                part.bring_back()

    def _strike(self, chance: random.Random, now: float) -> None:
        if chance.random() < POWER_CUTS:
            down = chance.uniform(*DOWN_S)
            for part in self.parts:
                if not part.is_hit:
                    part.kill(now, down)
            return
        part = chance.choice(self.parts)
        freezes = chance.random() < FREEZES
        lasting = chance.uniform(0.3, self.longest_freeze_s) if freezes else chance.uniform(*DOWN_S)
        if not part.is_hit and part.running:
            if not freezes and chance.random() < AIMED:
                part.wait_until_busy(AIM_S)
            (part.freeze if freezes else part.kill)(time.monotonic(), lasting)

    def _stop_all(self, names: Sequence[str], now: float, lasting: float) -> None:
        """Kill the parts whose names begin so, and keep them down for so long."""
        for part in self.parts:
            if part.name.startswith(tuple(names)):
                if part.is_hit:
                    part.bring_back()
                part.kill(now, lasting)

    def _tend(self) -> None:
        for part in self.parts:
            part.tend(time.monotonic())

    def calm(self, until: Callable[[], bool], seconds: float) -> bool:
        """Watch and do nothing until it is so. False when it is not so after these seconds."""
        over = time.monotonic() + seconds
        while not until():
            if time.monotonic() > over:
                return False
            self._tend()
            time.sleep(0.3)
        return True


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
        self.turns[" and ".join(names)] += 1
        self._stop_all(names, now, chance.uniform(*AWAY_S))
