"""Mistakes of other alarm systems with notifications: each is a scenario of its own."""

from dataclasses import replace
from datetime import timedelta
from typing import get_args

import httpx
from fastapi.testclient import TestClient

from alerting.adapters.passwords_and_links import SignedLinks
from alerting.adapters.receivers.http_channels import WebhookChannel
from alerting.console.app import create_app
from alerting.notifications.notification import Purpose
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.episodes.stored_episodes import update
from alerting.usecases.notification.delivery import deliver_due, retry
from alerting.usecases.notification.routing import ROUTES
from tests.builders import at, oven, too_hot
from tests.helpers.notifications import notifications_of
from tests.helpers.ovens import define, feed, live, oven_platform, run, the_episode
from tests.helpers.stores import contents
from tests.in_memory_platform import HandClock, Mailbox, platform_on

KEY = b"k" * 40


def beginnings(mailbox):
    return [message.subject.split(":")[0] for message in mailbox.messages]


# --- a flood of "clear" messages when something is switched on
# --------------------------------------------------------


def test_t9_enabling_200_normal_definitions_tells_nobody_anything():
    platform = oven_platform(Mailbox("mail"))
    feed(platform, 0, 200)
    apply(platform, [too_hot(name=f"too-hot-{i}") for i in range(200)], "engineer", at(0), "test")
    assert live(platform, (1, 200), (2, 200)) == []


def test_t9_enabling_a_route_while_100_alerts_are_open_tells_nobody_anything():
    mail = Mailbox("mail")
    pager = Mailbox("pager")
    platform = oven_platform(mail, pager, count=100, notify={"channels": ["mail"]})
    feed(platform, 1, 230.0, count=100)
    run(platform, 1)
    assert len(mail.messages) == 100
    define(platform, 2, "follow the routes from now on")
    repeated = {"name": "all", "channels": ["pager"], "repeat": "30m"}
    ROUTES.apply(platform, [repeated], "engineer", at(2))
    run(platform, 3, 40, 80)
    assert (len(mail.messages), len(pager.messages)) == (100, 0)


# --- mail scanners open every link
# -----------------------------------------------------------------------------------


def linked(on=None, **route):
    """A platform with an open alarm, the console, and the links of the message."""
    mail = Mailbox("anna")
    platform = oven_platform(mail, on=on)
    links = SignedLinks(KEY, "http://testserver", timedelta(hours=1), platform.clock.now)
    platform = replace(platform, links=links)
    ROUTES.apply(platform, [{"name": "r", "channels": ["anna"], **route}], "engineer", at(0))
    live(platform, (1, 230))
    tokens = {"admin-token-0123456789": ("ada", "admin")}
    app = create_app(platform, tokens, now=platform.clock.now)
    return platform, TestClient(app, raise_server_exceptions=False), mail.messages[0].links


def test_t15_opening_any_link_of_a_message_changes_nothing(stores):
    platform, client, links = linked(stores)
    before = contents(platform)
    for link in links:
        for method in ("GET", "GET", "HEAD", "OPTIONS"):
            client.request(method, link.url, follow_redirects=False)
    assert contents(platform) == before


def test_t15_only_the_button_on_its_page_acts_and_only_once():
    platform, client, links = linked()
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


def test_a_link_acknowledges_by_its_button_where_the_route_permits():
    platform, client, links = linked(acknowledge_by_link=True, repeat="30m")
    assert links[0].label == "I have seen it"
    assert "No answer is recorded yet" in client.get(links[0].url).text
    assert platform.episodes.find()[0].acknowledged is None
    for _ in range(2):
        assert "Recorded" in client.post(links[0].url, data={"confirm": "yes"}).text
    [episode] = platform.episodes.find()
    assert episode.acknowledged.actor == "anna (by link)"
    assert [t.kind for t in episode.transitions].count("acknowledged") == 1
    assert episode.feedback == ()
    assert deliver_due(platform, at(100)).announced == 0  # somebody is on it: nothing is repeated


# --- the receiver is out, then everything comes twice
# ----------------------------------------------------------------


