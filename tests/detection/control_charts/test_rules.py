"""Rules of a Shewhart chart, each on a series that it is about, and on one that is just not."""

import pytest

from alerting.detection.control_charts.rules import RULES, violated

pytestmark = pytest.mark.fast

SIGNALS = {
    "western_electric_1": [0.2, 3.1],
    "western_electric_2": [2.1, 0.0, 2.3],
    "western_electric_3": [1.2, 1.1, -0.4, 1.6, 1.3],
    "western_electric_4": [0.1] * 8,
    "nelson_1": [-3.01],
    "nelson_2": [-0.1] * 9,
    "nelson_3": [0.1, 0.2, 0.4, 0.5, 0.7, 0.8],
    "nelson_4": [0.5, -0.5] * 7,
    "nelson_5": [-2.1, -2.2, 0.0, -2.4],
    "nelson_6": [-1.2, -1.1, -1.6, 0.3, -1.3],
    "nelson_7": [0.9, -0.9, 0.2] * 5,
    "nelson_8": [1.1, -1.2] * 4,
}
SILENT = {
    "western_electric_1": [3.1, 0.2],
    "western_electric_2": [2.1, 2.3, 0.0],  # the last point is not among them
    "western_electric_3": [1.2, 1.1, 0.4, 0.6, 1.3],
    "western_electric_4": [0.1] * 7 + [-0.1],
    "nelson_1": [-2.99],
    "nelson_2": [-0.1] * 8,
    "nelson_3": [0.1, 0.2, 0.4, 0.4, 0.7, 0.8],
    "nelson_4": [0.5, -0.5] * 6 + [0.5, 0.6],
    "nelson_5": [2.1, 0.0, -2.4],
    "nelson_6": [-1.2, 1.1, -1.6, 0.3, -1.3],
    "nelson_7": [0.9, -0.9, 0.2] * 4 + [0.9, -1.1, 0.2],
    "nelson_8": [1.1, -1.2] * 3 + [0.9, -1.2],
}


def test_each_rule_has_a_series():
    assert SIGNALS.keys() == SILENT.keys() == RULES.keys()


@pytest.mark.parametrize("name", SIGNALS)
def test_a_rule_signals_on_its_series_only(name):
    assert violated([name], SIGNALS[name], 1.0) == (name,)
    assert violated([name], SILENT[name], 1.0) == ()


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.has_limit])
def test_wider_zones_signal_less(name):
    assert violated([name], SIGNALS[name], 2.0) == ()
