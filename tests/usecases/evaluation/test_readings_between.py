"""Readings that are written between an evaluator's reading and its commit are evaluated in the
end."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.adapters.mongo.mongo import open_stores
from alerting.usecases.evaluation.rounds import evaluate
from tests.builders import at
from tests.helpers.killed_processes import restore
from tests.helpers.late_line import Line

HOT = {30: 230}


@pytest.fixture(params=[0, 10], ids=["without-latency", "latency-ends-at-the-reading"])
def line(real_server, request):
    with open_stores(real_server, "between", prepare=True) as stores:
        restore(stores.database, {})
        line = Line(stores=stores, stale_after="2h", latency=timedelta(minutes=request.param))
        line.feed({1: 200})
        line.run(15)
        yield line


class Between:
    """Readings of an evaluator to whom something happens after it has read, and before it writes
    anything."""

    def __init__(self, readings, happens):
        self._readings = readings
        self._happens = happens

    def load_many(self, wanted, end):
        found = self._readings.load_many(wanted, end)
        self._happens()
        return found


def evaluate_while(line, minute, happens):
    readings = Between(line.platform.readings, happens)
    return evaluate(replace(line.platform, readings=readings), None, at(minute))


def raised(line):
    return [(e.raised_at, e.condition, e.withdrawn) for e in line.episodes()]


def test_a_reading_that_is_written_after_the_evaluator_has_read_is_evaluated_in_the_next_round(
    line,
):
    assert evaluate_while(line, 40, lambda: line.feed(HOT, 40)).targets == 1
    assert line.state().watermark == at(40) - line.platform.latency
    assert raised(line) == []
    line.run(41)
    assert raised(line) == [(at(30), "open", False)]


def test_it_is_evaluated_as_well_if_another_evaluator_routes_it_before_the_first_one_commits(line):
    def happens():
        line.feed(HOT, 40)
        line.run(39)  # ends its round before the first evaluator ends its own

    assert evaluate_while(line, 40, happens).elsewhere == 1
    line.run(41)
    assert raised(line) == [(at(30), "open", False)]


def test_writer_announced_its_readings_before_evaluator_began_and_writes_them_after_it_has_read(
    line, monkeypatch
):
    writes = line.platform.reading_writes
    insert = writes.insert
    rounds = []

    def evaluated_before(*rows):
        rounds.append(line.run(40).targets)
        return insert(*rows)

    with monkeypatch.context() as slow:
        slow.setattr(writes, "insert", evaluated_before)
        line.feed(HOT, 39)
    assert (rounds, raised(line)) == ([1], [])
    line.run(41)
    assert raised(line) == [(at(30), "open", False)]
