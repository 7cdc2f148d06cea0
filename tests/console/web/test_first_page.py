"""The way in, the menu, and the first page: faults of the platform in one line, and on a platform
without alarms what is watched, trained, evaluated to when, and what comes next."""

import re
from dataclasses import replace
from html import unescape

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.notification.routing import ROUTES
from alerting.usecases.sources.status import SOURCES
from alerting.usecases.training.due import begin_training, end_run
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.console.api import TOKENS, episode
from tests.helpers.console.episode_page import hot_now, read, tick
from tests.helpers.console.pages import (
    ADMIN_TOKEN,
    OPERATOR_TOKEN,
    VIEWER_TOKEN,
    lacks,
    log_in,
    text_of,
)
from tests.humid_line import humid_oven
from tests.in_memory_platform import Mailbox, in_memory_platform


def signed_in(platform, token=OPERATOR_TOKEN, **options):
    made = TestClient(create_app(platform, TOKENS, **options), follow_redirects=False)
    log_in(made, token)
    return made


def test_a_token_leads_from_the_login_to_the_page_and_its_cookie_is_out_of_reach(browser):
    answer = browser.get("/episodes/abc")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/episodes/abc")
    assert 'name="next" value="/episodes/abc"' in browser.get("/login?next=/episodes/abc").text
    refused = log_in(browser, "wrong-token-0123456789")
    assert (refused.status_code, "not valid" in refused.text) == (401, True)
    assert "set-cookie" not in refused.headers
    cookie = log_in(browser).headers["set-cookie"]
    assert lacks(cookie, "HttpOnly", "SameSite=strict", OPERATOR_TOKEN) == [OPERATOR_TOKEN]
    page = browser.get("/").text
    assert (
        re.findall(r'(?:src|href)="(?!/|data:,|#content")[^"]*"', page) == []
    )  # nothing from elsewhere
    assert "url(" not in browser.get("/style.css").text


def test_a_forged_session_or_one_whose_token_was_taken_away_is_nobody(browser, platform, wall):
    log_in(browser)
    cookie = browser.cookies["alerting_session"]
    fewer = {token: owner for token, owner in TOKENS.items() if token != OPERATOR_TOKEN}
    asked = [(fewer, cookie), (TOKENS, cookie)]
    changed = cookie[:-1] + ("0" if cookie[-1] != "0" else "1")
    asked += [(TOKENS, forged) for forged in (f"9{cookie}", changed, "x", ".")]
    statuses = []
    for tokens, sent in asked:
        app = create_app(platform, tokens, now=wall)
        other = TestClient(app, cookies={"alerting_session": sent}, follow_redirects=False)
        statuses.append(other.get("/").status_code)
    assert statuses == [303, 200, 303, 303, 303, 303]


def test_the_first_page_says_in_one_line_that_alarms_are_off_and_an_engineer_finds_the_faults(
    browser, platform
):
    log_in(browser)
    assert "alarms are off" not in browser.get("/").text
    platform.platform_alerts.report("approval waiting", "too-moist", "a person decides", at(0))
    assert "alarms are off" not in browser.get("/").text, "every alarm still comes"
    away = "the <registry> does not answer"
    platform.platform_alerts.report("champion unreadable", "too-moist", away, at(0))
    page = browser.get("/").text  # no channel has a message on it
    said = ("Some alarms are off since ", ": call the engineer.", "registry")
    assert lacks(page, *said) == ["registry"]
    log_in(browser, ADMIN_TOKEN)
    front = browser.get("/").text
    assert '<a class="more" href="/platform">1 fault of the platform</a>' in front
    assert ">1 thing waits for an engineer; every alarm comes meanwhile</a>" in front
    faults = ("Champion unreadable: too-moist", "The &lt;registry&gt; does not answer.")
    page = browser.get("/platform").text
    assert lacks(page, *faults, "No route asks for faults of the platform") == []


