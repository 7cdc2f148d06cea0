"""The definitions as Airflow sees them."""

from datetime import UTC, datetime, timedelta

import pytest

from alerting.adapters.airflow.dag_files import dag_folder, mark_all, training_file, write_dag_files
from tests.dags.conftest import NOBODY_LISTENS, reader_of_dags

pytestmark = pytest.mark.models

# While the database is away each file waits for two seconds. All of trainings have one text.
MOST_TRAININGS = "train_*[!2].py"
READ_THE_DATABASE = {
    "evaluate.py",
    "ingest.py",
    "train_02.py",  # the shard of too-moist
    "train_12.py",
}


def hashes(parsed):
    """Return the hash of each DAG: Airflow makes a new version when it changes."""
    return {dag_id: dag["hash"] for dag_id, dag in parsed["dags"].items()}


def test_each_active_classifier_has_a_training_dag_with_its_schedule_tags_owner_and_revision(
    folder, revisions, classifier
):
    schedule = {"retrain": "0 4 * * 1", "timezone": "Europe/Berlin"}
    revisions.add(
        **classifier(
            name="a.b_c-1",
            title="Biscuits too moist",
            schedule=schedule,
            tags=("wet",),
            owner="oven team",
        )
    )
    revisions.add(
        **classifier(name="by-hand", schedule={"retrain": None}, problem={"event": "failure"})
    )
    revisions.add(name="too-hot", kind="threshold", assets=["oven-1"], variable="zone_2", above=215)

    parsed = folder.parse()

    assert parsed["errors"] == {}
    own = ["train__a.b_c-1", "train__by-hand"]
    assert sorted(parsed["dags"]) == [
        "evaluate__1m",
        "maintain",
        "predict",
        "report",
        "retain",
        "start_due",
        *own,
    ]
    training = parsed["dags"]["train__a.b_c-1"]
    assert (training["schedule"], training["timezone"]) == ("0 4 * * 1", "Europe/Berlin")
    assert training["tags"] == ["medium", "train", "wet"]
    assert training["owner"] == "oven team"
    assert (training["title"], parsed["dags"]["train__by-hand"]["title"]) == (
        "Biscuits too moist",
        "by-hand",
    )
    assert datetime.fromisoformat(training["first_run"]) > datetime.now(UTC), (
        "a new definition waits for its schedule"
    )
    for said in ("Biscuits too moist", "moisture above 4.5 for 5m", "30m ahead", "Revision **1**"):
        assert said in training["doc"]
    own = {name: dag["owner"] for name, dag in parsed["dags"].items() if "train__" not in name}
    assert {*own.values()} == {"alerting"}
    params = training["params"]
    assert params["families"]["items"]["enum"] == params["families"]["examples"]
    assert "lightgbm" in params["families"]["examples"]
    assert (params["trials"]["minimum"], params["trials"]["maximum"]) == (1, 1000)
    assert params["time_budget_minutes"]["maximum"] == 15
    assert parsed["dags"]["train__by-hand"]["schedule"] == "None"
    assert "event failure" in parsed["dags"]["train__by-hand"]["doc"]


def test_each_step_of_a_training_has_its_needs_its_end_its_slots_its_queue_and_its_weight(
    folder, revisions, classifier
):
    """A person is asked between comparison and promotion only where the definition says so."""
    revisions.add(**classifier(name="automatic"))
    revisions.add(
        **classifier(name="asked", promotion={"mode": "approval"}, learning={"time_budget": "15m"})
    )
    parsed = folder.parse(AIRFLOW__CORE__EXECUTOR="CeleryExecutor")
    dags = parsed["dags"]
    assert parsed["errors"] == {}
    assert dags["train__automatic"]["tasks"] == {
        "dataset": [],
        "candidate": ["dataset"],
        "compare": ["candidate", "dataset"],
        "promote": ["compare", "dataset"],
        "record_failure": ["candidate", "compare", "dataset"],
    }
    asked = dags["train__asked"]
    assert asked["tasks"]["approve"] == ["ask", "dataset"]
    assert asked["tasks"]["promote"] == ["approve", "ask", "dataset"]

    timeouts = {(name, task): end for name in dags for task, end in dags[name]["timeouts"].items()}
    endless = {step for step, end in timeouts.items() if not end}
    assert endless == {("train__asked", "approve")}, "a person has the time that the question names"
    assert asked["timeouts"]["candidate"] == 2 * 3600
    assert [name for name, dag in dags.items() if not dag["run_timeout"]] == []
    held_up = "the next weekly training is not held up"
    assert asked["run_timeout"] < timedelta(days=7).total_seconds(), held_up

    background = {"report", "retain", "train__asked", "train__automatic"}
    assert {name for name, dag in dags.items() if "background" in dag["pools"]} == background
    assert dags["predict"]["pools"] == ["predict"]
    queues = {name: set(dag["queues"].values()) for name, dag in dags.items()}
    assert {n for n in queues if "background" in queues[n]} == {*background, "predict"}
    assert {n for n in queues if "evaluation" in queues[n]} == {*dags} - {"predict", "retain"}

    weights = asked["weights"]
    steps = [weights[task] for task in ("dataset", "candidate", "compare", "ask", "promote")]
    assert steps == sorted(set(steps)), "else each new definition takes the slots of the last steps"
    assert max(weights.values()) < min(dags["evaluate__1m"]["weights"].values())


