"""Problems that are reported beside the figures of a challenger."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from alerting.learning.selection.challenger import find_problems_in_recovery
from tests.small_models import dataset

pytestmark = pytest.mark.models
MINUTE = 60_000


def test_problems_in_recovery_are_those_that_a_row_of_the_test_part_is_asked_about():
    made = dataset()
    rows = made.at[made.part == "test"]
    first = int(rows.min()) + 10 * MINUTE
    last = int(rows.max()) + 10 * MINUTE + made.horizon_ms
    starts = [first, first + 1, last, last + 1, last - MINUTE]
    problems = pd.DataFrame(
        {
            "asset": ["a", "b", "c", "d", "counts"],
            "start": pd.to_datetime(starts, unit="ms", utc=True),
            "uncounted": [True, True, True, True, False],
        }
    )
    asked = replace(made, gap_ms=10 * MINUTE, problems=problems)
    assert [asset for asset, _ in find_problems_in_recovery(asked)] == ["b", "c"]
    untested = replace(asked, part=np.where(made.part == "test", "purged", made.part))
    assert find_problems_in_recovery(untested) == []
