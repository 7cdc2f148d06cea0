"""Changes of a unit within a history: what is one, what a process does by itself, and from a sample
of a file that comes in pieces."""

import numpy as np
import pytest

from alerting.readings.unit_changes import ThinnedRows, find_unit_change

pytestmark = pytest.mark.fast

N = 40 * 288
STEP = np.arange(N)
AT = STEP * 300_000 + 1_790_000_000_000
LATER = STEP > 0.7 * N
SINCE = int(AT[np.argmax(LATER)])
RANDOM = np.random.default_rng(5)
SOUND = RANDOM.normal(100, 10, N)
RUNS = np.where(STEP // 60 % 3, SOUND, 2 + RANDOM.random(N))
# values before and after, and the factor between them
UNITS = {
    "kW, then W": (SOUND, 1000),
    "Pa, then bar": (SOUND, 1e-5),
    "l/min, then l/h": (SOUND, 60),
    "km/h, then m/s": (SOUND, 1 / 3.6),
    "h, then s": (SOUND, 3600),
    "about zero": (SOUND - 100, 100),
    "a load that stops at times": (np.where(STEP // 60 % 3, SOUND, 0), 10),
    "a load that idles at times": (RUNS, 1000),
    "back to the first unit": (np.where(STEP > N / 3, 1000 * SOUND, SOUND), 0.001),
    "a daily course": (SOUND + 40 * np.sin(STEP / 288 * 6.283), 0.001),
}
PROCESSES = {
    "another level": np.where(LATER, SOUND + 900, SOUND),
    "another set-point": np.where(LATER, 10.0, 1.0),
    "a stop": np.where(LATER, np.abs(SOUND - 50) / 100, SOUND),
    "two products": np.where(STEP // 2016 % 2, SOUND, 10 * SOUND),
    "a ramp": SOUND * 10 ** np.clip((STEP / N - 0.3) * 3, 0, 1),
    "a counter": STEP * 0.5 + SOUND,
    "no factor of a unit": np.where(LATER, 5 * SOUND, SOUND),
    "a constant": np.full(N, 7.0),
    "zero": np.zeros(N),
    "missing": np.full(N, np.nan),
}


def test_another_unit_is_found_by_its_factor_and_a_process_is_none():
    for what, (values, factor) in UNITS.items():
        change = find_unit_change(AT[::-1], np.where(LATER, factor * values, values)[::-1])
        assert change is not None, what
        assert change.factor == pytest.approx(factor), what
        assert abs(change.since - SINCE) <= 86_400_000, what
    found = {what: find_unit_change(AT, values) for what, values in PROCESSES.items()}
    assert found == dict.fromkeys(PROCESSES)
    assert find_unit_change(AT[:0], SOUND[:0]) is None


def test_a_sample_is_even_and_tells_assets_apart():
    sample = ThinnedRows()
    assets = np.where(STEP % 2, "a", "b").astype(object)
    values = np.column_stack([SOUND, np.where(LATER & (STEP % 2 == 1), 1000 * SOUND, SOUND)])
    for start in range(0, N, 5_001):
        rows = sample.choose(len(STEP[start : start + 5_001]), 2) + start
        sample.add(assets[rows], AT[rows], values[rows])
    ((asset, column, change),) = sample.find_changes()
    assert (asset, column) == ("a", 1)
    assert change.describe("load") == (
        "load is 1,000 times as high from 2026-10-19 on (another unit?)"
    )
    assert change._replace(factor=1 / 3.6).describe("x").startswith("x is 1/3.6 of what it was")
