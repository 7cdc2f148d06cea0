"""A plant with the small line and models whose weights are written by hand."""

from alerting.definitions.revisions import definition_document
from alerting.learning.models import model_files
from alerting.ports import DecisionRecord, ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.model_registry import register_model
from tests import small_models
from tests.in_memory_platform import in_memory_platform

NAME = "too-moist"


def decided(at, verdict="provisional", run_id="run-1"):
    """Return a decision on version 1."""
    return DecisionRecord(
        NAME, at, 1, 1, None, True, True, verdict, "because", {}, run_id, "platform"
    )


def small_plant(hours, *decisions, version=b"1", **changes):
    """Return a platform with this many hours of the line, and version 1 of its model."""
    history = small_models.line(hours)
    platform = in_memory_platform()
    platform.assets.store_assets([history.asset])
    rows = [
        ReadingRow("oven-1", ts.to_pydatetime(), row.dropna().to_dict())
        for ts, row in history.readings.iterrows()
    ]
    add_readings(platform, rows, small_models.START)
    document = definition_document(small_models.definition(**changes))
    apply(platform, [document], "engineer", small_models.START, "test")
    platform.runs.start_run(NAME, "run-1", {"revision": "1"})
    register_model(platform, NAME, "run-1", {"version": version}, {"training_run": "run-1"}, {})
    for number, decision in enumerate(decisions, 1):
        platform.decisions.add(decision, number)
    return platform


def serve(monkeypatch, models):
    """Let the files of a registered version be this model, by its name."""
    monkeypatch.setattr(model_files, "model_from_files", lambda files: models[files["version"]])
