"""Does the reason point to the part that fails? Public data of 20 machines, whose failures name
their component.

Five folds of four machines: a LightGBM model with its default parameters learns from twelve other
machines, four more set calibration and threshold, and each alert on the last four that a failure of
one component followed is explained. In this simulation a failing component moves one sensor: 1
voltage, 2 rotation, 3 pressure, 4 vibration. Right: that sensor has one of the two largest
contributions of the four sensors, at the row of the raise. Chance: .50. Named as well: the share in
which it is among the first two of all variables, which include the days since each maintenance, the
age and the model of the machine.
"""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from alerting.definitions.assets import Asset
from alerting.episodes.predictions import AlarmEnd, RiskSeries, predicted_episodes
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.learning.data.dataset import Dataset
from alerting.learning.metrics.confidence import wilson_interval
from alerting.learning.models.families.registry import get_family
from alerting.learning.models.trained import TrainedModel
from alerting.learning.search.candidates import Candidate, Trial
from alerting.learning.selection.challenger import finish_challenger
from alerting.learning.selection.operating_point import observe_rows
from alerting.readings.history import from_millis
from alerting.recommendation.contributions import contributions
from benchmarks.helpers.public_data import ABSENT, azure, folder

SENSORS = {
    "failure-comp1": "volt",
    "failure-comp2": "rotate",
    "failure-comp3": "pressure",
    "failure-comp4": "vibration",
}
FOLDS = 5
CHANCE = 0.5
FAMILY = "lightgbm"


def run() -> dict[str, Any]:
    """Return the share of true alerts whose failing component has its sensor among the first two of
    the four."""
    data = folder()
    if data is None:
        return {"benchmark": "root_cause", "met": None, "note": ABSENT}
    definition, dataset = azure(data)
    failures = _failures(pd.read_csv(data / "azure_pdm_subset" / "PdM_failures.csv"))
    found: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    for model, part in _folds(definition, dataset):
        _explain_alerts(model, dataset, part, failures, found, counts)
    right = sum(one["among_sensors"] < 2 for one in found)
    low, high = wilson_interval(right, len(found))
    return {
        "benchmark": "root_cause",
        "figure": round(right / len(found), 3),
        "unit": (
            f"share of {len(found)} true alerts with the failing component's sensor among the "
            "first two of four sensors"
        ),
        "peer": "chance",
        "peer_figure": CHANCE,
        "ratio": round(right / len(found) / CHANCE, 3),
        "met": low > CHANCE,
        "interval": [round(low, 3), round(high, 3)],
        "first_of_sensors": round(float(np.mean([one["among_sensors"] == 0 for one in found])), 3),
        "first_two_of_all_variables": round(
            float(np.mean([one["among_all"] < 2 for one in found])), 3
        ),
        "failures": sum(len(of_asset) for of_asset in failures.values()),
        "alerts": counts,
        "by_sensor": {
            sensor: _counted([o for o in found if o["sensor"] == sensor])
            for sensor in SENSORS.values()
        },
    }


def _counted(found: list[dict[str, Any]]) -> str:
    return f"{sum(one['among_sensors'] < 2 for one in found)} of {len(found)}"


def _failures(table: pd.DataFrame) -> dict[str, list[tuple[int, str]]]:
    """Return instants (ms) and types of the failures of each machine."""
    found: dict[str, list[tuple[int, str]]] = {}
    at = pd.DatetimeIndex(pd.to_datetime(table["datetime"], utc=True)).as_unit("ms").asi8
    for machine, component, instant in zip(
        table["machineID"], table["failure"], at.tolist(), strict=True
    ):
        found.setdefault(f"machine-{machine}", []).append((instant, f"failure-{component}"))
    return found


def _folds(
    definition: ClassifierDefinition, dataset: Dataset
) -> list[tuple[TrainedModel, np.ndarray[Any, Any]]]:
    """Return a model for each fold, with the rows that it has not seen."""
    machines = sorted(set(dataset.asset), key=lambda name: int(name.rpartition("-")[2]))
    fold_of = np.array([machines.index(name) % FOLDS for name in dataset.asset])
    params = dict(get_family(FAMILY).defaults)
    candidate = Candidate(
        FAMILY,
        params,
        np.empty(0),
        np.empty(0),
        {"ap": 0.5},
        (Trial(params, 0.5, (0.5,)),),
        1,
        False,
    )
    made = []
    for fold in range(FOLDS):
        part = np.full(len(dataset.part), "purged", dtype=object)
        validation = fold_of == (fold + 1) % FOLDS
        part[validation] = "validation"
        part[(fold_of != fold) & ~validation & dataset.fit] = "train"
        observed = {
            m: float(np.sum(dataset.asset[validation] == m)) * dataset.plan.stride_ms / 1000
            for m in machines
        }
        observed = {machine: seconds for machine, seconds in observed.items() if seconds}
        of_fold = replace(dataset, part=part, observed={"validation": observed})
        made.append((finish_challenger(of_fold, candidate, definition)[0], fold_of == fold))
    return made


def _explain_alerts(
    model: TrainedModel,
    dataset: Dataset,
    part: np.ndarray[Any, Any],
    failures: dict[str, list[tuple[int, str]]],
    found: list[dict[str, Any]],
    counts: Counter[str],
) -> None:
    """Add the rank of the right sensor for each true alert, and count all alerts."""
    score = model.score(dataset.rows[part])
    at = dataset.at[part]
    asset = dataset.asset[part]
    rows = np.flatnonzero(part)
    observed = observe_rows(
        at,
        asset,
        dataset.measured[part],
        dataset.problems,
        dataset.occurrences,
        True,
        {},
        dataset.gap_ms,
        dataset.horizon_ms,
        AlarmEnd(None, 2 * dataset.plan.stride_ms, 4 * dataset.horizon_ms),
    )
    for name, rule in observed.rules.items():
        own = np.flatnonzero(asset == name)
        risk = RiskSeries(at[own], score[own], model.threshold)
        for raised, *_ in predicted_episodes(risk, rule):
            until = raised + model.horizon // timedelta(milliseconds=1)
            followed = [
                kind for instant, kind in failures.get(name, []) if raised < instant <= until
            ]
            counts[
                "true" if len(followed) == 1 else "several components" if followed else "false"
            ] += 1
            if len(followed) != 1:
                continue
            row = rows[own[int(np.searchsorted(at[own], raised))]]
            ranked = [
                c.variable for c in contributions(model, dataset.rows.iloc[[row]], Asset(name=name))
            ]
            sensors = [v for v in ranked if v in SENSORS.values()]
            right = SENSORS[followed[0]]
            ranks = [
                names.index(right) if right in names else len(names) for names in (sensors, ranked)
            ]
            found.append(
                {
                    "sensor": right,
                    "among_sensors": ranks[0],
                    "among_all": ranks[1],
                    "at": from_millis(raised),
                }
            )
