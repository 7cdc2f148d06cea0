"""The outside world as the use cases see it: small protocols, implemented by stores, channels and clocks.

Every write is idempotent or a compare-and-set; a method that returns bool says whether this caller made the change.
"""

from alerting.pipelines.ports.definitions import Assets, Definitions, Routes
from alerting.pipelines.ports.documents import Document, Files
from alerting.pipelines.ports.episodes import Episodes, FeedbackLog, Shelves
from alerting.pipelines.ports.evaluation import NOT_KEPT, NoWatchlists, Replay, Replays, Scores, States, Watchlists
from alerting.pipelines.ports.late import Arrival, Arrivals, Checkpoint, Checkpoints, Debt, LatePart
from alerting.pipelines.ports.models import DecisionRecord, Decisions, Models, ModelUnavailable
from alerting.pipelines.ports.notifications import Bulletins, Channel, DeliveryFailed, Link, Links, Message, Picture, Revocations
from alerting.pipelines.ports.platform import UNLIMITED, Clock, Platform, Progress, TrainingLimits, silent
from alerting.pipelines.ports.platform_alerts import Audit, PlatformAlert, PlatformAlerts
from alerting.pipelines.ports.readings import EventRow, ReadingColumns, ReadingRow, Readings, Wanted
from alerting.pipelines.ports.reports import Backtests, Reports

__all__ = [
    "NOT_KEPT",
    "UNLIMITED",
    "Arrival",
    "Arrivals",
    "Assets",
    "Audit",
    "Backtests",
    "Bulletins",
    "Channel",
    "Checkpoint",
    "Checkpoints",
    "Clock",
    "Debt",
    "DecisionRecord",
    "Decisions",
    "Definitions",
    "DeliveryFailed",
    "Document",
    "Episodes",
    "EventRow",
    "FeedbackLog",
    "Files",
    "LatePart",
    "Link",
    "Links",
    "Message",
    "ModelUnavailable",
    "Models",
    "NoWatchlists",
    "Picture",
    "Platform",
    "PlatformAlert",
    "PlatformAlerts",
    "Progress",
    "ReadingColumns",
    "ReadingRow",
    "Readings",
    "Replay",
    "Replays",
    "Reports",
    "Revocations",
    "Routes",
    "Scores",
    "Shelves",
    "States",
    "TrainingLimits",
    "Wanted",
    "Watchlists",
    "silent",
]
