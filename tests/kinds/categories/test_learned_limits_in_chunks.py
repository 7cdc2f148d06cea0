"""Live in any chunks gives what one batch gives, for any readings, recipes and hours, and for
conditions of several variables."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.console.web.chart import chart_shape
from alerting.definitions.assets import Asset, Variable
from alerting.definitions.limits import key_of
from alerting.detection.learned_limits import GroupLimit, LimitTable
from alerting.kinds.threshold.model import FittedLimits, LearnedLimitsModel, from_files, to_files
from alerting.kinds.validation import parse_definition
from alerting.ports import ModelUnavailable, ReadingRow
from alerting.readings.history import from_millis, to_millis
from alerting.reporting.figures.episode_chart import describe
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.explain.explain import why
from alerting.usecases.notification.chart import chart_of, draw_episode
from alerting.usecases.reports.make import make_report
from alerting.usecases.training.train import train
from tests.builders import at
from tests.helpers.kind_in_chunks import evaluated_to, sources_of
from tests.helpers.recipe_line import DAY, DOCUMENT, running

ASSET = Asset(
    name="press-1",
    variables={"force": Variable(low=0, high=100), "recipe": Variable(type="category")},
)
ABOVE = {"learned": {"quantile": 0.9, "by": ["recipe", "hour_of_day"]}}
BELOW = {"learned": {"quantile": 0.1}}
COMMON = {
    "name": "x",
    "kind": "threshold",
    "assets": ["press-1"],
    "schedule": {"timezone": "Europe/Berlin"},
}
DEFINITIONS = {
    "one variable": {
        "variable": "force",
        "above": ABOVE,
        "below": BELOW,
        "clear_above_at": 9,
        "stale_after": "5m",
    },
    "values until the next one": {"variable": "force", "above": ABOVE, "no_data": "ignore"},
    "counted": {"variable": "force", "above": ABOVE, "at_least": {"readings": 2, "of": 3}},
    "several": {
        "all": [{"variable": "force", "above": ABOVE}, {"variable": "force", "below": 99}],
        "for": "1m",
    },
}
GROUPS = {(): 11.0, ("A",): 10.0, ("A", "1"): 9.0, ("A", "2"): 12.0, ("B",): None}
READINGS = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 1, 7, 30]),
        st.one_of(st.none(), st.floats(7, 13), st.just(999.0)),
        st.sampled_from([None, *"ABC"]),
    ),
    min_size=3,
    max_size=40,
)


def model_of(definition, cutoff=3):
    groups = {group: GroupLimit(100, limit) for group, limit in GROUPS.items()}
    limits = {(): GroupLimit(100, 8.0)}
    tables = {
        key_of(variable, one): LimitTable(
            one.quantile, one.by, at(-99), at(3), groups if one.by else limits
        )
        for variable, one in definition.learned
    }
    return from_files(
        to_files(
            LearnedLimitsModel("quantiles", 1, at(cutoff), {"press-1": FittedLimits(tables, {})})
        )
    )


def evaluated(definition, readings, cuts):
    minutes = np.cumsum([gap for gap, *_ in readings]).tolist()
    rows = []
    for minute, (_, force, recipe) in zip(minutes, readings, strict=True):
        values = {
            name: value
            for name, value in (("force", force), ("recipe", recipe))
            if value is not None
        }
        rows += [ReadingRow("press-1", at(minute), values)] if values else []
    return evaluated_to(definition, sources_of(ASSET, rows, model_of(definition)), cuts)


@pytest.mark.parametrize("name", DEFINITIONS)
@settings(max_examples=40, deadline=timedelta(seconds=5))
@given(readings=READINGS, cuts=st.lists(st.floats(0.5, 200), max_size=8))
def test_live_in_any_chunks_gives_what_one_batch_gives(name, readings, cuts):
    definition = parse_definition({**COMMON, **DEFINITIONS[name]})
    end = sum(gap for gap, *_ in readings) + 10.0
    chunks = evaluated(definition, readings, [*sorted(c for c in cuts if c < end), end])
    assert chunks == evaluated(definition, readings, [end])


def test_the_recipe_in_force_is_that_of_the_reading_however_the_time_is_cut():
    """A recipe exactly as old as it may be is in force; the last value before the first evaluation
    belongs to the recipe in which it was taken."""
    recipe = Variable(type="category", carry_forward=timedelta(minutes=30))
    asset = Asset(name="press-1", variables={"force": Variable(), "recipe": recipe})
    alone = {"variable": "force", "above": ABOVE, "stale_after": "1h"}
    old = [(10, {"recipe": "A"}), (40, {"force": 10.5})]
    both = {"all": [alone, alone | {"above": None, "below": 99}], "for": "1m"}
    before = [(-30, {"recipe": "A"}), (-10, {"force": 10.5}), (-5, {"recipe": "C"})]

    def steps(asset, fields, values, cuts, cutoff=3):
        document = COMMON | fields
        if "all" in fields:
            document["all"] = [
                {k: v for k, v in one.items() if v is not None} for one in fields["all"]
            ]
        definition = parse_definition(document)
        rows = [ReadingRow("press-1", at(minute), row) for minute, row in values]
        sources = sources_of(asset, rows, model_of(definition, cutoff))
        return [(step.kind, step.at) for step in evaluated_to(definition, sources, cuts)[0]]

    # above 9 of recipe A; of all readings it is 11
    for cuts in ([90], [40, 90], [60, 90]):
        assert steps(asset, alone, old, cuts) == [("raised", at(40))]
    # above 10 of recipe A, not above 11 of all readings
    for cuts in ([9], [4, 9]):
        assert [kind for kind, _ in steps(ASSET, both, before, cuts, -40)] == ["raised"]


pytestmark = pytest.mark.models

A_BEGINS = 2 * DAY + 2
B_BEGINS = 2 * DAY + 30
NOW = 2 * DAY + 80
INSTANT = timedelta(milliseconds=1)


@pytest.fixture(scope="module")
def line():
    """A platform and an episode: the force leaves the limit of recipe A, before the next recipe
    with a higher one begins."""
    extra = [
        (A_BEGINS, {"force": 10.0, "recipe": "A"}),
        *((2 * DAY + m, {"force": 11.5}) for m in range(4, 30, 2)),
    ]
    extra += [
        (B_BEGINS, {"force": 20.5, "recipe": "B"}),
        *((B_BEGINS + m, {"force": 20.5}) for m in range(2, 60, 2)),
    ]
    platform = running(extra=extra, clear_for="1h")
    train(platform, DOCUMENT["name"], at(2 * DAY))
    platform.clock.instant = at(NOW)
    evaluate(platform, None, at(NOW))
    [episode] = platform.episodes.find()
    return platform, episode


def test_a_learned_limit_is_drawn_in_steps_by_recipe_with_a_gap_before_the_first_estimate(line):
    platform, episode = line
    chart = chart_of(platform, episode, at(NOW))
    [panel] = chart.panels
    [limit] = panel.moving
    assert panel.levels == ()
    assert [from_millis(t) for t in limit.at.tolist()] == [
        chart.start,
        at(2 * DAY) + INSTANT,
        at(A_BEGINS),
        at(B_BEGINS),
    ]
    assert limit.values == pytest.approx([np.nan, 20.8, 10.8, 20.8], nan_ok=True)
    for minute in (2 * DAY + 1, 2 * DAY + 12, B_BEGINS + 2):
        step = int(np.searchsorted(limit.at, to_millis(at(minute)), side="right")) - 1
        assert why(platform, DOCUMENT["name"], "press-1", at(minute)).limit == limit.values[step]


def test_chart_and_report_say_the_lowest_and_highest_limit_and_for_how_long_there_was_none(line):
    platform, episode = line
    chart = chart_of(platform, episode, at(NOW))
    assert "limit 10.8 to 20.8 kN, not known for 54 min;" in describe(chart)
    [(path, label)] = chart_shape(chart, platform.zone)["panels"][0]["moving"]
    assert (path.count("M"), path.count("V")) == (1, 3)
    assert label.label == "limit 10.8 to 20.8 kN, not known for 54 min"
    assert "limit 10.8 to 20.8 kN" in draw_episode(platform, episode, at(NOW)).description
    page = make_report(platform, DOCUMENT["name"], at(2 * DAY), at(NOW), at(NOW)).page
    assert "limit 10.8 to 20.8 kN" in page


def test_a_model_that_cannot_be_read_is_said_and_the_limit_of_the_raise_is_drawn(line, monkeypatch):
    def unavailable(*_):
        raise ModelUnavailable("no limits")

    platform, episode = line
    monkeypatch.setattr("alerting.usecases.registry.registration.parse_model", unavailable)
    chart = chart_of(platform, episode, at(NOW))
    assert [level.label for level in chart.panels[0].levels] == ["limit at the raise"]
    assert chart.cut == "the limits in force are not drawn, for they cannot be read: no limits"
