"""The page of a trend without a script: everything is in its address; and marks, there and over the
API."""

import re
from dataclasses import replace
from html import unescape

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.definitions.asset_documents import Asset, Variable
from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, oven, too_hot
from tests.helpers.console.api import ADMIN, OPERATOR, TOKENS, episode
from tests.helpers.console.pages import ADMIN_TOKEN, VIEWER_TOKEN, lacks, log_in, send_form
from tests.helpers.console.trends import TREND, swinging  # noqa: F401 - a fixture
from tests.in_memory_platform import in_memory_platform

FOUR_HOURS = "&start=2026-01-05T00:00:00Z&end=2026-01-05T04:00:00Z"


UNSHOWN = {
    "&find=temperature": "Give above, below or both",
    "&find=temperature&above=hot": "“hot” is not a number",
    "&find=temperature&above=nan": "“nan” is not a number",
    "&find=temperature&above=200&below=210": "must not exceed",
    "&find=temperature&above=200&for=soon": "is not a duration",
    "&start=yesterday": "“yesterday” is not a time",
    "&end=0001-01-01T00:00:00Z": "“0001-01-01T00:00:00Z” lies not between 1900 and 2200",
    "&end=9999-12-31T23:59:59Z": "“9999-12-31T23:59:59Z” lies not between 1900 and 2200",
    "&start=2026-01-05&end=2026-01-04": "must begin before it ends",
    "&start=2020-01-05&end=2026-01-04": "at most a year",
}
FORM = {
    "asset": "oven-1",
    "variable": ["temperature"],
    "start": "2026-01-05T02:00:00",
    "end": "2026-01-05T02:30:00",
    "kind": "bad",
    "whole": "",
    "reason": "probe replaced",
    "back": f"{TREND}&span=8h",
}
BODY = {
    "asset": "oven-1",
    "variables": ["temperature"],
    "start": at(120).isoformat(),
    "end": at(150).isoformat(),
    "kind": "bad",
    "reason": "probe replaced",
}


@pytest.fixture
def console(swinging):  # noqa: F811
    made = TestClient(create_app(swinging, TOKENS, now=lambda: at(600)), follow_redirects=False)
    log_in(made, ADMIN_TOKEN)
    return made


def lanes_in(page):
    return page.partition('class="chart-foot"')[0].split('<svg class="panel')[1:]


def test_a_lane_is_drawn_for_each_variable_with_gap_event_and_alarm(console):
    page = console.get(TREND).text
    lanes = lanes_in(page)
    variables = [re.search('class="title"[^>]*>([^<]+)', lane)[1] for lane in lanes]
    assert variables == ["Zone 2 temperature, °C", "moisture, %"]
    for lane in lanes:
        assert len(re.findall('class="band gap"', lane)) == 1
        assert lacks(lane, 'class="band alarm"', "<title>stop</title>") == []
        assert re.search(r'class="line" d="M[\d. ]+L', lane)
    assert lacks(page, ">02:00<", ">10:00<", ">5 Jan<") == []


def test_withdrawn_alarms_take_no_place_among_those_that_are_drawn(console, swinging):  # noqa: F811
    for number in range(101):
        made = episode(590 + number / 100, definition="gone", withdrawn=True)
        swinging.episodes.insert(replace(made, id=f"gone-{number}"))
    page = console.get(TREND).text
    assert all('class="band alarm"' in lane for lane in lanes_in(page))
    assert "gone-" not in page


def test_the_times_of_a_condition_are_listed_and_become_a_definition(console):
    found = f"{TREND}{FOUR_HOURS}&find=temperature"
    page = console.get(f"{found}&above=215&for=5m").text
    assert lacks(page, "4 times", 'class="level"') == []
    draft = unescape(re.findall(r'name="text" value="([^"]+)"', page)[-1])
    assert draft.splitlines() == [
        "name: oven-1-temperature-high",
        "kind: threshold",
        "assets:",
        "- oven-1",
        "variable: temperature",
        "above: 215.0",
        "for: 300s",
    ]
    assert "Not once" in console.get(f"{found}&above=230").text
    log_in(console, VIEWER_TOKEN)
    assert "definitions/new" not in console.get(f"{found}&above=215").text


