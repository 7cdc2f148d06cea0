"""`alerting up` for real: MongoDB, MLflow, Airflow, the API and the demo line, in a home of their
own, on free ports; its DAGs in the scheduler, with what people put into it while it runs.

The demo line has two weeks of past instead of thirty days, and a short search for its model.
"""

import re
import signal
import sqlite3
import stat
import urllib.parse
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import httpx
import pandas as pd
import pytest
import yaml
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from alerting.adapters.scored_files import PredictFolder, score_file
from alerting.client import Client
from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.file_form import FileForm
from alerting.demo.line import ASSET
from alerting.local.demo import EXAMPLES
from alerting.ports import WantedHistory
from alerting.settings.machine import is_free
from alerting.settings.shipped_files import shipped
from alerting.stores.database.transactions_and_leases import LEASES
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.definitions.versions import present_answer
from alerting.usecases.sources.status import SOURCES
from alerting.usecases.training.due import find_due_trainings
from alerting.wiring import predict_files
from tests.helpers.http_receiver import http_receiver
from tests.helpers.up import HANG_S, MODEL, PORTS, SHORT, Up, ended
from tests.support import require_real_server

pytestmark = pytest.mark.timeout(3600)
PUT = "put-in-by-hand"
FAILING = "window-too-long"
QUESTION = yaml.safe_load((shipped(EXAMPLES) / f"{MODEL}.yaml").read_text(encoding="utf-8")) | {
    "name": PUT,
    "learning": SHORT | {"candidates": ["logistic_regression"]},
    "features": {"stride": "10m", "windows": ["15m", "30m", "1h"]},
    "schedule": {"retrain": None},
    "promotion": {"mode": "approval"},
}
CALLS = f"""
from airflow.sdk import dag
from alerting.airflow_provider.notifier import AlertingNotifier
from alerting.airflow_provider.task_operators import ApplyOperator, PredictOperator

DRAFT = dict(name="from-a-dag", kind="threshold", assets=["press-1"], variable="hardness")

@dag(schedule=None)
def calls():
    ApplyOperator(task_id="apply", documents=[DRAFT | dict(above=90, state="draft")]) >> (
        PredictOperator(
            task_id="ask",
            definition="{MODEL}",
            assets=["{ASSET}"],
            on_success_callback=AlertingNotifier(asset="press-1", variable="hardness", value=20),
        )
    )

calls()
"""
UNTRAINABLE = {"name": FAILING, "features": {"windows": ["60d"]}}
instant = datetime.fromisoformat


@pytest.fixture(scope="module")
def up(tmp_path_factory, commands):
    require_real_server()
    started = Up(tmp_path_factory.mktemp("home"), commands)
    started.environ["ALERTING_SECRET_FOLDERS"] = str(started.home / "source-secrets")
    started.fill()
    own = started.home / "own_dags"
    example = Path(__file__).parents[2] / "config/examples/airflow/order_maintenance.py"
    (own / example.name).write_text(example.read_text().replace("oven-too-hot", "too-soft"))
    (own / "calls.py").write_text(CALLS)
    try:
        started.start()
        started.follow_until("demo-line is ready")
        yield started
    finally:
        everything = started.processes()
        started.process.send_signal(signal.SIGTERM)
        code = started.process.wait(HANG_S)
    assert ended(everything)
    assert code == 0


def test_the_first_start_ends_with_a_champion_an_example_of_every_kind_and_a_known_database(up):
    assert "biscuits-too-moist: version 1 is champion" in up.said()
    up.wait_until(lambda: len(up.get("/definitions")) == 5, "an example is missing")
    kinds = {one["kind"] for one in up.get("/definitions")}
    assert kinds == {"classifier", "threshold", "forecast", "control_chart", "anomaly"}
    address = re.search(r"mongodb://\S+", up.said())[0]
    user = re.search(r"user (\w+), password in (\S+)", up.said())
    with MongoClient(address, username=user[1], password=up.word(user[2])) as client:
        assert client["alerting"]["definition_revisions"].count_documents({}) > 0


