"""Recommendations on AI4I 2020 (`ALERTING_REAL_DATA`) beside DiCE 0.12 and the nearest normal row,
in the same run.

A LightGBM model; every predicted failure (.5 or more) of 30 %. Speed, torque, tool wear and process
temperature may be set within their observed range, type and air temperature may not. Truly safe:
none of the failures HDF, PWF and OSF by the rules of the data set. `ALERTING_BENCH_DICE` names the
interpreter of an environment with DiCE (pip install dice-ml==0.12).
"""

import json
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import train_test_split

from alerting.definitions.asset_documents import Asset, Variable
from alerting.episodes.episode import RecommendationResult
from alerting.learning.data.dataset import Dataset
from alerting.learning.experiment.trials import Trial
from alerting.learning.features.plan import Columns
from alerting.learning.models.families.contract import get_family
from alerting.learning.models.trained import TrainedModel
from alerting.learning.selection.candidates import Candidate
from alerting.learning.selection.challenger import finish_challenger
from alerting.readings.history import History, from_millis
from alerting.recommendation.explanation import recommend
from benchmarks.helpers import public_data
from benchmarks.helpers.memory import peak_mib

Floats = npt.NDArray[np.float64]
DICE = os.environ.get("ALERTING_BENCH_DICE", "")
SCRIPT = str(Path(__file__).parent / "peers" / "dice_counterfactuals.py")
AIR = "Air_temperature.last"
PROCESS = "Process_temperature.last"
SPEED = "Rotational_speed.last"
WEAR = "Tool_wear.last"
TORQUE = "Torque.last"
TYPE = "Type.last"
STEPS = {SPEED: 10.0, TORQUE: 0.5, WEAR: 5.0, PROCESS: 0.1}
MOST_STRAIN = {"L": 11_000, "M": 12_000, "H": 13_000}  # min Nm, by type
WORN = 200  # minutes from which on a tool may fail
NEAREST = 5
SEED = 0
AIMS = {
    "valid": 1.0,
    "changed": 1.5,
    "distance": 1.0,
    "unusual": 0.8,
    "truly_safe": 0.95,
    "forbidden": 0,
}


def run() -> dict[str, Any]:
    """Return the measures of every system over the same rows."""
    data = public_data.folder()
    if data is None:
        return {"benchmark": "recommend", "met": None, "note": public_data.ABSENT}
    model, dataset, table = _trained(data)
    alarmed = np.flatnonzero(
        (dataset.part == "test") & (model.score(dataset.rows) >= model.threshold)
    )
    measure = _Measure(model, dataset, table, alarmed)
    ours, results, seconds = _ours(model, dataset, alarmed, answers=3)
    single, of_one, of_single = _ours(model, dataset, alarmed, answers=1)
    systems = {
        "ours, up to three answers": {
            **measure(ours, seconds),
            "peak_mib": peak_mib(),
            **_searches(results),
        },
        "ours, one answer": {**measure(single, of_single), **_searches(of_one)},
        "nearest normal row": measure(*_nearest(measure)),
    }
    if DICE:
        for method in ("genetic", "random"):
            rows, taken, peak = _dice(method, model, measure)
            systems[f"DiCE {method}"] = {**measure(rows, taken), "peak_mib": peak}
    best = systems["ours, one answer"]
    peer = systems.get("DiCE genetic")
    met = all(
        best[k] >= v if k in ("valid", "truly_safe") else best[k] <= v for k, v in AIMS.items()
    )
    return {
        "benchmark": "recommend",
        "figure": best["seconds"],
        "unit": f"s for one answer, as the peer gives, median of {len(alarmed)} predicted failures",
        "peer": "DiCE genetic, one answer",
        "peer_figure": peer and peer["seconds"],
        "ratio": peer and round(peer["seconds"] / best["seconds"], 2),
        "goal": f"all at once: {AIMS}, and no slower than the peer",
        "met": (met and best["seconds"] <= peer["seconds"]) if peer else None,
        "systems": systems,
    }


def _trained(data: Path) -> tuple[TrainedModel, Dataset, pd.DataFrame]:
    """Return the model, its dataset split without regard to time with equal shares of failures, and
    the raw table."""
    definition, dataset = public_data.ai4i(data)
    rest, test = train_test_split(
        np.arange(len(dataset.label)), test_size=0.3, stratify=dataset.label, random_state=SEED
    )
    _, held = train_test_split(rest, test_size=0.2, stratify=dataset.label[rest], random_state=SEED)
    part = np.full(len(dataset.label), "train", dtype=object)
    part[test] = "test"
    part[held] = "validation"
    dataset = replace(dataset, part=part)
    params = {**get_family("lightgbm").defaults, "pairs": 6}
    candidate = Candidate(
        "lightgbm",
        params,
        np.empty(0),
        np.empty(0),
        {"ap": 0.5},
        (Trial(params, 0.5, (0.5,)),),
        1,
        False,
    )
    table = pd.read_csv(data / "ai4i2020" / "ai4i2020.csv", encoding="utf-8-sig").sort_values("UDI")
    model = finish_challenger(dataset, candidate, definition)[0]
    return replace(model, threshold=0.5), dataset, table


