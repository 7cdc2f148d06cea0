"""Definitions with the same title on the pages that list them by it."""

from alerting.usecases.definitions.sync import apply
from tests.builders import at, too_moist
from tests.helpers.console.pages import log_in


def test_definitions_with_the_same_title_are_listed_with_their_names(browser, platform):
    apply(platform, [too_moist(title="Moisture")], "engineer", at(0), "first")
    log_in(browser)
    assert '<span class="facts">too-moist</span>' not in browser.get("/models").text
    other = too_moist(name="too-moist-2", title="Moisture")
    apply(platform, [other], "engineer", at(1), "the same on another line")
    page = browser.get("/models").text
    assert '<span class="facts">too-moist</span>' in page
    assert '<span class="facts">too-moist-2</span>' in page


def test_the_reports_on_a_definition_name_it(browser, platform):
    apply(platform, [too_moist(title="Moisture")], "engineer", at(0), "first")
    log_in(browser)
    assert (
        "<small>Moisture · too-moist</small>" in browser.get("/reports?definition=too-moist").text
    )