def test_what_to_open_first_signs_in_once(up):
    link = re.search(r"Open this first: (http://127\.0\.0\.1:\S+)", up.said())[1]
    with httpx.Client(trust_env=False, timeout=HANG_S) as browser:
        assert browser.get(link).status_code == 200
        page = browser.get(f"http://127.0.0.1:{up.port('API')}/")
        assert page.status_code == 200
        assert "backfilled" in page.text or "past" in page.text  # the unseen days
    assert httpx.get(link, trust_env=False, timeout=HANG_S).status_code == 410
    code = link.rpartition("/")[2].encode()
    assert [file for file in up.logs() if code in file.read_bytes()] == []


def test_the_unseen_days_fill_list_figures_and_reports_and_nothing_is_sent(up):
    assert re.search(
        r"unseen days evaluated in \d+ s: [1-9]\d* episodes, marked as past, without notifications",
        up.said(),
    )
    past = [e for e in up.get("/episodes?limit=200")["items"] if e["backfilled"]]
    assert past
    assert all(up.get(f"/episodes/{e['id']}")["notifications"] == [] for e in past[:3])
    assert up.get("/reports")
    assert up.get("/kpi?past=true")["kpis"]["alarms"] >= len(past)


def test_nothing_listens_but_on_the_loopback_address(up):
    listening = up.listening()
    assert {ip for ip, _ in listening} == {"127.0.0.1"}
    assert set(up.ports.values()) <= {port for _, port in listening}


def test_other_users_of_the_machine_are_let_in_nowhere(up):
    stranger = MongoClient("127.0.0.1", up.port("MONGODB"), directConnection=True)
    with stranger, pytest.raises(OperationFailure, match="requires authentication"):
        stranger["alerting"]["definitions"].find_one()
    doors = {
        "MLFLOW": "/api/2.0/mlflow/experiments/get?experiment_id=0",
        "AIRFLOW": "/api/v2/dags",
        "API": "/api/v1/episodes",
    }
    for name, path in doors.items():
        assert up.http.get(f"http://127.0.0.1:{up.port(name)}{path}").status_code == 401, name
    assert stat.S_IMODE(up.home.stat().st_mode) == 0o700


def test_no_secret_stands_where_others_may_read_it_or_in_a_log(up):
    secrets = [
        up.word(name) for name in ("mongod/password", "mongod/keyfile", "secrets/mlflow_password")
    ]
    quoted = [urllib.parse.quote(secret, safe="") for secret in secrets]
    commands = "\n".join(up.of_processes(lambda process: " ".join(process.cmdline())))
    logs = up.logs()
    assert len(logs) > 5
    for secret in {*secrets, *quoted}:
        assert secret not in commands
        assert [path for path in logs if secret in path.read_text(errors="replace")] == []
    for word in ("mongod/password", "mongod/keyfile"):
        assert up.word(word) not in up.said()


@pytest.fixture(scope="module")
def opened(up):
    with up.opened() as (settings, stores, platform):
        yield settings, stores, platform


@pytest.fixture(scope="module")
def scheduler(up):
    return up.scheduler()


class Jobs(NamedTuple):
    """Two jobs of predictions, a faulty one and a good one, and a file with the scores of the good
    one."""

    files: PredictFolder
    ids: list[str]
    expected: Path


@pytest.fixture(scope="module")
def begun(scheduler, opened):
    """Begin, at once, all for which the platform needs a while: the tests that follow wait for
    their parts of it. Returns the jobs of predictions."""
    settings, stores, platform = opened
    written = stores.database["alert_definitions"]
    written.insert_many([dict(QUESTION), QUESTION | UNTRAINABLE])  # each gets an id
    put_sources_and_definitions(platform, settings, platform.clock.now())
    jobs = submit_jobs(settings, platform)
    scheduler.trigger("start_due")
    return jobs


def test_the_dags_run_green_in_the_scheduler_and_the_model_raises_an_episode_with_reasons(
    up, scheduler, begun
):
    http = scheduler.http

    def succeeded(dag):
        runs = http.get(f"/dags/{dag}/dagRuns").raise_for_status().json()["dag_runs"]
        assert "failed" not in {run["state"] for run in runs}, runs
        return any(run["state"] == "success" for run in runs)

    def raised():
        return up.get("/episodes?definition=biscuits-too-moist")["items"]

    for dag in ("train__biscuits-too-moist", "evaluate__1m", "maintain"):
        up.wait_until(lambda dag=dag: succeeded(dag), f"{dag} did not succeed")
    up.wait_until(raised, "no episode was raised")
    assert up.get(f"/episodes/{raised()[0]['id']}")["contributions"]


