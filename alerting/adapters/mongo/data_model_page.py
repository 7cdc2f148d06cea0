"""The data model page: every collection with its key, indexes, writers, growth and retention, made from `INDEXES`."""

from typing import NamedTuple

from pymongo import IndexModel

from alerting.adapters.mongo.indexes import INDEXES

FOR_EVER = "without limit"
_INTRODUCTION = """# Data model

Made from `alerting/adapters/mongo/indexes.py` by `make docs`; the descriptions are in `data_model_page.py` beside it.
Do not edit.

All documents are in one MongoDB database. Rules that hold for every collection:

- Instants are UTC dates in whole milliseconds; durations are whole milliseconds. `adapters/mongo/documents.py` converts
  both.
- Every write waits for the journal of the majority of the replica set (`adapters/mongo/mongo.py`, `connect`).
- Collections, indexes and validators are created by `alerting prepare`, which `alerting up` and `docker compose up` run first
  (`adapters/mongo/prepare.py`). Creating them again changes nothing. Opening the platform creates nothing: it reads one
  document, and refuses a database that another version has prepared.
- A validator is generated from the model that reads the document (`alerting/kinds/schema.py`). The server refuses a
  malformed document, also one that is written with `mongosh`. A document that is faulty all the same is left out when it is
  read, with a platform alert, and does not affect any other document.
- *Retention* says what the platform deletes by itself. "For ever" means: the platform never deletes it; archive or delete it
  with MongoDB's own tools if the disk requires it.
"""
_READINGS_NOTE = """
One more index is created when a model that needs it is put into service: `newest_<variable>` of `readings`, on `asset` and
descending `ts`, for the readings that have the variable. It finds a value that is [carried forward](variables.md)
(`adapters/mongo/readings/newest.py`). Without it the search is slower.
"""


class Description(NamedTuple):
    """Description of a collection for people, besides its indexes."""

    contents: str
    key: str
    writers: str
    growth: str
    retention: str
    has_validator: bool = False


