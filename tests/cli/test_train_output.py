"""Output of `train`: the result first, then one line for each kind of finding."""

import pytest

from alerting.cli.printing.training import show_proposal
from alerting.definitions.fields.alarm import ALARM_RULE
from alerting.learning.data.findings import Finding, describe_findings
from tests.helpers.learning.proposals import PROFILE, proposal

pytestmark = pytest.mark.fast

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


def printed(
    capsys: pytest.CaptureFixture[str], verbose: bool = False, **changes: object
) -> list[str]:
    notes = describe_findings([Finding(**finding) for finding in FINDINGS])
    made = proposal(test=TEST, findings=FINDINGS, dataset=PROFILE | {"notes": notes}, **changes)
    show_proposal(made, verbose)
    return capsys.readouterr().out.splitlines()


def test_the_decision_and_its_reason_come_first_then_the_metrics_that_people_ask_for(capsys):
    lines = printed(capsys, waiting=True)
    assert lines[0] == "The challenger is better. It is better."
    assert lines[1].startswith("waits for approval: alerting model approve run")
    assert [line.strip().split(":")[0] for line in lines[3:7]] == [
        "average precision",
        "share of problems found",
        "false alarms a week and asset",
        "median lead time",
    ]


def test_figures_of_the_earlier_rule_of_alarms_say_so(capsys):
    earlier = {key: value for key, value in TEST.items() if key != "alarm_rule"}
    show_proposal(proposal(test=earlier, dataset=PROFILE), verbose=False)
    assert "these figures are of an earlier rule" in capsys.readouterr().out


def test_events_false_alarms_and_lead_times_are_counted_in_units_of_people(capsys):
    lines = [line.strip() for line in printed(capsys)]
    assert (
        "share of problems found: 0.75, 3 of 4; 1 more began in the recovery or hold-off after "
        "another one" in lines
    )
    assert (
        "false alarms a week and asset: 0.5, 6 in 9 episodes; 10 on all 20 assets together" in lines
    )
    assert "median lead time: 10 h (1 h 30 min to 2 d 2 h)" in lines


def test_false_alarms_that_count_more_than_once_are_explained(capsys):
    """25 false alarms and 27 right ones in 41 episodes: `25 of 41` would leave 16 right ones."""
    test = {**TEST, "n_episodes": 41, "n_false_alarms": 25, "episode_precision": 27 / 52}
    show_proposal(proposal(test=test, dataset=PROFILE), verbose=False)
    said = "25 in 41 episodes, where a long false one counts once for each horizon that it lasts"
    assert said in capsys.readouterr().out


def test_351_findings_of_a_kind_are_one_line_and_say_where_each_stands(capsys):
    lines = printed(capsys)
    assert len(lines) < 25
    assert [line for line in lines if line.startswith("data:")] == [
        "data: 351 variables (s350, s349, s348, s347, s346 and 346 more) repeat a value far longer "
        "than usual: sensors were "
        "probably stuck; the values are kept."
    ]
    assert lines[-1] == "each of the 351 findings: dataset/quality.json of run run, or --verbose"


def test_verbose_prints_each_finding(capsys):
    lines = printed(capsys, verbose=True)
    assert sum(line.startswith("data: s") for line in lines) == 351