def test_a_question_put_into_the_database_is_trained_by_itself_and_a_person_decides(
    scheduler, opened, begun
):
    """Its first answer is approved, that of the changed question rejected."""
    _, stores, platform = opened
    written = stores.database["alert_definitions"]
    (asked,) = questions(scheduler, platform, 1)
    text = scheduler.answer(asked, "Approve", "")
    assert "It ranks better than chance." in text and "| average precision |" in text
    tasks = scheduler.finish(f"train__{PUT}", asked)
    families = {task["rendered_map_index"] for task in tasks if task["task_id"] == "candidate"}
    assert families == {"persistence", "logistic_regression"}
    (first,) = platform.decisions.for_definition(PUT)
    assert (first.revision, first.promoted, first.provisional) == (1, True, True)
    assert platform.models.aliases(PUT).get("champion") == first.challenger_version

    written.update_one({"name": PUT}, {"$set": {"horizon": "45m"}})
    asked = questions(scheduler, platform, 2)[-1]
    answer = present_answer(
        platform.definitions.revisions(PUT), platform.decisions.for_definition(PUT)
    )
    assert answer.message == "answers revision 1; revision 2 is being trained"
    scheduler.answer(asked, "Reject", "not before the audit")
    scheduler.finish(f"train__{PUT}", asked)
    second = platform.decisions.for_definition(PUT)[-1]
    assert (second.promoted, second.verdict, second.actor) == (False, "rejected", "admin")
    assert "not before the audit" in second.reason
    assert platform.models.aliases(PUT).get("champion") == first.challenger_version

    written.update_one({"name": PUT}, {"$set": {"title": "Too moist"}})
    scheduler.trigger("start_due")
    scheduler.until(lambda: len(platform.definitions.revisions(PUT)) == 3, "its revision")
    due = [due.definition for due in find_due_trainings(platform, platform.clock.now())]
    assert PUT not in due
    assert len(scheduler.run_ids(f"train__{PUT}")) == 2


def questions(scheduler, platform, count):
    """Return the paths of the runs of so many trainings, the last of which has begun."""

    def is_started():
        scheduler.finish("start_due", scheduler.trigger("start_due"))
        return len(platform.trainings.for_definitions([PUT])) == count

    scheduler.until(is_started, "its training")
    ids = [f"question-{one.question}-1" for one in platform.trainings.for_definitions([PUT])]
    assert sorted(scheduler.run_ids(f"train__{PUT}")) == sorted(ids)
    return [f"/dags/train__{PUT}/dagRuns/{id}" for id in scheduler.run_ids(f"train__{PUT}")]


def test_a_training_that_fails_is_recorded_with_its_reason(scheduler, opened, begun):
    _, stores, platform = opened
    reasons = set()

    def is_recorded():  # another training of the question begins a new record
        reasons.update(one.failure for one in platform.trainings.for_definitions([FAILING]))
        return reasons - {None}

    scheduler.until(is_recorded, "its failure")
    stores.database["alert_definitions"].delete_one({"name": FAILING})  # not tried again
    assert "the training period has no usable row" in str(reasons)
    first = scheduler.run_ids(f"train__{FAILING}")[0]
    record = f"/dags/train__{FAILING}/dagRuns/{first}/taskInstances/record_failure"
    scheduler.until(
        lambda: scheduler.http.get(record).json()["state"] in ("success", "failed"), "its record"
    )
    assert scheduler.http.get(record).json()["state"] == "success"


def test_a_source_raises_an_alarm_at_once_and_tells_what_it_cannot_read(scheduler, opened, begun):
    """Definitions that are evaluated once a day read a table and files."""
    settings, _, platform = opened
    table = settings.home / "lab.db"
    drop = settings.home / "drop"
    scheduler.until(lambda: platform.episodes.find(definition="too-hard"), "the row in the table")
    assert platform.deliveries.progress("lab").rows == 2

    now = platform.clock.now()
    (drop / "night.csv").write_text(f"ts,thickness\n{(now - timedelta(minutes=1)).isoformat()},9\n")
    (drop / "torn.csv").write_text("ts,thickness\nno time,9\n")
    add_rows(table, now, 70)
    scheduler.until(lambda: platform.episodes.find(definition="too-thick"), "the row in the file")
    scheduler.until(lambda: platform.deliveries.progress("lab").rows == 3, "the third row alone")
    scheduler.until(lambda: platform.deliveries.progress("drop").fault, "the fault of the file")
    assert "torn.csv" in str(platform.deliveries.progress("drop").fault)

    table.unlink()
    run = scheduler.trigger("ingest__lab")
    scheduler.until(lambda: scheduler.http.get(run).json()["state"] == "failed", "the failed run")
    assert "results" in str(platform.deliveries.progress("lab").fault)


