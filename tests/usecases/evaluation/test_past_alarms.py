"""Alarms found by evaluating past days: they fill the figures of the first days, and say so."""

from alerting.usecases.alarm_load.alarm_metrics import alarm_quality
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate, evaluate_past
from tests.builders import at, too_hot
from tests.helpers.late_line import Line


def plant(hot, every):
    """A definition that came into service at 300, over readings from 0 on; evaluated until 599."""
    line = Line(state="draft")
    line.feed({m: 230 if m in hot else 200 for m in range(0, 600, every)})
    platform = line.platform
    platform.clock.instant = at(300)
    apply(platform, [too_hot()], "engineer", at(300), "test")
    counts = evaluate_past(platform, "too-hot", at(0), at(300), revision="latest")
    platform.clock.instant = at(599)
    evaluate(platform, None, at(599))
    return platform, (counts.found, counts.raised, counts.closed)


def with_live_alarms(number):
    platform, counts = plant({60, 120, 180, *(330 + 30 * n for n in range(number))}, every=5)
    assert counts == (3, 3, 3)
    return platform


def test_in_the_first_days_past_alarms_are_counted_and_told_of_and_later_left_out():
    found = {}
    for number in (1, 4):
        quality = alarm_quality(with_live_alarms(number), at(0), at(600), past=None)
        found[number] = (quality.kpis.alarms, quality.past.found, quality.past.counted)
        words = "without a notification" if number == 1 else "are not counted"
        assert words in quality.past.message
    assert found == {1: (4, 3, True), 4: (4, 3, False)}


def test_one_may_say_so_oneself():
    platform = with_live_alarms(1)
    found = {p: alarm_quality(platform, at(0), at(600), past=p).kpis.alarms for p in (False, True)}
    assert found == {False: 1, True: 4}
    assert alarm_quality(platform, at(0), at(600)).kpis.alarms == 1  # what programs get by default
    [position] = alarm_quality(platform, at(0), at(600), past=True).positions
    assert position.kpis.alarms == 4


def test_past_times_that_begin_inside_an_alarm_find_the_same_alarm():
    """Once live and once in past times: it is not counted again, and a live alarm stays as it
    is."""
    platform, counts = plant({*range(60, 90), *range(330, 390)}, every=1)
    assert counts == (1, 1, 1)
    before = platform.episodes.find()
    again = evaluate_past(platform, "too-hot", at(70), at(300), revision="latest")
    assert (again.found, again.raised, again.closed) == (1, 0, 0)
    assert evaluate_past(platform, "too-hot", at(350), at(600), revision="latest").raised == 0
    live, past = platform.episodes.find()
    assert (live, past.id, past.closed_at) == (before[0], before[1].id, before[1].closed_at)
