"""The dataset: from what was known at as_of, the same every time, or a refusal that says what to
do."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.definitions.faults import UserError
from alerting.learning.data.dataset import dataset_files, dataset_from_files
from alerting.readings.history import History
from tests.helpers.learning.dataset import (
    AS_OF,
    HOURS,
    START,
    built,
    definition,
    hourly,
    oven,
    plain,
)


def test_rows_labels_and_parts_stand_side_by_side():
    dataset = plain()
    of_rows = ("label", "asset", "at", "part", "persistence")
    assert {len(getattr(dataset, name)) for name in of_rows} == {len(dataset.rows)}
    assert tuple(dataset.rows.columns) == dataset.plan.columns
    assert set(dataset.part) == {"train", "validation", "test", "purged"}
    assert set(dataset.asset) == {"oven-1", "oven-2"}
    told = (dataset.definition, dataset.revision, dataset.horizon_ms, dataset.gap_ms)
    assert told == ("too-high", 3, 3 * HOUR_MS, 0)
    assert dataset.purge_ms == 9 * HOUR_MS
    ends = [dataset.at[dataset.part == part] for part in ("train", "validation", "test")]
    assert ends[0].max() + 9 * HOUR_MS <= ends[1].min()
    assert ends[1].max() + 9 * HOUR_MS <= ends[2].min()
    np.testing.assert_array_equal(dataset.persistence, dataset.rows["x.last"])


HOUR_MS = 3_600_000


def test_every_instant_of_the_grid_is_a_row_or_counted_as_dropped():
    dataset = plain()
    problems = dataset.counts["inside_problem"]
    # the first windows hold fewer than half of their usual readings
    assert dataset.counts == {"immature": 6, "inside_problem": problems, "no_reading": 2}
    assert (dataset.fit | dataset.measured).sum() + sum(dataset.counts.values()) == 2 * HOURS
    rows = ((dataset.part == "test") & (dataset.asset == "oven-2")).sum()
    assert dataset.observed["test"]["oven-2"] == rows * 3600.0
    assert set(dataset.observed) == {"train", "validation", "test"}


def test_labels_are_those_of_the_readings():
    dataset = plain()
    x = hourly(0)["x"].to_numpy()
    above = x > 2
    starts = np.flatnonzero(above & ~np.roll(above, 1))
    mine = dataset.asset == "oven-1"
    hour = (dataset.at[mine] - int(START.timestamp() * 1000)) // 3_600_000
    expected = [int(((starts > h) & (starts <= h + 3)).any()) for h in hour]
    assert dataset.label[mine].tolist() == expected
    assert not above[hour].any()


def test_what_came_after_as_of_changes_nothing():
    earlier = START + timedelta(hours=500)
    cut = [replace(h, readings=h.readings.loc[:earlier]) for h in (oven(), oven("oven-2", 1))]
    assert built(as_of=earlier).hash == built(histories=cut, as_of=earlier).hash
    assert built(definition(periods={"end": earlier.isoformat()})).hash == built(as_of=earlier).hash


def test_the_plan_is_made_of_the_training_period_alone():
    late = oven()
    late.readings.iloc[400:, late.readings.columns.get_loc("recipe")] = "spelt"
    late.readings.iloc[400:, late.readings.columns.get_loc("dead")] = 1.0
    dataset = built(histories=[late])
    assert dataset.plan.levels["recipe.last"] == ("oat", "rye")
    assert "dead" not in dataset.plan.variables


def test_readings_before_the_period_are_not_used():
    begin = START + timedelta(hours=100)
    dataset = built(definition(periods={"start": begin.isoformat()}))
    filled = begin + timedelta(hours=1)  # the first window with half of its usual readings
    assert dataset.at.min() == int(filled.timestamp() * 1000)
    first = dataset.rows.iloc[int(dataset.at.argmin())]
    mean = (first["x.min.6h"] + first["x.max.6h"]) / 2
    assert first["x.mean.6h"] == pytest.approx(mean)  # of two readings


def test_the_order_of_assets_does_not_matter_but_each_value_does():
    dataset = plain()
    assert set(dataset.problems["asset"]) == {"oven-1", "oven-2"}
    assert built(histories=[oven("oven-2", 1), oven()]).hash == dataset.hash
    other = oven()
    other.readings.iloc[10, 0] += 1e-9
    assert built(histories=[other, oven("oven-2", 1)]).hash != dataset.hash


def test_a_dataset_survives_its_files():
    dataset = plain()
    got = dataset_from_files(dataset_files(dataset))
    for name in ("rows", "problems", "occurrences"):
        pd.testing.assert_frame_equal(getattr(got, name), getattr(dataset, name), check_exact=True)
    for name in ("label", "asset", "at", "part", "fit", "measured", "persistence"):
        np.testing.assert_array_equal(getattr(got, name), getattr(dataset, name))
        assert getattr(got, name).dtype == getattr(dataset, name).dtype
    plain_facts = (
        *("definition", "revision", "as_of", "plan", "predicts", "observed", "counts", "notes"),
        *("purge_ms", "hash"),
    )
    assert [n for n in plain_facts if getattr(got, n) != getattr(dataset, n)] == []


def test_files_that_do_not_belong_together_are_refused():
    files = dataset_files(plain())
    files["rows.parquet"] = dataset_files(built(as_of=AS_OF - timedelta(hours=1)))["rows.parquet"]
    with pytest.raises(UserError, match="was changed after it was written"):
        dataset_from_files(files)


def test_notes_say_what_is_odd_and_what_follows():
    silent = History(Asset(name="oven-3"))
    loose = oven(x=Variable(low=-1.5))
    loose.readings["batch"] = np.array([f"b{i}" for i in range(HOURS)], dtype=object)
    x = np.zeros(HOURS)
    x[[50, 100, 150, 400, 500]] = 9
    loose.readings["x"] = x
    features = {"stride": "1h", "windows": ["3h"], "events": ["err*"]}
    notes = "\n".join(built(definition(features=features), [loose, silent]).notes)
    expected = (
        "oven-3 has no readings in the training period: the model cannot use it.",
        "ghost is always 4.0 in the training period: the model cannot use it",
        "dead has no value in the training period: it is left out",
        "batch is a category with 360 values in training, more than 100: it is left out.",
        "No event type matches 'err*'",
        "Only 3 problems began in the training period",
        "Only 1 problem began in the validation period: the threshold rests on few cases.",
        "Only 1 problem began in the test period: its figures are uncertain.",
    )
    assert [words for words in expected if words not in notes] == []


# ---- refusals


def refusal(definition_=None, histories=None, as_of=AS_OF):
    with pytest.raises(UserError) as refused:
        built(definition_, histories, as_of)
    return str(refused.value)


def asked(**problem):
    return definition(problem=problem)


def one_failure(hour):
    """Return an oven that failed once, so many hours after its first reading."""
    begin = pd.DatetimeIndex([START + timedelta(hours=hour)]).as_unit("ms")
    events = pd.DataFrame({"type": ["failure"], "start": begin, "end": begin})
    types = (EventType(name="failure", duration="instant"),)
    return replace(oven(), event_types=types, events=events)


def test_what_cannot_be_learned_is_refused_with_what_to_do():
    known = replace(oven(), event_types=(EventType(name="failure", duration="instant"),))
    long = {"stride": "1h", "windows": ["30d"]}
    state = {"variable": "x", "predict": "state"}
    told = {
        "no readings of oven-1": refusal(histories=[History(Asset(name="oven-1"))]),
        "no readings of oven-1, oven-2": refusal(as_of=START - timedelta(days=1)),
        "no asset has the problem's variable 'gost' (did you mean ghost?)": refusal(
            asked(variable="gost", above=1)
        ),
        "no event type matches the problem's event 'failur' (did you mean failure?)": refusal(
            asked(event="failur"), [known]
        ),
        "the problem's variable dead has no value at all": refusal(asked(variable="dead", above=1)),
        "the training period has no usable row": refusal(definition(features=long)),
        "which never comes (x above 99; x from -2.73334 to 2.67155): correct it": refusal(
            asked(**state, above=99)
        ),
        "(x above -99; begun in it: 2; x from -2.73334 to 2.67155): choose a shorter": refusal(
            asked(**state, above=-99)
        ),
        "which never comes (event failure; events: 0): correct it": refusal(
            asked(event="failure"), [known]
        ),
        "none of the problems (1) begins in it; use a longer history": refusal(
            asked(event="failure"), [one_failure(500)]
        ),
        "begin in it (1) none comes within 3h after one of its rows": refusal(
            asked(event="failure"), [one_failure(1)]
        ),
        "the horizon 30m is shorter than the stride 1h": refusal(definition(horizon="30m")),
        "lengthen horizon or shorten features.stride": refusal(definition(horizon="30m")),
    }
    assert {words: text for words, text in told.items() if words not in text} == {}
