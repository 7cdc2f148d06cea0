"""Rules of a Shewhart chart by name: those of the Western Electric handbook (1956) and of Nelson
(1984).

A rule looks at the last standardised points z, oldest first: (value - centre line) / standard
deviation. `width` widens or narrows all zones together: the limits lie at ±3 width, zone A begins
at ±2 width, zone B at ±1 width.

Sources: Western Electric, Statistical Quality Control Handbook, 1956; L. S. Nelson, The Shewhart
control chart: tests for special causes, Journal of Quality Technology 16 (1984), 237-239.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from alerting.definitions.wording.language import template

RuleName = Literal[
    "western_electric_1",
    "western_electric_2",
    "western_electric_3",
    "western_electric_4",
    "nelson_1",
    "nelson_2",
    "nelson_3",
    "nelson_4",
    "nelson_5",
    "nelson_6",
    "nelson_7",
    "nelson_8",
]
MOST_POINTS = 15  # that a rule looks at


@dataclass(frozen=True)
class ChartRule:
    """A rule: the most points that it looks at, its sentence, and the test on the last of them.

    `run_length`: of a rule that does not depend on the width of the zones: points between two false
    alarms on average, whatever the limits, at most (simulated, rounded up). `least`: points that it
    needs, where these are fewer than it looks at.
    """

    points: int
    message: str
    signals: Callable[[Sequence[float], float], bool]
    run_length: float | None = None
    least: int | None = None

    @property
    def has_limit(self) -> bool:
        """Return whether it depends on the width of the zones."""
        return self.run_length is None


def _beyond(least: int, zone: float) -> Callable[[Sequence[float], float], bool]:
    """Return the test whether at least this many points, the last one among them, lie beyond a zone
    on one side."""

    def test(z: Sequence[float], width: float) -> bool:
        limit = zone * width
        last = z[-1]
        if last > limit:
            return sum(one > limit for one in z) >= least
        return last < -limit and sum(one < -limit for one in z) >= least

    return test


def _one_side(z: Sequence[float], width: float) -> bool:  # noqa: ARG001 - every test has the same arguments
    return all(one > 0 for one in z) or all(one < 0 for one in z)


def _trend(z: Sequence[float], width: float) -> bool:  # noqa: ARG001
    return all(a < b for a, b in pairwise(z)) or all(a > b for a, b in pairwise(z))


def _alternating(z: Sequence[float], width: float) -> bool:  # noqa: ARG001
    steps = [b - a for a, b in pairwise(z)]
    return all(a * b < 0 for a, b in pairwise(steps))


def _near_centre(z: Sequence[float], width: float) -> bool:  # noqa: ARG001 - wider zones would make it signal more often
    return all(abs(one) < 1 for one in z)


def _away_from_centre(z: Sequence[float], width: float) -> bool:
    return all(abs(one) > width for one in z)


_LIMIT = ChartRule(1, template("a point lies beyond the control limit"), _beyond(1, 3))
_TWO_OF_THREE = ChartRule(
    3,
    template("2 of 3 points in a row lie in zone A or beyond, on one side"),
    _beyond(2, 2),
    least=2,
)
_FOUR_OF_FIVE = ChartRule(
    5,
    template("4 of 5 points in a row lie in zone B or beyond, on one side"),
    _beyond(4, 1),
    least=4,
)

RULES: dict[RuleName, ChartRule] = {
    "western_electric_1": _LIMIT,
    "western_electric_2": _TWO_OF_THREE,
    "western_electric_3": _FOUR_OF_FIVE,
    "western_electric_4": ChartRule(
        8,
        template("8 points in a row lie on one side of the centre line"),
        _one_side,
        run_length=256,
    ),
    "nelson_1": _LIMIT,
    "nelson_2": ChartRule(
        9,
        template("9 points in a row lie on one side of the centre line"),
        _one_side,
        run_length=520,
    ),
    "nelson_3": ChartRule(
        6, template("6 points in a row rise, or fall, steadily"), _trend, run_length=430
    ),
    "nelson_4": ChartRule(
        14, template("14 points in a row go up and down in turn"), _alternating, run_length=615
    ),
    "nelson_5": _TWO_OF_THREE,
    "nelson_6": _FOUR_OF_FIVE,
    "nelson_7": ChartRule(
        15,
        template("15 points in a row lie within one standard deviation"),
        _near_centre,
        run_length=980,
    ),
    "nelson_8": ChartRule(
        8, template("8 points in a row lie outside of zone C, on either side"), _away_from_centre
    ),
}


def violated(names: Sequence[RuleName], z: Sequence[float], width: float) -> tuple[RuleName, ...]:
    """Return the rules that the last point violates, in the order of `names`. `z`: the last points,
    oldest first."""
    return tuple(name for name in names if _signals(RULES[name], z, width))


def _signals(rule: ChartRule, z: Sequence[float], width: float) -> bool:
    return len(z) >= (rule.least or rule.points) and rule.signals(z[-rule.points :], width)
