"""Upkeep between evaluations: outcomes, edits, orphaned episodes, platform alerts."""

from datetime import datetime, timedelta
from typing import Any

from alerting.ports import EvaluationPorts, UpkeepPorts
from alerting.usecases.alarm_load.budget_gate import check_edited
from alerting.usecases.definitions.sync import sync
from alerting.usecases.definitions.targets import current_plan
from alerting.usecases.documents import audit_edits
from alerting.usecases.episodes.outcomes import determine_due_outcomes
from alerting.usecases.evaluation.orphans import close_orphans
from alerting.usecases.notification.routes import ROUTES, correct_if_known_late
from alerting.usecases.platform_health.check import check_platform
from alerting.usecases.sinks.documents import SINKS, read_sinks
from alerting.usecases.sources.documents import SOURCES
from alerting.usecases.upkeep.rollups import roll_up

MOST_FAULTS_NAMED = 20
"""Reasons why variables are not rolled up that one run names."""
_LEAST_RETENTION = timedelta(days=1)


def maintain(platform: UpkeepPorts, as_of: datetime) -> dict[str, Any]:
    """Do the upkeep that is due. Return what it did and found, by name. Idempotent."""
    synced = sync(platform, as_of)
    rolled = roll_up(platform, as_of)  # before the records of arrivals are forgotten
    read_sinks(platform, as_of)  # those written to the database begin
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
        "forgotten_late": forget_late(platform, as_of),
        "dead_letters": len(platform.notifications.dead()),
        "faulty_routes": ROUTES.read(platform)[1],
        "faults": [f"{fault.kind}: {fault.subject}" for fault in check_platform(platform, as_of)],
    }


def forget_late(platform: EvaluationPorts, as_of: datetime) -> int:
    """Remove arrival records that nothing would reprocess; return how many."""
    longest = max((target.allowed_lateness for target in current_plan(platform).targets), default=0)
    return platform.arrivals.forget(as_of - max(timedelta(milliseconds=longest), _LEAST_RETENTION))
