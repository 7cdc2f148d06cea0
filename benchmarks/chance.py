"""Trainings on noise, and on a real signal beside them: the share that is promoted. It runs only by
name, because it takes hours.

Three variables of noise, white or with an autocorrelation of .95 from one reading to the next, and
15 or 40 events at random instants of 60 days; one reading every 30 minutes, the default search. 50
seeds for each of the four settings: at most 10 of the 200 may be promoted. With a signal, one
variable rises by two standard deviations in the three hours before each event.

Each training is one line of `chance.jsonl` below ALERTING_BENCH_KEPT (.alerting/benchmarks), named
by the version of the learning part, and is not made again: a run that was stopped goes on.
ALERTING_BENCH_SEEDS: seeds a setting (50).
"""

import hashlib
import json
import os
import time
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import alerting.learning
from alerting.adapters.memory.platform import memory_platform
from alerting.definitions.assets import Asset, EventType, Variable
from alerting.ports import EventRow, ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.ingestion.arrivals import add_events, add_readings
from alerting.usecases.training.train import train

START = datetime(2026, 1, 1, tzinfo=UTC)
# HORIZON: in steps
STEP = timedelta(minutes=30)
DAYS = 60
HORIZON = 6
SETTINGS = tuple(product(("ar", "white"), (15, 40)))
MOST_PROMOTED = 0.05
RISE = 2.0  # of the signal, in standard deviations


def run() -> dict[str, Any]:
    """Return the share of trainings on noise that were promoted; the peer is the share allowed."""
    seeds = int(os.environ.get("ALERTING_BENCH_SEEDS", "50"))
    wanted = [
        (noise, problems, rise, seed)
        for seed, rise, (noise, problems) in product(range(seeds), (0.0, RISE), SETTINGS)
    ]
    file = Path(os.environ.get("ALERTING_BENCH_KEPT", ".alerting/benchmarks")) / "chance.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    version = _version()
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    made = {tuple(line["key"]): line for line in lines if line["version"] == version}
    for key in wanted:
        if key not in made:
            made[key] = {"key": key, "version": version, **training(*key)}
            with file.open("a") as out:
                out.write(json.dumps(made[key]) + "\n")
    results = [made[key] for key in wanted]
    false = [r["promoted"] for r in results if not r["key"][2]]
    share = float(np.mean(false))
    return {
        "benchmark": "chance",
        "figure": round(share, 4),
        "unit": f"share of {len(false)} trainings on noise that were promoted",
        "peer": "the share allowed",
        "peer_figure": MOST_PROMOTED,
        "ratio": round(MOST_PROMOTED / max(share, 1 / len(false)), 2),
        "promoted": {
            f"{'signal' if rise else 'noise'} {noise}, {problems} problems": (
                f"{sum(r['promoted'] for r in part)} of {len(part)}"
            )
            for rise, (noise, problems) in product((0.0, RISE), SETTINGS)
            if (part := [r for r in results if tuple(r["key"][:3]) == (noise, problems, rise)])
        },
        "trials": sorted({r["trials"] for r in results}),
        "seconds_a_training": round(float(np.median([r["seconds"] for r in results])), 1),
        "goal": f"at most {MOST_PROMOTED:.0%} promoted on noise",
        "met": share <= MOST_PROMOTED,
    }


def training(noise: str, problems: int, rise: float, seed: int, trials: int = 8) -> dict[str, Any]:
    """Train once and return the decision. `rise`: of the signal, 0 for none; `trials`: parameter
    sets of each family."""
    began = time.monotonic()
    platform = memory_platform()
    end = START + timedelta(days=DAYS)
    names = ("pressure", "speed", "temperature")
    platform.assets.store_assets(
        [Asset(name="press-1", variables={name: Variable() for name in names})]
    )
    platform.assets.put_event_types([EventType(name="failure", duration="instant")])
    values, events = _noise(noise, problems, rise, seed)
    instants = pd.date_range(START, periods=len(values), freq=STEP).to_pydatetime()
    rows = [
        ReadingRow("press-1", at, dict(zip(names, row.tolist(), strict=True)))
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
        "learning": {"seed": seed, "trials": trials},
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
        "seconds": round(time.monotonic() - began, 2),
    }


def _noise(noise: str, problems: int, rise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the readings of three variables (rows x 3), and the rows of the events."""
    random = np.random.default_rng([seed, problems, noise == "ar"])
    rows = round(timedelta(days=DAYS) / STEP)
    values = random.standard_normal((rows, 3))
    if noise == "ar":
        for i in range(1, rows):
            values[i] = 0.95 * values[i - 1] + np.sqrt(1 - 0.95**2) * values[i]
    events = np.sort(random.choice(np.arange(HORIZON, rows), problems, replace=False))
    for event in events:
        values[event - HORIZON : event + 1, 0] += rise
    return values, events


def _version() -> str:
    digest = hashlib.sha256()
    for file in sorted(Path(next(iter(alerting.learning.__path__))).rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:10]
