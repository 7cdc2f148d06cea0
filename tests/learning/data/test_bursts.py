"""Problems in bursts: eight cloggings with sensor noise are many problems, and eight with what the
finding proposes."""

import numpy as np
import pytest

from alerting.definitions.assets import Variable
from alerting.definitions.model import Problem
from alerting.detection.problems import find_problems
from alerting.kinds.validation import parse_definition
from alerting.learning.data.bursts import find_bursts, longest_in_burst
from alerting.learning.data.dataset import build_dataset
from tests.builders import at, history, oven, too_moist

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


@pytest.mark.parametrize(("seed", "noise", "sign"), [(0, 4, 1), (0, 8, -1), (1, 6, 1), (2, 8, 1)])
def test_eight_noisy_cloggings_are_eight_problems_as_proposed(seed, noise, sign):
    data = [clogging(seed, noise, sign)]
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
