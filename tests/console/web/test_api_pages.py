"""The pages: the way in and out, what is shown, and feedback by form."""

import re
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.definitions.assets import Variable
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.notification.routes import apply_routes
from tests.builders import at, oven
from tests.helpers.console.api import TOKENS, VIEWER, episode
from tests.helpers.console.pages import ADMIN_TOKEN, OPERATOR_TOKEN, VIEWER_TOKEN, csrf_of, log_in
from tests.in_memory_platform import Mailbox, in_memory_platform

OWN_SCRIPTS = {
    f'<script type="module" src="/scripts/{name}.js">'
    for name in ("live", "menu", "language", "install")
}


def test_without_a_session_every_page_leads_to_the_login_and_back(browser):
    answer = browser.get("/episodes/abc")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/episodes/abc")
    assert 'name="next" value="/episodes/abc"' in browser.get("/login?next=/episodes/abc").text


def test_the_cookie_holds_no_token_and_is_out_of_reach_for_scripts_and_other_sites(browser):
    cookie = log_in(browser).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert OPERATOR_TOKEN not in cookie
    assert browser.get("/").status_code == 200


def test_a_wrong_token_is_told_and_gets_no_cookie(browser):
    answer = log_in(browser, "wrong-token-0123456789")
    assert answer.status_code == 401
    assert "not valid" in answer.text
    assert "set-cookie" not in answer.headers


def test_a_session_ends_when_its_token_is_taken_away(browser, platform, wall):
    log_in(browser)
    fewer = {token: owner for token, owner in TOKENS.items() if token != OPERATOR_TOKEN}
    later = TestClient(
        create_app(platform, fewer, now=wall), cookies=dict(browser.cookies), follow_redirects=False
    )
    assert later.get("/").status_code == 303


@pytest.mark.parametrize(
    "change",
    [
        lambda c: "9" + c,
        lambda c: c[:-1] + ("0" if c[-1] != "0" else "1"),
        lambda c: "x",
        lambda c: ".",
    ],
)
def test_a_forged_session_is_nobody(browser, change):
    log_in(browser)
    forged = change(browser.cookies["alerting_session"])
    browser.cookies.clear()
    browser.cookies.set("alerting_session", forged)
    assert browser.get("/").status_code == 303


def test_an_episode_page_shows_why_what_to_do_and_what_happened(browser, platform):
    platform.episodes.insert(episode(1))
    log_in(browser)
    page = browser.get(f"/episodes/{episode(1).id}").text
    for words in (
        "lower zone 2 to 224 °C",
        "Zone 2 is 12 °C above its usual",
        "+31 points",
        "Open the damper.",
        "The condition is met.",
        "sent",
    ):
        assert words in page


def test_what_people_wrote_is_escaped(browser, platform):
    platform.episodes.insert(episode(1, title="<script>alert(1)</script>"))
    log_in(browser)
    for path in ("/", f"/episodes/{episode(1).id}"):
        page = browser.get(path).text
        assert {*re.findall("<script[^>]*>", page)} <= OWN_SCRIPTS
        assert "&lt;script&gt;" in page


def test_feedback_by_form_goes_through_the_same_use_case(browser, platform):
    platform.episodes.insert(episode(1))
    log_in(browser)
    path = f"/episodes/{episode(1).id}"
    fields = {
        "csrf": csrf_of(browser.get(path)),
        "verdict": "true_alarm",
        "action": "opened the damper",
        "comment": "",
    }
    answer = browser.post(f"{path}/feedback", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}#said")
    [kept] = platform.feedback.for_episode(episode(1).id)
    assert (kept.actor, kept.verdict, kept.acted, kept.action, kept.comment) == (
        "otto",
        "true_alarm",
        True,
        "opened the damper",
        None,
    )
    page = browser.get(path).text
    assert "hit" in page
    assert "opened the damper" in page


