"""Pages and API of reports and reported misses, of the plant in figures, and of alarm quality."""

import io
import re
from dataclasses import replace

import openpyxl
import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.definitions.asset_documents import Asset, EventType
from alerting.episodes.episode import ActorStamp
from alerting.episodes.evaluation_plan import ConditionTable
from alerting.episodes.lifecycle import ConditionState
from alerting.ports import EventRow, ReadingRow
from alerting.reporting.definition.operators_and_money import Amount, DefinitionNumbers, Money
from alerting.reporting.estimates import to_document
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from tests.builders import at, oven, too_hot
from tests.helpers.console.api import OPERATOR, TOKENS, VIEWER, episode
from tests.helpers.console.pages import lacks, log_in, send_form, text_of
from tests.helpers.reports import store_report
from tests.in_memory_platform import Mailbox, in_memory_platform

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
    assert lacks(page, counts, "test period of the training", empty) == [empty]
    assert page.count("2026-W02%3A20260130T120000Z") == 1, "the newest on a period"
    counts = {"problems": "0", "episodes": "0", "false alarms": "0", "assets evaluated": "0"}
    store_report(stored, period="2026-W04", key_metrics=counts)
    newest = re.search(r"2026-W04.*", browser.get("/reports").text, re.DOTALL)[0].split("W03")[0]
    assert "0 alarms, 0 false" not in newest
    assert "not evaluated" in browser.get("/reports").text


# problems of a detector, and how the list of reports counts them
DETECTED = {
    ("5", "0", "0"): "0 of 5 problems found<br>",
    ("5", "1", "2"): "3 of 5 problems found<br>",
    ("0", "0", "0"): "<td><a",
}


def test_problems_of_a_detector_are_found_and_not_predicted(browser, stored):
    log_in(browser)
    document = {
        "name": "chart",
        "kind": "control_chart",
        "assets": ["oven-1"],
        "variable": "temperature",
        "problem": {"variable": "moisture", "above": 4.5},
    }
    apply(stored, [document], "ann", at(0), "test")
    for (problems, announced, lasting), text in DETECTED.items():
        counts = COUNTS | {
            "problems": problems,
            "announced in time": announced,
            "found while they lasted": lasting,
        }
        store_report(stored, definition="chart", key_metrics=counts, as_of=at(50_000))
        row = re.search(r"chart</a></th>.*?</tr>", browser.get("/reports").text, re.DOTALL)[0]
        assert text in row
        assert "predicted" not in row


def test_a_report_opens_with_its_tables_and_leads_to_a_newer_one(browser, stored):
    log_in(browser)
    page = browser.get("/reports/too-hot:2026-W02").text
    newer = 'href="/reports/too-hot%3A2026-W02%3A20260130T120000Z"'
    assert lacks(page, "<p>page</p>", "All reports on Oven too hot", newer) == []
    csv = browser.get(re.search(r'href="([^"]+/csv)"', page)[1])
    assert csv.text == "id,raised_at\na,'=1+1\n,2026\n"
    answer = browser.get(re.search(r'href="([^"]+/xlsx)"', page)[1])
    sheet = openpyxl.load_workbook(io.BytesIO(answer.content))["episodes"]
    assert [*sheet.values] == [("id", "raised_at"), ("a", "=1+1"), (None, "2026")]
    assert sheet["B2"].data_type == "s", "a text is no formula"
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
    answer = send_form(browser, "/misses", page, at="2026-01-05T01:00", **form)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{page}#misses")
    assert "&lt;b&gt;smoke" in browser.get(page).text
    platform.episodes.insert(episode(100))
    refused = send_form(browser, "/misses", at="2026-01-05T01:42", **form)
    typed = refused.text.partition('<form method="post" action="/misses">')[2]  # it stays
    assert lacks(typed, 'value="2026-01-05T01:42"', "&lt;b&gt;smoke") == []
    assert (refused.status_code, "did raise an alert" in refused.text) == (422, True)
    for at_no_time in ("0001-01-01T00:00+05:00", ""):
        assert send_form(browser, "/misses", at=at_no_time, **form).status_code == 422
    assert browser.post("/misses", data={**form, "csrf": "x"}).status_code == 403


WORTH = "The alerts that state their costs were worth"
COSTS = Money("EUR", *(Amount(n, n + 90) for n in range(6)), 50.0, ())


def numbers(name, **changes):
    given = {"weeks": 2.0, "episodes": 9, "hits": 3, "avoided": 1, "false_alarms": 2}
    given |= {"problems": 5, "announced": 3} | changes
    return {"summary": to_document(DefinitionNumbers(name, name, **given))}


def test_each_definition_has_precision_load_and_money_of_its_newest_report():
    platform = in_memory_platform()
    platform.clock.instant = at(9_000)
    store_report(platform, metrics=numbers("too-hot", money=COSTS))
    store_report(platform, metrics=numbers("too-hot", hits=30), period="2026-W01", start=at(-9000))
    store_report(platform, metrics=numbers("dear", money=COSTS), definition="dear")
    store_report(platform, metrics={"summary": {"name": "damaged"}}, definition="damaged")
    store_report(platform, metrics={"totals": {}}, definition=None)
    client = TestClient(create_app(platform, TOKENS, now=lambda: at(9_000)))
    page = client.get("/plant", headers=VIEWER).text
    figures = ("4 of 6", "3 of 5", "4.5", "EUR 5 to 95", "EUR 0 to 90", "/reports/dear%3A2026-W02")
    both = f"{WORTH} EUR 10 to 190; problems that came cost EUR 2 to 362."
    assert lacks(page, *figures, "Sum, EUR", "EUR 10 to 190", "EUR 0 to 180") == []
    assert page.count("<tr>") == 4
    assert f'href="/plant">{both}' in client.get("/", headers=VIEWER).text
    assert WORTH not in client.get("/", headers=OPERATOR).text  # they answer alarms


