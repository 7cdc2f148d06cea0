"""Scores on request by the API: bounds, faults, the answer of a champion, requests that are
answered together, and loads of models that delay no other prediction."""

import asyncio
import re
import subprocess
import sys
from collections import defaultdict
from datetime import timedelta
from threading import Event

import pytest
from fastapi import HTTPException
from pymongo.errors import ConnectionFailure

from alerting.console import gate
from alerting.console.api import predict_api
from alerting.console.api.predict_api import Predictor
from alerting.ports import ModelUnavailable, WantedHistory
from tests import small_models
from tests.helpers.console.api import SENDER, VIEWER, expect_problem
from tests.helpers.refusals import lacking
from tests.helpers.scored_ovens import CUTOFF, END, scored_ovens, two_models  # noqa: F401 - fixtures

pytestmark = pytest.mark.models

ALONE = "/api/v1/definitions/too-moist/predict"
SEVERAL = "/api/v1/definitions/too-moist/predict-batch"
ASKED = {"asset": "oven-1"}
LONG_S = 60.0


def ask(client, body=ASKED, path=ALONE, headers=VIEWER):
    return client.post(path, json=body, headers=headers)


def test_an_asset_is_scored_now_with_threshold_contributions_and_version(client, platform):
    answer = ask(client).json()
    expected = {
        "definition": "too-moist",
        "asset": "oven-1",
        "revision": 1,
        "model_version": 1,
        "at": END.isoformat().replace("+00:00", "Z"),
        "would_raise": answer["score"] >= answer["threshold"],
        "unknown": None,
        "forecast": [],
    }
    assert answer | expected == answer
    assert 0 <= answer["score"] <= 1
    assert answer["contributions"][0]["variable"] == "humidity"
    early = ask(client, ASKED | {"at": (CUTOFF - timedelta(hours=1)).isoformat()}).json()
    unknown = (early["score"], early["would_raise"], early["unknown"])
    assert unknown == (None, None, "no model is in service yet")


def test_an_instant_of_the_past_and_sent_rows_are_scored(client, platform):
    at = END - timedelta(hours=1)
    stored = ask(client, ASKED | {"at": at.isoformat()}).json()
    span = (platform.assets.get("oven-1"), at - timedelta(hours=6), at)
    rows = [
        {"ts": ts.isoformat(), "values": row.dropna().to_dict()}
        for ts, row in platform.readings.load(WantedHistory(*span)).readings.iterrows()
    ]
    assert ask(client, ASKED | {"rows": rows}).json() == stored
    rows[-1] = {"ts": at.isoformat(), "values": {"humidity": 20.0}}
    assert ask(client, ASKED | {"rows": rows}).json()["score"] > stored["score"]


def test_faults_are_named_all_at_once(client):
    expect_problem(ask(client, headers=SENDER), 403)
    detail = expect_problem(ask(client, {"at": "noon", "rows": [], "model": 3}), 422)
    fields = ("asset", "at", "rows", "model: there is no such field")
    assert [field for field in fields if field not in detail] == []
    bad = {"ts": END.isoformat(), "values": {"humidity": 1, "crew": 3, "belt": "fast"}}
    rows = [{"ts": "noon", "values": {}}, bad]
    detail = expect_problem(ask(client, ASKED | {"rows": rows}), 422)
    assert "row 1: ts: 'noon' is not a time" in detail
    assert "row 2: belt: 'fast' is not a number" in detail


def test_bodies_and_the_number_of_questions_at_once_are_bounded(client, platform, monkeypatch):
    claimed = {**VIEWER, "content-length": str(gate.LARGEST_QUESTION + 1)}
    large = expect_problem(client.post(ALONE, content=b"{}", headers=claimed), 413)
    assert "larger than 4194304 bytes" in large
    monkeypatch.setattr(predict_api, "MOST_WAITING", 0)
    with pytest.raises(HTTPException) as refused:
        asyncio.run(Predictor(platform).run(lambda: None))
    assert (refused.value.status_code, refused.value.headers) == (429, {"retry-after": "1"})


