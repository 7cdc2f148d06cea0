"""Comparison of our search with the better peer on one task with one budget, and the table of all
results."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.automl import cells
from benchmarks.automl.metrics import compute_metrics, interval, resampled
from benchmarks.automl.tasks import TASKS, Task, load
from benchmarks.helpers.public_data import ABSENT, folder

KEPT = Path(os.environ.get("ALERTING_BENCH_KEPT", ".alerting/benchmarks"))
AUTOGLUON = os.environ.get("ALERTING_BENCH_AUTOGLUON", "")
ALL = ("ours", "flaml", "autogluon")
MEASURED = ("ap", "brier", "event_recall", "seconds", "cpu_seconds", "peak_mib")
Cell = dict[str, Any]


def run() -> dict[str, Any]:
    """Return the results of a quick comparison: every task with 20 seconds and one seed."""
    results = [compare(task, 20.0, 1) for task in TASKS]
    figure, peer = (
        float(np.mean([r[key] or 0 for r in results])) for key in ("figure", "peer_figure")
    )
    return {
        "benchmark": "automl",
        "unit": f"mean average precision of {len(results)} tasks",
        "figure": round(figure, 4),
        "peer_figure": round(peer, 4),
        "ratio": round(figure / peer, 3) if peer else None,
        "met": None if any(r["met"] is None for r in results) else all(r["met"] for r in results),
        "tasks": results,
    }


def compare(
    name: str,
    budget: float,
    seeds: int,
    wanted: Sequence[str] = ALL,
    *,
    kept: Path = KEPT,
    core: int = 0,
    share: float = 0.5,
    autogluon: str = AUTOGLUON,
) -> dict[str, Any]:
    """Return every system's metrics, and the difference to the better peer with its confidence
    interval. Lost: it is below 0."""
    frame = {
        "benchmark": f"automl {name}",
        "unit": (
            f"average precision, {budget:g} s on one core, ours {share:g} of FLAML's CPU seconds, "
            f"mean of {seeds} seed(s)"
        ),
        "goal": (
            "not worse than the better peer beyond the 95 % bootstrap interval, in half of its time"
        ),
    }
    data = folder()
    if data is None:
        return _skipped(frame, ABSENT)
    kept.mkdir(parents=True, exist_ok=True)
    tasks = load(data, kept / "tasks", name)
    measured = {
        s.name: _cells(kept, tasks, s, budget, seeds, core)
        for s in _peers(autogluon)
        if s.name in wanted
    }
    if "ours" in wanted:
        had = _mean([cell["cpu_seconds"] for cell in measured.get("flaml", ())]) or budget
        ours = cells.ours(round(share * min(had / budget, 1.0), 3))
        measured = {"ours": _cells(kept, tasks, ours, budget, seeds, core)} | measured
    measured = {
        actor: found for actor, found in measured.items() if len(found) == len(tasks) * seeds
    }
    peers = [actor for actor in measured if actor != "ours"]
    if "ours" not in measured or not peers:
        return _skipped(frame, f"measured in full: {', '.join(measured) or 'nothing'}")
    return frame | _line(tasks, measured, peers)


def _skipped(frame: dict[str, Any], reason: str) -> dict[str, Any]:
    return frame | {
        "figure": None,
        "peer_figure": None,
        "ratio": None,
        "met": None,
        "skipped": reason,
    }


def _peers(autogluon: str) -> list[cells.System]:
    found = []
    for name, python in (
        ("flaml", sys.executable if find_spec("flaml") else ""),
        ("autogluon", autogluon),
    ):
        peer = cells.peer(name, python) if python else None
        if peer is None:
            print(f"left out, because it is not installed: {name}", file=sys.stderr)
        else:
            found.append(peer)
    return found


def _cells(
    kept: Path, tasks: Sequence[Task], system: cells.System, budget: float, seeds: int, core: int
) -> list[Cell]:
    found = [
        cells.cell(kept, task, system, budget, seed, core)
        for seed in range(seeds)
        for task in tasks
    ]
    return [cell for cell in found if cell is not None]


def _line(
    tasks: Sequence[Task], measured: Mapping[str, list[Cell]], peers: Sequence[str]
) -> dict[str, Any]:
    judged = {
        actor: [
            cell | compute_metrics(tasks[cell["part"]], np.array(cell["score"])) for cell in found
        ]
        for actor, found in measured.items()
    }
    means = {
        actor: {m: _mean([cell[m] for cell in found]) for m in MEASURED}
        for actor, found in judged.items()
    }
    scores = {
        part: {
            actor: [np.array(c["score"]) for c in found if c["part"] == part]
            for actor, found in measured.items()
        }
        for part in range(len(tasks))
    }
    drawn = resampled(tasks, scores)
    best = max(peers, key=lambda actor: means[actor]["ap"] or 0)
    difference = interval(drawn["ours"] - drawn[best])
    ours = means["ours"]
    theirs = means[best]
    half = (ours["cpu_seconds"] or 0) <= (theirs["cpu_seconds"] or 0) / 2
    return {
        "figure": ours["ap"],
        "peer": best,
        "peer_figure": theirs["ap"],
        "ratio": round((ours["ap"] or 0) / (theirs["ap"] or 1), 3),
        "difference_interval": difference,
        "in_half_of_its_time": half,
        "met": difference[1] >= 0 and half,
        "systems": {
            actor: _told(means[actor], judged[actor]) | {"ap_interval": interval(drawn[actor])}
            for actor in measured
        },
    }


def _told(means: dict[str, float | None], judged: Sequence[Cell]) -> dict[str, Any]:
    return means | {
        "budget": judged[0]["budget"],
        "ap_by_seed": [
            _mean([c["ap"] for c in judged if c["seed"] == seed])
            for seed in sorted({c["seed"] for c in judged})
        ],
        "core_share": round(
            sum(c["cpu_seconds"] for c in judged) / sum(c["seconds"] for c in judged), 2
        ),
        "version": judged[0]["version"],
        "chosen": [c["chosen"] for c in judged],
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return round(float(np.mean(known)), 4) if known else None


HEADINGS = (
    "task",
    "system",
    "AP (95 %)",
    "by seed",
    "Brier",
    "recall at 1/week",
    "seconds (CPU)",
    "peak MiB",
    "ours - better peer",
)


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """Return all results as a Markdown table."""
    rows: list[Sequence[str]] = [HEADINGS, ["---"] * len(HEADINGS)]
    for result in results:
        if "skipped" in result:
            rows.append([result["benchmark"], result["skipped"]])
        else:
            rows += [_row(result, actor, told) for actor, told in result["systems"].items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(result: Mapping[str, Any], actor: str, told: Mapping[str, Any]) -> list[str]:
    low, high = told["ap_interval"]
    least, most = result["difference_interval"]
    return [
        f"{result['benchmark'].removeprefix('automl ')}, {told['budget']:g} s",
        actor,
        f"{told['ap']:.3f} ({low:.2f} to {high:.2f})",
        " ".join(f"{ap:.3f}" for ap in told["ap_by_seed"]),
        f"{told['brier']:.4f}",
        "none" if told["event_recall"] is None else f"{told['event_recall']:.2f}",
        f"{told['seconds']:.0f} ({told['cpu_seconds']:.0f})",
        f"{told['peak_mib']:.0f}",
        f"{least:+.3f} to {most:+.3f}" if actor == "ours" else "",
    ]
