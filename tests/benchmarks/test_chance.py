"""Trainings on noise and on a weak signal, a part of `make bench NAME=chance`: ten of them."""

import json

import pytest

from benchmarks import chance

FIRST = chance.FIRST_SEED
pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]


@pytest.mark.night
def test_noise_is_not_promoted():
    results = [chance.training("noise", seed) for seed in range(6)]
    assert sum(result["promoted"] for result in results) <= 1
    assert sum(result["ap"] > result["bound"] for result in results) <= 1


@pytest.mark.parametrize("line", ["signal", "alone"])
@pytest.mark.night
def test_a_weak_signal_is_promoted(line):
    results = [chance.training(line, seed) for seed in (0, 4)]
    assert [result["promoted"] for result in results] == [True, True]


def test_a_signal_beyond_chance_is_promoted_though_few_later_problems_are_not_found():
    result = chance.training("signal", 20_000)
    assert (result["found"]["found"], result["found"]["problems"]) == (0, 4)
    assert result["ap"] > result["bound"]
    assert result["promoted"]


def test_a_run_that_was_stopped_goes_on_with_the_trainings_that_are_left(tmp_path, monkeypatch):
    monkeypatch.setenv("ALERTING_BENCH_KEPT", str(tmp_path))
    monkeypatch.setenv("ALERTING_BENCH_TRAININGS", "2")
    done = {"version": chance.version(), "promoted": False, "trials": 16, "ap": 0.2, "bound": 0.3}
    made = [
        {"line": line, "seed": seed, "seconds": 1.0, **done, "promoted": line != "noise"}
        for line, seed in [
            ("noise", FIRST),
            ("signal", FIRST),
            ("alone", FIRST),
            ("noise", FIRST + 1),
            ("signal", FIRST + 1),
        ]
    ]
    kept = tmp_path / "chance.jsonl"
    kept.write_text("".join(json.dumps(one) + "\n" for one in made) + '{"line": "alo')
    result = chance.run()
    lines = [json.loads(line) for line in kept.read_text().splitlines()[6:]]
    assert [(one["line"], one["seed"]) for one in lines] == [("alone", FIRST + 1)]
    assert result["promoted"]["noise"] == "0 of 2"
    assert result["promoted"]["signal"] == "2 of 2"
    assert result["intervals"]["noise"] == [0.0, 0.6576]


def test_goals_are_met_by_shares_not_by_counts():
    counts = {"noise": 5, "signal": 90, "alone": 100}
    one = {"trials": 16, "ap": 0.4, "bound": 0.3, "seconds": 1.0}
    results = [
        {"line": line, "promoted": number < promoted, **one}
        for line, promoted in counts.items()
        for number in range(200)
    ]
    assert chance.summarise(results)["met"]
    results[5]["promoted"] = True  # a sixth on noise
    assert not chance.summarise(results)["met"]
