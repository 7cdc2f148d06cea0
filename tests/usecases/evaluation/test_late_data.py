"""Readings that come late: in the end all is as if they had come in time, but for ids and when it
was known."""

from dataclasses import replace

import pytest

from alerting.adapters.mongo.indexes import REPROCESSING_REQUESTS
from alerting.definitions.assets import Variable
from alerting.episodes.episode import Feedback
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.definitions.targets import current_plan
from alerting.usecases.episodes.store import episodes_of
from alerting.usecases.ingestion.arrivals import add_readings, remove_readings
from alerting.usecases.ingestion.lateness import route_arrivals
from alerting.usecases.operators.feedback import give_feedback
from alerting.usecases.operators.operate import Actor, acknowledge
from alerting.usecases.upkeep.maintain import maintain
from tests.builders import at, oven, too_hot
from tests.helpers.late_line import Line, told
from tests.helpers.stores import states_of
from tests.support import mongomock_stores


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


def test_the_end_that_late_readings_show_is_told():
    line = Line(clear_for="5m")
    line.feed({1: 230}, 1)
    line.run(12)
    assert told(line) == ["raised"]
    line.feed({3: 200, 10: 200}, 13)
    line.run(14)
    (episode,) = line.episodes()
    assert (episode.condition, episode.withdrawn) == ("closed", False)
    assert told(line) == ["raised", "closed"]


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


def test_late_data_of_a_target_that_is_not_evaluated_gather_one_request_from_the_earliest_on():
    stores = mongomock_stores()
    line = Line(stores=stores)
    line.feed({1: 200}, 1)
    line.run(60)
    targets = current_plan(line.platform).targets
    for minute, late in ((61, 50), (62, 30), (63, 40)):
        line.feed({late: 230, late + 1: 200}, minute)
        route_arrivals(line.platform, targets, at(minute))
    assert stores.database[REPROCESSING_REQUESTS].count_documents({}) == 1
    (request,) = line.platform.arrivals.requests(["too-hot"]).values()
    assert request.start == at(30)
    line.run(64)
    assert [episode.raised_at for episode in line.episodes()] == [at(30), at(40), at(50)]
    assert stores.database[REPROCESSING_REQUESTS].count_documents({}) == 0


@pytest.mark.parametrize(("allowed_lateness", "kept_days"), [("1h", 1), ("10d", 10)])
def test_upkeep_forgets_deliveries_that_are_older_than_every_allowed_lateness_and_than_a_day(
    allowed_lateness, kept_days
):
    line = Line(allowed_lateness=allowed_lateness)
    line.feed({1: 200}, 1)
    line.run(60)
    line.feed({58: 200}, 61)
    line.run(62)
    day = 24 * 60
    assert maintain(line.platform, at(kept_days * day + 61))["forgotten_late"] == 0
    assert [arrival.rows for arrival in line.platform.arrivals.arrived_since(at(0))] == [1]
    assert maintain(line.platform, at(kept_days * day + 62))["forgotten_late"] == 1
    assert line.platform.arrivals.arrived_since(at(0)) == []


def test_history_from_before_the_definition_is_nothing_to_judge_again():
    line = Line()
    line.feed({1: 200}, 1)
    line.run(5)
    line.feed({-m: 230 for m in range(1, 500)}, 6)
    counts = line.run(7)
    assert (counts.late, counts.too_late, line.episodes()) == (0, 0, [])


def test_without_allowed_lateness_nothing_is_evaluated_again():
    line = Line(allowed_lateness="0s")
    line.feed({1: 200}, 1)
    line.run(60)
    line.feed({58: 230}, 61)
    assert line.run(62).too_late == 1
    assert line.episodes() == []


def test_latency_holds_the_evaluation_back_and_nothing_is_late_or_stale_because_of_it():
    line = Line(variables={"temperature": Variable(latency="5m")}, stale_after="6m")
    for minute in range(1, 30):
        line.feed({minute: 230 if minute == 20 else 200}, minute)
        counts = line.run(minute + 4)
        assert (counts.late, counts.unknown) == (0, {}) or minute < 3
    assert states_of(line.platform, "too-hot", ["oven-1"])["oven-1"].watermark == at(28)
    (episode,) = line.episodes()
    assert (episode.raised_at, episode.detected_at, episode.late_data_status) == (
        at(20),
        at(25),
        None,
    )


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


def test_after_an_outage_one_digest_tells_of_all_that_is_over_and_the_open_ones_are_told_as_ever():
    line = Line()
    ovens = [oven().model_copy(update={"name": f"oven-{n}"}) for n in range(1, 21)]
    line.platform.assets.store_assets(ovens)
    apply(
        line.platform,
        [too_hot(name="hot", assets=["oven-*"], stale_after="30m")],
        "engineer",
        at(0),
        "test",
    )
    apply(line.platform, [too_hot(state="retired")], "engineer", at(0), "test")
    line.run(1)
    values = {m: 230 if m % 60 < 5 else 200 for m in range(2, 360, 3)} | {358: 230}
    rows = [
        ReadingRow(o.name, at(m), {"temperature": float(v)})
        for o in ovens
        for m, v in values.items()
        if m < 358 or o is ovens[0]
    ]
    add_readings(line.platform, rows, at(359))
    line.run(360)
    assert told(line) == ["raised"]
    assert "on oven-1" in line.mail.messages[0].subject
    for minute in (361, 366, 370):
        line.run(minute)
    (digest,) = line.mail.messages[1:]
    assert digest.subject == "120 alerts raised and over before a notification was sent"
    assert "and 100 others" in digest.text
    assert line.platform.notifications.waiting() == []


def test_a_late_reading_of_the_very_instant_that_was_evaluated_last_counts():
    line = Line()
    line.feed({1: 200}, 1)
    line.run(20)
    last = line.state().watermark
    add_readings(line.platform, [ReadingRow("oven-1", last, {"temperature": 230.0})], at(21))
    counts = line.run(22)
    assert (counts.late, [e.raised_at for e in line.episodes()]) == (1, [last])


def test_a_changed_cadence_moves_a_quiet_target_in_a_unit_of_work():
    line = Line(stores=mongomock_stores(), allowed_lateness="0s")
    line.feed(dict.fromkeys(range(1, 30), 200), 1)
    line.run(10)
    apply(
        line.platform,
        [too_hot(stale_after="30m", allowed_lateness="0s", schedule={"every": "5m"})],
        "ann",
        at(10),
        "slower",
    )
    begun = []
    units = line.platform.unit_of_work

    class Counted:
        def begin(self, attempt=0):
            begun.append(attempt)
            return units.begin(attempt)

    line.platform = replace(line.platform, unit_of_work=Counted())
    for minute in (15, 20):
        line.run(minute)
    assert (begun, line.state().watermark) == ([0], at(20))
