"""Table of the features that left the platform, each with its replacement: for hints of refused
documents, the upgrade page, and the first start with an existing home."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True)
class Removed:
    """A removed feature. `sort`: kind of sink, field, setting, command, collection and so on;
    `name`: as people wrote it, with * for any text; the name of a field begins with its document:
    `sink.match.severity`, `asset.variables.*.unit`."""

    sort: str
    name: str
    instead: str


_PACKAGE = "or a package that adds the kind (docs/extending.md)"
_COMMANDS = (
    ("definition export", "alerting show [NAMES]"),
    ("definition retire", "the definition's page, or state: retired in its file"),
    ("source check", "alerting check FILES"),
    ("source apply", "alerting apply FILES"),
    ("source list", "alerting list sources"),
    ("source show", "alerting show NAME"),
    ("source test", "alerting try NAME"),
    ("source read", "alerting read NAME"),
    ("source backfill", "alerting read NAME --again"),
    ("source dead", "alerting list dead"),
    ("source retry", "alerting retry NAME"),
    ("source replay", "alerting replay"),
    ("source *", "the source's page, or its state in its file"),
    ("sink check", "alerting check FILES"),
    ("sink apply", "alerting apply FILES"),
    ("sink list", "alerting list sinks"),
    ("sink show", "alerting show NAME"),
    ("sink test", "alerting try NAME"),
    ("sink dead-letters", "alerting list dead"),
    ("sink retry", "alerting retry NAME"),
    ("sink *", "the sink's page, or its state in its file"),
    ("route check", "alerting check FILES"),
    ("route apply", "alerting apply FILES"),
    ("route list", "alerting list routes"),
    ("route test", "alerting try NAME"),
    ("route remove", "the page Routes"),
    ("notification dead-letters", "alerting list dead"),
    ("notification retry", "alerting retry notifications"),
    (
        "notification revoke-links",
        "a new secrets/feedback_link_key (docs/notifications.md)",
    ),
    ("access person link", "alerting access person add NAME"),
    ("access person *", "the page Access"),
    ("access device", "the page Access"),
    ("access token", "the pages Access and Account"),
    ("access audit", "the page Audit"),
    ("access certificate", "openssl (docs/install.md)"),
    ("episode", "the alarm's page"),
    ("feedback", "the alarm's page"),
    ("miss", "the page of the definition"),
    ("shelf", "the page Now"),
    ("suppression", "the page Suppressed"),
    ("kpi", "the page Quality"),
    (
        "asset relations",
        "write `relations` of the asset by hand (docs/recommendations.md)",
    ),
    ("model reject", "alerting model approve RUN --reject REASON"),
    ("late-data", "alerting why; `latency` of a variable waits for late readings"),
    ("retain", "Airflow does it every night"),
    ("model repeat", "alerting train NAME --as-of TIME --again, without a time_budget"),
)
_MUTES = "/api/v1/mutes, of an asset and a definition or of a part; a silence is of the kind plain"
_PLANTS = "run an installation for each plant; its time zone and language are settings"
REMOVED_IN_0_2_0 = (
    *(Removed("command", name, instead) for name, instead in _COMMANDS),
    *(
        Removed("setting", f"ALERTING_{name}", instead)
        for name, instead in (
            (
                "ALARM_FLOOD*",
                "a flood: more than 10 alarms in 10 minutes",
            ),
            ("ALARM_GATE_DAYS", "seven days are evaluated"),
            ("DISK_LEAST", "5 GiB"),
            ("NEW_*", "declare more with alerting import assets"),
            ("NOTIFICATIONS_LAST", "90 days; while it is set, they stay"),
            ("PREDICTIONS_LAST", "14 days; while it is set, they stay"),
            ("AIRFLOW_LAST", "30 days"),
            ("LINKS_LAST", "24 hours"),
            ("SHARED_HOME", "nothing: no part asks whether the others have the same home"),
        )
    ),
    Removed("address", "/api?subject=…", "the page /api, which searches all operations"),
    *(
        Removed("option", name, instead)
        for name, instead in (
            ("report --plant", "the page Plant"),
            ("report --id", "the page Reports"),
            ("report --list", "the page Reports"),
            ("--in-plant", _PLANTS),
        )
    ),
    Removed(
        "collection",
        "link_revocations",
        "a new secrets/feedback_link_key ends all links (docs/notifications.md)",
    ),
    *(
        Removed("kind of sink", name, f"use kind mqtt or webhook, {_PACKAGE}")
        for name in ("amqp", "kafka", "nats", "redis", "alertmanager")
    ),
    *(
        Removed("kind of source", name, f"use kind mqtt or amqp, {_PACKAGE}")
        for name in ("kafka", "nats", "redis")
    ),
    Removed("kind of sink", "parquet", f"use kind sql, {_PACKAGE}"),
    Removed(
        "field",
        "definition.by",
        "of a control chart: one definition a product, on a computed variable; or kind: anomaly "
        "with by",
    ),
    Removed("champion", "a blend of several families", "train again"),
    Removed("family", "xgboost", "use lightgbm and train again, or a package that adds the family"),
    Removed("figure", "calibration slope, calibration intercept", "the diagram of scores as risks"),
    Removed("DAG", "drift", "the task verify of the DAG retain checks drift once a day"),
    Removed(
        "collection", "drift_checks", "drop it: what moved is said by the alert of the platform"
    ),
    Removed("alert", "model worse than promoted", "see the report: at its promotion, and now"),
    Removed("page", "/trends/scatter", "open both variables as lanes of /trends"),
    Removed("page", "/trends/alarms", "open the trend of each alarm"),
    Removed("kind of sink", "opcua_alarms", f"use kind webhook, mqtt or sql, {_PACKAGE}"),
    Removed(
        "collection",
        "archived_files",
        "its readings are read no more: run 0.1.x on this home, and bring them back by its command "
        "`archive restore ASSET --from MONTH --until MONTH`; or keep the Parquet files",
    ),
    Removed("command", "archive", "use ALERTING_READINGS_LAST, and `alerting export`"),
    Removed("setting", "ALERTING_ARCHIVE", "use ALERTING_READINGS_LAST, and `alerting export`"),
    Removed(
        "setting",
        "ALERTING_ARCHIVE_AFTER",
        "readings stay for ten years while it is set: say by ALERTING_READINGS_LAST how long they "
        "are to stay, and remove it",
    ),
    Removed("setting", "ALERTING_ARCHIVE_LAST", "use ALERTING_READINGS_LAST"),
    Removed("collection", "handovers", "nothing signs a hand-over; its notes stand in the log"),
    Removed("page", "/handover/earlier", "open /handover and step back by shift"),
    *(
        Removed("operation", name, "open the page /handover, or send it as a mail")
        for name in ("/api/v1/handover", "/api/v1/handovers", "/api/v1/handover/*")
    ),
    *(
        Removed("operation", name, "show_predict_job, by the id that order_predict_job answers")
        for name in ("list_predict_jobs", "cancel_predict_job")
    ),
    *(
        Removed("setting", name, "send the file itself to order_predict_job, at most 1 GiB")
        for name in ("ALERTING_PREDICTIONS_FROM", "ALERTING_PREDICTIONS_TO")
    ),
    Removed("collection", "predict_jobs", "order jobs that were not done again"),
    Removed(
        "option",
        "replay --loop, --shift-to-now, --from, --until",
        "each row has the time at which it is sent: cut the file, and repeat the command",
    ),
    Removed("argument", "replay ASSETS", "replay a file: alerting export makes one"),
    *(
        Removed("setting", name, "the page Plant shows the newest report on each definition")
        for name in ("ALERTING_REPORT_PERIOD", "ALERTING_REPORT_RECIPIENTS")
    ),
    Removed("report", "on the plant", "the page Plant; stored ones stay on the page Reports"),
    *(
        Removed("operation", name, "the page Plant, and the metrics of each report")
        for name in ("/api/v1/plant", "/api/v1/plant/proposals/*")
    ),
    Removed("parameter", "/api/v1/kpi?by=", "positions are in each answer; lines and shifts left"),
    Removed(
        "key", "/api/v1/kpi: advice", "the budget gate proposes limits when a change is checked"
    ),
    Removed("key", "/api/v1/kpi: muted", "GET /api/v1/mutes"),
    *(Removed("operation", f"/api/v1/{name}", _MUTES) for name in ("shelves", "silences")),
    *(
        Removed("collection", name, "`alerting prepare` makes mutes of its documents, and drops it")
        for name in ("shelves", "silences")
    ),
    *(
        Removed("key", name, "it is called mutes")
        for name in ("/api/v1/episodes/*/state: shelves", "/api/v1/live: shelves")
    ),
    *(
        Removed("key", name, "it is called muted")
        for name in ("/api/v1/now: silenced", "/api/v1/why: shelved", "scenario: shelved")
    ),
    Removed("message", "Mute ends soon", "what is open at the end of a mute is told at once"),
    Removed("page", "/silences", "the page Mutes"),
    Removed(
        "column", "evaluations.late_times, late_s, missed", "the page Platform: its faults say it"
    ),
    Removed(
        "setting",
        "ALERTING_BACKUP*",
        "run `alerting backup` from a timer (docs/day-to-day.md), and encrypt its folder; a backup "
        "with encrypted secrets is restored by the version that made it",
    ),
    Removed("DAG", "backup", "run `alerting backup` from a timer (docs/day-to-day.md)"),
    Removed("metric", "alerting_backup_proven_age_seconds, alerting_backup_bytes", "try a restore"),
    Removed("deployment", "Kubernetes manifests", "use Compose (docs/scaling.md)"),
    Removed(
        "setting",
        "ALERTING_POSTGRES_HOST",
        "set AIRFLOW__DATABASE__SQL_ALCHEMY_CONN and MLFLOW_BACKEND_STORE_URI",
    ),
    Removed("executor", "background:", "start a Celery worker of the queue background"),
    *(
        Removed("module", f"alerting.client.{name}", "use alerting.client")
        for name in ("shapes", "calls", "errors")
    ),
    Removed("call", "client.iterate_*()", 'use client.iterate("list_…")'),
    *(
        Removed("setting", name, "give it as an argument of alerting.client.Client")
        for name in ("ALERTING_ADDRESS", "ALERTING_TOKEN")
    ),
    Removed(
        "setting",
        "ALERTING_APPRISE_*",
        "use ALERTING_WEBHOOK_, ALERTING_SLACK_, ALERTING_TEAMS_, ALERTING_NTFY_ or "
        "ALERTING_EMAIL_<NAME>; a webhook reaches a gateway of Apprise",
    ),
    Removed(
        "section of a report",
        "inputs against the training, estimate without outcomes, scores by size",
        "the daily check of drift, on the page of the model",
    ),
    Removed(
        "file of a run",
        "precision_recall.png, precision_recall.json, comparison.png",
        "threshold.png, and the table of the run's description",
    ),
    Removed(
        "figure", "precision against recall over rows", "the average precision, and its interval"
    ),
    Removed(
        "field of a training in the API",
        "step, step_number, steps, verdict, summary, run, page",
        "the page of the model, and the decisions of show_models",
    ),
    Removed(
        "section of a report",
        "samples of doubtful quality, how soon alerts were known",
        "the findings of a training, and the page Platform",
    ),
    Removed(
        "finding of a training",
        "irregular sampling, samples of uncertain quality",
        "both are used like all others",
    ),
    Removed("section of a report", "another limit that was tried", "the preview of a definition"),
    Removed(
        "module",
        "alerting.learning.models.families.checks",
        "train with the family, and compare the page of its model",
    ),
    Removed(
        "file of a run", "shap_bar.png, trials.png", "importance.png, and the search's metrics"
    ),
    Removed("line of `alerting up`", "First alert: …", "the page Now, and the channel log"),
    Removed(
        "revision of a report",
        "by itself after late answers or data, with its differences",
        "`alerting report NAME --period PERIOD` makes a new report beside the first",
    ),
    Removed("field of a report in the API", "revision, differences", "the newest by `at`"),
    Removed("page", "/install", "put a bookmark on the home screen"),
    Removed("operation", "/api/v1/imports", "use the page /import, alerting import, or a source"),
    Removed("option", "import readings --strict", "read what the import says of its cells first"),
    Removed("collection", "import_jobs", "drop it: imports in the browser live in its server now"),
    Removed(
        "setting",
        "ALERTING_OIDC",
        "put a proxy that signs people in before the console, and set ALERTING_DIRECTORY "
        "(docs/directory.md); remove the accounts of the provider first: no other user gets them",
    ),
    Removed("page", "/login/directory", "a proxy signs people in (docs/directory.md)"),
    Removed("page", "/wall", "open / on the screen: it fills a large one"),
    Removed("field", "asset.plant", _PLANTS),
    Removed("field", "route.match.plants", "name the assets in match.assets"),
    Removed(
        "field",
        "account.scope",
        "the account is disabled until an administrator enables it; its role then holds for all "
        "assets",
    ),
    Removed("field", "token.scope", "the token is over; make one of an account with a lesser role"),
    Removed("parameter", "?in_plant=", _PLANTS),
)


def find_removed(sort: str, name: str) -> Removed | None:
    """Return the removed feature of this name; None if there is none."""
    return next((r for r in REMOVED_IN_0_2_0 if r.sort == sort and fnmatchcase(name, r.name)), None)


def removal_hint(sort: str, name: str) -> str:
    """Return what replaces the removed feature of this name; empty if there is none."""
    removed = find_removed(sort, name)
    return "" if removed is None else f"left in 0.2.0: {removed.instead}"


def removed_parts(
    word: str, documents: Iterable[Mapping[str, Any]], kinds: Collection[str]
) -> Iterator[str]:
    """Yield, for people, each part of stored documents that is a removed feature. `word`: what the
    documents are; `kinds`: the existing kinds, because a package may bring a removed one back."""
    sort = f"kind of {word}"
    entries = [
        removed
        for removed in REMOVED_IN_0_2_0
        if (removed.sort == sort and removed.name not in kinds)
        or (removed.sort == "field" and removed.name.startswith(f"{word}."))
    ]
    for document in documents if entries else ():
        title = f"{word} {document.get('name', document.get('_id'))}"
        for removed in entries:
            if removed.sort == "field":
                names = [*_written(document, removed.name.split(".")[1:])]
            else:
                names = [removed.name] if document.get("kind") == removed.name else []
            for name in names:
                yield f"{title}: the {removed.sort} {name} left in 0.2.0: {removed.instead}"


def removed_names(sort: str, names: Iterable[str]) -> Iterator[str]:
    """Yield, for people, each of these names of collections or settings that is a removed
    feature."""
    for name in names:
        removed = find_removed(sort, name)
        if removed is not None:
            yield f"the {sort} {name} left in 0.2.0: {removed.instead}"


def _written(document: Mapping[str, Any], path: Sequence[str]) -> Iterator[str]:
    """Yield the fields of a document that match a path, in which * stands for any name."""
    first, *below = path
    for name in document if first == "*" else {first} & document.keys():
        if document[name] in (None, [], ()):
            continue  # as it was stored where nobody had written it
        if not below:
            yield name
        elif isinstance(document[name], Mapping):
            yield from (f"{name}.{field}" for field in _written(document[name], below))
