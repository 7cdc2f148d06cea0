"""Parses a DAG folder as the DAG processor does, in a process of its own, and writes what it found
into a file as JSON."""

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from airflow.dag_processing.dagbag import BundleDagBag
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.serialization.serialized_objects import DagSerialization
from airflow.task.priority_strategy import validate_and_load_priority_weight_strategy
from airflow.timetables.base import TimeRestriction

HEAVY = (
    "pandas",
    "numpy",
    "mlflow",
    "lightgbm",
    "sklearn",
    "optuna",
    "shap",
    "httpx",
    "alerting.wiring",
)


def first_run(dag: object) -> str | None:
    """Return the instant at which the scheduler would start the first run of a DAG that it has just
    met."""
    timetable = decode_timetable(encode_timetable(dag.timetable))
    info = timetable.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(dag.start_date, None, False)
    )
    return info and info.run_after.isoformat()


def weight(task: object) -> int:
    """Return the weight by which the scheduler orders this task among all that wait."""
    return validate_and_load_priority_weight_strategy(task.weight_rule).get_weight(
        SimpleNamespace(task=task)
    )


def describe(dag: object) -> dict[str, object]:
    timetable = dag.timetable
    return {
        "schedule": getattr(timetable, "expression", None)
        or str(getattr(timetable, "delta", None)),
        "timezone": str(getattr(timetable, "timezone", "")),
        "first_run": first_run(dag),
        "assets": sorted(
            asset.name
            for asset in getattr(getattr(timetable, "asset_condition", None), "objects", [])
        ),
        "tags": sorted(dag.tags),
        "owner": dag.owner,
        "params": {name: dag.params.get_param(name).schema for name in dag.params},
        "doc": dag.doc_md,
        "description": dag.description,
        "task_docs": {task.task_id: task.doc_md for task in dag.tasks},
        "tasks": {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks},
        "file": Path(dag.fileloc).name,
        "title": dag.dag_display_name,
        "weights": {task.task_id: weight(task) for task in dag.tasks},
        "pools": sorted({task.pool for task in dag.tasks}),
        "queues": {task.task_id: task.queue for task in dag.tasks},
        "active_runs": dag.max_active_runs,
        "run_timeout": dag.dagrun_timeout and dag.dagrun_timeout.total_seconds(),
        "timeouts": {
            t.task_id: t.execution_timeout and t.execution_timeout.total_seconds()
            for t in dag.tasks
        },
        "hash": SerializedDagModel.hash(DagSerialization.to_dict(dag)),
    }


def main() -> None:
    known = set(sys.modules)
    began = time.perf_counter()
    worked = time.process_time()
    folder = Path(sys.argv[1])
    bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="alerting")
    seconds = time.perf_counter() - began
    cpu_seconds = time.process_time() - worked
    found = {
        "dags": {dag_id: describe(dag) for dag_id, dag in sorted(bag.dags.items())},
        "errors": bag.import_errors,
        "heavy": sorted(set(HEAVY) & (set(sys.modules) - known)),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
    }
    Path(sys.argv[2]).write_text(json.dumps(found))
