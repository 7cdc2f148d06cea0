"""Catch-ups with more episodes than one unit of work takes."""

from dataclasses import replace

import pytest

from alerting.usecases.evaluation import batch
from alerting.usecases.evaluation.rounds import evaluate
from tests.builders import at
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


def caught_up():
    """What is found, counted and announced, and how much each unit of work wrote."""
    line = Line()
    line.feed(HEAT)
    line.platform.clock.instant = at(119)
    counted = Counted(line.platform.episodes)
    counts = evaluate(replace(line.platform, episodes=counted), None, at(119))
    episodes = [
        (e.id, e.raised_at, e.closed_at, [(t.kind, t.at) for t in e.transitions])
        for e in line.episodes()
    ]
    announced = {n.key for n in notifications_of(line.platform) if n.postponed_by is None}
    numbers = (counts.raised, counts.closed, counts.targets, counts.elsewhere)
    return (episodes, line.state(), numbers, announced), counted.written


def test_one_target_with_too_many_raises_takes_several_units_of_work_and_is_announced_as_ever():
    whole, written = caught_up()
    assert written == [12]
    for most in (1, 3, 11):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(batch, "RAISES_OF_TARGET", most)
            found, written = caught_up()
        assert found == whole
        assert max(written) <= most + 1
        assert len(written) > 1
