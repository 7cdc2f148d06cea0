"""Evaluation of thresholds against an oracle that was written from the documentation alone, in
thousands of random cases.

`THRESHOLD_CASES=20000 THRESHOLD_SEED=7` runs more of them, or others; `make oracle CASES=20000
SEED=7` does so.
"""

import os
from datetime import timedelta
from random import Random

import pytest

from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import T0
from tests.in_memory_platform import in_memory_platform
from tests.threshold_cases import BAD, random_batch
from tests.threshold_oracle import Oracle, Sample, decimal

CASES = int(os.environ.get("THRESHOLD_CASES", "1500"))
SEED = int(os.environ.get("THRESHOLD_SEED", "7"))
AT_ONCE = 50
KINDS = ("raised", "severity", "closed")


def instant(ms):
    return T0 + timedelta(milliseconds=ms)


def ms(when):
    return None if when is None else round((when - T0) / timedelta(milliseconds=1))


class Plant:
    """A platform on which all cases of a batch are in service from the same instant on."""

    def __init__(self, batch):
        self.cases = batch.cases
        self.fed = None
        self.platform = in_memory_platform()
        self.platform.assets.store_assets([case.asset for case in batch.cases])
        apply(
            self.platform, [case.document for case in batch.cases], "engineer", instant(0), "test"
        )

    def evaluate(self, cut):
        arrived = [(case, d) for case in self.cases for d in case.deliveries if self.is_new(d, cut)]
        rows = [row_of(case, d, float(place)) for place, (case, d) in enumerate(arrived)]
        add_readings(self.platform, rows, instant(cut))
        self.fed = cut
        self.platform.clock.instant = instant(cut)
        evaluate(self.platform, None, instant(cut))

    def is_new(self, delivery, cut):
        return delivery.arrives <= cut and (self.fed is None or delivery.arrives > self.fed)

    def episodes(self):
        found = {case.document["name"]: [] for case in self.cases}
        for episode in self.platform.episodes.find(limit=100_000):
            if not episode.withdrawn:
                found[episode.definition].append(episode)
        return {
            name: sorted(episodes, key=lambda e: e.condition_started_at or e.raised_at)
            for name, episodes in found.items()
        }


def row_of(case, delivery, other):
    """The sample with one of another variable of the same instant."""
    quality = (
        {"x": "bad"}
        if delivery.value is BAD
        else {"x": "uncertain"}
        if delivery.is_uncertain
        else {}
    )
    values = {"other": other} | ({} if delivery.value is BAD else {"x": delivery.value})
    return ReadingRow(case.asset.name, instant(delivery.at), values, quality)


def expected(case, step, cut):
    """The condition intervals that the oracle finds in what has arrived by then."""
    known = {d.at: d.value for d in case.deliveries if d.arrives <= cut}
    samples = [
        Sample(at, None if value is BAD else decimal(value))
        for at, value in known.items()
        if at <= cut
    ]
    return Oracle(case.document, case.asset.attributes, case.bounds).condition_intervals(
        samples, 0, cut, step
    )


def told(episodes, is_in_time):
    summaries = [
        (
            ms(e.condition_started_at or e.raised_at),
            ms(e.closed_at),
            e.severity,
            e.severity_peak or e.severity,
        )
        for e in episodes
    ]
    steps = [[(t.kind, ms(t.at)) for t in e.transitions if t.kind in KINDS] for e in episodes]
    return (summaries, steps) if is_in_time else summaries


def demanded(condition_intervals, is_in_time):
    summaries = [spell.summary for spell in condition_intervals]
    steps = [[(kind, at) for kind, at, _ in spell.steps] for spell in condition_intervals]
    return (summaries, steps) if is_in_time else summaries


def mismatches(seed, number, size=AT_ONCE):
    """Return the differences in one batch, as texts that state how to repeat them."""
    batch = random_batch(Random(f"{seed} {number}"), size)
    plant = Plant(batch)
    found = []
    wrong = set()
    for cut in batch.cuts:
        plant.evaluate(cut)
        episodes = plant.episodes()
        for case in batch.cases:
            name = case.document["name"]
            there = told(episodes[name], case.is_in_time)
            wanted = demanded(expected(case, batch.step, cut), case.is_in_time)
            if there != wanted and name not in wrong:
                wrong.add(name)
                found.append(
                    f"seed {seed}, batch {number}, {name} at {cut} of {batch.cuts}, step "
                    f"{batch.step}:\n"
                    f"  {case.document}\n  {case.bounds} {case.asset.attributes}\n  "
                    f"{case.deliveries}\n"
                    f"  is     {there}\n  should {wanted}"
                )
    return found


@pytest.mark.models
def test_evaluation_says_what_the_documentation_says():
    batches = range(-(-CASES // AT_ONCE))
    found = [wrong for number in batches for wrong in mismatches(SEED, number)]
    assert not found, "\n".join(found)
