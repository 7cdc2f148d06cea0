"""Readings that come late: in the end all is as if they had come in time, but for ids and when it
was known."""

import pytest

from alerting.episodes.episode import Feedback
from alerting.ports import ReadingRow
from alerting.usecases.episodes.store import episodes_of
from alerting.usecases.ingestion.arrivals import add_readings, remove_readings
from alerting.usecases.operators.feedback import give_feedback
from alerting.usecases.operators.operate import Actor, acknowledge
from tests.builders import at
from tests.helpers.late_line import Line, told
from tests.helpers.stores import states_of


def test_an_episode_that_late_readings_show_is_notified_once_and_says_that_it_is_late():
    line = Line()
    line.feed({1: 200, 60: 200}, 60)
    line.run(60)
    line.feed({55: 230, 58: 231, 60: 230}, 64)
    counts = line.run(65)
    (episode,) = line.episodes()
    assert (episode.raised_at, episode.detected_at, episode.condition) == (at(55), at(65), "open")
    assert episode.late_data_status == "found_late"
    assert (counts.late, counts.too_late, counts.raised) == (3, 0, 1)
    assert told(line) == ["raised"]
    assert "from late data" in line.mail.messages[0].text
    line.run(70)
    assert told(line) == ["raised"]


def test_an_overlapping_interval_is_the_episode_that_was_notified_with_its_id_raise_and_feedback():
    line = Line(**{"for": "2m"})
    line.feed({1: 200, 10: 230}, 10)
    line.run(13)
    (before,) = line.episodes()
    said = {
        "verdict": "true_alarm",
        "acted": True,
        "action": "damper",
        "comment": None,
        "actor": "ann",
        "at": at(14),
    }
    give_feedback(line.platform, Feedback(episode=before.id, **said))
    line.feed({7: 230}, 15)
    line.run(16)
    line.feed({20: 200}, 20)
    line.run(21)
    (after,) = line.episodes()
    assert (after.id, after.raised_at, after.detected_at, after.condition_started_at) == (
        before.id,
        at(12),
        at(13),
        at(9),
    )
    assert (after.condition, after.closed_at, [f.actor for f in after.feedback]) == (
        "closed",
        at(20),
        ["ann"],
    )
    assert [t.reason for t in after.transitions if t.kind == "corrected"] == [
        f"late data: it began at {at(9).isoformat()}"
    ]
    assert after.late_data_status is None
    assert told(line) == ["raised", "closed"]


def test_an_episode_that_never_was_is_withdrawn_stored_and_found_again():
    line = Line(**{"for": "3m"})
    line.feed({1: 200, 10: 230}, 10)
    line.run(14)
    line.feed({11: 200}, 15)
    counts = line.run(16)
    (episode,) = line.episodes()
    assert (episode.withdrawn, episode.late_data_status, episode.condition) == (
        True,
        "refuted",
        "closed",
    )
    assert counts.withdrawn == 1
    assert told(line) == ["raised", "closed"]
    assert line.mail.messages[1].subject == "Withdrawn: too-hot on oven-1"
    assert "data that came late show no reason for it" in line.mail.messages[1].text
    assert episodes_of(line.platform, None, None, None) == []
    line.feed({11: 230}, 17)
    line.run(18)
    (again,) = line.episodes()
    assert (again.id, again.withdrawn, again.late_data_status, again.condition) == (
        episode.id,
        False,
        None,
        "open",
    )
    assert told(line) == ["raised", "closed", "reopened"]
    line.feed({20: 200}, 20)
    line.run(21)
    assert told(line) == ["raised", "closed", "reopened", "closed"]
    assert len({m.key for m in line.mail.messages}) == 4


def test_an_episode_of_readings_that_are_taken_back_is_withdrawn():
    line = Line(**{"for": "3m"})
    line.feed({1: 200, 10: 230, 14: 200}, 14)
    line.run(15)
    assert [episode.withdrawn for episode in line.episodes()] == [False]
    wrong = [ReadingRow("oven-1", at(10), {"temperature": 230.0})]
    assert remove_readings(line.platform, wrong, at(16)) == 1
    counts = line.run(17)
    (episode,) = line.episodes()
    assert (episode.withdrawn, episode.late_data_status, counts.withdrawn) == (True, "refuted", 1)


