"""Loads of models by the console: a model that hangs in its load, or cannot be read, delays no
other prediction."""

import asyncio
from threading import Event

import pytest
from fastapi import HTTPException
from pymongo.errors import ConnectionFailure

from alerting.console.api import predictor as module
from alerting.console.api.predictor import Predictor
from alerting.ports import ModelUnavailable
from tests import small_models

pytestmark = pytest.mark.models

LONG_S = 60.0


class Models:
    """Models that are loaded when a test allows it, in the place of the cache of a predictor."""

    def __init__(self):
        self.models = {}
        self.faults = {}
        self.loads = []
        self.allowed = {}

    def loaded(self, definition, version):
        return self.models.get(version)

    def get(self, definition, version):
        self.loads.append(version)
        assert self.allowed.setdefault(version, Event()).wait(LONG_S)
        if version in self.faults:
            raise self.faults[version]
        self.models[version] = f"model {version}"

    def allow(self, version):
        self.allowed.setdefault(version, Event()).set()


@pytest.fixture
def models(monkeypatch):
    made = Models()
    monkeypatch.setattr(module, "ModelCache", lambda platform, most_bytes: made)
    yield made
    for version in list(made.allowed):
        made.allow(version)


async def ask(predictor, version):
    return await predictor.run(lambda: predictor.get(small_models.definition(), version))


async def refusal(predictor, version):
    with pytest.raises(HTTPException) as refused:
        await ask(predictor, version)
    return refused.value


async def eventually(predictor, version):
    """Ask again as a client does, after each 503."""
    while True:
        try:
            return await ask(predictor, version)
        except HTTPException as refused:
            assert refused.status_code == 503
            await asyncio.sleep(0.01)


def test_loaded_models_answer_while_another_one_hangs_in_its_load_and_its_prediction_is_told_so(
    models,
):
    async def scenario():
        predictor = Predictor(None, load_within_s=0.2)
        models.allow(1)
        assert await eventually(predictor, 1) == "model 1"
        waiting = asyncio.create_task(refusal(predictor, 2))
        while models.loads != [1, 2]:
            await asyncio.sleep(0.001)
        assert not waiting.done()
        assert await ask(predictor, 1) == "model 1"
        refused = await waiting
        assert (refused.status_code, refused.headers) == (503, {"retry-after": "5"})
        assert (
            "version 2 of the model of 'too-moist' takes longer than 0.2 s, and goes on; ask again"
            in refused.detail
        )
        models.allow(2)
        assert await eventually(predictor, 2) == "model 2"

    asyncio.run(scenario())
    assert models.loads == [1, 2]


def test_a_model_that_cannot_be_read_is_named_and_not_read_again_at_once(models):
    models.faults[1] = ModelUnavailable("its files are damaged")
    models.faults[2] = ConnectionFailure("no server")
    models.allow(1)
    models.allow(2)

    async def scenario():
        predictor = Predictor(None, LONG_S)
        for _ in range(2):
            with pytest.raises(ModelUnavailable, match="its files are damaged"):
                await ask(predictor, 1)
        for _ in range(
            2
        ):  # a fault of the database is no fault of the model: the next prediction tries again
            with pytest.raises(ConnectionFailure, match="no server"):
                await ask(predictor, 2)

    asyncio.run(scenario())
    assert models.loads == [1, 2, 2]
