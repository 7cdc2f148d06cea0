"""The page of who is told, its buttons, and the same through the REST API."""

import re
from dataclasses import replace
from html import unescape

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.definitions.routes import Route
from alerting.definitions.wording.language import translatable
from alerting.ports import DeliveryFailed
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.notification.routes import apply_routes
from tests.builders import at
from tests.helpers.console.api import TOKENS, VIEWER, episode
from tests.helpers.console.pages import VIEWER_TOKEN, csrf_of, log_in
from tests.helpers.notifications import notice
from tests.helpers.stores import audit_entries
from tests.in_memory_platform import Mailbox, in_memory_platform

ENGINEER_TOKEN = "engineer-token-0123456789"
ENGINEER = {"authorization": f"Bearer {ENGINEER_TOKEN}"}
ALL_TOKENS = {**TOKENS, ENGINEER_TOKEN: ("emil", "engineer")}
NIGHT = {
    "name": "ovens-at-night",
    "match": {"severity": ["high", "critical"], "assets": ["oven-*"], "tags": ["line-3"]},
    "channels": ["shift"],
    "timezone": "Europe/Berlin",
    "shifts": [{"days": ["mon", "tue", "wed", "thu", "fri"], "from": "22:00", "to": "06:00"}],
    "quiet": [{"days": ["sun"], "from": "00:00", "to": "00:00"}],
    "repeat": "30m",
    "escalation": [{"after": "15m", "channels": ["chief"]}],
    "flood": {"more_than": 5, "within": "10m"},
    "heartbeat": "24h",
    "language": "en",
    "platform": True,
    "acknowledge_by_link": True,
}


class Refusing(Mailbox):
    """A receiver that refuses for good while `broken`."""

    def deliver(self, message):
        if self.broken:
            raise DeliveryFailed("<the receiver> is gone", permanent=True)
        super().deliver(message)


@pytest.fixture
def boxes():
    return {name: Refusing(name) for name in ("shift", "chief")}


@pytest.fixture
def platform(boxes):
    made = in_memory_platform(*boxes.values())
    made.clock.instant = at(600)
    return made


@pytest.fixture
def browser(platform):
    return TestClient(create_app(platform, ALL_TOKENS), follow_redirects=False)


@pytest.fixture
def night(platform):
    apply_routes(platform, [NIGHT], "emil", at(0))


def message_of(page):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.text)))


def give_up(platform, boxes, channel="shift"):
    """Let a message become a dead letter. Returns its id."""
    key = f"{episode(1).id}:raised:{channel}"
    platform.episodes.insert(episode(1))
    platform.notifications.add([notice(key, 1, channel=channel, episode=episode(1).id)])
    boxes[channel].broken = True
    deliver_due(platform, at(600))
    boxes[channel].broken = False
    return key


def entries(platform, what):
    return [entry for entry in audit_entries(platform) if entry["what"] == what]


# What is shown


def test_a_route_is_told_in_words(browser, night):
    log_in(browser, VIEWER_TOKEN)
    page = message_of(browser.get("/routes"))
    for words in (
        "high or critical, of oven-*, tagged line-3",
        "mon to fri 22:00 to 06:00 (Europe/Berlin)",
        "sun all day (Europe/Berlin); critical alerts are sent nevertheless",
        "every 30 min, until an operator acknowledges it or it is over",
        "not acknowledged for 15 min: chief",
        "more than 5 alerts of one asset within 10 min become one message",
        "acknowledges the alert without a login",
        "faults of the platform itself are sent as well",
        "Heartbeat every 1 d",
        "not in force now",
        "chief by escalation only",
    ):
        assert words in page


@pytest.mark.parametrize("field", sorted(set(Route.model_fields) - {"name", "channels"}))
def test_every_field_of_a_route_changes_what_is_told_of_it(browser, platform, night, field):
    log_in(browser, VIEWER_TOKEN)
    whole = message_of(browser.get("/routes"))
    apply_routes(
        platform, [{name: value for name, value in NIGHT.items() if name != field}], "emil", at(0)
    )
    assert message_of(browser.get("/routes")) != whole


def test_without_routes_the_page_says_what_happens_and_what_to_do(browser):
    log_in(browser)
    page = message_of(browser.get("/routes"))
    assert "every alert goes to every channel below" in page
    assert "alerting apply FILE" in page


def test_a_route_that_nobody_can_use_is_shown_with_its_faults(browser, platform):
    platform.routes.store_document({"name": "odd", "channels": []})
    log_in(browser)
    assert "Route odd is faulty and not used." in message_of(browser.get("/routes"))


