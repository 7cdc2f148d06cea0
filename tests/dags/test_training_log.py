"""The story that the tasks of a training tell in their logs: rows and positives, scores, the
decision, and where to look."""

import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-"))
sys.path.append(str(Path(__file__).parents[2] / "dags"))

pytest.importorskip("airflow.sdk")

from alerting_tasks import training

from alerting.usecases.definitions.sync import apply
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at
from tests.humid_line import DAY, NAME, humid_oven, learned_quickly, line
from tests.in_memory_platform import in_memory_platform

DAYS = 8


@pytest.fixture
def platform(monkeypatch):
    """A platform in memory with a line to learn from, which every task opens."""
    platform = in_memory_platform()
    platform.assets.store_assets([humid_oven()])
    add_readings(platform, line(days=DAYS), at(0))
    apply(platform, [learned_quickly()], "engineer", at(0), "test")
    platform.clock.instant = at(DAYS * DAY)

    @contextmanager
    def opened(*_, **__):
        yield platform

    monkeypatch.setattr("alerting.wiring.open_platform", opened)
    monkeypatch.setattr(training, "run_as_of", lambda _: at(DAYS * DAY).isoformat())
    monkeypatch.setattr(training, "get_current_context", lambda: {"run_id": "manual__2026-01-13"})
    monkeypatch.setenv("ALERTING_PUBLIC_URL", "https://alerts.plant.example")
    return platform


@pytest.fixture
def steps_down(monkeypatch):
    """The steps by which tasks lower their priority; not really, because later tests in this
    process would have it, too."""
    steps = []
    monkeypatch.setattr(os, "nice", steps.append)
    return steps


def test_each_task_of_a_training_says_in_its_log_what_it_found(platform, caplog, steps_down):
    def said(task, *arguments):
        caplog.clear()
        with caplog.at_level("INFO"):
            result = task.function(*arguments)
        return result, "\n".join(
            record.getMessage()
            for record in caplog.records
            if record.name.startswith("alerting_tasks")
        )

    run, log = said(training.dataset, NAME)
    assert "rows," in log and "labelled as a problem" in log
    assert f"run {run} in MLflow" in log
    assert "console: https://alerts.plant.example/" in log

    said(training.candidate, run, "persistence")
    _, log = said(training.candidate, run, "logistic_regression")
    assert "logistic regression: average precision" in log and "best of 1 trials" in log

    proposal, log = said(training.compare, run)
    assert proposal["verdict"] == "provisional"
    assert "share of problems found" in log and "false alarms a week and asset" in log
    assert "The challenger goes into service. First model" in log
    assert "console: https://alerts.plant.example/" in log

    _, log = said(training.promote, run)
    assert "The challenger goes into service. First model" in log
    assert f"run {run} in MLflow" in log
    assert len(steps_down) == 5 and min(steps_down) > 0, (
        "each task leaves the processor to evaluations"
    )
