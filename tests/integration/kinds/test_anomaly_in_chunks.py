"""Live in any chunks gives what one batch gives, bit for bit, for any readings and detector; no later reading changes a score."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.assets import Asset, Variable
from alerting.definitions.revisions import next_revision
from alerting.detection.anomalies.fitting import TRIED, Setting, fit_detector
from alerting.detection.anomalies.normal_space import NormalSpace
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import ConditionTable
from alerting.kinds.anomaly.kind import KIND
from alerting.kinds.anomaly.model import AnomalyModel, FittedDetector, from_files, to_files
from alerting.kinds.evaluation import Sources, TargetEvaluation, VersionInterval
from alerting.kinds.shared_inputs import SharedInputs
from alerting.kinds.validation import parse_definition
from alerting.learning.features.plan import FeaturePlan, NumberSource
from alerting.ports import ReadingRow
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at
from tests.pretended import pretended_platform

ASSET = Asset(name="fan-1", variables={name: Variable(low=-50, high=50) for name in "abc"})
PLAN = FeaturePlan(60_000, (180_000,), ("mean", "std"), tuple(NumberSource(name, 60_000) for name in "abc"))
FAMILIES = {setting.family: setting for setting in TRIED}
READINGS = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 1, 2, 9]), st.lists(st.one_of(st.floats(-6, 6), st.just(999.0), st.none()), min_size=3, max_size=3)
    ),
    min_size=5,
    max_size=40,
)
DOCUMENT = {
    "name": "x",
    "kind": "anomaly",
    "assets": ["fan-1"],
    "for": "90s",
    "clear_for": "2m",
    "severity": "low",
    "escalation": [{"severity": "medium", "score": 1.5}, {"severity": "high", "share": 0.5, "over": "4m"}],
}


@cache
def model_with(family):
    random = np.random.default_rng(1)
    load = random.normal(size=(400, 1))
    matrix = np.hstack([load + 0.2 * random.normal(size=(400, 3)), 0.3 + 0.05 * np.abs(random.normal(size=(400, 3)))])
    matrix = matrix[:, [0, 3, 1, 4, 2, 5]]
    space = NormalSpace.fit(matrix)
    rows = space.encode(matrix)
    params = {"trees": 10} if family == "isolation_forest" else FAMILIES[family].params
    detector = fit_detector(Setting(family, params), rows, 0)
    usual, limit = np.quantile(detector.score(rows), [0.5, 0.99])
    fitted = FittedDetector(PLAN, space, detector, float(usual), float(limit), 1.0, 1.0, ())
    return from_files(to_files(AnomalyModel("detector", 1, at(3), {"fan-1": fitted})))


def evaluated(family, readings, cuts):
    """Evaluate to each cut; the state goes through the table that is stored."""
    platform = pretended_platform()
    platform.assets.put([ASSET])
    minutes = np.cumsum([gap for gap, _ in readings]).tolist()
    values = [dict(zip("abc", row, strict=True)) for _, row in readings]
    rows = [
        ReadingRow("fan-1", at(m), {name: value for name, value in row.items() if value is not None})
        for m, row in zip(minutes, values, strict=True)
    ]
    add_readings(platform, [row for row in rows if row.values], at(0))
    definition = parse_definition(DOCUMENT)
    model = model_with(family)
    revision, state = next_revision(definition, None, "a", at(0), "r"), ConditionState(watermark=at(0))
    steps, scores, raises, unknown = [], [], {}, None
    for until in cuts:
        if at(until) <= state.watermark:
            continue
        sources = Sources(platform, SimpleNamespace(get=lambda *_: model), ASSET, None, SharedInputs(platform.readings))
        part = VersionInterval(state.watermark, at(until), revision, 1)
        found = KIND.evaluate(definition, sources, part, TargetEvaluation(state))
        assert found.unreadable is None
        table = ConditionTable([("x", "fan-1")])
        table.put(0, found.state)
        state, unknown = table.state(0), found.unknown
        steps += [step for step, _ in found.steps]
        for part_scores in found.scores:
            scores += [
                (instant, score.hex()) for instant, score in zip(part_scores.at.tolist(), part_scores.score.tolist(), strict=True)
            ]
        raises |= {t: r.content for t, r in found.raises.items()}
    return steps, scores, raises, state, unknown


@pytest.mark.parametrize("family", sorted(FAMILIES))
@settings(max_examples=15, deadline=None)
@given(readings=READINGS, cuts=st.lists(st.floats(0.5, 200), max_size=8))
def test_live_in_any_chunks_gives_the_same_bits_as_one_batch(family, readings, cuts):
    end = sum(gap for gap, _ in readings) + 10.0
    assert evaluated(family, readings, [*sorted(c for c in cuts if c < end), end]) == evaluated(family, readings, [end])


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_no_later_reading_changes_what_was_evaluated(family):
    random = np.random.default_rng(5)
    readings = [(1, list(random.normal(0, 3, 3))) for _ in range(30)]
    other = [*readings[:20], *((1, [40.0, -40.0, 40.0]) for _ in range(10))]
    assert evaluated(family, readings, [20])[:3] == evaluated(family, other, [20])[:3]
