"""Every collection with its indexes, and the validators of documents that people write or that name
a file.

`alerting prepare` creates them.
"""

from collections.abc import Callable
from functools import partial

from pymongo import ASCENDING, DESCENDING, IndexModel

from alerting.adapters.mongo.documents import Document
from alerting.adapters.mongo.file_validators import (
    backtest_file_validator,
    label_validator,
    source_file_validator,
)
from alerting.definitions.assets import Asset, EventType
from alerting.definitions.routes import Route
from alerting.kinds.schema import (
    mongo_model_validator,
    mongo_revision_validator,
    mongo_sink_validator,
    mongo_source_validator,
    mongo_validator,
)

DEFINITIONS = "alert_definitions"
REVISIONS = "definition_revisions"
FAULTS = "definition_faults"
DERIVED_FEATURES = "derived_features"
ASSETS = "assets"
ASSET_REVISIONS = "asset_revisions"
EVENT_TYPES = "event_types"
SOURCES = "sources"
SOURCE_REVISIONS = "source_revisions"
SOURCE_PROGRESS = "source_progress"
SOURCE_FILES = "source_files"
DEAD_MESSAGES = "dead_messages"
DELIVERY_ANSWERS = "delivery_answers"
STREAM_PROCESSES = "stream_processes"
SINKS = "sinks"
SINK_REVISIONS = "sink_revisions"
SINK_PROGRESS = "sink_progress"
SINK_ALARMS = "sink_alarms"
SINK_LETTERS = "sink_letters"
READINGS = "readings"
LABELS = "labels"
ROLLUPS = "rollups"
ROLLUP_STATES = "rollup_states"
EVENTS = "events"
STATES = "evaluation_shards"
EVALUATION_PLANS = "evaluation_plans"
CHECKPOINTS = "evaluation_checkpoints"
ARRIVALS = "late_arrivals"
EVALUATED_UNTIL = "evaluated_until"
REPROCESSING_REQUESTS = "reprocessing_requests"
EPISODES = "episodes"
MUTES = "mutes"
FEEDBACK = "feedback"
DECISIONS = "decisions"
TRAININGS = "trainings"
SCORES = "scores"
PAST_EVALUATIONS = "past_evaluations"
REPORTS = "reports"
AUDIT = "audit"
ROUTES = "routes"
ROUTE_REVISIONS = "route_revisions"
NOTIFICATIONS = "notifications"
ACCOUNTS = "accounts"
ACCESS_TOKENS = "access_tokens"
SESSIONS = "sessions"
WRONG_ATTEMPTS = "wrong_attempts"
PLATFORM_ALERTS = "platform_alerts"
BACKTESTS = "backtests"
BACKTEST_EPISODES = "backtest_episodes"
BACKTEST_FILES = "backtest_files"
CLOCK = "clock"
LINES = "demo_lines"
SCHEMA = "schema"
WRITTEN = "written_documents"
OVER_UNACKNOWLEDGED: Document = {
    "condition": "closed",
    "acknowledged": None,
    "backfilled": False,
    "withdrawn": False,
}
OVER_UNACKNOWLEDGED_INDEX = "over_unacknowledged"
OVER_ON_ASSETS_INDEX = "over_unacknowledged_on_assets"
_A_DAY = 86_400  # s


def _unique(*fields: str, sparse: bool = False) -> IndexModel:
    return IndexModel([(field, ASCENDING) for field in fields], unique=True, sparse=sparse)


def _index_newest(*fields: str, at: str) -> IndexModel:
    return IndexModel(
        [*((field, ASCENDING) for field in fields), (at, DESCENDING), ("_id", DESCENDING)]
    )