class _Measure:
    """The measures of changed rows (rows x columns of the model; NaN where a system found none) of
    the alarmed rows."""

    def __init__(
        self,
        model: TrainedModel,
        dataset: Dataset,
        table: pd.DataFrame,
        alarmed: npt.NDArray[np.int64],
    ) -> None:
        matrix = Columns.from_plan(dataset.plan).matrix(dataset.rows)
        self.model = model
        self.columns = list(dataset.plan.columns)
        self.before = matrix[alarmed]
        self.alarmed = alarmed
        self.train = matrix[dataset.part == "train"]
        self.label = dataset.label[dataset.part == "train"]
        self.numbers = [i for i, name in enumerate(self.columns) if name != TYPE]
        self.vary = [self.columns.index(name) for name in STEPS]
        self.low = self.train.min(axis=0)
        self.high = self.train.max(axis=0)
        self.deviation = np.median(np.abs(self.train - np.median(self.train, axis=0)), axis=0)
        self._scale = self.deviation[self.numbers]
        self.normal = self.train[self.label == 0]
        self._usual = np.sort([self._apart(row, skip=1) for row in self.normal])
        self._types = np.asarray(table["Type"])[alarmed]

    def __call__(self, after: Floats, seconds: list[float]) -> dict[str, float]:
        """Return shares, medians and means over the rows; those of an answer over the rows that
        have one."""
        found = ~np.isnan(after).any(axis=1)
        valid = np.zeros(len(after), np.bool_)
        valid[found] = (
            self.model.calibration.probability(self.model.estimator.margin_of(after[found]))
            < self.model.threshold
        )
        moved = np.abs(after - self.before) > 1e-9 * np.maximum(1, np.abs(self.before))
        fixed = [i for i in range(len(self.columns)) if i not in self.vary]
        outside = (after < self.low - 1e-6) | (after > self.high + 1e-6)
        forbidden = moved[:, fixed].any(axis=1) | (moved & outside).any(axis=1)
        apart = np.abs(after - self.before)[:, self.numbers] / self._scale
        unusual = [
            np.searchsorted(self._usual, self._apart(row, 0)) / len(self._usual)
            for row in after[found]
        ]
        safe = self.truly_safe(after)
        worn = after[:, self.columns.index(WEAR)] >= WORN
        return {
            "rows": len(after),
            "valid": round(float(valid.mean()), 3),
            "changed": round(float(moved[found].sum(axis=1).mean()), 2),
            "distance": round(float(np.median(apart[found].sum(axis=1))), 2),
            "unusual": round(float(np.median(unusual)), 3),
            "truly_safe": round(float((safe & found).mean()), 3),
            "tool_worn": round(float((worn & found).mean()), 3),
            "forbidden": int((forbidden & found).sum()),
            "seconds": round(statistics.median(seconds), 4),
            "slowest_seconds": round(max(seconds), 3),
        }

    def truly_safe(self, rows: Floats) -> npt.NDArray[np.bool_]:
        """Return which rows show none of the failures HDF, PWF and OSF (Matzka 2020)."""
        air, process, speed, wear, torque = (
            rows[:, self.columns.index(n)] for n in (AIR, PROCESS, SPEED, WEAR, TORQUE)
        )
        power = torque * speed * 2 * np.pi / 60
        heat = (process - air < 8.6) & (speed < 1380)
        strain = wear * torque > np.array([MOST_STRAIN[t] for t in self._types])
        return np.asarray(~heat & (power >= 3500) & (power <= 9000) & ~strain)

    def _apart(self, row: Floats, skip: int) -> float:
        """Return the mean distance to the five nearest normal rows of the training part."""
        apart = (np.abs(self.normal[:, self.numbers] - row[self.numbers]) / self._scale).sum(axis=1)
        return float(np.sort(np.partition(apart, NEAREST + skip)[: NEAREST + skip])[skip:].mean())


