"""Trainings on noise, and on a weak signal beside them: the shares that are promoted. It runs only
by name, because it takes hours.

Eight variables of noise with an autocorrelation of .8 from one reading to the next, one reading
every 30 minutes of 40 days, and 25 events at random instants; LightGBM and the logistic regression
with the default trials and folds (a forest would double the time). `signal`: one variable is 1.5
standard deviations higher in the three hours before each event. `alone`: the same data, but the
training may use that variable alone.

Each training is one line of `chance.jsonl` below ALERTING_BENCH_KEPT (.alerting/benchmarks), named
by the version of the learning part, and is not made again: a run that was stopped goes on.
ALERTING_BENCH_TRAININGS: trainings of each of the three (200). At most .025 of those on noise may
be promoted, and of those on the signal at least .9 of the share of `alone`.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

import alerting.learning
from alerting.adapters.memory.platform import memory_platform
from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.learning.score_metrics import wilson_interval
from alerting.ports import EventRow, ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from alerting.usecases.training.training_steps import train

Line = Literal["noise", "signal", "alone"]
LINES: tuple[Line, ...] = ("noise", "signal", "alone")
START = datetime(2026, 1, 1, tzinfo=UTC)
# HORIZON: in steps
STEP = timedelta(minutes=30)
DAYS = 40
HORIZON = 6
EVENTS = 25
VARIABLES = tuple(f"sensor_{number}" for number in range(1, 9))
FAMILIES = ("lightgbm", "logistic_regression")
AUTOCORRELATION = 0.8
RISE = 1.5  # of the signal, in standard deviations
FIRST_SEED = 70_000  # the tests against chance were made on smaller ones
MOST_OF_NOISE = 0.025
LEAST_OF_ALONE = 0.9


def run() -> dict[str, Any]:
    """Return the shares of trainings that were promoted; the peer is the training on the variable
    that has the signal."""
    trainings = int(os.environ.get("ALERTING_BENCH_TRAININGS", "200"))
    file = Path(os.environ.get("ALERTING_BENCH_KEPT", ".alerting/benchmarks")) / "chance.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    of_code = version()
    made = {(one["line"], one["seed"]): one for one in _read(file) if one["version"] == of_code}
    seeds = range(FIRST_SEED, FIRST_SEED + trainings)
    for seed in seeds:
        for line in LINES:
            if (line, seed) not in made:
                key = {"line": line, "seed": seed, "version": of_code}
                made[line, seed] = key | training(line, seed)
                with file.open("a") as out:
                    out.write(json.dumps(made[line, seed]) + "\n")
    return summarise([made[line, seed] for seed in seeds for line in LINES])


def summarise(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the shares promoted of each line with their 95 % intervals (Wilson), and whether the
    goals are met. `results`: of `training`, each with its `line`."""
    by_line = {line: [r for r in results if r["line"] == line] for line in LINES}
    promoted = {line: sum(r["promoted"] for r in by_line[line]) for line in LINES}
    shares = {line: promoted[line] / len(by_line[line]) for line in LINES}
    ratio = shares["signal"] / max(shares["alone"], 1 / len(by_line["alone"]))
    return {
        "benchmark": "chance",
        "figure": round(shares["signal"], 4),
        "unit": "share of trainings on the weak signal that were promoted",
        "peer": "trainings on the variable with the signal alone",
        "peer_figure": round(shares["alone"], 4),
        "ratio": round(ratio, 3),
        "promoted": {line: f"{promoted[line]} of {len(by_line[line])}" for line in LINES},
        "intervals": {
            line: [round(end, 4) for end in wilson_interval(promoted[line], len(by_line[line]))]
            for line in LINES
        },
        "beyond_chance": {line: sum(r["ap"] > r["bound"] for r in by_line[line]) for line in LINES},
        "trials": sorted({r["trials"] for r in results}),
        "seconds_a_training": round(float(np.median([r["seconds"] for r in results])), 1),
        "goal": f"noise at most {MOST_OF_NOISE:.1%}, signal at least {LEAST_OF_ALONE:.0%} of alone",
        "met": shares["noise"] <= MOST_OF_NOISE and ratio >= LEAST_OF_ALONE,
    }


def training(line: Line, seed: int) -> dict[str, Any]:
    """Train once and return the decision."""
    began = time.process_time()
    platform = memory_platform()
    end = START + timedelta(days=DAYS)
    platform.assets.store_assets(
        [Asset(name="press-1", variables={name: Variable() for name in VARIABLES})]
    )
    platform.assets.put_event_types([EventType(name="failure", duration="instant")])
    values, events = make_line(0.0 if line == "noise" else RISE, seed)
    instants = pd.date_range(START, periods=len(values), freq=STEP).to_pydatetime()
    rows = [
        ReadingRow("press-1", at, dict(zip(VARIABLES, row.tolist(), strict=True)))
        for at, row in zip(instants, values, strict=True)
    ]
    add_readings(platform, rows, end)
    starts = [START + STEP * (int(row) + 0.5) for row in events]
    add_events(
        platform, [EventRow("press-1", "failure", at, at, "benchmark") for at in starts], end
    )
    document = {
        "name": "fails",
        "kind": "classifier",
        "assets": ["press-1"],
        "problem": {"event": "failure"},
        "horizon": "3h",
        "features": {"stride": "30m"},
        "learning": {"seed": seed, "candidates": FAMILIES},
        **({"include": [VARIABLES[0]]} if line == "alone" else {}),
    }
    apply(platform, [document], "benchmark", START, "benchmark")
    proposal = train(platform, "fails", end)
    chance = proposal.evidence["chance"]
    return {
        "promoted": proposal.promote and not proposal.waiting,
        "verdict": proposal.verdict,
        "trials": chance["trials"],
        "ap": chance["ap"],
        "bound": chance["bound"],
        "found": proposal.test.get("found_in_validation"),
        "seconds": round(time.process_time() - began, 2),
    }


def make_line(rise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the readings (rows x variables), and the rows of the events. `rise`: of the first
    variable before them, in standard deviations."""
    random = np.random.default_rng([seed, EVENTS])
    rows = round(timedelta(days=DAYS) / STEP)
    values = random.standard_normal((rows, len(VARIABLES)))
    fresh = np.sqrt(1 - AUTOCORRELATION**2)
    for i in range(1, rows):
        values[i] = AUTOCORRELATION * values[i - 1] + fresh * values[i]
    events = np.sort(random.choice(np.arange(HORIZON, rows), EVENTS, replace=False))
    before = np.unique(events[:, None] - np.arange(HORIZON + 1))
    values[before, 0] += rise
    return values, events


def _read(file: Path) -> list[dict[str, Any]]:
    """Return the trainings done; a last line that a stop cut off is ended, and left out."""
    text = file.read_text() if file.exists() else ""
    whole, _, rest = text.rpartition("\n")
    if rest:
        with file.open("a") as out:
            out.write("\n")
    return [json.loads(line) for line in whole.splitlines() if line.endswith("}")]


def version() -> str:
    """Return the version of the learning part, from its files."""
    digest = hashlib.sha256()
    for file in sorted(Path(next(iter(alerting.learning.__path__))).rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:10]
