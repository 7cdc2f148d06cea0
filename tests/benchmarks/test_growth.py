"""Exponents of growth, and the space that the year of a plant asks for."""

import pytest

from benchmarks.growth.growth import exponents_of
from benchmarks.growth.year import run


def test_the_exponent_is_that_of_the_power_by_which_a_cost_grows():
    squares = [(size, 0.001 * size**2) for size in (100, 300, 1_000, 3_000)]
    assert exponents_of(squares) == {"all": 2.0, "largest": 2.0}
    constant = [(size, 3.0) for size in (100, 300, 1_000, 3_000)]
    assert exponents_of(constant) == {"all": 0.0, "largest": 0.0}


def test_growth_that_fixed_costs_hide_shows_between_the_largest_sizes():
    found = exponents_of([(size, 100 + 0.001 * size**2) for size in (10, 100, 1_000, 10_000)])
    assert found["all"] < 1.1 < found["largest"]


def test_a_year_is_refused_without_room_before_it_starts():
    with pytest.raises(SystemExit, match=r"GB of free disk are needed.*YEAR_SHARE"):
        run(share=1e6)
