"""Every collection with its indexes; `alerting prepare` creates them."""

from pymongo import ASCENDING, DESCENDING, IndexModel

from alerting.readings.history import FIRST_INSTANT
from alerting.stores.database.documents import (
    ACCESS_TOKENS,
    ACCOUNTS,
    ARRIVALS,
    ASSET_REVISIONS,
    ASSETS,
    AUDIT,
    BACKTEST_EPISODES,
    BACKTEST_FILES,
    BACKTESTS,
    CHECKPOINTS,
    CLOCK,
    DEAD_MESSAGES,
    DECISIONS,
    DEFINITIONS,
    DELIVERY_ANSWERS,
    DERIVED_FEATURES,
    EPISODES,
    EVALUATED_UNTIL,
    EVALUATION_PLANS,
    EVENT_TYPES,
    EVENTS,
    FAULTS,
    FEEDBACK,
    FILE_FORMS,
    LABELS,
    LINES,
    MUTES,
    NOTIFICATIONS,
    OVER_ON_ASSETS_INDEX,
    OVER_UNACKNOWLEDGED_INDEX,
    PAST_EVALUATIONS,
    PLATFORM_ALERTS,
    READINGS,
    REPORTS,
    REPROCESSING_REQUESTS,
    REVISIONS,
    ROLLUP_STATES,
    ROLLUPS,
    ROUTE_REVISIONS,
    ROUTES,
    SCHEMA,
    SCORES,
    SESSIONS,
    SINK_ALARMS,
    SINK_LETTERS,
    SINK_PROGRESS,
    SINK_REVISIONS,
    SINKS,
    SOURCE_FILES,
    SOURCE_PROGRESS,
    SOURCE_REVISIONS,
    SOURCES,
    STATES,
    TRAININGS,
    WRITTEN,
    WRONG_ATTEMPTS,
    Document,
)
from alerting.stores.database.transactions_and_leases import LEASES

OVER_UNACKNOWLEDGED: Document = {
    "condition": "closed",
    "acknowledged": None,
    "backfilled": False,
    "withdrawn": False,
}
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
    FILE_FORMS: [],
    DELIVERY_ANSWERS: [IndexModel([("at", ASCENDING)], expireAfterSeconds=_A_DAY)],
    LEASES: [IndexModel([("at", ASCENDING)], expireAfterSeconds=_A_DAY)],
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
        IndexModel([("status", ASCENDING), ("channel", ASCENDING), ("delivered_at", ASCENDING)]),
        # what is undelivered alone: sent messages have no such instant
        IndexModel(
            [("status", ASCENDING), ("channel", ASCENDING), ("failed_at", ASCENDING)],
            partialFilterExpression={"failed_at": {"$gt": FIRST_INSTANT}},
        ),
        IndexModel(
            [("severity", ASCENDING), ("failed_at", ASCENDING)],
            partialFilterExpression={"failed_at": {"$gt": FIRST_INSTANT}},
        ),
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
