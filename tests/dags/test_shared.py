"""The code that the tasks share, called outside of a scheduler."""

import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-"))
sys.path.append(str(Path(__file__).parents[2] / "dags"))

pytest.importorskip("airflow.sdk")

import start_due
from airflow.sdk.exceptions import AirflowFailException
from alerting_tasks import opened_platform, read_instant
from alerting_tasks.training_tasks import answer_of, side_by_side

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.training.due import begin_training
from tests.builders import at, oven, too_moist
from tests.helpers.learning.proposals import proposal
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models

SAM = {"id": "1", "name": "sam"}


def answered(option, reason, person=SAM):
    given = {"chosen_options": [option], "params_input": {"reason": reason}}
    return answer_of(given | {"responded_by_user": person})


def test_an_answer_is_told_with_its_person_and_its_reason():
    too_late = {"approved_by": "platform", "rejected_reason": "no answer within 6d"}
    assert answer_of(None) == {}, "nobody was asked"
    assert answered("Approve", "x") == {"approved_by": "sam"}
    rejected = {"approved_by": "sam", "rejected_reason": "too many false alarms"}
    assert answered("Reject", "too many false alarms") == rejected
    assert answered("Reject", None, None) == too_late
    for reason in ("  ", None):
        with pytest.raises(AirflowFailException, match="sam rejected without a reason"):
            answered("Reject", reason)


def test_an_instant_needs_a_zone():
    assert read_instant("2026-03-01T12:00:00+02:00") == datetime(2026, 3, 1, 10, tzinfo=UTC)
    with pytest.raises(AirflowFailException, match="no time zone"):
        read_instant("2026-03-01T12:00:00")


def test_champion_and_challenger_stand_side_by_side():
    rows = {"champion": {"ap": 0.51, "brier": 0.1}, "challenger": {"ap": 0.6234, "brier": None}}
    events = {"champion": {"event_recall": 0.75}, "challenger": {"event_recall": 1.0}}
    evidence = {"rows": rows, "at_threshold": events}
    text = side_by_side(proposal(evidence=evidence, champion_version=3, challenger_version=4))
    assert "| | champion 3 | challenger 4 |" in text
    assert "| average precision | 0.51 | 0.623 |" in text
    assert "| Brier score | 0.1 | - |" in text
    assert "| share of problems found | 0.75 | 1 |" in text
    first = side_by_side(proposal(test={"ap": 0.4}))
    assert "| | champion (none) | first model 1 |" in first
    assert "| average precision | - | 0.4 |" in first


def test_an_outage_is_left_to_the_retries_of_a_task_and_what_is_refused_fails_it(monkeypatch):
    monkeypatch.setenv("ALERTING_MONGODB_URI", "mongodb://127.0.0.1:1/?directConnection=true")
    with pytest.raises(DatabaseDown), opened_platform():
        pass
    monkeypatch.setenv("ALERTING_API_PORT", "none")
    with pytest.raises(AirflowFailException, match="ALERTING_API_PORT"), opened_platform():
        pass


def test_a_training_of_which_airflow_has_no_run_any_more_is_ended_and_one_that_runs_goes_on(
    monkeypatch,
):
    platform = in_memory_platform()
    platform.assets.store_assets([oven()])
    apply(platform, [too_moist()], "ada", at(0), "test")
    revision = platform.definitions.newest_revision("too-moist")
    begun = begin_training(platform, revision, None)
    runs = {begun.run: 1}
    ti = SimpleNamespace(get_dr_count=lambda dag_id, run_ids, states: runs[run_ids[0]])
    monkeypatch.setattr(start_due, "get_current_context", lambda: {"ti": ti})
    for count, has_ended in ((1, False), (0, True)):
        runs[begun.run] = count
        start_due._end_lost_trainings(platform)
        [stored] = platform.trainings.for_definitions(["too-moist"])
        assert (stored.ended_at is not None) == has_ended
    assert "ended in Airflow" in stored.failure
