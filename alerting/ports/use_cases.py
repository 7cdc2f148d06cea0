"""The ports of each group of use cases, from the narrowest group to the widest; and the logs of use
cases.

A use case takes the narrowest group with the ports that it and its callees use. A test makes a
group with these ports alone; `Platform` has all ports. A store with a single implementation is
named by its class, which is imported for types alone. Groups cannot be compared or printed, because
generating those methods would take time at the start of each process.

Logs are standard logging, with the ids of the objects that a line is about.
`with log_context(run=...)` adds its ids to every line that is logged within; a call adds its own:
`log.info("episode raised", definition=..., asset=...)`. The ids end the message, so that they are
also in a log with another format (a task of Airflow), and are fields where lines are JSON.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from alerting.definitions.asset_documents import USUAL_LATENCY
from alerting.definitions.platform_limits import (
    NO_GATE,
    AlarmBudget,
    DeclarationLimits,
    HealthLimits,
    Retention,
)
from alerting.definitions.wording.clean_text import clean_line
from alerting.definitions.wording.language import LanguageCode
from alerting.ports.episodes import (
    Audit,
    ClockDifference,
    DatabaseState,
    Disk,
    Episodes,
    Misses,
    Mutes,
    PlatformAlerts,
    no_database,
    no_difference,
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
from alerting.ports.models_and_reports import (
    NO_MODEL_FILE_CACHE,
    UNLIMITED,
    Decisions,
    ModelFileCache,
    Models,
    TrainingLimits,
    TrainingRuns,
    Trainings,
)
from alerting.ports.notifications_and_sources import Channel, Links, Notifications
from alerting.ports.plant import (
    NOT_EDITED,
    Assets,
    Definitions,
    DerivedFeatureStore,
    Documents,
    DocumentStore,
    IntervalLabels,
    Readings,
    ReadingWrites,
)

if TYPE_CHECKING:
    from alerting.stores.database.sweeps import Sweeps
    from alerting.stores.database.transactions_and_leases import Leases
    from alerting.stores.deliveries_and_changes import (
        ChangeFeed,
        DeadMessages,
        SinkDeliveries,
        SinkFeed,
        SourceDeliveries,
    )
    from alerting.stores.episodes import MongoNotifications
    from alerting.stores.file_forms import FileForms
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
    """Port `Clock` with a time that never changes."""

    instant: datetime

    def now(self) -> datetime:
        return self.instant


class Progress(Protocol):
    """Report the progress of a long job to a waiting person."""

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
    """Find the mutes in force at a time, and the events that ended mutes."""

    mutes: Mutes


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LabelPorts(MutePorts):
    """Label times of assets, and read readings with these labels."""

    labels: IntervalLabels


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DefinitionPorts:
    """Check, apply and read definitions. `zone`: time zone of the plant, for clock times that name
    no zone, and for times in answers to people."""

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
    """Register and load models. `model_key`: key of the hashes of model files, if other systems can
    write into the registry; else empty."""

    models: Models
    runs: TrainingRuns
    decisions: Decisions
    model_key: bytes = field(default=b"", repr=False)
    model_file_cache: ModelFileCache = NO_MODEL_FILE_CACHE


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class EpisodePorts(MutePorts):
    """Read episodes, and what suppressed them. `inhibiting`: ports in which other alerts are found,
    if not in `definitions` and `episodes`."""

    definitions: Definitions
    episodes: Episodes
    inhibiting: EpisodePorts | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SeriesPorts(EpisodePorts, LabelPorts):
    """Read series of readings, also from rollups, and what trends show beside them."""

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
    """Apply sources, and store what they deliver. `zone`: time zone of the plant, for stamps that
    name no zone."""

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
    """Apply routes, and choose recipients. `language` and `zone`: those of the plant, for messages
    and for hours of routes that name none."""

    routes: DocumentStore
    channels: Mapping[str, Channel]
    audit: Audit
    language: LanguageCode = "en"
    zone: tzinfo = UTC


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MutingPorts(OutcomePorts, RoutePorts):
    """Mute episodes, and notify once of episodes that are still open afterwards."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ChartPorts(RegistryPorts, KindPorts):
    """Draw the chart of an episode, with the limits of its model. `zone`: time zone of the plant,
    for times in messages."""

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

    accounts: Accounts
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
    """Train and evaluate, and measure the alarm load that would follow."""

    budget: AlarmBudget = NO_GATE


