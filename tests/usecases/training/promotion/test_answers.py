"""People answer proposals, ask for trainings and cancel them: each decision is made once, and the
second person is told."""

import pytest

from alerting.definitions.faults import Conflicting, NotFound
from alerting.learning.selection.decision_rules import explain
from alerting.reporting.definition.decision_reason import explain_waiting
from alerting.reporting.definition.decision_text import result_line
from alerting.usecases.definitions.faults_and_platform_alerts import WAITING
from alerting.usecases.definitions.next_steps import describe_trainings
from alerting.usecases.definitions.revisions_and_evaluation_plan import DEFINITION_DOCUMENTS, apply
from alerting.usecases.definitions.versions import require_revision
from alerting.usecases.training.due import (
    PAUSES,
    begin_training,
    end_training,
    find_due_trainings,
    require_not_cancelled,
)
from alerting.usecases.training.promote import model_history, promote_run, rollback
from alerting.usecases.training.run_files import read_proposal, report_waiting
from alerting.usecases.training.training_requests import (
    answer_run,
    answer_waiting,
    cancel_training,
    is_decided,
    model_line,
    model_lines,
    request_training,
)
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.console.episode_page import browser_of
from tests.helpers.learning.proposals import proposal
from tests.helpers.learning.waiting import add_waiting
from tests.helpers.refusals import assert_refused
from tests.in_memory_platform import in_memory_platform

NAME = "too-moist"
ASKED = ("ann", "training requested", "new sensor")
BY_A_PERSON = "It is better. It goes into service only if a person approves."


@pytest.fixture
def platform():
    made = in_memory_platform()
    made.assets.store_assets([oven()])
    apply(made, [too_moist(), too_hot()], "engineer", at(0), "test")
    made.clock.instant = at(100)
    return made


def test_of_two_people_who_approve_the_second_is_told_who_was_first(platform):
    run = add_waiting(platform, NAME)
    assert not is_decided(platform, run)
    for _ in range(2):  # sent twice
        assert answer_waiting(platform, NAME, "ann", run=run).promote
        assert is_decided(platform, run)
    assert platform.models.aliases(NAME).get("champion") == 1
    for reason in (None, "not yet"):
        assert_refused(
            r"ann put version 1 into service at .* already",
            answer_waiting,
            platform,
            NAME,
            "bea",
            reason,
            run,
            fault=Conflicting,
        )
    assert_refused(
        "ann put version 1 into service", answer_run, platform, run, "bea", fault=Conflicting
    )
    assert len(platform.decisions.for_definition(NAME)) == 1


def test_a_rejection_needs_a_reason_and_is_told_to_the_next_person(platform):
    run = add_waiting(platform, NAME)
    assert_refused("needs a reason", answer_waiting, platform, NAME, "ann", " ", run)
    assert not answer_waiting(platform, NAME, "ann", "not before the audit", run).promote
    assert_refused(
        "ann rejected version 1", answer_waiting, platform, NAME, "bea", fault=Conflicting
    )
    line = model_line(platform, NAME)
    said = (line.state, line.version, line.reason)
    assert said == ("refused", None, "ann rejected it: not before the audit.")
    assert line.advice.startswith("The model in service stays")


def test_an_answer_to_an_older_proposal_than_the_one_that_waits_is_refused(platform):
    add_waiting(platform, NAME)
    assert_refused(
        "version 1: open the page again",
        answer_waiting,
        platform,
        NAME,
        "ann",
        run="another",
        fault=Conflicting,
    )
    assert_refused(
        "no version of 'too-hot' waits",
        answer_waiting,
        platform,
        "too-hot",
        "ann",
        fault=Conflicting,
    )
    assert_refused("", answer_waiting, platform, "nothing", "ann", fault=NotFound)


