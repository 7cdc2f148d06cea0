"""The page of who is told, its buttons, and the same through the REST API."""

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.definitions.routes_and_sinks import Route
from alerting.definitions.wording.language import translatable
from alerting.ports import DeliveryFailed
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.notification.routing import ROUTES
from tests.builders import at
from tests.helpers.console.api import TOKENS, VIEWER, episode
from tests.helpers.console.pages import VIEWER_TOKEN, lacks, log_in, send_form, text_of
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
    ROUTES.apply(platform, [NIGHT], "emil", at(0))


def give_up(platform, boxes):
    """Let a message become a dead letter. Returns its id."""
    key = f"{episode(1).id}:raised:shift"
    platform.episodes.insert(episode(1))
    platform.notifications.add([notice(key, 1, channel="shift", episode=episode(1).id)])
    boxes["shift"].broken = True
    deliver_due(platform, at(600))
    boxes["shift"].broken = False
    return key


def entries(platform, what):
    return [entry for entry in audit_entries(platform) if entry["what"] == what]


def test_a_route_is_told_in_words_and_every_field_changes_them(browser, platform, night):
    log_in(browser, VIEWER_TOKEN)
    page = text_of(browser.get("/routes"))
    words = (
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
    )
    assert lacks(page, *words) == []
    untold = []
    for field in {*Route.model_fields} - {"name", "channels"}:
        fewer = {name: value for name, value in NIGHT.items() if name != field}
        ROUTES.apply(platform, [fewer], "emil", at(0))
        if text_of(browser.get("/routes")) == page:
            untold.append(field)
    assert untold == []


def test_without_routes_or_with_a_faulty_one_the_page_says_what_happens(browser, platform):
    log_in(browser)
    unrouted = "every alert goes to every channel below"
    assert unrouted in text_of(browser.get("/routes"))
    platform.routes.store_document({"name": "odd", "channels": []})
    assert "Route odd is faulty and not used." in text_of(browser.get("/routes"))


def test_the_last_delivery_the_last_sign_of_life_and_what_waits_are_those_of_the_channel(
    browser, platform, night
):
    deliver_due(platform, at(600))
    waits = {"postponed_by": "quiet", "channel": "shift", "next_attempt_at": at(900)}
    platform.notifications.add([notice("k:raised:shift", 1, **waits)])
    platform.clock.instant = at(700)
    answer = browser.get("/api/v1/routes", headers=VIEWER).json()
    sent = "2026-01-05T10:00:00Z"
    assert answer["routes"][0]["last_heartbeat"] == {"shift": sent}
    last = {channel["name"]: channel["last_delivery"] for channel in answer["channels"]}
    assert last == {"chief": None, "shift": sent}
    log_in(browser)
    words = ("shift 2026-01-05 10:00 2026-01-05 10:00", "1 waiting", "delayed: quiet")
    assert lacks(text_of(browser.get("/routes")), *words, "next 2026-01-05 15:00 UTC") == []


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
    words = (
        "Lebenszeichen chief der Mailserver mx lehnt die Nachricht ab (550)",
        "Störung der Plattform gone earlier text",
        "Alarm shift verzögert: Ruhezeit",
        "refuses it",
    )
    german = text_of(browser.get("/routes", headers={"accept-language": "de"}))
    assert lacks(german, *words) == ["refuses it"]


def test_the_button_sends_a_test_to_every_channel_of_the_route_and_says_what_became_of_it(
    browser, platform, boxes, night
):
    log_in(browser, ENGINEER_TOKEN)
    boxes["chief"].broken = True
    page = send_form(browser, "/routes/ovens-at-night/test", "/routes")
    said = ("shift: delivered", "chief: not delivered: <the receiver> is gone")
    assert (page.status_code, lacks(text_of(page), *said)) == (200, [])
    assert "<the receiver>" not in page.text
    assert [m.subject for m in boxes["shift"].messages] == ["Test message of alerting"]
    [entry] = entries(platform, "test message sent")
    after = {"shift": "sent", "chief": "<the receiver> is gone"}
    found = (entry["actor"], entry["subject"], entry["after"])
    assert found == ("emil", "ovens-at-night", after)
    del platform.channels["chief"]  # no longer configured
    [_, chief] = browser.post("/api/v1/routes/ovens-at-night/test", headers=ENGINEER).json()
    assert chief["fault"] == "channel 'chief' is not configured"
    assert "not configured" in browser.get("/routes").text


def test_a_dead_letter_is_listed_and_the_button_delivers_it_under_its_old_key(
    browser, platform, boxes
):
    key = give_up(platform, boxes)
    log_in(browser, ENGINEER_TOKEN)
    page = browser.get("/routes").text
    assert lacks(page, "1 message was not delivered", "&lt;the receiver&gt; is gone") == []
    answer = send_form(browser, "/dead-letters/retry", id=key)
    assert (answer.status_code, answer.headers["location"]) == (303, "/routes#undelivered")
    assert key in [m.key for m in boxes["shift"].messages]
    assert "every message was delivered, or another attempt follows" in browser.get("/routes").text
    [entry] = entries(platform, "delivery tried again")
    assert (entry["actor"], entry["subject"]) == ("emil", key)
    refused = send_form(browser, "/dead-letters/retry", id="<b>")
    said = lacks(refused.text, "there is no dead letter", "<b>")
    assert (refused.status_code, said) == (422, ["<b>"])
