"""Catch-ups with more episodes than one unit of work takes."""

from dataclasses import replace

import pytest

from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation import batch
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at, oven, too_hot
from tests.helpers.late_line import Line
from tests.helpers.notifications import notifications_of

HEAT = {m: 230 if m % 10 < 4 else 200 for m in range(1, 120)}


class Counted:
    """A store of episodes that counts how many a unit of work writes."""

    def __init__(self, episodes):
        self._episodes = episodes
        self.written = []

    def __getattr__(self, name):
        return getattr(self._episodes, name)

    def write(self, episodes, unit):
        self.written.append(len(episodes))
        self._episodes.write(episodes, unit)


def caught_up(assets=1, **changes):
    line = Line(**changes)
    ovens = [oven().model_copy(update={"name": f"oven-{n}"}) for n in range(1, assets + 1)]
    line.platform.assets.store_assets(ovens)
    apply(
        line.platform,
        [too_hot(assets=["oven-*"], stale_after="30m", **changes)],
        "engineer",
        at(0),
        "test",
    )
    rows = [
        ReadingRow(o.name, at(m), {"temperature": float(v)}) for o in ovens for m, v in HEAT.items()
    ]
    add_readings(line.platform, rows, at(0))
    line.platform.clock.instant = at(119)
    counted = Counted(line.platform.episodes)
    counts = evaluate(replace(line.platform, episodes=counted), None, at(119))
    return line, counts, counted.written


def found(line):
    return [
        (e.id, e.raised_at, e.closed_at, [(t.kind, t.at) for t in e.transitions])
        for e in line.episodes()
    ]


@pytest.mark.parametrize("most", [1, 3, 11])
def test_one_target_with_too_many_raises_takes_several_units_of_work_and_is_announced_as_ever(
    monkeypatch, most
):
    whole, expected, written = caught_up()
    assert written == [12]
    monkeypatch.setattr(batch, "RAISES_OF_TARGET", most)
    line, counts, written = caught_up()
    assert max(written) <= most + 1
    assert len(written) > 1
    assert found(line) == found(whole)
    assert line.state() == whole.state()
    assert (counts.raised, counts.closed, counts.targets, counts.elsewhere) == (
        expected.raised,
        expected.closed,
        expected.targets,
        0,
    )
    announced = {n.key for n in notifications_of(whole.platform) if n.postponed_by is None}
    assert {n.key for n in notifications_of(line.platform) if n.postponed_by is None} == announced
