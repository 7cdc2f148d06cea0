"""Trainings on noise and on a weak signal, a part of `make bench NAME=chance`: ten of them."""

import pytest

from benchmarks import chance

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]


@pytest.mark.night
def test_noise_is_not_promoted_and_a_weak_signal_is():
    noise = [chance.training("noise", seed) for seed in range(6)]
    assert sum(result["promoted"] for result in noise) <= 1
    assert sum(result["ap"] > result["bound"] for result in noise) <= 1
    found = {
        (line, seed): chance.training(line, seed) for line in ("signal", "alone") for seed in (0, 4)
    }
    assert [row for row, result in found.items() if not result["promoted"]] == []


def test_a_signal_beyond_chance_waits_for_a_person_if_it_finds_none_of_few_later_problems():
    result = chance.training("signal", 20_000)
    assert (result["found"]["found"], result["found"]["problems"]) == (0, 4)
    assert result["ap"] > result["bound"]
    assert not result["promoted"]
