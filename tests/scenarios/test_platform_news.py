"""Faults of the platform told to people: each is a scenario of its own."""

from alerting.usecases.definitions.revisions_and_evaluation_plan import (
    DEFINITION_DOCUMENTS,
    apply,
    sync,
)
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.notification.routing import ROUTES
from tests.builders import at, oven, too_moist
from tests.helpers.ovens import oven_platform
from tests.in_memory_platform import HandClock, Mailbox, platform_on

UNREADABLE = ("champion unreadable", "too-moist")
DAYS = 60 * 24 * 3


def subjects(box):
    return [m.subject for m in box.messages]


def test_without_a_route_for_them_faults_of_platform_are_told_once_to_log_and_their_end_as_well(
    stores,
):
    log = Mailbox("log")
    mail = Mailbox("mail")
    platform = platform_on(stores, [log, mail], HandClock())
    alerts = platform.platform_alerts
    for minute in (0, 1, 2, 3):
        alerts.report(*UNREADABLE, "version 3 is gone", at(minute))
        deliver_due(platform, at(minute))
    assert subjects(log) == ["Platform: champion unreadable: too-moist"]
    assert "version 3 is gone" in log.messages[0].text
    alerts.resolve(*UNREADABLE, at(10))
    for minute in (11, 12, DAYS):
        deliver_due(platform, at(minute))
    assert subjects(log)[1:] == ["Over: platform: champion unreadable: too-moist"]
    alerts.report(*UNREADABLE, "again", at(DAYS))
    deliver_due(platform, at(DAYS))
    assert len(log.messages) == 3
    alerts.report("odd", "oven-1", "over before anybody was told", at(DAYS + 1))
    alerts.resolve("odd", "oven-1", at(DAYS + 2))
    deliver_due(platform, at(DAYS + 3))
    assert (len(log.messages), mail.messages) == (3, [])


def test_a_route_takes_them_over_in_its_shift_and_after_its_quiet_hours():
    platform = oven_platform(*map(Mailbox, ("log", "mail", "pager")))
    quiet = {
        "name": "engineers",
        "channels": ["mail"],
        "platform": True,
        "quiet": [{"from": "00:00", "to": "06:00"}],
    }
    ROUTES.apply(platform, [quiet, {"name": "others", "channels": ["pager"]}], "engineer", at(0))
    platform.platform_alerts.report(*UNREADABLE, "version 3 is gone", at(0))
    heard = {}
    for minute in (1, 100, 360, 400):
        deliver_due(platform, at(minute))
        heard[minute] = [len(box.messages) for box in platform.channels.values()]
    assert heard == {1: [0, 0, 0], 100: [0, 0, 0], 360: [0, 1, 0], 400: [0, 1, 0]}


def test_an_unreadable_champion_is_over_when_its_definition_is_retired_and_no_earlier(stores):
    platform = platform_on(stores, [Mailbox("log")], HandClock())
    platform.assets.store_assets([oven()])
    apply(platform, [too_moist()], "engineer", at(0), "test")
    platform.platform_alerts.report(*UNREADABLE, "version 3 is gone", at(0))
    sync(platform, at(1))
    assert [(a.kind, a.subject) for a in platform.platform_alerts.open()] == [UNREADABLE]
    DEFINITION_DOCUMENTS.change_state(platform, "too-moist", "retire", "engineer", at(2), "test")
    sync(platform, at(3))
    assert platform.platform_alerts.open() == []
