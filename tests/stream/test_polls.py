"""The polled sources of one process of the stream service: each at its interval, beside the others,
and left to the scheduler while it cannot be read."""

import sqlite3
import time
from contextlib import contextmanager
from dataclasses import replace
from threading import Event
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from alerting.adapters.sources.addresses_and_secrets import resolver
from alerting.adapters.sources.claims import poll_claimed
from alerting.adapters.sources.file_drops import FolderDrop
from alerting.adapters.sources.sql import SqlReader
from alerting.definitions.faults import UserError
from alerting.definitions.sources import parse_source
from alerting.stream import threads
from alerting.stream.threads import PolledHere, PollService
from alerting.usecases.sources.poll import Readers
from alerting.usecases.sources.status import SOURCES
from tests.builders import at
from tests.helpers.receivers import looking, wait_until
from tests.in_memory_platform import memory_platform

SOURCE = {
    "kind": "sql",
    "url": {"env": "QUALITY_DB_URL"},
    "table": "results",
    "cursor": "id",
    "every": "5s",
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(threads, "TAKEN_S", 0.05)
    monkeypatch.setattr(threads, "TICK_S", 0.02)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "quality.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE results (id integer, ts text, asset text, hardness real)")
    insert(path, 1)
    return path


def insert(table, number):
    row = (number, f"2026-01-05 12:{number:02}", "press-1", 40.0 + number)
    with sqlite3.connect(table) as database:
        database.execute("INSERT INTO results VALUES (?, ?, ?, ?)", row)


@pytest.fixture
def readers(table):
    environ = {"QUALITY_DB_URL": f"sqlite:///{table}"}
    return Readers(FolderDrop(), SqlReader(resolver(environ)))


@pytest.fixture
def plant():
    return memory_platform()


def apply(plant, *names, **changes):
    SOURCES.apply(plant, [{**SOURCE, "name": name, **changes} for name in names], "ada", at(0))


@contextmanager
def service(plant, readers):
    made = PollService(plant, readers)
    with looking(made.update_sources, made.start_due):
        yield made
    made.close()


def rows(plant, name):
    return plant.deliveries.progress(name).rows


def test_a_source_that_is_slow_holds_up_no_other_and_is_read_by_no_one_else(plant, readers):
    answered = Event()
    sql = readers.sql

    def read(source, cursor):
        if source.name == "slow":
            assert answered.wait(60)
        return sql.read(source, cursor)

    readers = replace(readers, sql=SimpleNamespace(read=read))
    apply(plant, "slow", "fast")
    with service(plant, readers) as running:
        wait_until(lambda: running.reads() == ["fast"])
        assert rows(plant, "fast") == 1
        assert poll_claimed(plant, readers, "slow", "scheduler", plant.clock) is None
        answered.set()
        wait_until(lambda: sorted(running.reads()) == ["fast", "slow"])
    assert plant.deliveries.progress("slow").polled_by == "service"


def test_a_source_is_read_again_after_its_interval(plant, readers, table):
    apply(plant, "fast")
    began = time.monotonic()
    with service(plant, readers):
        wait_until(lambda: rows(plant, "fast") == 1)
        insert(table, 2)
        wait_until(lambda: rows(plant, "fast") == 2)
    assert time.monotonic() - began >= 5


def test_what_cannot_be_read_is_a_fault_of_the_source_and_the_scheduler_reads_it(
    plant, readers, table
):
    apply(plant, "fast")
    apply(plant, "odd", table="nowhere")
    with service(plant, readers) as running:
        wait_until(lambda: running.reads() == ["fast"])
        wait_until(lambda: "nowhere" in (plant.deliveries.progress("odd").fault or ""))
        assert running.reads() == ["fast"]
    with pytest.raises(UserError, match="nowhere"):
        poll_claimed(plant, readers, "odd", "scheduler", plant.clock)
    assert plant.deliveries.progress("odd").polled_by == "scheduler"


def test_an_error_of_a_driver_is_shown_without_its_text_which_can_hold_the_address(plant, readers):
    broken = Mock(**{"read.side_effect": RuntimeError("postgresql://me:secret@host")})
    apply(plant, "fast")
    with service(plant, replace(readers, sql=broken)):
        wait_until(lambda: plant.deliveries.progress("fast").fault)
    assert plant.deliveries.progress("fast").fault == "source fast: cannot be read: RuntimeError"


def test_only_active_sources_of_the_service_are_read(plant, readers):
    apply(plant, "fast", "paused")
    apply(plant, "rare", every="2h")
    apply(plant, "own", read_by="scheduler", every="1m")
    SOURCES.change_state(plant, "paused", "pause", "ada", at(0))
    with service(plant, readers) as running:
        wait_until(lambda: running.reads() == ["fast"])
        SOURCES.change_state(plant, "fast", "pause", "ada", at(1))
        SOURCES.change_state(plant, "paused", "resume", "ada", at(1))
        wait_until(lambda: running.reads() == ["paused"])
    assert [rows(plant, name) for name in ("rare", "own")] == [0, 0]


@pytest.mark.fast
def test_a_source_counts_as_read_for_a_minute_or_three_intervals():
    def is_read(every, after):
        source = parse_source({**SOURCE, "name": "s", "every": every})
        return PolledHere(source, 0.0, 1000.0).is_read(1000.0 + after)

    cases = {("5s", 59): True, ("5s", 61): False, ("1m", 179): True, ("1m", 181): False}
    assert {case: is_read(*case) for case in cases} == cases