def test_each_cadence_in_use_has_one_evaluation_dag_and_a_retired_or_draft_definition_none(
    folder, revisions, classifier
):
    revisions.add(**classifier(name="a", schedule={"every": "60s"}))
    revisions.add(**classifier(name="b", schedule={"every": "1m"}))
    revisions.add(**classifier(name="c", schedule={"every": "2m"}))
    revisions.add(**classifier(name="c", schedule={"every": "2m"}, state="retired"))
    revisions.add(**classifier(name="draft", schedule={"every": "3m"}, state="draft"))
    threshold = {"kind": "threshold", "assets": ["oven-1"], "variable": "zone_2", "above": 215}
    revisions.add(name="t", schedule={"every": "90m"}, **threshold)

    dags = folder.parse()["dags"]

    own = ["evaluate__1h30m", "evaluate__1m", "train__a", "train__b"]
    assert [dag_id for dag_id in dags if "__" in dag_id] == own
    assert dags["evaluate__1h30m"]["schedule"] == "1:30:00"


def test_the_same_definitions_give_the_same_dags_and_a_revision_changes_its_own_dag_alone(
    folder, revisions, classifier, tmp_path_factory
):
    revisions.add(**classifier(name="a", tags=("z", "y", "x")))
    revisions.add(**classifier(name="b"))

    first = folder.parse()
    with reader_of_dags(tmp_path_factory, PYTHONHASHSEED="2") as another:
        again = folder.parse(reader=another)
    revisions.add(**classifier(name="b", horizon="45m"))
    changed = folder.parse()

    assert hashes(first) == hashes(again)
    assert hashes(changed).keys() == hashes(first).keys()
    assert [
        dag_id for dag_id, hash in hashes(changed).items() if hash != hashes(first)[dag_id]
    ] == ["train__b"]
    assert "45m ahead" in changed["dags"]["train__b"]["doc"]
    assert "Revision **2**" in changed["dags"]["train__b"]["doc"]
    task = folder.parse(_AIRFLOW_PARSING_CONTEXT_DAG_ID="train__b")["dags"]
    assert [dag_id for dag_id in task if "__" in dag_id] == ["train__b"], "its own alone"


def test_the_dags_remain_while_the_database_is_away_unless_it_never_answered(
    folder, revisions, classifier
):
    never = folder.parse(uri=NOBODY_LISTENS, without=MOST_TRAININGS)
    assert set(never["errors"]) == READ_THE_DATABASE
    assert all("the database does not answer" in error for error in never["errors"].values())

    revisions.add(**classifier())
    before = folder.parse(without=MOST_TRAININGS)
    assert "train__too-moist" in before["dags"]

    during = folder.parse(uri=NOBODY_LISTENS, without=MOST_TRAININGS)

    assert during["errors"] == {}
    assert hashes(during) == hashes(before)
    waited = (during["seconds"] - before["seconds"]) / len(READ_THE_DATABASE)
    assert waited < 3, "a file waits two seconds, and not the thirty that a client waits of itself"


