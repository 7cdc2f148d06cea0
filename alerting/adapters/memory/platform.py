"""A platform whose stores are all in memory."""

from datetime import UTC, datetime

from alerting.adapters.memory.access import (
    MemoryAccessTokens,
    MemoryAccounts,
    MemorySessions,
)
from alerting.adapters.memory.arrivals import MemoryArrivals
from alerting.adapters.memory.definitions import (
    MemoryAssets,
    MemoryDefinitions,
    MemoryDerivedFeatures,
)
from alerting.adapters.memory.episodes import MemoryEpisodes
from alerting.adapters.memory.evaluation import (
    MemoryBacktests,
    MemoryPastEvaluations,
    MemoryReports,
    MemoryScores,
)
from alerting.adapters.memory.labels import MemoryLabels
from alerting.adapters.memory.models import (
    MemoryDecisions,
    MemoryModels,
    MemoryTrainings,
)
from alerting.adapters.memory.notifications import MemoryNotifications
from alerting.adapters.memory.operators import (
    MemoryAudit,
    MemoryFeedback,
    MemoryMisses,
    MemoryMutes,
    MemoryPlatformAlerts,
)
from alerting.adapters.memory.readings import MemoryReadings
from alerting.adapters.memory.rollups import MemoryRollups
from alerting.adapters.memory.sources import MemorySinkDeliveries, MemorySourceDeliveries
from alerting.adapters.memory.states import (
    MemoryCheckpoints,
    MemoryEvaluationPlans,
    MemoryStates,
    MemoryUnitOfWork,
)
from alerting.adapters.memory.tables import MemoryDocumentStore
from alerting.adapters.platform import Platform
from alerting.ports import FixedClock


def memory_platform(*, backfilled: bool = False) -> Platform:
    """Return a platform with empty stores. `backfilled`: episodes are of past times."""
    sources = MemoryDocumentStore()
    deliveries = MemorySourceDeliveries()
    definitions = MemoryDefinitions()
    assets = MemoryAssets(sources)
    readings = MemoryReadings(assets)
    decisions = MemoryDecisions()
    models = MemoryModels()
    return Platform(
        definitions=definitions,
        derived_features=MemoryDerivedFeatures(),
        assets=assets,
        readings=readings,
        reading_writes=readings,
        rollups=MemoryRollups(),
        labels=MemoryLabels(),
        episodes=MemoryEpisodes(backfilled),
        states=MemoryStates(),
        unit_of_work=MemoryUnitOfWork(),
        arrivals=MemoryArrivals(),
        checkpoints=MemoryCheckpoints(),
        evaluation_plans=MemoryEvaluationPlans(definitions, assets, decisions),
        mutes=MemoryMutes(),
        feedback=MemoryFeedback(),
        misses=MemoryMisses(),
        decisions=decisions,
        trainings=MemoryTrainings(),
        models=models,
        runs=models,
        scores=MemoryScores(),
        past_evaluations=MemoryPastEvaluations(),
        reports=MemoryReports(),
        backtests=MemoryBacktests(),
        audit=MemoryAudit(),
        routes=MemoryDocumentStore(),
        sources=sources,
        deliveries=deliveries,
        dead_messages=deliveries,
        stream_processes=deliveries,
        sinks=MemoryDocumentStore(),
        sink_deliveries=MemorySinkDeliveries(),
        notifications=MemoryNotifications(),
        accounts=MemoryAccounts(),
        access_tokens=MemoryAccessTokens(),
        sessions=MemorySessions(),
        platform_alerts=MemoryPlatformAlerts(),
        channels={},
        clock=FixedClock(datetime.now(UTC)),
        in_memory=memory_platform,
    )
