"""Limits of the platform's health, of declarations, of alarms, and retention: with defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True)
class HealthLimits:
    """Limits beyond which the platform raises an alert about itself, in the platform's time.

    `evaluation_late`: behind schedule and latency; `source_stale`: without a reading of an asset
    that was read live; `disk_least`: free bytes.
    """

    evaluation_late: timedelta = timedelta(minutes=15)
    source_stale: timedelta = timedelta(hours=1)
    disk_least: int = 5 << 30


@dataclass(frozen=True)
class DeclarationBounds:
    """How many new names data may declare: in one delivery, by one source so far, and by all
    sources."""

    delivery: int
    source: int
    in_all: int


@dataclass(frozen=True)
class DeclarationLimits:
    """Bounds on the declarations of sources and senders. `variables`: also counts types of
    events."""

    assets: DeclarationBounds = DeclarationBounds(500, 2_000, 10_000)
    variables: DeclarationBounds = DeclarationBounds(5_000, 20_000, 100_000)


@dataclass(frozen=True)
class Retention:
    """How long documents are stored that nothing in use needs.

    `models`: training runs, and model versions that were never in service. `notifications`: counted
    from the end of their episode. `scores`: scores of models, and records of past evaluations.
    `audit`: also resolved platform alerts. `reports`: also backtests. `predictions`: scores of
    predict jobs.
    """

    readings: timedelta = timedelta(days=730)
    scores: timedelta = timedelta(days=400)
    notifications: timedelta = timedelta(days=90)
    reports: timedelta = timedelta(days=730)
    audit: timedelta = timedelta(days=1095)
    models: timedelta = timedelta(days=180)
    predictions: timedelta = timedelta(days=14)


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
