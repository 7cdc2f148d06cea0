"""Stores in memory for the sandbox of a backtest."""

from datetime import UTC, datetime

from alerting.adapters.memory.definitions import (
    MemoryAssets,
    MemoryDefinitions,
    MemoryDerivedFeatures,
)
from alerting.adapters.memory.episodes import (
    MemoryAudit,
    MemoryDocumentStore,
    MemoryEpisodes,
    MemoryMisses,
    MemoryMutes,
    MemoryNotifications,
    MemoryPlatformAlerts,
)
from alerting.adapters.memory.models import MemoryDecisions, MemoryModels, MemoryTrainings
from alerting.adapters.memory.readings import MemoryLabels, MemoryReadings
from alerting.adapters.memory.states import (
    MemoryArrivals,
    MemoryCheckpoints,
    MemoryEvaluationPlans,
    MemoryPastEvaluations,
    MemoryScores,
    MemoryStates,
    MemoryUnitOfWork,
)
from alerting.ports import FixedClock, SandboxPorts


def memory_platform(*, backfilled: bool = False) -> SandboxPorts:
    """Return a platform with empty stores. `backfilled`: episodes are of past times."""
    definitions = MemoryDefinitions()
    assets = MemoryAssets()
    readings = MemoryReadings(assets)
    decisions = MemoryDecisions()
    models = MemoryModels()
    return SandboxPorts(
        definitions=definitions,
        derived_features=MemoryDerivedFeatures(),
        assets=assets,
        readings=readings,
        reading_writes=readings,
        labels=MemoryLabels(),
        episodes=MemoryEpisodes(backfilled),
        states=MemoryStates(),
        unit_of_work=MemoryUnitOfWork(),
        arrivals=MemoryArrivals(),
        checkpoints=MemoryCheckpoints(),
        evaluation_plans=MemoryEvaluationPlans(definitions, assets, decisions),
        mutes=MemoryMutes(),
        misses=MemoryMisses(),
        decisions=decisions,
        trainings=MemoryTrainings(),
        models=models,
        runs=models,
        scores=MemoryScores(),
        past_evaluations=MemoryPastEvaluations(),
        audit=MemoryAudit(),
        routes=MemoryDocumentStore(),
        notifications=MemoryNotifications(),
        platform_alerts=MemoryPlatformAlerts(),
        channels={},
        clock=FixedClock(datetime.now(UTC)),
    )
