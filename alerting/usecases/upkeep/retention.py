"""Deletion of what is too old and unused; what people did and decided stays."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from alerting.definitions.assets import Asset, AssetTree
from alerting.definitions.model import ModelDefinition, matching_assets
from alerting.definitions.wording.language import template
from alerting.episodes.episode import Episode
from alerting.ports import (
    Decisions,
    Definitions,
    DeliveryPorts,
    EpisodePorts,
    Models,
    PastEvaluations,
    Swept,
    UpkeepPorts,
)
from alerting.stores.sweeps import Log, Sweeps
from alerting.usecases.alarm_load.budget_gate import check_edited, checked_subjects
from alerting.usecases.definitions.lookup import active
from alerting.usecases.definitions.sync import sync
from alerting.usecases.definitions.targets import current_plan
from alerting.usecases.documents import audit_edits
from alerting.usecases.episodes.outcomes import determine_due_outcomes
from alerting.usecases.evaluation.evaluate import close_orphans
from alerting.usecases.notification.platform_alerts import opening_keys
from alerting.usecases.notification.routes import ROUTES, correct_if_known_late
from alerting.usecases.platform_health.check import check_platform
from alerting.usecases.sinks.documents import SINKS, read_sinks
from alerting.usecases.sources.documents import SOURCES
from alerting.usecases.upkeep.rollups import forget_rollups, roll_up

# readings before a raise that evaluation, explanation or chart may read
_BEFORE_EPISODE = timedelta(days=30)
_EVER = datetime.fromtimestamp(0, UTC)
_AFTER_LATENESS = timedelta(days=1)
_FAR = timedelta(days=3650)  # no outcome is due later
MOST_FAULTS_NAMED = 20
"""Reasons why variables are not rolled up that one run names."""
_LEAST_RETENTION = timedelta(days=1)


def retain(
    platform: UpkeepPorts, as_of: datetime, dry: bool = False, actor: str = "platform"
) -> list[Swept]:
    """Delete what is older than its retention; with `dry` only return how much that is. Idempotent.

    What an open episode, an outcome that is not determined yet or a training period with a date
    reads stays, and everything that late readings could still evaluate again. Of the registry every
    version that was in service stays, with its twin, its runs and its data.
    """
    lasts = platform.retention
    lateness = max(
        (target.allowed_lateness for target in current_plan(platform).targets), default=0
    )
    latest = as_of - timedelta(milliseconds=lateness) - _AFTER_LATENESS  # late readings may need it
    limits = {name: min(as_of - last, latest) for name, last in vars(lasts).items()}
    needed = [
        *platform.episodes.find(open_only=True),
        *platform.episodes.with_due_outcomes(as_of + _FAR),
    ]
    found = [
        *_readings(platform, needed, limits["readings"], dry),
        *_scores(
            platform.definitions,
            platform.past_evaluations,
            platform.sweeps,
            needed,
            limits["scores"],
            dry,
        ),
        _notifications(platform, limits["notifications"], dry),
        *_logs(
            platform.definitions,
            platform.sweeps,
            limits["audit"],
            ("audit", "platform_alerts"),
            dry,
        ),
        *_logs(
            platform.definitions, platform.sweeps, limits["reports"], ("reports", "backtests"), dry
        ),
        *_logs(platform.definitions, platform.sweeps, limits["scores"], ("past_evaluations",), dry),
        *_models(platform.definitions, platform.decisions, platform.models, limits["models"], dry),
    ]
    if not dry:
        for asset in platform.rollups.states():
            forget_rollups(platform, asset)
    totals = _totals(found)
    deleted = {one.what: one.documents for one in totals if one.documents}
    if deleted and not dry:
        before = {"documents": deleted}
        platform.audit.add(actor, template("old documents deleted"), "retention", as_of, before)
    return totals


def _readings(
    platform: UpkeepPorts, needed: Sequence[Episode], before: datetime, dry: bool
) -> Iterable[Swept]:
    """Delete readings asset by asset."""
    limits = _limits(platform, needed, before)
    return [platform.sweeps.readings(asset, limit, dry=dry) for asset, limit in limits.items()]


def _limits(
    platform: EpisodePorts, needed: Sequence[Episode], before: datetime
) -> dict[str, datetime]:
    """Return before when nothing in use reads readings, by asset; at most `before`."""
    assets = platform.assets.all()
    by_name = {asset.name: asset for asset in assets}
    # also of assets that are no longer defined
    names = [*by_name, *platform.readings.newest_readings()]
    limits = dict.fromkeys(names, before)
    read_from = [
        (by_name.get(e.asset, Asset(name=e.asset)), e.raised_at - _BEFORE_EPISODE) for e in needed
    ]
    for revision in active(platform.definitions):
        if (
            isinstance(revision.definition, ModelDefinition)
            and (first := revision.definition.learns_from) is not None
        ):
            read_from += [(asset, first) for asset in matching_assets(revision.definition, assets)]
    tree = AssetTree(assets)
    for asset, first in read_from:
        for above in tree.asset_and_ancestors(asset):
            limits[above.name] = min(limits.get(above.name, before), first)
    return limits


def _scores(
    definitions: Definitions,
    past_evaluations: PastEvaluations,
    sweeps: Sweeps,
    needed: Sequence[Episode],
    before: datetime,
    dry: bool,
) -> Iterable[Swept]:
    """Yield what was deleted; scores of the past stay as long as their record."""
    for revision in definitions.latest_revisions():
        if isinstance(revision.definition, ModelDefinition):
            raised = [e.raised_at for e in needed if e.definition == revision.name]
            evaluated = [
                past.start
                for past in past_evaluations.for_definition(revision.name)
                if past.at >= before
            ]
            yield sweeps.scores(revision.name, min([before, *raised, *evaluated]), dry=dry)


def _notifications(platform: DeliveryPorts, before: datetime, dry: bool) -> Swept:
    """Delete finished notifications, of an episode only long after its end."""
    recent = [alarm.id for alarm in platform.episodes.alarms(before, before, active_from=_EVER)]
    return Swept(
        "notifications",
        platform.notifications.forget(
            before, recent, opening_keys(platform.channels, platform.platform_alerts), dry=dry
        ),
        None,
    )


def _logs(
    definitions: Definitions, sweeps: Sweeps, before: datetime, logs: Sequence[Log], dry: bool
) -> Iterable[Swept]:
    """Delete old records but checks of the budget, which would be made again."""
    keep = checked_subjects(definitions)
    return [
        sweeps.log(log, before, keep if log == "platform_alerts" else (), dry=dry) for log in logs
    ]


def _models(
    definitions: Definitions, decisions: Decisions, models: Models, before: datetime, dry: bool
) -> Iterable[Swept]:
    for revision in definitions.latest_revisions():
        if isinstance(revision.definition, ModelDefinition):
            name = revision.name
            served = {d.challenger_version for d in decisions.for_definition(name) if d.promoted}
            aliases = {
                models.alias(name, alias) for alias in ("champion", "previous", "challenger")
            }
            keep = {version for version in served | aliases if version is not None}
            yield from models.forget(name, keep, before, dry=dry)


def _totals(found: Iterable[Swept]) -> list[Swept]:
    """Return the sums by kind, in the order of their first occurrence."""
    totals: dict[str, Swept] = {}
    for one in found:
        before = totals.get(one.what, Swept(one.what, 0, 0))
        size = None if one.bytes is None or before.bytes is None else before.bytes + one.bytes
        totals[one.what] = Swept(one.what, before.documents + one.documents, size)
    return list(totals.values())


def maintain(platform: UpkeepPorts, as_of: datetime) -> dict[str, Any]:
    """Do the upkeep that is due. Return what it did and found, by name. Idempotent."""
    synced = sync(platform, as_of)
    rolled = roll_up(platform, as_of)  # before the records of arrivals are forgotten
    read_sinks(platform, as_of)  # those written to the database begin
    longest = max((target.allowed_lateness for target in current_plan(platform).targets), default=0)
    return {
        "edited_documents": audit_edits(platform, as_of),
        "new_revisions": [f"{r.name} r{r.number}" for r in synced.new],
        "over_budget": check_edited(platform, as_of),
        "edited_sources": SOURCES.record_edits(platform, as_of),
        "edited_sinks": SINKS.record_edits(platform, as_of),
        "faulty": synced.faulty,
        "closed": close_orphans(platform, as_of),
        "determined": determine_due_outcomes(platform, as_of, correct_if_known_late),
        "rolled_up": rolled.rows,
        "not_rolled_up": sorted(set(rolled.faults))[:MOST_FAULTS_NAMED],
        "forgotten_late": platform.arrivals.forget(
            as_of - max(timedelta(milliseconds=longest), _LEAST_RETENTION)
        ),
        "dead_letters": len(platform.notifications.dead()),
        "faulty_routes": ROUTES.read(platform)[1],
        "faults": [f"{fault.kind}: {fault.subject}" for fault in check_platform(platform, as_of)],
    }