class InMemory(Protocol):
    """Makes platforms with empty stores in memory."""

    def __call__(self, *, backfilled: bool = False) -> SandboxPorts:
        """Return a platform with empty stores in memory. `backfilled`: store all its episodes as
        found in past times."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class BacktestPorts(SandboxPorts):
    """Train and evaluate the past in memory, and measure the alarm load that would have
    followed."""

    backtests: Backtests
    in_memory: InMemory


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ReportPorts(RegistryPorts, MaterialPorts, OutcomePorts):
    """Make and announce reports, and measure the quality of alarms.

    `zone`: time zone of the plant and its calendar; `language`: the plant's language, in which
    reports are written.
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

    `retention`: how long documents are stored. `health_limits`: limits beyond which the platform
    raises alerts about itself. `disks`: the disks on which it stores data; `database`: its server.
    `clock_difference`: of the clocks of this machine and of the database.
    """

    arrivals: MongoArrivals
    labels: MongoLabels
    notifications: MongoNotifications
    sweeps: Sweeps
    retention: Retention = field(default_factory=Retention)
    health_limits: HealthLimits = field(default_factory=HealthLimits)
    disks: Callable[[], Sequence[Disk]] = no_disks
    clock_difference: Callable[[], ClockDifference] = no_difference
    database: Callable[[], DatabaseState | None] = no_database


def real_time() -> None:
    """Return None, as there is no simulated line: times are real."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Platform(UpkeepPorts, OperatorPorts, ReportPorts, AccessPorts):
    """The ports of all use cases, for wiring and callers of use cases; a use case takes a narrower
    group.

    `line_speed`: how many seconds of a simulated line pass in a second of real time, if the clock
    shows the line's time; None for real time.
    """

    changes: ChangeFeed
    file_forms: FileForms
    line_speed: Callable[[], float | None] = real_time


SANDBOX = "sandbox"
"""Id of a sandbox such as a backtest; its log lines have the level debug."""
_LONGEST_ID = 200
_OF_LOGGING = frozenset({"exc_info", "stack_info", "stacklevel", "extra"})
_NO_IDS: Mapping[str, str] = MappingProxyType({})
_ids: ContextVar[Mapping[str, str]] = ContextVar("alerting_log_ids", default=_NO_IDS)


class IdLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose calls take ids as keywords, besides those of the context."""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line; in a sandbox at level debug, unless it is a warning or worse."""
        in_sandbox = level == logging.INFO and SANDBOX in _ids.get()
        super().log(logging.DEBUG if in_sandbox else level, msg, *args, **kwargs)

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Return the message with its ids, and for formatters the message and the ids
        separately."""
        line_ids = {key: value for key, value in kwargs.items() if key not in _OF_LOGGING}
        ids = {**_ids.get(), **_as_text(line_ids)}
        shown = " ".join(f"{key}={value}" for key, value in ids.items()).replace("%", "%%")
        options = {key: value for key, value in kwargs.items() if key in _OF_LOGGING}
        extra = {**(options.get("extra") or {}), "ids": ids, "bare": msg}
        return (f"{msg} [{shown}]" if shown else msg), {**options, "extra": extra}


def id_logger(name: str) -> IdLogger:
    """Return the logger of a module."""
    return IdLogger(logging.getLogger(name), {})


@contextmanager
def log_context(**ids: object) -> Iterator[None]:
    """Add these ids to every line logged within; an id that is None is left out. Also a
    decorator."""
    token = _ids.set({**_ids.get(), **_as_text(ids)})
    try:
        yield
    finally:
        _ids.reset(token)


@contextmanager
def log_run() -> Iterator[None]:
    """Add a new run id to every line logged within, unless the context has one. Also a
    decorator."""
    with log_context(run=_ids.get().get("run") or uuid4().hex[:12]):
        yield


def current_ids() -> Mapping[str, str]:
    """Return the ids of the context."""
    return _ids.get()


def _as_text(ids: Mapping[str, object]) -> dict[str, str]:
    return {
        key: clean_line(str(value))[:_LONGEST_ID] for key, value in ids.items() if value is not None
    }
