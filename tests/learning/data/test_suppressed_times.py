"""Suppressed times leave learning: their rows are in no part, and counted; what is compared is
compared without them."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.alert_definition import Problem
from alerting.definitions.asset_documents import EventType, Variable
from alerting.detection.problem_occurrences import find_problems
from alerting.detection.suppressed_intervals import SuppressedInterval
from alerting.kinds.registry import parse_definition
from alerting.learning.data.dataset import build_dataset
from alerting.learning.data.quality import find_bursts, longest_in_burst
from alerting.learning.selection.promotion import common_window
from alerting.ports import EventRow, ReadingRow
from alerting.readings.history import from_millis, to_millis
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from alerting.usecases.training.definition_dataset import dataset_of
from tests import small_models
from tests.builders import at, history, oven, too_moist
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models

NIGHTS = [
    SuppressedInterval(
        small_models.START + timedelta(days=d),
        small_models.START + timedelta(days=d, hours=6),
        "night",
    )
    for d in range(9)
]


def is_night(at):
    return (at - to_millis(small_models.START)) % 86_400_000 < 6 * 3_600_000


def test_suppressed_rows_of_an_asset_are_in_no_part_and_the_others_stay_as_they_were():
    line = small_models.line()
    other = replace(line, asset=line.asset.model_copy(update={"name": "oven-2"}))
    known = (small_models.definition(), 1, [line, other], small_models.as_of(line), ())
    every = build_dataset(*known)
    awake = build_dataset(*known, {"oven-1": NIGHTS})
    kept = ~is_night(every.at) | (every.asset == "oven-2")
    assert not kept.all()
    assert awake.at.tolist() == every.at[kept].tolist()
    # the first row, which has too few readings, lies in a night too
    assert awake.counts["suppressed"] == (~kept).sum() + 1
    assert awake.label.tolist() == every.label[kept].tolist()
    assert awake.rows.equals(every.rows[kept].reset_index(drop=True))
    assert set(awake.part) >= {"train", "validation", "test"}


def test_champion_and_challenger_are_compared_without_suppressed_times():
    line = small_models.line(120)
    data = small_models.dataset(120)
    models = [
        small_models.linear_model(data.plan, data.rows, {"humidity.last": weight})
        for weight in (2.0, -0.1)
    ]
    until = small_models.as_of(line)
    arguments = (small_models.definition(), *models, [line], [], small_models.START, until)
    window = common_window(*arguments)
    awake = common_window(*arguments, {"oven-1": NIGHTS})
    assert awake.at.tolist() == window.at[~is_night(window.at)].tolist()


def test_a_training_asks_the_line_above_for_its_events():
    platform = in_memory_platform()
    line = small_models.line(120)
    above = line.asset.model_copy(update={"name": "line-1", "variables": {}})
    platform.assets.store_assets([line.asset.model_copy(update={"parent": "line-1"}), above])
    platform.assets.put_event_types([EventType(name="cleaning", duration="lasting")])
    moist = line.readings["moisture"]
    rows = [
        ReadingRow("oven-1", t.to_pydatetime(), {"moisture": float(v)}) for t, v in moist.items()
    ]
    add_readings(platform, rows, small_models.START)
    start = small_models.START + timedelta(hours=30)
    end = small_models.START + timedelta(hours=40)
    add_events(platform, [EventRow("line-1", "cleaning", start, end, "test")], small_models.START)
    document = {
        "name": "m",
        "kind": "classifier",
        "assets": ["oven-1"],
        "problem": {"variable": "moisture", "above": 5.0},
        "horizon": "30m",
        "suppression": {"when": {"event": "cleaning"}},
    }
    apply(platform, [document], "engineer", small_models.START, "test")
    platform.clock.instant = small_models.as_of(line)
    dataset = dataset_of(platform, "m", small_models.as_of(line))
    inside = [start <= from_millis(int(t)) < end for t in dataset.at]
    assert not any(inside)
    assert dataset.counts["suppressed"] > 0


CLOGGINGS = 8
EVERY = 10
LENGTH = 5 * 24 * 60
LIMIT = {"variable": "drop", "above": 400}


def clogging(seed, noise, sign=1):
    """Return a filter whose pressure drop rises from 250 to 425 Pa eight times, with noise."""
    minutes = np.arange(0, CLOGGINGS * LENGTH, EVERY)
    slow = 250 + 175 * (minutes % LENGTH / LENGTH) ** 2
    drop = slow + np.random.default_rng(seed).normal(0, noise, len(minutes))
    return history(minutes.tolist(), oven(drop=Variable(unit="Pa")), drop=sign * drop)


@pytest.mark.parametrize(("noise", "sign"), [(4, 1), (8, -1)])
def test_eight_noisy_cloggings_are_eight_problems_as_proposed(noise, sign):
    data = [clogging(0, noise, sign)]
    limit = {"variable": "drop", "above" if sign > 0 else "below": sign * 400}
    bursts = find_bursts(Problem.model_validate(limit), data)
    assert bursts.problems == len(find_problems(Problem.model_validate(limit), data[0])) >= 40
    assert bursts.merged == CLOGGINGS
    problem = Problem.model_validate(limit | {"merge_within": bursts.merge_within})
    assert len(find_problems(problem, data[0])) == CLOGGINGS
    assert find_bursts(problem, data) is None


def test_a_training_counts_them_as_written_and_as_proposed():
    document = too_moist(problem=LIMIT, horizon="6h", features={"stride": "1h"})
    data = build_dataset(parse_definition(document), 1, [clogging(0, 8)], at(CLOGGINGS * LENGTH))
    (said,) = [f.message for f in data.findings if f.kind == "bursts"]
    assert said == (
        "The problems come in bursts, as noise about a limit makes them: 91 as written, 8 with "
        "problem.merge_within: 4h."
    )


def test_problems_at_times_by_chance_are_seldom_taken_for_bursts():
    random = np.random.default_rng(0)
    taken = sum(
        longest_in_burst((random.exponential(1e7, n)).astype(np.int64)) is not None
        for n in (9, 15, 30, 60)
        for _ in range(1000)
    )
    assert taken <= 4
    assert longest_in_burst(np.full(30, 60_000)) is None


def test_events_in_bursts_are_proposed_to_be_merged():
    stops = [
        ("stop", day * 1440 + 7 * n, day * 1440 + 7 * n + 2) for day in range(6) for n in range(5)
    ]
    data = history([0, 9000], events=stops, moisture=[1, 1])
    bursts = find_bursts(Problem.model_validate({"event": "stop"}), [data])
    assert (bursts.problems, bursts.merged) == (30, 6)
