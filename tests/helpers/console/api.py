"""A platform behind the API, with the tokens of each role."""

from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.detection.evaluation_results_and_texts import Evaluation
from alerting.episodes.episode import (
    Change,
    Contribution,
    Episode,
    RecommendationResult,
    Transition,
    episode_id,
)
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from tests.builders import at, oven, too_hot, too_moist
from tests.in_memory_platform import in_memory_platform

PEOPLE = (("vera", "viewer"), ("otto", "operator"), ("ada", "admin"), ("gateway-3", "sender"))
TOKENS = {f"{role}-token-0123456789": (name, role) for name, role in PEOPLE}


VIEWER, OPERATOR, ADMIN, SENDER = ({"authorization": f"Bearer {token}"} for token in TOKENS)


def episode(minute, asset="oven-1", condition="closed", **changes):
    raised = at(minute)
    made = Episode(
        id=episode_id("too-hot", asset, raised),
        definition="too-hot",
        revision=1,
        kind="threshold",
        asset=asset,
        title="Oven too hot",
        severity="high",
        raised_at=raised,
        detected_at=raised,
        condition=condition,
        closed_at=None if condition == "open" else raised + timedelta(minutes=5),
        evaluation=Evaluation(raised, "triggered", "218 °C is above 215 °C", 218.0, 215.0),
        contributions=(
            Contribution("zone_2", 0.31, 232.0, 220.0, "zone 2 is 12 °C above its usual"),
        ),
        recommendation=RecommendationResult(
            (Change("zone_2", 232.0, 224.0, "°C"),), 0.8, 0.2, True, "lower zone 2 to 224 °C"
        ),
        guidance={"action": "Open the damper."},
        transitions=(Transition("raised", raised, "platform", "the condition is met"),),
    )
    return replace(made, **changes)


@pytest.fixture
def platform():
    made = in_memory_platform()
    made.assets.store_assets([oven()])
    apply(made, [too_hot(title="Oven too hot"), too_moist()], "engineer", at(0), "first")
    made.clock.instant = at(600)
    return made


@pytest.fixture
def client(platform):
    return TestClient(create_app(platform, TOKENS), raise_server_exceptions=False)


def expect_problem(answer, status):
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["title"]
    return document["detail"]


def read(client, path, **query):
    """Return what the API answers to a viewer."""
    return client.get(f"/api/v1/{path}", params=query, headers=VIEWER).json()


class Failing:
    """A store that answers with a fault, whatever it is asked."""

    def __init__(self, fault):
        self._fault = fault

    def __getattr__(self, _):
        raise self._fault
