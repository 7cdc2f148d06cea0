"""Output of `train`: the result first, then one line for each kind of finding; it is the result of
a training that the platform carries out, if there is one."""

from dataclasses import replace
from datetime import datetime

import pytest

from alerting.cli import models as command
from alerting.cli.models import lines_of_proposal
from alerting.cli.output import print_lines
from alerting.definitions.fields.alarm import ALARM_RULE
from alerting.learning.data.findings import Finding, describe_findings
from alerting.learning.selection.proposal import PROPOSAL
from alerting.local import airflow_client as start_trainings
from alerting.local.processes import own_identity
from alerting.ports import Training
from alerting.usecases.training.due import find_due_trainings
from alerting.usecases.training.train import train
from tests.helpers.command_line import output, run, write
from tests.helpers.learning.proposals import PROFILE, proposal
from tests.helpers.learning.stored_platforms import stored_platform
from tests.helpers.scored_lines import humid_line
from tests.humid_line import NAME, learned_quickly

pytestmark = pytest.mark.models

FINDINGS = [
    {
        "kind": "flat",
        "variable": f"s{i}",
        "value": i,
        "consequence": "kept",
        "message": f"s{i} was probably stuck.",
    }
    for i in range(351)
]
TEST = {
    "ap": 0.61,
    "event_recall": 0.75,
    "false_alarms_per_week": 0.5,
    "median_lead_time": 36_000.0,
    "n_events": 4,
    "n_found": 3,
    "n_episodes": 9,
    "n_false_alarms": 6,
    "n_assets": 20,
    "alarm_rule": ALARM_RULE,
    "problems_in_recovery": [["oven-1", "2026-01-05T00:00:00+00:00"]],
    "intervals": {"median_lead_time": [5_400, 180_000]},
}


def test_the_decision_comes_first_then_figures_of_people_then_a_line_for_each_kind_of_finding(
    capsys,
):
    notes = describe_findings([Finding(**finding) for finding in FINDINGS])
    made = proposal(test=TEST, findings=FINDINGS, dataset=PROFILE | {"notes": notes}, waiting=True)
    print_lines(lines_of_proposal(made, False))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "The challenger is better. It is better."
    assert lines[1].startswith("waits for approval: alerting model approve run")
    assert lines[3].startswith("average precision: ")
    assert lines[4:7] == [
        "share of problems found: 0.75, 3 of 4; 1 more began in the recovery or hold-off after "
        "another one",
        "false alarms a week and asset: 0.5, 6 in 9 episodes; 10 on all 20 assets together",
        "median lead time: 10 h (1 h 30 min to 2 d 2 h)",
    ]
    assert len(lines) < 25
    assert [line for line in lines if line.startswith("data:")] == [
        "data: 351 variables (s350, s349, s348, s347, s346 and 346 more) repeat a value far longer "
        "than usual: sensors were probably stuck; the values are kept."
    ]
    assert lines[-1] == "each of the 351 findings: dataset/quality.json of run run, or --verbose"
    # 25 false alarms and 27 right ones in 41 episodes: `25 of 41` would leave 16 right ones
    often = {**TEST, "n_episodes": 41, "n_false_alarms": 25, "episode_precision": 27 / 52}
    print_lines(lines_of_proposal(proposal(test=often, dataset=PROFILE), verbose=False))
    said = "25 in 41 episodes, where a long false one counts once for each horizon that it lasts"
    assert said in capsys.readouterr().out


@pytest.fixture
def untrained(plant):
    output("apply", write("d.yaml", learned_quickly()))
    return plant


def begin(plant):
    """Record a training that another process carries out; return it and its run in the registry."""
    revision = plant.definitions.newest_revision(NAME)
    run = f"question-{revision.question}-1"
    training = Training(NAME, revision.question, run, revision.number, plant.clock.now())
    plant.trainings.begin(training)
    tags = {"definition": NAME, "revision": "1", "question": revision.question, "training": run}
    tags |= {"as_of": plant.clock.now().isoformat(), "dataset_hash": "of the data"}
    return training, plant.runs.start_run(NAME, "r1", tags)


