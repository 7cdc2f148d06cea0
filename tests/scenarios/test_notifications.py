"""Mistakes of other alarm systems with notifications: each is a scenario of its own."""

from dataclasses import replace
from datetime import timedelta
from typing import get_args

import httpx
import pytest
from fastapi.testclient import TestClient

from alerting.adapters.channels.links import SignedLinks
from alerting.adapters.channels.webhook import WebhookChannel
from alerting.adapters.memory.platform import memory_platform
from alerting.console.app import create_app
from alerting.notifications.links import Purpose
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.episodes.changes import update
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.deliver import deliver_due, retry
from alerting.usecases.notification.routes import apply_routes
from tests.builders import at, oven, too_hot
from tests.helpers.notifications import notifications_of
from tests.helpers.stores import contents
from tests.in_memory_platform import HandClock, Mailbox, platform_on

KEY = b"k" * 40


def plant(*channels, assets=1, on=None):
    platform = platform_on(on or memory_platform(), channels, HandClock())
    platform.assets.store_assets(
        [oven().model_copy(update={"name": f"oven-{i}"}) for i in range(1, assets + 1)]
    )
    return platform


def read(platform, value, minute, assets=1):
    rows = [
        ReadingRow(f"oven-{i}", at(minute), {"temperature": value}) for i in range(1, assets + 1)
    ]
    add_readings(platform, rows, at(minute))


def tick(platform, minute):
    platform.clock.instant = at(minute)
    evaluate(platform, None, at(minute))
    return deliver_due(platform, at(minute))


def hot(platform, minute=1, **changes):
    apply(platform, [too_hot(**changes)], "engineer", at(minute - 1), "test")
    read(platform, 230.0, minute)
    tick(platform, minute)


# --- a flood of "clear" messages when something is switched on
# --------------------------------------------------------


def test_t9_enabling_200_normal_definitions_tells_nobody_anything(stores):
    mail = Mailbox("mail")
    platform = plant(mail, on=stores)
    read(platform, 200.0, 0)
    apply(platform, [too_hot(name=f"too-hot-{i}") for i in range(200)], "engineer", at(0), "test")
    for minute in (1, 2):
        read(platform, 200.0, minute)
        tick(platform, minute)
    assert mail.messages == []


def test_t9_enabling_a_route_while_100_alerts_are_open_tells_nobody_anything(stores):
    mail = Mailbox("mail")
    pager = Mailbox("pager")
    platform = plant(mail, pager, assets=100, on=stores)
    apply(
        platform,
        [too_hot(assets=["oven-*"], notify={"channels": ["mail"]}, stale_after="1d")],
        "engineer",
        at(0),
        "test",
    )
    read(platform, 230.0, 1, assets=100)
    tick(platform, 1)
    assert len(mail.messages) == 100
    apply(
        platform,
        [too_hot(assets=["oven-*"], stale_after="1d")],
        "engineer",
        at(2),
        "follow the routes from now on",
    )
    apply_routes(
        platform, [{"name": "all", "channels": ["pager"], "repeat": "30m"}], "engineer", at(2)
    )
    for minute in (3, 40, 80):
        tick(platform, minute)
    assert (len(mail.messages), len(pager.messages)) == (100, 0)


# --- mail scanners open every link
# -----------------------------------------------------------------------------------


def linked(on):
    mail = Mailbox("anna")
    clock = HandClock(at(1))
    platform = replace(
        plant(mail, on=on),
        links=SignedLinks(KEY, "http://testserver", timedelta(hours=1), clock.now),
    )
    hot(platform)
    app = create_app(platform, {"admin-token-0123456789": ("ada", "admin")}, now=clock.now)
    return platform, TestClient(app, raise_server_exceptions=False), mail.messages[0].links


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_t15_opening_any_link_of_a_message_changes_nothing(stores, method):
    platform, client, links = linked(stores)
    before = contents(platform)
    for link in links:
        for _ in range(3):
            client.request(method, link.url, follow_redirects=False)
    assert contents(platform) == before


