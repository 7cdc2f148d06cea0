"""The page of sources: values as they come, and faults."""

from alerting.definitions.sources.source import parse_source
from alerting.usecases.sources.deliver import deliver
from alerting.usecases.sources.documents import apply_sources
from tests.builders import at
from tests.helpers.console.pages import ADMIN_TOKEN, VIEWER_TOKEN, log_in

GATE = {"name": "gate", "kind": "http", "title": "Gate <1>"}


def test_the_page_shows_the_last_row_of_each_source_and_why_one_is_faulty(browser, platform):
    log_in(browser, VIEWER_TOKEN)
    assert "There is no source." in browser.get("/sources").text
    apply_sources(platform, [GATE, {**GATE, "name": "idle", "title": None}], "ada", at(0))
    rows = [
        {"ts": at(0).isoformat(), "asset": "oven-1", "values": {"zone_2": 201.5}},
        {"asset": "oven-1"},
    ]
    deliver(platform, parse_source(GATE), rows, platform.clock.now(), by="gate")
    platform.sources.store_document({"name": "odd", "kind": "http", "stale_after": "soon"})
    page = browser.get("/sources").text
    for shown in (
        "oven-1: zone_2 201.5",
        "1 refused",
        "ts: there is no time",
        "Gate &lt;1&gt;",
        "The source odd is faulty",
    ):
        assert shown in page
    log_in(browser, ADMIN_TOKEN)
    assert '<a href="/sources">Sources</a>' in browser.get("/").text
