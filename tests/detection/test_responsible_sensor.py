"""The sensor that leaves its relation to the others is ranked first, by every detector."""

import numpy as np
import pytest

from alerting.detection.anomalies.normal_space import NormalSpace
from alerting.kinds.anomaly.contributions import responsible
from alerting.kinds.anomaly.model import FittedDetector
from alerting.learning.features.plan import FeaturePlan, NumberSource
from tests.helpers.former_detectors import former_detector

NAMES = "abcdef"
PLAN = FeaturePlan(
    60_000, (600_000,), ("mean",), tuple(NumberSource(name, 60_000) for name in NAMES)
)


def matrix(seed, rows):
    random = np.random.default_rng(seed)
    load = random.normal(size=(rows, 2))
    follows = np.array([[1, 0], [2, 0], [-1, 0.2], [0, 1], [0, 3], [1, 1]])
    return 50 + load @ follows.T + 0.15 * random.normal(size=(rows, len(NAMES)))


def fitted(family):
    normal = matrix(0, 1_000)
    space = NormalSpace.fit(normal)
    detector = former_detector(family, space.encode(normal))
    usual, limit = np.quantile(detector.score(space.encode(normal)), [0.5, 0.99])
    return FittedDetector(PLAN, space, detector, float(usual), float(limit), 1.0, 1.0, ())


@pytest.mark.parametrize(
    ("family", "least"), [("pca", 0.9), ("nearest_neighbours", 0.8), ("local_outliers", 0.8)]
)
def test_the_sensor_with_an_injected_fault_is_ranked_first(family, least):
    model = fitted(family)
    random = np.random.default_rng(7)
    first = 0
    for number, row in enumerate(matrix(3, 60)):
        broken = number % len(NAMES)
        row[broken] += float(random.choice([-1, 1])) * 3 * model.space.scale[broken]
        first += responsible(model, row)[0].variable == NAMES[broken]
    assert first / 60 >= least
