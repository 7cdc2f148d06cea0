"""Two evaluators at once: one is stopped before any of its steps, the other does a whole round, the first goes on or dies."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from alerting.ports import Platform
from alerting.usecases.evaluation.evaluate import evaluate
from tests.builders import at
from tests.helpers.late_line import LEVELS, Line, NeverMoves

pytestmark = pytest.mark.slow
PORTS = ("readings", "states", "episodes", "arrivals", "checkpoints")
HEAT = {m: 231 if 20 <= m < 26 else 218 if 6 <= m < 34 or m > 44 else 200 for m in range(1, 60)}


class Killed(Exception):
    """As if the process had been killed."""


class Steps:
    """Counts what an evaluator asks of its stores; before some of its steps something happens."""

    def __init__(self, happens: dict[int, Callable[[], object]]) -> None:
        self.count, self.happens = 0, happens

    def watch(self, platform: Platform) -> Platform:
        return replace(platform, **{name: _Supervised(getattr(platform, name), self) for name in PORTS})

    def take(self) -> None:
        self.count += 1
        if self.count in self.happens:
            self.happens[self.count]()


class _Supervised:
    def __init__(self, port: Any, steps: Steps) -> None:
        self._port, self._steps = port, steps

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def called(*args: Any, **named: Any) -> Any:
            self._steps.take()
            return method(*args, **named)

        return called


def kill() -> None:
    raise Killed


def prepared(fields, late) -> Line:
    """A line that was evaluated up to the tenth minute, and owes to judge again."""
    line = Line(clear_for="2m", **fields)
    line.feed({m: value for m, value in HEAT.items() if m not in late})
    line.run(10)
    line.platform.arrivals.request_reprocessing({("too-hot", "oven-1"): at(3)})
    return line


def determined(line: Line) -> tuple[Any, ...]:
    """What came of it, once evaluators have gone on undisturbed."""
    for minute in (58, 59):
        line.run(minute)
    keys = [n.key for e in line.episodes() for n in e.notifications]
    assert len(keys) == len(set(keys))
    return line.spells(), line.state()


def changes(line: Line) -> list[Any]:
    kinds = ("raised", "severity", "closed", "reopened", "corrected")
    return [(t.kind, t.at) for e in line.episodes() for t in e.transitions if t.kind in kinds]


def alone(fields) -> Line:
    line = Line(clear_for="2m", **fields)
    line.feed(HEAT)
    line.run(10)
    return line


def disturbed(fields, late, as_of: int, happens: Callable[[Line], dict[int, Callable[[], object]]]) -> tuple[Line, int]:
    """The line after an evaluator up to `as_of` to which something happened, and how many steps it took."""
    line = prepared(fields, late)
    steps = Steps(happens(line))
    with suppress(Killed):
        evaluate(steps.watch(line.platform), None, at(as_of))
    return line, steps.count


def another(line: Line, late, minute: int) -> Callable[[], object]:
    """The late readings come, and another evaluator does its whole round."""

    def round_() -> None:
        line.feed({m: HEAT[m] for m in late}, minute)
        evaluate(line.platform, None, at(minute))

    return round_


@pytest.mark.parametrize("late", [(), (8, 9), (30, 31, 32, 33)], ids=["in-time", "early-ones-late", "last-ones-late"])
@pytest.mark.parametrize(("first", "second"), [(25, 40), (40, 25), (35, 50), (50, 35)])
@pytest.mark.parametrize("fields", [{}, LEVELS], ids=["one-limit", "levels"])
def test_who_goes_on_with_what_it_saw_before_another_did_a_round_undoes_and_doubles_nothing(fields, first, second, late):
    calm = alone(fields)
    expected = determined(calm)
    for stop in count(1):
        line, taken = disturbed(fields, late, first, lambda line, n=stop: {n: another(line, late, second)})
        if taken < stop:
            break
        assert determined(line) == expected, f"stopped before step {stop}"
        assert late or changes(line) == changes(calm), f"stopped before step {stop}"


def test_an_episode_that_one_who_was_killed_had_raised_and_late_readings_refute_is_withdrawn():
    line = Line(**{"for": "2m"})
    line.feed({m: 218 if m in (19, 21) else 200 for m in range(1, 30) if m != 20})
    line.run(10)
    line.platform.arrivals.request_reprocessing({("too-hot", "oven-1"): at(3)})
    line.platform.clock.instant = at(25)
    evaluate(replace(line.platform, states=NeverMoves(line.platform.states)), None, at(25))
    line.feed({20: 200}, 26)
    assert [e.condition for e in line.episodes()] == ["closed"]
    line.run(30)
    assert [e.withdrawn for e in line.episodes()] == [True]
    assert line.spells() == []


@pytest.mark.parametrize(
    ("first", "second", "late"),
    [(first, 40, late) for first in (25, 40) for late in ((), (30, 31, 32, 33))] + [(50, 50, (45, 46, 47))],
)
@pytest.mark.parametrize("fields", [{}, LEVELS], ids=["one-limit", "levels"])
def test_what_one_who_was_killed_had_kept_already_is_finished_by_the_next_as_if_nothing_had_been(fields, first, second, late):
    calm = alone(fields)
    expected = determined(calm)
    for stop in count(1):
        line, taken = disturbed(fields, late, first, lambda _, n=stop: {n: kill})
        if taken < stop:
            break
        another(line, late, second)()
        assert determined(line) == expected, f"killed before step {stop}"
        assert late or changes(line) == changes(calm), f"killed before step {stop}"


@pytest.mark.parametrize("late", [(), (8, 9), (45, 46, 47)], ids=["in-time", "early-ones-late", "last-ones-late"])
@pytest.mark.parametrize("fields", [{}, LEVELS], ids=["one-limit", "levels"])
def test_who_is_killed_after_another_did_a_round_and_before_it_can_say_so_leaves_nothing_behind(fields, late):
    calm = alone(fields)
    expected = determined(calm)
    for stop in count(1):
        for more in count(1):

            def happens(line, stop=stop, more=more):
                return {stop: another(line, late, 52), stop + more: kill}

            line, taken = disturbed(fields, late, 50, happens)
            if taken < stop + more:
                break
            assert determined(line) == expected, f"stopped before step {stop}, killed {more} steps later"
        if more == 1:
            break
