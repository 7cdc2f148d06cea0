"""Refusals of commands: each says what was wrong and what helps."""

import json
from dataclasses import replace

import pytest

from alerting.learning.selection.decision import PROPOSAL
from alerting.ports import DecisionRecord, Training
from alerting.usecases.definitions.faults_and_platform_alerts import record_waiting
from tests.builders import at, too_hot
from tests.helpers.command_line import output, run, write
from tests.helpers.learning.proposals import proposal
from tests.humid_line import NAME, humid_oven, learned_quickly

pytestmark = pytest.mark.models


def refused(*words, code=1):
    """The answer to a refused command, on one line."""
    done = run(*words)
    assert done.exit_code == code, (words, done.output, done.exception)
    assert "Traceback" not in done.output
    return " ".join(done.stderr.split())


@pytest.fixture
def untrained(plant):
    """The plant with a definition that has no champion yet."""
    output("apply", write("d.yaml", learned_quickly()))
    return plant


def test_a_definition_without_a_champion_names_the_command_that_trains_it(untrained):
    assert "`alerting train too-moist`" in output("models", NAME)
    fixed = write("d.yaml", learned_quickly() | {"operating_point": {"alarm_at": 0.3}})
    output("apply", fixed)
    assert "fixes the alarm at a risk of 0.3: figures here are of" in output("models", NAME)


def begin_training(plant):
    """Record a training that is under way, and return it."""
    revision = plant.definitions.newest_revision(NAME)
    training = Training(NAME, revision.question, "question-1", revision.number, plant.clock.now())
    plant.trainings.begin(training)
    return training


def propose(plant, **changes):
    """Store a proposal that waits for a person, and return its run."""
    question = plant.definitions.newest_revision(NAME).question
    run_id = plant.runs.start_run(
        NAME, "r1", {"definition": NAME, "revision": "1", "question": question}
    )
    made = {
        "definition": NAME,
        "question": question,
        "run_id": run_id,
        "waiting": True,
        "champion_version": None,
    }
    plant.runs.log(
        run_id, files={PROPOSAL: proposal(**(made | changes)).to_json()}, folder="decision"
    )
    record_waiting(plant.platform_alerts, NAME, "It is better.", plant.clock.now())
    return run_id


def refuse_training(plant, reason):
    """Record a training that put no model into service."""
    training = begin_training(plant)
    plant.trainings.end(replace(training, ended_at=plant.clock.now()))
    decision = DecisionRecord(
        definition=NAME,
        at=plant.clock.now(),
        revision=1,
        challenger_version=None,
        champion_version=None,
        promoted=False,
        provisional=False,
        verdict="no_challenger",
        reason=reason,
        evidence={},
        run_id=plant.runs.start_run(NAME, "r1", {"definition": NAME}),
        actor="platform",
        question=training.question,
    )
    assert plant.decisions.add(decision, None)


def test_an_unknown_run_is_answered_with_those_that_wait_and_its_beginning_or_definition_names_one(
    untrained,
):
    assert "no run begins with 'nonsense'; waiting for approval: none" in refused(
        "model", "approve", "nonsense"
    )
    run_id = propose(untrained)
    said = refused("model", "approve", "nonsense", "--reject", "no")
    waits = f"waiting for approval: {NAME}: run {run_id} `alerting model approve {run_id}`"
    assert waits in said
    assert "RESOURCE_DOES_NOT_EXIST" not in said
    assert "rejected" in output("model", "approve", NAME, "--reject", "not yet")
    another = propose(untrained)
    assert "rejected" in output(
        "model", "approve", another[:-1] if len(another) > 4 else another, "--reject", "not yet"
    )


NAMING = (
    *("show to-hot", "models to-hot", "train to-hot", "evaluate to-hot", "why to-hot oven-1"),
    *("episodes to-hot", "report to-hot", "backtest to-hot", "score to-hot", "check to-hot"),
    "model rollback to-hot --reason worse",
)


def test_a_mistyped_name_is_answered_with_the_one_that_is_meant(plant):
    said = {words: refused(*words.split()) for words in NAMING}
    assert {w: text for w, text in said.items() if "did you mean too-hot?" not in text} == {}
    write("d.yaml", too_hot())
    assert "dd.yaml: there is no such file; did you mean d.yaml?" in refused("check", "dd.yaml")


