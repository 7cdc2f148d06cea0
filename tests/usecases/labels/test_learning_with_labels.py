"""What a training does with labels: rows that touch a time not to be learned from are left out, bad
values count as missing, and its record says so."""

import numpy as np
import pytest

from alerting.definitions.assets import Variable
from alerting.operators.silences import SilenceScope, new_silence
from alerting.ports import ReadingRow
from alerting.readings.instants import to_millis
from alerting.usecases.backtest.sandbox import Sandbox
from alerting.usecases.definitions.lookup import require_revision
from alerting.usecases.definitions.sync import apply
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.labels.learning import labelled_times
from alerting.usecases.labels.marking import mark_interval, undo_label
from alerting.usecases.training.dataset import dataset_of, suppressed_at
from alerting.usecases.training.promote import model_history
from alerting.usecases.training.readings import load_learning_data
from alerting.usecases.training.train import prepare, train
from tests.builders import at, oven, too_moist
from tests.helpers.learning.training import MINUTES, moisture_after_humidity
from tests.in_memory_platform import Mailbox, in_memory_platform

FROM = 2 * 1440
TO = FROM + 200
WINDOW = 60
AHEAD = 35
"""Minutes: the horizon, and for how long the problem's condition must hold."""


@pytest.fixture
def platform():
    made = in_memory_platform(Mailbox("mail"))
    made.assets.store_assets([oven(humidity=Variable(unit="%"))])
    rows = [
        ReadingRow("oven-1", at(int(m)), {"humidity": float(h), "moisture": float(w)})
        for m, h, w in zip(*moisture_after_humidity(), strict=True)
    ]
    add_readings(made, rows, at(0))
    made.clock.instant = at(MINUTES)
    return made


def learn(platform, **changes):
    features = {"stride": "5m", "windows": ["15m", "1h"]}
    apply(platform, [too_moist(features=features) | changes], "engineer", at(0), "test")


def mark(platform, kind, start=FROM, end=TO, variables=(), now=MINUTES - 10):
    return mark_interval(
        platform,
        platform.audit,
        "oven-1",
        variables,
        at(start),
        at(end),
        kind,
        "test run",
        "anna",
        at(now),
    )


