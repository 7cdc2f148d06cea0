"""Output of `train`: the result first, then one line for each kind of finding; none while another
training is under way."""

from dataclasses import replace
from datetime import datetime

import pytest

from alerting.cli.command import print_lines
from alerting.cli.model_commands import lines_of_proposal
from alerting.learning.data.findings import Finding, describe_findings
from alerting.local.supervisor import own_identity
from alerting.ports import Training
from alerting.usecases.training.due import find_due_trainings
from alerting.usecases.training.training_steps import train
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
    "days": 4.2,
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
    assert lines[:3] == [
        "The first model waits for a person. It is better.",
        "On 4 unseen days (test): 3 of 4 problems announced, typically 10 h ahead; 6 false alarms "
        "(10 a week",
        "on all 20 assets).",
    ]
    assert lines[3].startswith("To decide: alerting model approve run")
    assert len(lines) <= 15
    print_lines(lines_of_proposal(made, verbose=True))
    every = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert {
        "share of problems found: 0.75, 3 of 4; 1 more began in the recovery or hold-off after "
        "another one",
        "false alarms a week and asset: 0.5, 6 in 9 episodes; 10 on all 20 assets together",
        "median lead time: 10 h (1 h 30 min to 2 d 2 h)",
    } <= {*every}
    assert " ".join(lines[5:-1]) == (
        "data: 351 variables (s350, s349, s348, s347, s346 and 346 more) repeat a value far longer "
        "than usual: sensors were probably stuck; the values are kept."
    )
    assert lines[-1] == "all figures, and each of the 351 findings: --verbose"
    # 25 false alarms and 27 right ones in 41 episodes: `25 of 41` would leave 16 right ones
    often = {**TEST, "n_episodes": 41, "n_false_alarms": 25, "episode_precision": 27 / 52}
    print_lines(lines_of_proposal(proposal(test=often, dataset=PROFILE), verbose=True))
    said = "25 in 41 episodes, where a long false one counts once for each horizon that it lasts"
    assert said in capsys.readouterr().out


@pytest.fixture
def untrained(plant):
    output("apply", write("d.yaml", learned_quickly()))
    return plant


def begin(plant):
    """Record a training that another process carries out, and its run in the registry; return
    it."""
    revision = plant.definitions.newest_revision(NAME)
    run = f"question-{revision.question}-1"
    training = Training(NAME, revision.question, run, revision.number, plant.clock.now())
    plant.trainings.begin(training)
    tags = {"definition": NAME, "revision": "1", "question": revision.question, "training": run}
    tags |= {"as_of": plant.clock.now().isoformat(), "dataset_hash": "of the data"}
    plant.runs.start_run(NAME, "r1", tags)
    return training


def test_a_training_under_way_is_said_and_no_second_one_begins_unless_again(untrained):
    begin(untrained)
    refused = run("train", NAME)
    assert refused.exit_code == 1
    said = " ".join(refused.stderr.split())
    assert f"a training of '{NAME}' is under way since" in said
    assert "its result will stand with its models" in said
    assert f"`alerting train {NAME} --again` `alerting models {NAME}`" in said
    assert len(untrained.runs.open_runs(NAME)) == 1
    again = run("train", NAME, "--again")  # it has no readings to learn from
    assert (again.exit_code, "under way" in again.stderr) == (1, False)


def test_a_training_whose_process_died_is_found_dead_by_the_list_and_begun_again_at_once(untrained):
    training = begin(untrained)
    here = own_identity()
    for process, is_alive in ((here, True), (f"{here}1", False), ("elsewhere/1/1.00", True)):
        untrained.trainings.begin(replace(training, process=process))
        assert ("is being trained since" in output("list")) == is_alive, process
        due = find_due_trainings(untrained, untrained.clock.now())
        assert [one.attempt for one in due] == ([] if is_alive else [2])
        if not is_alive:
            assert "its training failed" in output("list")
            assert "interrupted" in output("list")
            done = run("train", NAME)  # it has no readings to learn from
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
