"""Pages and API of the reports and of reported misses."""

import re

import pytest

from tests.builders import at
from tests.helpers.console.api import OPERATOR, VIEWER, episode
from tests.helpers.console.pages import csrf_of, log_in
from tests.helpers.reports import store_report

TABLES = {"episodes": {"columns": ["id", "raised_at"], "rows": [["a", "=1+1"], [None, "2026"]]}}
COUNTS = {"problems": "3", "announced in time": "2", "episodes": "7", "false alarms": "5"}


@pytest.fixture
def stored(platform):
    store_report(platform, period="2026-W02", key_metrics=COUNTS, tables=TABLES)
    store_report(
        platform,
        period="2026-W02",
        id="too-hot:2026-W02:20260130T120000Z",
        as_of=at(40_000),
        key_metrics=COUNTS,
        tables=TABLES,
    )
    store_report(platform, period="2026-W03", start=at(10_080), sentences=("Nothing came.",))
    store_report(platform, definition=None, period="2026-W02")
    store_report(platform, definition="too-moist", period="2026-W02", empty=True)
    store_report(platform, period=None, unseen=True, sentences=("7 of 9 announced.",))
    return platform


def test_periods_stand_side_by_side_with_the_plant_first(browser, stored):
    log_in(browser)
    page = browser.get("/reports").text
    heads = re.findall(r"<th>(?:<a[^>]*>)?([^<]+)", page)
    assert heads == ["Report on", "2026-W03", "2026-W02", "The plant", "Oven too hot"]
    assert "2 of 3 problems predicted<br>7 alarms, 5 false" in page
    assert page.count("2026-W02%3A20260130T120000Z") == 1, "the newest on a period"
    assert "too-moist" not in page, "there was nothing to report on it"
    assert "test period of the training" in page


def test_an_alert_that_was_not_evaluated_is_not_said_to_be_without_false_alarms(browser, stored):
    counts = {"problems": "0", "episodes": "0", "false alarms": "0", "assets evaluated": "0"}
    store_report(stored, period="2026-W04", key_metrics=counts)
    log_in(browser)
    page = browser.get("/reports").text
    assert "not evaluated" in page
    assert "0 alarms, 0 false" not in re.search(r"2026-W04.*", page, re.DOTALL)[0].split("W03")[0]


def test_a_report_opens_with_its_tables_and_leads_to_a_newer_one(browser, stored):
    log_in(browser)
    page = browser.get("/reports/too-hot:2026-W02").text
    assert "<p>page</p>" in page
    assert "All reports on Oven too hot" in page
    assert 'href="/reports/too-hot%3A2026-W02%3A20260130T120000Z"' in page
    csv = browser.get(re.search(r'href="([^"]+/csv)"', page)[1])
    assert csv.text == "id,raised_at\na,'=1+1\n,2026\n"
    assert browser.get("/reports/nope").status_code == 404
    assert browser.get("/reports/too-moist:2026-W02").status_code == 404


def test_the_api_gives_reports_with_metrics_and_tables(client, stored):
    listed = client.get("/api/v1/reports", headers=VIEWER).json()
    assert [r["id"] for r in listed][:2] == ["2026-W02", "too-hot:2026-W03"]
    assert [
        r["definition"] for r in client.get("/api/v1/reports?plant=true", headers=VIEWER).json()
    ] == [None]
    shown = client.get("/api/v1/reports/too-hot:2026-W02/metrics", headers=VIEWER).json()
    assert shown["tables"] == ["episodes"]
    table = client.get("/api/v1/reports/too-hot:2026-W02/tables/episodes", headers=VIEWER).json()
    assert table["rows"][1] == {"id": None, "raised_at": "2026"}
    refused = client.get("/api/v1/reports/too-hot:2026-W02/tables/nope", headers=VIEWER)
    assert (refused.status_code, "its tables: episodes" in refused.text) == (404, True)


def test_a_miss_is_reported_by_an_operator_over_the_api_and_listed(client, platform):
    body = {
        "definition": "too-hot",
        "asset": "oven-1",
        "at": "2026-01-05T01:00:00Z",
        "comment": "smoke",
    }
    assert client.post("/api/v1/misses", json=body, headers=VIEWER).status_code == 403
    told = client.post("/api/v1/misses", json=body, headers=OPERATOR)
    assert (told.status_code, told.json()["actor"]) == (200, "otto")
    assert client.get("/api/v1/misses?definition=too-hot", headers=VIEWER).json() == [told.json()]
    assert (
        client.post(
            "/api/v1/misses", json={**body, "definition": "nope"}, headers=OPERATOR
        ).status_code
        == 404
    )
    future = client.post(
        "/api/v1/misses", json={**body, "at": "2027-01-05T01:00:00Z"}, headers=OPERATOR
    )
    assert (future.status_code, "lies in the future" in future.text) == (422, True)


def test_a_miss_is_reported_by_the_form_of_a_definitions_reports(browser, platform):
    log_in(browser)
    page = browser.get("/reports?definition=too-hot")
    form = {
        "csrf": csrf_of(page),
        "definition": "too-hot",
        "asset": "oven-1",
        "at": "2026-01-05T01:00",
        "comment": "<b>smoke",
    }
    answer = browser.post("/misses", data=form)
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/reports?definition=too-hot#misses",
    )
    assert "&lt;b&gt;smoke" in browser.get("/reports?definition=too-hot").text
    platform.episodes.insert(episode(100))
    refused = browser.post("/misses", data={**form, "at": "2026-01-05T01:42"})
    assert (refused.status_code, "did raise an alert" in refused.text) == (422, True)
    assert 'value="2026-01-05T01:42"' in refused.text, "what was typed stays"
    assert "&lt;b&gt;smoke" in refused.text.partition('<form method="post" action="/misses">')[2]
    assert browser.post("/misses", data={**form, "at": "0001-01-01T00:00+05:00"}).status_code == 422
    assert browser.post("/misses", data={**form, "at": ""}).status_code == 422
    assert browser.post("/misses", data={**form, "csrf": "x"}).status_code == 403
