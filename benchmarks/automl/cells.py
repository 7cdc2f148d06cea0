"""Cells: results of one system on one task with one budget and seed. Each is measured once, in its
own process, and stored as one JSON file with all its dependencies, so that an interrupted
comparison continues after its last cell."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import alerting.learning
from benchmarks.automl.tasks import Task

ROOT = Path(__file__).parents[2]
PEERS = Path(__file__).with_name("peers.py")
PATIENCE_S = 900  # time beyond its budget after which a system is stopped


@dataclass(frozen=True)
class System:
    """A system that searches. `version`: of everything that affects its result; `share`: its share
    of the budget."""

    name: str
    python: str
    version: dict[str, str]
    share: float = 1.0


def ours(share: float) -> System:
    """Return this platform as a system; its version is a hash of the source of its learning
    part."""
    digest = hashlib.sha256()
    for file in sorted(Path(next(iter(alerting.learning.__path__))).rglob("*.py")):
        digest.update(file.read_bytes())
    packages = {name: version(name) for name in ("lightgbm", "scikit-learn", "optuna", "numpy")}
    return System("ours", sys.executable, {"learning": digest.hexdigest()[:10]} | packages, share)


def peer(name: str, python: str) -> System | None:
    """Return a peer in the environment of this interpreter; None if it is not installed."""
    asked = subprocess.run(
        [python, str(PEERS), name, "--versions"], capture_output=True, text=True, check=False
    )
    return System(name, python, json.loads(asked.stdout)) if asked.returncode == 0 else None


def cell(
    kept: Path, task: Task, system: System, budget: float, seed: int, core: int
) -> dict[str, Any] | None:
    """Return the stored cell, or measure it. None, with the reason on standard error, if the system
    failed."""
    key = {
        "task": task.name,
        "part": task.part,
        "matrix": task.hash,
        "system": system.name,
        "version": system.version,
        "budget": budget,
        "share": system.share,
        "seed": seed,
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:8]
    file = kept / f"{task.name}-{task.part}-{system.name}-{budget:g}s-seed{seed}-{digest}.json"
    if not file.exists():
        answer = _measure(file.with_suffix(".part"), task, system, budget, seed, core)
        if answer is None:
            return None
        file.write_text(json.dumps(key | {"core": core, "load": os.getloadavg()[0]} | answer))
    return dict(json.loads(file.read_text()))


def _measure(
    answer: Path, task: Task, system: System, budget: float, seed: int, core: int
) -> dict[str, Any] | None:
    if system.name == "ours":
        command = [system.python, "-m", "benchmarks.automl.ours", str(task.folder), str(answer)]
    else:
        command = [
            system.python,
            str(PEERS),
            system.name,
            str(task.folder / "table.parquet"),
            str(answer),
        ]
        command += [] if task.ordered else ["--any-order"]
    command += ["--budget", str(budget * system.share), "--seed", str(seed), "--core", str(core)]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | one_thread,
            capture_output=True,
            text=True,
            timeout=budget + PATIENCE_S,
            check=False,
        )
        fault = done.stderr.strip()[-500:] if done.returncode else None
    except subprocess.TimeoutExpired:
        fault = f"not done {PATIENCE_S} s after its budget"
    if fault is not None:
        print(f"{task.name}, {system.name}, {budget:g} s, seed {seed}: {fault}", file=sys.stderr)
        return None
    content: dict[str, Any] = json.loads(answer.read_text())
    answer.unlink()
    return content