def test_the_list_begins_with_what_waits_and_says_what_to_do(platform):
    apply(platform, [too_moist(name="calm", title="A calm one")], "engineer", at(1), "test")
    assert [(line.name, line.state) for line in model_lines(platform)] == [
        ("calm", "due"),
        (NAME, "due"),
    ]
    run = add_waiting(platform, NAME)
    assert [alert.kind for alert in platform.platform_alerts.open()] == [WAITING]
    first, second = model_lines(platform)
    assert (first.name, first.state, first.reason) == (NAME, "waiting", BY_A_PERSON)
    assert second.advice.startswith("It begins by itself")
    answer_run(platform, run, "ann")
    assert [line.state for line in model_lines(platform)] == ["due", "serving"]
    platform.clock.instant = at(200)
    answer_run(platform, add_waiting(platform, NAME, champion_version=1), "ann")
    assert [line.version for line in model_lines(platform)] == [None, 2]
    assert_refused("cannot be read", rollback, platform, NAME, "worse", "ann")
    add_waiting(platform, NAME)
    report_waiting(platform, proposal(promote=True, waiting=False))
    assert platform.platform_alerts.open() == []


def begun(platform, minute=100):
    platform.clock.instant = at(minute)
    (due,) = find_due_trainings(platform, at(minute))
    return begin_training(platform, require_revision(platform.definitions, NAME), due.run)


def test_a_training_that_failed_says_why_and_is_begun_again_at_once_on_request_alone(platform):
    assert request_training(platform, NAME, "ann", "") is None  # the first one is due by itself
    end_training(platform, begun(platform), "too few rows")
    line = model_line(platform, NAME)
    assert (line.state, line.reason) == ("failed", "too few rows")
    assert line.advice.startswith("Correct what the reason names, then train again.")
    assert find_due_trainings(platform, at(101)) == []
    asked = request_training(platform, NAME, "ann", "new sensor")
    assert (asked.requested_by, asked.requested_at) == ("ann", at(100))
    assert request_training(platform, NAME, "bea", "me too").requested_by == "ann"
    assert model_line(platform, NAME).state == "requested"
    entry = platform.audit.entries[-1]
    assert (entry["actor"], entry["what"], entry["why"]) == ASKED
    again = begun(platform, 102)
    assert (again.attempts, again.requested_by) == (2, None)
    assert model_line(platform, NAME).state == "training"
    assert_refused(
        "is under way since", request_training, platform, NAME, "bea", "", fault=Conflicting
    )


def test_a_cancelled_training_stops_and_is_started_again_by_an_edit_or_a_request_alone(platform):
    training = begun(platform)
    assert_refused("needs a reason", cancel_training, platform, NAME, "ann", " ")
    require_not_cancelled(platform.trainings, NAME, training.run)
    cancel_training(platform, NAME, "ann", "wrong period")
    assert_refused(
        "cancelled by ann: wrong period",
        require_not_cancelled,
        platform.trainings,
        NAME,
        training.run,
    )
    line = model_line(platform, NAME)
    assert (line.state, line.reason) == ("cancelled", "cancelled by ann: wrong period")
    assert find_due_trainings(platform, at(100) + 2 * sum(PAUSES, PAUSES[0])) == []
    assert_refused(
        "no training of 'too-moist' is under way",
        cancel_training,
        platform,
        NAME,
        "bea",
        "again",
        fault=Conflicting,
    )
    request_training(platform, NAME, "ann", "")
    assert [one.attempt for one in find_due_trainings(platform, at(200))] == [2]
    cancel_training(platform, NAME, "ann", "a mistake")  # takes the request back
    assert find_due_trainings(platform, at(200)) == []
    apply(platform, [too_moist(title="Moist")], "engineer", at(201), "edited")
    assert [one.attempt for one in find_due_trainings(platform, at(202))] == [2]


def test_a_training_is_for_definitions_in_service_with_a_model(platform):
    assert_refused(
        "needs no model", request_training, platform, "too-hot", "ann", "", fault=NotFound
    )
    assert_refused("", cancel_training, platform, "nothing", "ann", "x", fault=NotFound)
    DEFINITION_DOCUMENTS.change_state(platform, NAME, "retire", "ann", at(101), "over")
    assert_refused("is not in service", request_training, platform, NAME, "ann", "")


