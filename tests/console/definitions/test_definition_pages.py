"""The list of definitions, the page of one, and its states, revisions and differences."""

import re
from dataclasses import replace

from alerting.definitions.revisions import definition_document
from alerting.episodes.episode import OutcomeRecord
from alerting.episodes.lifecycle import ReportedMiss
from alerting.kinds.control_chart.model import Chart, ControlChartModel, FittedChart, to_files
from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.model_registry import register_model
from tests.builders import at, too_hot, too_moist
from tests.helpers.console.api import episode
from tests.helpers.console.editor import engineer
from tests.helpers.console.pages import VIEWER_TOKEN, browser, lacks, log_in, send_form, wall
from tests.helpers.learning.small_plant import decided
from tests.helpers.stores import audit_entries

__all__ = ["browser", "engineer", "wall"]
PAGE = "/definitions/too-hot"


def send(browser, address, **fields):
    return send_form(browser, f"{PAGE}/{address}", PAGE, **fields)


def counted(minute, outcome):
    record = OutcomeRecord(outcome, "said so", None, None, False, False, 1)
    return episode(minute, outcome_record=record)


def lines_of(page):
    return re.findall(r'href="/definitions/([\w-]+)">\s*<span class="about"', page.text)


def test_a_line_says_what_is_watched_how_often_it_raised_and_how_often_rightly(engineer, platform):
    for minute, outcome in ((0, "hit"), (10, "hit"), (20, "false_alarm"), (30, "undetermined")):
        platform.episodes.insert(counted(minute, outcome))
    platform.episodes.insert(replace(episode(40), backfilled=True))
    page = engineer.get("/definitions").text
    assert lacks(
        page,
        "Zone 2 temperature above 215 °C",
        'aria-label="4 alarms in 28 days"',
        "<strong>67 %</strong> <small>21 % to 94 %, 2 of 3",
        "oisture above 4.5 %",
    ) == []  # fmt: skip


def test_the_search_and_the_filters_live_in_the_address(engineer, platform):
    apply(platform, [too_hot(name="cold", state="draft", tags=["winter"])], "ann", at(1), "x")
    platform.definitions.mark_faulty("too-moist", ["horizon: is missing"])
    found = {
        "": ["cold", "too-hot", "too-moist"],
        "state=draft": ["cold"],
        "state=faulty": ["too-moist"],
        "text=WINTER": ["cold"],
        "asset=oven-2": [],
    }
    pages = {query: engineer.get(f"/definitions?{query}") for query in found}
    assert {query: lines_of(page) for query, page in pages.items()} == found
    assert "horizon: is missing" in pages["state=faulty"].text
    assert "None matches" in pages["asset=oven-2"].text


def test_columns_sort_both_ways_and_lines_without_a_value_come_last(engineer, platform):
    apply(platform, [too_hot(name="cold", title="A cold oven")], "ann", at(1), "x")
    apply(platform, [too_hot(name="spare", state="draft", title="B")], "ann", at(1), "x")
    for minute, definition, outcome in (
        (0, "too-hot", "hit"),
        (10, "too-hot", "hit"),
        (20, "cold", "false_alarm"),
    ):
        platform.episodes.insert(replace(counted(minute, outcome), definition=definition))
    platform.decisions.add(decided(at(1)), 1)
    orders = {
        "": ["cold", "spare", "too-hot", "too-moist"],
        "title": ["cold", "spare", "too-hot", "too-moist"],
        "-state": ["spare", "cold", "too-hot", "too-moist"],
        "-last": ["cold", "too-hot", "spare", "too-moist"],
        "last": ["too-hot", "cold", "spare", "too-moist"],
        "-raises": ["too-hot", "cold", "spare", "too-moist"],
        "right": ["cold", "too-hot", "spare", "too-moist"],
        "-right": ["too-hot", "cold", "spare", "too-moist"],
        "-model": ["too-moist", "cold", "spare", "too-hot"],
        "none": ["cold", "spare", "too-hot", "too-moist"],
    }
    pages = {order: engineer.get("/definitions", params={"sort": order}) for order in orders}
    assert {order: lines_of(page) for order, page in pages.items()} == orders
    again = 'aria-sort="descending"><a href="/definitions?sort=last">'
    assert (again in pages["-last"].text, again in pages["last"].text) == (True, False)
    assert lines_of(engineer.get("/definitions?sort=-last&after=too-hot")) == orders["-last"][2:]
    assert f'<td class="col-last"><a href="/episodes/{episode(10).id}">' in pages[""].text


def test_the_list_goes_on_page_by_page(engineer, platform):
    apply(platform, [too_hot(name=f"d{n:03}") for n in range(60)], "ann", at(1), "x")
    first = engineer.get("/definitions")
    assert len(lines_of(first)) == 50
    address = re.search(r'href="(/definitions\?after=[^"]+)"', first.text)[1]
    assert lines_of(engineer.get(address)) == [f"d{n:03}" for n in range(50, 60)] + [
        "too-hot",
        "too-moist",
    ]