DRAWN = {
    "": (["Zone 2 temperature, °C", "moisture, %"], ["Too hot 215"], []),
    "&view=overlay": (["Zone 2 temperature, °C", "moisture, % (axis at the right)"], [], []),
    "&variable=speed&view=overlay": (["speed"], ["tick two"], ["at the right"]),
    "&low.temperature=205,5&high.temperature=214": ([], ['data-low="205.5" data-high="214"'], []),
    "&low.temperature=500": ([], ['data-low="500"', "all values lie beyond the axis"], []),
    "&low.temperature=215&high.temperature=205": ([], ["begin below its upper end"], []),
    "&high.moisture=viel": ([], ["“viel” is not a number", 'value="viel"'], []),
    "&text=MOIST": ([], ['value="moisture" checked', 'value="temperature" checked'], ["speed"]),
    "&text=nothing-such": ([], [], ['value="speed"']),
    "&variable=speed&variable=": (["speed"], ["8 m/min", "1 min ago"], []),
    "&find=temperature&above=219": ([], ["<title>Zone 2 temperature</title>", "found time"], []),
    "&statistics=true": ([], [">stop<", ">Alarm</a>", "no value for a day"], ["not drawn"]),
}
"""What is drawn in lanes, and what the page has and lacks, by what is added to the address."""


def test_what_is_drawn_and_listed_by_the_address(console, swinging):  # noqa: F811
    speed = Variable(unit="m/min")
    swinging.assets.store_assets([oven(speed=speed, idle=Variable())])
    add_readings(swinging, [ReadingRow("oven-1", at(599), {"speed": 8.0})], at(600))
    apply(swinging, [too_hot(title="Too hot")], "ada", at(600), "test")
    refused = ("viel", "high.temperature=205")
    for query, (titles, shown, absent) in DRAWN.items():
        answer = console.get(f"{TREND}{query}")
        page = unescape(answer.text)
        assert answer.status_code == (422 if query.endswith(refused) else 200), query
        lanes = [re.search('class="title"[^>]*>([^<]+)', lane)[1] for lane in lanes_in(page)]
        assert [title for title in titles if title not in " ".join(lanes)] == [], query
        assert lacks(page, *shown, *absent) == absent, query
    shared = f"{TREND}&low.temperature=205,5&view=overlay"
    earlier = unescape(re.search(r'href="([^"]+)" rel="prev"', console.get(shared).text)[1])
    assert lacks(earlier, "low.temperature=205%2C5", "view=overlay") == []
    many = "".join(f"&variable=v{n}" for n in range(13))
    numbers = {f"v{n}": Variable() for n in range(13)}
    swinging.assets.store_assets([Asset(name="line", variables=numbers)])
    page = console.get(f"/trends?asset=line{many}").text
    assert (len(lanes_in(page)), lacks(page, "At most 12 variables")) == (12, [])


def test_an_alert_on_a_variable_begins_with_its_preview(console):
    page = console.get(TREND).text
    draft = unescape(re.search(r'id="alert-1".*?name="text" value="([^"]+)"', page)[1])
    assert draft.splitlines()[-2:] == ["variable: temperature", "above: 220.0"]
    answer = send_form(console, "/definitions/new", TREND, text=draft, do="preview")
    assert (answer.status_code, answer.headers["location"][:10]) == (303, "/previews/")
    log_in(console, VIEWER_TOKEN)
    assert lacks(console.get(TREND).text, "Make an alert", "definitions/new", 'id="panel"') == [
        "Make an alert",
        "definitions/new",
    ]


def test_what_cannot_be_shown_is_said_on_the_page(console):
    answers = {query: console.get(TREND + query) for query in UNSHOWN}
    assert {answer.status_code for answer in answers.values()} == {422}
    unsaid = [query for query, answer in answers.items() if UNSHOWN[query] not in answer.text]
    assert unsaid == []


def test_an_address_without_a_time_shows_the_last_readings_if_none_are_new(console, swinging):  # noqa: F811
    swinging.clock.instant = at(60 * 24 * 30)
    page = console.get(f"{TREND}&span=1h").text
    assert lacks(page, "no newer readings", 'class="line" d="M') == []


def test_a_plant_without_numbers_says_what_to_do(console, swinging):  # noqa: F811
    recipe = {"recipe": Variable(type="category")}
    swinging.assets.store_assets([Asset(name="belt", variables=recipe)])
    assert "nothing to draw" in console.get("/trends?asset=belt").text
    empty = TestClient(create_app(in_memory_platform(), TOKENS), follow_redirects=False)
    log_in(empty, ADMIN_TOKEN)
    first = ("no variable to draw yet", 'href="/import">Import a file')
    assert lacks(empty.get("/trends").text, *first) == []
    log_in(empty, VIEWER_TOKEN)
    assert 'href="/import"' not in empty.get("/trends").text.partition("<main")[2]


def test_an_alarm_links_to_the_trend_of_its_variables(console, swinging):  # noqa: F811
    swinging.episodes.insert(episode(550, inputs={"temperature": 216.0, "no-variable": 1.0}))
    page = console.get(f"/episodes/{episode(550).id}").text
    link = unescape(re.search(r'href="(/trends\?[^"]+)"', page)[1])
    assert lacks(link, "variable=temperature&start=2026-01-05T07", "no-variable") == ["no-variable"]
    assert console.get(link).status_code == 200