def test_who_was_told_of_the_end_learns_that_it_is_not_over():
    line = Line(clear_for="4m")
    line.feed({1: 230, 10: 200}, 10)
    line.run(5)
    line.run(15)
    line.feed({12: 230}, 16)
    line.run(17)
    (episode,) = line.episodes()
    assert (episode.condition, episode.closed_at) == ("open", None)
    assert told(line) == ["raised", "closed", "reopened"]
    assert line.mail.messages[2].subject.startswith("Not over: ")


def test_two_episodes_that_were_one_interval_become_the_earlier_one():
    line = Line()
    line.feed({1: 230, 5: 200, 8: 230}, 8)
    line.run(6)
    line.run(9)
    first, second = line.episodes()
    acknowledge(line.platform, second.id, Actor("ann", "operator"), at(10))
    line.feed({5: 230}, 11)
    line.run(12)
    first, second = line.episodes()
    assert (first.condition, second.late_data_status) == ("open", "refuted")
    assert first.acknowledged.actor == "ann"
    assert first.id in second.transitions[-1].reason
    assert states_of(line.platform, "too-hot", ["oven-1"])["oven-1"].raised_at == at(1)


def test_what_is_older_than_the_allowed_lateness_is_counted_and_changes_nothing():
    line = Line(allowed_lateness="1h")
    line.feed({1: 200}, 1)
    for minute in range(2, 200, 5):
        line.feed({minute: 200}, minute)
        line.run(minute + 1)
    line.feed({20: 230, 21: 200, 150: 230, 151: 200}, 200)
    counts = line.run(201)
    assert (counts.late, counts.too_late) == (4, 0)
    assert [e.raised_at for e in line.episodes()] == [at(150)]
    line.feed({30: 230, 31: 231}, 202)
    counts = line.run(203)
    assert (counts.late, counts.too_late) == (2, 2)
    assert len(line.episodes()) == 1


def test_readings_whose_writer_was_killed_are_judged_again_all_the_same():
    line = Line()
    line.feed({1: 200}, 1)
    line.run(10)
    arrivals = line.platform.arrivals
    put = arrivals.store_arrival
    arrivals.store_arrival = lambda arrival: put(arrival) if not arrival.written else killed()
    with pytest.raises(KeyboardInterrupt):
        line.feed({5: 230}, 11)
    arrivals.store_arrival = put
    line.feed({5: 230}, 12)
    line.run(13)
    assert [e.raised_at for e in line.episodes()] == [at(5)]
    for minute in (14, 25):
        line.run(minute)
    assert line.platform.arrivals.unfinished().arrivals == []


def killed():
    raise KeyboardInterrupt


def test_an_outcome_that_data_had_settled_is_settled_again_when_other_data_come():
    line = Line(problem={"variable": "moisture", "above": 4.5}, horizon="30m")
    moist = [ReadingRow("oven-1", at(m), {"moisture": 4.0}) for m in range(0, 90, 5)]
    add_readings(line.platform, moist, at(0))
    line.feed({1: 230, 6: 200}, 1)
    for minute in (2, 10, 60):
        line.run(minute)
    (episode,) = line.episodes()
    assert episode.outcome_record.outcome == "false_alarm"
    add_readings(line.platform, [ReadingRow("oven-1", at(22), {"moisture": 5.0})], at(61))
    line.run(62)
    (episode,) = line.episodes()
    assert episode.outcome_record.outcome == "hit"


def test_a_late_reading_of_the_very_instant_that_was_evaluated_last_counts():
    line = Line()
    line.feed({1: 200}, 1)
    line.run(20)
    last = line.state().watermark
    add_readings(line.platform, [ReadingRow("oven-1", last, {"temperature": 230.0})], at(21))
    counts = line.run(22)
    assert (counts.late, [e.raised_at for e in line.episodes()]) == (1, [last])
