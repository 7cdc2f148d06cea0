"""Oracle of threshold evaluation, written only from docs/definition-reference.md and
docs/readings.md.

It is deliberately naive: it steps through event time, evaluates every instant anew, and reads every
number as the decimal that was written. It shares no code with the platform. All times are whole
multiples of a step, in milliseconds.
"""

from dataclasses import dataclass, field
from fractions import Fraction

SEVERITIES = ["low", "medium", "high", "critical"]
Value = Fraction | str


def decimal(given):
    """Return a number as its written decimal; a text stays a text, true is 1."""
    return given if isinstance(given, str) else Fraction(str(float(given)))


@dataclass(frozen=True)
class Sample:
    """A value at an instant; None for bad quality."""

    at: int
    value: Value | None


@dataclass
class EvaluatedEpisode:
    """An episode: its steps as (kind, instant, severity from there on)."""

    steps: list[tuple[str, int, str | None]] = field(default_factory=list)

    @property
    def severities(self) -> list[str]:
        return [severity for _, _, severity in self.steps if severity is not None]

    @property
    def summary(self) -> tuple[int, int | None, str, str]:
        """Return raised, closed, the severity now or at the end, and the worst severity."""
        kind, at, _ = self.steps[-1]
        worst = max(self.severities, key=SEVERITIES.index)
        return self.steps[0][1], at if kind == "closed" else None, self.severities[-1], worst