def test_no_page_allows_scripts_or_styles_of_others_or_within_it(console):
    policy = console.get(TREND).headers["content-security-policy"]
    assert lacks(policy, "script-src 'self';", "style-src 'self';", "unsafe") == ["unsafe"]
    for path in ("/", TREND, "/kpi", "/reports", "/account", "/login", "/access", "/platform"):
        page = console.get(path, headers={"cookie": ""} if path == "/login" else {}).text
        assert not re.search(r'<style|\sstyle="|<script>|\son\w+="', page), path


def test_statistics_and_occurrences_are_those_of_the_readings(console):
    span = {"asset": "oven-1", "variable": "temperature", "start": at(0), "end": at(240)}
    (found,) = console.get("/api/v1/statistics", params=span).json()
    assert found["count"] == 1440
    assert found["mean"] == pytest.approx(210)
    assert found["spread"] == pytest.approx(10 / 2**0.5, rel=1e-3)
    assert (found["lowest"], found["median"], found["highest"]) == pytest.approx((200, 210, 220))
    times = console.get("/api/v1/occurrences", params={**span, "above": 215}).json()
    newest = [one["start"] for one in times["newest"]]
    assert (times["number"], newest) == (4, sorted(newest, reverse=True))
    assert newest[-1].startswith("2026-01-05T00:05")
    assert console.get("/api/v1/occurrences", params=span).status_code == 422


# --- marks


def test_a_time_is_marked_by_the_form_and_undone(console, swinging):  # noqa: F811
    answer = send_form(console, "/trends/labels", TREND, **FORM)
    assert answer.status_code == 303
    back = answer.headers["location"]
    assert back.startswith("/trends?asset=oven-1&variable=temperature")
    assert "span=8h" in back
    (label,) = swinging.labels.in_force(["oven-1"], None)
    assert (label.start, label.end, label.variables) == (at(120), at(150), ("temperature",))
    page = console.get(FORM["back"]).text
    assert "probe replaced" in page
    assert ["marked-bad" in lane for lane in lanes_in(page)] == [True, False]
    assert lacks(page, "bad quality", "marked as bad") == []
    undone = send_form(console, f"/trends/labels/{label.id}/undo", TREND, back=FORM["back"])
    assert undone.status_code == 303
    assert swinging.labels.in_force(["oven-1"], None) == []
    assert "probe replaced" not in console.get(FORM["back"]).text


def test_a_refused_mark_is_shown_with_what_was_typed(console, swinging):  # noqa: F811
    refused = ({"reason": "  ", "whole": "1"}, {"kind": "ugly"}, {"start": "soon"})
    answers = [send_form(console, "/trends/labels", TREND, **FORM | changes) for changes in refused]
    assert [answer.status_code for answer in answers] == [422, 422, 422]
    kept = ('name="kind" value="bad" required checked', 'name="whole" value="1" checked')
    page = answers[0].text
    assert lacks(page, "reason is needed", 'value="2026-01-05T02:00:00"', *kept) == []
    assert swinging.labels.in_force(["oven-1"], None) == []


def test_labels_over_the_api(swinging):  # noqa: F811
    api = TestClient(create_app(swinging, TOKENS), headers=ADMIN, base_url="http://plant/api/v1")
    made = api.post("labels", json=BODY).json()
    assert api.post("labels", json=BODY).json() == made
    assert api.post("labels", headers=OPERATOR, json=BODY).status_code == 403
    other = {**BODY, "kind": "not_to_learn_from", "variables": []}
    second = api.post("labels", json=other).json()
    first = api.get("labels?asset=oven-1&limit=1").json()
    rest = api.get(f"labels?asset=oven-1&limit=1&cursor={first['next']}").json()
    listed = {one["id"] for one in (*first["items"], *rest["items"])}
    assert (listed, rest["next"]) == ({made["id"], second["id"]}, None)
    assert api.post(f"labels/{second['id']}:undo").json()["undone_by"]
    span = {"asset": "oven-1", "variable": "temperature", "start": at(0), "end": at(200)}
    shown = api.get("series", params=span).json()["series"][0]
    assert shown["bad"] == [[at(120).timestamp(), at(150).timestamp()]]
    refused = [
        ("labels", {**BODY, "asset": "oven-9"}, 404),
        ("labels", {**BODY, "variables": ["no"]}, 404),
        ("labels", {**BODY, "end": BODY["start"]}, 422),
        ("labels", {**BODY, "kind": "ugly"}, 422),
        ("labels", {**BODY, "more": 1}, 422),
        (f"labels/{'f' * 16}:undo", {}, 404),
    ]
    statuses = [api.post(path, json=body).status_code for path, body, _ in refused]
    assert statuses == [status for _, _, status in refused]
