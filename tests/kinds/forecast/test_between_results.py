"""A quality that the laboratory measures every 2 or 12 hours, estimated at each stride: on a line
whose true quality is known at every minute."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.faults import TrainingRefused
from alerting.kinds.forecast.forecasters import FORECASTERS
from alerting.kinds.forecast.result_folds import forecast_folds
from alerting.kinds.forecast.training import TRAINING
from alerting.learning.features.point_in_time import build_features
from alerting.learning.selection.candidates import candidate_from_files
from alerting.ports import WantedHistory
from alerting.ports.plant import ReadingRow
from alerting.readings.history import to_millis
from alerting.usecases.explain import why
from alerting.usecases.model_registry import load_model
from alerting.usecases.training.definition_dataset import dataset_of, describe_features
from alerting.usecases.training.fitted_candidates import load_candidates
from alerting.usecases.training.objections import describe_values
from alerting.usecases.training.run_files import load_dataset
from tests.builders import at
from tests.helpers.kind_life import (
    evaluated,
    platform_with,
    trained_at,
)

pytestmark = pytest.mark.models

DAY = 24 * 60
STEP = 10  # minutes between readings of the process
TRAINED = 28 * DAY
DELAY = 60
LINE = Asset(
    name="line-1",
    variables={
        **{name: Variable() for name in ("heat", "speed")},
        "feed": Variable(controllable=True, min=-4, max=4, step=0.5),
        "quality": Variable(delay=timedelta(minutes=DELAY)),
    },
)


def simulated(days, hours, seed=0):
    """Return the readings, and the true quality by the minute of each reading of the process."""
    random = np.random.default_rng(seed)
    count = days * DAY // STEP
    keep = np.exp(-STEP / np.array([240.0, 360.0, 300.0]))
    process = np.zeros((count, 3))
    drift = np.zeros(count)
    for i in range(1, count):
        process[i] = keep * process[i - 1] + np.sqrt(1 - keep**2) * random.normal(size=3)
        drift[i] = 0.999 * drift[i - 1] + random.normal(0, 0.05)
    truth = 50 + 2 * np.roll(process[:, 0], 3) - 1.5 * np.roll(process[:, 1], 6) + drift
    taken = range(hours * 60, days * DAY, hours * 60)
    results = {minute: truth[minute // STEP] + random.normal(0, 0.3) for minute in taken}
    rows = []
    for number, values in enumerate(process.tolist()):
        minute = number * STEP
        known = dict(zip(("feed", "heat", "speed"), values, strict=True))
        result = {"quality": float(results[minute])} if minute in results else {}
        rows.append(ReadingRow("line-1", at(minute), known | result))
    return rows, truth


def line(days, hours, quality_of=0, **problem):
    """`quality_of`: seed of the line whose results these are; with another one than 0 the process
    says nothing about them."""
    rows, truth = simulated(days, hours)
    if quality_of:
        for row, like in zip(rows, simulated(days, hours, quality_of)[0], strict=True):
            row.values.update({name: v for name, v in like.values.items() if name == "quality"})
    document = {
        "name": "quality",
        "kind": "forecast",
        "assets": ["line-1"],
        "horizon": f"{hours}h",
        "learning": {"trials": 2, "candidates": ["ridge"]},
        **({"problem": {"variable": "quality", **problem}} if problem else {"variable": "quality"}),
    }
    return platform_with(LINE, rows, document), truth


def check_text(platform, minute):
    definition = platform.definitions.newest_revision("quality").definition
    return describe_features(platform, definition, at(minute))


@pytest.mark.parametrize(
    ("hours", "windows", "derived"),
    [(2, [20, 40, 120], "20m, 40m, 2h"), (12, [50, 100, 300, 700], "50m, 1h40m, 5h, 11h40m")],
)
def test_the_present_value_is_estimated_at_each_stride(hours, windows, derived):
    days = 33
    platform, truth = line(days, hours)
    announced = check_text(platform, TRAINED)
    decided = trained_at(platform, "quality", TRAINED)
    assert (decided.verdict, decided.promote) == ("provisional", True), decided.reason
    model = load_model(platform, platform.definitions.newest_revision("quality").definition, 1)
    assert f"windows {derived} were derived" in announced
    assert [window // 60_000 for window in model.plan.windows_ms] == windows
    assert f"one every {hours}h; 40 are needed" in announced
    evaluated(platform, (days * DAY - 1,))
    scored = platform.scores.for_interval("quality", at(TRAINED), at(days * DAY))
    rows = [row for row in scored if row.get("values")]
    values = np.array([row["values"][0] for row in rows])
    minutes = np.array([to_millis(row["ts"]) - to_millis(at(0)) for row in rows])
    true = truth[minutes // (60_000 * STEP)]
    _, low, median, high = values.T
    results = [row for row in simulated(days, hours)[0] if "quality" in row.values]
    known = np.array([to_millis(row.ts + timedelta(minutes=DELAY)) for row in results])
    newest = np.searchsorted(known, minutes + to_millis(at(0)), side="right") - 1
    last = np.array([row.values["quality"] for row in results])[newest]
    assert len(values) > 4 * DAY // STEP
    assert np.abs(median - true).mean() < 0.5 * np.abs(last - true).mean()
    assert ((true > low) & (true < high)).mean() > 0.8
    told = why(platform, "quality", "line-1", at(TRAINED + DAY))
    assert "; estimate of quality now: " in told.answer


def test_too_few_results_are_refused_with_the_number_that_is_missing():
    platform, _ = line(18, 12)
    text = "quality has 35 results, one every 12h, and 40 are needed to estimate it between them"
    missing = f"{text}: 5 are missing, about 3d more"
    assert missing in check_text(platform, 18 * DAY)
    with pytest.raises(TrainingRefused, match=missing):
        trained_at(platform, "quality", 18 * DAY)
    enough, _ = line(21, 12)
    assert trained_at(enough, "quality", 21 * DAY).promote


@pytest.mark.parametrize(
    ("hours", "announced", "has_alarm"),
    [
        (2, ": it would be raised if its warnings are better than chance", True),
        (12, "which has 2: its values would serve without an alarm", False),
    ],
)
def test_a_limit_gives_an_alarm_where_enough_results_prove_it(hours, announced, has_alarm):
    platform, _ = line(33, hours, above=52.5)
    assert announced in check_text(platform, TRAINED)
    decided = trained_at(platform, "quality", TRAINED)
    assert decided.promote, decided.reason
    assert ("No alarm is raised: " in decided.details) != has_alarm
    evaluated(platform, (TRAINED, 33 * DAY - 1))
    episodes = platform.episodes.find("quality")
    assert bool(episodes) == has_alarm
    hits = [episode for episode in episodes if episode.outcome_record.outcome == "hit"]
    assert len(hits) >= 0.5 * len(episodes)
    for episode in episodes:
        assert episode.contributions[0].variable == "feed"
        assert [change.variable for change in episode.recommendation.changes] == ["feed"]


def test_the_value_test_is_of_the_candidate_whose_warnings_would_serve():
    platform, _ = line(33, 2, above=52.5)
    run = trained_at(platform, "quality", TRAINED).run_id
    dataset = load_dataset(platform.runs, run)
    definition = platform.definitions.newest_revision("quality").definition
    files, _ = load_candidates(platform.runs, run, definition.families)
    last, _, ridge = (candidate_from_files(stored) for stored in files.values())
    # equally good out of fold with better warnings, but it only smooths the results
    metrics = ridge.metrics | {"crps": ridge.metrics["crps"] * 1.001, "ap": ridge.ap + 0.01}
    smooth = replace(ridge, family="smoothing", params={}, metrics=metrics)
    chance, chosen = TRAINING.choose(dataset, definition, [last, ridge, smooth])
    assert chance.passed
    assert (chosen.candidate.family, chosen.model.has_alarm) == ("ridge", False)
    # the second one that is tested on the same unseen values
    assert chosen.evidence.test.confidence == pytest.approx(0.95)
    assert describe_values(chance, chosen.evidence.test).endswith(
        "No alarm is raised: the candidate with the best warnings estimates no better than the "
        "last known value or the mean."
    )


def test_an_alarm_is_not_dropped_because_too_few_unseen_values_tell_nothing_of_its_estimate():
    platform, _ = line(33, 2, above=52.5)
    decided = trained_at(platform, "quality", TRAINED)
    dataset = load_dataset(platform.runs, decided.run_id)
    definition = platform.definitions.newest_revision("quality").definition
    files, _ = load_candidates(platform.runs, decided.run_id, definition.families)
    candidates = [candidate_from_files(stored) for stored in files.values()]
    unseen = np.flatnonzero(dataset.measured_in("test") & dataset.has_future)
    future = dataset.future.copy()
    future[unseen[2:]] = np.nan
    _, chosen = TRAINING.choose(replace(dataset, future=future), definition, candidates)
    assert chosen.model.has_alarm


def test_results_that_no_variable_explains_raise_no_alarm():
    """A model exceeds chance that repeats a problem under way: before it begins it is no better."""
    platform, _ = line(29, 2, quality_of=5, above=52.5)
    decided = trained_at(platform, "quality", TRAINED)
    assert not decided.promote
    assert decided.evidence["chance"]["ap"] > decided.evidence["chance"]["bound"]


def test_rows_are_the_same_from_a_slice_and_use_nothing_known_later():
    platform, _ = line(29, 12)
    trained_at(platform, "quality", TRAINED)
    plan = load_model(platform, platform.definitions.newest_revision("quality").definition, 1).plan
    asset = platform.assets.get("line-1")
    whole = platform.readings.load(WantedHistory(asset, None, at(29 * DAY)))
    for minute in (TRAINED, TRAINED + 59, TRAINED + 60, TRAINED + 615):
        instant = np.array([to_millis(at(minute)) // plan.stride_ms * plan.stride_ms])
        slice_of = platform.readings.load(
            WantedHistory(asset, at(minute) - plan.lookback, at(minute))
        )
        late = whole.readings.index > at(minute) - timedelta(minutes=DELAY)
        readings = whole.readings.assign(quality=whole.readings["quality"].where(~late, 1e6))
        expected = build_features(plan, whole, instant)
        for history in (slice_of, replace(whole, readings=readings)):
            assert build_features(plan, history, instant).equals(expected)


def test_each_fold_chooses_its_columns_on_its_own_rows(monkeypatch):
    chosen_on = []

    def strongest(params, task, rows, future, seed):
        chosen_on.append(len(rows))
        return np.arange(rows.shape[1])

    family = replace(FORECASTERS["boosted_trees"], strongest=strongest)
    monkeypatch.setitem(FORECASTERS, "boosted_trees", family)
    platform, _ = line(33, 2, above=52)
    definition = platform.definitions.newest_revision("quality").definition
    dataset = dataset_of(platform, "quality", at(TRAINED))
    TRAINING.train(dataset, definition, "boosted_trees", lambda *_: None, None)
    folds = forecast_folds(dataset, definition)
    assert folds.warnings
    assert {fold.number for fold in folds.warnings} <= {fold.number for fold in folds.values}
    fitted = [
        int(dataset.has_future[fold.train].sum()) for fold in (*folds.values, *folds.warnings)
    ]
    assert sorted(set(chosen_on)) == sorted(set(fitted))
