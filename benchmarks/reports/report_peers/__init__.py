"""Estimated performance and drift beside NannyML and Evidently, on the same rows: the largest
difference.

Neither is a dependency: ALERTING_BENCH_NANNYML and ALERTING_BENCH_EVIDENTLY name the interpreters
of environments that have them (`pip install nannyml==0.13.*`, `pip install evidently==0.7.*`);
without one its part is left out. Evidently chooses bins of its own for numbers, so its index is
compared over our bins, given to it as categories.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alerting.reporting.definition.drift import drift_of_inputs, quantile_edges
from alerting.reporting.definition.estimated import expected_performance

NANNYML = os.environ.get("ALERTING_BENCH_NANNYML", "")
EVIDENTLY = os.environ.get("ALERTING_BENCH_EVIDENTLY", "")
ROWS = 20_000
SEED = 7
LIMIT = 0.3
TOLERANCE = {
    "recall": 0.005,
    "precision": 0.005,
    "roc_auc": 0.005,
    "psi": 0.001,
    "wasserstein": 0.001,
}
PEERS = Path(__file__).parent


def run() -> dict[str, Any]:
    """Return the largest difference of each kind, and whether all lie within their tolerances."""
    measured: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        if NANNYML:
            measured |= _estimates(Path(folder))
        if EVIDENTLY:
            measured |= _drifts(Path(folder))
    differences = {name: abs(found["ours"] - found["peer"]) for name, found in measured.items()}
    limits = {name: TOLERANCE[name.split(" ")[0]] for name in differences}
    worst = max(differences, key=lambda name: differences[name] / limits[name], default=None)
    return {
        "benchmark": "report_peers",
        "figure": round(differences[worst], 6) if worst else None,
        "unit": f"largest difference against its tolerance ({worst})",
        "peer": "NannyML CBPE, Evidently drift",
        "ratio": None,
        "goal": f"within {TOLERANCE}",
        "met": all(differences[name] <= limits[name] for name in differences)
        if differences
        else None,
        "measured": measured,
    }


def _estimates(folder: Path) -> dict[str, dict[str, float]]:
    """Return ours and NannyML's estimates on calibrated scores whose distribution moves between
    reference and analysis."""
    rng = np.random.default_rng(SEED)
    frames = {}
    for name, b in (("reference", 8.0), ("analysis", 5.0)):
        score = rng.beta(0.6, b, ROWS)
        frame = pd.DataFrame({"score": score, "above": (score >= LIMIT).astype(int)})
        frames[name] = frame.assign(label=(rng.random(ROWS) < score).astype(int))
        frames[name].to_csv(folder / f"{name}.csv", index=False)
    peer = _peer(NANNYML, "nannyml_cbpe.py", folder / "reference.csv", folder / "analysis.csv")
    found = expected_performance(
        frames["analysis"]["score"].to_numpy(np.float64), np.full(ROWS, LIMIT)
    )
    ours = {"recall": found.recall, "precision": found.precision, "roc_auc": found.roc_auc}
    return {name: {"ours": float(value or 0), "peer": peer[name]} for name, value in ours.items()}


def _drifts(folder: Path) -> dict[str, dict[str, float]]:
    """Return ours and Evidently's drift of numbers that stay, move, spread and are skewed, and of a
    category."""
    rng = np.random.default_rng(SEED)
    same = rng.standard_normal((2, ROWS))
    before = pd.DataFrame(
        {
            "same": same[0],
            "moved": rng.normal(10, 2, ROWS),
            "spread": rng.normal(0, 1, ROWS),
            "skewed": rng.gamma(2, 3, ROWS),
        }
    )
    now = pd.DataFrame(
        {
            "same": same[1],
            "moved": rng.normal(11, 2, ROWS),
            "spread": rng.normal(0, 2, ROWS),
            "skewed": rng.gamma(3, 3, ROWS),
        }
    )
    product = {
        "before": rng.choice(["a", "b", "c"], ROWS, p=[0.6, 0.3, 0.1]),
        "now": rng.choice(["a", "b", "c"], ROWS, p=[0.4, 0.3, 0.3]),
    }
    for name, frame in (("before", before), ("now", now)):
        bins = {
            f"bin_{c}": np.searchsorted(quantile_edges(before[c].to_numpy()), frame[c].to_numpy())
            for c in before
        }
        frame.assign(**bins, bin_product=product[name]).to_csv(folder / f"{name}.csv", index=False)
    peer = _peer(EVIDENTLY, "evidently_drift.py", folder / "before.csv", folder / "now.csv")
    at = pd.date_range("2026-01-01", periods=ROWS, freq="1min", tz="UTC")
    sides = [
        frame.assign(product=product[name]).set_index(at)
        for name, frame in (("before", before), ("now", now))
    ]
    ours = drift_of_inputs({"x": sides[0]}, {"x": sides[1]})
    found = {f"psi {d.variable}": {"ours": d.psi, "peer": peer[f"bin_{d.variable}"]} for d in ours}
    distances = {d.variable: d.wasserstein for d in ours if d.wasserstein is not None}
    return found | {
        f"wasserstein {name}": {"ours": value, "peer": peer[name]}
        for name, value in distances.items()
    }


def _peer(python: str, script: str, *files: Path) -> dict[str, float]:
    done = subprocess.run(
        [python, str(PEERS / script), *map(str, files)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{script} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