COLLECTIONS: dict[str, dict[str, Description]] = {
    "Definitions": {
        "alert_definitions": Description(
            "the current document of one alert definition",
            "`name`",
            "`usecases/definitions/sync.py` (`alerting apply`, `alerting definition retire`); people, with any MongoDB client",
            "with definitions",
            f"{FOR_EVER}; a retired definition stays",
            has_validator=True,
        ),
        "definition_revisions": Description(
            "one immutable revision of a definition, with hash, author, time and reason",
            "`name`, `number`",
            "`usecases/definitions/sync.py`",
            "one per change of a definition",
            FOR_EVER,
            has_validator=True,
        ),
        "definition_faults": Description(
            "the faults of one current document",
            "`_id` (the name)",
            "`usecases/definitions/sync.py`",
            "with faulty definitions",
            "until the document is valid again",
        ),
        "assets": Description(
            "one asset, with its parent, attributes and variables",
            "`name`",
            "`usecases/ingestion/` (`alerting import`); `demo/seed.py`; people",
            "with assets",
            FOR_EVER,
            has_validator=True,
        ),
        "event_types": Description(
            "one event type: instant or lasting",
            "`name`",
            "`usecases/ingestion/`; `demo/seed.py`; people",
            "with event types",
            FOR_EVER,
            has_validator=True,
        ),
        "routes": Description(
            "one route: matching alerts, times and channels",
            "`name`",
            "`usecases/notification/routes.py` (`alerting route`); people",
            "with routes",
            "until it is removed",
            has_validator=True,
        ),
    },
    "Readings and events": {
        "readings": Description(
            "the values of one asset at one instant: `v` by variable, `q` where a sample is not good, `arrived_at`",
            "`asset`, `ts`",
            "`usecases/ingestion/tables.py`; the demo line",
            "fastest of all: one per asset and instant",
            FOR_EVER,
        ),
        "events": Description(
            "one event of an asset, with end and attributes",
            "`asset`, `type`, `start`",
            "`usecases/ingestion/tables.py`; the demo line",
            "one per event",
            FOR_EVER,
        ),
        "late_arrivals": Description(
            "one delivery of readings or events: assets, variables and first and last instant, whether it is written and routed",
            "`_id`",
            "`adapters/mongo/readings/arrivals.py` around every write of readings; `usecases/ingestion/late_routing.py`",
            "one per late delivery; that of a delivery in time is deleted at once",
            "`maintain` deletes routed ones that are older than every `allowed_lateness` and than a day",
        ),
    },
    "State of evaluation": {
        "evaluation_plans": Description(
            "a part (20,000 targets) of the list of all targets with their limits as numbers, and a hash of its sources",
            "`_id` (number of the part)",
            "`usecases/definitions/targets.py`",
            "with targets",
            "replaced when a definition, asset or event type changes",
        ),
        "evaluation_shards": Description(
            "watermark and condition state of the targets of one cadence and a sixteenth of the definitions, as columns, with a "
            "`version`",
            "`_id` (hash of the definition's name, cadence in ms)",
            "`usecases/evaluation/commit.py`, in one transaction with the episodes that changed",
            "16 documents for each cadence, which grow with targets",
            f"{FOR_EVER}; also of targets out of service",
        ),
        "evaluation_checkpoints": Description(
            "the condition state of one target at an earlier watermark, from which late data can be evaluated",
            "`definition`, `asset`, `watermark`",
            "`usecases/evaluation/reprocess.py`",
            "at most about 48 per target (one per 1/48 of `allowed_lateness`)",
            "deleted when reprocessing can no longer begin there",
        ),
        "evaluated_until": Description(
            "one document: the instant up to which an evaluation has begun to read (`up_to`)",
            "`_id`",
            "`usecases/evaluation/reprocess.py`",
            "none",
            FOR_EVER,
        ),
        "reprocessing_requests": Description(
            "the request to evaluate one target again from an instant",
            "`definition`, `asset`",
            "`usecases/ingestion/late_routing.py`",
            "with targets that have late data",
            "until the target has been evaluated again",
        ),
        "scores": Description(
            "the score of one model version for one asset at one instant, its threshold, and the score of the twin in shadow",
            "`definition`, `ts`, `asset`, `model_version`",
            "`usecases/evaluation/target.py`",
            "one per trained target and stride",
            FOR_EVER,
        ),
        "past_evaluations": Description(
            "that a past interval of one target was evaluated, and under which revision and model version",
            "`_id`",
            "`usecases/evaluation/evaluate.py` (`evaluate_past`)",
            "one per past evaluation, asset and version",
            FOR_EVER,
        ),
    },
    "Decisions of training": {
        "decisions": Description(
            "a promotion decision with evidence and reason; beside them, with `files_of`, the hashes of registered model files",
            "`_id`; a run decides once, a promotion number is given once",
            "`usecases/training/promote.py`, `usecases/registry/registration.py`",
            "one per training and rollback, one per registered model",
            FOR_EVER,
        ),
    },
    "Episodes and operators": {
        "episodes": Description(
            "one episode: evidence, transitions, feedback and outcome, with a `version`",
            "`_id` (hash of definition, asset, `raised_at`)",
            "`usecases/evaluation/commit.py`, `persist_past.py`; `usecases/episodes/`, `operators/` and "
            "`notification/` through `usecases/episodes/store.py` and `changes.py`",
            "one per episode; the document grows with its transitions",
            FOR_EVER,
        ),
        "shelves": Description(
            "one shelf or out-of-service of a definition on an asset",
            "`_id`",
            "`usecases/operators/operate.py`, `usecases/notification/muting.py`",
            "one per shelf",
            f"{FOR_EVER}; ended ones too",
        ),
        "feedback": Description(
            "one answer of an operator to an episode; append-only",
            "`key` (hash of the content, or of the link)",
            "`usecases/operators/feedback.py`",
            "one per answer",
            FOR_EVER,
        ),
        "notifications": Description(
            "one message to one recipient, with the state of its delivery: of an episode, a shelf, or with a text of its own "
            "(flood summary, digest, heartbeat, platform alert, test message)",
            "`_id` (`episode:transition:channel`, or names its subject)",
            "`usecases/evaluation/commit.py` with the episode; `usecases/notification/`",
            "one per message",
            "`ALERTING_NOTIFICATIONS_LAST` after it was made, by the maintenance; longer while its episode is open",
        ),
        "link_revocations": Description(
            "the instant up to which links of an episode, a recipient or all are refused",
            "`episode`, `recipient`",
            "`usecases/operators/links.py`",
            "one per revocation",
            FOR_EVER,
        ),
        "ended_sessions": Description(
            "one session of the console that was logged out",
            "`_id` (the session)",
            "`console/access.py`",
            "one per log-out",
            "until the session would have expired; deleted at the next log-out",
        ),
        "audit": Description(
            "one action: actor, object, instant and reason; append-only",
            "`key` (hash of the entry)",
            "every use case that changes something for a person",
            "one per action",
            FOR_EVER,
        ),
    },
    "Reports": {
        "platform_alerts": Description(
            "one fault of the platform itself, open or resolved",
            "`_id`; one open alert of a kind and subject",
            "`usecases/definitions/platform_alerts.py`, `usecases/operations/alarm_budget.py`",
            "one per fault",
            FOR_EVER,
        ),
        "reports": Description(
            "the performance report of one definition and period: figures and page",
            "`_id` (hash of definition and period)",
            "`usecases/operations/report.py`",
            "one per definition and period",
            f"{FOR_EVER}; a new one of the same period replaces it",
        ),
        "backtests": Description(
            "one backtest: arguments, segments, results",
            "`_id` (hash of the arguments)",
            "`usecases/backtest/backtest.py`",
            "one per backtest",
            f"{FOR_EVER}; `--fresh` replaces it",
        ),
        "backtest_episodes": Description(
            "one episode that a backtest would have raised",
            "`backtest`, `id`",
            "`usecases/backtest/backtest.py`",
            "with backtests",
            "as its backtest",
        ),
        "backtest_files": Description(
            "a piece (8 MiB) of a file: the page of a finished backtest, the models of an unfinished one",
            "`backtest`, `segment`, `name`, `piece`",
            "`usecases/backtest/backtest.py`",
            "with backtests",
            "models until the backtest is finished, the page as its backtest",
        ),
    },
    "The database itself": {
        "schema": Description(
            "one document: a hash of all collections, validators and indexes, and the version that made them",
            "`_id`",
            "`adapters/mongo/prepare.py` (`alerting prepare`)",
            "none",
            FOR_EVER,
        ),
    },
    "The demo line": {
        "clock": Description(
            "one document: base, speed and lease of the demo's clock", "`_id`", "`demo/run.py`", "none", FOR_EVER
        ),
        "demo_lines": Description(
            "the state of one simulated asset and the set-points requested of it, with a `version`",
            "`_id` (the asset)",
            "`demo/advance.py`, `demo/set_points.py`",
            "none",
            FOR_EVER,
        ),
    },
}


