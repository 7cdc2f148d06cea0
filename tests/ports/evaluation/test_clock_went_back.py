"""What was written under a clock that was ahead, on the real server."""

from datetime import timedelta

from alerting.ports import ReadingRow
from alerting.stores.database.transactions_and_leases import STREAM
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.arrived import ArrivedRows, PromptEvaluation
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.health.platform_health import check_platform
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.delivery import deliver_due
from tests.builders import at, oven, too_hot
from tests.helpers.late_line import Line
from tests.in_memory_platform import HandClock, Mailbox, platform_on

DAY = 24 * 60


def reading(minute, value):
    return ReadingRow("oven-1", at(minute), {"temperature": float(value)})


def test_an_alarm_comes_on_the_real_server_and_rows_are_no_longer_late(real):
    line = Line(stores=real)
    line.live((5, {1: 200, 5: 200}), (6, {6: 200}))
    line.run(7 + 40 * DAY)
    line.live((8, {8: 230}))
    assert [(e.raised_at, e.condition) for e in line.episodes()] == [(at(8), "open")]
    line.run(9)
    assert real.arrivals.evaluated_until() == at(9 + 60)
    line.live((100, {99: 200}), (101, {101: 200}))
    assert real.arrivals.arrived_since(at(99)) == []
    assert [e.closed_at for e in line.episodes()] == [at(99)]


def test_the_stream_service_goes_on_by_itself_with_the_next_reading(real):
    platform = platform_on(real, [Mailbox("mail")], HandClock())
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot()], "ada", at(0), "test")
    evaluation = PromptEvaluation(platform)

    def stream(now, minute, value):
        platform.clock.instant = at(now)
        rows = [reading(minute, value)]
        add_readings(platform, rows, at(now))
        arrived = ArrivedRows()
        arrived.add(rows)
        evaluation.evaluate(arrived, at(now))

    stream(1, 1, 200)
    stream(2 + 60, 2, 200)
    stream(3, 3, 230)
    assert [e.raised_at for e in platform.episodes.find(open_only=True)] == [at(3)]
    assert [a.kind for a in platform.platform_alerts.open()] == ["clock wrong"]


def test_a_definition_a_message_a_mute_and_a_lease_of_the_wrong_clock_are_of_now(real):
    mail = Mailbox("mail")
    platform = platform_on(real, [mail], HandClock(at(40 * DAY)))
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot()], "ada", at(40 * DAY), "test")
    add_readings(platform, [reading(40 * DAY + 1, 230)], at(40 * DAY + 1))
    evaluate(platform, None, at(40 * DAY + 2))
    [raised] = [n for n in platform.notifications.waiting(9) if n.channel == "mail"]
    assert raised.next_attempt_at == at(40 * DAY + 2)
    assert platform.leases.claim(STREAM, "dead")
    later = {"$set": {"at": platform.clock_difference().now or at(10_000 * DAY)}}
    real.database["leases"].update_one({"_id": STREAM}, later)
    assert platform.leases.claim(STREAM, "alive")
    platform.clock.instant = at(20)
    evaluate(platform, None, at(20))
    check_platform(platform, at(20))
    deliver_due(platform, at(20))
    assert platform.notifications.waiting(9) == []
    [revision] = platform.definitions.latest_revisions()
    assert revision.at == at(10)
    for minute, value in ((21, 200), (22, 231)):
        add_readings(platform, [reading(minute, value)], at(minute))
        platform.clock.instant = at(minute)
        evaluate(platform, None, at(minute))
    assert [e.raised_at for e in platform.episodes.find(open_only=True)] == [at(22)]


def test_a_fault_of_the_clock_stays_for_an_hour_and_says_by_how_much(real):
    line = Line(stores=real)
    line.live((5, {5: 200}), (65,), (6, {6: 200}))
    [alert] = line.platform.platform_alerts.open()
    assert "59 min ahead" in alert.reason
    assert "2026-01-05 01:05 UTC" in alert.reason
    for minute, open_still in ((7, 1), (60, 1), (67, 0)):
        check_platform(line.platform, at(minute), asks_registry=False)
        found = [a for a in line.platform.platform_alerts.open() if a.kind == "clock wrong"]
        assert len(found) == open_still, minute
    assert line.platform.platform_alerts.resolved_since(at(0))[0].opened_at == at(6)
    assert timedelta(0) == line.platform.clock_difference().difference
