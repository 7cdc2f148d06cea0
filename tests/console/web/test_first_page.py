"""The first page of a platform without alarms: what is watched, trained, evaluated to when, and
what comes next."""

import html
import re
from dataclasses import replace

import pytest

from alerting.definitions.wording.language import LANGUAGES
from alerting.usecases.definitions.sync import apply
from alerting.usecases.sources.documents import apply_sources
from alerting.usecases.training.due import begin_training, end_run
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.console.episode_page import browser_of, hot_now, read, tick
from tests.helpers.console.pages import ADMIN_TOKEN, OPERATOR_TOKEN, log_in
from tests.humid_line import humid_oven
from tests.in_memory_platform import in_memory_platform

FAMILIES = ["logistic_regression", "lightgbm"]


@pytest.fixture
def platform():
    return in_memory_platform()


def work(platform, language="en", role="operator"):
    """Return the text of the section on what the platform does, and the addresses that it names."""
    browser = browser_of(platform)
    log_in(browser, {"operator": OPERATOR_TOKEN, "admin": ADMIN_TOKEN}[role])
    page = browser.get("/", headers={"accept-language": language}).text
    section = page.partition('<section id="work">')[2].partition("</section>")[0]
    text = html.unescape(" ".join(re.sub(r"<[^>]+>", " ", section).split()))
    return text, re.findall(r'href="([^"]+)"', section)


def put_in_training(platform):
    """Put a definition with a model into service and begin its training."""
    platform.assets.store_assets([humid_oven()])
    apply(
        platform,
        [too_moist(title="Too moist", assets=["humid-oven"], learning={"candidates": FAMILIES})],
        "engineer",
        at(0),
        "test",
    )
    platform.clock.instant = at(2)
    (revision,) = platform.definitions.latest_revisions()
    return begin_training(platform, revision, None)


def test_an_engineer_is_led_from_the_first_file_to_the_question(platform):
    text, addresses = work(platform, role="admin")
    assert "1" not in text and "Import past readings, or connect a source" in text
    assert addresses[:2] == ["/import", "/sources"]
    platform.assets.store_assets([oven()])
    read(platform, {0: 205.0})
    _, addresses = work(platform, role="admin")
    assert addresses[:3] == ["/sources", "/trends", "/definitions/new"]
    apply(platform, [too_hot(stale_after="1d", state="draft")], "engineer", at(0), "test")
    _, addresses = work(platform, role="admin")
    assert "/definitions" in addresses


def test_an_operator_reads_that_nothing_is_watched_and_is_not_sent_to_configure(platform):
    assert work(platform) == ("What comes next Nothing is watched yet.", [])


def test_a_source_that_has_delivered_nothing_is_waited_for(platform):
    apply_sources(platform, [{"name": "gate", "kind": "http"}], "ada", at(0))
    assert "has delivered nothing yet" in work(platform, role="admin")[0]


def test_a_threshold_is_watched_and_evaluated_to_an_instant_and_a_missing_route_is_named(platform):
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot(title="Oven too hot", stale_after="1d")], "engineer", at(0), "test")
    text, addresses = work(platform)
    assert "Watched now 1 Oven too hot oven-1 Not evaluated yet" in text
    assert addresses == ["/definitions/too-hot"]
    assert "/routes" in work(platform, role="admin")[1]
    read(platform, dict.fromkeys(range(10), 205.0))
    tick(platform, 10)
    assert "Oven too hot oven-1 Evaluated up to " in work(platform)[0]


def test_a_training_is_shown_with_its_step_and_since_when_and_leads_to_its_models(platform):
    training = put_in_training(platform)
    text, addresses = work(platform)
    assert "Its model is being trained since today 00:02 (step 1 of 5)." in text
    assert "/models/too-moist" in addresses
    run = platform.runs.start_run(
        "too-moist", "r1", {"definition": "too-moist", "revision": "1", "as_of": at(0).isoformat()}
    )
    assert "(step 2 of 5)" in work(platform)[0]
    child = platform.runs.start_run(
        "too-moist", FAMILIES[0], {"family": FAMILIES[0], "fitted": "true"}, parent=run
    )
    platform.runs.finish(child)
    assert "(step 3 of 5)" in work(platform)[0]
    end_run(platform, "too-moist", training.run, "the disk is full")
    assert "Its training failed at" in work(platform)[0]


def test_it_is_said_in_each_language(platform):
    put_in_training(platform)
    texts = {code: work(platform, code)[0] for code in LANGUAGES}
    assert "Schritt 1 von 5" in texts["de"] and "étape 1 sur 5" in texts["fr"]
    assert all("training" not in texts[code] for code in ("de", "fr"))


def test_with_the_first_alarm_it_makes_room():
    assert work(hot_now()) == ("", [])


@pytest.mark.parametrize(
    ("speed", "named"),
    [
        (None, None),
        (10.0, "time of the simulated line, 10 times real time"),
        (0.0, "time of the simulated line, which stands still"),
    ],
)
def test_every_page_names_the_clock_of_a_simulated_line(platform, speed, named):
    browser = browser_of(replace(platform, line_speed=lambda: speed))
    for path in ("/", "/kpi", "/sources", "/routes", "/reports"):
        page = browser.get(path).text
        assert ("simulated line" in page) == (named is not None)
        assert named is None or f"Times: UTC, {named}" in page


def test_an_address_without_a_page_says_so_in_the_readers_language(platform):
    page = browser_of(platform).get("/nothing", headers={"accept-language": "de"})
    assert page.status_code == 404
    assert "Unter dieser Adresse gibt es keine Seite" in page.text
