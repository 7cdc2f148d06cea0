"""What a training does with labels: rows that touch a time not to be learned from are left out, bad
values count as missing, and its record says so."""

import pytest

from alerting.ports import WantedHistory
from alerting.readings.history import to_millis
from alerting.usecases.backtest.sandbox import Sandbox
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.definitions.versions import require_revision
from alerting.usecases.time_labels import labelled_times, mark_interval, undo_label
from alerting.usecases.training.definition_dataset import dataset_of, suppressed_at
from alerting.usecases.training.promote import model_history
from alerting.usecases.training.run_files import load_learning_data
from alerting.usecases.training.training_steps import prepare, train
from tests.builders import at, too_moist
from tests.helpers.learning.training import MINUTES, oven_platform
from tests.helpers.mutes import mute

FROM = 2 * 1440
TO = FROM + 200
WINDOW = 60
AHEAD = 35
"""Minutes: the horizon, and for how long the problem's condition must hold."""


CHART = {
    "name": "drift",
    "kind": "control_chart",
    "assets": ["oven-1"],
    "variable": "humidity",
    "normal": {"from": at(0).isoformat(), "to": at(3 * 1440).isoformat()},
}


@pytest.fixture
def platform():
    made = oven_platform()
    document = too_moist(features={"stride": "5m", "windows": ["15m", "1h"]})
    apply(made, [document, CHART], "engineer", at(0), "test")
    return made


def mark(platform, kind, start=FROM, end=TO, variables=(), now=MINUTES - 10):
    times = at(start), at(end)
    said = kind, "test run", "anna", at(now)
    return mark_interval(platform, platform.audit, "oven-1", variables, *times, *said)


def learned(platform, minute=MINUTES):
    """Return the dataset as of this minute, and the minutes of its rows."""
    dataset = dataset_of(platform, "too-moist", at(minute))
    return dataset, ((dataset.at - to_millis(at(0))) // 60_000).tolist()


def definition_of(platform, name="too-moist"):
    return require_revision(platform.definitions, name).definition


def test_rows_whose_windows_or_labels_touch_the_time_are_left_out_and_no_others(platform):
    before, all_minutes = learned(platform)
    mark(platform, "not_to_learn_from")
    after, kept = learned(platform)
    touching = {m for m in all_minutes if FROM - AHEAD <= m < TO + WINDOW}
    assert set(all_minutes) - set(kept) == touching
    assert set(kept) <= set(all_minutes)
    assert len(touching) > 40
    assert after.hash != before.hash


def test_maintenance_is_left_out_as_a_labelled_time_and_a_plain_mute_is_not(platform):
    _, before = learned(platform)
    for kind, start in (("maintenance", FROM), ("plain", FROM + 1440)):
        platform.mutes.insert(mute(start, start + 200, kind))
    _, after = learned(platform)
    assert set(before) - set(after) == {m for m in before if FROM - AHEAD <= m < TO + WINDOW}
    record = labelled_times(platform, definition_of(platform), at(MINUTES))
    assert (record.left_out, record.notes()) == (1, ("left out: 1 marked time, 3.3 h",))


def minutes_of_test_period(platform):
    dataset, minutes = learned(platform)
    return [m for m, part in zip(minutes, dataset.part, strict=True) if part == "test"]


def test_the_test_period_is_measured_without_the_time_too(platform):
    tested = minutes_of_test_period(platform)
    mark(platform, "not_to_learn_from", tested[20], tested[30])
    assert 0 < len(minutes_of_test_period(platform)) < len(tested)
    compared = suppressed_at(platform, definition_of(platform), at(MINUTES))["oven-1"]
    assert [(one.start, one.end) for one in compared] == [
        (at(tested[20] - AHEAD), at(tested[30] + WINDOW))
    ]


def test_bad_values_are_no_features_and_no_problems(platform):
    before, _ = learned(platform)
    mark(platform, "bad", variables=("humidity",))
    after, minutes = learned(platform)
    column = next(c for c in after.plan.columns if c.startswith("humidity") and "mean" in c)
    inside = [FROM + WINDOW < m < TO for m in minutes]
    assert any(inside)
    assert after.rows[column][inside].isna().all()
    assert after.rows[column][[m < FROM - 1 for m in minutes]].notna().any()
    assert after.hash != before.hash
    mark(platform, "bad", variables=("moisture",))
    last, _ = learned(platform)
    there = sum(at(FROM) <= start < at(TO) for start in before.problems["start"])
    assert there > 0
    assert len(last.problems) == len(before.problems) - there


def test_a_training_uses_the_labels_of_its_instant_so_it_can_be_repeated(platform):
    first = learned(platform, MINUTES - 20)[0].hash
    made = mark(platform, "not_to_learn_from")
    marked = learned(platform)[0].hash
    undo_label(platform, platform.audit, made.id, "anna", at(MINUTES + 10))
    assert [learned(platform, minute)[0].hash for minute in (MINUTES - 20, MINUTES)] == [
        first,
        marked,
    ]


def test_the_past_of_a_backtest_knows_the_labels_of_today(platform):
    mark(platform, "bad", variables=("moisture",))
    mark(platform, "not_to_learn_from", TO, TO + 100)
    revision = require_revision(platform.definitions, "too-moist")
    past = Sandbox(platform, revision).training(at(TO + 500))
    history = past.readings.load(
        WantedHistory(platform.assets.get("oven-1"), at(FROM), at(TO - 1), ["moisture"])
    )
    assert history.readings["moisture"].isna().all()
    found = labelled_times(past, revision.definition, at(TO + 500))
    assert (found.left_out, found.bad) == (1, 1)


def test_a_kind_that_learns_from_readings_alone_leaves_the_time_out_and_says_so(platform):
    mark(platform, "not_to_learn_from", FROM, FROM + 90)
    mark(platform, "bad", FROM + 600, FROM + 660, ("humidity",))
    run = prepare(platform, "drift", at(MINUTES))
    data = load_learning_data(platform, run, definition_of(platform, "drift"), at(MINUTES))
    assert [(one.start, one.end) for one in data.suppressed["oven-1"]] == [
        (at(FROM), at(FROM + 90))
    ]
    read = data.histories[0].load_all(["humidity"]).readings["humidity"]
    assert (
        read[(read.index >= at(FROM + 600)) & (read.index < at(FROM + 660))].isna().tolist()
        == [True] * 12
    )
    assert b"test run" in platform.runs.files(run, "dataset")["labels.json"]

    proposal = train(platform, "drift", at(MINUTES))
    assert proposal.dataset.notes[:2] == (
        "left out: 1 marked time, 1.5 h",
        "values marked as bad: 1 time, 1.0 h",
    )
    counted = {"left_out": 1, "hours_left_out": 1.5, "bad": 1, "hours_bad": 1.0}
    assert proposal.evidence["labels"] == counted
    assert model_history(platform, "drift")["training"]["labels"] == counted


def test_a_label_of_a_variable_that_is_not_read_changes_nothing(platform):
    left_out = []
    for variables in (("moisture",), ("moisture", "humidity")):
        mark(platform, "not_to_learn_from", variables=variables)
        left_out.append(
            labelled_times(platform, definition_of(platform, "drift"), at(MINUTES)).left_out
        )
    assert left_out == [0, 1]
