"""The ports that each group of use cases takes, from the narrowest to the widest.

A use case states the narrowest group with the ports that it, and what it calls, uses. A test makes
a group with these alone; `Platform` is all of them. A store of which there is one is named by its
class, for types alone. A group is neither compared nor printed: the methods for it would take time
at the start of each process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Protocol

from alerting.definitions.assets import USUAL_LATENCY
from alerting.definitions.upkeep import (
    NO_GATE,
    AlarmBudget,
    DeclarationLimits,
    HealthLimits,
    Retention,
)
from alerting.definitions.wording.language import LanguageCode
from alerting.ports.definitions import (
    NOT_EDITED,
    Assets,
    Definitions,
    DerivedFeatureStore,
    Documents,
    DocumentStore,
)
from alerting.ports.deliveries import Channel, Links, Notifications
from alerting.ports.episodes import (
    Audit,
    DatabaseState,
    Disk,
    Episodes,
    Misses,
    Mutes,
    PlatformAlerts,
    no_database,
    no_disks,
)
from alerting.ports.evaluation import (
    Arrivals,
    Checkpoints,
    EvaluationPlans,
    PastEvaluations,
    Scores,
    States,
    UnitOfWork,
)
from alerting.ports.models import (
    NO_MODEL_FILE_CACHE,
    UNLIMITED,
    Decisions,
    ModelFileCache,
    Models,
    TrainingLimits,
    TrainingRuns,
    Trainings,
)
from alerting.ports.readings import IntervalLabels, Readings, ReadingWrites

if TYPE_CHECKING:
    from alerting.stores.database.leases import Leases
    from alerting.stores.database.sweeps import Sweeps
    from alerting.stores.deliveries import DeadMessages, SinkDeliveries, SinkFeed, SourceDeliveries
    from alerting.stores.episodes import MongoNotifications
    from alerting.stores.live import ChangeFeed
    from alerting.stores.operators import AccessTokens, Accounts, FeedbackLog, Sessions
    from alerting.stores.readings.arrivals import MongoArrivals
    from alerting.stores.readings.rollups import MongoLabels, Rollups
    from alerting.stores.reports import Backtests, Reports


class Clock(Protocol):
    """The platform's time (`as_of`), shared by DAGs, commands and API; the demo line's clock runs
    faster than real time."""

    def now(self) -> datetime: ...


@dataclass(frozen=True)
class FixedClock:
    """Port `Clock` of which the time never changes."""

    instant: datetime

    def now(self) -> datetime:
        return self.instant


class Progress(Protocol):
    """Report of the progress of a long job to a waiting person."""

    def __call__(self, step: str, done: int, total: int | None) -> None: ...


def silent(step: str, done: int, total: int | None) -> None:
    """Report nothing: the progress of a job that runs unattended."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class AccessPorts:
    """Accounts, tokens of programs and sessions of browsers."""

    accounts: Accounts
    access_tokens: AccessTokens
    sessions: Sessions
    audit: Audit


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PlantPorts:
    """Assets and their readings."""

    assets: Assets
    readings: Readings


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MutePorts(PlantPorts):
    """Find the mutes of a time, and the events that ended them."""

    mutes: Mutes


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LabelPorts(MutePorts):
    """Label times of assets, and read readings with these labels."""

    labels: IntervalLabels


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DefinitionPorts:
    """Check, apply and read definitions. `zone`: time zone of the plant, of clock times that name
    none, and of times in answers to people."""

    definitions: Definitions
    assets: Assets
    audit: Audit
    platform_alerts: PlatformAlerts
    documents: Documents = NOT_EDITED
    zone: tzinfo = UTC


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PlanPorts(DefinitionPorts):
    """Find the targets in service. `latency`: the wait for values of a variable without a latency
    of its own."""

    clock: Clock
    decisions: Decisions
    evaluation_plans: EvaluationPlans
    latency: timedelta = USUAL_LATENCY


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RegistryPorts:
    """Register and load models. `model_key`: for the hashes of their files, if others can write
    into the registry; else empty."""

    models: Models
    runs: TrainingRuns
    decisions: Decisions
    model_key: bytes = field(default=b"", repr=False)
    model_file_cache: ModelFileCache = NO_MODEL_FILE_CACHE


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class EpisodePorts(MutePorts):
    """Read episodes, and what suppressed them. `inhibiting`: where other alerts are, if not among
    `definitions`, `episodes`."""

    definitions: Definitions
    episodes: Episodes
    inhibiting: EpisodePorts | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SeriesPorts(EpisodePorts, LabelPorts):
    """Read series of readings, also from their rollups, and what stands beside them."""

    labels: MongoLabels
    rollups: Rollups


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class OutcomePorts(EpisodePorts):
    """Change episodes together with their notifications, and determine outcomes."""

    notifications: Notifications
    unit_of_work: UnitOfWork
    derived_features: DerivedFeatureStore
    latency: timedelta = USUAL_LATENCY


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class KindPorts(EpisodePorts):
    """Evaluate and explain one target, by its kind."""

    states: States


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MaterialPorts(KindPorts):
    """Gather the material of a report."""

    decisions: Decisions
    scores: Scores
    past_evaluations: PastEvaluations
    derived_features: DerivedFeatureStore
    misses: Misses


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class WritePorts:
    """Write readings and events, with a record of their arrival."""

    reading_writes: ReadingWrites
    arrivals: Arrivals


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class IngestionPorts(PlantPorts, WritePorts):
    """Import assets, readings and events, and route late ones to the targets that were evaluated
    without them."""

    definitions: Definitions
    states: States
    audit: Audit


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SourcePorts(IngestionPorts):
    """Apply sources, and store what they deliver. `zone`: time zone of the plant, of stamps that
    name none."""

    sources: DocumentStore
    deliveries: SourceDeliveries
    dead_messages: DeadMessages
    leases: Leases
    zone: tzinfo = UTC
    declaration_limits: DeclarationLimits = field(default_factory=DeclarationLimits)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SinkPorts:
    """Apply sinks, and deliver what they send."""

    sinks: DocumentStore
    sink_deliveries: SinkDeliveries
    episodes: Episodes
    assets: Assets
    audit: Audit
    clock: Clock
    sink_feed: SinkFeed


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RoutePorts:
    """Apply routes, and choose recipients. `language` and `zone`: of the plant, for messages and
    hours of routes without their own."""

    routes: DocumentStore
    channels: Mapping[str, Channel]
    audit: Audit
    language: LanguageCode = "en"
    zone: tzinfo = UTC


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MutingPorts(OutcomePorts, RoutePorts):
    """Mute episodes, and notify once of those still open afterwards."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ChartPorts(RegistryPorts, KindPorts):
    """Draw the chart of an episode, with limits of its model. `zone`: time zone of the plant, for
    times in messages."""

    scores: Scores
    zone: tzinfo = UTC


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DeliveryPorts(ChartPorts, MutingPorts):
    """Make and deliver notifications."""

    notifications: MongoNotifications
    platform_alerts: PlatformAlerts
    clock: Clock
    reports: Reports
    documents: Documents = NOT_EDITED
    links: Links | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class OperatorPorts(MutingPorts):
    """Act on episodes, also by signed links."""

    feedback: FeedbackLog
    misses: Misses
    links: Links | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class EvaluationPorts(PlanPorts, RegistryPorts, KindPorts, MutingPorts, IngestionPorts):
    """Evaluate targets, live, late and past."""

    checkpoints: Checkpoints
    scores: Scores
    past_evaluations: PastEvaluations
    trainings: Trainings


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TrainingPorts(PlanPorts, RegistryPorts, EpisodePorts, LabelPorts):
    """Train models, compare them and put them in service."""

    derived_features: DerivedFeatureStore
    trainings: Trainings
    misses: Misses
    limits: TrainingLimits = UNLIMITED


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SandboxPorts(TrainingPorts, EvaluationPorts, MaterialPorts):
    """Train and evaluate, and measure the load that it would be."""

    budget: AlarmBudget = NO_GATE


class InMemory(Protocol):
    """Makes platforms with empty stores in memory."""

    def __call__(self, *, backfilled: bool = False) -> SandboxPorts:
        """Return such a platform. With `backfilled` all its episodes are stored as found in past
        times."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class BacktestPorts(SandboxPorts):
    """Train and evaluate the past in memory, and measure the load that it would have been."""

    backtests: Backtests
    in_memory: InMemory


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ReportPorts(RegistryPorts, MaterialPorts, OutcomePorts):
    """Make and announce reports, and measure the quality of alarms.

    `zone`: time zone of the plant, of its calendar; `language`: of the plant, in which reports are
    said.
    """

    reports: Reports
    routes: DocumentStore
    clock: Clock
    arrivals: Arrivals
    platform_alerts: PlatformAlerts
    audit: Audit
    channels: Mapping[str, Channel]
    budget: AlarmBudget = NO_GATE
    zone: tzinfo = UTC
    language: LanguageCode = "en"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class UpkeepPorts(BacktestPorts, DeliveryPorts, SourcePorts, SinkPorts, SeriesPorts):
    """Do the upkeep between evaluations.

    `retention`: how long documents are stored. `health_limits`: beyond which the platform raises
    alerts about itself. `disks`: the disks on which it stores data; `database`: its server.
    """

    arrivals: MongoArrivals
    labels: MongoLabels
    notifications: MongoNotifications
    sweeps: Sweeps
    retention: Retention = field(default_factory=Retention)
    health_limits: HealthLimits = field(default_factory=HealthLimits)
    disks: Callable[[], Sequence[Disk]] = no_disks
    database: Callable[[], DatabaseState | None] = no_database


def real_time() -> None:
    """Return no speed of a simulated line: times are real."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Platform(UpkeepPorts, OperatorPorts, ReportPorts, AccessPorts):
    """The ports of all use cases, for wiring and callers of use cases; a use case takes a narrower
    group.

    `line_speed`: how many seconds of a simulated line, whose time the clock shows, pass in a
    second; None in real time.
    """

    changes: ChangeFeed
    line_speed: Callable[[], float | None] = real_time
