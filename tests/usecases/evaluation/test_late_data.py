"""Readings that come late: in the end all is as if they had come in time, but for ids and when it
was known."""

import pytest

from alerting.definitions.wording.language import ENGLISH
from alerting.episodes.episode import Feedback
from alerting.ports import ReadingRow
from alerting.usecases.episodes.stored_episodes import episodes_of
from alerting.usecases.ingestion.arrived_rows import add_readings, remove_readings
from alerting.usecases.operators.operate import Actor, acknowledge, give_feedback
from tests.builders import at
from tests.helpers.late_line import Line
from tests.helpers.stores import states_of


def minute_of(instant):
    return None if instant is None else (instant - at(0)).total_seconds() / 60


def shown(episode):
    """Raise, when it was found, its end, and what late data did to it."""
    known = map(minute_of, (episode.raised_at, episode.detected_at, episode.closed_at))
    return (*known, episode.late_data_status, episode.withdrawn)


def taken_back(platform, minute):
    wrong = [ReadingRow("oven-1", at(10), {"temperature": 230.0})]
    assert remove_readings(platform, wrong, at(minute)) == 1


NEVER = [(14, {1: 200, 10: 230}), (16, {11: 200})]
STORIES = {
    "an episode that late readings show is notified once": (
        {}, [(60, {1: 200, 60: 200}), (65, {55: 230, 58: 231, 60: 230}), (70,)],
        [(65, "MEDIUM")], [(55, 65, None, "found_late", False)],
    ),
    "an episode that never was is withdrawn": (
        {"for": "3m"}, NEVER,
        [(14, "MEDIUM"), (16, "Withdrawn")], [(13, 14, 16, "refuted", True)],
    ),
    "and found again": (
        {"for": "3m"}, [*NEVER, (18, {11: 230}), (21, {20: 200})],
        [(14, "MEDIUM"), (16, "Withdrawn"), (18, "Not over"), (21, "Over")],
        [(13, 14, 20, None, False)],
    ),
    "readings that are taken back": (
        {"for": "3m"}, [(15, {1: 200, 10: 230, 14: 200}), (17, taken_back)],
        [(15, "MEDIUM")], [(13, 15, 14, "refuted", True)],
    ),
    "who was told of the end learns that it is not over": (
        {"clear_for": "4m"}, [(5, {1: 230}), (15, {10: 200}), (17, {12: 230})],
        [(5, "MEDIUM"), (15, "Over"), (17, "Not over")], [(1, 5, None, None, False)],
    ),
    "a late reading of the very instant that was evaluated last counts": (
        {}, [(20, {1: 200}), (22, {20: 230})],
        [(22, "MEDIUM")], [(20, 22, None, "found_late", False)],
    ),
}  # fmt: skip


def test_what_late_readings_show_is_told_and_what_they_refute_is_withdrawn():
    found = {}
    for name, (fields, story, _, _) in STORIES.items():
        line = Line(**fields)
        found[name] = (line.live(*story), [shown(episode) for episode in line.episodes()])
    assert found == {name: (heard, episodes) for name, (*_, heard, episodes) in STORIES.items()}


def test_what_is_late_is_said_and_counted_and_what_is_withdrawn_is_in_no_list():
    line = Line(**{"for": "3m"})
    line.live(*NEVER)
    assert "data that came late show no reason for it" in line.mail.messages[1].text
    assert episodes_of(line.platform, None, None, None) == []
    assert len({m.key for m in line.mail.messages}) == 2
    line = Line()
    line.live((60, {1: 200, 60: 200}))
    line.feed({55: 230, 58: 231, 60: 230}, 64)
    counts = line.run(65)
    assert (counts.late, counts.too_late, counts.raised, counts.withdrawn) == (3, 0, 1, 0)
    assert "from late data" in line.mail.messages[-1].text


def test_an_overlapping_interval_is_the_episode_that_was_notified_with_its_id_raise_and_feedback():
    line = Line(**{"for": "2m"})
    line.live((13, {1: 200, 10: 230}))
    (before,) = line.episodes()
    said = {"verdict": "true_alarm", "acted": True, "action": "damper", "comment": None}
    give_feedback(line.platform, Feedback(episode=before.id, actor="ann", at=at(14), **said))
    assert line.live((16, {7: 230}), (21, {20: 200})) == [(21, "Over")]
    (after,) = line.episodes()
    assert shown(after) == (12, 13, 20, None, False)
    assert (after.id, after.condition_started_at) == (before.id, at(9))
    assert [f.actor for f in after.feedback] == ["ann"]
    assert [t.reason for t in after.transitions if t.kind == "corrected"] == [
        f"late data: it began at {ENGLISH.show(at(9))}"
    ]


def test_two_episodes_that_were_one_interval_become_the_earlier_one():
    line = Line()
    line.live((6, {1: 230, 5: 200}), (9, {8: 230}))
    acknowledge(line.platform, line.episodes()[1].id, Actor("ann", "operator"), at(10))
    line.live((12, {5: 230}))
    first, second = line.episodes()
    assert (first.condition, second.late_data_status) == ("open", "refuted")
    assert first.acknowledged.actor == "ann"
    assert first.id in second.transitions[-1].reason
    assert states_of(line.platform, "too-hot", ["oven-1"])["oven-1"].raised_at == at(1)


def test_what_is_older_than_the_allowed_lateness_is_counted_and_changes_nothing():
    line = Line(allowed_lateness="1h")
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


def test_readings_whose_writer_was_killed_are_judged_again_all_the_same(monkeypatch):
    line = Line()
    line.live((10, {1: 200}))
    arrivals = line.platform.arrivals
    put = arrivals.store_arrival

    def dies_after_writing(arrival):
        if arrival.written:
            raise KeyboardInterrupt
        return put(arrival)

    with monkeypatch.context() as killed:
        killed.setattr(arrivals, "store_arrival", dies_after_writing)
        with pytest.raises(KeyboardInterrupt):
            line.feed({5: 230}, 11)
    line.feed({5: 230}, 12)
    line.run(13)
    assert [e.raised_at for e in line.episodes()] == [at(5)]
    line.live((14,), (25,))
    assert arrivals.unfinished().arrivals == []


def test_an_outcome_that_data_had_settled_is_settled_again_when_other_data_come():
    line = Line(problem={"variable": "moisture", "above": 4.5}, horizon="30m")
    moist = [ReadingRow("oven-1", at(m), {"moisture": 4.0}) for m in range(0, 90, 5)]
    add_readings(line.platform, moist, at(0))
    line.live((2, {1: 230}), (10, {6: 200}), (60,))
    assert line.episodes()[0].outcome_record.outcome == "false_alarm"
    add_readings(line.platform, [ReadingRow("oven-1", at(22), {"moisture": 5.0})], at(61))
    line.run(62)
    assert line.episodes()[0].outcome_record.outcome == "hit"