TABS = {
    "": "It has raised no alarm yet.",
    "revisions": "Restore revision 1",
    "document": "Take it out of service",
    "model": "No model is in service yet.",
    "reports": "Reported misses",
}
CURRENT = r'<a(?: id="revisions")? href="([^"]*)" aria-current="page">'


def test_a_page_has_a_tab_for_each_thing_that_its_reader_may_see(engineer, browser, platform):
    apply(platform, [too_moist(title="Moist")], "ben", at(5), "a title")
    miss = ReportedMiss("too-moist", "oven-1", at(8), "smoke", "ann", at(9))
    platform.misses.append(miss)
    pages = {tab: engineer.get("/definitions/too-moist", params={"tab": tab}) for tab in TABS}
    shown = {
        tab: [key for key, text in TABS.items() if text in page.text] for tab, page in pages.items()
    }
    assert shown == {tab: [tab] for tab in TABS}
    address = "/definitions/too-moist"
    current = [re.findall(CURRENT, page.text) for page in pages.values()]
    assert current == [[address], *([f"{address}?tab={tab}"] for tab in TABS if tab)]
    also = {"/models/too-moist": "model", "/reports?definition=too-moist": "reports"}
    also |= {f"{address}?from=1&to=2": "revisions", f"{address}?tab=none": ""}
    assert {at: TABS[tab] in engineer.get(at).text for at, tab in also.items()} == dict.fromkeys(
        also, True
    )
    fixed = engineer.get(PAGE).text  # of fixed limits
    assert re.findall(r'href="/definitions/too-hot\?tab=(\w+)"', fixed) == [
        "revisions",
        "document",
        "reports",
    ]
    log_in(browser, VIEWER_TOKEN)
    read = [browser.get(address, params={"tab": tab}).text.partition("<main")[2] for tab in TABS]
    assert [re.findall(r'action="(/(?!language)[^"]*)"', page) for page in read] == [
        [],
        [f"{address}#difference"],
        [],
        [],
        [],
    ]


def test_a_definition_is_retired_and_activated_with_a_reason(engineer, platform):
    send(engineer, "state", act="retire", revision="1", reason="oven sold")
    retired = platform.definitions.newest_revision("too-hot")
    assert (retired.definition.state, retired.reason) == ("retired", "oven sold")
    assert audit_entries(platform)[-1]["actor"] == "ada"
    send(engineer, "state", act="activate", revision="2", reason="bought back")
    assert platform.definitions.newest_revision("too-hot").definition.state == "active"


def test_the_difference_of_two_revisions_is_shown_and_one_is_restored(engineer, platform):
    apply(platform, [too_hot(title="Oven too hot", above=220)], "ben", at(5), "less noise")
    apply(platform, [too_hot(title="Oven too hot", above=230)], "ben", at(6), "still less")
    page = engineer.get(f"{PAGE}?from=1&to=2").text
    assert lacks(page, "<del>215</del>", "<ins>220</ins>", "less noise") == []
    send(engineer, "restore", revision="3", number="1", reason="215 was right")
    newest = platform.definitions.newest_revision("too-hot")
    assert (newest.number, newest.reason) == (4, "215 was right")
    assert definition_document(newest.definition)["above"] == 215


def test_a_definition_is_shown_with_the_titles_of_its_assets_and_with_patterns_as_written(
    engineer, platform
):
    (asset,) = platform.assets.find_matching(["oven-1"])
    platform.assets.store_assets([asset.model_copy(update={"title": "Ofen 1 (Halle B)"})])
    apply(platform, [too_hot(assets=["oven-1", "oven-*"])], "ann", at(1), "of all")
    for address in ("/definitions", PAGE):
        assert "Ofen 1 (Halle B), oven-*" in engineer.get(address).text
    missing = [f"/definitions/none{page}" for page in ("", "/edit")]
    assert [engineer.get(address).status_code for address in missing] == [404, 404]


def test_a_control_chart_shows_its_last_days_and_the_alarms_in_them(engineer, platform):
    document = {"name": "moved", "kind": "control_chart", "assets": ["oven-1"], "severity": "high"}
    apply(platform, [document | {"variable": "temperature"}], "ann", at(0), "x")
    rows = [ReadingRow("oven-1", at(m), {"temperature": 200.0}) for m in range(100)]
    add_readings(platform, rows, at(100))
    page = engineer.get("/definitions/moved").text
    assert 'figure class="chart"' not in page
    fitted = FittedChart(Chart("ewma", 200, 1, 3.0), 60_000, 370, 1.0, 100, 0, ())
    files = to_files(ControlChartModel("ewma", 1, at(0), {"oven-1": fitted}))
    version = register_model(platform, "moved", "run-1", files, {"training_run": "run-1"}, {})
    promoted = replace(decided(at(1)), definition="moved", challenger_version=version)
    platform.decisions.add(promoted, 1)
    platform.clock.instant = at(100)
    page = engineer.get("/definitions/moved").text
    assert (
        lacks(page, "Control chart", "EWMA of the value", "UCL", 'data-live="*"', "chart.js") == []
    )
