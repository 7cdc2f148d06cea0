"""What is watched now: the kept list where nothing was written since, else read anew from definitions and assets."""

from alerting.definitions.matching import AssetIndex
from alerting.episodes.targets import EvaluationPlan, watches
from alerting.ports import Platform
from alerting.usecases.definitions.sync import active, sync


def current_plan(platform: Platform) -> EvaluationPlan:
    """Every definition in service with its assets. What people wrote since the last time is taken up first, as `sync` does."""
    kept = platform.evaluation_plans.get(platform.evaluation_plans.written())
    if kept is not None:
        return kept
    sync(platform, platform.clock.now())
    written = platform.evaluation_plans.written()
    revisions = active(platform)
    found = EvaluationPlan(tuple(r.name for r in revisions), tuple(watches(revisions, AssetIndex(platform.assets.all()))))
    if platform.evaluation_plans.written() == written:  # else somebody wrote while we read
        platform.evaluation_plans.put(written, found)
    return found
