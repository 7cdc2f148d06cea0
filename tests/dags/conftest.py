"""A DAG processor's view of the DAG folder, and a database to read definitions from."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymongo
import pytest

from alerting.adapters.airflow.dag_files import dag_folder, write_dag_files
from alerting.definitions.alert_definition import Revision
from alerting.kinds.registry import parse_definition
from alerting.stores.database.documents import to_document
from tests.helpers.forked import Forked

AIRFLOW = {
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__DAG_PROCESSOR__DAG_VERSION_INFLATION_CHECK_LEVEL": "error",
}
NOBODY_LISTENS = "mongodb://127.0.0.1:1/?directConnection=true"


@contextmanager
def reader_of_dags(files: pytest.TempPathFactory, **environ: str) -> Iterator[Forked]:
    """Airflow, imported once: each folder of DAGs is parsed in a process forked from that.

    All readers have one home of Airflow, because its path is a part of every DAG.
    """
    environ = (
        os.environ | AIRFLOW | {"AIRFLOW_HOME": str(files.getbasetemp() / "airflow")} | environ
    )
    with Forked(files.mktemp("reader"), "tests.dags.parse:main", environ=environ) as started:
        yield started


@dataclass
class Folder:
    """The DAG folder as one installation sees it: `parse` reads it like the DAG processor does, in
    a process of its own."""

    home: Path
    uri: str
    reader: Forked

    def parse(
        self,
        uri: str | None = None,
        reader: Forked | None = None,
        without: str | None = None,
        **environ: str,
    ) -> dict[str, Any]:
        """Return what Airflow finds. `without`: a pattern of files that are left out."""
        own = {
            "ALERTING_HOME": str(self.home),
            "ALERTING_MONGODB_URI": uri or self.uri,
            "ALERTING_DATABASE": "dags_test",
        }
        answer = self.home / "parsed.json"
        answer.unlink(missing_ok=True)
        write_dag_files(self.home)
        for file in dag_folder(self.home).glob(without) if without else ():
            file.unlink()
        done = (reader or self.reader).run(
            dag_folder(self.home), answer, environ=os.environ | AIRFLOW | own | environ
        )
        assert done.returncode == 0, done.stderr
        return json.loads(answer.read_text())


class Revisions:
    """Revisions as the platform keeps them."""

    def __init__(self, uri: str) -> None:
        self._client = pymongo.MongoClient(uri)
        self._kept = self._client["dags_test"]["definition_revisions"]
        self._kept.create_index([("name", 1), ("number", 1)], unique=True)

    @property
    def database(self) -> Any:
        """The database of the DAG files."""
        return self._client["dags_test"]

    def add(self, **document: Any) -> None:
        definition = parse_definition(document)
        number = self._kept.count_documents({"name": definition.name}) + 1
        at = datetime(2026, 1, 1, tzinfo=UTC)
        revision = Revision(
            name=definition.name,
            number=number,
            hash=str(number),
            author="test",
            at=at,
            reason="",
            definition=definition,
        )
        self._kept.insert_one(to_document(revision))

    def add_sources(self, *documents: dict[str, Any]) -> None:
        self._client["dags_test"]["sources"].insert_many([dict(document) for document in documents])

    def add_assets(self, *documents: dict[str, Any]) -> None:
        self._client["dags_test"]["assets"].insert_many([dict(document) for document in documents])

    def clear(self) -> None:
        self._kept.delete_many({})
        self._client["dags_test"]["assets"].delete_many({})
        self._client["dags_test"]["sources"].delete_many({})
        self._client["dags_test"]["leases"].delete_many({})


@pytest.fixture
def revisions(real_server: str) -> Iterator[Revisions]:
    kept = Revisions(real_server)
    kept.clear()
    yield kept
    kept.clear()


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forked]:
    """The session's reader of DAG folders."""
    with reader_of_dags(tmp_path_factory) as started:
        yield started


@pytest.fixture
def folder(real_server: str, tmp_path: Path, reader: Forked) -> Folder:
    return Folder(tmp_path, real_server, reader)


@pytest.fixture
def classifier() -> Callable[..., dict[str, Any]]:
    """A small valid classifier definition with changes."""

    def make(**changes: Any) -> dict[str, Any]:
        problem = {"variable": "moisture", "above": 4.5, "for": "5m"}
        return {
            "name": "too-moist",
            "kind": "classifier",
            "assets": ["oven-1"],
            "problem": problem,
            "horizon": "30m",
        } | changes

    return make
