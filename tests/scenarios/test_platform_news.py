"""Faults of the platform told to people, and alerts acknowledged by a link: each is a scenario of
its own."""

from dataclasses import replace
from datetime import timedelta

from fastapi.testclient import TestClient

from alerting.adapters.channels.links import SignedLinks
from alerting.console.app import create_app
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply, retire, sync
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.notification.routes import apply_routes
from tests.builders import at, oven, too_hot, too_moist
from tests.in_memory_platform import HandClock, Mailbox, platform_on

UNREADABLE = ("champion unreadable", "too-moist")


def subjects(box):
    return [m.subject for m in box.messages]


def test_without_a_route_for_them_faults_of_platform_are_told_once_to_log_and_their_end_as_well(
    stores,
):
    log = Mailbox("log")
    mail = Mailbox("mail")
    platform = platform_on(stores, [log, mail], HandClock())
    platform.platform_alerts.report(*UNREADABLE, "version 3 is gone", at(0))
    for minute in (1, 2, 3):
        platform.platform_alerts.report(*UNREADABLE, "version 3 is gone", at(minute))
        deliver_due(platform, at(minute))
    assert subjects(log) == ["Platform: champion unreadable: too-moist"]
    assert "version 3 is gone" in log.messages[0].text
    platform.platform_alerts.resolve(*UNREADABLE, at(10))
    for minute in (11, 12, 60 * 24 * 3):
        deliver_due(platform, at(minute))
    assert subjects(log)[1:] == ["Over: platform: champion unreadable: too-moist"]
    platform.platform_alerts.report(*UNREADABLE, "again", at(60 * 24 * 3))
    deliver_due(platform, at(60 * 24 * 3))
    assert len(log.messages) == 3
    assert mail.messages == []


def test_a_route_takes_them_over_in_its_shift_and_after_its_quiet_hours(stores):
    log = Mailbox("log")
    mail = Mailbox("mail")
    pager = Mailbox("pager")
    platform = platform_on(stores, [log, mail, pager], HandClock())
    quiet = {
        "name": "engineers",
        "channels": ["mail"],
        "platform": True,
        "quiet": [{"from": "00:00", "to": "06:00"}],
    }
    apply_routes(platform, [quiet, {"name": "others", "channels": ["pager"]}], "engineer", at(0))
    platform.platform_alerts.report(*UNREADABLE, "version 3 is gone", at(0))
    heard = {
        minute: len(mail.messages)
        for minute in (1, 100, 360, 400)
        if deliver_due(platform, at(minute))
    }
    assert heard == {1: 0, 100: 0, 360: 1, 400: 1}
    assert (log.messages, pager.messages) == ([], [])


def test_who_was_not_told_of_a_fault_is_not_told_of_its_end(stores):
    log = Mailbox("log")
    platform = platform_on(stores, [log], HandClock())
    platform.platform_alerts.report(*UNREADABLE, "version 3 is gone", at(0))
    platform.platform_alerts.resolve(*UNREADABLE, at(1))
    deliver_due(platform, at(2))
    assert log.messages == []


def test_an_unreadable_champion_is_over_when_its_definition_is_retired_and_no_earlier(stores):
    platform = platform_on(stores, [Mailbox("log")], HandClock())
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot(), too_moist()], "engineer", at(0), "test")
    platform.platform_alerts.report(*UNREADABLE, "version 3 is gone", at(0))
    sync(platform, at(1))
    assert [(a.kind, a.subject) for a in platform.platform_alerts.open()] == [UNREADABLE]
    retire(platform, "too-moist", "engineer", at(2), "test")
    sync(platform, at(3))
    assert platform.platform_alerts.open() == []


def linked(on, **route):
    mail = Mailbox("anna")
    clock = HandClock(at(1))
    links = SignedLinks(b"k" * 40, "http://testserver", timedelta(hours=1), clock.now)
    platform = replace(platform_on(on, [mail], clock), links=links)
    platform.assets.store_assets([oven()])
    apply_routes(platform, [{"name": "r", "channels": ["anna"], **route}], "engineer", at(0))
    apply(platform, [too_hot(stale_after="1d")], "engineer", at(0), "test")
    add_readings(platform, [ReadingRow("oven-1", at(1), {"temperature": 230.0})], at(1))
    evaluate(platform, None, at(1))
    deliver_due(platform, at(1))
    app = create_app(platform, {"admin-token-0123456789": ("ada", "admin")}, now=clock.now)
    return platform, TestClient(app, raise_server_exceptions=False), mail.messages[0].links


def test_a_link_acknowledges_by_its_button_where_the_route_permits(stores):
    platform, client, links = linked(stores, acknowledge_by_link=True, repeat="30m")
    assert links[0].label == "I have seen it"
    for method in ("GET", "HEAD"):
        client.request(method, links[0].url)
    assert platform.episodes.find()[0].acknowledged is None
    assert "No answer is recorded yet" in client.get(links[0].url).text
    for _ in range(2):
        assert "Recorded" in client.post(links[0].url, data={"confirm": "yes"}).text
    [episode] = platform.episodes.find()
    assert episode.acknowledged.actor == "anna (by link)"
    assert [t.kind for t in episode.transitions].count("acknowledged") == 1
    assert episode.feedback == ()
    assert deliver_due(platform, at(100)).announced == 0  # somebody is on it: nothing is repeated