def test_a_dag_of_somebody_else_starts_within_a_minute_of_an_alarm_and_calls_the_platform(
    up, scheduler, opened, begun
):
    """The example orders maintenance; operators and notifier use the same connection."""
    _, stores, platform = opened
    tokens = {owner["role"]: token for token, owner in up.secret("api_tokens.json").items()}
    address = f"http://127.0.0.1:{up.port('API')}"
    with http_receiver() as maintenance, Client(address, tokens["sender"]) as sender:
        orders = f"http://127.0.0.1:{maintenance.server_port}"
        for connection in (
            {"connection_id": "maintenance", "conn_type": "http", "host": orders},
            {"connection_id": "alerting_default", "conn_type": "alerting", "host": address}
            | {"password": tokens["engineer"]},
        ):
            scheduler.http.post("/connections", json=connection).raise_for_status()
        run = scheduler.trigger("calls")
        listening = {"uri_prefix_pattern": "alerting://too-soft"}
        scheduler.until(
            lambda: scheduler.http.get("/assets", params=listening).json()["total_entries"],
            "the asset of the alarm",
        )
        followed = {"_id": "asset events", "position": {"$ne": None}}
        scheduler.until(lambda: stores.database[LEASES].find_one(followed), "followed events")
        reading = {"ts": platform.clock.now().isoformat(), "asset": "press-1"}
        sender.call("send_readings", [reading | {"values": {"hardness": 1.0}}])
        scheduler.until(lambda: platform.episodes.find(definition="too-soft"), "the alarm")
        raised = datetime.now(UTC)
        scheduler.until(lambda: maintenance.bodies, "the order")
        (episode,) = platform.episodes.find(definition="too-soft")
        assert maintenance.bodies[0]["key"] == episode.id
        assert maintenance.bodies[0]["machine"] == "press-1"
        path = f"/dags/order_maintenance/dagRuns/{scheduler.run_ids('order_maintenance')[0]}"
        scheduler.finish("order_maintenance", path)
        began = instant(scheduler.http.get(path).json()["start_date"])
    assert (began - raised).total_seconds() < 60
    comments = [t.kind for t in platform.episodes.get(episode.id).transitions]
    assert "commented" in comments
    scheduler.finish("calls", run)
    assert platform.definitions.newest_revision("from-a-dag").definition.state == "draft"


def put_sources_and_definitions(platform, settings, now):
    """Put in a table with two rows and a folder of files, and a definition of each."""
    table = settings.home / "lab.db"
    drop = settings.home / "drop"
    secret = settings.home / "source-secrets" / "lab"
    drop.mkdir()
    secret.parent.mkdir()
    secret.write_text(f"sqlite:///{table}")
    secret.chmod(0o600)
    add_rows(table, now, 40, 60)
    shared = {"latency": "0s", "every": "10s"}
    lab = {
        "name": "lab",
        "kind": "sql",
        "url": {"file": str(secret)},
        "table": "results",
        "cursor": "id",
        "asset_column": "machine",
    }
    files = {"name": "drop", "kind": "files", "pattern": f"{drop}/*.csv", "asset": "press-1"}
    platform.assets.store_assets(
        [Asset(name="press-1", variables={"hardness": Variable(), "thickness": Variable()})]
    )
    SOURCES.apply(platform, [lab | shared, files | shared | {"unchanged_for": "0s"}], "test", now)
    rule = {"kind": "threshold", "assets": ["press-1"], "schedule": {"every": "1d"}}
    documents = [
        rule | {"name": "too-hard", "variable": "hardness", "above": 50},
        rule | {"name": "too-thick", "variable": "thickness", "above": 5},
        rule | {"name": "too-soft", "variable": "hardness", "below": 5},
    ]
    apply(platform, documents, "test", now - timedelta(minutes=10), "test")


