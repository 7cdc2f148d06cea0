"""A value in a document is what its author wrote, or it is refused with a hint what to write: never
silently another."""

import pytest

from alerting.adapters.files.yaml_documents import parse_yaml
from alerting.definitions.assets import parse_asset
from alerting.definitions.faults import UserError
from alerting.definitions.hours import Hours
from alerting.kinds.validation import parse_definition
from tests.builders import too_moist

pytestmark = pytest.mark.fast

HOT = "name: hot\nkind: threshold\nassets: [oven-1]\nvariable: temperature\n"
MOIST = (
    "name: moist\nkind: classifier\nassets: [oven-1]\nproblem: {variable: moisture, above: "
    "4.5}\nhorizon: 30m\n"
)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("above: true", "above: should be a number, not true"),
        ("above: yes", "above: should be a number, not true"),
        (
            "above: '215'",
            r"above: should be a number, not '215' \(write 215, with a point and without quotes\)",
        ),
        ("above: 1:30", "above: should be a number, not '1:30'"),
        ("above: 1:30.5", "above: should be a number, not '1:30.5'"),
        ("levels: {high: {above: true}}", "levels.high.above: should be a number, not true"),
        ("outside: {low: false, high: 3}", "outside.low: should be a number, not false"),
        (
            "above: {learned: {quantile: true}}",
            "above.learned.quantile: should be a number, not true",
        ),
        ("above: 5\nclear_above_at: true", "clear_above_at: should be a number, not true"),
        (
            "above: 5\nfor: 1:30",
            "for: '1:30' is not a duration; write for example 30m, 1h30m or 5d",
        ),
        (
            "above: 5\nsuppression: {when: {variable: mode, above: true}}",
            "above: should be a number, not true",
        ),
        ("above: 5\ncosts: {miss: true}", "costs.miss: should be a number, not true"),
    ],
)
def test_a_truth_value_or_a_time_is_no_number(written, message):
    [document] = parse_yaml(HOT + written, "hot.yaml")
    with pytest.raises(UserError, match=message) as refusal:
        parse_definition(document)
    assert "function-" not in str(refusal.value)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "schedule: {retrain: R 3 * * 0}",
            r"schedule.retrain: 'R 3 \* \* 0' has a time by chance.*write a number, e\.g\. 0 3",
        ),
        ("schedule: {retrain: 0 R(2-5) * * *}", "schedule.retrain: .* has a time by chance"),
        ("schedule: {retrain: '0 1,r * * *'}", "schedule.retrain: .* has a time by chance"),
        ("schedule: {retrain: H 3 * * 0}", "schedule.retrain: .* has a time by chance"),
        ("schedule: {report: R R * * *}", "schedule.report: .* has a time by chance"),
        (
            "periods: {start: 0.5}",
            r"is a number and no instant; write for example 2026-01-31T06:00Z",
        ),
    ],
)
def test_a_schedule_and_a_period_say_when(written, message):
    [document] = parse_yaml(MOIST + written, "moist.yaml")
    with pytest.raises(UserError, match=message):
        parse_definition(document)


@pytest.mark.parametrize(
    "cron", ["0 3 * * 0", "0 3 * mar,apr thu-fri", "*/20 3-5 1 * *", "@daily", "0 3 L * *"]
)
def test_usual_schedules_are_taken(cron):
    assert parse_definition(too_moist(schedule={"retrain": cron})).retrain_cron == cron


def test_hours_and_categories_are_taken_as_they_are_written():
    [document] = parse_yaml("{from: 22:00, to: 6:30}", "shifts.yaml")
    assert (Hours.model_validate(document).start, Hours.model_validate(document).to) == (
        "22:00",
        "06:30",
    )
    # as another reader of YAML stored it
    assert Hours.model_validate({"from": 1320, "to": 390}).to == "06:30"
    [document] = parse_yaml(f"{HOT}equals: 1:30", "hot.yaml")
    assert parse_definition(document).equals == "1:30"


def test_a_range_of_an_asset_is_numbers():
    with pytest.raises(UserError, match=r"variables\.t\.low: should be a number, not false"):
        parse_asset({"name": "oven-1", "variables": {"t": {"low": False}}})