def _ours(
    model: TrainedModel, dataset: Dataset, alarmed: npt.NDArray[np.int64], answers: int
) -> tuple[Floats, list[RecommendationResult], list[float]]:
    columns = list(dataset.plan.columns)
    seconds = []
    results = []
    matrix = Columns.from_plan(dataset.plan).matrix(dataset.rows)
    after = np.full((len(alarmed), len(columns)), np.nan)
    for k, row in enumerate(alarmed.tolist()):
        history = _history(dataset, matrix, row)
        started = time.perf_counter()
        found = recommend(model, history, from_millis(int(dataset.at[row])), 2, answers=answers)
        seconds.append(time.perf_counter() - started)
        results.append(found)
        if found.helps:
            after[k] = matrix[row]
            for change in found.changes:
                after[k, columns.index(f"{change.variable}.last")] = change.after
    return after, results, seconds


def _history(dataset: Dataset, matrix: Floats, row: int) -> History:
    """Return the readings of one product, of which four variables may be set within their range in
    training."""
    variables = {}
    for i, name in enumerate(dataset.plan.columns):
        short = name.removesuffix(".last")
        low, high = (float(f(matrix[dataset.part == "train", i])) for f in (np.min, np.max))
        middle = np.median(train := matrix[dataset.part == "train", i])
        # effort in median absolute deviations
        cost = (high - low) / float(np.median(np.abs(train - middle)) or 1.0)
        setting = (
            {"controllable": True, "min": low, "max": high, "step": STEPS[name], "cost": cost}
            if name in STEPS
            else {}
        )
        variables[short] = Variable(type="category") if name == TYPE else Variable(**setting)
    readings = dataset.rows.iloc[[row]].rename(columns=lambda name: name.removesuffix(".last"))
    readings["Type"] = readings["Type"].astype(object)
    index = pd.DatetimeIndex([from_millis(int(dataset.at[row]))], name="ts").as_unit("ms")
    return History(Asset(name="mill-1", variables=variables), readings.set_index(index))


def _searches(results: list[RecommendationResult]) -> dict[str, Any]:
    kinds = [result.safety or "none" for result in results]
    return {
        "safety": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "least": sum(result.search == "least" for result in results),
        "scorings": round(statistics.mean(result.scorings for result in results), 1),
        "answers": round(
            statistics.mean(result.helps + len(result.alternatives) for result in results), 2
        ),
    }


def _nearest(measure: _Measure) -> tuple[Floats, list[float]]:
    """Return, for each row, the settings of the nearest normal training row that the model does not
    alarm for."""
    risk = measure.model.calibration.probability(measure.model.estimator.margin_of(measure.normal))
    pool = measure.normal[risk < measure.model.threshold]
    after = measure.before.copy()
    seconds = []
    for row in after:
        started = time.perf_counter()
        tried = np.repeat(row[None, :], len(pool), axis=0)
        tried[:, measure.vary] = pool[:, measure.vary]
        good = (
            measure.model.calibration.probability(measure.model.estimator.margin_of(tried))
            < measure.model.threshold
        )
        apart = (np.abs(tried - row) / measure.deviation.clip(1e-9))[:, measure.vary].sum(axis=1)
        row[:] = tried[int(np.argmin(np.where(good, apart, np.inf)))]
        seconds.append(time.perf_counter() - started)
    return after, seconds


def _dice(method: str, model: TrainedModel, measure: _Measure) -> tuple[Floats, list[float], int]:
    """Return the counterfactuals of DiCE, found in a process of its own on one thread."""
    member = model.estimator
    settings = {
        "columns": measure.columns,
        "categories": [TYPE],
        "vary": list(STEPS),
        "ranges": {
            name: [float(measure.low[i]), float(measure.high[i])]
            for i, name in enumerate(measure.columns)
            if name in STEPS
        },
        "pairs": [list(pair) for pair in member.encoding.pairs.positions],
        "slope": model.calibration.slope,
        "intercept": model.calibration.intercept,
        "threshold": model.threshold,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in member.model.files().items():
            (folder / file).write_bytes(content)
        (folder / "settings.json").write_text(json.dumps(settings))
        pd.DataFrame(measure.train, columns=measure.columns).assign(label=measure.label).to_csv(
            folder / "train.csv", index=False
        )
        pd.DataFrame(measure.before, columns=measure.columns).to_csv(
            folder / "rows.csv", index=False
        )
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        command = [DICE, SCRIPT, method, name, str(SEED)]
        done = subprocess.run(
            command, env=os.environ | one_thread, stdout=subprocess.PIPE, text=True, check=True
        )
        printed = json.loads(done.stdout.strip().splitlines()[-1])
        found = pd.read_csv(folder / f"{method}.csv")[measure.columns].to_numpy(np.float64)
    return found, printed["seconds"], printed["peak_mib"]
