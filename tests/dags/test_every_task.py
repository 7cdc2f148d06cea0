"""Each task of each DAG, on a platform with data in a real database: all of them, twice; and none
hides that the database is away.

The tasks are those of the parsed DAG files: a new task that is not called here fails the first
test.
"""

import inspect
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pandas as pd
import pytest

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-"))
sys.path.append(str(Path(__file__).parents[2] / "dags"))

pytest.importorskip("airflow.sdk")

from airflow.dag_processing.dagbag import BundleDagBag
from airflow.providers.common.compat.sdk import DagRunTriggerException
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput
from airflow.sdk.execution_time.context import set_current_context
from alerting_tasks import source_asset

from alerting import wiring
from alerting.adapters.airflow.dag_files import dag_folder, write_dag_files
from alerting.adapters.mongo.mongo import DatabaseDown, open_stores
from alerting.episodes.evaluation_plan import EvaluationPlan
from alerting.ports import Platform, ReadingRow
from alerting.settings.environment import read_settings
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.routing import ROUTES
from alerting.usecases.sources.status import SOURCES
from tests.builders import at, oven, too_hot
from tests.helpers.databases import empty_database
from tests.humid_line import DAY, NAME, humid_oven, learned_quickly, line
from tests.in_memory_platform import HandClock, Mailbox, platform_on