def end(plant, training, run_id, failure=None):
    """Let the other process propose its result, or fail."""
    if failure is None:
        made = proposal(
            definition=NAME,
            question=training.question,
            run_id=run_id,
            promote=False,
            verdict="no_challenger",
            reason="Nothing exceeds chance.",
            champion_version=None,
            challenger_version=None,
            as_of=plant.clock.now(),
        )
        plant.runs.log(run_id, files={PROPOSAL: made.to_json()}, folder="decision")
    plant.trainings.end(replace(training, ended_at=plant.clock.now(), failure=failure))


@pytest.fixture
def looks(monkeypatch):
    """What happens between two looks at the training that is followed."""
    ahead = []

    def happen():
        ahead.pop(0)()

    monkeypatch.setattr(command, "_wait_a_second", happen)
    return ahead


def test_the_training_under_way_is_followed_and_its_result_is_printed(untrained, looks):
    training, run_id = begin(untrained)
    looks += [lambda: None, lambda: end(untrained, training, run_id)]
    said = " ".join(output("train", NAME).split())
    assert "This training is the platform's" in said
    assert "Nothing exceeds chance." in said
    [decision] = untrained.decisions.for_definition(NAME)
    assert decision.run_id == run_id, "one training, one decision"
    assert "as you asked: alerting train" not in said


def test_a_training_that_fails_or_never_begins_is_the_refusal(untrained, looks, monkeypatch):
    training, run_id = begin(untrained)
    looks.append(lambda: end(untrained, training, run_id, "too few problems"))
    failed = run("train", NAME)
    assert (failed.exit_code, looks) == (1, [])
    assert "the training that was under way failed: too few problems" in failed.stderr
    monkeypatch.setattr(start_trainings, "start_training", lambda *_: "question-1-1")
    looks += [lambda: None] * 700
    lost = run("train", NAME)
    assert (lost.exit_code, len(looks)) == (1, 100)
    assert "has not begun" in lost.stderr


def test_a_due_training_is_started_in_airflow_and_followed_from_its_begin_on(
    untrained, looks, monkeypatch
):
    asked = []

    class Airflow:
        def start(self, dag_id, run_id, as_of):
            asked.append((dag_id, run_id, as_of))

    monkeypatch.setattr(start_trainings, "_client", lambda _: Airflow())
    [due] = find_due_trainings(untrained, untrained.clock.now())
    begun = []
    looks += [
        lambda: None,
        lambda: begun.append(begin(untrained)),
        lambda: end(untrained, *begun[0]),
    ]
    assert "Nothing exceeds chance." in " ".join(output("train", NAME).split())
    assert asked == [(f"train__{NAME}", due.run, None)]
    assert len(untrained.decisions.for_definition(NAME)) == 1


def test_a_training_whose_process_died_is_found_dead_by_the_list_and_begun_again_at_once(untrained):
    training, _ = begin(untrained)
    here = own_identity()
    for process, is_alive in ((here, True), (f"{here}1", False), ("elsewhere/1/1.00", True)):
        untrained.trainings.begin(replace(training, process=process))
        assert ("is being trained since" in output("list")) == is_alive, process
        due = find_due_trainings(untrained, untrained.clock.now())
        assert [one.attempt for one in due] == ([] if is_alive else [2])
        if not is_alive:
            assert "its training failed" in output("list")
            assert "interrupted" in output("list")
            done = run("train", NAME)  # which does not follow it; it has no readings to learn from
            assert (done.exit_code, "under way" in done.stderr) == (1, False)


def test_the_very_same_data_are_not_trained_twice_unless_again():
    platform = stored_platform(humid_line)
    [first] = platform.decisions.for_definition(NAME)
    as_of = datetime.fromisoformat(platform.runs.tags(first.run_id)["as_of"])
    result = train(platform, NAME, as_of, only_new=True)
    assert (result.run_id, result.verdict) == (first.run_id, first.verdict)
    assert platform.decisions.for_definition(NAME) == [first]
    assert platform.runs.open_runs(NAME) == []
    assert find_due_trainings(platform, platform.clock.now()) == []
    anew = train(platform, NAME, as_of)
    assert anew.run_id != first.run_id