def test_all_faults_of_a_document_are_told_at_once_also_those_on_its_assets_and_by_its_name(plant):
    faulty = too_hot(kind="treshold", variable="temprature", stale_aftr="10h")
    said = refused("check", write("d.yaml", faulty))
    for part in (
        "'treshold' is not a kind (did you mean threshold?)",
        "stale_aftr: is not a field",
        "variable 'temprature'",
    ):
        assert part in said
    said = refused("apply", write("d.yaml", too_hot(assets=["mill-7"])))
    helps = "send one, or import it with `alerting import assets FILE`"
    assert f"an asset exists with its first reading: {helps}" in said
    # edited by hand
    broken = {"name": "broken", "kind": "threshold", "assets": "oven-1"}
    plant.definitions._documents.insert_one(broken, bypass_document_validation=True)
    done = run("check", "broken")
    lines = done.stderr.splitlines()
    assert (done.exit_code, lines[0]) == (1, "refused: definition 'broken' has faults:")
    assert [line.split(":")[0] for line in lines[1:]] == ["  - assets", "  - variable"]
    assert "too-hot" in output("check", "too-hot")


def test_after_definitions_it_is_said_what_to_do_next_and_what_operators_cannot_set(plant):
    documents = [
        *(learned_quickly(name=f"moist-{number}") for number in range(3)),
        too_hot(name="a"),
    ]
    write("all.yaml", "---\n".join(json.dumps(document) + "\n" for document in documents))
    shown = " ".join(output("apply", "all.yaml").split())
    assert shown.count("next:") == 1
    follow = "follow all 4 in their list `alerting list`"
    assert f"next: 3 of the 4 alerts wait for their first training; {follow}" in shown
    told = "`controllable: true` in assets.yaml, then `alerting import assets assets.yaml`"
    assert told in shown
    write("d.yaml", learned_quickly())
    assert told in " ".join(output("check", "d.yaml").split())
    settable = {
        name: v.model_copy(update={"controllable": True})
        for name, v in humid_oven().variables.items()
    }
    plant.assets.store_assets([humid_oven().model_copy(update={"variables": settable})])
    assert told not in " ".join(output("check", "d.yaml").split())


def test_why_and_models_say_how_far_the_first_training_is(untrained):
    begin_training(untrained)
    assert (
        "is being trained since 2026-01-05 00:08 UTC (step 1 of 4: building the dataset)"
        in output("why", NAME, "humid-oven")
    )
    tags = {"definition": NAME, "revision": "1", "as_of": at(0).isoformat()}
    run_id = untrained.runs.start_run(NAME, "r1", tags)
    child = untrained.runs.start_run(
        NAME, "persistence", {"family": "persistence", "fitted": "true"}, parent=run_id
    )
    untrained.runs.finish(child)
    untrained.runs.start_run(
        NAME, "logistic_regression", {"family": "logistic_regression"}, parent=run_id
    )
    for words in (("why", NAME, "humid-oven"), ("models", NAME)):
        shown = " ".join(output(*words).split())
        assert (
            "is being trained since 2026-01-05 00:08 UTC (step 3 of 4: searching logistic "
            "regression)" in shown
        )
        assert "alerting evaluate" not in shown


def test_evaluate_and_why_name_the_version_that_waits_and_how_to_approve_it(untrained):
    run_id = propose(untrained)
    span = ("--from", "2026-01-04T00:00Z", "--to", "2026-01-05T00:00Z", "--model", "champion")
    for said in (
        refused("evaluate", NAME, *span),
        " ".join(output("why", NAME, "humid-oven").split()),
    ):
        assert "waits for approval: compare and decide on its page" in said
        assert f"`alerting model approve {run_id}`" in said
        assert "train it" not in said


def test_after_a_refused_training_nothing_says_to_train_it(untrained):
    refuse_training(untrained, "Nothing exceeds chance. What may help: more problems.")
    span = ("--from", "2026-01-04T00:00Z", "--to", "2026-01-05T00:00Z", "--model", "champion")
    shown = [
        refused("evaluate", NAME, *span),
        refused("score", NAME),
        output("models", NAME),
        output("why", NAME, "humid-oven"),
    ]
    for said in (" ".join(one.split()) for one in shown):
        assert (
            "the last training put no model into service: Nothing exceeds chance. What may help: "
            "more problems." in said
        )
        assert f"alerting train {NAME}" not in said
    assert json.loads(output("models", NAME, "--json"))["missing_champion"].startswith(
        "the last training put no model"
    )
