"""The list of definitions, the page of one, and its states, revisions and differences."""

import re
from dataclasses import replace

import pytest

from alerting.definitions.revisions import definition_document
from alerting.episodes.episode import OutcomeRecord
from alerting.usecases.definitions.sync import apply
from tests.builders import at, too_hot
from tests.helpers.console.api import episode
from tests.helpers.console.pages import ADMIN_TOKEN, browser, csrf_of, log_in, wall
from tests.helpers.stores import audit_entries

__all__ = ["browser", "wall"]
PAGE = "/definitions/too-hot"


@pytest.fixture
def engineer(browser):
    log_in(browser, ADMIN_TOKEN)
    return browser


def send(browser, address, **fields):
    return browser.post(address, data={"csrf": csrf_of(browser.get(PAGE)), **fields})


def counted(minute, outcome):
    record = OutcomeRecord(outcome, "said so", None, None, False, False, 1)
    return episode(minute, outcome_record=record)


def lines_of(page):
    return re.findall(r'href="/definitions/([\w-]+)">\s*<span class="about">', page.text)


def test_a_line_says_what_is_watched_how_often_it_raised_and_how_often_rightly(engineer, platform):
    for minute, outcome in ((0, "hit"), (10, "hit"), (20, "false_alarm"), (30, "undetermined")):
        platform.episodes.insert(counted(minute, outcome))
    platform.episodes.insert(replace(episode(40), backfilled=True))
    page = engineer.get("/definitions").text
    assert "Zone 2 temperature above 215 °C" in page
    assert 'aria-label="4 raises in 28 days"' in page
    assert "<strong>67 %</strong> <small>21 % to 94 %, 2 of 3" in page
    assert "Moisture above 4.5 % for 5 min, 30 min ahead" in page or "moisture above" in page


def test_the_search_and_the_filters_live_in_the_address(engineer, platform):
    apply(platform, [too_hot(name="cold", state="draft", tags=["winter"])], "ann", at(1), "x")
    platform.definitions.mark_faulty("too-moist", ["horizon: is missing"])
    assert lines_of(engineer.get("/definitions")) == ["cold", "too-hot", "too-moist"]
    assert lines_of(engineer.get("/definitions?state=draft")) == ["cold"]
    faulty = engineer.get("/definitions?state=faulty")
    assert lines_of(faulty) == ["too-moist"]
    assert "horizon: is missing" in faulty.text
    assert lines_of(engineer.get("/definitions?text=WINTER")) == ["cold"]
    assert lines_of(engineer.get("/definitions?asset=oven-2")) == []
    assert "None matches" in engineer.get("/definitions?asset=oven-2").text


def test_the_list_goes_on_page_by_page(engineer, platform):
    apply(platform, [too_hot(name=f"d{n:03}") for n in range(60)], "ann", at(1), "x")
    first = engineer.get("/definitions")
    assert len(lines_of(first)) == 50
    address = re.search(r'href="(/definitions\?after=[^"]+)"', first.text)[1]
    assert lines_of(engineer.get(address)) == [f"d{n:03}" for n in range(50, 60)] + [
        "too-hot",
        "too-moist",
    ]


def test_a_definition_is_retired_and_activated_with_a_reason(engineer, platform):
    send(engineer, f"{PAGE}/retire", revision="1", reason="oven sold")
    retired = platform.definitions.newest_revision("too-hot")
    assert (retired.definition.state, retired.reason) == ("retired", "oven sold")
    assert audit_entries(platform)[-1]["actor"] == "ada"
    send(engineer, f"{PAGE}/activate", revision="2", reason="bought back")
    assert platform.definitions.newest_revision("too-hot").definition.state == "active"


def test_the_difference_of_two_revisions_is_shown_and_one_is_restored(engineer, platform):
    apply(platform, [too_hot(title="Oven too hot", above=220)], "ben", at(5), "less noise")
    apply(platform, [too_hot(title="Oven too hot", above=230)], "ben", at(6), "still less")
    page = engineer.get(f"{PAGE}?from=1&to=2").text
    assert "<del>215</del>" in page
    assert "<ins>220</ins>" in page
    assert "less noise" in page
    send(engineer, f"{PAGE}/restore", revision="3", number="1", reason="215 was right")
    newest = platform.definitions.newest_revision("too-hot")
    assert (newest.number, newest.reason) == (4, "215 was right")
    assert definition_document(newest.definition)["above"] == 215


@pytest.mark.parametrize("address", ["/definitions/none", "/definitions/none/edit"])
def test_an_unknown_definition_has_no_page(engineer, address):
    assert engineer.get(address).status_code == 404


def test_a_definition_is_shown_with_the_titles_of_its_assets_and_with_patterns_as_written(
    engineer, platform
):
    (asset,) = platform.assets.find_matching(["oven-1"])
    platform.assets.store_assets([asset.model_copy(update={"title": "Ofen 1 (Halle B)"})])
    apply(platform, [too_hot(assets=["oven-1", "oven-*"])], "ann", at(1), "of all")
    for address in ("/definitions", PAGE):
        assert "Ofen 1 (Halle B), oven-*" in engineer.get(address).text
