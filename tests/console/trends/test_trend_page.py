"""The page of a trend without a script: everything is in its address."""

import re
from html import unescape

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.console.scripts import serving
from alerting.definitions.assets import Asset, Variable
from tests.builders import at
from tests.helpers.console.api import TOKENS, VIEWER, episode
from tests.helpers.console.pages import ADMIN_TOKEN, VIEWER_TOKEN, log_in
from tests.helpers.console.trends import TREND, swinging  # noqa: F401 - a fixture
from tests.in_memory_platform import in_memory_platform

FOUR_HOURS = "&start=2026-01-05T00:00:00Z&end=2026-01-05T04:00:00Z"


@pytest.fixture
def console(swinging):  # noqa: F811
    made = TestClient(create_app(swinging, TOKENS, now=lambda: at(600)), follow_redirects=False)
    log_in(made, ADMIN_TOKEN)
    return made


def test_a_lane_is_drawn_for_each_variable_with_gap_event_and_alarm(console):
    page = console.get(TREND).text
    lanes = page.split('<figure class="chart lane-of"')[1:]
    assert [re.search('data-variable="([^"]+)"', lane)[1] for lane in lanes] == [
        "temperature",
        "moisture",
    ]
    for lane in lanes:
        assert len(re.findall('class="gap"', lane)) == 1
        assert 'class="band alarm"' in lane
        assert "<title>stop</title>" in lane
        assert re.search(r'class="line" d="M[\d. ]+L', lane)
    assert "02:00" in page
    assert "10:00" in page


def test_the_times_of_a_condition_are_listed_and_become_a_definition(console):
    page = console.get(f"{TREND}{FOUR_HOURS}&find=temperature&above=215&for=5m").text
    assert "4 times" in page
    draft = unescape(re.search(r'name="text" value="([^"]+)"', page)[1])
    assert draft.splitlines() == [
        "name: oven-1-temperature-high",
        "kind: threshold",
        "assets:",
        "- oven-1",
        "variable: temperature",
        "above: 215.0",
        "for: 300s",
    ]
    assert 'class="level"' in page
    assert "Not once" in console.get(f"{TREND}{FOUR_HOURS}&find=temperature&above=230").text
    log_in(console, VIEWER_TOKEN)
    of_a_viewer = console.get(f"{TREND}{FOUR_HOURS}&find=temperature&above=215").text
    assert "definitions/new" not in of_a_viewer


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("&find=temperature", "Give above, below or both"),
        ("&find=temperature&above=hot", "“hot” is not a number"),
        ("&find=temperature&above=nan", "“nan” is not a number"),
        ("&find=temperature&above=200&below=210", "must not exceed"),
        ("&find=temperature&above=200&for=soon", "is not a duration"),
        ("&start=yesterday", "“yesterday” is not a time"),
        ("&end=0001-01-01T00:00:00Z", "“0001-01-01T00:00:00Z” lies not between 1900 and 2200"),
        ("&end=9999-12-31T23:59:59Z", "“9999-12-31T23:59:59Z” lies not between 1900 and 2200"),
        ("&start=2026-01-05&end=2026-01-04", "must begin before it ends"),
        ("&start=2020-01-05&end=2026-01-04", "at most a year"),
    ],
)
def test_what_cannot_be_shown_is_said_on_the_page(console, query, words):
    answer = console.get(TREND + query)
    assert answer.status_code == 422
    assert words in answer.text


def test_an_address_without_a_time_shows_the_last_readings_if_none_are_new(console, swinging):  # noqa: F811
    swinging.clock.instant = at(60 * 24 * 30)
    page = console.get(f"{TREND}&span=1h").text
    assert "no newer readings" in page
    assert 'class="line" d="M' in page


def test_a_plant_without_numbers_says_what_to_do(console, swinging):  # noqa: F811
    swinging.assets.store_assets(
        [Asset(name="belt", variables={"recipe": Variable(type="category")})]
    )
    assert "nothing to draw" in console.get("/trends?asset=belt").text
    empty = TestClient(create_app(in_memory_platform(), TOKENS), follow_redirects=False)
    log_in(empty, ADMIN_TOKEN)
    page = empty.get("/trends").text
    assert "no variable to draw yet" in page
    assert 'href="/import">Import a file' in page
    log_in(empty, VIEWER_TOKEN)
    assert 'href="/import"' not in empty.get("/trends").text.partition("<main>")[2]


def test_an_alarm_links_to_the_trend_of_its_variables(console, swinging):  # noqa: F811
    swinging.episodes.insert(episode(550, inputs={"temperature": 216.0, "no-variable": 1.0}))
    page = console.get(f"/episodes/{episode(550).id}").text
    link = unescape(re.search(r'href="(/trends\?[^"]+)"', page)[1])
    assert "variable=temperature&start=2026-01-05T07" in link
    assert "no-variable" not in link
    assert console.get(link).status_code == 200


def test_without_uplot_the_page_says_that_the_server_draws(console, monkeypatch):
    assert "/scripts/trends.js" in console.get(TREND).text
    own = {name: one for name, one in serving.scripts().items() if name not in serving.UPLOT}
    monkeypatch.setattr(serving, "scripts", lambda: own)
    page = console.get(TREND).text
    assert "/scripts/trends.js" not in page
    assert "uPlot is not installed" in page


def test_no_page_allows_scripts_or_styles_of_others_or_within_it(console):
    policy = console.get(TREND).headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "unsafe" not in policy
    for path in ("/", TREND, "/kpi", "/reports", "/account", "/login", "/access", "/platform"):
        page = console.get(path, headers={"cookie": ""} if path == "/login" else {}).text
        assert not re.search(r'<style|\sstyle="|<script>|\son\w+="', page), path


def test_statistics_and_occurrences_are_those_of_the_readings(swinging):  # noqa: F811
    client = TestClient(create_app(swinging, TOKENS))
    span = {"asset": "oven-1", "variable": "temperature", "start": at(0), "end": at(240)}
    (found,) = client.get("/api/v1/statistics", params=span, headers=VIEWER).json()
    assert found["count"] == 1440
    assert found["mean"] == pytest.approx(210)
    assert found["spread"] == pytest.approx(10 / 2**0.5, rel=1e-3)
    assert (found["lowest"], found["median"], found["highest"]) == pytest.approx((200, 210, 220))
    times = client.get("/api/v1/occurrences", params={**span, "above": 215}, headers=VIEWER).json()
    assert times["number"] == 4
    newest = [one["start"] for one in times["newest"]]
    assert newest == sorted(newest, reverse=True)
    assert newest[-1].startswith("2026-01-05T00:05")
    refused = client.get("/api/v1/occurrences", params=span, headers=VIEWER)
    assert refused.status_code == 422
