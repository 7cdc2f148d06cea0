from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from alerting.cli.main import app
from alerting.definitions.faults import UserError
from alerting.kinds.registry import parse_definition
from alerting.usecases.definitions.scenarios import read_scenarios, run_scenario
from tests.builders import classifier, threshold, too_hot

pytestmark = pytest.mark.fast

EXAMPLES = Path(__file__).parents[3] / "config" / "examples"
LEVELS = {"medium": {"above": 215}, "critical": {"above": 230}}


def scenario(readings, expect=(), **changes):
    written = {"title": "t", "readings": readings, "expect": list(expect), **changes}
    return read_scenarios({"definition": "x", "scenarios": [written]}, "file").scenarios[0]


def result(definition, readings, expect=(), **changes):
    return run_scenario(definition, scenario(readings, expect, **changes))


STEPS = [
    {"at": "2m", "raised": "medium"},
    {"at": "3m", "severity": "critical"},
    {"at": "5m", "closed": True},
]


def test_transitions_are_found_at_their_times_and_compared_in_order_between_two_instants():
    values = {"temperature": [200, 210, 220, 240, 240, 200]}
    found = result(threshold(above=None, levels=LEVELS), values, STEPS)
    assert found.passed, found.difference
    assert found.found == ("2m  raised: medium", "3m  severity: critical", "5m  closed")
    found = result(threshold(), {"temperature": [200, 230]}, [{"at": "0s", "raised": "medium"}])
    assert not found.passed
    assert found.difference == ("- 0s  raised: medium", "+ 1m  raised: medium")
    closed = [{"at": "1m", "closed": True}]
    values = {"temperature": [230, "200 x 4", 230]}
    assert result(threshold(), values, closed, after="30s", before="4m").passed


STATE = {"variable": "state", "above": None, "equals": "stopped"}
SLOW = {"for": "3m", "stale_after": "30m"}
TYPES = [
    ({"stale_after": "3m"}, [230, "null x 3", "200 x 2"], ("0s  raised: medium", "4m  closed")),
    (STATE, ["running x 2", "stopped"], ("2m  raised: medium",)),
    ({"variable": "open", "above": None, "equals": True}, [False, True], ("1m  raised: medium",)),
    # a sample of bad quality makes it unknown, and its value is no matter
    (SLOW, [230, "bad quality", "230 x 3"], ("5m  raised: medium",)),
    (SLOW, [230, "bad quality x 9", 200], ()),
    (STATE, ["stopped", "bad quality", "running"], ("0s  raised: medium", "2m  closed")),
]


def test_values_are_repeated_missing_of_bad_quality_and_of_every_type():
    found = []
    for changes, values, _ in TYPES:
        definition = threshold(**changes)
        found.append(result(definition, {definition.variable: values}, until="10m").found)
    assert found == [expected for *_, expected in TYPES]


HOT = {"temperature": [200, "230 x 9", 200, "230 x 4"]}


def told(muted=()):
    """Only the lines that say when people are told."""
    lines = result(threshold(), HOT, notified=[], muted=muted).found
    return [line for line in lines if line.endswith("notified")]


def test_people_are_told_at_the_raise_or_when_a_mute_ends_and_never_of_what_came_and_went_on_it():
    two = [{"from": "30s", "to": "10m"}, {"from": "10m30s", "to": "12m"}]
    assert told() == ["1m  notified", "11m  notified"]
    assert told([{"from": "0s", "to": "5m"}]) == ["5m  notified", "11m  notified"]
    assert told(two) == ["12m  notified"]
    mute = [{"from": "0s", "to": "1h"}]
    assert result(threshold(), HOT, [], muted=mute, notified=[], after="1h").passed


def test_when_people_are_told_is_compared_only_where_it_is_written():
    raises = [
        {"at": "1m", "raised": "medium"},
        {"at": "10m", "closed": True},
        {"at": "11m", "raised": "medium"},
    ]
    assert result(threshold(), HOT, raises).passed
    found = result(threshold(), HOT, raises, notified=["1m"])
    assert [line for line in found.difference if line[0] in "+-"] == ["+ 11m  notified"]


def test_limits_come_from_the_asset_of_the_scenario():
    stated = result(BY_ASSET, {"temperature": [220]}, asset={"attributes": {"max": 210}})
    assert stated.found == ("0s  raised: medium",)


BY_ASSET = threshold(above={"attribute": "max"})
LEARNED = threshold(above={"learned": {"quantile": 0.99}})
NUMBER = {"variables": {"temperature": {"type": "number"}}}
HOT_AT_ONCE = {"temperature": [220]}


def test_what_cannot_be_run_says_why():
    for definition, readings, changes, fault in (
        (BY_ASSET, HOT_AT_ONCE, {}, "no attribute 'max'"),
        (classifier(), {"moisture": [3]}, {}, "trained model"),
        (LEARNED, HOT_AT_ONCE, {}, "learned limits, of which a scenario has no past"),
        (threshold(), {"temperatur": [3]}, {}, "no readings of 'temperature'"),
        (threshold(), HOT_AT_ONCE, {"expect": [{"at": "0s"}]}, "exactly one of"),
        (
            threshold(),
            {"temperature": ["hot"]},
            {"asset": NUMBER},
            "is not a value of 'temperature'",
        ),
    ):
        with pytest.raises(UserError, match=fault):
            result(definition, readings, **changes)
    with pytest.raises(UserError, match=r"scenarios\.0\.expect"):
        read_scenarios({"definition": "x", "scenarios": [{"title": "t", "readings": {}}]}, "file")


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/*.test.yaml")), ids=lambda f: f.name)
def test_the_examples_pass_their_own_tests(file):
    ran = CliRunner().invoke(app, ["test", str(file)])
    assert ran.exit_code == 0, ran.output


def test_a_failure_has_exit_code_1_and_a_readable_difference(tmp_path):
    wrong = {
        "title": "too early",
        "readings": {"temperature": [230]},
        "expect": [{"at": "5m", "raised": "high"}],
    }
    file = tmp_path / "too-hot.test.yaml"
    file.write_text(yaml.safe_dump({"definition": too_hot(), "scenarios": [wrong]}))
    ran = CliRunner().invoke(app, ["test", str(file)])
    assert ran.exit_code == 1
    assert "FAILED  too early" in ran.output
    assert "- 5m  raised: high" in ran.output
    assert "+ 0s  raised: medium" in ran.output
    assert "0 of 1 scenarios passed" in ran.output


def test_the_scenarios_that_the_page_on_suppression_shows_pass():
    page = (EXAMPLES.parents[1] / "docs" / "suppression.md").read_text(encoding="utf-8")
    written, other, scenarios = (
        yaml.safe_load(block.split("```")[0]) for block in page.split("```yaml\n")[1:]
    )
    assert parse_definition(written | other)
    definition = parse_definition(written)
    found = [run_scenario(definition, s) for s in read_scenarios(scenarios, "page").scenarios]
    assert [one.difference for one in found] == [(), ()]
