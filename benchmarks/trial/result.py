"""Result of a trial, or of several together: shares and means, each with its 95 % interval by
bootstrap."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from alerting.definitions.fields.costs import Costs
from alerting.learning.metrics.confidence import wilson_interval
from benchmarks.trial.records import DayTotals, Findings, Problem

Floats = npt.NDArray[np.float64]
SAMPLES = 2000
SEED = 0
FIRST = 3
"""Ranks of contributions among which the true cause is looked for."""


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval; `cases`: the number of problems, alerts or days that it rests
    on. None without any."""

    value: float | None
    low: float | None
    high: float | None
    cases: int
    unit: str = ""


@dataclass(frozen=True)
class TrialResult:
    """Metrics of one or several trials. `why_not`: avoidable problems that no intervention avoided,
    by reason."""

    seeds: tuple[int, ...]
    weeks: int
    metrics: dict[str, Interval]
    counts: dict[str, int]
    why_not: dict[str, int]
    by_cause: dict[str, dict[str, int]]
    ranks: dict[str, dict[str, int]]
    trained: tuple[str, ...]
    currency: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """Return the result as JSON-able document."""
        return asdict(self)


def share(hits: Sequence[bool]) -> Interval:
    """Return the share of hits, with the interval of draws of the cases; of Wilson (1927) where all
    cases are equal."""
    values = np.array(hits, np.float64)
    if not len(values):
        return Interval(None, None, None, 0, "%")
    count = float(values.sum())
    low, high = _bounds(values) if 0 < count < len(values) else wilson_interval(count, len(values))
    return Interval(float(values.mean()), low, high, len(values), "%")


def mean(values: Sequence[float], unit: str) -> Interval:
    """Return the mean over days, with the interval of draws of days."""
    numbers = np.array(values, np.float64)
    if not len(numbers):
        return Interval(None, None, None, 0, unit)
    low, high = _bounds(numbers)
    return Interval(float(numbers.mean()), low, high, len(numbers), unit)


def _weekly(values: Sequence[float], unit: str) -> Interval:
    """Return seven times the mean of values by day."""
    return mean([7 * value for value in values], unit)