class Oracle:
    """One definition on one asset. `document`: the definition; `attributes`: of the asset;
    `bounds`: engineering range."""

    def __init__(self, document, attributes=None, bounds=(None, None)):
        self.document = document
        self.attributes = attributes or {}
        self.low, self.high = (None if bound is None else decimal(bound) for bound in bounds)
        self.hold = self.duration("for", "0s")
        self.clear_for = self.duration("clear_for", "0s")
        self.stale_after = self.duration("stale_after", "600s")
        self.frozen_after = self.duration("frozen_after", None)
        self.rate_per = self.duration("rate_per", None)
        self.counter = document.get("counter", False)
        self.rolls_over_at = document.get("rolls_over_at")
        self.no_data = document.get("no_data", "hold")
        self.severity = document.get("severity", "medium")
        self.conditions = self.conditions_by_severity()

    def duration(self, name, otherwise):
        """Return the milliseconds of a duration that is written in seconds."""
        text = self.document.get(name, otherwise)
        return None if text is None else int(text.removesuffix("s")) * 1_000

    def hold_of(self, severity):
        text = self.document.get("levels", {}).get(severity, {}).get("for")
        return self.hold if text is None else int(text.removesuffix("s")) * 1_000

    def limit(self, given):
        if isinstance(given, dict):
            given = self.attributes[given["attribute"]]
        return decimal(given)

    def conditions_by_severity(self):
        """Return by severity two functions for each condition: whether a value triggers it, and
        whether a value ends it."""
        if "levels" in self.document:
            return {
                severity: list(self.sides(limits))
                for severity, limits in self.document["levels"].items()
            }
        return {self.severity: list(self.sides(self.document))}

    def sides(self, limits):
        band = limits.get("outside", {})
        above = limits.get("above", band.get("high"))
        below = limits.get("below", band.get("low"))
        clear = limits.get("clear_inside", {})
        if above is not None:
            back = self.limit(limits.get("clear_above_at", clear.get("high", above)))
            above = self.limit(above)
            yield lambda v, above=above: v > above, lambda v, back=back: v <= back
        if below is not None:
            up = self.limit(limits.get("clear_below_at", clear.get("low", below)))
            below = self.limit(below)
            yield lambda v, below=below: v < below, lambda v, up=up: v >= up
        if "inside" in limits or "equals" in limits:
            inside = limits.get("inside") or {"low": limits["equals"], "high": limits["equals"]}
            low = self.limit(inside["low"])
            high = self.limit(inside["high"])
            wider = limits.get("clear_outside", inside)
            least = self.limit(wider["low"])
            most = self.limit(wider["high"])
            yield lambda v: low <= v <= high, lambda v: not least <= v <= most

    # --- the samples, one by one, in the order of their instants
    # -----------------------------------------------------

    def judged(self, samples, start):
        """Return each sample after `start` with its fault ("" for none) and the worst severity that
        it reaches."""
        sides = {s: [False] * len(conditions) for s, conditions in self.conditions.items()}
        found = []
        counted = []
        mine = [sample for sample in samples if sample.at > start]
        for i, sample in enumerate(mine):
            if i and self.no_data != "ignore" and sample.at - mine[i - 1].at > self.stale_after:
                counted = []  # a hole in the data
                if self.no_data == "clear":
                    sides = {
                        s: [False] * len(conditions) for s, conditions in self.conditions.items()
                    }
            matter = self.matter(sample, mine[: i + 1])
            number = sample.value
            if not matter and self.rate_per is not None:
                number = self.rate(sample, samples)
                matter = "no rate" if number is None else ""
            if matter:
                found.append((matter, None))
                continue
            for severity, conditions in self.conditions.items():
                for side, (met, over) in enumerate(conditions):
                    if met(number):
                        sides[severity][side] = True
                    elif over(number):
                        sides[severity][side] = False
            counted.append(self.worst(s for s in sides if any(sides[s])))
            found.append(("", self.enough(counted)))
        return list(zip(mine, found, strict=True))

    def worst(self, severities):
        return max((SEVERITIES.index(s) for s in severities), default=-1)

    def enough(self, counted):
        """Return the worst severity that at least the required number of the last readings reach;
        -1 for none."""
        wanted = self.document.get("at_least", {"readings": 1, "of": 1})
        last = counted[-wanted["of"] :]
        return max(
            (s for s in range(4) if sum(one >= s for one in last) >= wanted["readings"]), default=-1
        )

    def matter(self, sample, until_then):
        if sample.value is None:
            return "bad quality"
        if self.no_data == "ignore" or isinstance(sample.value, str):
            outside = False
        else:
            outside = (self.low is not None and sample.value < self.low) or (
                self.high is not None and sample.value > self.high
            )
        if outside:
            return "out of range"
        return "frozen" if self.freezes_at(until_then) <= sample.at else ""

    def freezes_at(self, samples):
        """Return the instant at which the last of these samples counts as frozen, after an
        unchanged value for that long."""
        if self.frozen_after is None:
            return float("inf")
        first = len(samples) - 1
        while first > 0 and samples[first - 1].value == samples[-1].value:
            first -= 1
        return samples[first].at + self.frozen_after

    def rate(self, sample, samples):
        """Return the rate against the newest valid reading at least `rate_per` older, and at most
        `stale_after` before that."""
        sound = [
            s
            for s in samples
            if s.value is not None
            and not self.is_impossible(s)
            and s.at <= sample.at - self.rate_per
        ]
        if self.counter:
            return self.rate_of_counter(sample, samples)
        if not sound or sample.at - sound[-1].at >= self.rate_per + self.stale_after:
            return None
        return (sample.value - sound[-1].value) * self.rate_per / (sample.at - sound[-1].at)

    def rate_of_counter(self, sample, samples):
        """Return the increase of a counter, from the readings up to this one: a decrease of 1 % or
        more is a reset or a roll-over, unless the next reading is back."""
        reach = self.rate_per + self.stale_after
        known = [
            s
            for s in samples
            if s.value is not None and not self.is_impossible(s) and s.at <= sample.at
        ]

        def before(i):
            return known[i - 1] if i and known[i].at - known[i - 1].at < reach else None

        def falls(i):
            return before(i) is not None and known[i].value < self.less(before(i).value)

        last = len(known) - 1
        if falls(last):
            return None if falls(last - 1) else self.rate_of_counter(known[last - 1], samples)
        said = []
        for i, one in enumerate(known):
            is_back = (
                falls(i)
                and i < last
                and known[i + 1].at - one.at < reach
                and known[i + 1].value >= self.less(before(i).value)
            )
            if not is_back and not (before(i) is None and one.value == 0):
                said.append((one, self.lacks(before(i).value, one.value) if falls(i) else 0))
        starts = [i for i, (one, _) in enumerate(said) if one.at <= sample.at - self.rate_per]
        if not starts or sample.at - said[starts[-1]][0].at >= reach:
            return None
        first = said[starts[-1]][0]
        increase = sample.value - first.value + sum(more for _, more in said[starts[-1] + 1 :])
        return increase * self.rate_per / (sample.at - first.at)

    def less(self, value):
        return value - abs(value) / 100

    def lacks(self, before, after):
        """Return what a fallen value lacks to go on from the one before."""
        if self.rolls_over_at is not None:
            end = decimal(self.rolls_over_at)
            if before <= end and end - before + after <= end / 4:
                return end
        return max(before, 0)

    def is_impossible(self, sample):
        return (self.low is not None and sample.value < self.low) or (
            self.high is not None and sample.value > self.high
        )

    # --- event time, instant by instant
    # ------------------------------------------------------------------------------

    def status(self, at, judged, start):
        """Return the severity reached at this instant, -1 for none, None if unknown."""
        before = [i for i, (sample, _) in enumerate(judged) if sample.at <= at]
        since = judged[before[-1]][0].at if before else start
        missing = SEVERITIES.index(self.severity) if self.no_data == "alert" else None
        if self.no_data != "ignore" and at >= since + self.stale_after:
            return -1 if self.no_data == "clear" else missing
        if not before:
            return None  # no reading yet
        sample, (matter, severity) = judged[before[-1]]
        if (
            sample.value is not None
            and self.freezes_at([s for s, _ in judged[: before[-1] + 1]]) <= at
        ):
            return missing
        if matter in ("no rate", ""):
            return None if matter else severity
        return missing

    def condition_intervals(self, samples, start, until, step):
        """Return the episodes after `start` in the point-in-time view of these samples at
        `until`."""
        samples = sorted(samples, key=lambda sample: sample.at)
        judged = self.judged([s for s in samples if s.at <= until], start)
        possible = set(self.conditions) | ({self.severity} if self.no_data == "alert" else set())
        ranks = sorted(SEVERITIES.index(s) for s in possible)
        statuses = []
        holds = dict.fromkeys(ranks, False)
        on_delays = {rank: self.hold_of(SEVERITIES[rank]) for rank in ranks}
        found = []
        for at in range(start + step, until + 1, step):
            statuses.append(self.status(at, judged, start))
            for rank in ranks:
                wanted, long = (False, self.clear_for) if holds[rank] else (True, on_delays[rank])
                last = statuses[-(long // step + 1) :]
                if len(last) == long // step + 1 and all(
                    s is not None and (s >= rank) is wanted for s in last
                ):
                    holds[rank] = wanted
                    holds[ranks[0]] |= wanted
            self.note(at, [rank for rank in ranks if holds[rank]], holds[ranks[0]], found)
        return found

    def note(self, at, held, is_open, found):
        """Raise, change or close the last episode, if its state changes."""
        now_open = bool(found) and found[-1].steps[-1][0] != "closed"
        severity = SEVERITIES[held[-1]] if held else None
        if is_open and not now_open:
            found.append(EvaluatedEpisode([("raised", at, severity)]))
        elif is_open and found[-1].severities[-1] != severity:
            found[-1].steps.append(("severity", at, severity))
        elif now_open and not is_open:
            found[-1].steps.append(("closed", at, None))