def test_a_cookie_alone_changes_nothing_through_the_api(browser, platform):
    platform.episodes.insert(episode(1))
    log_in(browser)
    assert browser.get("/api/v1/episodes").status_code == 200
    answer = browser.post(
        f"/api/v1/episodes/{episode(1).id}/feedback", json={"verdict": "true_alarm"}
    )
    assert answer.status_code == 401
    assert platform.feedback.for_episode(episode(1).id) == []


@pytest.mark.parametrize(
    ("fields", "status"), [({}, 422), ({"verdict": "maybe"}, 422), ({"comment": "x" * 2001}, 422)]
)
def test_feedback_that_says_nothing_is_answered_on_the_page(browser, platform, fields, status):
    platform.episodes.insert(episode(1))
    log_in(browser)
    path = f"/episodes/{episode(1).id}"
    answer = browser.post(f"{path}/feedback", data={"csrf": csrf_of(browser.get(path)), **fields})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert platform.feedback.for_episode(episode(1).id) == []


def test_a_viewer_sees_no_buttons_and_may_not_post(browser, platform):
    platform.episodes.insert(episode(1))
    log_in(browser, VIEWER_TOKEN)
    path = f"/episodes/{episode(1).id}"
    page = browser.get(path)
    assert 'name="verdict"' not in page.text
    assert (
        browser.post(
            f"{path}/feedback", data={"csrf": csrf_of(page), "verdict": "true_alarm"}
        ).status_code
        == 403
    )


def test_an_unknown_episode_is_a_page_not_a_document(browser):
    log_in(browser)
    answer = browser.get("/episodes/nope")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "There is no episode" in answer.text


def test_the_stylesheet_is_ours_and_nothing_is_loaded_from_elsewhere(browser):
    log_in(browser)
    page = browser.get("/").text
    assert re.findall(r'(?:src|href)="(?!/|data:,)[^"]*"', page) == []
    assert "url(" not in browser.get("/style.css").text
    assert browser.get("/", headers=VIEWER).status_code == 200


def test_the_first_page_says_in_one_line_that_alarms_are_off_and_an_engineer_finds_the_faults(
    browser, platform
):
    log_in(browser)
    assert "alarms are off" not in browser.get("/").text
    platform.platform_alerts.report("approval waiting", "too-moist", "a person decides", at(0))
    assert "alarms are off" not in browser.get("/").text, "every alarm still comes"
    platform.platform_alerts.report(
        "champion unreadable", "too-moist", "the <registry> does not answer", at(0)
    )
    page = browser.get("/").text
    assert "Some alarms are off since " in page, "no channel has a message on it"
    assert ": call the engineer." in page
    assert "registry" not in page
    log_in(browser, ADMIN_TOKEN)
    assert '<a class="more" href="/platform">2 faults of the platform</a>' in browser.get("/").text
    page = browser.get("/platform").text
    assert "Champion unreadable: too-moist" in page
    assert "The &lt;registry&gt; does not answer." in page
    assert "No route asks for faults of the platform" in page


def test_an_operator_reads_that_an_engineer_has_been_told_once_the_message_is_out(wall):
    platform = in_memory_platform(Mailbox("engineer"), Mailbox("log"))
    route = {"name": "engineers", "channels": ["engineer"], "platform": True}
    apply_routes(platform, [route], "ada", at(0))
    platform.platform_alerts.report("evaluation late", "evaluate__1m", "not evaluated", at(0))
    browser = TestClient(create_app(platform, TOKENS, now=wall), follow_redirects=False)
    log_in(browser)
    assert "call the engineer." in browser.get("/").text
    deliver_due(platform, at(1))
    page = browser.get("/").text
    assert "A message on it was delivered: engineer, today 00:01." in page
    assert "call the engineer" not in page
    platform.platform_alerts.report("evaluation late", "evaluate__5m", "not evaluated", at(2))
    assert "call the engineer." in browser.get("/").text, "nobody was told of the second fault"
    assert "Faults are sent to: engineer." in browser.get("/platform").text


