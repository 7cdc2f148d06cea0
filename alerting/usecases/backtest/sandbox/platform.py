"""The in-memory platform: its memory, and views of it at an instant."""

from dataclasses import dataclass
from datetime import datetime

from alerting.definitions.model import Revision
from alerting.ports import NO_EVALUATION_PLANS, Definitions, Episodes, Platform
from alerting.usecases.backtest.sandbox.empty_ports import (
    NoAudit,
    NoCheckpoints,
    NoPastEvaluations,
    NoPlatformAlerts,
    NoReports,
    NoRevocations,
    NoRoutes,
    NoSessions,
    NoShelves,
    NothingLate,
)
from alerting.usecases.backtest.sandbox.live_views import (
    LiveEpisodesUntil,
    OneDefinition,
    PointInTimeAssets,
    PointInTimeFeedback,
    ReadingsUntil,
)
from alerting.usecases.backtest.sandbox.memory_episodes import MemoryEpisodes
from alerting.usecases.backtest.sandbox.memory_evaluation import MemoryScores, MemoryStates, NoTransactions
from alerting.usecases.backtest.sandbox.memory_models import MemoryDecisions, MemoryModels
from alerting.usecases.backtest.sandbox.null_notifications import NoNotifications


@dataclass(frozen=True)
class Status:
    """Port `Clock` with a fixed time."""

    instant: datetime

    def now(self) -> datetime:
        return self.instant


class Sandbox:
    """The memory of an in-memory platform with one definition, and views of it at an instant."""

    def __init__(self, live: Platform, revision: Revision) -> None:
        self._live, self._revision = live, revision
        self.episodes, self.states, self.decisions = MemoryEpisodes(), MemoryStates(), MemoryDecisions()
        self.models, self.scores = MemoryModels(), MemoryScores()

    def live_view(self, at: datetime) -> Platform:
        """Return the platform for an evaluation at an instant. No later data can be read."""
        return self._at(at, self.episodes, OneDefinition(self._revision))

    def training(self, at: datetime) -> Platform:
        """Return the platform for a training at an instant, with the earlier live episodes and their feedback."""
        definitions = OneDefinition(self._revision, self._live.definitions.revisions(self._revision.name))
        return self._at(at, LiveEpisodesUntil(self._live.episodes, at), definitions)

    def _at(self, at: datetime, episodes: Episodes, definitions: Definitions) -> Platform:
        return Platform(
            definitions=definitions,
            assets=PointInTimeAssets(self._live.assets),
            readings=ReadingsUntil(self._live.readings, at),
            episodes=episodes,
            states=self.states,
            unit_of_work=NoTransactions(),
            arrivals=NothingLate(),
            checkpoints=NoCheckpoints(),
            evaluation_plans=NO_EVALUATION_PLANS,
            shelves=NoShelves(),
            feedback=PointInTimeFeedback(self._live.feedback),
            decisions=self.decisions,
            models=self.models,
            scores=self.scores,
            past_evaluations=NoPastEvaluations(),
            reports=NoReports(),
            backtests=self._live.backtests,
            audit=NoAudit(),
            routes=NoRoutes(),
            notifications=NoNotifications(),
            revocations=NoRevocations(),
            ended_sessions=NoSessions(),
            platform_alerts=NoPlatformAlerts(),
            channels={},
            clock=Status(at),
            limits=self._live.limits,
            budget=self._live.budget,
        )
