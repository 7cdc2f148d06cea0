"""Alarms found by evaluating past days: they fill the figures of the first days, and say so."""

from alerting.ports import ReadingRow
from alerting.usecases.alarm_load.kpis import alarm_quality
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate, evaluate_past
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at, oven, too_hot
from tests.in_memory_platform import Mailbox, in_memory_platform


def plant(live):
    """Three alarms in past days, and so many live ones after the definition came into service."""
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven()])
    minutes = range(0, 600, 5)
    hot = {*(60, 120, 180), *(330 + 30 * n for n in range(live))}
    rows = [ReadingRow("oven-1", at(m), {"temperature": 230 if m in hot else 200}) for m in minutes]
    add_readings(platform, rows, at(0))
    platform.clock.instant = at(300)
    apply(platform, [too_hot()], "engineer", at(300), "test")
    assert evaluate_past(platform, "too-hot", at(0), at(300), revision="latest").raised == 3
    platform.clock.instant = at(599)
    evaluate(platform, None, at(599))
    return platform


def quality(platform, past):
    return alarm_quality(platform, at(0), at(600), past=past)


def test_in_the_first_days_past_alarms_are_counted_and_told_of():
    found = quality(plant(live=1), past=None)
    assert (found.kpis.alarms, found.past.found, found.past.counted) == (4, 3, True)
    assert "without a notification" in found.past.message


def test_later_they_are_left_out_and_told_of():
    found = quality(plant(live=4), past=None)
    assert (found.kpis.alarms, found.past.found, found.past.counted) == (4, 3, False)
    assert "are not counted" in found.past.message


def test_one_may_say_so_oneself():
    platform = plant(live=1)
    assert quality(platform, past=False).kpis.alarms == 1
    assert quality(platform, past=True).kpis.alarms == 4
    assert alarm_quality(platform, at(0), at(600)).kpis.alarms == 1  # what programs get by default
    [position] = alarm_quality(platform, at(0), at(600), past=True).positions
    assert position.kpis.alarms == 4


def test_past_times_that_begin_inside_an_alarm_find_the_same_alarm():
    """Once live and once in past times: it is not counted again, and a live alarm stays as it
    is."""
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven()])
    hot = {*range(60, 90), *range(330, 390)}
    rows = [
        ReadingRow("oven-1", at(m), {"temperature": 230 if m in hot else 200}) for m in range(600)
    ]
    add_readings(platform, rows, at(0))
    platform.clock.instant = at(300)
    apply(platform, [too_hot()], "engineer", at(300), "test")
    counts = evaluate_past(platform, "too-hot", at(0), at(300), revision="latest")
    assert (counts.found, counts.raised, counts.closed) == (1, 1, 1)
    platform.clock.instant = at(599)
    evaluate(platform, None, at(599))
    before = platform.episodes.find()
    again = evaluate_past(platform, "too-hot", at(70), at(300), revision="latest")
    assert (again.found, again.raised, again.closed) == (1, 0, 0)
    assert evaluate_past(platform, "too-hot", at(350), at(600), revision="latest").raised == 0
    live, past = platform.episodes.find()
    assert (live, past.id, past.closed_at) == (before[0], before[1].id, before[1].closed_at)
