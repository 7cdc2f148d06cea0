"""Scores of several assets in one call, and of requests that are answered together."""

import asyncio
from datetime import timedelta

import pytest
from fastapi import HTTPException

from alerting.console.api import predictor as module
from alerting.console.api.predictor import Predictor
from tests.helpers.console.api import SENDER, VIEWER, expect_problem
from tests.helpers.scored_ovens import END, scored_ovens, two_models  # noqa: F401 - fixtures

pytestmark = pytest.mark.models

ALONE = "/api/v1/definitions/too-moist/predict"
SEVERAL = "/api/v1/definitions/too-moist/predict-batch"
LONG_S = 60.0


def ask(client, body, path=SEVERAL, headers=VIEWER):
    return client.post(path, json=body, headers=headers)


@pytest.mark.parametrize("at", [None, END - timedelta(minutes=50)])
def test_several_assets_are_scored_in_one_call_as_each_alone(client, at):
    instant = {} if at is None else {"at": at.isoformat()}
    assets = ["oven-3", "oven-1", "oven-2", "oven-1"]
    answers = ask(client, {"assets": assets, **instant}).json()["answers"]
    alone = [ask(client, {"asset": name, **instant}, ALONE).json() for name in assets]
    assert [one["prediction"] for one in answers] == alone
    assert [one["asset"] for one in answers] == assets
    assert {one["fault"] for one in answers} == {None}
    assert len({one["prediction"]["score"] for one in answers}) == 3


def test_the_fault_of_an_asset_is_in_its_own_answer(client):
    assets = ["oven-9", "oven-1", "oven-4"]
    unknown, scored, other = ask(client, {"assets": assets}).json()["answers"]
    assert "no asset 'oven-9'" in unknown["fault"]
    assert other["fault"] == (
        "'too-moist' does not apply to oven-4; it applies to oven-1, oven-2, oven-3"
    )
    assert (unknown["prediction"], other["prediction"]) == (None, None)
    assert scored["prediction"] == ask(client, {"asset": "oven-1"}, ALONE).json()


def test_what_is_no_fault_of_an_asset_refuses_the_call(client):
    one = {"assets": ["oven-1"]}
    expect_problem(ask(client, one, headers=SENDER), 403)
    missing = ask(client, one, SEVERAL.replace("moist", "dry"))
    assert "no definition" in expect_problem(missing, 404)
    without = ask(client, one, SEVERAL.replace("too-moist", "too-hot"))
    assert "which has no model" in expect_problem(without, 422)
    assert "assets" in expect_problem(ask(client, {"assets": []}), 422)
    many = {"assets": [f"oven-{number}" for number in range(101)]}
    assert "at most 100" in expect_problem(ask(client, many), 422)


def gathered(predictor, batches):
    """Return what answers questions with ten times their number, and notes those of each batch."""

    def answer(questions):
        batches.append(list(questions))
        return [10 * question for question in questions]

    return lambda key, *questions: predictor.ask(key, questions, answer)


def test_questions_that_wait_are_answered_together_and_others_at_once(monkeypatch):
    monkeypatch.setattr(module, "MOST_TOGETHER", 4)
    batches = []

    async def scenario():
        predictor = Predictor(None, LONG_S)
        ask = gathered(predictor, batches)
        assert await ask("a", 0) == [0]
        found = await asyncio.gather(*(ask("a", n) for n in range(6)), ask("b", 9), ask("a", 6, 7))
        assert found == [[0], [10], [20], [30], [40], [50], [90], [60, 70]]

    asyncio.run(scenario())
    assert batches[0] == [0]
    assert sorted(batches[1:]) == [[0, 1, 2, 3], [4, 5, 6, 7], [9]]


def test_the_number_of_questions_that_wait_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 3)

    async def scenario():
        predictor = Predictor(None, LONG_S)
        ask = gathered(predictor, [])
        many = asyncio.create_task(ask("a", *range(30)))  # counted before, not cut
        await asyncio.sleep(0)
        with pytest.raises(HTTPException) as refused:
            await ask("a", 1)
        assert refused.value.status_code == 429
        assert await many == [10 * n for n in range(30)]
        assert await ask("a", 1) == [10]

    asyncio.run(scenario())
