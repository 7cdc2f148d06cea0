"""Live in any chunks gives what one batch gives, bit for bit, for any readings and chart."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.assets import Asset, Variable
from alerting.detection.carried import Carried
from alerting.detection.control_charts.chart import Chart
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.control_chart.model import ControlChartModel, FittedChart, from_files, to_files
from alerting.kinds.validation import parse_definition
from alerting.ports import ReadingRow
from tests.builders import at
from tests.helpers.kind_in_chunks import evaluate_part, evaluated_to, sources_of

ASSET = Asset(name="press-1", variables={"force": Variable(unit="kN", low=0, high=100)})
CHARTS = {
    "ewma": Chart("ewma", 10, 1, 1.5, smoothing=0.3),
    "ewma of residuals": Chart("ewma", 10, 1, 1.5, (0.4, 0.2), smoothing=0.3),
    "cusum": Chart("cusum", 10, 1, 1.5, allowance=0.5),
    "shewhart": Chart(
        "shewhart",
        10,
        1,
        0.6,
        rules=("western_electric_2", "western_electric_4", "nelson_3", "nelson_4"),
    ),
    "subgroups": Chart("shewhart", 10, 1, 0.5, rules=("nelson_1",), subgroup=3, spread=(0.1, 1.5)),
}
DEFINITION = parse_definition(
    {
        "name": "x",
        "kind": "control_chart",
        "assets": ["press-1"],
        "variable": "force",
        "clear_for": "2m",
        "stale_after": "5m",
    }
)
READINGS = st.lists(
    st.tuples(st.sampled_from([1, 1, 1, 2, 7]), st.one_of(st.floats(7, 13), st.just(999.0))),
    min_size=5,
    max_size=60,
)


def model_of(chart):
    fitted = FittedChart(chart, 60_000, 370, 1.0, 100, 0, ())
    return from_files(to_files(ControlChartModel("x", 1, at(3), {"press-1": fitted})))


def evaluated_in_chunks(chart, readings, cuts):
    """Evaluate to each cut; the state goes through the table that is stored."""
    minutes = np.cumsum([gap for gap, _ in readings]).tolist()
    rows = [
        ReadingRow("press-1", at(m), {"force": v})
        for m, (_, v) in zip(minutes, readings, strict=True)
    ]
    return evaluated_to(DEFINITION, sources_of(ASSET, rows, model_of(chart)), cuts)


@pytest.mark.parametrize("name", CHARTS)
@settings(max_examples=40, deadline=timedelta(seconds=5))
@given(readings=READINGS, cuts=st.lists(st.floats(0.5, 200), max_size=8))
def test_live_in_any_chunks_gives_the_same_bits_as_one_batch(name, readings, cuts):
    end = sum(gap for gap, _ in readings) + 10.0
    assert evaluated_in_chunks(
        CHARTS[name], readings, [*sorted(c for c in cuts if c < end), end]
    ) == evaluated_in_chunks(CHARTS[name], readings, [end])


def test_a_stored_state_that_cannot_be_read_stops_its_own_target_alone():
    state = ConditionState(
        watermark=at(5), carried=Carried("force", at(5), 10.0, memory=(1.0, 0.0, 3.0))
    )
    found = evaluate_part(DEFINITION, sources_of(ASSET, [], model_of(CHARTS["ewma"]))(), state, 9)
    assert (found.state, found.steps) == (state, [])
    assert found.unreadable.startswith("force cannot be charted: ")
