"""Comparison of two revisions of the learning part on public data: metrics of the test periods,
paired by rows.

Azure with and without error events, roasting with both laboratories, AI4I in the order of UDI and
on five stratified folds; three seeds each (ALERTING_BENCH_SEEDS). Every training is one line of
`steps.jsonl` below ALERTING_BENCH_KEPT (.alerting/benchmarks), named by the version of the learning
part, with label and score of each test row; a run that was stopped goes on.

To measure an earlier revision, copy this file and public_data.py into a checkout of it, and run it
there with the same ALERTING_BENCH_KEPT. ALERTING_BENCH_AGAINST names the version to compare with:
the difference has 95 % intervals from a paired bootstrap of blocks of the rows that both scored.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import alerting.learning
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.learning.data.dataset import Dataset
from alerting.learning.features.encoding import Columns
from alerting.learning.metrics.bootstrap import bootstrap_calibration, bootstrap_rows, time_blocks
from alerting.learning.metrics.metrics import row_metrics
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import finish_challenger, fit_rows
from alerting.learning.selection.choice import choose
from benchmarks.helpers.public_data import ABSENT, ai4i, azure, folder, roasting, stratified

Loader = Callable[[Path], tuple[ClassifierDefinition, Dataset]]
TASKS: Mapping[str, Loader] = {
    "azure": azure,
    "azure-errors": partial(azure, errors=True),
    "roasting": roasting,
    "roasting-fast": partial(roasting, assets="assets-fast-laboratory.yaml"),
    "ai4i": ai4i,
    "ai4i-folds": ai4i,
}
FOLDS = 5
EVENTS = ("n_found", "n_events", "n_false_alarms", "false_alarms_per_week", "median_lead_time")
Line = dict[str, Any]


def run() -> dict[str, Any]:
    """Return the metrics of every task as the mean of its seeds, and the differences to the version
    compared with."""
    frame = {
        "benchmark": "steps",
        "unit": "mean average precision on the test rows of six tasks",
        "goal": "no worse beyond bounds",
    }
    data = folder()
    if data is None:
        return frame | {
            "figure": None,
            "peer_figure": None,
            "ratio": None,
            "met": None,
            "skipped": ABSENT,
        }
    file = Path(os.environ.get("ALERTING_BENCH_KEPT", ".alerting/benchmarks")) / "steps.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    version = _version()
    seeds = range(int(os.environ.get("ALERTING_BENCH_SEEDS", "3")))
    wanted = [
        (task, part, seed)
        for seed, task in product(seeds, TASKS)
        for part in range(FOLDS if task == "ai4i-folds" else 1)
    ]
    for key in wanted:
        if key not in _lines(file, version):
            with file.open("a") as out:
                out.write(
                    json.dumps({"key": key, "version": version, **training(data, *key)}) + "\n"
                )
    lines = _lines(file, version)
    before = _lines(file, os.environ.get("ALERTING_BENCH_AGAINST", ""))
    before = before if all(key in before for key in wanted) else {}
    tasks = {task: _compare([k for k in wanted if k[0] == task], lines, before) for task in TASKS}
    figure = float(np.mean([task["ap"] for task in tasks.values()]))
    peer = float(np.mean([task["before"]["ap"] for task in tasks.values()])) if before else None
    return frame | {
        "version": version,
        "figure": round(figure, 4),
        "peer": os.environ.get("ALERTING_BENCH_AGAINST"),
        "peer_figure": peer and round(peer, 4),
        "ratio": peer and round(figure / peer, 3),
        "met": all(task["difference"]["ap"][1] >= 0 for task in tasks.values()) if before else None,
        "tasks": tasks,
    }


def training(data: Path, task: str, part: int, seed: int) -> Line:
    """Train as a training does; return the events of the test period, and label and score of its
    rows, of twin and refit.

    The refit is fitted on training and validation rows only, so that the test rows judge it.
    """
    definition, dataset = TASKS[task](data)
    definition = definition.model_copy(
        update={"learning": definition.learning.model_copy(update={"seed": seed})}
    )
    dataset = stratified(dataset, FOLDS)[part] if task == "ai4i-folds" else dataset
    wall = time.monotonic()
    cpu = time.process_time()
    candidates = [
        search_candidate(dataset, definition, family, lambda *_: None)
        for family in definition.families
    ]
    choice = choose(dataset, definition, candidates)
    if choice.candidate is None:
        return {"refused": choice.chance.message}
    model, evidence = finish_challenger(dataset, choice.candidate, definition)
    took = {
        "seconds": round(time.monotonic() - wall, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
    }
    matrix = Columns.from_plan(dataset.plan).matrix(dataset.rows)
    test = dataset.measured_in("test")
    known = dataset.fit & np.isin(dataset.part, ("train", "validation"))
    refit = fit_rows(dataset, choice.candidate, definition, matrix, known, dataset.label)
    scores = {
        n: model.calibration.probability(e.margin_of(matrix[test]))
        for n, e in (("twin", model.estimator), ("refit", refit))
    }
    events = asdict(evidence.events["test"])
    return {
        **took,
        "family": choice.candidate.family,
        "events": {name: events[name] for name in EVENTS} if not task.startswith("ai4i") else {},
        "horizon_ms": dataset.horizon_ms,
        "at": dataset.at[test].tolist(),
        "asset": dataset.asset[test].tolist(),
        "label": dataset.label[test].tolist(),
        "score": {name: np.round(score, 6).tolist() for name, score in scores.items()},
    }


def _version() -> str:
    digest = hashlib.sha256()
    for file in sorted(Path(next(iter(alerting.learning.__path__))).rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:10]


def _lines(file: Path, version: str) -> dict[tuple[str, int, int], Line]:
    lines = map(json.loads, file.read_text().splitlines()) if file.exists() else ()
    return {tuple(line["key"]): line for line in lines if line["version"] == version}


def _compare(
    keys: Sequence[Any], lines: Mapping[Any, Line], before: Mapping[Any, Line]
) -> dict[str, Any]:
    """Return metrics of a task, of the refit beside the twin, and the intervals of their
    differences to those before."""
    found = _summary(keys, lines)
    if before:
        found |= {"before": _summary(keys, before), "difference": _difference(keys, lines, before)}
    return found


def _summary(keys: Sequence[Any], lines: Mapping[Any, Line]) -> dict[str, Any]:
    own = [lines[key] for key in keys if "score" in lines[key]]
    metrics = pd.DataFrame([_metrics(line, "twin") for line in own]).mean().round(4)
    refit = (
        pd.DataFrame([_metrics(line, "refit") for line in own if "refit" in line["score"]])
        .mean()
        .round(4)
        .to_dict()
    )
    return {
        **{str(name): float(value) for name, value in metrics.items()},
        "refit": refit,
        "ap_by_seed": [
            _mean_ap([line for line in own if line["key"][2] == seed])
            for seed in {line["key"][2]: 0 for line in own}
        ],
        "events": [line["events"] for line in own if line["events"]],
        "families": sorted({line["family"] for line in own}),
        "refused": len(keys) - len(own),
        "cpu_seconds": round(float(np.mean([line["cpu_seconds"] for line in own])), 1),
    }


def _mean_ap(lines: Sequence[Line]) -> float:
    return round(float(np.mean([_metrics(line, "twin")["ap"] for line in lines])), 4)


def _metrics(line: Line, fitted: str) -> dict[str, float | None]:
    label = np.array(line["label"], np.int8)
    score = np.array(line["score"][fitted])
    rows = row_metrics(label, score)
    slope = bootstrap_calibration(label, score, np.zeros(len(label), np.int64), 0)[
        "calibration_slope"
    ]
    return {"ap": rows["ap"], "brier": rows["brier"], "slope": float(slope[0])}


def _difference(
    keys: Sequence[Any], lines: Mapping[Any, Line], before: Mapping[Any, Line]
) -> dict[str, list[float]]:
    """Return 95 % intervals of the differences in AP and Brier score, as means over seeds and folds
    of the same draws."""
    drawn: dict[str, list[Any]] = {"ap": [], "brier": []}
    for key in keys:
        if "score" in lines[key] and "score" in before[key]:
            for name, values in _draw_both(lines[key], before[key]):
                drawn[name].append(values)
    return {
        name: np.nanquantile(np.mean(values, axis=0), [0.025, 0.975]).round(4).tolist()
        for name, values in drawn.items()
    }


def _draw_both(line: Line, earlier: Line) -> Iterator[tuple[str, Any]]:
    """Yield the differences in each draw of blocks of the rows that both scored; rows of AI4I are
    blocks of their own."""
    now, then = (
        pd.DataFrame(
            {
                "asset": one["asset"],
                "at": one["at"],
                "label": one["label"],
                "score": one["score"]["twin"],
            }
        )
        for one in (line, earlier)
    )
    rows = now.merge(then, on=["asset", "at"], suffixes=("", "_before"))
    label = rows["label"].to_numpy(np.int8)
    block = np.arange(len(rows))
    if not line["key"][0].startswith("ai4i"):
        block = time_blocks(
            rows["at"].to_numpy(), rows["asset"].to_numpy(object), 0, line["horizon_ms"]
        )
    after, earlier_drawn = (
        bootstrap_rows(label, rows[name].to_numpy(), block, 0, 1000)
        for name in ("score", "score_before")
    )
    yield from ((name, after[name] - earlier_drawn[name]) for name in ("ap", "brier"))
