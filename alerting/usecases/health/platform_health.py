"""Health of the platform: gather facts and metrics, and raise or resolve its alerts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import starmap

from alerting.definitions.alert_definition import (
    AssetIndex,
    ModelDefinition,
    Revision,
    evaluation_dag,
)
from alerting.definitions.faults import format_duration
from alerting.definitions.fields.names_and_times import length
from alerting.definitions.platform_limits import HealthLimits
from alerting.definitions.wording.language import (
    Styled,
    Value,
    join_first,
    template,
    translatable,
    translatable_count,
)
from alerting.episodes.evaluation_plan import EvaluationTarget
from alerting.notifications.channel_faults import ChannelFacts, why_failing
from alerting.notifications.notification import UNDELIVERED_FOR
from alerting.ports import (
    ClockDifference,
    DecisionRecord,
    Declarations,
    Disk,
    Models,
    ModelUnavailable,
    PlanPorts,
    States,
    Training,
    UpkeepPorts,
    no_difference,
)
from alerting.readings.history import NO_TIME, to_millis
from alerting.readings.variable_series import SKEW
from alerting.stores.database.transactions_and_leases import CONSOLE, STREAM
from alerting.usecases.access.accounts import newest_backups
from alerting.usecases.definitions.faults_and_platform_alerts import (
    CLOCK,
    EVALUATION,
    FAILING,
    record_faults,
)
from alerting.usecases.definitions.revisions_and_evaluation_plan import (
    answering_revisions,
    list_targets,
    source_hash_of,
)
from alerting.usecases.health.scheduled_tasks import (
    SCHEDULED_KINDS,
    TASK,
    SchedulerState,
    find_stopped,
)
from alerting.usecases.health.stopped_parts import (
    BACKUP,
    MOST_NAMED,
    PART,
    PARTS,
    UNKNOWN,
    PlatformFault,
    find_overdue,
    find_stopped_parts,
    find_unknown,
    find_wrong_clocks,
    read_parts,
    subjects_checked,
    unknown_channels,
)
from alerting.usecases.notification.routing import channel_subject
from alerting.usecases.sink_delivery import SinkStatus, sink_statuses
from alerting.usecases.sources.declaration_bounds import spoken
from alerting.usecases.sources.status import (
    AssetFreshness,
    SourceStatus,
    asset_freshness,
    source_statuses,
)
from alerting.usecases.training.due import ABANDONED_AFTER, newest_trainings

LATE = template("evaluation late")
STALE = template("source stale")
STOPPED = template("source stopped")
LOST = template("values lost")
SURPLUS = template("declarations refused")
BEHIND = template("sink behind")
FAILED = template("training failed")
REFUSED = template("promotion refused")
DISK = template("disk filling")
REGISTRY = template("registry away")
# The kinds of platform alerts that these facts raise and resolve.
KINDS = (
    *(LATE, STALE, STOPPED, LOST, SURPLUS, FAILING, BEHIND, FAILED, REFUSED, DISK, REGISTRY),
    *(CLOCK, PART, BACKUP, UNKNOWN, *SCHEDULED_KINDS),
)
# The maintenance alone checks these: MLflow's client takes memory, and it delivers by its channels.
OF_MAINTENANCE = (REGISTRY, UNKNOWN)
REFUSALS = 3
_SAMPLINGS = 5  # times its usual interval without a reading
_RESOLVED_ABOVE = 1.1  # of the limit, so that a disk at its limit raises one alert
_LOST_FOR = timedelta(days=1)  # after the last loss of a source
# An alert lasts so long after the last row that was refused because it would declare too much.
_SURPLUS_FOR = timedelta(days=1)


AskScheduler = Callable[[Collection[str]], SchedulerState]
"""Asks Airflow about itself, and about these DAGs, of which a run failed before."""


@dataclass(frozen=True)
class PlatformFacts:
    """Facts at one instant.

    `lags`: of the most overdue definitions. `trainings`: the newest training of the present
    question of each definition; `decisions`: its last `REFUSALS`, oldest first. `declarations`: of
    each source or sender. `channels`: of those with undelivered messages; `configured`: the
    channels with settings. `registry_fault`: why the registry of models does not answer. `clock`:
    of this machine. `parts`: the time since the last sign of life of each part that should run,
    None without any of the last day. `backups`: the last two, the newest first, in real time.
    `unknown_channels`: by route or definition that names them. `is_open`: kind and subject of open
    platform alerts. `streamed`: sources that the stream service reads.
    """

    lags: Mapping[str, DefinitionLag]
    readings: Sequence[AssetFreshness] = ()
    trainings: Sequence[Training] = ()
    decisions: Mapping[str, Sequence[DecisionRecord]] = field(default_factory=dict)
    disks: Sequence[Disk] = ()
    registry_fault: str | None = None
    sources: Sequence[SourceStatus] = ()
    sinks: Sequence[SinkStatus] = ()
    channels: Sequence[ChannelFacts] = ()
    configured: Collection[str] = ()
    declarations: Mapping[str, Declarations] = field(default_factory=dict)
    clock: ClockDifference = field(default_factory=no_difference)
    parts: Mapping[str, timedelta | None] = field(default_factory=dict)
    backups: Sequence[datetime] = ()
    unknown_channels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    is_open: frozenset[tuple[str, str]] = frozenset()
    scheduler: SchedulerState = field(default_factory=SchedulerState)
    streamed: Collection[str] = ()


def platform_conditions(
    facts: PlatformFacts, limits: HealthLimits, now: datetime
) -> list[PlatformFault]:
    """Return the faults of the platform at `now`; a fault that is absent is over."""
    fault = facts.registry_fault
    return [
        *_find_late(facts.lags, limits.evaluation_late, now),
        *_find_stale(facts.readings, limits.source_stale, now),
        *_silent(facts.sources, now),
        *_find_stopped(facts.sources),
        *_find_lost(facts.sources, now),
        *_find_surplus(facts.declarations, now),
        *_find_failing(facts, now),
        *_find_behind(facts.sinks, now),
        *_find_failed(facts.trainings, now),
        *_find_refused(facts.decisions),
        *_find_filling(facts, limits.disk_least),
        *find_wrong_clocks(
            facts.clock, [lag.lag for lag in facts.lags.values() if lag.is_in_future], now
        ),
        *find_stopped_parts(facts.parts),
        *find_overdue(facts.backups, facts.clock.now or now),
        *find_unknown(facts.unknown_channels),
        *([PlatformFault(REGISTRY, "MLflow", fault)] if fault else []),
        *starmap(PlatformFault, find_stopped(facts.scheduler, facts.streamed)),
    ]


def _find_late(
    lags: Mapping[str, DefinitionLag], late: timedelta, now: datetime
) -> Iterator[PlatformFault]:
    """Yield a fault for each cadence with late definitions: one DAG evaluates them."""
    overdue = defaultdict[timedelta, list[str]](list)
    for name, lag in sorted(lags.items(), key=lambda item: (-item[1].lag, item[0])):
        if lag.lag > lag.every + late and not lag.is_in_future:
            overdue[lag.every].append(name)
    for every, names in overdue.items():
        yield PlatformFault(
            LATE,
            evaluation_dag(format_duration(every)),
            translatable(
                "{names} not evaluated since {since}; none of these alarms can come meanwhile; see "
                "this DAG in Airflow",
                names=join_first(names, MOST_NAMED),
                since=now - lags[names[0]].lag,
            ),
        )


def _find_stale(
    readings: Sequence[AssetFreshness], stale: timedelta, now: datetime
) -> Iterator[PlatformFault]:
    """Yield a fault for each line no longer read live; an imported history is not live."""
    stopped = defaultdict[str, list[AssetFreshness]](list)
    for freshness in sorted(readings, key=lambda f: (f.newest.ts, f.asset)):
        longest = max(stale, _SAMPLINGS * (freshness.sampling or timedelta(0)))
        was_live = freshness.newest.arrived_at - freshness.newest.ts <= longest
        if was_live and now - freshness.newest.ts - length(freshness.at_rest) > longest:
            stopped[freshness.line].append(freshness)
    for line, of_line in stopped.items():
        why = translatable(
            "no reading of {assets} since {since}, so no alarm can come; check its source",
            assets=join_first([freshness.asset for freshness in of_line], MOST_NAMED),
            since=of_line[0].newest.ts,
        )
        yield PlatformFault(STALE, line, why)


def _silent(sources: Sequence[SourceStatus], now: datetime) -> Iterator[PlatformFault]:
    for source in sources:
        if source.is_stale:
            since = now - source.silent
            why = (
                translatable(
                    "no row of this source since {since}: {fault}", since=since, fault=source.fault
                )
                if source.fault
                else translatable(
                    "no row of this source since {since}; its page shows its last and refused rows",
                    since=since,
                )
            )
            yield PlatformFault(STALE, f"source {source.name}", why)


def _find_stopped(sources: Sequence[SourceStatus]) -> Iterator[PlatformFault]:
    for source in sources:
        if source.is_stopped:
            yield PlatformFault(
                STOPPED,
                f"source {source.name}",
                source.fault or translatable("paused: too many messages could not be stored"),
            )


def _find_lost(sources: Sequence[SourceStatus], now: datetime) -> Iterator[PlatformFault]:
    """Yield one fault for each source that lost values for ever within the last day."""
    for source in sources:
        if source.lost_at is not None and now - source.lost_at < _LOST_FOR:
            values: dict[str, Value] = {
                "fault": source.last_lost or "",
                "number": Styled(source.lost, "count"),
            }
            why = (
                translatable("values are lost ({number} so far): {fault}", **values)
                if source.lost
                else translatable("values are lost: {fault}", **values)
            )
            yield PlatformFault(LOST, f"source {source.name}", why)


def _find_failing(facts: PlatformFacts, now: datetime) -> Iterator[PlatformFault]:
    """Yield one fault for each channel that refuses messages, or delivers none for long."""
    for channel in facts.channels:
        subject = channel_subject(channel.name)
        is_open = (FAILING, subject) in facts.is_open
        why = why_failing(channel, channel.name in facts.configured, is_open, now)
        if why is not None:
            yield PlatformFault(FAILING, subject, why)


def _find_behind(sinks: Sequence[SinkStatus], now: datetime) -> Iterator[PlatformFault]:
    """Yield one fault for each sink that stands still, or has messages that were refused."""
    for sink in sinks:
        subject = f"sink {sink.name}"
        if sink.is_stale:
            why = sink.fault or translatable("no stream service runs that delivers it")
            yield PlatformFault(
                BEHIND,
                subject,
                translatable(
                    "nothing has gone out since {since}: {why}", since=now - sink.lag, why=why
                ),
            )
        elif sink.letters:
            yield PlatformFault(
                BEHIND,
                subject,
                translatable_count(
                    "its receiver refused {number} message",
                    "its receiver refused {number} messages",
                    sink.letters,
                ),
            )


def _find_surplus(
    declarations: Mapping[str, Declarations], now: datetime
) -> Iterator[PlatformFault]:
    """Yield one fault for each sender that tried to declare too much within a day."""
    for name, declared in declarations.items():
        if declared.surplus_at is not None and now - declared.surplus_at < _SURPLUS_FOR:
            yield PlatformFault(
                SURPLUS,
                spoken(name),
                translatable(
                    "rows are refused, for example: {fault}", fault=declared.surplus or ""
                ),
            )


def _find_failed(trainings: Sequence[Training], now: datetime) -> Iterator[PlatformFault]:
    for training in trainings:
        if training.failure is not None:
            yield PlatformFault(FAILED, training.definition, training.failure)
        elif training.ended_at is None and now - training.started_at > ABANDONED_AFTER:
            why = translatable(
                "the training that began at {began} has not ended", began=training.started_at
            )
            yield PlatformFault(FAILED, training.definition, why)


def is_refused(decision: DecisionRecord) -> bool:
    """Return whether a decision put no model into service, challenger or refit."""
    return decision.verdict in ("keep", "cannot_tell", "no_challenger", "rejected", "stale")


def _find_refused(decisions: Mapping[str, Sequence[DecisionRecord]]) -> Iterator[PlatformFault]:
    for name, made in decisions.items():
        if len(made) >= REFUSALS and all(map(is_refused, made)):
            why = translatable(
                "the last {number} trainings put no model into service: {why}",
                number=REFUSALS,
                why=made[-1].reason,
            )
            yield PlatformFault(REFUSED, name, why)


def _find_filling(facts: PlatformFacts, least: int) -> Iterator[PlatformFault]:
    for disk in facts.disks:
        if disk.free < least * (_RESOLVED_ABOVE if (DISK, disk.name) in facts.is_open else 1.0):
            why = translatable(
                "less than {free} free: free some space, or shorten the retention ({command})",
                free=Styled(least / (1 << 30), ".1f GiB"),
                command="ALERTING_READINGS_LAST",
            )
            yield PlatformFault(DISK, disk.name, why)


def check_platform(
    platform: UpkeepPorts,
    now: datetime,
    inventory: Inventory | None = None,
    *,
    asks_registry: bool = True,
    checked_parts: Collection[str] = PARTS.keys(),
    ask_scheduler: AskScheduler | None = None,
) -> list[PlatformFault]:
    """Raise an alert for each fault found now, resolve the alerts on faults that are over, and
    return the faults. Show that this part of the platform runs.

    `inventory`: the inventory, if it was read already. `asks_registry`: whether to ask the registry
    of models if it answers; otherwise an alert about it stays as it is. The maintenance asks it,
    the console does not. So do alerts about what Airflow runs, if it does not answer
    `ask_scheduler`, or without that. `checked_parts`: parts whose sign of life is looked for.
    """
    if not asks_registry:
        platform.leases.claim(CONSOLE, CONSOLE)
    inventory = inventory or read_inventory(platform)
    facts = read_facts(
        platform,
        now,
        inventory,
        asks_registry=asks_registry,
        checked_parts=checked_parts,
        ask_scheduler=ask_scheduler,
    )
    faults = platform_conditions(facts, platform.health_limits, now)
    if any(fault.subject == EVALUATION for fault in faults) or (CLOCK, EVALUATION) in facts.is_open:
        platform.sweeps.bring_back(now)
    is_checked = subjects_checked(platform.platform_alerts, facts.clock.machine, checked_parts, now)
    unasked = {*SCHEDULED_KINDS} - {*(facts.scheduler.kinds if ask_scheduler else ())}
    unasked |= set() if asks_registry else {*OF_MAINTENANCE}
    for kind in KINDS:
        if kind not in unasked:
            current = {fault.subject: fault.reason for fault in faults if fault.kind == kind}
            may_end = is_checked.get(kind, lambda _: True)
            record_faults(platform.platform_alerts, kind, current, now, may_end)
    return faults


def read_facts(
    platform: UpkeepPorts,
    now: datetime,
    inventory: Inventory | None = None,
    *,
    asks_registry: bool = True,
    checked_parts: Collection[str] = PARTS.keys(),
    ask_scheduler: AskScheduler | None = None,
) -> PlatformFacts:
    """Return the facts about the platform at `now`. Writes nothing."""
    is_open = frozenset((alert.kind, alert.subject) for alert in platform.platform_alerts.open())
    service = platform.leases.find(STREAM)
    inventory = inventory or read_inventory(platform)
    by_model = [r for r in inventory.active if isinstance(r.definition, ModelDefinition)]
    trained = [r.name for r in by_model]
    return PlatformFacts(
        lags=measure_lags(platform.states, inventory.targets, now)[0],
        readings=asset_freshness(
            platform,
            inventory.targets,
            {r.name: r.definition.suppression for r in inventory.active},
            now,
        ),
        trainings=[*newest_trainings(platform.trainings, by_model).values()],
        decisions=platform.decisions.newest_decisions(trained, REFUSALS) if trained else {},
        disks=platform.disks(),
        sources=source_statuses(platform, now),
        sinks=sink_statuses(platform, now),
        channels=platform.notifications.channel_facts(now - UNDELIVERED_FOR),
        configured=platform.channels.keys(),
        declarations=platform.deliveries.declarations(),
        registry_fault=_registry_fault(platform.models, trained) if asks_registry else None,
        clock=platform.clock_difference(),
        parts=read_parts(platform, checked_parts, is_open),
        backups=newest_backups(platform.audit),
        unknown_channels=unknown_channels(platform, inventory.active) if asks_registry else {},
        is_open=is_open,
        scheduler=(
            ask_scheduler({subject for kind, subject in is_open if kind == TASK})
            if ask_scheduler
            else SchedulerState()
        ),
        streamed=service.reads if service else (),
    )


def _registry_fault(models: Models, trained: Sequence[str]) -> str | None:
    """Return why the registry does not answer, if a definition in service needs it."""
    if not trained:
        return None
    try:
        models.aliases(trained[0])
    except ModelUnavailable as fault:
        return str(fault)
    return None


# Number of definitions, and of assets, with an own label: the most overdue ones, and those with the
# oldest newest reading.
LABELLED = 50
_ZERO = timedelta(0)


@dataclass(frozen=True)
class Inventory:
    """Definitions by state, the newest revisions of definitions in service, and all targets.
    `written`: the last write that changed them."""

    written: str
    states: Mapping[str, int]
    active: tuple[Revision, ...]
    targets: tuple[EvaluationTarget, ...]


@dataclass(frozen=True)
class DefinitionLag:
    """A definition's lag: the largest lag of its assets, and its interval of evaluation.

    `is_in_future`: it was evaluated, or applied, beyond now by `lag`, under a clock that was ahead.
    """

    lag: timedelta
    every: timedelta
    is_in_future: bool = False


def read_inventory(platform: PlanPorts, before: Inventory | None = None) -> Inventory:
    """Return definitions by state and all targets; `before` if nothing was written since."""
    written = source_hash_of(platform)
    if before is not None and written and before.written == written:
        return before
    revisions = platform.definitions.latest_revisions()
    active = tuple(r for r in revisions if r.definition.state == "active")
    plan = platform.evaluation_plans.get(written)
    if plan is not None:
        targets = plan.targets
    else:
        pairs = answering_revisions(platform.definitions, platform.decisions, active)
        targets = tuple(list_targets(pairs, AssetIndex(platform.assets.all()), platform.latency))
    return Inventory(written, Counter(r.definition.state for r in revisions), active, targets)


def measure_lags(
    states: States, targets: Iterable[EvaluationTarget], now: datetime
) -> tuple[dict[str, DefinitionLag], timedelta, int]:
    """Return the most overdue lags, the worst, and targets that were never evaluated."""
    of_all = list(targets)
    watermarks = states.watermarks([target.key for target in of_all])
    overdue: dict[str, timedelta] = {}
    lags: dict[str, DefinitionLag] = {}
    instant = to_millis(now)
    for target, watermark in zip(of_all, watermarks, strict=True):
        lag = timedelta(
            milliseconds=instant - (target.since if watermark == NO_TIME else watermark)
        )
        is_in_future = lag < -SKEW
        lag = abs(lag) if is_in_future else max(lag, _ZERO)
        every = timedelta(milliseconds=target.every)
        beyond = max(lag - every - timedelta(milliseconds=target.latency), _ZERO)
        overdue[target.definition] = max(beyond, overdue.get(target.definition, _ZERO))
        largest = lags.get(target.definition)
        if largest is None or lag > largest.lag:
            lags[target.definition] = DefinitionLag(lag, every, is_in_future)
    named = sorted(lags, key=lambda name: (-overdue[name], -lags[name].lag, name))[:LABELLED]
    return (
        {name: lags[name] for name in named},
        max(overdue.values(), default=_ZERO),
        watermarks.count(NO_TIME),
    )
