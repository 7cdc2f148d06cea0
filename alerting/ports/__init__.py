"""The ports of the use cases: small protocols, implemented by stores, channels and clocks.

Every write is idempotent or a compare-and-set; a method that returns bool returns whether this caller made the change.
"""

from alerting.ports.definitions import (
    NOT_EDITED,
    Assets,
    Definitions,
    DerivedFeatureStore,
    Documents,
    FaultyDocument,
    NoDocuments,
    Routes,
)
from alerting.ports.documents import Document, Files
from alerting.ports.episodes import Episodes, FeedbackLog, Shelves
from alerting.ports.evaluation import (
    NO_EVALUATION_PLANS,
    EvaluationPlans,
    NoEvaluationPlans,
    PastEvaluation,
    PastEvaluations,
    Score,
    Scores,
    States,
)
from alerting.ports.late import Arrival, Arrivals, Checkpoint, Checkpoints, LatePart, ReprocessingRequest, Unfinished
from alerting.ports.models import MOST_MODEL_BYTES, DecisionRecord, Decisions, ModelFileCache, Models, ModelUnavailable, RunState
from alerting.ports.notifications import (
    Channel,
    DeliveryFailed,
    EndedSessions,
    Link,
    Links,
    Message,
    Notifications,
    Picture,
    Revocations,
)
from alerting.ports.platform import UNLIMITED, Clock, InMemory, Platform, Progress, TrainingLimits, silent
from alerting.ports.platform_alerts import Audit, PlatformAlert, PlatformAlerts
from alerting.ports.reading_batches import ReadingBatch, SampleColumn
from alerting.ports.readings import EventRow, ReadingColumns, ReadingRow, Readings, Wanted
from alerting.ports.reports import Backtests, Reports
from alerting.ports.unit_of_work import Conflict, Unit, UnitOfWork
