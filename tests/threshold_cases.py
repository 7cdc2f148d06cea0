"""Random threshold definitions with random samples that cover edge cases: values on limits, gaps of
exactly `stale_after`, turns at one instant, limits without an exact binary number, evaluation cut
anywhere, samples that are late or sent again."""

from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from alerting.definitions.asset_documents import Asset, Variable

UNITS = ("1", "0.1", "0.7", "2.3", "0.001", "12.5", "1000.1")
LOWEST = -4
HIGHEST = 12
NO_DATA = ("hold", "hold", "alert", "ignore", "clear")
COUNTS = (
    None,
    None,
    {"readings": 1, "of": 2},
    {"readings": 2, "of": 3},
    {"readings": 3, "of": 5},
    {"readings": 2, "of": 2},
)
TEXTS = ("running", "stopped", "idle")
BAD = "bad"


@dataclass(frozen=True)
class Delivery:
    """A sample of `value` (BAD: of bad quality) with its instant and arrival; the later of two for
    one instant wins."""

    arrives: int
    at: int
    value: Any
    is_uncertain: bool = False


@dataclass
class Case:
    """One definition on its own asset. Times are milliseconds from the instant at which the
    definition begins."""

    document: dict[str, Any]
    asset: Asset
    bounds: tuple[float | None, float | None]
    deliveries: list[Delivery] = field(default_factory=list)

    @property
    def is_in_time(self) -> bool:
        return all(d.arrives == d.at for d in self.deliveries)


@dataclass
class Batch:
    """Cases evaluated together at the instants `cuts`; all times of definitions and samples are
    multiples of `step`."""

    step: int
    cuts: list[int]
    cases: list[Case]