def test_the_console_loads_libraries_of_models_at_the_first_prediction_only():
    code = (
        "import sys, alerting.console.serve; print([m for m in ('lightgbm', 'sklearn', 'shap', "
        "'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


# Several at once


def test_several_assets_are_scored_in_one_call_as_each_alone(client):
    assets = ["oven-3", "oven-1", "oven-2", "oven-1"]
    for instant in ({}, {"at": (END - timedelta(minutes=50)).isoformat()}):
        answers = ask(client, {"assets": assets, **instant}, SEVERAL).json()["answers"]
        alone = [ask(client, {"asset": name, **instant}).json() for name in assets]
        assert answers == [
            {"asset": name, "prediction": one, "fault": None}
            for name, one in zip(assets, alone, strict=True)
        ]
        assert len({one["score"] for one in alone}) == 3


def test_the_fault_of_an_asset_is_in_its_own_answer(client):
    assets = ["oven-9", "oven-1", "oven-4"]
    unknown, scored, other = ask(client, {"assets": assets}, SEVERAL).json()["answers"]
    assert "no asset 'oven-9'" in unknown["fault"]
    applies = "'too-moist' does not apply to oven-4; it applies to oven-1, oven-2, oven-3"
    assert (other["fault"], unknown["prediction"], other["prediction"]) == (applies, None, None)
    assert scored["prediction"] == ask(client).json()


def test_what_is_no_fault_of_an_asset_refuses_the_call(client):
    one = {"assets": ["oven-1"]}
    answers = {
        "needs the role viewer": ask(client, one, SEVERAL, SENDER),
        "no definition": ask(client, one, SEVERAL.replace("moist", "dry")),
        "which has no model": ask(client, one, SEVERAL.replace("too-moist", "too-hot")),
        "assets": ask(client, {"assets": []}, SEVERAL),
        "at most 100": ask(client, {"assets": [f"oven-{n}" for n in range(101)]}, SEVERAL),
    }
    assert [answer.status_code for answer in answers.values()] == [403, 404, 422, 422, 422]
    found = {words: answer.json()["detail"] for words, answer in answers.items()}
    assert lacking(found, {words: words for words in answers}) == {}


def gathered(predictor, batches):
    """Return what answers questions with ten times their number, and notes those of each batch."""

    def answer(questions):
        batches.append(list(questions))
        return [10 * question for question in questions]

    return lambda key, *questions: predictor.ask(key, questions, answer)


def test_questions_that_wait_are_answered_together_and_others_at_once(monkeypatch):
    monkeypatch.setattr(predict_api, "MOST_TOGETHER", 4)
    batches = []

    async def scenario():
        ask = gathered(Predictor(None, LONG_S), batches)
        assert await ask("a", 0) == [0]
        found = await asyncio.gather(*(ask("a", n) for n in range(6)), ask("b", 9), ask("a", 6, 7))
        assert found == [[0], [10], [20], [30], [40], [50], [90], [60, 70]]

    asyncio.run(scenario())
    assert batches[0] == [0]
    assert sorted(batches[1:]) == [[0, 1, 2, 3], [4, 5, 6, 7], [9]]


def test_the_number_of_questions_that_wait_is_bounded(monkeypatch):
    monkeypatch.setattr(predict_api, "MOST_WAITING", 3)

    async def scenario():
        ask = gathered(Predictor(None, LONG_S), [])
        many = asyncio.create_task(ask("a", *range(30)))  # counted before, not cut
        await asyncio.sleep(0)
        with pytest.raises(HTTPException) as refused:
            await ask("a", 1)
        assert refused.value.status_code == 429
        assert await many == [10 * n for n in range(30)]
        assert await ask("a", 1) == [10]

    asyncio.run(scenario())


# Loads of models


class Models:
    """Models that are loaded when a test allows it, in the place of the cache of a predictor."""

    def __init__(self):
        self.models = {}
        self.faults = {}
        self.loads = []
        self.allowed = defaultdict(Event)

    def loaded(self, definition, version):
        return self.models.get(version)

    def get(self, definition, version):
        self.loads.append(version)
        assert self.allowed[version].wait(LONG_S)
        if version in self.faults:
            raise self.faults[version]
        self.models[version] = f"model {version}"


@pytest.fixture
def loading(monkeypatch):
    made = Models()
    monkeypatch.setattr(predict_api, "ModelCache", lambda platform, most_bytes: made)
    yield made
    for version in list(made.allowed):
        made.allowed[version].set()


async def ask_for(predictor, version):
    return await predictor.run(lambda: predictor.get(small_models.definition(), version))


async def eventually(predictor, version):
    """Ask again as a client does, after each 503."""
    while True:
        try:
            return await ask_for(predictor, version)
        except HTTPException as refused:
            assert refused.status_code == 503
            await asyncio.sleep(0.01)


def test_loaded_models_answer_while_another_one_hangs_in_its_load_and_its_prediction_is_told_so(
    loading,
):
    async def scenario():
        predictor = Predictor(None, load_within_s=0.2)
        loading.allowed[1].set()
        assert await eventually(predictor, 1) == "model 1"
        waiting = asyncio.create_task(ask_for(predictor, 2))
        while loading.loads != [1, 2]:
            await asyncio.sleep(0.001)
        assert not waiting.done()
        assert await ask_for(predictor, 1) == "model 1"
        with pytest.raises(HTTPException, match=re.escape(SLOW)) as refused:
            await waiting
        assert (refused.value.status_code, refused.value.headers) == (503, {"retry-after": "5"})
        loading.allowed[2].set()
        assert await eventually(predictor, 2) == "model 2"

    asyncio.run(scenario())
    assert loading.loads == [1, 2]


SLOW = "version 2 of the model of 'too-moist' takes longer than 0.2 s, and goes on; ask again"


def test_a_model_that_cannot_be_read_is_named_and_not_read_again_at_once(loading):
    loading.faults[1] = ModelUnavailable("its files are damaged")
    # no fault of the model: the next prediction tries again
    loading.faults[2] = ConnectionFailure("no server")
    for version in (1, 2):
        loading.allowed[version].set()

    async def scenario():
        predictor = Predictor(None, LONG_S)
        for version in (1, 1, 2, 2):
            fault = loading.faults[version]
            with pytest.raises(type(fault), match=str(fault)):
                await ask_for(predictor, version)

    asyncio.run(scenario())
    assert loading.loads == [1, 2, 2]