@pytest.mark.parametrize("by_person", [False, True])
def test_a_promotion_bears_the_instant_of_the_act_with_the_end_of_its_readings_beside(
    platform, by_person
):
    run = add_waiting(platform, NAME, waiting=by_person, as_of=at(10))
    platform.clock.instant = at(130)
    promote_run(platform, run, approved_by="ann" if by_person else None)
    decided = platform.decisions.for_definition(NAME)[0]
    evaluates_from = at(130) if by_person else at(10)
    assert (decided.acted_at, decided.as_of, decided.at) == (at(130), at(10), evaluates_from)
    assert model_line(platform, NAME).since == at(130)
    history = model_history(platform, NAME)
    assert history["since"] == history["decisions"][0]["at"] == at(130).isoformat()
    assert history["decisions"][0]["as_of"] == at(10).isoformat()
    (entry,) = [e for e in platform.audit.entries if e["what"] == "promotion decided"]
    why = f"{decided.reason} (Readings up to {at(10):%Y-%m-%d %H:%M} UTC.)"
    assert (entry["at"], entry["why"]) == (at(130), why)


def test_words_of_a_person_are_stored_as_written_and_end_with_one_stop(platform):
    for written in ("too late", "too late!", "{why}"):
        answer_waiting(platform, NAME, "ann", written, add_waiting(platform, NAME))
        reason = platform.decisions.for_definition(NAME)[-1].reason
        (why,) = [text.values["why"] for text in reason.values.values() if text != "."]
        stop = "" if written.endswith("!") else "."
        assert (why, str(reason)) == (written, f"ann rejected it: {written}{stop}")


def test_a_refitted_champion_never_says_that_it_serves_before_a_person_approved(platform):
    reason = explain("refreshed", until=at(60), version=2)
    run = add_waiting(platform, NAME, verdict="refreshed", refreshed_version=2, reason=reason)
    waiting = read_proposal(platform.runs, run)
    assert result_line(waiting).startswith(f"The refitted champion waits for a person. {reason}")
    assert explain_waiting(waiting) == f"{reason} It goes into service only if a person approves."
    headlines = {
        "ann approved the refitted champion, which goes into service": {"approved_by": "ann"},
        "The champion stays, refitted on the newest data": {},
        "Not promoted": {"verdict": "rejected"},
    }
    for headline, changes in headlines.items():
        decided = waiting.model_copy(update={"waiting": False, **changes})
        assert result_line(decided) == f"{headline}. {reason}"


def test_a_stale_decision_names_no_version_that_is_none(platform):
    first = add_waiting(platform, NAME, waiting=False)
    other = add_waiting(platform, NAME, waiting=False)
    promote_run(platform, first)
    assert promote_run(platform, other).reason == (
        "Version 1 is in service since 2026-01-05 01:40 UTC, with which this one was not compared: "
        "train again."
    )
    of_lost = in_memory_platform()
    of_lost.assets.store_assets([oven()])
    apply(of_lost, [too_moist()], "engineer", at(0), "test")
    alone = promote_run(of_lost, add_waiting(of_lost, NAME, waiting=False, champion_version=7))
    assert alone.reason == (
        "Version 7, with which this one was compared, is not in service any more: train again."
    )


def test_a_forecast_worse_than_the_last_known_value_is_called_so_where_models_are_listed(platform):
    reason = explain("worse_than_last", reason="It is better.")
    worse = {"worse_than_last": {"error": 2.5, "last_error": 2.0}}
    promote_run(platform, add_waiting(platform, NAME, waiting=False, reason=reason, evidence=worse))
    said = "On its test period the values that it predicts were worse than the last known value"
    assert model_line(platform, NAME).warning.startswith(said)
    assert f'class="fault">{said}' in browser_of(platform).get("/models").text
    latest = platform.definitions.latest_revisions()
    ports = platform.definitions, platform.decisions, platform.trainings
    assert said in describe_trainings(*ports, latest)[NAME]
    promote_run(platform, add_waiting(platform, NAME, waiting=False, champion_version=1))
    assert model_line(platform, NAME).warning == ""
