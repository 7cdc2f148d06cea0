"""Numbers of charts are written out: an operator reads no power of ten."""

import numpy as np
import pytest

from alerting.console.web.chart import chart_shape
from alerting.definitions.wording.language import LANGUAGES, language
from alerting.reporting.figures.episode_chart import ChartLevel, Panel, episode_chart
from tests.builders import at
from tests.helpers.console.api import episode

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("size", [101325.0, 3e6, 2e-5])
def test_axes_and_limits_of_a_chart_have_no_power_of_ten(code, size):
    times = np.arange(10, dtype=np.int64) * 60_000 + int(at(0).timestamp() * 1000)
    panel = Panel("p", "Pa", times, size * np.linspace(0.8, 1.2, 10), (ChartLevel(size, "limit"),))
    found = episode_chart(episode(1), [panel], at(0), at(10), at(1) - at(0))
    (shape,) = chart_shape(found, at(0).tzinfo, language(code))["panels"]
    texts = [spot.label for spot in (*shape["grid"], *shape["levels"])]
    assert len(texts) > 2
    assert not any("e+" in text or "e-" in text for text in texts)
