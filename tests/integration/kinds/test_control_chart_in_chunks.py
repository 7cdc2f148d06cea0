"""Live in any chunks gives what one batch gives, bit for bit, for any readings and chart."""

from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.assets import Asset, Variable
from alerting.definitions.revisions import next_revision
from alerting.detection.carried import Carried
from alerting.detection.control_charts.chart import Chart
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import ConditionTable
from alerting.kinds.control_chart.kind import KIND
from alerting.kinds.control_chart.model import ControlChartModel, FittedChart, from_files, to_files
from alerting.kinds.evaluation import Sources, TargetEvaluation, VersionInterval
from alerting.kinds.validation import parse_definition
from alerting.ports import ReadingRow
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at
from tests.pretended import pretended_platform

ASSET = Asset(name="press-1", variables={"force": Variable(unit="kN", low=0, high=100)})
CHARTS = {
    "ewma": Chart("ewma", 10, 1, 1.5, smoothing=0.3),
    "ewma of residuals": Chart("ewma", 10, 1, 1.5, (0.4, 0.2), smoothing=0.3),
    "cusum": Chart("cusum", 10, 1, 1.5, allowance=0.5),
    "shewhart": Chart("shewhart", 10, 1, 0.6, rules=("western_electric_2", "western_electric_4", "nelson_3", "nelson_4")),
    "subgroups": Chart("shewhart", 10, 1, 0.5, rules=("nelson_1",), subgroup=3, spread=(0.1, 1.5)),
}
READINGS = st.lists(
    st.tuples(st.sampled_from([1, 1, 1, 2, 7]), st.one_of(st.floats(7, 13), st.just(999.0))), min_size=5, max_size=60
)


class Result(SimpleNamespace):
    """Episodes and condition that an evaluation leaves."""


def evaluated(chart, readings, cuts):
    """Evaluate to each cut; the state goes through the table that is stored."""
    platform = pretended_platform()
    platform.assets.put([ASSET])
    minutes = np.cumsum([gap for gap, _ in readings]).tolist()
    add_readings(
        platform, [ReadingRow("press-1", at(m), {"force": v}) for m, (_, v) in zip(minutes, readings, strict=True)], at(0)
    )
    definition = parse_definition(
        {"name": "x", "kind": "control_chart", "assets": ["press-1"], "variable": "force", "clear_for": "2m", "stale_after": "5m"}
    )
    fitted = FittedChart(chart, 60_000, 370, 1.0, 100, 0, ())
    model = from_files(to_files(ControlChartModel("x", 1, at(3), {"press-1": fitted})))
    sources = Sources(platform, SimpleNamespace(get=lambda *_: model), ASSET, None, None)
    revision, state, found = next_revision(definition, None, "a", at(0), "r"), ConditionState(watermark=at(0)), []
    steps, scores, raises = [], [], {}
    for until in cuts:
        if at(until) <= state.watermark:
            continue
        part = VersionInterval(state.watermark, at(until), revision, 1)
        found = KIND.evaluate(definition, sources, part, TargetEvaluation(state))
        table = ConditionTable([("x", "press-1")])
        table.put(0, found.state)
        state = table.state(0)
        steps += [step for step, _ in found.steps]
        scores += [*zip(found.scores[-1].at.tolist(), found.scores[-1].score.tolist(), strict=True)] if found.scores else []
        raises |= {t: r.content for t, r in found.raises.items()}
    return steps, scores, raises, state, found.unknown


@pytest.mark.parametrize("name", CHARTS)
@settings(max_examples=40, deadline=timedelta(seconds=5))
@given(readings=READINGS, cuts=st.lists(st.floats(0.5, 200), max_size=8))
def test_live_in_any_chunks_gives_the_same_bits_as_one_batch(name, readings, cuts):
    end = sum(gap for gap, _ in readings) + 10.0
    assert evaluated(CHARTS[name], readings, [*sorted(c for c in cuts if c < end), end]) == evaluated(
        CHARTS[name], readings, [end]
    )


def test_a_stored_state_that_cannot_be_read_stops_its_own_target_alone():
    platform = pretended_platform()
    platform.assets.put([ASSET])
    fitted = FittedChart(CHARTS["ewma"], 60_000, 370, 1.0, 100, 0, ())
    model = ControlChartModel("x", 1, at(3), {"press-1": fitted})
    definition = parse_definition({"name": "x", "kind": "control_chart", "assets": ["press-1"], "variable": "force"})
    sources = Sources(platform, SimpleNamespace(get=lambda *_: model), ASSET, None, None)
    state = ConditionState(watermark=at(5), carried=Carried("force", at(5), 10.0, memory=(1.0, 0.0, 3.0)))
    part = VersionInterval(at(5), at(9), next_revision(definition, None, "a", at(0), "r"), 1)
    found = KIND.evaluate(definition, sources, part, TargetEvaluation(state))
    assert (found.state, found.steps) == (state, [])
    assert found.unreadable.startswith("force cannot be charted: ")
