"""Every benchmark that `make bench` names is there and can be started."""

from importlib import import_module

import pytest

from benchmarks.run import names

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", names())
def test_a_benchmark_that_is_named_can_be_imported(name):
    assert callable(import_module(f"benchmarks.{name}").run)