def flaky(back_at, stores):
    """A platform with an alarm for a webhook that answers 500 until a minute, and drops nothing
    that it accepted; the keys of what it was sent, and of what it accepted."""
    tried = []
    accepted = []

    def receive(request):
        tried.append(request.headers["webhook-id"])
        if platform.clock.now() < at(back_at):
            return httpx.Response(500)
        accepted.append(request.headers["webhook-id"])
        return httpx.Response(204)

    client = httpx.Client(transport=httpx.MockTransport(receive))
    hook = WebhookChannel("plant", "https://plant.example/hook", client=client)
    platform = oven_platform(hook, on=stores)
    feed(platform, 1, 230)
    run(platform, 1)
    return platform, tried, accepted


def test_t17_a_receiver_that_fails_for_20_minutes_gets_one_message_after_it_under_the_same_key(
    stores,
):
    platform, tried, accepted = flaky(21, stores)
    run(platform, *range(2, 60))
    key = f"{platform.episodes.find()[0].id}:raised:plant"
    assert len(tried) > 5
    assert (set(tried), accepted) == ({key}, [key])
    assert platform.notifications.dead() == []


def test_t17_what_was_given_up_is_listed_and_goes_out_under_its_old_key(stores):
    platform, _, accepted = flaky(60 * 24, stores)
    for minute in range(2, 60 * 12, 5):
        platform.clock.instant = at(minute)
        deliver_due(platform, at(minute))
    [letter] = platform.notifications.dead()
    assert (letter.channel, letter.error) == (
        "plant",
        "webhook plant at https://plant.example answered 500",
    )
    platform.clock.instant = at(60 * 25)
    assert retry(platform, letter.key, "ada", at(60 * 25)) == 1
    deliver_due(platform, at(60 * 25))
    assert accepted == [letter.key]
    assert platform.notifications.dead() == []


# --- a restart tells everything again
# --------------------------------------------------------------------------------


def test_t20_a_restart_with_20_active_alerts_sends_nothing_new_and_after_a_day_one_repeat(stores):
    mail = Mailbox("mail")
    platform = oven_platform(mail, count=20, on=stores, stale_after="5d")
    feed(platform, 1, 230.0, count=20)
    run(platform, 2)
    assert len(mail.messages) == 20
    for minute in (3, 4, 400):
        after = Mailbox("mail")
        run(platform_on(stores, [after], HandClock()), minute)
        assert after.messages == []
    hourly = {"name": "all", "channels": ["mail"], "repeat": "1h"}
    ROUTES.apply(platform, [hourly], "engineer", at(400))
    after = Mailbox("mail")
    restarted = platform_on(stores, [after], HandClock())
    run(restarted, 60 * 24 + 2, 60 * 24 + 3, 60 * 24 + 4)
    assert (len(after.messages), len({m.key for m in after.messages})) == (20, 20)


# --- floods
# --------------------------------------------------------------------------------------------------

CROWD = {"name": "all", "channels": ["mail"], "flood": {"more_than": 3, "within": "10m"}}


def crowded(mail):
    platform = oven_platform(mail, state="draft")
    titled = oven().model_copy(update={"title": "Kühlband Süd"})
    platform.assets.store_assets([titled])
    ROUTES.apply(platform, [CROWD], "engineer", at(0))
    names = [f"too-hot-{i:02d}" for i in range(15)]
    documents = [too_hot(name=name, stale_after="1d") for name in names]
    apply(platform, documents, "engineer", at(0), "test")
    live(platform, (1, 230))
    return platform


def test_of_15_alerts_of_one_oven_three_are_told_12_in_one_message_only_three_are_told_to_be_over():
    mail = Mailbox("mail")
    platform = crowded(mail)
    assert len(mail.messages) == 3
    run(platform, 5, 9, 10, 12)
    assert [m.subject for m in mail.messages[3:]] == ["+12 more on Kühlband Süd"]
    assert mail.messages[3].payload["page"] == "/?asset=oven-1"
    live(platform, (15, 200))
    told = {f"Over: {m.subject.partition(': ')[2]}" for m in mail.messages[:3]}
    assert {m.subject for m in mail.messages[4:]} == told
    assert len(told) == 3
    assert all(subject.endswith(" on Kühlband Süd") for subject in told)
    assert mail.messages[4].payload["asset"] == "oven-1"