def random_batch(random: Random, size: int) -> Batch:
    """Return random cases that are evaluated at the same instants."""
    step = random.choice((1_000, 30_000, 60_000, 420_000))
    ticks = random.randint(15, 60)
    cuts = {
        random.randint(1, ticks) * step + random.choice((-1, 0, 0, 1, step // 2))
        for _ in range(random.randint(0, 5))
    }
    cuts = {cut for cut in cuts if cut < ticks * step} | {ticks * step}
    return Batch(
        step, sorted(cuts), [random_case(random, number, step, ticks) for number in range(size)]
    )


def random_case(random: Random, number: int, step: int, ticks: int) -> Case:
    """Return one random case. Each has its own asset, so that a test detects cases mixed up in a
    batch."""
    unit = Decimal(random.choice(UNITS))
    kind = random.choice(("number", "number", "number", "rate", "rate", "text", "flag"))
    document: dict[str, Any] = {
        "name": f"case-{number}",
        "kind": "threshold",
        "assets": [f"line-{number}"],
        "variable": "x",
    }
    document["severity"] = random.choice(("low", "medium", "high", "critical"))
    document |= _condition(random, unit, kind)
    document |= _times(random, step, kind)
    for limits in document.get("levels", {}).values():
        if random.random() < 0.3 and "frozen_after" not in document:
            limits["for"] = f"{random.choice((0, 1, 3, 6)) * step // 1_000}s"
    if "counter" in document and random.random() < 0.5:
        document["rolls_over_at"] = _multiple(unit, random.choice((6, 13)))
    bounds = (None, None)
    if kind in ("number", "rate") and random.random() < 0.3:
        bounds = (
            _multiple(unit, random.choice((LOWEST, LOWEST + 2))),
            _multiple(unit, random.choice((HIGHEST, HIGHEST - 3))),
        )
    attributes = {}
    if isinstance(document.get("above"), float) and random.random() < 0.2:
        attributes["limit"] = document["above"]
        document["above"] = {"attribute": "limit"}
    types = {"text": "category", "flag": "boolean"}
    variable = Variable(type=types.get(kind, "number"), low=bounds[0], high=bounds[1])
    asset = Asset(
        name=f"line-{number}", attributes=attributes, variables={"x": variable, "other": Variable()}
    )
    return Case(document, asset, bounds, _deliveries(random, unit, kind, document, step, ticks))


def _multiple(unit: Decimal, number: int) -> float:
    return float(unit * number)


def _condition(random: Random, unit: Decimal, kind: str) -> dict[str, Any]:
    if kind == "text":
        return {"equals": random.choice(TEXTS)}
    if kind == "flag":
        return {"equals": random.choice((True, False))}
    ways = [_limits, _limits, _levels, _levels, _levels, _outside, _inside]
    return random.choice(ways if kind == "rate" else [*ways, _equals])(random, unit)


def _limits(
    random: Random, unit: Decimal, above: int | None = None, below: int | None = None
) -> dict[str, Any]:
    above = random.randint(3, 8) if above is None else above
    below = random.randint(-2, above - 1) if below is None else below
    found: dict[str, Any] = {}
    sides = random.choice((("above",), ("above",), ("below",), ("above", "below")))
    if "above" in sides:
        found["above"] = _multiple(unit, above)
        found |= (
            {"clear_above_at": _multiple(unit, above - random.randint(0, 3))}
            if random.random() < 0.4
            else {}
        )
    if "below" in sides:
        found["below"] = _multiple(unit, below)
        found |= (
            {"clear_below_at": _multiple(unit, below + random.randint(0, 3))}
            if random.random() < 0.4
            else {}
        )
    return found


def _levels(random: Random, unit: Decimal) -> dict[str, Any]:
    names = sorted(random.sample(range(4), random.choice((2, 3, 3, 4))))
    above = random.randint(2, 4)
    below = random.randint(-1, 1)
    levels = {}
    for name in names:
        levels[("low", "medium", "high", "critical")[name]] = _limits(random, unit, above, below)
        above = above + random.randint(1, 3)
        below = below - 1
    return {"levels": levels}


def _outside(random: Random, unit: Decimal) -> dict[str, Any]:
    low = random.randint(-2, 2)
    high = random.randint(5, 8)
    found = {"outside": {"low": _multiple(unit, low), "high": _multiple(unit, high)}}
    if random.random() < 0.5:
        inner = low + random.randint(0, 1), high - random.randint(0, 1)
        found["clear_inside"] = {
            "low": _multiple(unit, inner[0]),
            "high": _multiple(unit, inner[1]),
        }
    return found


def _inside(random: Random, unit: Decimal) -> dict[str, Any]:
    low = random.randint(1, 4)
    high = low + random.randint(1, 3)
    found = {"inside": {"low": _multiple(unit, low), "high": _multiple(unit, high)}}
    if random.random() < 0.5:
        found["clear_outside"] = {
            "low": _multiple(unit, low - random.randint(0, 2)),
            "high": _multiple(unit, high + random.randint(0, 2)),
        }
    return found


def _equals(random: Random, unit: Decimal) -> dict[str, Any]:
    value = random.randint(1, 6)
    found: dict[str, Any] = {"equals": _multiple(unit, value)}
    if random.random() < 0.5:
        found["clear_outside"] = {
            "low": _multiple(unit, value - random.randint(0, 2)),
            "high": _multiple(unit, value + random.randint(1, 2)),
        }
    return found


def _times(random: Random, step: int, kind: str) -> dict[str, Any]:
    def steps(number: int) -> str:
        return f"{number * step // 1_000}s"

    hold = random.choice((0, 0, 1, 2, 5))
    clear_for = random.choice((0, 0, 1, 3, 5, 7))
    no_data = random.choice(("hold", "alert", "clear") if kind == "rate" else NO_DATA)
    found: dict[str, Any] = {"for": steps(hold), "clear_for": steps(clear_for), "no_data": no_data}
    found["stale_after"] = steps(random.choice((1, 2, 3, 5, 9, 30)))
    if no_data != "ignore" and random.random() < 0.3:
        found["frozen_after"] = steps(hold + random.randint(1, 6))
    counts = random.choice(COUNTS)
    if counts is not None:
        found["at_least"] = counts
    if kind == "rate":
        found["rate_per"] = steps(random.choice((1, 2, 3, 7)))
        found |= random.choice(({}, {"counter": True}))
    return found


def _deliveries(
    random: Random, unit: Decimal, kind: str, document: dict[str, Any], step: int, ticks: int
) -> list[Delivery]:
    stale = int(document["stale_after"].removesuffix("s")) * 1_000 // step
    gaps = (1, 1, 1, 2, 3, stale, stale, max(stale - 1, 1), stale + 1)
    late = random.choice((0.0, 0.0, 0.2, 0.6))
    sent_again = random.choice((0.0, 0.0, 0.2))
    walk = _walk(random, unit, kind)
    found = []
    tick = random.randint(-8, 4)
    while tick <= ticks:
        value = next(walk)
        is_late = tick > 0 and random.random() < late
        arrives = tick * step + (random.randint(1, 25 * step) if is_late else 0)
        if tick > 0 and random.random() < sent_again:
            found.append(Delivery(arrives, tick * step, next(walk)))
            arrives += random.choice((0, random.randint(0, 10 * step)))
        found.append(Delivery(arrives, tick * step, value, value != BAD and random.random() < 0.1))
        tick += random.choice(gaps)
    return sorted(found, key=lambda d: d.arrives)


def _walk(random: Random, unit: Decimal, kind: str) -> Any:
    """Yield an endless random walk of values."""
    at = random.randint(0, 6)
    stay = random.choice((0.1, 0.4, 0.7))
    while True:
        if random.random() >= stay:
            at += (
                random.choice((-3, -2, -1, 1, 2, 3))
                if random.random() < 0.6
                else random.randint(LOWEST, HIGHEST) - at
            )
        at = min(max(at, LOWEST - 1), HIGHEST + 1)
        if random.random() < 0.07:
            yield BAD
        elif kind == "text":
            yield TEXTS[at % 3]
        elif kind == "flag":
            yield float(at % 2)
        else:
            yield _multiple(unit, at)
