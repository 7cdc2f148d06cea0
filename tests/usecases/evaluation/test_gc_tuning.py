import gc

import pytest

from alerting.usecases.evaluation.gc_tuning import collect_garbage_rarely

pytestmark = pytest.mark.fast


def test_garbage_is_looked_for_as_before_when_a_round_is_over_also_when_it_fails():
    before = gc.get_threshold()
    with pytest.raises(KeyError), collect_garbage_rarely():
        assert gc.get_threshold()[0] > before[0]
        raise KeyError
    assert gc.get_threshold() == before
    assert gc.isenabled()