def add_rows(table, now, *values):
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


def submit_jobs(settings, platform):
    """Submit a job of predictions that cannot be read and one that can."""
    oven = next(asset for asset in platform.assets.all() if asset.name == ASSET)
    now = platform.clock.now()
    past = platform.readings.load(WantedHistory(oven, now - timedelta(hours=12), now)).readings
    files = predict_files(settings)
    jobs = []
    for content in (pd.DataFrame({"ts": ["no time"]}), past.reset_index()):
        job = files.order(MODEL, "test", 1_000_000, {"asset": oven.name}, timedelta(days=14))
        content.to_parquet(files.readings(job.id))
        jobs.append(job)
    ids = [job.id for job in jobs]
    expected = settings.home / "expected.parquet"
    score_file(platform, MODEL, files.readings(ids[-1]), FileForm(asset=oven.name), expected)
    for job in jobs:
        files.submit(job)
    return Jobs(files, ids, expected)


def test_predict_jobs_are_scored_one_after_the_other_and_a_faulty_one_fails_alone(scheduler, begun):
    files, ids, expected = begun
    runs = [f"/dags/predict/dagRuns/{id}" for id in ids]
    scheduler.until(lambda: all(job.ended_at for job in files.jobs()), "the jobs to end")
    scheduler.until(
        lambda: all(scheduler.http.get(run).json().get("end_date") for run in runs), "their runs"
    )
    assert [files.get(id).state for id in ids] == ["failed", "done"], files.jobs()
    assert scheduler.http.get(runs[-1]).json()["state"] == "success"
    spans = sorted(
        (task["start_date"], task["end_date"])
        for run in runs
        for task in scheduler.http.get(f"{run}/taskInstances").json()["task_instances"]
        if task["pool"] == "predict"
    )
    assert len(spans) == len(ids)
    assert spans[0][1] <= spans[1][0]
    found = pd.read_parquet(files.file(ids[-1], "scores.parquet"))
    assert found["score"].notna().sum() > 100
    pd.testing.assert_frame_equal(found, pd.read_parquet(expected))
    assert sorted(scheduler.run_ids("predict")) == sorted(ids)


def test_a_second_up_on_the_same_home_or_the_same_ports_is_refused_before_anything_is_started(
    up, tmp_path
):
    code, output = up.run("up")
    assert (code, "already runs" in output) == (1, True)
    environ = {**up.environ, "ALERTING_HOME": str(tmp_path / "other")}
    done = up.commands.run("up", environ=environ, timeout=HANG_S)
    assert done.returncode == 1
    taken = [f"port {up.port(name)} is taken" in done.stdout for name in PORTS]
    assert taken == [True] * len(PORTS)
    assert not (tmp_path / "other" / "logs").exists()


def test_a_killed_database_is_back_in_seconds_with_what_it_had(up):
    before = up.episodes()
    named = up.of_processes(lambda process: (process.name(), process))
    (server,) = (process for name, process in named if name == "mongod")
    server.kill()
    up.wait_for("mongod stopped (killed by SIGKILL), starting again in 1 s")
    up.wait_for("mongod runs again")
    assert before.items() <= up.episodes().items()


def overlapping(episodes):
    """Return the pairs of episodes of one definition on one asset that go on at the same time."""
    targets = {}
    for one in episodes:
        if not one["withdrawn"]:
            targets.setdefault((one["definition"], one["asset"]), []).append(one)
    return [
        (target, one["id"], other["id"])
        for target, alarms in targets.items()
        for one, other in pairwise(sorted(alarms, key=lambda alarm: instant(alarm["raised_at"])))
        if one["closed_at"] is None or instant(one["closed_at"]) > instant(other["raised_at"])
    ]


def test_killing_up_leaves_nothing_behind_and_the_next_start_finds_everything(up):
    everything = up.processes()
    before = up.episodes()
    up.process.kill()
    up.process.wait()
    assert ended(everything)
    assert all(is_free(port) for port in up.ports.values())
    up.start()
    up.follow_until("demo-line is ready")
    assert "the first question has been trained before" in up.said()
    after = up.episodes()
    assert before.items() <= after.items()
    assert overlapping(up.get("/episodes")["items"]) == []  # none twice
