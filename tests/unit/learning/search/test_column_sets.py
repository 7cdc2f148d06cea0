"""Column sets of a search: what each holds, and that labels outside the rows of a fit never choose a column."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.learning.features.plan import CategorySource, FeaturePlan, NumberSource
from alerting.learning.search.column_sets import MOST_OF_A_SOURCE, MOST_SCREENED, ColumnSets, ranking_strength

MINUTE, HOUR, DAY = 60_000, 3_600_000, 24 * 3_600_000
PLAN = FeaturePlan(
    stride_ms=MINUTE,
    windows_ms=(15 * MINUTE, HOUR, 3 * HOUR),
    aggregations=("mean", "std", "last", "slope", "age"),
    numbers=(NumberSource("moisture", MINUTE), NumberSource("speed", MINUTE)),
    categories=(CategorySource("crew", ("early", "late")),),
    events=("stop",),
    lags_ms=(DAY,),
)


def many(count):
    """Sets for this number of variables with one column each."""
    numbers = tuple(NumberSource(f"v{i:03}", None) for i in range(count))
    plan = FeaturePlan(stride_ms=MINUTE, windows_ms=(HOUR,), aggregations=("last",), numbers=numbers)
    return ColumnSets.of_plan(plan, ())


def names(sets, params, rows=100):
    matrix = np.zeros((rows, len(sets.sources)))
    label = (np.arange(rows) % 2).astype(np.int8)
    return sets.take(sets.choose(params, matrix, np.arange(rows), label)).names


def test_compact_shows_last_mean_and_slope_of_the_middle_window_and_own_the_problem_s_variable():
    sets = ColumnSets.of_plan(PLAN, ("moisture",))
    assert names(sets, {"columns": "compact"}) == (
        "moisture.mean.1h", "moisture.last", "moisture.slope.1h", "speed.mean.1h", "speed.last", "speed.slope.1h",
        "event/stop.count.1h", "event/stop.recency", "crew.last",
    )  # fmt: skip
    assert {name.split(".")[0] for name in names(sets, {"columns": "own"})} == {"moisture"}
    assert names(sets, {}) == PLAN.columns


def test_a_set_is_offered_only_where_it_differs_from_all_columns():
    assert ColumnSets.of_plan(PLAN, ()).offered == ("all", "compact")
    assert ColumnSets.of_plan(replace(PLAN, events=()), ("pressure",)).offered == ("all", "compact")
    assert ColumnSets.of_plan(PLAN, ("speed",)).offered == ("all", "compact", "own")
    assert many(MOST_SCREENED + 1).offered == ("all", "screened")


def test_the_screening_finds_what_ranks_the_rows_and_leaves_room_for_other_variables():
    plan = replace(PLAN, numbers=tuple(NumberSource(f"v{i}", None) for i in range(20)), events=(), lags_ms=())
    sets = ColumnSets.of_plan(plan, ())
    random = np.random.default_rng(0)
    matrix = random.standard_normal((400, len(plan.columns)))
    matrix[:, -1] = random.integers(0, 2, 400)
    label = (random.random(400) < 0.3).astype(np.int8)
    telling = plan.columns.index("v7.mean.1h")
    for column in range(telling - 3, telling + 5):
        matrix[:, column] -= 2.0 * label
    matrix[random.random(matrix.shape) < 0.1] = np.nan
    chosen = sets.choose({"columns": "screened"}, matrix, np.arange(400), label)
    sources = [plan.source_of(plan.columns[i]) for i in chosen]
    assert telling in chosen
    assert len(chosen) == MOST_SCREENED
    assert max(sources.count(name) for name in sources) == MOST_OF_A_SOURCE == sources.count("v7")


def test_labels_and_values_outside_of_the_rows_of_a_fit_choose_no_column():
    sets, random = many(300), np.random.default_rng(0)
    matrix, label = random.standard_normal((200, 300)), (np.arange(200) % 4 == 0).astype(np.int8)
    rows = np.arange(100)
    first = sets.choose({"columns": "screened"}, matrix, rows, label)
    matrix[100:], label[100:] = 1000.0 * random.standard_normal((100, 300)), label[100:][::-1].copy()
    assert np.array_equal(sets.choose({"columns": "screened"}, matrix, rows, label), first)
    assert not np.array_equal(sets.choose({"columns": "screened"}, matrix, rows + 100, label), first)


def test_a_fit_never_has_more_columns_than_rows():
    sets, random = many(300), np.random.default_rng(0)
    matrix, label = random.standard_normal((50, 300)), (np.arange(50) % 2).astype(np.int8)
    matrix[:, 123] += label
    chosen = sets.choose({}, matrix, np.arange(50), label)
    assert len(chosen) == 50
    assert 123 in chosen
    assert len(sets.choose({}, np.zeros((300, 300)), np.arange(300), (np.arange(300) % 2).astype(np.int8))) == 300


@pytest.mark.parametrize("scale", [1.0, -1.0, 1e9])
def test_strength_is_that_of_all_pairs_of_rows_with_and_without_the_problem_missing_values_aside(scale):
    random = np.random.default_rng(1)
    values, label = random.integers(0, 30, 300) * scale, (random.random(300) < 0.2).astype(np.int8)
    there = random.random(300) > 0.2
    found = ranking_strength(np.where(there, values, np.nan)[:, None], np.arange(300), np.array([0]), label, ())
    ones, zeros = values[there & (label == 1)], values[there & (label == 0)]
    u = sum((one > zeros).sum() + (one == zeros).sum() / 2 for one in ones)
    sizes = len(ones) * len(zeros)
    assert found[0] == pytest.approx(abs(u - sizes / 2) / np.sqrt(sizes * (len(ones) + len(zeros) + 1) / 12))


def test_a_category_counts_by_its_level_that_separates_best_and_columns_without_values_not_at_all():
    label = np.array([1] * 50 + [0] * 50, np.int8)
    matrix = np.column_stack([np.where(label == 1, 2.0, 0.0), np.arange(100) % 3, np.full(100, np.nan)])
    separated, mixed, empty = ranking_strength(matrix, np.arange(100), np.arange(3), label, (0, 1))
    assert separated > 5
    assert mixed < 2
    assert empty == 0
