"""All ports together, as a use case gets them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from alerting.definitions.alarm_budget import NO_GATE, AlarmBudget
from alerting.pipelines.ports.definitions import Assets, Definitions, Routes
from alerting.pipelines.ports.episodes import Episodes, FeedbackLog, Shelves
from alerting.pipelines.ports.evaluation import NOT_KEPT, Replays, Scores, States, Watchlists
from alerting.pipelines.ports.late import Arrivals, Checkpoints
from alerting.pipelines.ports.models import Decisions, Models
from alerting.pipelines.ports.notifications import Bulletins, Channel, Links, Revocations
from alerting.pipelines.ports.platform_alerts import Audit, PlatformAlerts
from alerting.pipelines.ports.readings import Readings
from alerting.pipelines.ports.reports import Backtests, Reports


class Clock(Protocol):
    """The pretended now, shared by DAGs, commands and API; the demo line's runs faster than the wall's."""

    def now(self) -> datetime: ...


class Progress(Protocol):
    """Tells a waiting person how far a long job is."""

    def __call__(self, step: str, done: int, total: int | None) -> None: ...


def silent(step: str, done: int, total: int | None) -> None:
    """The progress of a job nobody watches."""


@dataclass(frozen=True)
class TrainingLimits:
    """What a training may take of the machine: `stopwatch` tells real seconds, for time budgets; `memory_mib` is the most
    memory, in MiB, that the table of rows and its copies may need.
    """

    stopwatch: Callable[[], float]
    memory_mib: int


UNLIMITED = TrainingLimits(lambda: 0.0, 1 << 30)


@dataclass(frozen=True)
class Platform:
    """Everything a use case may touch."""

    definitions: Definitions
    assets: Assets
    readings: Readings
    episodes: Episodes
    states: States
    arrivals: Arrivals
    checkpoints: Checkpoints
    shelves: Shelves
    feedback: FeedbackLog
    decisions: Decisions
    models: Models
    scores: Scores
    replays: Replays
    reports: Reports
    backtests: Backtests
    audit: Audit
    routes: Routes
    bulletins: Bulletins
    revocations: Revocations
    platform_alerts: PlatformAlerts
    channels: Mapping[str, Channel]
    clock: Clock
    links: Links | None = None
    watchlists: Watchlists = NOT_KEPT
    limits: TrainingLimits = UNLIMITED
    budget: AlarmBudget = NO_GATE
