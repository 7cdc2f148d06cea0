"""Stores in memory for the sandbox of a backtest."""

from datetime import UTC, datetime

from alerting.adapters.memory.episodes import (
    MemoryAudit,
    MemoryDocumentStore,
    MemoryEpisodes,
    MemoryMisses,
    MemoryMutes,
    MemoryNotifications,
    MemoryPlatformAlerts,
)
from alerting.adapters.memory.evaluation import (
    MemoryArrivals,
    MemoryCheckpoints,
    MemoryDecisions,
    MemoryEvaluationPlans,
    MemoryModels,
    MemoryPastEvaluations,
    MemoryScores,
    MemoryStates,
    MemoryTrainings,
    MemoryUnitOfWork,
)
from alerting.adapters.memory.plant import (
    MemoryAssets,
    MemoryDefinitions,
    MemoryDerivedFeatures,
    MemoryLabels,
    MemoryReadings,
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
