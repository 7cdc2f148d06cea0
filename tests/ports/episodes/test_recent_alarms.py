"""Alarms in memory are as they are committed, whoever has written them."""

from dataclasses import replace
from datetime import timedelta

from alerting.adapters.mongo.mongo import MongoStores
from alerting.stores import recent_alarms
from alerting.stores.recent_alarms import RecentEpisodes, with_recent_alarms
from tests.builders import at
from tests.helpers.episodes import episode

DAYS = at(0) - timedelta(days=28)


def asked(stores, **chosen):
    """Return an answer of memory, and fail if it is not that of the database."""
    held = stores.recent.alarms(DAYS, at(100), **chosen)
    assert stores.recent.answers == "memory"
    assert held == stores.episodes.alarms(DAYS, at(100), **chosen)
    return held


class Watched(RecentEpisodes):
    """Alarms in memory that say where the last answer came from."""

    answers = ""

    def _is_current(self, start):
        is_current = super()._is_current(start)
        self.answers = "memory" if is_current else "database"
        return is_current


def held_by(real):
    """Return the stores of a process, and its alarms in memory, already read."""
    stores = MongoStores(real.database)
    stores.recent = Watched(stores.episodes, lambda work: work())
    stores.recent.alarms(DAYS, at(100))
    return stores


def test_what_another_process_has_written_is_in_the_next_answer(real):
    real.episodes.insert(episode(1, asset="a"))
    stores = held_by(real)
    assert [alarm.asset for alarm in asked(stores)] == ["a"]
    second = episode(2, asset="b")
    real.episodes.insert(second)
    assert [alarm.asset for alarm in asked(stores)] == ["a", "b"]
    stored = real.database["episodes"]
    stored.update_one({"_id": second.id}, {"$set": {"outcome_record": {"outcome": "hit"}}})
    assert [alarm.outcome for alarm in asked(stores, assets={"b"})] == ["hit"]
    stored.update_one({"_id": second.id}, {"$set": {"severity": "grave"}})  # is none of ours
    assert [alarm.asset for alarm in asked(stores)] == ["a"]
    stored.update_one({"_id": second.id}, {"$set": {"severity": "high"}})
    assert [alarm.asset for alarm in asked(stores)] == ["a", "b"]
    stored.delete_one({"_id": second.id})
    assert [alarm.asset for alarm in asked(stores)] == ["a"]
    assert asked(stores, definitions={"another"}) == []


def test_a_longer_time_and_a_broken_stream_are_read_from_the_database(real):
    real.episodes.insert(episode(1))
    stores = held_by(real)
    assert len(stores.recent.alarms(DAYS - timedelta(days=1), at(100))) == 1
    assert stores.recent.answers == "database"
    assert len(asked(stores)) == 1
    real.database["episodes"].drop()
    assert stores.recent.alarms(DAYS, at(100)) == []
    assert stores.recent.answers == "database"


def test_after_an_idle_time_no_question_reads_the_long_stream(real):
    real.episodes.insert(episode(1))
    stores = held_by(real)
    begun = []
    stores.recent._later = begun.append
    stores.recent._asked_s -= 2 * recent_alarms._LONGEST_S
    for _ in range(2):
        assert len(stores.recent.alarms(DAYS, at(100))) == 1
        assert stores.recent.answers == "database"
    (read,) = begun
    read()
    assert len(asked(stores)) == 1


def test_answers_of_memory_have_the_bounds_and_order_of_the_database(real):
    stores = held_by(real)
    for minute in (9, 100, 5, -28 * 1440 - 1):
        real.episodes.insert(episode(minute, asset=f"oven-{minute}"))
    late, gone = (
        replace(episode(minute, asset=asset), withdrawn=True)
        for minute, asset in ((7, "late"), (8, "gone"))
    )
    real.episodes.insert(replace(late, late_data_status="refuted"))
    real.episodes.insert(gone)
    held = asked(stores)
    assert [alarm.asset for alarm in held] == ["oven-5", "late", "gone", "oven-9"]
    marks = [(alarm.withdrawn, alarm.is_refuted) for alarm in held]
    assert marks == [(False, False), (False, True), (True, False), (False, False)]
    still = stores.recent.alarms(at(50), at(60), active_from=DAYS)
    assert still == stores.episodes.alarms(at(50), at(60), active_from=DAYS) != []


def test_what_is_no_alarm_at_all_spoils_no_answer(real):
    real.episodes.insert(episode(1))
    stores = held_by(real)
    for id in ({"a": 1}, 7):
        real.database["episodes"].insert_one({"_id": id, "asset": "x"})
        assert len(asked(stores)) == 1
        real.database["episodes"].delete_one({"_id": id})
        assert len(asked(stores)) == 1


def test_the_console_has_recent_alarms_in_memory(real):
    assert isinstance(with_recent_alarms(real.episodes, lambda work: work()), RecentEpisodes)


def test_more_alarms_than_may_be_held_are_read_each_time(real, monkeypatch):
    monkeypatch.setattr(recent_alarms, "MOST_ALARMS", 1)
    stores = held_by(real)
    for minute in (1, 2):
        real.episodes.insert(episode(minute, asset=f"oven-{minute}"))
        found = stores.recent.alarms(DAYS, at(100))
        assert len(found) == minute
    assert stores.recent.answers == "database"
    stores.recent.alarms(DAYS, at(100))
    assert stores.recent.answers == "database"
