"""Models and trainings over the API."""

import pytest

from alerting.usecases.training.due import begin_training, end_training
from tests.builders import at
from tests.helpers.console.api import ADMIN, VIEWER
from tests.helpers.learning.waiting import add_waiting

NAME = "too-moist"
MODELS = f"/api/v1/definitions/{NAME}/models"
TRAININGS = f"/api/v1/definitions/{NAME}/trainings"


@pytest.fixture
def run(platform):
    return add_waiting(platform, NAME)


def post(client, address, headers=ADMIN, **body):
    answer = client.post(address, json=body, headers=headers)
    return answer.status_code, answer.json()


def test_what_waits_is_shown_with_its_curve_and_evidence(client, run):
    shown = client.get(MODELS, headers=VIEWER).json()
    assert (shown["state"], shown["version"]) == ("waiting", None)
    assert shown["waiting"] == {
        "run": run,
        "version": 1,
        "champion": None,
        "reason": "It is better.",
    }
    assert shown["advice"] == "Look at its figures, then approve or reject it."
    assert [one["family"] for one in shown["leaderboard"]] == ["lightgbm"]
    points = shown["evidence"]["points"]
    assert [(p["problems_found"], p["at_most"]) for p in points] == [
        (5, 0.5),
        (8, 2.0),
        (9, 6.0),
        (10, None),
    ]
    assert shown["evidence"]["effects"][0]["set_point"] == "speed"
    assert len(shown["evidence"]["reliability"]) == 3
    listed = client.get("/api/v1/models", headers=VIEWER).json()
    assert next((one["definition"], one["state"]) for one in listed) == (NAME, "waiting")


def test_an_engineer_approves_and_the_next_one_is_told(client, platform, run):
    assert post(client, f"{MODELS}:approve", VIEWER)[0] == 403
    status, refused = post(client, f"{MODELS}:approve", run="another")
    assert (status, refused["title"]) == (409, "Conflict")
    status, decided = post(client, f"{MODELS}:approve", run=run)
    assert (status, decided["promoted"], decided["version"]) == (200, True, 1)
    assert post(client, f"{MODELS}:approve", run=run)[0] == 200
    status, told = post(client, f"{MODELS}:reject", run=run, reason="no")
    assert (status, "ada put version 1 into service" in told["detail"]) == (409, True)
    (entry,) = [e for e in platform.audit.entries if e["what"] == "promotion decided"]
    assert (entry["actor"], entry["after"]) == ("ada", 1)


def test_a_rejection_and_a_rollback_need_a_reason(client, run):
    assert post(client, f"{MODELS}:reject", run=run)[0] == 422
    assert post(client, f"{MODELS}:reject", run=run, reason=" ")[0] == 422
    assert post(client, f"{MODELS}:rollback")[0] == 422
    status, decided = post(client, f"{MODELS}:reject", run=run, reason="not yet")
    assert (status, decided["verdict"], decided["promoted"]) == (200, "rejected", False)
    shown = client.get(MODELS, headers=VIEWER).json()
    assert shown["reason"] == "ada rejected it: not yet"
    assert shown["decisions"][0]["summary"] == "ada rejected it: not yet"
    status, refused = post(client, f"{MODELS}:rollback", reason="x")
    assert (status, "has no champion yet" in refused["detail"]) == (422, True)


def test_a_training_is_asked_for_once_followed_and_cancelled(client, platform):
    revision = platform.definitions.newest_revision(NAME)
    end_training(platform, begin_training(platform, revision, None), "too few rows")
    shown = client.get(TRAININGS, headers=VIEWER).json()
    assert (shown["state"], shown["reason"]) == ("failed", "too few rows")
    assert shown["advice"].startswith("Correct what the reason names")
    assert post(client, TRAININGS, VIEWER)[0] == 403
    status, asked = post(client, TRAININGS, reason="new sensor")
    assert (status, asked["state"], asked["items"][0]["requested_by"]) == (202, "requested", "ada")
    assert post(client, TRAININGS)[0] == 202
    begin_training(platform, revision, None)
    shown = client.get(TRAININGS, headers=VIEWER).json()
    (one,) = shown["items"]
    assert (shown["state"], one["state"], one["present"]) == ("training", "under way", True)
    assert post(client, TRAININGS)[0] == 409
    assert post(client, f"{TRAININGS}:cancel")[0] == 422
    status, ended = post(client, f"{TRAININGS}:cancel", reason="wrong period")
    assert (status, ended["state"]) == (200, "cancelled")
    assert ended["items"][0]["failure"] == "cancelled by ada: wrong period"
    assert post(client, f"{TRAININGS}:cancel", reason="again")[0] == 409


@pytest.mark.parametrize("name", ["too-hot", "nothing"])
def test_a_definition_without_a_model_has_none(client, platform, name):
    platform.clock.instant = at(1)
    for address in ("models", "trainings"):
        path = f"/api/v1/definitions/{name}/{address}"
        assert client.get(path, headers=VIEWER).status_code == 404
