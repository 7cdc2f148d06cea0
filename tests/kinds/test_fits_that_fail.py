"""An asset whose fit raises an exception is left out with its reason; without any other the
training is refused."""

import numpy as np
import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.faults import TrainingRefused
from alerting.kinds.anomaly import training as anomaly
from alerting.kinds.control_chart import training as chart
from alerting.kinds.registry import estimation_of, parse_definition
from alerting.kinds.threshold import training as limits
from alerting.kinds.training_protocol import LearningData, NormalTime
from tests.builders import at, history
from tests.helpers.long_history import in_memory

pytestmark = pytest.mark.models
LEARNED = {"variable": "force", "above": {"learned": {"quantile": 0.9}}}
REASON = "its fit failed: ValueError: array must not contain infs or NaNs"
READINGS = 3_000


def press(number):
    asset = Asset(name=f"press-{number}", variables={"force": Variable()})
    random = np.random.default_rng(number)
    force = random.normal(200, 1, READINGS)
    return in_memory(history(range(1, READINGS + 1), asset, force=force))


@pytest.mark.parametrize(
    ("document", "module", "name", "lacks"),
    [
        ({"kind": "control_chart", "variable": "force"}, chart, "estimate", "it has no limits"),
        ({"kind": "threshold", **LEARNED}, limits, "estimate_limits", "it has no limits"),
        ({"kind": "anomaly", "windows": ["10m"]}, anomaly, "find_threshold", "it has no model"),
    ],
)
def test_an_asset_whose_fit_fails_is_left_out_and_alone_refuses(
    monkeypatch, document, module, name, lacks
):
    def fail_first(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise ValueError("array must not contain infs or NaNs")
        return fit(*arguments)

    calls = []
    fit = getattr(module, name)
    monkeypatch.setattr(module, name, fail_first)
    definition = parse_definition({"name": "x", "assets": ["press-*"], **document})
    [family] = definition.families
    period = NormalTime(at(0), at(READINGS), at(READINGS))

    def estimate(*presses):
        data = LearningData([press(number) for number in presses], {}, period)
        return estimation_of(definition).estimate(definition, 1, family, data)

    found = estimate(1, 2)
    assert list(found.model.by_asset) == ["press-2"]
    assert f"press-1: {REASON}; {lacks}" in found.notes
    calls.clear()
    with pytest.raises(TrainingRefused, match=f"press-1: {REASON}"):
        estimate(1)
