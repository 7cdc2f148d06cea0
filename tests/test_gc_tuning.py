import gc

import pytest

from alerting.gc_tuning import collect_garbage_rarely

pytestmark = pytest.mark.fast


def test_garbage_is_looked_for_as_before_when_a_round_is_over_also_when_it_fails():
    before = gc.get_threshold()
    with pytest.raises(KeyError), collect_garbage_rarely():
        assert gc.get_threshold()[0] > before[0]
        raise KeyError
    assert gc.get_threshold() == before
    assert gc.isenabled()


def test_rounds_of_two_threads_that_overlap_leave_the_threshold_as_it_was():
    before = gc.get_threshold()
    first = collect_garbage_rarely()
    second = collect_garbage_rarely()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold()[0] > before[0]
    second.__exit__(None, None, None)
    assert gc.get_threshold() == before