def _bounds(values: Floats) -> tuple[float, float]:
    """Return the middle 95 % of the means of draws with replacement (Efron 1979)."""
    draws = np.random.default_rng(SEED).integers(len(values), size=(SAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def money(costs: Costs, day: DayTotals) -> float:
    """Return what one line cost on one day: problems and their minutes, false alarms and
    interventions."""
    problems = costs.miss * day.problems + costs.miss_per_minute * day.problem_minutes
    return problems + costs.false_alarm * day.false_alarms + costs.intervention * day.interventions


def why_not_avoided(problem: Problem) -> str | None:
    """Return why an avoidable problem does not count as avoided; None if it does, or was not
    avoidable."""
    if not problem.avoidable or problem.avoided:
        return None
    if not problem.happened:
        return "it did not happen, without an intervention"
    if problem.intervened:
        return (
            "any change came too late"
            if problem.too_late
            else "the change was too small or a wrong one"
        )
    return "an alert came in time without a change" if problem.alerted else "no alert came in time"


def summarise(found: Sequence[Findings], costs: Costs | None) -> TrialResult:
    """Compute all metrics over these trials together."""
    problems = [p for f in found for p in f.problems]
    avoidable = [p for p in problems if p.avoidable]
    true_alerts = [a for f in found for a in f.true_alerts]
    left = [d for f in found for d in f.left_alone]
    acted = [d for f in found for d in f.acted_upon]
    later = [
        p
        for f in found
        for p in f.problems
        if f.retrained_after is not None and p.start >= f.retrained_after
    ]
    earlier = [
        p
        for f in found
        for p in f.problems
        if f.retrained_after is None or p.start < f.retrained_after
    ]
    metrics = {
        "avoidable_avoided": share([p.avoided for p in avoidable]),
        "avoided_before_retraining": share([p.avoided for p in earlier if p.avoidable]),
        "avoided_after_retraining": share([p.avoided for p in later if p.avoidable]),
        "avoided_by_timely_advice": share(
            [p.avoided for p in avoidable if p.intervened and not p.too_late]
        ),
        "avoidable": share([p.avoidable for p in problems]),
        "needless_per_day": mean([float(d.needless) for d in acted], "a day"),
        "interventions_per_day": mean([float(d.interventions) for d in acted], "a day"),
        "cause_in_first_three": share(
            [a.rank is not None and a.rank <= FIRST for a in true_alerts]
        ),
        "problems_left_alone": _weekly([float(d.problems) for d in left], "a week"),
        "problems_acted_upon": _weekly([float(d.problems) for d in acted], "a week"),
        "problem_minutes_left_alone": _weekly(
            [float(d.problem_minutes) for d in left], "min a week"
        ),
        "problem_minutes_acted_upon": _weekly(
            [float(d.problem_minutes) for d in acted], "min a week"
        ),
        "belt_metres_change": mean(
            [100 * (a.metres / b.metres - 1) for a, b in zip(acted, left, strict=True)],
            "% of the belt",
        ),
        "good_metres_change": mean(
            [100 * (a.good_metres / b.good_metres - 1) for a, b in zip(acted, left, strict=True)],
            "% of good belt",
        ),
        "recall": share([p.warned for p in problems]),
        "recall_after_retraining": share([p.warned for p in later]),
        "recall_after_naive_retraining": share([p.warned_naively for p in later]),
    }
    if costs is not None:
        unit = f"{costs.currency} a week"
        before, after = ([money(costs, d) for d in days] for days in (left, acted))
        metrics |= {
            "cost_left_alone": _weekly(before, unit),
            "cost_acted_upon": _weekly(after, unit),
        }
        metrics["saved"] = _weekly([b - a for a, b in zip(after, before, strict=True)], unit)
    return TrialResult(
        seeds=tuple(f.arguments.seed for f in found),
        weeks=sum(f.arguments.weeks for f in found),
        metrics=metrics,
        counts=_counts(found, problems, avoidable),
        why_not=_tally(why_not_avoided(p) for p in problems),
        by_cause=_by_cause(problems),
        ranks=_ranks(found),
        trained=tuple(f"seed {f.arguments.seed}, {note}" for f in found for note in f.trained),
        currency=costs.currency if costs else None,
        arguments={**asdict(found[0].arguments), "seed": [f.arguments.seed for f in found]}
        if found
        else {},
    )


def _counts(
    found: Sequence[Findings], problems: Sequence[Problem], avoidable: Sequence[Problem]
) -> dict[str, int]:
    return {
        "problems": len(problems),
        "avoidable": len(avoidable),
        "avoided": sum(p.avoided for p in avoidable),
        "not_avoidable": len(problems) - len(avoidable),
        "not_avoidable_but_absent": sum(not p.avoidable and p.avoided for p in problems),
        "caused": sum(len(f.caused) for f in found),
        "alerts": sum(f.alerts for f in found),
        "interventions": sum(len(f.interventions) for f in found),
        "needless": sum(not n for f in found for n in f.needed),
        "ignored": sum(f.ignored for f in found),
        "without_advice": sum(f.without_advice for f in found),
        "advised_as_not_enough": sum(not i.helps for f in found for i in f.interventions),
        "true_alerts": sum(len(f.true_alerts) for f in found),
        "true_alerts_without_cause": sum(f.without_cause for f in found),
    }


def _tally(texts: Any) -> dict[str, int]:
    counted: dict[str, int] = {}
    for text in texts:
        if text is not None:
            counted[text] = counted.get(text, 0) + 1
    return dict(sorted(counted.items(), key=lambda item: -item[1]))


def _by_cause(problems: Sequence[Problem]) -> dict[str, dict[str, int]]:
    causes = sorted({p.cause or "none" for p in problems})
    of = {cause: [p for p in problems if (p.cause or "none") == cause] for cause in causes}
    return {
        cause: {
            "problems": len(own),
            "avoidable": sum(p.avoidable for p in own),
            "avoided": sum(p.avoidable and p.avoided for p in own),
        }
        for cause, own in of.items()
    }


def _ranks(found: Sequence[Findings]) -> dict[str, dict[str, int]]:
    """Return by cause how many true alerts have its variable at which rank; "later" beyond the
    first three."""
    counted: dict[str, dict[str, int]] = {}
    for alert in (a for f in found for a in f.true_alerts):
        ranks = counted.setdefault(alert.cause, {"1": 0, "2": 0, "3": 0, "later": 0})
        ranks[str(alert.rank) if alert.rank is not None and alert.rank <= FIRST else "later"] += 1
    return dict(sorted(counted.items()))