pytestmark = [
    pytest.mark.models,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore:The `airflow"),  # skops looks into all of Airflow
]

DATABASE = "tasks_test"
TRAINED = 8 * DAY
OTHER = "often-moist"
READ_NO_PLATFORM = {"training_tasks.ask"}
SAM = {"chosen_options": ["Approve"], "params_input": {}, "responded_by_user": {"name": "sam"}}


@dataclass
class Tasks:
    """The tasks of the DAG files, by module and name of their function, or by their operator."""

    found: dict[str, Any]
    called: set[str] = field(default_factory=set)
    run: dict[str, Any] = field(default_factory=dict)
    """What Airflow tells the tasks of a run."""

    def call(self, name: str, /, *given: Any, **named: Any) -> Any:
        """Call the function of a task as Airflow does."""
        self.called.add(name)
        with set_current_context(self.run):
            return function_of(self.found[name])(*given, **named)

    def operator(self, name: str, **fields: Any) -> Any:
        """Return an operator with these fields, which Airflow has filled in."""
        self.called.add(name)
        task = self.found[name]
        return task.unmap(fields) if hasattr(task, "unmap") else task

    def begin(self, run: str = "run", as_of: str | None = None, **told: Any) -> None:
        """Begin a run."""
        no_run = SimpleNamespace(
            get_dr_count=lambda *_, **__: 0,
            get_dag=lambda dag: SimpleNamespace(dag_id=dag),
            get_task_states=lambda *_, run_ids: {run_ids[0]: {"candidate": "failed"}},
            try_number=1,
            max_tries=5,
        )
        state: dict[str, Any] = {}
        self.run = {
            "run_id": run,
            "params": {"as_of": as_of},
            "task_state_store": SimpleNamespace(get=state.get, set=state.__setitem__),
            "ti": no_run,
            "outlet_events": MagicMock(),
            "triggering_asset_events": {},
            **told,
        }


def function_of(task: Any) -> Callable[..., Any] | None:
    """Return the function of a task, also of one for each of several values; None of an operator
    without one."""
    mapped = getattr(task, "partial_kwargs", {})
    function: Callable[..., Any] | None = mapped.get(
        "python_callable", getattr(task, "python_callable", None)
    )
    return function


def name_of(task: Any) -> str:
    """Return module and name of the function of a task, or the class of its operator."""
    function = function_of(task)
    if function is None:
        return str(getattr(task, "operator_class", type(task)).__name__)
    return f"{Path(function.__code__.co_filename).stem}.{function.__name__}"


@pytest.fixture(scope="module")
def environ(
    real_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[pytest.MonkeyPatch]:
    """The settings of a home, as tasks find them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALERTING_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("ALERTING_MONGODB_URI", real_server)
        patch.setenv("ALERTING_DATABASE", DATABASE)
        patch.setattr(os, "nice", lambda _: 0)
        patch.setattr(hitl, "upsert_hitl_detail", lambda **_: None)
        yield patch


@pytest.fixture(scope="module")
def platform(real_server: str, environ: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Twelve days of a line, two definitions to be trained, a limit with a weekly report, and a
    folder that is read."""
    lab = Path(os.environ["ALERTING_HOME"]) / "lab"
    lab.mkdir()
    with open_stores(real_server, DATABASE, prepare=True) as stores:
        empty_database(stores.database)
        made = platform_on(stores, [Mailbox("engineers")], HandClock(at(TRAINED)))
        made.assets.store_assets([humid_oven(), oven()])
        add_readings(made, line(), at(0))
        hot = [ReadingRow("oven-1", at(m), {"temperature": 230.0}) for m in range(600, 720, 10)]
        add_readings(made, hot, at(0))
        asked = learned_quickly(promotion={"mode": "approval"}, schedule={"report": "week"})
        asked["learning"]["candidates"] += ["lightgbm"]
        other = learned_quickly() | {"name": OTHER}
        apply(made, [asked, other, too_hot(schedule={"report": "week"})], "ada", at(0), "test")
        source = {"name": "lab", "kind": "files", "pattern": f"{lab}/*.csv", "asset": "oven-1"}
        SOURCES.apply(made, [source | {"read_by": "scheduler"}], "ada", at(0))
        route = {"name": "engineers", "match": {}, "channels": ["engineers"], "platform": True}
        ROUTES.apply(made, [route], "ada", at(0))

        @contextmanager
        def opened(*_: Any, **__: Any) -> Iterator[Platform]:
            yield made

        environ.setattr(wiring, "open_platform", opened)
        yield made


@pytest.fixture(scope="module")
def tasks(platform: Platform) -> Tasks:
    """The tasks of the DAG files of this platform."""
    home = Path(os.environ["ALERTING_HOME"])
    write_dag_files(home)
    folder = dag_folder(home)
    bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="alerting")
    assert bag.import_errors == {}
    return Tasks({name_of(task): task for dag in bag.dags.values() for task in dag.tasks})


def test_every_task_of_every_dag_runs_twice_on_a_platform_with_data(
    tasks: Tasks, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (0, 1):
        platform.clock.instant = at(TRAINED + day * DAY)
        read_and_evaluate(tasks, platform, monkeypatch, day)
        start_train_and_score(tasks, platform, day)
        report(tasks, platform, day)
        maintain(tasks, platform, day)

    assert {*tasks.found} - tasks.called == set(), "tasks that no test runs: call them here"


def read_and_evaluate(
    tasks: Tasks, platform: Platform, monkeypatch: pytest.MonkeyPatch, day: int
) -> None:
    """A file arrives. The round of the first day is evaluated in shards, as a large one; that of
    the second by its first task."""
    written = at(TRAINED + day * DAY - 20).isoformat()
    file = Path(os.environ["ALERTING_HOME"]) / "lab" / f"{day}.csv"
    file.write_text(f"time,temperature\n{written},231\n")
    os.utime(file, (1, 1))
    tasks.begin()
    assert tasks.call("ingest.read", "lab") == {"rows": 1, "new": 1, "refused": 0}
    events = {source_asset("lab"): []}
    is_small = day == 1
    monkeypatch.setattr(EvaluationPlan, "is_small", property(lambda _: is_small))
    for plan, evaluate, given in (
        ("plan_arrived", "evaluate_arrived", ()),
        ("plan", "evaluate", ("1m",)),
    ):
        tasks.begin(triggering_asset_events=events)
        shards = tasks.call(f"evaluation_tasks.{plan}", *given)
        done = [tasks.call(f"evaluation_tasks.{evaluate}", **shard) for shard in shards]
        assert (sum(counts["targets"] for counts in done) == 0) == is_small
        tasks.call("evaluation_tasks.notify", shards, done)
    assert platform.episodes.find(definition="too-hot")


def start_train_and_score(tasks: Tasks, platform: Platform, day: int) -> None:
    """One definition is trained and approved, then trained again by its schedule; the training of
    the other fails, and is due again. A job of predictions is due each day."""
    files = wiring.predict_files(read_settings(os.environ))
    tasks.begin()
    due = {run["trigger_dag_id"]: run for run in tasks.call("start_due.find_due")}
    assert {*due} == {f"train__{OTHER}"} | ({f"train__{NAME}"} if day == 0 else set())
    start = tasks.operator("TriggerDagRunOperator", trigger_dag_id="predict", trigger_run_id="job")
    with pytest.raises(DagRunTriggerException):
        start.execute(tasks.run)
    train(tasks, due[f"train__{NAME}"]["trigger_run_id"] if day == 0 else "scheduled__2")
    assert platform.decisions.for_definition(NAME)[0].promoted
    assert len(platform.decisions.for_definition(NAME)) == day + 1
    tasks.begin(
        due[f"train__{OTHER}"]["trigger_run_id"], dag=SimpleNamespace(dag_id=f"train__{OTHER}")
    )
    tasks.call("training_tasks.record_failure", OTHER)
    job = files.order(NAME, "ada", 1000, {"asset": humid_oven().name}, timedelta(days=14))
    write_readings(files.readings(job.id))
    files.submit(job)
    tasks.begin()
    assert {"trigger_dag_id": "predict", "trigger_run_id": job.id} in tasks.call(
        "start_due.find_due"
    )
    tasks.begin(job.id)
    assert tasks.call("start_due.score_job")["scores"] > 0


def train(tasks: Tasks, run: str) -> None:
    """The steps of a training of fewer families than its definition has; a person answers the
    question, if there is one."""
    tasks.begin(run)
    search = {"families": ["logistic_regression"], "trials": 2, "time_budget_minutes": 5.0}
    tasks.run["params"] |= search
    mlflow_run = tasks.call("training_tasks.dataset", NAME)
    for family in ("persistence", *search["families"]):
        summary = tasks.call("training_tasks.candidate", mlflow_run, family)
        assert summary["trials_asked"] == (1 if family == "persistence" else 2)
    with pytest.raises(AirflowSkipException, match="started without lightgbm"):
        tasks.call("training_tasks.candidate", mlflow_run, "lightgbm")
    decision = tasks.call("training_tasks.compare", mlflow_run)
    asks = tasks.call("training_tasks.ask", decision) == "approve"
    approve = tasks.operator("Approval")
    approve.mlflow_run = mlflow_run
    with pytest.raises(TaskAwaitingInput) if asks else nullcontext():
        approve.execute(tasks.run | {"task_instance": SimpleNamespace(id="ti")})
    tasks.call("training_tasks.promote", mlflow_run, SAM if asks else None)


def write_readings(path: Path) -> None:
    """Write the table of a predict job."""
    rows = [{"ts": row.ts, **row.values} for row in line() if row.ts >= at(TRAINED)]
    pd.DataFrame(rows).to_parquet(path)


def report(tasks: Tasks, platform: Platform, day: int) -> None:
    """The week that ended yesterday is reported on the first day, once."""
    tasks.begin(as_of=at(TRAINED + day * DAY).isoformat())
    shards = tasks.call("report.due")
    made = [tasks.call("report.make", **shard) for shard in shards]
    assert sum(made) == (3 if day == 0 else 0)
    tasks.call("report.unseen")
    tasks.call("report.announce")
    for name in (NAME, "too-hot"):
        assert [head.id for head in platform.reports.for_definition(name)][-1:] == [
            f"{name}:2026-W02"
        ]


def maintain(tasks: Tasks, platform: Platform, day: int) -> None:
    """What stands is kept up, what failed is told, and what is old is deleted."""
    tasks.begin()
    counts = tasks.call("maintain.clean_up")
    assert f"training failed: {OTHER}" in counts["faults"]
    sent = [message.subject for message in platform.channels["engineers"].messages]
    assert sent.count(f"Platform: training failed: {OTHER}") == 1
    tasks.begin()
    assert NAME in tasks.call("maintain.verify")
    tasks.begin(as_of=at(TRAINED + day * 4000 * DAY).isoformat())
    assert (tasks.call("maintain.delete")["readings"] > 0) == (day == 1)


def test_no_task_hides_that_the_database_is_away(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow tries again what raises, and a run that failed for good is told."""

    def away(*_: Any, **__: Any) -> Any:
        raise DatabaseDown("away")

    monkeypatch.setattr(wiring, "open_platform", away)
    tasks.begin("a" * 12, dag=SimpleNamespace(dag_id="d"))
    tasks.run["params"] |= {"families": ["1m"]}
    hiding = set()
    for name, task in tasks.found.items():
        if (function := function_of(task)) is not None and name not in READ_NO_PLATFORM:
            try:
                tasks.call(name, **dict.fromkeys(inspect.signature(function).parameters, "1m"))
                hiding.add(name)
            except DatabaseDown:
                pass
    assert hiding == set()
