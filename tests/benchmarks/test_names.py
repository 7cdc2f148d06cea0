"""Every benchmark that `make bench` names is there and can be started."""

import pytest

from benchmarks.run import load, names

pytestmark = pytest.mark.models


@pytest.mark.parametrize("name", names())
def test_a_benchmark_that_is_named_can_be_imported(name):
    assert callable(load(name).run)
