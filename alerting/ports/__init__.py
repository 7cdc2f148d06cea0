"""The ports of the use cases: small protocols, implemented by stores, channels and clocks.

Every write is idempotent or a compare-and-set; a method that returns bool returns whether this
caller made the change.
"""

from alerting.ports.access import AccessTokens, Accounts, Sessions
from alerting.ports.definitions import (
    NOT_EDITED,
    Assets,
    Dags,
    Definitions,
    DerivedFeatureStore,
    Document,
    DocumentEdit,
    Documents,
    FaultyDocument,
    Files,
    NoDocuments,
    Routes,
)
from alerting.ports.episodes import Episodes, FeedbackLog, Misses, Shelves
from alerting.ports.evaluation import (
    EvaluationPlans,
    JobFiles,
    JobState,
    PastEvaluation,
    PastEvaluations,
    Predicted,
    PredictJob,
    PredictJobs,
    Score,
    ScoredFile,
    Scores,
    States,
    TargetScores,
)
from alerting.ports.late import (
    Arrival,
    Arrivals,
    Checkpoint,
    Checkpoints,
    LatePart,
    ReprocessingRequest,
    Unfinished,
)
from alerting.ports.models import (
    MOST_MODEL_BYTES,
    DecisionRecord,
    Decisions,
    ModelFileCache,
    ModelRegistry,
    Models,
    ModelUnavailable,
    RunState,
    Training,
    TrainingRuns,
    Trainings,
)
from alerting.ports.notifications import (
    Channel,
    DeliveryFailed,
    Links,
    Message,
    MessageLink,
    Notifications,
    Picture,
    Revocations,
)
from alerting.ports.platform_alerts import (
    AUDIT_ORIGIN,
    Audit,
    AuditEntry,
    AuditFilter,
    DatabaseState,
    Disk,
    PlatformAlert,
    PlatformAlerts,
)
from alerting.ports.readings import (
    ArchiveAway,
    EventRow,
    NewestReading,
    ReadingBatch,
    ReadingColumns,
    ReadingKey,
    ReadingRow,
    Readings,
    ReadingWrites,
    Rollups,
    SampleColumn,
    Wanted,
)
from alerting.ports.reports import Backtests, ReportContent, ReportHead, Reports
from alerting.ports.sources import (
    MOST_IN_FUTURE,
    DeadMessage,
    DeadMessages,
    Declarations,
    Delivered,
    DeliveryCount,
    FileMark,
    Record,
    RecordReader,
    Records,
    SourceDeliveries,
    SourceLoss,
    SourceProgress,
    SourceRevision,
    Sources,
    StreamProcess,
    StreamProcesses,
)
from alerting.ports.sweeps import Archive, ArchivedFile, Sweeps, Swept
from alerting.ports.unit_of_work import Conflict, Unit, UnitOfWork
from alerting.ports.use_cases import (
    UNLIMITED,
    AccessPorts,
    BacktestPorts,
    ChartPorts,
    Clock,
    DefinitionPorts,
    DeliveryPorts,
    EpisodePorts,
    EvaluationPorts,
    FixedClock,
    IngestionPorts,
    InMemory,
    KindPorts,
    MaterialPorts,
    MutingPorts,
    OperatorPorts,
    OutcomePorts,
    PlanPorts,
    PlantPorts,
    Progress,
    RegistryPorts,
    ReportPorts,
    RoutePorts,
    SeriesPorts,
    SourcePorts,
    TrainingLimits,
    TrainingPorts,
    UpkeepPorts,
    WritePorts,
    silent,
)
