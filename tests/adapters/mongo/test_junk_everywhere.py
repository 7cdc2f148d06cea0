"""Six kinds of junk in every collection at once: the platform goes on for everything else."""

import traceback
from contextlib import contextmanager
from functools import partial

import pytest
from fastapi.testclient import TestClient
from pymongo.errors import DuplicateKeyError
from typer.testing import CliRunner

from alerting.cli.main import app
from alerting.console.app import create_app
from alerting.definitions.alert_definition import shard_of
from alerting.definitions.asset_documents import EventType
from alerting.ports import EventRow, ReadingRow
from alerting.stores.database.indexes import INDEXES
from alerting.usecases.data_upkeep import maintain, retain
from alerting.usecases.definitions import revisions_and_evaluation_plan
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from alerting.usecases.ingestion.asset_import import ASSETS
from alerting.usecases.issue_reports import make_due_reports
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.notification.routing import ROUTES
from alerting.usecases.sink_delivery import SINKS
from alerting.usecases.sources.status import SOURCES
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.console.api import TOKENS, VIEWER
from tests.helpers.console.pages import log_in
from tests.helpers.every_collection import junk, valid_documents
from tests.in_memory_platform import HandClock, Mailbox, platform_on

NAMED = {
    "assets", "event_types", "source_revisions", "evaluation_shards", "late_arrivals",
    "reprocessing_requests", "episodes", "mutes", "decisions", "trainings", "reports",
    "platform_alerts",
}  # fmt: skip
"""Collections whose junk is read by every round, and named in the log."""
ALERTED = {
    "assets", "event_types", "routes", "sources", "sinks", "mutes", "definition_revisions"
}  # fmt: skip
ADMIN_TOKEN = next(token for token, (name, _) in TOKENS.items() if name == "ada")
PAGES = (
    "/", "/suppressed", "/kpi", "/reports", "/plant", "/routes", "/new-route", "/routes/all/edit",
    "/platform", "/audit", "/access", "/account", "/sources", "/new-source", "/sinks",
    "/sources/gateway", "/sinks/scada", "/new-sink", "/definitions", "/definitions/too-hot",
    "/definitions/too-hot/edit", "/definitions/new", "/models", "/models/too-moist", "/assets",
    "/assets/oven-1", "/assets/oven-1/edit", "/new-asset", "/mutes", "/new-mute",
    "/handover", "/trends?asset=oven-1&variable=temperature&span=28d", "/?asset=oven-1",
    "/miss?asset=oven-1", "/api?subject=definitions",
)  # fmt: skip
SCADA = {"name": "scada", "kind": "mqtt", "url": {"env": "BROKER_URL"}}
GATEWAY = {"name": "gateway", "kind": "http", "delivers": "readings"}


@pytest.fixture
def platform(real):
    """A platform that has raised its first alert, with a valid document in each collection."""
    made = platform_on(real, [Mailbox("mail")], HandClock(at(0)))
    made.assets.store_assets([oven()])
    made.assets.put_event_types([EventType(name="failure", duration="instant")])
    revisions_and_evaluation_plan.apply(
        made, [too_hot(allowed_lateness="1h"), too_moist()], "engineer", at(0), "first"
    )
    ROUTES.apply(made, [{"name": "all", "channels": ["mail"], "platform": True}], "engineer", at(0))
    ASSETS.record_edits(made, at(0))
    SOURCES.apply(made, [GATEWAY], "engineer", at(0))
    SINKS.apply(made, [SCADA], "engineer", at(0))
    add_events(made, [EventRow("oven-1", "failure", at(1), None, {})], at(1))
    hours(made, 1, 230.0)
    evaluate(made, None, at(60))
    deliver_due(made, at(60))
    for collection, document in valid_documents().items():
        if real.database[collection].find_one() is None:
            real.database[collection].insert_one(dict(document))
    return made


def hours(platform, hour, temperature):
    """Readings of one hour."""
    rows = [
        ReadingRow("oven-1", at(60 * hour - 60 + minute), {"temperature": temperature})
        for minute in range(1, 60)
    ]
    add_readings(platform, rows, at(60 * hour))


def leave_junk(database, examples):
    """Write junk past the validators, as a version without them would have; return the names of
    what an index refuses."""
    refused = []
    for collection, example in examples.items():
        for name, document in junk(collection, example):
            try:
                database[collection].insert_one(
                    document | {"junk": True}, bypass_document_validation=True
                )
            except DuplicateKeyError:
                refused.append(name)
    return refused


def steps(platform, hour, monkeypatch):
    """Everything of one round, by name."""
    now = platform.clock.instant = at(60 * hour)
    client = TestClient(create_app(platform, TOKENS, now=lambda: now))

    @contextmanager
    def opened(*_, **__):
        yield platform

    def listed():
        monkeypatch.setattr("alerting.wiring.open_platform", opened)
        done = CliRunner().invoke(app, ["list"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert "too-hot" in done.output

    def get(path, words="", **options):
        answer = client.get(path, **options)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        assert words in answer.text, answer.text[:500]

    yield "evaluate", lambda: evaluate(platform, None, now)
    yield "deliver", lambda: deliver_due(platform, now)
    yield "maintain", lambda: maintain(platform, now)
    yield "reports", lambda: make_due_reports(platform, shard_of("too-hot"), now, print)
    yield "list", listed
    log_in(client, ADMIN_TOKEN)
    for path in PAGES:
        yield f"page {path}", partial(get, path)
    yield "metrics", partial(get, "/metrics", "alerting_open_episodes", headers=VIEWER)
    yield "retain", lambda: retain(platform, now)


def failures(platform, hour, monkeypatch):
    found = {}
    for name, step in steps(platform, hour, monkeypatch):
        try:
            step()
        except Exception as error:
            found[name] = "".join(traceback.format_exception(error)[-3:])
    return found


def test_junk_in_every_collection_stops_nothing_else(platform, real, monkeypatch, caplog):
    def of_oven():
        return platform.episodes.find(definition="too-hot", asset="oven-1")

    examples = {name: real.database[name].find_one() for name in INDEXES}
    assert [name for name, example in examples.items() if example is None] == []
    assert failures(platform, 2, monkeypatch) == {}, "without junk"
    hours(platform, 3, 190.0)
    evaluate(platform, None, at(180))
    before = {episode.id for episode in of_oven()}

    refused = leave_junk(real.database, examples)
    hours(platform, 4, 230.0)
    assert failures(platform, 4, monkeypatch) == {}
    assert failures(platform, 5, monkeypatch) == {}, "it gets over what the first round has left"

    new = [e for e in of_oven() if e.id not in before and e.raised_at > at(180)]
    assert [e.condition for e in new] == ["open"]
    assert any("oven-1" in str(message) for message in platform.channels["mail"].messages[-3:])
    assert len(refused) < 80, refused
    told = [one.getMessage() for one in caplog.records]
    named = {text.partition("/")[0] for text in told if "is faulty and left out" in text}
    assert NAMED - named == set()
    subjects = {alert.subject.partition("/")[0] for alert in platform.platform_alerts.open()}
    assert ALERTED - subjects == set()