def minutes(dataset):
    return ((dataset.at - to_millis(at(0))) // 60_000).tolist()


def test_rows_whose_windows_or_labels_touch_the_time_are_left_out_and_no_others(platform):
    learn(platform)
    before = dataset_of(platform, "too-moist", at(MINUTES))
    mark(platform, "not_to_learn_from")
    after = dataset_of(platform, "too-moist", at(MINUTES))
    left_out = set(minutes(before)) - set(minutes(after))
    touching = {m for m in minutes(before) if FROM - AHEAD <= m < TO + WINDOW}
    assert left_out == touching
    assert len(left_out) > 40
    assert set(minutes(after)) <= set(minutes(before))
    assert after.hash != before.hash


def test_maintenance_is_left_out_as_a_labelled_time_and_a_silence_is_not(platform):
    learn(platform)
    before = minutes(dataset_of(platform, "too-moist", at(MINUTES)))
    for kind, start in (("maintenance", FROM), ("silence", FROM + 1440)):
        ends = (at(start), at(start + 200))
        scope = SilenceScope(part="oven-1")
        given = ("belt", (), "anna", "engineer", at(start))
        platform.silences.insert(new_silence(kind, scope, *ends, None, *given))
    left_out = set(before) - set(minutes(dataset_of(platform, "too-moist", at(MINUTES))))
    assert left_out == {m for m in before if FROM - AHEAD <= m < TO + WINDOW}
    revision = require_revision(platform.definitions, "too-moist")
    record = labelled_times(platform, revision.definition, at(MINUTES))
    assert (record.left_out, record.notes()) == (1, ("left out: 1 marked time, 3.3 h",))


def test_the_test_period_is_measured_without_the_time_too(platform):
    learn(platform)
    last = dataset_of(platform, "too-moist", at(MINUTES))
    tested = [m for m, part in zip(minutes(last), last.part, strict=True) if part == "test"]
    mark(platform, "not_to_learn_from", tested[20], tested[30])
    after = dataset_of(platform, "too-moist", at(MINUTES))
    measured = [m for m, part in zip(minutes(after), after.part, strict=True) if part == "test"]
    assert 0 < len(measured) < len(tested)
    revision = require_revision(platform.definitions, "too-moist")
    compared = suppressed_at(platform, revision.definition, at(MINUTES))["oven-1"]
    assert [one.start for one in compared] == [at(tested[20] - AHEAD)]
    assert [one.end for one in compared] == [at(tested[30] + WINDOW)]


def test_bad_values_are_no_features_and_no_problems(platform):
    learn(platform)
    before = dataset_of(platform, "too-moist", at(MINUTES))
    mark(platform, "bad", variables=("humidity",))
    after = dataset_of(platform, "too-moist", at(MINUTES))
    column = next(c for c in after.plan.columns if c.startswith("humidity") and "mean" in c)
    inside = [FROM + WINDOW < m < TO for m in minutes(after)]
    assert any(inside)
    assert after.rows[column][inside].isna().all()
    same = [m < FROM - 1 for m in minutes(after)]
    assert after.rows[column][same].notna().any()
    assert after.hash != before.hash

    mark(platform, "bad", variables=("moisture",))
    last = dataset_of(platform, "too-moist", at(MINUTES))
    starts = to_millis(at(FROM)), to_millis(at(TO))
    there = [starts[0] <= to_millis(one) < starts[1] for one in before.problems["start"]]
    assert any(there)
    assert len(last.problems) == len(before.problems) - sum(there)


def test_a_training_uses_the_labels_of_its_instant_so_it_can_be_repeated(platform):
    learn(platform)
    first = dataset_of(platform, "too-moist", at(MINUTES - 20)).hash
    made = mark(platform, "not_to_learn_from")
    marked = dataset_of(platform, "too-moist", at(MINUTES)).hash
    assert dataset_of(platform, "too-moist", at(MINUTES - 20)).hash == first
    undo_label(platform, platform.audit, made.id, "anna", at(MINUTES + 10))
    assert dataset_of(platform, "too-moist", at(MINUTES)).hash == marked


def test_the_past_of_a_backtest_knows_the_labels_of_today(platform):
    learn(platform)
    mark(platform, "bad", variables=("moisture",))
    mark(platform, "not_to_learn_from", TO, TO + 100)
    revision = require_revision(platform.definitions, "too-moist")
    past = Sandbox(platform, revision).training(at(TO + 500))
    asset = platform.assets.get("oven-1")
    history = past.readings.load(asset, at(FROM), at(TO - 1), ["moisture"])
    assert history.readings["moisture"].isna().all()
    found = labelled_times(past, revision.definition, at(TO + 500))
    assert (found.left_out, found.bad) == (1, 1)


CHART = {
    "name": "drift",
    "kind": "control_chart",
    "assets": ["oven-1"],
    "variable": "humidity",
    "normal": {"from": at(0).isoformat(), "to": at(3 * 1440).isoformat()},
}


def test_a_kind_that_learns_from_readings_alone_leaves_the_time_out_and_says_so(platform):
    apply(platform, [CHART], "engineer", at(0), "test")
    mark(platform, "not_to_learn_from", FROM, FROM + 90)
    mark(platform, "bad", FROM + 600, FROM + 660, ("humidity",))
    run = prepare(platform, "drift", at(MINUTES))
    definition = require_revision(platform.definitions, "drift").definition
    data = load_learning_data(platform, run, definition, at(MINUTES))
    assert [(one.start, one.end) for one in data.suppressed["oven-1"]] == [
        (at(FROM), at(FROM + 90))
    ]
    read = data.histories[0].load_all(["humidity"]).readings["humidity"]
    hidden = read[(read.index >= at(FROM + 600)) & (read.index < at(FROM + 660))]
    assert len(hidden) == 12
    assert np.isnan(hidden.to_numpy()).all()
    assert b"test run" in platform.runs.files(run, "dataset")["labels.json"]

    proposal = train(platform, "drift", at(MINUTES))
    assert proposal.dataset.notes[:2] == (
        "left out: 1 marked time, 1.5 h",
        "values marked as bad: 1 time, 1.0 h",
    )
    assert proposal.evidence["labels"] == {
        "left_out": 1,
        "hours_left_out": 1.5,
        "bad": 1,
        "hours_bad": 1.0,
    }
    assert model_history(platform, "drift")["training"]["labels"] == proposal.evidence["labels"]


def test_a_label_of_a_variable_that_is_not_read_changes_nothing(platform):
    apply(platform, [CHART], "engineer", at(0), "test")
    definition = require_revision(platform.definitions, "drift").definition
    mark(platform, "not_to_learn_from", variables=("moisture",))
    assert labelled_times(platform, definition, at(MINUTES)).left_out == 0
    mark(platform, "not_to_learn_from", variables=("moisture", "humidity"))
    assert labelled_times(platform, definition, at(MINUTES)).left_out == 1
