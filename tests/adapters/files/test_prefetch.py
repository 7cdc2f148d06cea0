import threading

import pytest

from alerting.adapters.files.prefetch import prefetch

pytestmark = pytest.mark.fast


def test_batches_come_in_order_and_the_next_one_is_made_meanwhile():
    second = threading.Event()

    def batches():
        yield [1]
        second.set()
        yield [2]

    found = prefetch(batches())
    assert next(found) == [1]
    assert second.wait(600)
    assert list(found) == [[2]]


def test_a_fault_is_raised_after_the_batches_before_it():
    def batches():
        yield [1]
        raise ValueError("bad")

    found = prefetch(batches())
    assert next(found) == [1]
    with pytest.raises(ValueError, match="bad"):
        next(found)


def test_stopping_early_leaves_no_thread_behind():
    before = threading.active_count()
    found = prefetch(iter([[1], [2], [3]]))
    next(found)
    found.close()
    assert threading.active_count() == before
