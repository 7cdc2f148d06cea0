"""All ports together, as a use case gets them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from alerting.definitions.alarm_budget import NO_GATE, AlarmBudget
from alerting.definitions.assets import USUAL_LATENCY
from alerting.ports.definitions import NOT_EDITED, Assets, Definitions, DerivedFeatureStore, Documents, Routes
from alerting.ports.episodes import Episodes, FeedbackLog, Shelves
from alerting.ports.evaluation import NO_EVALUATION_PLANS, EvaluationPlans, PastEvaluations, Scores, States
from alerting.ports.late import Arrivals, Checkpoints
from alerting.ports.models import NO_MODEL_FILE_CACHE, Decisions, ModelFileCache, Models
from alerting.ports.notifications import Channel, EndedSessions, Links, Notifications, Revocations
from alerting.ports.platform_alerts import Audit, PlatformAlerts
from alerting.ports.readings import Readings
from alerting.ports.reports import Backtests, Reports
from alerting.ports.unit_of_work import UnitOfWork


class Clock(Protocol):
    """The platform's time (`as_of`), shared by DAGs, commands and API; the demo line's clock runs faster than real time."""

    def now(self) -> datetime: ...


class Progress(Protocol):
    """Report of the progress of a long job to a waiting person."""

    def __call__(self, step: str, done: int, total: int | None) -> None: ...


def silent(step: str, done: int, total: int | None) -> None:
    """Report nothing: the progress of a job that runs unattended."""


@dataclass(frozen=True)
class TrainingLimits:
    """Limits of a training on this machine.

    `max_rows`: the most rows of its dataset; None for the number that fits into half of `memory_bytes`, the machine's memory
    (None: any number).
    """

    max_rows: int | None = None
    memory_bytes: int | None = None


UNLIMITED = TrainingLimits()


class InMemory(Protocol):
    """Makes platforms with empty stores in memory."""

    def __call__(self, *, backfilled: bool = False) -> "Platform":
        """Return such a platform. With `backfilled` all its episodes are stored as found in past times."""


@dataclass(frozen=True)
class Platform:
    """All ports of a use case.

    `model_key`: key for the hashes of model files, if others can write into the registry; else empty. `zone`: time zone of the
    plant, for times in messages. `notifications_last`: how long finished notifications are stored. `latency`: how long evaluation
    waits for values of a variable without a latency of its own.
    """

    definitions: Definitions
    derived_features: DerivedFeatureStore
    assets: Assets
    readings: Readings
    episodes: Episodes
    states: States
    unit_of_work: UnitOfWork
    arrivals: Arrivals
    checkpoints: Checkpoints
    shelves: Shelves
    feedback: FeedbackLog
    decisions: Decisions
    models: Models
    scores: Scores
    past_evaluations: PastEvaluations
    reports: Reports
    backtests: Backtests
    audit: Audit
    routes: Routes
    notifications: Notifications
    revocations: Revocations
    ended_sessions: EndedSessions
    platform_alerts: PlatformAlerts
    channels: Mapping[str, Channel]
    clock: Clock
    in_memory: InMemory
    links: Links | None = None
    evaluation_plans: EvaluationPlans = NO_EVALUATION_PLANS
    documents: Documents = NOT_EDITED
    limits: TrainingLimits = UNLIMITED
    budget: AlarmBudget = NO_GATE
    model_key: bytes = field(default=b"", repr=False)
    model_file_cache: ModelFileCache = NO_MODEL_FILE_CACHE
    zone: tzinfo = UTC
    notifications_last: timedelta = timedelta(days=90)
    latency: timedelta = USUAL_LATENCY
