"""The current evaluation plan: from the cache, or read again from definitions and assets if one of them was written."""

from alerting.definitions.matching import AssetIndex
from alerting.episodes.targets import EvaluationPlan, list_targets
from alerting.ports import Platform
from alerting.usecases.definitions.sync import active, sync


def current_plan(platform: Platform) -> EvaluationPlan:
    """Return all targets of definitions in service. Documents edited since the last time get their revisions first (`sync`)."""
    stored = platform.evaluation_plans.get(platform.evaluation_plans.source_hash())
    if stored is not None:
        return stored
    sync(platform, platform.clock.now())
    written = platform.evaluation_plans.source_hash()
    revisions = active(platform)
    found = EvaluationPlan(tuple(r.name for r in revisions), tuple(list_targets(revisions, AssetIndex(platform.assets.all()))))
    if platform.evaluation_plans.source_hash() == written:  # otherwise a document was written during the read
        platform.evaluation_plans.put(written, found)
    return found