DAY = 24 * 60


def client(platform):
    return TestClient(create_app(platform, TOKENS), follow_redirects=False, headers=VIEWER)


@pytest.fixture
def plant():
    """Thirty days of one alarm an hour at the ovens, a burst of fourteen, and one that
    chattered."""
    platform = in_memory_platform(Mailbox("mail"))
    line = Asset(name="line-1", position="baker")
    ovens = [
        oven().model_copy(update={"name": n, "parent": "line-1"}) for n in ("oven-1", "oven-2")
    ]
    platform.assets.store_assets([line, *ovens])
    apply(platform, [too_hot(assets=["oven-*"])], "engineer", at(0), "test")
    platform.clock.instant = at(30 * DAY)
    often = [(minute, "oven-1", 5) for minute in range(0, 30 * DAY, 60)]
    burst = [(10 * DAY + 30 + i / 10, "oven-2", 0.05) for i in range(14)]
    for minute, asset, lasts in (*often, *burst):
        seen = ActorStamp("ann", at(minute + 2))
        over = {"closed_at": at(minute + lasts), "id": f"{asset}-{minute}"}
        found = episode(minute, asset, **over)
        platform.episodes.insert(replace(found, acknowledged=seen))
    for asset in ("oven-1", "oven-2"):
        evaluated = ConditionTable([("too-hot", asset)])
        evaluated.write_state(0, ConditionState(watermark=at(30 * DAY)))
        platform.states.advance(ConditionTable([("too-hot", asset)]), evaluated)
    return platform


def test_the_page_and_programs_get_the_figures_that_the_command_prints(plant):
    api = client(plant)
    page = text_of(api.get("/kpi?days=30"))
    shown = ("734 alarms", "Targets are defaults after ISA-18.2 / EEMUA 191")
    figures = ("busiest 10 min 14 ▲ target ≤ 10 2026-01-15 00:30", "chattering 1 ▲ target 0")
    assert lacks(page, *shown, *figures, "observed") == ["observed"]
    whole = api.get("/api/v1/kpi").json()
    assert (whole["kpis"]["alarms"], whole["kpis"]["busiest"]) == (734, 14)
    assert whole["kpis"]["chattering"][0]["definition"] == "too-hot"
    positions = [(p["name"], p["kpis"]["alarms"], p["budget"]) for p in whole["positions"]]
    assert positions == [("baker", 734, 144)]


def test_the_page_says_since_when_the_line_is_observed_and_what_it_does_not_know(plant):
    words = ("observed 30 d of 90 d, since Mon 5 Jan", "alarms a day 24.5 ● target")
    assert lacks(text_of(client(plant).get("/kpi?days=90")), *words) == []
    idle = client(watched())
    unknown = "nothing was evaluated in this period, so its rates are not known"
    rates = [f"{name} not known ○" for name in ("alarms a day", "time in flood", "chattering")]
    assert lacks(text_of(idle.get("/kpi")), unknown, *rates) == []
    figures = idle.get("/api/v1/kpi").json()["kpis"]
    found = {name: figures[name] for name in ("per_day", "time_in_flood", "observed", "alarms")}
    nothing = {"per_day": None, "time_in_flood": None, "observed": "PT0S", "alarms": 0}
    assert found == nothing


def test_positions_stand_in_a_table_and_one_is_shown(plant):
    assert 'class="groups"' not in client(plant).get("/kpi").text
    asset = plant.assets.get("oven-2")
    plant.assets.store_assets([asset.model_copy(update={"position": "packer"})])
    words = text_of(client(plant).get("/kpi"))
    assert lacks(words, "baker 720 24", "packer 14 0.467") == []
    shown = text_of(client(plant).get("/kpi?position=packer"))
    assert lacks(shown, "position packer", "14 alarms") == []


def watched(**changes):
    """Return a platform with one definition of an oven."""
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven()])
    platform.assets.put_event_types([EventType(name="cleaning", duration="lasting")])
    apply(platform, [too_hot(**changes)], "engineer", at(-1), "test")
    return platform


def test_the_pages_say_what_is_suppressed_by_design_and_what_nobody_was_told_of():
    platform = watched(stale_after="10h", suppression={"when": {"event": "cleaning"}})
    add_events(platform, [EventRow("oven-1", "cleaning", at(0), None, "test")], at(0))
    add_readings(platform, [ReadingRow("oven-1", at(1), {"temperature": 230.0})], at(1))
    platform.clock.instant = at(5)
    evaluate(platform, None, at(5))
    [raised] = platform.episodes.find()
    api = client(platform)
    first = "1 alarm suppressed by design in the last 24 hours, without a notification"
    assert first in text_of(api.get("/"))
    by = "No notifications: suppressed by design (ISA-18.2 F): cleaning on oven-1"
    assert by in text_of(api.get(f"/episodes/{raised.id}"))
    listed = api.get("/suppressed")
    words = ("too-hot oven-1 cleaning on oven-1", "Without notification in the last 24 hours 1")
    assert lacks(text_of(listed), *words) == []
    assert f'href="/episodes/{raised.id}"' in listed.text
    stands = api.get(f"/api/v1/episodes/{raised.id}/state").json()
    assert (stands["state"], stands["suppressed"]) == ("suppressed by design", "cleaning on oven-1")
    listed = api.get("/api/v1/suppressions").json()
    targets = [(p["definition"], p["asset"], p["suppressed"]) for p in listed["targets"]]
    assert targets == [("too-hot", "oven-1", True)]
    assert [e["id"] for e in listed["not_notified"]] == [raised.id]
