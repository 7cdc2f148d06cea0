"""A stored revision marks the DAG files of every DAG processor, whose home no other host sees."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pymongo
import pytest

from alerting.adapters.airflow.dag_files import (
    EVALUATION_FILE,
    SOURCE_FILE,
    dag_folder,
    training_file,
)
from alerting.local.airflow import dag_processor
from alerting.local.airflow.dag_processor import DagMarks

HANG_S = 120.0
EDITED = {EVALUATION_FILE, training_file("too-moist")}


class Host:
    """A DAG processor's home, and its marks."""

    def __init__(self, home: Path) -> None:
        self.home = home
        dag_folder(home).mkdir(parents=True)
        trained = {f"train_{number:02}.py" for number in range(16)}
        self.files = {EVALUATION_FILE, SOURCE_FILE, *trained, "report.py"}
        for name in self.files:
            (dag_folder(home) / name).touch()
        self.clear()

    def clear(self) -> None:
        for name in self.files:
            self._set(name)

    def _set(self, name: str) -> None:
        os.utime(dag_folder(self.home) / name, (0, 0))

    def marked(self) -> set[str]:
        folder = dag_folder(self.home)
        return {name for name in self.files if (folder / name).stat().st_mtime > 0}

    def wait_for(self, files: set[str]) -> None:
        until(lambda: self.marked() >= files, f"marks of {files}, not {self.marked()}")


def until(happened: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + HANG_S
    while not happened():
        assert time.monotonic() < deadline, f"waited {HANG_S} s for {what}"
        time.sleep(0.05)


@contextmanager
def followed(marks: DagMarks) -> Iterator[None]:
    ended = Event()
    thread = Thread(target=marks.follow, args=(ended.is_set,))
    thread.start()
    try:
        assert marks.is_open.wait(HANG_S)
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def database(real_server):
    with pymongo.MongoClient(real_server) as client:
        database = client["dag_marks"]
        yield database
        client.drop_database("dag_marks")


def store(database, kind: str = "classifier", collection: str = "definition_revisions") -> None:
    revision = {"name": "too-moist", "definition": {"kind": kind}}
    database[collection].insert_one(revision)


def test_every_host_marks_the_files_of_a_revision_and_no_others(database, tmp_path):
    hosts = [Host(tmp_path / name) for name in ("a", "b")]
    with followed(DagMarks(database, hosts[0].home)), followed(DagMarks(database, hosts[1].home)):
        for host in hosts:
            host.wait_for(host.files - {"report.py"})  # at the start, all that read the database
            host.clear()
        store(database)
        for host in hosts:
            host.wait_for(EDITED)
            assert host.marked() == EDITED
            host.clear()
        store(database, "threshold")
        for host in hosts:
            host.wait_for({EVALUATION_FILE})
            assert host.marked() == {EVALUATION_FILE}
        store(database, collection="source_revisions")
        for host in hosts:
            host.wait_for({SOURCE_FILE})


def test_a_source_that_the_stream_service_reads_no_more_marks_the_file_of_sources_alone(
    database, tmp_path, monkeypatch
):
    monkeypatch.setattr(dag_processor, "_LOOK_S", 0.2)
    host = Host(tmp_path)
    leases = database["leases"]

    def note(reads):
        change = {"$set": {"reads": reads}, "$currentDate": {"at": True}}
        leases.update_one({"_id": "stream"}, change, upsert=True)

    note(["lab"])
    marks = DagMarks(database, host.home)
    with followed(marks):
        host.wait_for(host.files - {"report.py"})
        until(lambda: marks.read_by_service == {"lab"}, "the first look")
        host.clear()
        for reads in ([], ["lab"]):
            note(reads)
            host.wait_for({"ingest.py"})
            assert host.marked() == {"ingest.py"}
            host.clear()
        leases.delete_one({"_id": "stream"})
        host.wait_for({"ingest.py"})


def test_what_was_stored_in_an_outage_is_marked_after_it_or_all_where_the_stream_cannot_go_on(
    database, tmp_path
):
    host = Host(tmp_path)
    marks = DagMarks(database, host.home)
    with followed(marks):
        pass
    store(database)
    host.clear()
    with followed(marks):
        host.wait_for(EDITED)
    assert host.marked() == EDITED
    lost = Host(tmp_path / "lost")
    with followed(DagMarks(database, lost.home, token={"_data": "8200"})):
        lost.wait_for(lost.files - {"report.py"})
    assert lost.marked() == lost.files - {"report.py"}
