"""Ovens with a champion that scores them on request."""

from datetime import timedelta

import pytest

from alerting.definitions.revisions import definition_document
from alerting.learning.models import model_files
from alerting.ports import DecisionRecord, ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.model_registry import register_model
from tests import small_models
from tests.builders import too_hot
from tests.in_memory_platform import in_memory_platform

CUTOFF, END = (small_models.START + timedelta(hours=hours) for hours in (20, 33.5))
OVENS = ("oven-1", "oven-2", "oven-3", "oven-4")


@pytest.fixture(scope="session", name="models")
def two_models():
    """Return two models by version."""
    data = small_models.dataset(hours=40)
    kept = {b"1": 2.0, b"2": -2.0}
    return {
        version: small_models.linear_model(
            data.plan, data.rows, {"humidity.last": weight}, training_cutoff=CUTOFF
        )
        for version, weight in kept.items()
    }


def promote(platform, version, at):
    register_model(
        platform, "too-moist", f"run-{version}", {"version": str(version).encode()}, {}, {}
    )
    first = DecisionRecord(
        "too-moist",
        at,
        1,
        version,
        None,
        True,
        True,
        "promote",
        "better",
        {},
        f"run-{version}",
        "platform",
    )
    platform.decisions.add(first)


@pytest.fixture(name="platform")
def scored_ovens(models, monkeypatch):
    """Return ovens of which the first three are scored, and an alert without a model."""
    monkeypatch.setattr(model_files, "model_from_files", lambda files: models[files["version"]])
    made = in_memory_platform()
    for seed, name in enumerate(OVENS):
        history = small_models.line(40, seed, name)
        made.assets.store_assets([history.asset])
        rows = [
            ReadingRow(name, t.to_pydatetime(), row.dropna().to_dict())
            for t, row in history.readings.loc[:END].iterrows()
        ]
        add_readings(made, rows, small_models.START)
    scored = small_models.definition(assets=list(OVENS[:3]))
    documents = [definition_document(scored), too_hot(variable="humidity")]
    apply(made, documents, "ada", small_models.START, "test")
    promote(made, 1, CUTOFF)
    made.clock.instant = END
    return made