def test_the_last_delivery_and_the_last_sign_of_life_are_those_of_the_channel(
    browser, platform, night
):
    deliver_due(platform, at(600))
    platform.clock.instant = at(700)
    answer = browser.get("/api/v1/routes", headers=VIEWER).json()
    assert answer["routes"][0]["last_heartbeat"] == {"shift": "2026-01-05T10:00:00Z"}
    assert {c["name"]: c["last_delivery"] for c in answer["channels"]} == {
        "chief": None,
        "shift": "2026-01-05T10:00:00Z",
    }
    log_in(browser)
    assert "shift 2026-01-05 10:00 2026-01-05 10:00" in message_of(browser.get("/routes"))


def test_what_waits_is_listed_with_its_reason(browser, platform, night):
    platform.notifications.add(
        [
            notice(
                "k:raised:shift", 1, postponed_by="quiet", channel="shift", next_attempt_at=at(900)
            )
        ]
    )
    log_in(browser)
    page = message_of(browser.get("/routes"))
    assert "delayed: quiet" in page
    assert "next 2026-01-05 15:00 UTC" in page
    assert "1 waiting" in page


def test_messages_and_why_they_are_not_delivered_are_told_in_the_language_of_the_reader(
    browser, platform, boxes, night
):
    give_up(platform, boxes)
    refused = translatable("mail server {host} refuses it ({code})", host="mx", code=550)
    letter = notice("heartbeat:night:1", 2, channel="chief", status="dead", error=refused)
    waits = notice("k:raised:shift", 3, postponed_by="quiet", channel="shift", episode="k")
    gone = notice("platform:disk-filling:x", 4, status="dead", channel="gone", error="earlier text")
    platform.notifications.add([letter, waits, gone])
    log_in(browser)
    page = message_of(browser.get("/routes", headers={"accept-language": "de"}))
    for words in (
        "Lebenszeichen chief der Mailserver mx lehnt die Nachricht ab (550)",
        "Störung der Plattform gone earlier text",
        "Alarm shift verzögert: Ruhezeit",
    ):
        assert words in page
    assert "refuses it" not in page
    assert "refuse le message (550)" in unescape(
        browser.get("/routes", headers={"accept-language": "fr"}).text
    )


# The test


def test_the_button_sends_a_test_to_every_channel_of_the_route_and_says_what_became_of_it(
    browser, platform, boxes, night
):
    log_in(browser, ENGINEER_TOKEN)
    boxes["chief"].broken = True
    page = browser.post(
        "/routes/ovens-at-night/test", data={"csrf": csrf_of(browser.get("/routes"))}
    )
    assert page.status_code == 200
    assert "shift: delivered" in message_of(page)
    assert "chief: not delivered: <the receiver> is gone" in message_of(page)
    assert "<the receiver>" not in page.text
    assert [m.subject for m in boxes["shift"].messages] == ["Test message of alerting"]
    [entry] = entries(platform, "test message sent")
    assert (entry["actor"], entry["subject"]) == ("emil", "ovens-at-night")
    assert entry["after"] == {"shift": "sent", "chief": "<the receiver> is gone"}


def test_a_channel_that_is_no_longer_configured_is_named(platform, night):
    fewer = replace(platform, channels={"shift": platform.channels["shift"]})
    browser = TestClient(create_app(fewer, ALL_TOKENS), follow_redirects=False)
    [_, chief] = browser.post("/api/v1/routes/ovens-at-night/test", headers=ENGINEER).json()
    assert chief["fault"] == "channel 'chief' is not configured"
    assert "not configured" in browser.get("/routes", headers=VIEWER).text


# Dead letters


def test_a_dead_letter_is_listed_and_the_button_delivers_it_under_its_old_key(
    browser, platform, boxes
):
    key = give_up(platform, boxes)
    log_in(browser, ENGINEER_TOKEN)
    page = browser.get("/routes")
    assert "1 message was not delivered" in message_of(page)
    assert "&lt;the receiver&gt; is gone" in page.text
    answer = browser.post("/dead-letters/retry", data={"csrf": csrf_of(page), "id": key})
    assert (answer.status_code, answer.headers["location"]) == (303, "/routes#undelivered")
    assert key in [m.key for m in boxes["shift"].messages]
    assert "every message was delivered, or another attempt follows" in browser.get("/routes").text
    [entry] = entries(platform, "delivery tried again")
    assert (entry["actor"], entry["subject"]) == ("emil", key)


def test_a_dead_letter_that_is_none_is_said_on_the_page(browser):
    log_in(browser, ENGINEER_TOKEN)
    csrf = browser.get("/routes")
    answer = browser.post("/dead-letters/retry", data={"csrf": csrf_of(csrf), "id": "<b>"})
    assert answer.status_code == 422
    assert "there is no dead letter" in answer.text
    assert "<b>" not in answer.text


# Who may
