"""The page of sources: values as they come, and faults."""

from html import unescape

from alerting.definitions.sources.source import parse_source
from alerting.definitions.wording.language import translatable
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


def test_faults_of_sources_are_told_in_the_language_of_the_engineer(browser, platform):
    apply_sources(platform, [GATE], "ada", at(0))
    rows = [{"asset": "oven-1"}, {"ts": "gestern", "asset": "oven-1", "values": {"zone_2": 1}}]
    deliver(platform, parse_source(GATE), rows, platform.clock.now(), by="gate")
    log_in(browser, ADMIN_TOKEN)
    german = {"accept-language": "de"}
    for address in ("/sources", "/sources/gate"):
        page = unescape(browser.get(address, headers=german).text)
        assert "ts: 'gestern' ist kein Zeitpunkt; schreiben Sie ISO 8601" in page
    fault = translatable("the broker refuses: {reason}", reason="Not authorized")
    text = translatable("source {name}: {text}", name="gate", text=fault)
    platform.deliveries.set_fault("gate", text)
    for address in ("/sources", "/sources/gate"):
        page = unescape(browser.get(address, headers=german).text)
        assert "Quelle gate: der Broker lehnt ab: Not authorized" in page
        assert "the broker refuses" not in page
    platform.deliveries.set_fault("gate", "a text of an earlier release")
    assert "a text of an earlier release" in browser.get("/sources/gate", headers=german).text