def data_model_page() -> str:
    """Return the page as Markdown: content, writers, growth, retention and indexes of each collection."""
    parts = [_INTRODUCTION]
    for title, collections in COLLECTIONS.items():
        rows = [_row(name, described) for name, described in collections.items()]
        head = "| collection | one document is | key | written by | grows | retention |\n|---|---|---|---|---|---|"
        parts.append("\n".join([f"## {title}", "", head, *rows, ""]))
    return "\n".join([*parts, _indexes()])


def _row(name: str, described: Description) -> str:
    validator = "<br>(validator)" if described.has_validator else ""
    return f"| `{name}`{validator} | {' | '.join(described[:5])} |"


def _indexes() -> str:
    lines = ["## Indexes", "", "Beside the one on `_id` that every collection has.", ""]
    lines += ["| collection | fields | kind |", "|---|---|---|"]
    for collection, indexes in INDEXES.items():
        lines += [f"| `{collection}` | {fields_of(index)} | {_kind(index)} |" for index in indexes]
    return "\n".join([*lines, _READINGS_NOTE])


def fields_of(index: IndexModel) -> str:
    """Return the fields of an index in order, with ↓ behind those that descend."""
    return ", ".join(f"`{name}`{' ↓' if direction < 0 else ''}" for name, direction in index.document["key"].items())


def _kind(index: IndexModel) -> str:
    document = index.document
    kinds = [word for word in ("unique", "sparse") if document.get(word)]
    if "partialFilterExpression" in document:
        kinds.append(f"partial, `{document['name']}`: " + ", ".join(f"`{name}`" for name in document["partialFilterExpression"]))
    return ", ".join(kinds)