def test_t15_only_the_button_on_its_page_acts_and_only_once(stores):
    platform, client, links = linked(stores)
    right = links[get_args(Purpose).index("true_alarm")].url
    page = client.get(right)
    assert page.status_code == 200
    assert "No answer is recorded yet" in page.text
    assert 'method="post"' in page.text
    assert client.post(right).status_code == 422  # a scanner that posts does not confirm
    assert platform.episodes.find()[0].feedback == ()
    for _ in range(3):
        assert "Recorded" in client.post(right, data={"confirm": "yes"}).text
    [said] = platform.episodes.find()[0].feedback
    assert (said.verdict, said.acted, said.actor) == ("true_alarm", False, "anna (by link)")
    assert "Recorded" in client.get(right).text


# --- the receiver is out, then everything comes twice
# ----------------------------------------------------------------


def flaky(back_at):
    """A webhook whose receiver answers 500 until a minute, and drops nothing that it accepted."""
    tried = []
    accepted = []
    clock = HandClock()

    def receive(request):
        key = request.headers["webhook-id"]
        tried.append(key)
        if clock.now() < at(back_at):
            return httpx.Response(500)
        accepted.append(key)
        return httpx.Response(204)

    hook = WebhookChannel(
        "plant",
        "https://plant.example/hook",
        client=httpx.Client(transport=httpx.MockTransport(receive)),
    )
    return hook, clock, tried, accepted


def test_t17_a_receiver_that_fails_for_20_minutes_gets_one_message_after_it_under_the_same_key(
    stores,
):
    hook, clock, tried, accepted = flaky(back_at=21)
    platform = replace(plant(hook, on=stores), clock=clock)
    hot(platform, stale_after="1d")
    for minute in range(2, 60):
        tick(platform, minute)
    episode = platform.episodes.find()[0]
    assert len(tried) > 5
    assert set(tried) == {f"{episode.id}:raised:plant"}
    assert accepted == [f"{episode.id}:raised:plant"]
    assert platform.notifications.dead() == []


def test_t17_what_was_given_up_is_listed_and_goes_out_under_its_old_key(stores):
    hook, clock, _, accepted = flaky(back_at=60 * 24)
    platform = replace(plant(hook, on=stores), clock=clock)
    hot(platform)
    for minute in range(2, 60 * 12, 5):
        clock.instant = at(minute)
        deliver_due(platform, at(minute))
    [letter] = platform.notifications.dead()
    assert (letter.channel, letter.error) == (
        "plant",
        "webhook plant at https://plant.example answered 500",
    )
    clock.instant = at(60 * 25)
    assert retry(platform, letter.key, "ada", clock.now()) == 1
    deliver_due(platform, clock.now())
    assert accepted == [letter.key]
    assert platform.notifications.dead() == []


# --- a restart tells everything again
# --------------------------------------------------------------------------------


def test_t20_a_restart_with_100_active_alerts_sends_nothing_new(stores):
    mail = Mailbox("mail")
    platform = plant(mail, assets=100, on=stores)
    apply(platform, [too_hot(assets=["oven-*"], stale_after="1d")], "engineer", at(0), "test")
    read(platform, 230.0, 1, assets=100)
    tick(platform, 2)
    assert len(mail.messages) == 100
    for minute in (3, 4, 400):
        after = Mailbox("mail")
        tick(platform_on(stores, [after], HandClock()), minute)
        assert after.messages == []