def test_a_flood_says_from_when_to_when_each_ended_alarm_was():
    mail = Mailbox("mail")
    live(crowded(mail), (8, 200), (12,))
    [text] = [m.text for m in mail.messages if m.subject == "+12 more on Kühlband Süd"]
    line = "MEDIUM: too-hot-14, Mon 5 Jan 00:01 to 00:08 (7 min): Zone 2 temperature is 230 °C"
    assert line in text
    assert "since" not in text


# --- quiet hours, escalation, heartbeat, from end to end
# ------------------------------------------------------------------

NIGHT = {"name": "all", "channels": ["mail"], "quiet": [{"from": "00:00", "to": "06:00"}]}


def becomes_critical(platform, _):
    update(platform, the_episode(platform).id, lambda e, _: replace(e, severity="critical"))


def test_quiet_hours_keep_an_alert_for_the_morning_unless_it_is_critical_or_over():
    rest = [(minute,) for minute in range(80, 8 * 60, 20)]
    found = {}
    for name, severity, story in (
        ("high", "high", [(60, 230)]),
        ("critical", "critical", [(60, 230)]),
        ("over", "high", [(60, 230), (62, 200)]),
        ("gets critical", "high", [(60, 230), (70, becomes_critical)]),
    ):
        platform = oven_platform(Mailbox("mail"), severity=severity)
        ROUTES.apply(platform, [NIGHT], "engineer", at(0))
        heard = live(platform, *story, *rest)
        found[name] = (heard, [n.status for n in notifications_of(platform)])
    assert found == {
        "high": ([(360, "raised")], ["sent"]),
        "critical": ([(60, "raised")], ["sent"]),
        "over": ([], ["dropped"]),
        "gets critical": ([(70, "severity_rose")], ["dropped", "sent"]),
    }


def test_an_alert_that_gets_worse_is_told_to_whom_knows_it_and_to_whom_only_the_worse_concerns():
    mail = Mailbox("mail")
    chief = Mailbox("chief")
    levels = {"medium": {"above": 215}, "critical": {"above": 240}}
    platform = oven_platform(mail, chief, above=None, levels=levels)
    worse = {"name": "worse", "match": {"severity": ["critical"]}, "channels": ["chief"]}
    ROUTES.apply(platform, [{"name": "all", "channels": ["mail"]}, worse], "engineer", at(0))
    live(platform, (1, 230))
    assert (len(mail.messages), len(chief.messages)) == (1, 0)
    live(platform, (2, 250), (3, 250), (4, 220), (5, 250), (6, 200))
    assert beginnings(mail) == ["MEDIUM", "Worse", "Over"]
    assert beginnings(chief) == ["Worse", "Over"]
    assert "above 240" in chief.messages[0].text


def test_nobody_answers_so_the_chief_is_told_and_then_of_the_end():
    mail = Mailbox("mail")
    chief = Mailbox("chief")
    platform = oven_platform(mail, chief)
    steps = [{"after": "15m", "channels": ["chief"]}]
    escalated = {"name": "all", "channels": ["mail"], "escalation": steps}
    ROUTES.apply(platform, [escalated], "engineer", at(0))
    live(platform, (1, 230), *((minute,) for minute in range(2, 40, 2)), (40, 200))
    assert beginnings(mail) == ["MEDIUM", "Over"]
    assert beginnings(chief) == ["Not acknowledged for 15 min", "Over"]


def test_a_sign_of_life_comes_once_in_its_time_and_what_an_outage_swallowed_is_not_made_up_for():
    mail = Mailbox("mail")
    platform = oven_platform(mail)
    alive = {"name": "alive", "channels": ["mail"], "heartbeat": "1h"}
    ROUTES.apply(platform, [alive], "engineer", at(0))
    for minute in [*range(0, 180, 10), 60 * 24]:
        deliver_due(platform, at(minute))
    assert [m.subject for m in mail.messages] == ["Alerting is running"] * 4
    assert len({m.key for m in mail.messages}) == 4


def test_a_faulty_route_in_the_database_costs_nobody_an_alert():
    platform = oven_platform(Mailbox("mail"))
    platform.routes.store_document({"name": "broken", "channels": "mail", "quiet": "always"})
    assert live(platform, (1, 230)) == [(1, "raised")]
