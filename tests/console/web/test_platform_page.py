"""The page of the platform: faults for everyone, the rest for engineers."""

import re
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from alerting.adapters.mongo.mongo import read_database
from alerting.console.app import create_app
from alerting.ports import DatabaseState, DeadMessage
from alerting.usecases.definitions.faults_and_platform_alerts import (
    DOCUMENT,
    FAILING,
    FAULTY,
    LOAD,
    UNREADABLE,
)
from alerting.usecases.health.platform_health import (
    BEHIND,
    FAILED,
    LOST,
    REFUSED,
    STALE,
    STOPPED,
    SURPLUS,
)
from alerting.usecases.health.scheduled_tasks import PAUSED, TASK
from tests.builders import at
from tests.helpers.console.api import ADMIN, TOKENS
from tests.helpers.console.pages import ADMIN_TOKEN, lacks, log_in, send_form
from tests.helpers.console.rubbish import BROKER, SINK, filled
from tests.in_memory_platform import in_memory_platform

OF_SOURCES = (STALE, STOPPED, LOST, SURPLUS)


@pytest.fixture
def platform():
    made = filled(in_memory_platform())
    made.platform_alerts.report(FAULTY, "too-hot", "above: is no number", at(0))
    return made


@pytest.fixture
def line(platform):
    """Return a platform on which a message of a source could not be stored."""
    body = b'{"ts": "2026-01-05T00:01:00Z", "asset": "oven-1", "values": {"temperature": 201}}'
    dead = DeadMessage("d", BROKER["name"], "line-1/t", body, "was no source then", at(5))
    platform.dead_messages.add_dead([dead])
    platform.leases.claim("stream", "stream-1", [BROKER["name"]])
    return platform


def test_an_engineer_sees_processes_sources_storage_and_the_command_and_tries_again(line, browser):
    retry = f"/sources/{BROKER['name']}/retry"
    log_in(browser)
    hidden = ["Open the definition", "could not be stored", "Last backup", "Version"]
    assert lacks(browser.get("/platform").text, "is no number", *hidden) == hidden
    assert send_form(browser, retry).status_code == 403
    log_in(browser, ADMIN_TOKEN)
    shown = ("Open the definition", "stream-1", "1 message of too-hot could not be stored.")
    backup = ("none known", "Try all again", "Version")
    assert lacks(browser.get("/platform").text, *shown, *backup) == []
    assert browser.post(retry, data={"csrf": "x"}).status_code == 403
    assert send_form(browser, retry).status_code == 303
    assert line.dead_messages.count_dead(BROKER["name"]) == 0
    assert send_form(browser, "/sources/none/retry").status_code == 404


def test_members_that_do_not_answer_are_marked(platform):
    state = DatabaseState("MongoDB 8.0.4", 3 << 30, {"db-1": "primary", "db-2": "(not reachable)"})
    app = create_app(replace(platform, database=lambda: state), TOKENS)
    page = TestClient(app, headers=ADMIN).get("/platform").text
    assert lacks(page, "MongoDB 8.0.4", '<div class="fault">db-2: (not reachable)</div>') == []


def test_a_real_server_tells_version_size_and_members(two_prepared):
    state = read_database(two_prepared[0].database)
    assert re.fullmatch(r"MongoDB \d+\.\d+.*", state.server)
    assert (state.bytes > 0, [*state.members.values()]) == (True, ["primary"])


MENDED = [
    (FAULTY, "too-hot", "Open the definition"),
    (REFUSED, "too-moist", "Open the models"),
    (FAILED, "too-moist", "Train now"),
    (UNREADABLE, "too-moist", "Train now"),
    (DOCUMENT, "assets/oven-1", "Open the document"),
    (LOAD, "too-hot revision 2", "Open the definition"),
    (BEHIND, f"sink {SINK['name']}", "Open the sink"),
    (FAILING, "channel chat", "Open the routes"),
    *((kind, f"source {BROKER['name']}", "Open the source") for kind in OF_SOURCES),
]


def test_a_fault_of_what_airflow_runs_leads_there(client, platform):
    client.app.state.airflow = "http://airflow"
    for kind, subject in ((TASK, "retain"), (PAUSED, "train__*")):
        platform.platform_alerts.report(kind, subject, "a reason", at(0))
    page = client.get("/platform", headers=ADMIN).text
    found = re.findall(r'href="([^"]+)">Open in Airflow', page)
    assert sorted(found) == ["http://airflow/dags", "http://airflow/dags/retain"]


def test_a_fault_that_is_mended_in_the_browser_leads_there(client, platform):
    for kind, subject, _ in MENDED:
        platform.platform_alerts.report(kind, subject, "a reason", at(0))
    page = client.get("/platform", headers=ADMIN).text
    led = []
    for kind, subject, label in MENDED:
        part = page.partition(f"{kind.capitalize()}: {subject}")[2].partition("</section>")[0]
        [address] = re.findall(rf'href="([^"]+)">{label}', part)
        led.append((client.get(address, headers=ADMIN).status_code, "<code>" in part))
    assert led == [(200, False)] * len(MENDED)
    how = 'When what the reason names is corrected: <a class="more" href="/models/too-moist/train">'
    assert how in " ".join(page.split())