def test_t20_after_an_outage_of_a_day_each_alert_is_repeated_once_and_not_once_an_hour(stores):
    mail = Mailbox("mail")
    platform = plant(mail, assets=20, on=stores)
    apply_routes(
        platform, [{"name": "all", "channels": ["mail"], "repeat": "1h"}], "engineer", at(0)
    )
    apply(platform, [too_hot(assets=["oven-*"], stale_after="5d")], "engineer", at(0), "test")
    read(platform, 230.0, 1, assets=20)
    tick(platform, 1)
    after = Mailbox("mail")
    restarted = platform_on(stores, [after], HandClock())
    for minute in (60 * 24 + 2, 60 * 24 + 3, 60 * 24 + 4):
        tick(restarted, minute)
    assert len(after.messages) == 20
    assert len({m.key for m in after.messages}) == 20


# --- floods
# --------------------------------------------------------------------------------------------------

CROWD = {"name": "all", "channels": ["mail"], "flood": {"more_than": 3, "within": "10m"}}


def crowded(mail):
    platform = plant(mail)
    apply_routes(platform, [CROWD], "engineer", at(0))
    names = [f"too-hot-{i:02d}" for i in range(15)]
    apply(
        platform,
        [too_hot(name=name, stale_after="1d") for name in names],
        "engineer",
        at(0),
        "test",
    )
    read(platform, 230.0, 1)
    tick(platform, 1)
    return platform


def test_of_15_alerts_of_one_oven_three_are_told_12_in_one_message_only_three_are_told_to_be_over():
    mail = Mailbox("mail")
    platform = crowded(mail)
    assert len(mail.messages) == 3
    for minute in (5, 9, 10, 12):
        tick(platform, minute)
    assert [m.subject for m in mail.messages[3:]] == ["+12 more on oven-1"]
    assert mail.messages[3].payload["page"] == "/?asset=oven-1"
    read(platform, 200.0, 15)
    tick(platform, 15)
    assert [m.subject.split(":")[0] for m in mail.messages[4:]] == ["Over"] * 3


def test_a_flood_says_from_when_to_when_each_ended_alarm_was():
    mail = Mailbox("mail")
    platform = crowded(mail)
    read(platform, 200.0, 8)
    for minute in (8, 12):
        tick(platform, minute)
    [text] = [m.text for m in mail.messages if m.subject == "+12 more on oven-1"]
    line = "MEDIUM: too-hot-14, Mon 5 Jan 00:01 to 00:08 (7 min): Zone 2 temperature is 230 °C"
    assert line in text
    assert "since" not in text


def test_messages_say_the_title_of_the_asset_and_programs_get_its_name():
    mail = Mailbox("mail")
    platform = crowded(mail)
    titled = oven().model_copy(update={"name": "oven-1", "title": "Kühlband Süd"})
    platform.assets.store_assets([titled])
    tick(platform, 12)
    read(platform, 200.0, 15)
    tick(platform, 15)
    assert [m.subject for m in mail.messages[3:5]] == [
        "+12 more on Kühlband Süd",
        "Over: too-hot-00 on Kühlband Süd",
    ]
    assert mail.messages[4].payload["asset"] == "oven-1"


# --- quiet hours, escalation, heartbeat, from end to end
# ------------------------------------------------------------------

NIGHT = {"name": "all", "channels": ["mail"], "quiet": [{"from": "00:00", "to": "06:00"}]}


@pytest.mark.parametrize(("severity", "told_at"), [("high", [6 * 60]), ("critical", [60])])
def test_quiet_hours_keep_an_alert_for_the_morning_unless_it_is_critical(severity, told_at):
    mail = Mailbox("mail")
    platform = plant(mail)
    apply_routes(platform, [NIGHT], "engineer", at(0))
    apply(platform, [too_hot(severity=severity, stale_after="1d")], "engineer", at(0), "test")
    read(platform, 230.0, 60)
    heard = []
    for minute in range(60, 8 * 60, 20):
        before = len(mail.messages)
        tick(platform, minute)
        heard += [minute] * (len(mail.messages) - before)
    assert heard == told_at


