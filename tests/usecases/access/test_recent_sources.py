"""The hash of the sources of a plan, asked for by every page and found once a second."""

from datetime import timedelta

import pytest

from alerting.usecases.access.visible import RecentSources
from tests.builders import at

pytestmark = pytest.mark.fast


class Plans:
    """Plans whose sources change each time they are looked at."""

    def __init__(self):
        self.looked = 0

    def source_hash(self, read_plan=False):
        self.looked += 1
        return str(self.looked)


def after(seconds):
    return at(0) + timedelta(seconds=seconds)


def test_the_hash_is_at_most_a_second_old_and_found_once_for_all_who_ask():
    plans = Plans()
    recent = RecentSources()
    found = [recent.find(plans, after(s)) for s in (0, 0.3, 0.9, 1, 1.9, 2)]
    assert found == ["1", "1", "1", "2", "2", "3"]


def test_the_hash_is_found_again_before_anyone_waits_for_it():
    plans = Plans()
    begun = []
    recent = RecentSources(begun.append)
    assert [recent.find(plans, after(s)) for s in (0, 0.4, 0.6, 0.7)] == ["1"] * 4
    [find_again] = begun  # once for both who asked
    find_again()
    assert [recent.find(plans, after(s)) for s in (0.8, 1.05)] == ["2", "2"]
    assert plans.looked == 2


def test_one_who_asks_waits_where_finding_it_again_has_not_ended():
    plans = Plans()
    recent = RecentSources(lambda _: None)
    assert [recent.find(plans, after(s)) for s in (0, 0.6, 1)] == ["1", "1", "2"]


def test_a_clock_that_was_set_back_hides_no_change():
    plans = Plans()
    recent = RecentSources()
    assert [recent.find(plans, after(s)) for s in (10, 5)] == ["1", "2"]
