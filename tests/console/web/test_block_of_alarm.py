"""The production that an alarm blocks, on its page, as CSV and in the API."""

import csv
import io

from tests.helpers.blocking_line import blocking_line, live
from tests.helpers.console.episode_page import browser_of
from tests.helpers.console.pages import lacks, text_of


def opened(platform):
    [episode] = platform.episodes.find()
    return browser_of(platform), f"/episodes/{episode.id}"


def test_the_page_names_times_pieces_and_lots_in_the_readers_language():
    browser, page = opened(live(blocking_line()))
    shown = text_of(browser.get(page).text)
    expected = ("01:30 to 03:00 (1 h 30 min), 900 pieces, lots L1, L2 and L3", "L2 : today 01:40")
    assert lacks(shown.replace("L2:", "L2 :"), *expected) == []
    german = text_of(browser.get(page, headers={"accept-language": "de"}).text)
    assert lacks(german, "900 Stück, Chargen L1, L2 und L3; gut bis zur Probe von") == []


def test_programs_and_spreadsheets_get_each_lot_with_its_pieces():
    platform = live(blocking_line())
    browser, page = opened(platform)
    file = browser.get(f"{page}/block.csv")
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [(row["lot"], row["units"]) for row in rows] == [
        ("L1", "100.0"),
        ("L2", "400.0"),
        ("L3", "400.0"),
    ]
    assert (file.headers["content-type"].split(";")[0], rows[0]["start"]) == (
        "text/csv",
        "2026-01-05T01:30:00+00:00",
    )
    block = browser.get(f"/api/v1{page}").json()["block"]
    assert (block["units"], block["lots"][1]["name"], block["start"]) == (
        900,
        "L2",
        "2026-01-05T01:30:00Z",
    )
    assert block["message"].startswith("block 2026-01-05 01:30 UTC to 2026-01-05 03:00 UTC, 900")


def test_an_alarm_that_blocks_nothing_shows_nothing_of_it():
    browser, page = opened(live(blocking_line(blocks_production=False)))
    assert "block.csv" not in browser.get(page).text
    assert browser.get(f"/api/v1{page}").json()["block"] is None
    assert len(browser.get(f"{page}/block.csv").text.splitlines()) == 1