def test_what_is_over_before_the_quiet_hours_are_is_not_told_at_all():
    mail = Mailbox("mail")
    platform = plant(mail)
    apply_routes(platform, [NIGHT], "engineer", at(0))
    apply(platform, [too_hot()], "engineer", at(0), "test")
    read(platform, 230.0, 60)
    tick(platform, 60)
    read(platform, 200.0, 62)
    for minute in range(62, 8 * 60, 20):
        tick(platform, minute)
    assert mail.messages == []
    assert [n.status for n in notifications_of(platform)] == ["dropped"]


def test_what_becomes_critical_in_quiet_hours_is_told_then_and_not_again_in_the_morning():
    mail = Mailbox("mail")
    platform = plant(mail)
    apply_routes(platform, [NIGHT], "engineer", at(0))
    apply(platform, [too_hot(severity="high", stale_after="1d")], "engineer", at(0), "test")
    read(platform, 230.0, 60)
    tick(platform, 60)
    assert mail.messages == []
    update(platform, platform.episodes.find()[0].id, lambda e, _: replace(e, severity="critical"))
    for minute in range(70, 8 * 60, 20):
        tick(platform, minute)
    assert [m.subject for m in mail.messages] == ["Worse: CRITICAL: too-hot on oven-1"]


def test_an_alert_that_gets_worse_is_told_to_whom_knows_it_and_to_whom_only_the_worse_concerns():
    mail = Mailbox("mail")
    chief = Mailbox("chief")
    platform = plant(mail, chief)
    worse = {"name": "worse", "match": {"severity": ["critical"]}, "channels": ["chief"]}
    apply_routes(platform, [{"name": "all", "channels": ["mail"]}, worse], "engineer", at(0))
    levels = {"medium": {"above": 215}, "critical": {"above": 240}}
    hot(platform, above=None, levels=levels, stale_after="1d")
    assert (len(mail.messages), len(chief.messages)) == (1, 0)
    for minute, value in ((2, 250.0), (3, 250.0), (4, 220.0), (5, 250.0), (6, 200.0)):
        read(platform, value, minute)
        tick(platform, minute)
    assert [m.subject.split(":")[0] for m in mail.messages] == ["MEDIUM", "Worse", "Over"]
    assert [m.subject.split(":")[0] for m in chief.messages] == ["Worse", "Over"]
    assert "above 240" in chief.messages[0].text


def test_nobody_answers_so_the_chief_is_told_and_then_of_the_end():
    mail = Mailbox("mail")
    chief = Mailbox("chief")
    platform = plant(mail, chief)
    steps = [{"after": "15m", "channels": ["chief"]}]
    apply_routes(
        platform, [{"name": "all", "channels": ["mail"], "escalation": steps}], "engineer", at(0)
    )
    hot(platform, stale_after="1d")
    for minute in range(2, 40, 2):
        tick(platform, minute)
    assert [m.subject.split(":")[0] for m in chief.messages] == ["Not acknowledged for 15 min"]
    assert len(mail.messages) == 1
    read(platform, 200.0, 40)
    tick(platform, 40)
    assert [m.subject for m in (mail.messages[-1], chief.messages[-1])] == [
        "Over: too-hot on oven-1"
    ] * 2


def test_a_sign_of_life_comes_once_in_its_time_and_what_an_outage_swallowed_is_not_made_up_for():
    mail = Mailbox("mail")
    platform = plant(mail)
    apply_routes(
        platform, [{"name": "alive", "channels": ["mail"], "heartbeat": "1h"}], "engineer", at(0)
    )
    for minute in [*range(0, 180, 10), 60 * 24]:
        deliver_due(platform, at(minute))
    assert [m.subject for m in mail.messages] == ["Alerting is running"] * 4
    assert len({m.key for m in mail.messages}) == 4


def test_a_faulty_route_in_the_database_costs_nobody_an_alert():
    mail = Mailbox("mail")
    platform = plant(mail)
    platform.routes.store_document({"name": "broken", "channels": "mail", "quiet": "always"})
    hot(platform)
    assert len(mail.messages) == 1
