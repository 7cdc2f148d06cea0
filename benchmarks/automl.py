"""Our search against FLAML on public data, each with the same time and both cores; by name only, because it takes minutes.

Run: ALERTING_REAL_DATA=<folder> python -m benchmarks.automl [--budget 60] [--seeds 3] [--tasks azure,roasting] [--split time]
FLAML is an extra: pip install -e ".[bench]" -c config/constraints.txt

Both see the same matrix. Ours fits on the training part and calibrates on the validation part, as the platform does; FLAML,
which needs no validation part, fits on both. Neither sees the test part: the last fifth of the time, or, for AI4I, which has
no time stamps, the last fifth in the order of UDI, and besides that five stratified folds.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alerting.definitions.model import ClassifierDefinition, OperatingPoint
from alerting.learning.candidates import baseline_candidate
from alerting.learning.dataset import Dataset
from alerting.learning.encoding import Columns
from alerting.learning.metrics import Floats, row_metrics
from alerting.learning.operating_point import choose_threshold, judge_threshold, watch
from alerting.learning.search import search_candidate
from alerting.learning.selection import choose, finish_challenger
from benchmarks.public_data import ABSENT, ai4i, azure, folder, roasting, stratified

TASKS = ("azure", "roasting", "ai4i", "ai4i-folds")
ONE_A_WEEK = OperatingPoint(false_alarms_per_week=1.0, max_time_in_alarm=1.0)
BLOCK_MS = 86_400_000
SAMPLES = 200


@dataclass(frozen=True)
class Answer:
    """What one method made of one dataset: figures on the test part, and its scores there."""

    ap: float
    brier: float
    recall_at_one_a_week: float | None
    seconds: float
    peak_mib: int
    chosen: str
    score: Floats


def run() -> dict[str, Any]:
    """A quick look: 20 seconds each, one seed."""
    return compare(budget=20.0, seeds=1)


def compare(budget: float, seeds: int, tasks: Sequence[str] = TASKS, split: str = "auto") -> dict[str, Any]:
    """Every task and seed with both methods; a task is lost when the interval of the difference of AP lies under 0."""
    frame = {
        "benchmark": "automl",
        "unit": f"mean average precision of {len(tasks)} tasks, {budget:g} s each, {seeds} seed(s)",
        "peer": f"FLAML, split {split}",
        "goal": "on no task worse than the peer beyond the bootstrap interval",
    }
    data = folder()
    missing = ABSENT if data is None else None if find_spec("flaml") else "FLAML is not installed: pip install -e '.[bench]'"
    if data is None or missing:
        return frame | {"figure": None, "peer_figure": None, "ratio": None, "met": True, "skipped": missing}
    results = [_task(data, task, budget, seeds, split) for task in tasks]
    figure, peer = (float(np.mean([r[who]["ap"] for r in results])) for who in ("ours", "peer"))
    return frame | {
        "figure": round(figure, 4),
        "peer_figure": round(peer, 4),
        "ratio": round(figure / peer, 3),
        "met": not any(r["lost"] for r in results),
        "tasks": results,
    }


def _task(data: Path, task: str, budget: float, seeds: int, split: str) -> dict[str, Any]:
    pairs, differences = [], []
    for seed in range(seeds):
        parts = 5 if task == "ai4i-folds" else 1
        for part in range(parts):
            ours = _alone(_ours, data, task, part, seed, budget)
            theirs = _alone(_flaml, data, task, part, seed, budget, split)
            pairs.append((ours, theirs))
            differences.append(_difference(_load(data, task, part, seed)[1], ours.score, theirs.score, seed))
    low, high = (float(np.mean([d[i] for d in differences])) for i in (0, 1))
    return {
        "task": task,
        "ours": _mean([ours for ours, _ in pairs]),
        "peer": _mean([theirs for _, theirs in pairs]),
        "difference_interval": [round(low, 4), round(high, 4)],
        "lost": high < 0,
    }


def _alone(work: Callable[..., Answer], *arguments: Any) -> Answer:
    """In a fresh process, whose peak of memory is the method's own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def _load(data: Path, task: str, part: int, seed: int) -> tuple[ClassifierDefinition, Dataset]:
    loaders = {"azure": azure, "roasting": roasting}
    if task in loaders:
        return loaders[task](data, seed=seed)
    definition, dataset = ai4i(data, seed=seed)
    return definition, stratified(dataset, seed=seed)[part] if task == "ai4i-folds" else dataset


