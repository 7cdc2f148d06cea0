"""Public data sets as datasets of the platform, read from the folder in ALERTING_REAL_DATA and not
stored.

Reading needs no database; definitions, delays and names equal those of `config/examples` and its
import commands.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from sklearn.model_selection import StratifiedKFold

from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.learning.data.dataset import Dataset, build_dataset
from alerting.readings.foreign_columns import derive_name
from alerting.readings.history import History

EXAMPLES = Path(__file__).parents[2] / "config" / "examples"
AI4I_START = datetime(2020, 1, 1, tzinfo=UTC)
ABSENT = "ALERTING_REAL_DATA names no folder with the public data sets: nothing is measured"


def folder() -> Path | None:
    """Return the folder of the public data sets; None if there is none."""
    named = os.environ.get("ALERTING_REAL_DATA")
    return Path(named) if named and Path(named).is_dir() else None


def azure(
    data: Path, errors: bool = False, **learning: Any
) -> tuple[ClassifierDefinition, Dataset]:
    """Return the dataset of component failures within 24 h, without the error events unless they
    are asked for."""
    definition = _definition(f"azure/failure-24h{'' if errors else '-no-errors'}.yaml", learning)
    machines = list(_machines(data / "azure_pdm_subset", errors))
    return definition, build_dataset(definition, 1, machines, datetime(2015, 4, 1, 6, tzinfo=UTC))


def roasting(
    data: Path, assets: str = "assets.yaml", **learning: Any
) -> tuple[ClassifierDefinition, Dataset]:
    """Return the dataset of laboratory quality below its limit at the next sample. `assets`: the
    file of the asset."""
    definition = _definition("roasting/quality-low.yaml", learning)
    files = data / "roasting_production_quality"
    document = yaml.safe_load((EXAMPLES / "roasting" / assets).read_text())["roaster-1"]
    sensors = indexed(
        pd.read_csv(files / "roasting_hourly_2015.csv").drop(columns="quality"), "hour_start"
    )
    samples = indexed(pd.read_csv(files / "data_Y_hourly_quality_2015_2018.csv"), "date_time")
    readings = sensors.join(samples, how="outer")
    history = History(Asset(name="roaster-1", **document), readings)
    return definition, build_dataset(definition, 1, [history], datetime(2016, 1, 1, 2, tzinfo=UTC))


def ai4i(
    data: Path, failure: str = "Machine failure", **learning: Any
) -> tuple[ClassifierDefinition, Dataset]:
    """Return the dataset of machine failures by product: one a minute in the order of UDI, its
    failure half a minute later.

    The model sees type, temperatures, speed, torque and tool wear of the product alone: the columns
    of failure modes define the label, and are left out. `failure` may be one of them (TWF, HDF,
    PWF, OSF, RNF) instead.
    """
    table = pd.read_csv(data / "ai4i2020" / "ai4i2020.csv", encoding="utf-8-sig").sort_values("UDI")
    numbers = table.drop(
        columns=["UDI", "Product ID", "Type", "Machine failure", "TWF", "HDF", "PWF", "OSF", "RNF"]
    )
    instants = pd.date_range(AI4I_START, periods=len(table), freq="min", name="ts").as_unit("ms")
    measured = numbers.rename(columns=derive_name).astype(np.float64).set_index(instants)
    measured["Type"] = table["Type"].to_numpy(object)
    failed = pd.DataFrame(
        {"failure": table[failure].to_numpy(np.float64)}, index=instants + pd.Timedelta("30s")
    )
    variables = {
        "Type": Variable(type="category"),
        "failure": Variable(sampling=timedelta(minutes=1)),
    }
    definition = ClassifierDefinition.model_validate(
        {
            "name": "machine-fails",
            "kind": "classifier",
            "assets": ["mill-1"],
            "problem": {"variable": "failure", "above": 0.5, "predict": "state"},
            "horizon": "1m",
            "exclude": ["failure"],
            "features": {"stride": "1m", "windows": ["1m"], "aggregations": ["last"]},
            "learning": learning,
        }
    )
    readings = measured.join(failed, how="outer")
    readings["Type"] = readings["Type"].astype(object).where(readings["Type"].notna(), None)
    history = History(Asset(name="mill-1", variables=variables), readings)
    return definition, build_dataset(definition, 1, [history], readings.index[-1].to_pydatetime())


def stratified(dataset: Dataset, folds: int = 5, seed: int = 0) -> list[Dataset]:
    """Return folds of the rows without regard to time: each tests once, a fourth of the others
    validates, with equal shares of the label. For data without time stamps only."""
    label = dataset.label
    parts = []
    for _, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(label, label):
        part = np.full(len(label), "train", dtype=object)
        part[test] = "test"
        rest = np.flatnonzero(part == "train")
        _, held = next(StratifiedKFold(4, shuffle=True, random_state=seed).split(rest, label[rest]))
        part[rest[held]] = "validation"
        parts.append(part)
    return [replace(dataset, part=part) for part in parts]


def _machines(files: Path, errors: bool) -> Iterator[History]:
    types = {"maint": ("comp", "maintenance-"), "failures": ("failure", "failure-")} | (
        {"errors": ("errorID", "")} if errors else {}
    )
    tables = {
        name: pd.read_csv(files / f"PdM_{name}.csv") for name in ("telemetry", "machines", *types)
    }
    for machine in tables["machines"].itertuples():
        own = {
            name: t[t["machineID"] == machine.machineID].drop(columns="machineID")
            for name, t in tables.items()
        }
        events = [_events(own[name], column, prefix) for name, (column, prefix) in types.items()]
        told = pd.concat(events).sort_values(["start", "type"], ignore_index=True)
        yield History(
            Asset(
                name=f"machine-{machine.machineID}",
                attributes={"model": machine.model, "age": float(str(machine.age))},
            ),
            indexed(own["telemetry"], "datetime"),
            told,
            tuple(
                EventType(name=name, duration="instant") for name in sorted(told["type"].unique())
            ),
        )


def _events(table: pd.DataFrame, column: str, prefix: str) -> pd.DataFrame:
    start = pd.to_datetime(table["datetime"], utc=True).dt.as_unit("ms")
    return pd.DataFrame(
        {"type": (prefix + table[column]).astype(object), "start": start, "end": start}
    )


def hourly_machines(data: Path) -> list[History]:
    """Return the machines of the Azure subset with their hourly telemetry."""
    return list(_machines(data / "azure_pdm_subset", errors=False))


def indexed(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return a table by the instants of one of its columns."""
    instants = pd.DatetimeIndex(pd.to_datetime(table[column], utc=True), name="ts").as_unit("ms")
    return table.drop(columns=column).set_axis(instants).sort_index().astype(np.float64)


def _definition(file: str, learning: dict[str, Any]) -> ClassifierDefinition:
    document = yaml.safe_load((EXAMPLES / file).read_text())
    return ClassifierDefinition.model_validate(document | {"learning": learning})