@pytest.mark.parametrize("channels", [("log",), ("engineer",)], ids=["the log alone", "away"])
def test_nobody_is_said_to_be_told_without_a_delivered_message(channels, wall):
    boxes = [Mailbox(name) for name in channels]
    platform = in_memory_platform(*boxes)
    if channels != ("log",):
        route = {"name": "engineers", "channels": [*channels], "platform": True}
        apply_routes(platform, [route], "ada", at(0))
        boxes[0].broken = True
    platform.platform_alerts.report("evaluation late", "evaluate__1m", "not evaluated", at(0))
    deliver_due(platform, at(1))
    browser = TestClient(create_app(platform, TOKENS, now=wall), follow_redirects=False)
    log_in(browser)
    assert "call the engineer." in browser.get("/").text


def test_the_menu_has_what_a_role_needs(browser):
    everyone = ["Now", "Hand-over", "Maintenance", "Assets", "Trends", "Definitions", "Models"]
    everyone += ["Plant", "Alarm quality", "Reports"]
    engineers = [*everyone, "Routes", "Sources", "Sinks", "Platform"]
    admins = [*engineers, "Audit", "Access"]
    for token, names in zip(TOKENS, (everyone, everyone, admins), strict=False):
        log_in(browser, token)
        menu = browser.get("/").text.partition("<nav")[2].partition('<div class="who">')[0]
        assert re.findall(r">([^<]+)</a>", menu) == ["Alerting", *names]


def test_times_are_those_of_the_plant_and_their_zone_is_named(platform, wall):
    platform.episodes.insert(episode(1))
    browser = TestClient(
        create_app(platform, TOKENS, now=wall, zone=ZoneInfo("Europe/Berlin")),
        follow_redirects=False,
    )
    log_in(browser)
    page = browser.get(f"/episodes/{episode(1).id}").text
    assert "Raised today 01:01 to 01:06 (5 min)" in page
    assert "Times: Europe/Berlin" in page
    assert "UTC" not in page
    assert "Times: Europe/Berlin" in browser.get("/").text


def test_an_empty_console_says_what_to_do(browser):
    log_in(browser)
    assert "alerting apply FILE" not in browser.get("/").text
    empty = TestClient(create_app(in_memory_platform(), TOKENS), follow_redirects=False)
    log_in(empty)
    assert "Nothing is watched yet." in empty.get("/").text
    assert "alerting report NAME" in empty.get("/reports").text


def test_variables_have_the_names_and_units_that_people_use(browser, platform):
    platform.assets.store_assets([oven(zone_2=Variable(title="Zone 2 burner", unit="°C"))])
    platform.episodes.insert(episode(1))
    log_in(browser)
    page = browser.get(f"/episodes/{episode(1).id}").text
    assert "<strong>Zone 2 burner</strong>" in page
    assert "232 °C" in page
    assert "usual 220 °C" in page


def test_the_enter_key_in_a_field_of_the_feedback_gives_no_verdict(browser, platform):
    platform.episodes.insert(episode(1))
    log_in(browser)
    form = (
        browser.get(f"/episodes/{episode(1).id}")
        .text.partition('class="feedback"')[2]
        .partition("</form>")[0]
    )
    assert re.findall(r'<button name="verdict" value="(\w*)"', form) == [
        "",
        "true_alarm",
        "false_alarm",
        "unsure",
        "",
    ]


def test_of_more_open_alerts_than_a_page_holds_none_is_lost(browser, platform):
    made = [episode(minute, f"oven-{minute}", condition="open") for minute in range(260)]
    for one in made:
        platform.episodes.insert(one)
    log_in(browser)
    first = browser.get("/").text
    assert "Older open alarms are below." in first
    seen = set()
    page = first
    while True:
        seen |= set(re.findall(r"/episodes/([0-9a-f]{24})", page))
        more = re.search(r'href="(/\?cursor=[^"]+)"', page)
        if more is None:
            break
        page = browser.get(more[1]).text
    assert seen == {one.id for one in made}