def _ours(data: Path, task: str, part: int, seed: int, budget: float) -> Answer:
    definition, dataset = _load(data, task, part, seed)
    began = time.monotonic()
    families = definition.learning.candidates
    candidates = [baseline_candidate(dataset, definition)]
    for done, family in enumerate(families):
        left = max(budget - (time.monotonic() - began), 0.0) / (len(families) - done)
        document = definition.model_dump(by_alias=True)
        document["learning"] |= {"trials": 1000, "time_budget": f"{left:.0f}s"}
        hurried = ClassifierDefinition.model_validate(document)
        candidates.append(search_candidate(dataset, hurried, family, lambda *_: None, stopwatch=time.monotonic))
    chosen = choose(candidates)
    if chosen is None:
        raise SystemExit(f"{task}: no candidate beats the baseline")
    model, _ = finish_challenger(dataset, chosen, definition)
    seconds = time.monotonic() - began
    score = model.score(dataset.rows[dataset.part == "test"])
    return _answer(dataset, score, seconds, f"{chosen.family} {_plain(chosen.params)}")


def _flaml(data: Path, task: str, part: int, seed: int, budget: float, split: str) -> Answer:
    from flaml import AutoML

    _, dataset = _load(data, task, part, seed)
    columns = Columns.of(dataset.plan)
    table = pd.DataFrame(columns.matrix(dataset.rows), columns=[f"c{i}" for i in range(len(columns.names))])
    for i in columns.categorical:
        table[f"c{i}"] = table[f"c{i}"].astype("category")
    known = np.flatnonzero((dataset.part == "train") | (dataset.part == "validation"))
    known = known[np.argsort(dataset.at[known], kind="stable")]
    began = time.monotonic()
    learner = AutoML()
    learner.fit(
        X_train=table.iloc[known].reset_index(drop=True),
        y_train=dataset.label[known].astype(int),
        task="classification",
        metric="ap",
        time_budget=budget,
        split_type=split,
        seed=seed,
        verbose=0,
    )
    seconds = time.monotonic() - began
    score = learner.predict_proba(table[dataset.part == "test"].reset_index(drop=True))[:, 1]
    return _answer(dataset, np.asarray(score, np.float64), seconds, f"{learner.best_estimator} {_plain(learner.best_config)}")


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    return {name: round(float(v), 4) if isinstance(v, float | np.number) else v for name, v in params.items()}


def _answer(dataset: Dataset, score: Floats, seconds: float, chosen: str) -> Answer:
    test = dataset.part == "test"
    figures = row_metrics(dataset.label[test], score)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    recall = None if dataset.definition == "machine-fails" else _recall(dataset, score)
    return Answer(float(figures["ap"] or 0), float(figures["brier"] or 0), recall, seconds, int(peak), chosen, score)


def _recall(dataset: Dataset, score: Floats) -> float | None:
    """Share of problems found at the best threshold with at most one false alarm a week and asset: a point of the curve."""
    test = dataset.part == "test"
    onset = dataset.predicts == "onset"
    watched = watch(
        at=dataset.at[test],
        asset=dataset.asset[test],
        problems=dataset.problems,
        onset=onset,
        observed_s=dataset.observed["test"],
        gap_ms=dataset.gap_ms,
        horizon_ms=dataset.horizon_ms,
    )
    threshold = choose_threshold(watched, score, ONE_A_WEEK, seed=0).threshold
    return judge_threshold(watched, score, threshold, seed=0, samples=0).event_recall


def _difference(dataset: Dataset, ours: Floats, theirs: Floats, seed: int) -> tuple[float, float]:
    """95 % of the difference of AP under resampling of whole days of an asset, the same for both."""
    test = dataset.part == "test"
    label, random = dataset.label[test], np.random.default_rng(seed)
    blocks = pd.factorize(pd.Series(dataset.asset[test]) + (dataset.at[test] // BLOCK_MS).astype(str))[0]
    if dataset.definition == "machine-fails":
        blocks = np.arange(len(label))  # products without time: each is its own
    n, drawn = int(blocks.max()) + 1, []
    for _ in range(SAMPLES):
        rows = np.repeat(np.arange(len(label)), np.bincount(random.integers(0, n, n), minlength=n)[blocks])
        if 0 < label[rows].sum() < len(rows):
            drawn.append((row_metrics(label[rows], ours[rows])["ap"] or 0) - (row_metrics(label[rows], theirs[rows])["ap"] or 0))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _mean(answers: Sequence[Answer]) -> dict[str, Any]:
    """Means over seeds and folds; what was chosen, of the first."""
    rows = [{k: v for k, v in asdict(a).items() if k not in ("score", "chosen")} for a in answers]
    means = {k: None if any(r[k] is None for r in rows) else round(float(np.mean([r[k] for r in rows])), 4) for k in rows[0]}
    return means | {"chosen": answers[0].chosen}


def main() -> None:
    """Options as said above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=60.0, help="seconds for each search (60)")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds (3)")
    parser.add_argument("--tasks", default=",".join(TASKS), help=f"of {', '.join(TASKS)}")
    parser.add_argument("--split", default="auto", choices=["auto", "time"], help="how FLAML splits what it fits on (auto)")
    options = parser.parse_args()
    print(json.dumps(compare(options.budget, options.seeds, options.tasks.split(","), options.split)))


if __name__ == "__main__":
    main()