def test_each_active_source_that_the_platform_reads_has_a_dag_of_its_interval(folder, revisions):
    lab = {"name": "lab", "kind": "files", "pattern": "/data/*.csv", "every": "5m"}
    revisions.add_sources(
        lab, {**lab, "name": "old", "state": "paused"}, {**lab, "name": "odd", "every": "1s"}
    )
    revisions.add_sources({"name": "gate", "kind": "http"})

    parsed = folder.parse()

    assert parsed["errors"] == {}
    assert [dag_id for dag_id in parsed["dags"] if dag_id.startswith("ingest")] == ["ingest__lab"]
    ingestion = parsed["dags"]["ingest__lab"]
    assert (ingestion["schedule"], ingestion["tasks"]) == ("0:05:00", {"read": []})
    assert ingestion["timeouts"] == {"read": 3600}
    arrived = parsed["dags"]["evaluate__arrived"]
    assert (arrived["first_run"], arrived["assets"], ingestion["assets"]) == (
        None,
        ["source__lab"],
        [],
    )
    # without a classifier, and each waits two seconds
    away = folder.parse(uri=NOBODY_LISTENS, without="train_*.py")
    assert hashes(away) == hashes(parsed)


def test_airflow_reads_once_an_hour_what_the_stream_service_reads_and_all_else_at_its_interval(
    folder, revisions
):
    lab = {"name": "lab", "kind": "files", "pattern": "/data/*.csv", "every": "5m"}
    revisions.add_sources(
        lab, {**lab, "name": "quick", "every": "5s"}, {**lab, "name": "rare", "every": "6h"}
    )
    leases = revisions.database["leases"]

    def schedules():
        dags = folder.parse(without=MOST_TRAININGS)["dags"]
        return [dags[f"ingest__{name}"]["schedule"] for name in ("lab", "quick", "rare")]

    assert schedules() == ["0:05:00", "0:01:00", "6:00:00"], "no service runs"
    lately = datetime.now(UTC)
    reads = ["lab", "quick", "rare"]
    leases.insert_one({"_id": "stream", "reads": reads, "at": lately})
    assert schedules() == ["1:00:00", "1:00:00", "6:00:00"]
    leases.update_one({"_id": "stream"}, {"$set": {"reads": ["lab"]}})
    assert schedules() == ["1:00:00", "0:01:00", "6:00:00"], "it cannot read one of them"
    leases.update_one({"_id": "stream"}, {"$set": {"at": lately - timedelta(minutes=1)}})
    assert schedules() == ["0:05:00", "0:01:00", "6:00:00"], "it was killed"


def test_a_hundred_definitions_take_milliseconds_each_in_the_file_that_a_change_of_it_marks(
    folder, revisions, classifier
):
    for number in range(100):
        revisions.add(**classifier(name=f"d{number}"))

    parsed = folder.parse()

    assert (parsed["heavy"], len(parsed["dags"])) == ([], 106)
    assert parsed["cpu_seconds"] < 3.0, "the DAG processor reads everything again every few seconds"
    dags = parsed["dags"]
    files = {dag_id: dag["file"] for dag_id, dag in dags.items() if dag_id.startswith("train__")}
    assert len(set(files.values())) > 10
    assert files["train__d7"] == training_file("d7")
    before = {path.name: path.stat().st_mtime for path in dag_folder(folder.home).glob("*.py")}
    mark_all(folder.home)
    after = {path.name: path.stat().st_mtime for path in dag_folder(folder.home).glob("*.py")}
    assert all(after[file] > before[file] for file in {*files.values(), "evaluate.py"})


def test_an_upgrade_replaces_and_removes_what_the_platform_has_written_and_nothing_else(folder):
    files = dag_folder(folder.home)
    files.mkdir()
    (files / "retain.py").write_text("# in a folder without a list: dag airflow\n")
    write_dag_files(folder.home)
    assert (files / "retain.py").exists(), "perhaps somebody else's"
    own = [files / "weather.py", files / "retain.py", files / "plant" / "tasks.py"]
    before = {path: path.stat().st_mtime_ns for path in files.rglob("*.py") if path not in own}
    own[-1].parent.mkdir()
    for path in (*own, files / "of_older_version.py"):
        path.write_text("# dag airflow\n")
    with (files / ".written").open("a") as written:
        written.write("of_older_version.py\n")
    (files / "report.py").write_text("# changed: dag airflow\n")

    for _ in range(2):
        write_dag_files(folder.home)

    assert "changed" not in (files / "report.py").read_text()
    after = {path: path.stat().st_mtime_ns for path in files.rglob("*.py") if path not in own}
    assert after.keys() == before.keys()
    assert [path.name for path in after if after[path] != before[path]] == ["report.py"]
    assert [path.exists() for path in own] == [True, True, True]
