"""Buckets of samples: the same however they are cut, and true to the samples."""

import itertools
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import Asset, Variable
from alerting.readings.buckets import (
    MINUTE,
    find_bad,
    find_gaps,
    gap_limit,
    join_buckets,
    merge_buckets,
    sample_buckets,
)

OVEN = Asset(name="oven-1", variables={"t": Variable(low=0, high=300)})
VALUES = st.one_of(
    st.floats(0, 300), st.sampled_from([math.nan, math.inf, -1.0, 301.0]), st.just(7.0)
)
SAMPLES = st.lists(
    st.tuples(st.integers(0, 20 * MINUTE), VALUES, st.booleans()),
    max_size=60,
    unique_by=lambda sample: sample[0],
).map(sorted)


def buckets_of(samples):
    """Return samples (ms, value, whether of bad quality) as buckets; a bad one has no value."""
    ts = np.array([at for at, _, _ in samples], np.int64)
    values = np.array([math.nan if bad else value for _, value, bad in samples], np.float64)
    bad = np.array([at for at, _, bad in samples if bad], np.int64)
    return sample_buckets(OVEN, "t", ts, values, bad)


def plain(samples, width):
    """Return what each bucket must hold, sample by sample."""
    found = {}
    for at, value, bad in samples:
        if bad or not math.isnan(value):
            found.setdefault(at // width * width, []).append((at, value, bad))
    made = {}
    for start, inside in found.items():
        good = [(at, v) for at, v, bad in inside if not bad and math.isfinite(v) and 0 <= v <= 300]
        stamps = [at for at, _ in good]
        gaps = [(b - a, -a) for a, b in itertools.pairwise(stamps)]
        longest = max(gaps, default=(0, 0))
        made[start] = {
            "count": len(good),
            "bad": len(inside) - len(good),
            "low": min((v for _, v in good), default=None),
            "high": max((v for _, v in good), default=None),
            "total": math.fsum(v for _, v in good),
            "first": stamps[0] if stamps else None,
            "last": stamps[-1] if stamps else None,
            "gap": longest[0],
            "gap_start": -longest[1] if longest[0] else 0,
        }
    return made


def written_out(buckets):
    made = {}
    for n, start in enumerate(buckets.start.tolist()):
        one = {
            name: getattr(buckets, name)[n].item()
            for name in ("count", "bad", "low", "high", "total", "first", "last", "gap")
        }
        one["gap_start"] = buckets.gap_start[n].item()
        if not one["count"]:
            assert math.isnan(one["low"])
            assert math.isnan(one["high"])
            one |= dict.fromkeys(("low", "high", "first", "last"))
        made[start] = one
    return made


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for start, one in wanted.items():
        assert math.isclose(found[start].pop("total"), one.pop("total"), rel_tol=1e-12, abs_tol=0)
        assert found[start] == one


@given(SAMPLES, st.sampled_from([1, 7_000, MINUTE, 3 * MINUTE, 60 * MINUTE]))
def test_buckets_hold_what_the_samples_in_them_say(samples, width):
    assert_same(written_out(merge_buckets(buckets_of(samples), width)), plain(samples, width))


@given(SAMPLES, st.integers(0, 20 * MINUTE))
def test_buckets_are_the_same_however_they_were_made(samples, cut):
    """Wide ones of narrow ones, and of two pieces that were bucketed apart."""
    whole = merge_buckets(buckets_of(samples), 10 * MINUTE)
    edge = cut // MINUTE * MINUTE
    pieces = [
        merge_buckets(buckets_of([s for s in samples if (s[0] < edge) == early]), MINUTE)
        for early in (True, False)
    ]
    assert_same(written_out(merge_buckets(join_buckets(pieces), 10 * MINUTE)), written_out(whole))


@settings(max_examples=50)
@given(SAMPLES, st.integers(1_000, 5 * MINUTE))
def test_no_gap_between_samples_stays_unseen(samples, limit):
    end = 21 * MINUTE
    good = buckets_of(samples).has_good().first.tolist()
    edges = [0, *good, end]
    wanted = [[a, b] for a, b in itertools.pairwise(edges) if b - a > limit or not good]
    assert find_gaps(buckets_of(samples), 0, end, limit).tolist() == wanted
    seen = find_gaps(merge_buckets(buckets_of(samples), MINUTE), 0, end, limit).tolist()
    assert all(gap in wanted for gap in seen)
    assert [gap for gap in wanted if gap[1] - gap[0] > 2 * MINUTE] == [
        gap for gap in seen if gap[1] - gap[0] > 2 * MINUTE
    ]


def test_a_gap_is_ten_times_the_usual_time_between_two_samples():
    samples = [(at * 1000, 1.0, False) for at in range(600)]
    assert gap_limit(buckets_of(samples), None) == 10_000
    assert gap_limit(merge_buckets(buckets_of(samples), MINUTE), None) == 10_000
    assert gap_limit(buckets_of(samples[::200]), None) == 2_000_000
    assert gap_limit(buckets_of(samples[:1]), None) is None
    assert gap_limit(buckets_of(samples), 60_000) == 600_000


def test_a_bad_sample_is_bad_until_the_next_good_one():
    samples = [(0, 1.0, False), (1000, 1.0, True), (2000, -5.0, False), (3000, 2.0, False)]
    samples.append((9000, 2.0, True))
    assert find_bad(buckets_of(samples), 0, 12_000).tolist() == [[1000, 3000], [9000, 12_000]]
    minutes = merge_buckets(buckets_of(samples), MINUTE)
    assert find_bad(minutes, MINUTE, 12_000).tolist() == [[0, MINUTE]]
