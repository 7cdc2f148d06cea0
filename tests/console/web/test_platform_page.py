"""The page of the platform: faults for everyone, the rest for engineers, in three languages."""

import re
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from alerting.adapters.mongo.disk import read_database
from alerting.console.app import create_app
from alerting.ports import DatabaseState
from alerting.usecases.definitions.platform_alerts import FAULTY, UNREADABLE
from alerting.usecases.platform_health.conditions import (
    BEHIND,
    FAILED,
    LOST,
    REFUSED,
    STALE,
    STOPPED,
    SURPLUS,
)
from tests.builders import at
from tests.helpers.console.api import ADMIN, TOKENS
from tests.helpers.console.audited_plant import AuditedPlant
from tests.helpers.console.people import app_of, browser_of, person_on, sign_in
from tests.helpers.console.rubbish import BROKER, SINK, filled
from tests.helpers.stores import real  # noqa: F401 - a fixture
from tests.in_memory_platform import in_memory_platform

OF_SOURCES = (STALE, STOPPED, LOST, SURPLUS)


@pytest.fixture
def plant(monkeypatch, tmp_path, real):  # noqa: F811 - a fixture
    made = AuditedPlant(monkeypatch, tmp_path, real)
    made.platform.platform_alerts.report(FAULTY, "too-hot", "above: is no number", at(0))
    return made


def test_an_engineer_sees_processes_queue_sources_storage_and_the_command(plant):
    plant.dead_message()
    plant.letter()
    plant.platform.stream_processes.note_process("stream-1", ["line"])
    page = plant.boss.get("/platform").text
    for text in (
        "Open the definition",
        "too-hot",
        "stream-1",
        "1 message of line could not be stored.",
        "none known",
        "Try all again",
        "Version",
    ):
        assert text in page


def test_an_operator_sees_faults_alone_and_may_not_try_again(plant):
    plant.dead_message()
    anna = plant.browser("anna")
    page = anna.get("/platform").text
    assert "is no number" in page
    for text in ("Open the definition", "could not be stored", "Last backup", "Version"):
        assert text not in page
    assert anna.post("/platform/sources/line/retry", data={"csrf": ""}).status_code == 403


def test_dead_messages_are_tried_again_from_the_page_and_an_unknown_source_is_no_page(plant):
    plant.dead_message()
    assert plant.post("/platform/sources/line/retry", "/platform").status_code == 303
    assert plant.platform.dead_messages.count_dead("line") == 0
    csrf = {"csrf": "x"}
    assert plant.boss.post("/platform/sources/none/retry", data=csrf).status_code == 403


def test_members_that_do_not_answer_are_marked(plant):
    state = DatabaseState("MongoDB 8.0.4", 3 << 30, {"db-1": "primary", "db-2": "(not reachable)"})
    platform = replace(plant.platform, database=lambda: state)
    person_on(platform, plant.wall(), "eva", "engineer")
    browser = browser_of(app_of(platform, plant.wall))
    sign_in(browser, "eva")
    page = browser.get("/platform").text
    assert "MongoDB 8.0.4" in page
    assert '<div class="fault">db-2: (not reachable)</div>' in page


@pytest.mark.server
def test_a_real_server_tells_version_size_and_members(two_prepared):
    state = read_database(two_prepared[0].database)
    assert re.fullmatch(r"MongoDB \d+\.\d+.*", state.server)
    assert state.bytes > 0
    assert [*state.members.values()] == ["primary"]


def test_a_failed_training_is_repeated_only_after_its_reason_is_corrected(plant):
    reason = "no row is followed by the problem"
    plant.platform.platform_alerts.report(FAILED, "too-moist", reason, at(0))
    page = plant.boss.get("/platform").text
    how = 'When what the reason names is corrected: <a class="more" href="/models/too-moist/train">'
    assert how in " ".join(page.split())


@pytest.mark.parametrize(
    ("kind", "subject", "label"),
    [
        (FAULTY, "too-hot", "Open the definition"),
        (REFUSED, "too-moist", "Open the models"),
        (FAILED, "too-moist", "Train now"),
        (UNREADABLE, "too-moist", "Train now"),
        (BEHIND, f"sink {SINK['name']}", "Open the sink"),
        *((kind, f"source {BROKER['name']}", "Open the source") for kind in OF_SOURCES),
    ],
)
def test_a_fault_that_is_mended_in_the_browser_leads_there(kind, subject, label):
    platform = filled(in_memory_platform())
    platform.platform_alerts.report(kind, subject, "a reason", at(0))
    client = TestClient(create_app(platform, TOKENS), headers=ADMIN)
    page = client.get("/platform").text
    part = page.partition(f"{kind.capitalize()}: {subject}")[2].partition("</section>")[0]
    [address] = re.findall(rf'href="([^"]+)">{label}', part)
    assert client.get(address).status_code == 200
    assert "Run on the host" not in part