INDEXES: dict[str, list[IndexModel]] = {
    DEFINITIONS: [_unique("name")],
    REVISIONS: [_unique("name", "number")],
    ASSETS: [_unique("name")],
    ASSET_REVISIONS: [_unique("name", "number")],
    EVENT_TYPES: [_unique("name")],
    SOURCES: [_unique("name")],
    SOURCE_REVISIONS: [_unique("name", "number")],
    SOURCE_PROGRESS: [],
    DEAD_MESSAGES: [
        IndexModel([("source", ASCENDING), ("at", ASCENDING)]),
        IndexModel([("source", ASCENDING), ("size", ASCENDING)]),
    ],
    SOURCE_FILES: [_unique("source", "path", "size", "sha256")],
    DELIVERY_ANSWERS: [IndexModel([("at", ASCENDING)], expireAfterSeconds=_A_DAY)],
    STREAM_PROCESSES: [IndexModel([("at", ASCENDING)], expireAfterSeconds=_A_DAY)],
    SINKS: [_unique("name")],
    SINK_REVISIONS: [_unique("name", "number")],
    SINK_PROGRESS: [],
    SINK_ALARMS: [
        _unique("sink", "episode"),
        IndexModel([("at", ASCENDING)], expireAfterSeconds=400 * _A_DAY),
    ],
    SINK_LETTERS: [IndexModel([("sink", ASCENDING), ("at", ASCENDING), ("_id", ASCENDING)])],
    READINGS: [_unique("asset", "ts")],
    ROLLUPS: [_unique("asset", "variable", "size", "start")],
    ROLLUP_STATES: [_unique("asset")],
    EVENTS: [
        _unique("asset", "type", "start"),
        IndexModel([("asset", ASCENDING), ("start", ASCENDING), ("type", ASCENDING)]),
        IndexModel([("asset", ASCENDING), ("type", ASCENDING), ("end", ASCENDING)]),
    ],
    STATES: [],
    EVALUATION_PLANS: [],
    CHECKPOINTS: [_unique("definition", "asset", "watermark")],
    ARRIVALS: [
        IndexModel([("waits", ASCENDING)], sparse=True),
        IndexModel([("arrived_at", ASCENDING)]),
        IndexModel([("done_at", ASCENDING)], expireAfterSeconds=60),
    ],
    REPROCESSING_REQUESTS: [],
    EPISODES: [
        IndexModel(
            [("definition", ASCENDING), ("open_key", ASCENDING)],
            unique=True,
            partialFilterExpression={"open_key": {"$exists": True}},
        ),
        _index_newest(at="raised_at"),
        _index_newest("asset", at="raised_at"),
        _index_newest("definition", at="raised_at"),
        _index_newest("definition", "asset", at="raised_at"),
        _index_newest("condition", at="raised_at"),
        _index_newest(at="closed_at"),
        IndexModel([("outcome_due_at", ASCENDING)], sparse=True),
        IndexModel([("muted_by", ASCENDING)]),
        IndexModel(
            [("raised_at", DESCENDING), ("_id", DESCENDING)],
            name=OVER_UNACKNOWLEDGED_INDEX,
            partialFilterExpression=OVER_UNACKNOWLEDGED,
        ),
        IndexModel(
            [("asset", ASCENDING), ("raised_at", DESCENDING), ("_id", DESCENDING)],
            name=OVER_ON_ASSETS_INDEX,
            partialFilterExpression=OVER_UNACKNOWLEDGED,
        ),
    ],
    LABELS: [_index_newest("asset", at="made_at")],
    MUTES: [
        IndexModel([("end", DESCENDING)]),
        IndexModel([("ended_at", ASCENDING), ("since", ASCENDING)]),
    ],
    FEEDBACK: [
        _unique("key"),
        IndexModel([("episode", ASCENDING), ("at", ASCENDING)]),
        IndexModel([("missed_at", ASCENDING), ("definition", ASCENDING)], sparse=True),
    ],
    DECISIONS: [
        _unique("run_key", sparse=True),
        _unique("rank_key", sparse=True),
        IndexModel([("definition", ASCENDING), ("at", ASCENDING)]),
    ],
    TRAININGS: [IndexModel([("definition", ASCENDING), ("started_at", ASCENDING)])],
    SCORES: [_unique("definition", "ts", "asset", "model_version")],
    PAST_EVALUATIONS: [IndexModel([("definition", ASCENDING), ("at", ASCENDING)])],
    REPORTS: [
        _index_newest("definition", at="start"),
        _index_newest(at="start"),
        IndexModel([("period", ASCENDING), ("definition", ASCENDING)], sparse=True),
        IndexModel([("as_of", ASCENDING)], partialFilterExpression={"announced": False}),
    ],
    ROUTES: [_unique("name")],
    ROUTE_REVISIONS: [_unique("name", "number")],
    NOTIFICATIONS: [
        IndexModel(
            [("next_attempt_at", ASCENDING), ("transition", DESCENDING), ("_id", ASCENDING)]
        ),
        IndexModel([("episode", ASCENDING), ("created_at", ASCENDING)]),
        IndexModel([("asset", ASCENDING), ("transition", ASCENDING), ("created_at", ASCENDING)]),
        IndexModel([("status", ASCENDING), ("delivered_at", ASCENDING)]),
        IndexModel([("claim", ASCENDING)], sparse=True),
        IndexModel([("created_at", ASCENDING)]),
    ],
    ACCOUNTS: [IndexModel([("link", ASCENDING)])],
    ACCESS_TOKENS: [IndexModel([("owner", ASCENDING), ("made_at", ASCENDING)])],
    SESSIONS: [
        IndexModel([("ends_at", ASCENDING)], expireAfterSeconds=0),
        IndexModel([("account", ASCENDING), ("began_at", DESCENDING)]),
    ],
    WRONG_ATTEMPTS: [IndexModel([("last", ASCENDING)], expireAfterSeconds=3600)],
    PLATFORM_ALERTS: [
        _unique("open_key", sparse=True),
        IndexModel([("subject", ASCENDING), ("opened_at", ASCENDING)]),
    ],
    BACKTESTS: [_index_newest("definition", at="begun_at")],
    BACKTEST_EPISODES: [_unique("backtest", "id")],
    BACKTEST_FILES: [_unique("backtest", "segment", "name", "piece")],
    AUDIT: [
        _unique("key"),
        *(_index_newest(*fields, at="at") for fields in ((), ("subject",), ("actor",), ("what",))),
    ],
    FAULTS: [],
    DERIVED_FEATURES: [],
    EVALUATED_UNTIL: [],
    CLOCK: [],
    LINES: [],
    SCHEMA: [],
    WRITTEN: [],
}
"""Every collection, with the indexes beside the one on `_id`."""

RETIRED_INDEXES = {
    EPISODES: ["open_key_1"],
    REPROCESSING_REQUESTS: ["definition_1_asset_1"],
}
"""Names of indexes of earlier versions that another one replaces, or none."""

VALIDATORS: dict[str, Callable[[], Document]] = {
    DEFINITIONS: mongo_validator,
    REVISIONS: mongo_revision_validator,
    ASSETS: partial(mongo_model_validator, Asset),
    EVENT_TYPES: partial(mongo_model_validator, EventType),
    ROUTES: partial(mongo_model_validator, Route),
    SOURCES: mongo_source_validator,
    SINKS: mongo_sink_validator,
    SOURCE_FILES: source_file_validator,
    BACKTEST_FILES: backtest_file_validator,
    LABELS: label_validator,
}
"""The function that makes the validator of each collection that people may edit, or whose documents
name a file."""
