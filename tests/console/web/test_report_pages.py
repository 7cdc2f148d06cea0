"""Pages and API of the reports and of reported misses."""

import re

import pytest

from tests.builders import at
from tests.helpers.console.api import OPERATOR, VIEWER, episode
from tests.helpers.console.pages import log_in, missing, send
from tests.helpers.reports import store_report

TABLES = {"episodes": {"columns": ["id", "raised_at"], "rows": [["a", "=1+1"], [None, "2026"]]}}
COUNTS = {"problems": "3", "announced in time": "2", "episodes": "7", "false alarms": "5"}


@pytest.fixture
def stored(platform):
    figures = {"key_metrics": COUNTS, "tables": TABLES}
    newer = {"id": "too-hot:2026-W02:20260130T120000Z", "as_of": at(40_000)}
    store_report(platform, period="2026-W02", **figures)
    store_report(platform, period="2026-W02", **newer, **figures)
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
    counts = "2 of 3 problems predicted<br>7 alarms, 5 false"
    empty = "too-moist"  # there was nothing to report on it
    assert missing(page, counts, "test period of the training", empty) == [empty]
    assert page.count("2026-W02%3A20260130T120000Z") == 1, "the newest on a period"
    counts = {"problems": "0", "episodes": "0", "false alarms": "0", "assets evaluated": "0"}
    store_report(stored, period="2026-W04", key_metrics=counts)
    newest = re.search(r"2026-W04.*", browser.get("/reports").text, re.DOTALL)[0].split("W03")[0]
    assert "0 alarms, 0 false" not in newest
    assert "not evaluated" in browser.get("/reports").text


def test_a_report_opens_with_its_tables_and_leads_to_a_newer_one(browser, stored):
    log_in(browser)
    page = browser.get("/reports/too-hot:2026-W02").text
    newer = 'href="/reports/too-hot%3A2026-W02%3A20260130T120000Z"'
    assert missing(page, "<p>page</p>", "All reports on Oven too hot", newer) == []
    csv = browser.get(re.search(r'href="([^"]+/csv)"', page)[1])
    assert csv.text == "id,raised_at\na,'=1+1\n,2026\n"
    for unknown in ("nope", "too-moist:2026-W02"):
        assert browser.get(f"/reports/{unknown}").status_code == 404


def test_the_api_gives_reports_with_metrics_and_tables(client, stored):
    client.headers.update(VIEWER)
    listed = client.get("/api/v1/reports").json()
    assert [r["id"] for r in listed][:2] == ["2026-W02", "too-hot:2026-W03"]
    of_plant = client.get("/api/v1/reports?plant=true").json()
    assert [r["definition"] for r in of_plant] == [None]
    report = "/api/v1/reports/too-hot:2026-W02"
    assert client.get(f"{report}/metrics").json()["tables"] == ["episodes"]
    table = client.get(f"{report}/tables/episodes").json()
    assert table["rows"][1] == {"id": None, "raised_at": "2026"}
    refused = client.get(f"{report}/tables/nope")
    assert (refused.status_code, "its tables: episodes" in refused.text) == (404, True)


def test_a_miss_is_reported_by_an_operator_over_the_api_and_listed(client, platform):
    body = {"definition": "too-hot", "asset": "oven-1", "at": "2026-01-05T01:00:00Z"}
    body["comment"] = "smoke"
    told = client.post("/api/v1/misses", json=body, headers=OPERATOR)
    assert (told.status_code, told.json()["actor"]) == (200, "otto")
    assert client.get("/api/v1/misses?definition=too-hot", headers=VIEWER).json() == [told.json()]
    refused = [
        client.post("/api/v1/misses", json=body | changes, headers=who)
        for who, changes in (
            (VIEWER, {}),
            (OPERATOR, {"definition": "nope"}),
            (OPERATOR, {"at": "2027-01-05T01:00:00Z"}),
        )
    ]
    assert [answer.status_code for answer in refused] == [403, 404, 422]
    assert "lies in the future" in refused[-1].text


def test_a_miss_is_reported_by_the_form_of_a_definitions_reports(browser, platform):
    log_in(browser)
    page = "/reports?definition=too-hot"
    form = {"definition": "too-hot", "asset": "oven-1", "comment": "<b>smoke"}
    answer = send(browser, "/misses", page, at="2026-01-05T01:00", **form)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{page}#misses")
    assert "&lt;b&gt;smoke" in browser.get(page).text
    platform.episodes.insert(episode(100))
    refused = send(browser, "/misses", at="2026-01-05T01:42", **form)
    typed = refused.text.partition('<form method="post" action="/misses">')[2]  # it stays
    assert missing(typed, 'value="2026-01-05T01:42"', "&lt;b&gt;smoke") == []
    assert (refused.status_code, "did raise an alert" in refused.text) == (422, True)
    for at_no_time in ("0001-01-01T00:00+05:00", ""):
        assert send(browser, "/misses", at=at_no_time, **form).status_code == 422
    assert browser.post("/misses", data={**form, "csrf": "x"}).status_code == 403