def test_an_operator_reads_that_messages_are_not_delivered_where_every_alarm_comes(
    browser, platform
):
    log_in(browser)
    platform.platform_alerts.report("channel failing", "channel chat", "403", at(0))
    page = browser.get("/").text
    said = ("Messages of some alarms are not delivered since ", "Some alarms are off")
    assert lacks(page, *said) == ["Some alarms are off"]


ROUTE = {"name": "engineers", "channels": ["engineer"], "platform": True}
CALL = "call the engineer."


def test_an_operator_reads_that_an_engineer_has_been_told_once_the_message_is_out(wall):
    platform = in_memory_platform(Mailbox("engineer"), Mailbox("log"))
    ROUTES.apply(platform, [ROUTE], "ada", at(0))
    platform.platform_alerts.report("evaluation late", "evaluate__1m", "not evaluated", at(0))
    browser = signed_in(platform, now=wall)
    assert CALL in browser.get("/").text
    deliver_due(platform, at(1))
    told = "A message on it was delivered: engineer, today 00:01."
    assert lacks(browser.get("/").text, told, CALL) == [CALL]
    platform.platform_alerts.report("evaluation late", "evaluate__5m", "not evaluated", at(2))
    assert CALL in browser.get("/").text, "nobody was told of the second fault"
    assert "Faults are sent to: engineer." in browser.get("/platform").text


@pytest.mark.parametrize("name", ["log", "engineer"])
def test_nobody_is_said_to_be_told_by_the_log_alone_or_without_a_delivered_message(name, wall):
    box = Mailbox(name)
    box.broken = name == "engineer"
    platform = in_memory_platform(box)
    ROUTES.apply(platform, [ROUTE] if box.broken else [], "ada", at(0))
    platform.platform_alerts.report("evaluation late", "evaluate__1m", "not evaluated", at(0))
    deliver_due(platform, at(1))
    assert CALL in signed_in(platform, now=wall).get("/").text


def test_the_menu_has_what_a_role_needs(browser):
    everyone = ["Alerting", "Jump to", "Now", "Hand-over", "Mutes", "More"]
    everyone += ["Jump to", "Assets", "Trends", "Definitions", "Models"]
    everyone += ["Help", "Plant", "Alarm quality", "Reports"]
    admins = [*everyone, "Routes", "Sources", "Sinks", "Platform", "Audit", "Access"]
    found = []
    for token in (VIEWER_TOKEN, OPERATOR_TOKEN, ADMIN_TOKEN):
        log_in(browser, token)
        menu = browser.get("/").text.partition("<nav")[2].partition('<div class="who">')[0]
        found.append(re.findall(r">([^<\n]+)</(?:a|span)>", menu))
    assert found == [everyone, everyone, admins]


def test_of_more_open_alerts_than_a_page_holds_none_is_lost(browser, platform):
    made = [episode(minute, f"oven-{minute}", condition="open") for minute in range(260)]
    for one in made:
        platform.episodes.insert(one)
    log_in(browser)
    assert "Older open alarms are below." in browser.get("/").text
    seen = set()
    address = "/"
    while address:
        page = browser.get(address).text
        seen |= set(re.findall(r"/episodes/([0-9a-f]{24})", page))
        more = re.search(r'href="(/\?cursor=[^"]+)"', page)
        address = more and unescape(more[1])
    assert seen == {one.id for one in made}


# --- what the platform does, while there are no alarms


FAMILIES = ["logistic_regression", "lightgbm"]


@pytest.fixture
def calm():
    return in_memory_platform()


def work(platform, language="en", role="operator"):
    """Return the text of the section on what the platform does, and the addresses that it names."""
    browser = signed_in(platform, f"{role}-token-0123456789")
    page = browser.get("/", headers={"accept-language": language}).text
    section = page.partition('<section id="work">')[2].partition("</section>")[0]
    return text_of(section), re.findall(r'href="([^"]+)"', section)


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


