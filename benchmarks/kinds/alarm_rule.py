"""An alarm that stays while its risk stays, against one that ends one horizon after its raise: on
the same scores.

One model for each task and seed: laboratory quality, machine failures, products by their number,
and demo lines of 42 days. Each rule takes its threshold on validation, as a training does, and both
are judged on the test period by one measure: problems found, false episodes, time in alarm, lead.
Then both at the same limits of false episodes a week and of time in alarm: the most that any
threshold finds there. `covered` is the time in which a problem would count as found: the longest
view of an alarm. Differences (today's rule minus the earlier one) have 95 % intervals by a
bootstrap over problems, or an exact sign test over tasks and seeds.

Scores are kept below ALERTING_BENCH_KEPT (.alerting/benchmarks), by the version of the learning
part. ALERTING_BENCH_SEEDS: seeds a task (5). ALERTING_REAL_DATA: the public data sets.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from alerting.definitions.model import TrainedDefinition
from alerting.demo.asset import demo_asset
from alerting.demo.chance import DAY
from alerting.demo.line import new_line, simulate
from alerting.episodes.predictions import (
    HORIZON_PASSED,
    PredictionRule,
)
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.learning.data.dataset import Dataset, build_dataset
from alerting.learning.metrics.metrics import announces, occurred_after
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import finish_challenger, observe_part
from alerting.learning.selection.operating_point import (
    ObservedRows,
    choose_threshold,
    predicted_episodes_at,
)
from alerting.ports import silent
from benchmarks.automl.cells import ours
from benchmarks.helpers.public_data import ABSENT, EXAMPLES, ai4i, azure, folder, roasting
from benchmarks.trial.readings import LineReadings

Floats = npt.NDArray[np.float64]
ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
DEMO_DAYS = 42
SEARCH = {"trials": 3, "folds": 2, "candidates": ["lightgbm"]}
PUBLIC: dict[str, Callable[..., tuple[ClassifierDefinition, Dataset]]] = {
    "roasting": roasting,
    "azure": azure,
    "ai4i": ai4i,
}
TASKS = (*PUBLIC, "demo")
RULES = ("earlier", "today")
FALSE_A_WEEK = (1.0, 3.0, 10.0)  # false episodes of an asset
TIME_IN_ALARM = (0.02, 0.05, 0.2)
THRESHOLDS = 150
SAMPLES = 2000
WEEK_S = 604_800


class EarlierRule(PredictionRule):
    """The rule until November 2026: an alarm ends gap + horizon after its raise, and is judged by
    its raise alone."""

    def _end(self, raised: int, since: int, highs: Any) -> Any:
        return (
            super()
            ._end(raised, since, highs)
            ._replace(at=raised + self.window_ms, last_high_at=raised, reason=HORIZON_PASSED)
        )

    def continues(self, last_high: int | None, ended: int | None, raised: int) -> bool:  # noqa: ARG002
        return False


@dataclass(frozen=True)
class Scored:
    """The scores of one part of the history, and what was observed there under both rules."""

    observed: Mapping[str, ObservedRows]
    score: Floats


@dataclass(frozen=True)
class Case:
    """One task and seed. `definition` has the operating point."""

    task: str
    seed: int
    definition: TrainedDefinition
    parts: Mapping[str, Scored]


@dataclass(frozen=True)
class Judged:
    """Alarms of a threshold by one measure. `lead_s`: of each counted problem, NaN where it was not
    found; `false`: episodes without their problem; shares are of the observed time."""

    lead_s: Floats
    false: int
    false_a_week: float
    in_alarm: float
    covered: float


def dataset_of(task: str, seed: int) -> tuple[ClassifierDefinition, Dataset]:
    """Return definition and rows of a task: a demo line of the seed, or public data."""
    learning = {**SEARCH, "seed": seed}
    data = folder()
    if task in PUBLIC and data is not None:
        return PUBLIC[task](data, **learning)
    document = yaml.safe_load((EXAMPLES / "demo" / "biscuits-too-moist.yaml").read_text("utf-8"))
    definition = ClassifierDefinition.model_validate(document | {"learning": learning})
    advance = simulate(new_line(seed + 1, ORIGIN, 0), DEMO_DAYS * DAY)
    readings = LineReadings(demo_asset(), DEMO_DAYS * DAY)
    readings.add(advance)
    until = advance.state.until
    history = readings.load(demo_asset(), None, until)
    return definition, build_dataset(definition, 1, [history], until)


def score_case(task: str, seed: int, kept: Path) -> Case:
    """Return a case; its model is trained unless its scores are kept."""
    definition, dataset = dataset_of(task, seed)
    version = ours(1).version["learning"]
    file = kept / f"{task}-{seed}-{version}.npy"
    if not file.exists():
        candidate = search_candidate(dataset, definition, "lightgbm", silent)
        model, _ = finish_challenger(dataset, candidate, definition)
        kept.mkdir(parents=True, exist_ok=True)
        np.save(file, model.score(dataset.rows))
    score = np.load(file)
    parts = {part: _scored(definition, dataset, score, part) for part in ("validation", "test")}
    return Case(task, seed, definition, parts)


def _scored(definition: TrainedDefinition, dataset: Dataset, score: Floats, part: str) -> Scored:
    rows = dataset.part == part
    today = observe_part(definition, dataset, rows)
    return Scored(with_both_rules(today), score[rows])


def with_both_rules(today: ObservedRows) -> dict[str, ObservedRows]:
    """Return the observed rows under each rule. `today`: under the rule in service."""
    fields = ("occurrences", "window_ms", "horizon_ms", "alarm_end", "state", "of_unit")
    rules = {
        name: EarlierRule(*(getattr(rule, field) for field in fields))
        for name, rule in today.rules.items()
    }
    return {"earlier": replace(today, rules=rules), "today": today}


def judge(scored: Scored, rule: str, threshold: float) -> Judged:
    """Return the alarms of a threshold under a rule, by a measure that is the same for both."""
    observed = scored.observed[rule]
    gap = observed.gap_ms
    horizon = observed.horizon_ms
    lead_s: list[float] = []
    false = in_alarm = covered = 0
    for name, episodes in predicted_episodes_at(observed, scored.score, threshold).items():
        problems = observed.problems[name]
        lead = np.full(len(problems.start), np.nan)
        until = 0
        for episode in episodes:
            last = episode.raised if episode.last_high is None else episode.last_high
            verdict, which = occurred_after(episode.raised, problems, gap, horizon, last)
            false += verdict == "no"
            in_alarm += episode.ended - episode.raised
            end = episode.ended if which is not None else last + gap + horizon
            covered += max(0, end - max(until, episode.raised))
            until = max(until, end)
            if which is not None and announces(episode.raised, int(problems.start[which]), gap):
                ahead = (int(problems.start[which]) - episode.raised) / 1000
                lead[which] = np.nanmax([lead[which], ahead])
        lead_s += lead[problems.counted].tolist()
    seconds = sum(observed.observed_s.values())
    return Judged(
        np.array(lead_s),
        int(false),
        false / (seconds / WEEK_S),
        in_alarm / 1000 / seconds,
        covered / 1000 / seconds,
    )


def chosen(case: Case, rule: str) -> Judged:
    """Return the test period at the threshold that this rule takes on validation."""
    validation = case.parts["validation"]
    threshold = choose_threshold(
        validation.observed[rule], validation.score, case.definition.operating_point, case.seed
    ).threshold
    return judge(case.parts["test"], rule, threshold)


def curve(case: Case, rule: str) -> list[Judged]:
    """Return the test period at many thresholds, densest at the highest scores."""
    test = case.parts["test"]
    distinct = np.unique(test.score[~np.isnan(test.score)])[::-1]
    ranks = np.unique(np.geomspace(1, len(distinct), THRESHOLDS).astype(int)) - 1
    return [judge(test, rule, float(threshold)) for threshold in distinct[ranks]]


def best_found(met: Sequence[Judged], false_a_week: float, share: float, measure: str) -> Floats:
    """Return which problems (1 or 0) the best threshold within both limits finds."""
    allowed = [m for m in met if m.false_a_week <= false_a_week and getattr(m, measure) <= share]
    best = max(allowed, key=lambda m: int((~np.isnan(m.lead_s)).sum()), default=None)
    none = np.full(len(met[0].lead_s), np.nan)
    return np.asarray(~np.isnan(none if best is None else best.lead_s), np.float64)


def run() -> dict[str, Any]:
    """Return both rules by task at their own thresholds and at equal limits, and their
    differences."""
    if folder() is None:
        return {"benchmark": "alarm_rule", "met": None, "note": ABSENT}
    kept = Path(os.environ.get("ALERTING_BENCH_KEPT", ".alerting/benchmarks")) / "alarm_rule"
    seeds = range(int(os.environ.get("ALERTING_BENCH_SEEDS", "5")))
    return compare([score_case(task, seed, kept) for task in TASKS for seed in seeds])


def compare(cases: Sequence[Case]) -> dict[str, Any]:
    """Return the comparison of both rules on cases."""
    own = [{rule: chosen(case, rule) for rule in RULES} for case in cases]
    curves = [{rule: curve(case, rule) for rule in RULES} for case in cases]
    found = [{rule: _is_found(met[rule]) for rule in RULES} for met in own]
    equal = {measure: _found_within(curves, measure) for measure in ("in_alarm", "covered")}
    fewer = [met["earlier"].false - met["today"].false for met in own]
    bounds = {name: _interval(cases, pairs) for name, pairs in {"found": found, **equal}.items()}
    return {
        "benchmark": "alarm_rule",
        "figure": _mean(equal["in_alarm"], "today"),
        "unit": "share of problems found at equal false episodes a week and time in alarm",
        "peer": "an alarm of one horizon from its raise",
        "peer_figure": _mean(equal["in_alarm"], "earlier"),
        "ratio": round(_mean(equal["in_alarm"], "today") / _mean(equal["in_alarm"], "earlier"), 3),
        "difference_95": bounds["in_alarm"],
        "difference_at_equal_cover_95": bounds["covered"],
        "difference_at_own_thresholds_95": bounds["found"],
        "false_episodes": {rule: sum(met[rule].false for met in own) for rule in RULES},
        "fewer_false_episodes": _sign_test(fewer),
        "tasks": {task: _of_task(task, cases, own, equal) for task in TASKS},
        "goal": "finds no fewer at its own thresholds, and more at equal limits",
        "met": bounds["found"][1] >= 0 and bounds["in_alarm"][0] > 0,
    }


def _is_found(met: Judged) -> Floats:
    return np.asarray(~np.isnan(met.lead_s), np.float64)


def _found_within(
    curves: Sequence[Mapping[str, Sequence[Judged]]], measure: str
) -> list[dict[str, Floats]]:
    """Return, by case and rule, the share of all pairs of limits at which each problem is found."""
    limits = list(product(FALSE_A_WEEK, TIME_IN_ALARM))
    return [
        {
            rule: np.mean([best_found(of_case[rule], *limit, measure) for limit in limits], axis=0)
            for rule in RULES
        }
        for of_case in curves
    ]


def _mean(pairs: Sequence[Mapping[str, Floats]], rule: str) -> float:
    """Return the mean over cases of the share of problems found."""
    return round(float(np.mean([pair[rule].mean() for pair in pairs])), 4)


def _interval(cases: Sequence[Case], pairs: Sequence[Mapping[str, Floats]]) -> list[float]:
    """Return the 95 % interval of the mean difference over tasks, by a bootstrap over problems:
    those of public data are the same in every seed, and drawn together."""
    random = np.random.default_rng(0)
    drawn = []
    for task in TASKS:
        own = [
            pair["today"] - pair["earlier"]
            for case, pair in zip(cases, pairs, strict=True)
            if case.task == task
        ]
        if own:
            gained = np.mean(own, axis=0) if task in PUBLIC else np.concatenate(own)
            drawn.append(random.choice(gained, (SAMPLES, len(gained))).mean(axis=1))
    return [round(float(v), 4) for v in np.quantile(np.mean(drawn, axis=0), [0.025, 0.975])]


def _sign_test(differences: Sequence[int]) -> dict[str, float]:
    """Return how many differences are above and below zero, and the exact two-sided probability."""
    from scipy.stats import binomtest

    above = sum(d > 0 for d in differences)
    below = sum(d < 0 for d in differences)
    p = float(binomtest(above, above + below).pvalue) if above + below else 1.0
    return {"above": above, "below": below, "p": round(p, 6)}


def _of_task(
    task: str,
    cases: Sequence[Case],
    own: Sequence[Mapping[str, Judged]],
    equal: Mapping[str, Sequence[Mapping[str, Floats]]],
) -> dict[str, Any]:
    which = [number for number, case in enumerate(cases) if case.task == task]
    described = {}
    for rule in RULES:
        met = [own[number][rule] for number in which]
        leads = np.concatenate([m.lead_s[~np.isnan(m.lead_s)] for m in met])
        described[rule] = {
            "found": [int(_is_found(m).sum()) for m in met],
            "false": [m.false for m in met],
            "time_in_alarm": round(float(np.mean([m.in_alarm for m in met])), 4),
            "covered": round(float(np.mean([m.covered for m in met])), 4),
            "median_lead_min": round(float(np.median(leads)) / 60, 1) if len(leads) else None,
            **{
                f"found_at_equal_{measure}": _mean([equal[measure][n] for n in which], rule)
                for measure in equal
            },
        }
    return {"problems": len(own[which[0]]["today"].lead_s), **described} if which else {}
