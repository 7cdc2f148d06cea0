"""The executor of `config/cluster.env`, in a process that loads it as the scheduler does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("airflow.sdk")
pytestmark = pytest.mark.models

ROOT = Path(__file__).parents[3]
NOBODY_LISTENS = "redis://127.0.0.1:1/0"
SCRIPT = """
import json, os
from types import SimpleNamespace
from airflow.executors.executor_loader import ExecutorLoader
from airflow.providers.celery.executors import celery_executor_utils as celery

class Workload:
    def __init__(self, text):
        self.text = text
    def model_dump_json(self):
        return self.text

executor = ExecutorLoader.get_default_executor()

def send(*keys):
    waiting = executor.queued_tasks
    executor._send_workloads([(key, waiting[key], "evaluation", None) for key in keys])
    events = {key: str(state) for key, (state, _) in executor.event_buffer.items()}
    return {"waiting": sorted(waiting), "events": events}

executor.queued_tasks.update(first=Workload("1"), second=Workload("2"))
away = send("first", "second")
os.environ["AIRFLOW__CELERY__BROKER_URL"] = "memory://"
celery._get_celery_app_for_workload.cache_clear()
back = send("first", "second")
asked = []
executor.celery_app.control.revoke = asked.append
executor.revoke_task(ti=SimpleNamespace(key="first"))
print(json.dumps({
    "revoked": asked, "running": sorted(executor.running),
    "away": away, "back": back,
    "imports": list(executor.celery_app.conf.imports),
    "queue": executor.celery_app.conf.task_default_queue,
}))
"""


def test_tasks_wait_for_a_broker_that_is_away_and_no_try_is_used_up(tmp_path):
    lines = (ROOT / "config" / "cluster.env").read_text().splitlines()
    cluster = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    own = {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CELERY__BROKER_URL": NOBODY_LISTENS,
        "AIRFLOW__CELERY__RESULT_BACKEND": "cache+memory://",
    }

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | cluster | own,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["away"] == {"waiting": ["first", "second"], "events": {}}
    assert found["back"] == {"waiting": [], "events": {"first": "queued", "second": "queued"}}
    assert (
        "the broker does not answer (OperationalError): 2 tasks wait" in done.stderr + done.stdout
    )
    assert {"pandas", "alerting.learning.models.families.lightgbm"} < set(found["imports"])
    assert found["queue"] == "evaluation"