def test_people_are_led_from_the_first_file_to_the_question(calm):
    assert work(calm) == ("What comes next Nothing is watched yet.", [])
    text, addresses = work(calm, role="admin")
    assert lacks(text, "Import past readings, or connect a source", "1") == ["1"]
    assert addresses[:2] == ["/import", "/sources"]
    SOURCES.apply(calm, [{"name": "gate", "kind": "http"}], "ada", at(0))
    assert "has delivered nothing yet" in work(calm, role="admin")[0]
    calm.assets.store_assets([oven()])
    read(calm, {0: 205.0})
    assert work(calm, role="admin")[1][:3] == ["/sources", "/trends", "/definitions/new"]
    apply(calm, [too_hot(stale_after="1d", state="draft")], "engineer", at(0), "test")
    assert "/definitions" in work(calm, role="admin")[1]
    empty = signed_in(calm)
    assert "Nothing is watched yet." in empty.get("/").text
    assert "No report yet." in empty.get("/reports").text


def test_a_threshold_is_watched_and_evaluated_to_an_instant_and_a_missing_route_is_named(calm):
    calm.assets.store_assets([oven()])
    apply(calm, [too_hot(title="Oven too hot", stale_after="1d")], "engineer", at(0), "test")
    text, addresses = work(calm)
    assert "Watched now 1 Oven too hot oven-1 Not evaluated yet" in text
    assert addresses == ["/definitions/too-hot"]
    assert "/routes" in work(calm, role="admin")[1]
    read(calm, dict.fromkeys(range(10), 205.0))
    tick(calm, 10)
    assert "Oven too hot oven-1 Evaluated up to " in work(calm)[0]
    assert work(hot_now()) == ("", [])  # with the first alarm it makes room


def test_a_training_is_shown_with_its_step_and_since_when_and_leads_to_its_models(calm):
    calm.assets.store_assets([humid_oven()])
    learning = {"assets": ["humid-oven"], "learning": {"candidates": FAMILIES}}
    apply(calm, [too_moist(title="Too moist", **learning)], "engineer", at(0), "test")
    calm.clock.instant = at(2)
    training = begin_training(calm, calm.definitions.newest_revision("too-moist"), None)
    text, addresses = work(calm)
    assert "Its model is being trained since today 00:02 (step 1 of 5)." in text
    assert "/models/too-moist" in addresses
    texts = {code: work(calm, code)[0] for code in ("de", "fr")}
    assert "Schritt 1 von 5" in texts["de"] and "étape 1 sur 5" in texts["fr"]
    assert "training" not in texts["de"] + texts["fr"]
    tags = {"definition": "too-moist", "revision": "1", "as_of": at(0).isoformat()}
    run = calm.runs.start_run("too-moist", "r1", tags)
    assert "(step 2 of 5)" in work(calm)[0]
    fitted = {"family": FAMILIES[0], "fitted": "true"}
    calm.runs.finish(calm.runs.start_run("too-moist", FAMILIES[0], fitted, parent=run))
    assert "(step 3 of 5)" in work(calm)[0]
    end_run(calm, "too-moist", training.run, "the disk is full")
    assert "Its training failed at" in work(calm)[0]


CLOCKED = ("/", "/kpi", "/sources", "/routes", "/reports")


def test_every_page_names_the_clock_of_a_simulated_line(calm):
    named = {
        None: "Times: UTC",
        10.0: "Times: UTC, time of the simulated line, 10 times real time",
        0.0: "Times: UTC, time of the simulated line, which stands still",
    }
    for speed, words in named.items():
        browser = signed_in(replace(calm, line_speed=lambda speed=speed: speed))
        pages = "".join(browser.get(path).text for path in CLOCKED)
        assert pages.count(words) == len(CLOCKED)
        assert pages.count("simulated line") == (0 if speed is None else len(CLOCKED))


def test_an_address_without_a_page_says_so_in_the_readers_language(calm):
    page = signed_in(calm).get("/nothing", headers={"accept-language": "de"})
    assert page.status_code == 404
    assert "Unter dieser Adresse gibt es keine Seite" in page.text
