"""Scores on request by the API: roles, bounds, faults, and the answer of a champion."""

import asyncio
import subprocess
import sys
from datetime import timedelta

import pytest
from fastapi import HTTPException

from alerting.console import gate
from alerting.console.api import predictor
from tests.helpers.console.api import SENDER, VIEWER, expect_problem
from tests.helpers.scored_ovens import CUTOFF, END, promote, scored_ovens, two_models  # noqa: F401 - fixtures

pytestmark = pytest.mark.models

PATH = "/api/v1/definitions/too-moist/predict"
ASKED = {"asset": "oven-1"}


def ask(client, body=ASKED, path=PATH, headers=VIEWER):
    return client.post(path, json=body, headers=headers)


def test_an_asset_is_scored_now_with_threshold_contributions_and_version(client):
    answer = ask(client).json()
    assert (answer["definition"], answer["asset"], answer["revision"], answer["model_version"]) == (
        "too-moist",
        "oven-1",
        1,
        1,
    )
    assert answer["at"] == END.isoformat().replace("+00:00", "Z")
    assert 0 <= answer["score"] <= 1
    assert answer["would_raise"] == (answer["score"] >= answer["threshold"])
    assert (answer["unknown"], answer["forecast"]) == (None, [])
    assert answer["contributions"][0]["variable"] == "humidity"


def test_an_instant_of_the_past_and_sent_rows_are_scored(client, platform):
    at = END - timedelta(hours=1)
    stored = ask(client, ASKED | {"at": at.isoformat()}).json()
    readings = platform.readings.load(
        platform.assets.get("oven-1"), at - timedelta(hours=6), at
    ).readings
    rows = [
        {"ts": ts.isoformat(), "values": row.dropna().to_dict()} for ts, row in readings.iterrows()
    ]
    assert ask(client, ASKED | {"rows": rows}).json() == stored
    other = ask(
        client, ASKED | {"rows": [*rows[:-1], {"ts": at.isoformat(), "values": {"humidity": 20.0}}]}
    ).json()
    assert other["score"] > stored["score"]


def test_what_is_unknown_is_null_with_its_reason(client, platform):
    answer = ask(client, ASKED | {"at": (CUTOFF - timedelta(hours=1)).isoformat()}).json()
    assert (answer["score"], answer["would_raise"], answer["unknown"]) == (
        None,
        None,
        "no model is in service yet",
    )
    platform.models.reachable = False
    assert ask(client).json()["unknown"] == "the model cannot be read: the registry does not answer"


def test_faults_are_named_all_at_once(client):
    expect_problem(ask(client, headers=SENDER), 403)
    assert "no asset 'oven-9'" in expect_problem(ask(client, {"asset": "oven-9"}), 404)
    assert "no definition" in expect_problem(ask(client, path=PATH.replace("moist", "dry")), 404)
    assert "which has no model" in expect_problem(
        ask(client, path=PATH.replace("too-moist", "too-hot")), 422
    )
    detail = expect_problem(ask(client, {"at": "noon", "rows": [], "model": 3}), 422)
    for field in ("asset", "at", "rows", "model: there is no such field"):
        assert field in detail
    rows = [
        {"ts": "noon", "values": {}},
        {"ts": END.isoformat(), "values": {"humidty": 1, "crew": 3, "belt": "fast"}},
    ]
    detail = expect_problem(ask(client, ASKED | {"rows": rows}), 422)
    assert "row 1: ts: 'noon' is not a time" in detail
    assert "row 2: belt: 'fast' is not a number" in detail
    rows[1]["values"].pop("belt")
    assert "no variable 'humidty'; did you mean humidity?" in expect_problem(
        ask(client, ASKED | {"rows": rows[1:]}), 422
    )


def test_bodies_and_the_number_of_questions_at_once_are_bounded(client, platform, monkeypatch):
    claimed = {**VIEWER, "content-length": str(gate.LARGEST_QUESTION + 1)}
    assert "larger than 4194304 bytes" in expect_problem(
        client.post(PATH, content=b"{}", headers=claimed), 413
    )
    monkeypatch.setattr(predictor, "MOST_WAITING", 0)
    with pytest.raises(HTTPException) as refused:
        asyncio.run(predictor.Predictor(platform).run(lambda: None))
    assert (refused.value.status_code, refused.value.headers) == (429, {"retry-after": "1"})


def test_the_console_loads_libraries_of_models_at_the_first_prediction_only():
    code = (
        "import sys, alerting.console.serve; print([m for m in ('lightgbm', 'sklearn', 'shap', "
        "'numba') if m in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.strip()
        == "[]"
    )
