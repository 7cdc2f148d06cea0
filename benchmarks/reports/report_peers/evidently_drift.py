"""Drift by Evidently (0.7): a script without imports of this platform, because it runs in another
environment.

Run: <python> evidently_drift.py REFERENCE.csv CURRENT.csv

Columns that begin with `bin_` are categories, and their population stability index is printed; of
the others the Wasserstein distance, standardised. Prints one JSON line of column to value.
"""

import json
import sys
from typing import Any

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift


def main(reference: str, current: str) -> None:
    """Print the drift of every column."""
    known = pd.read_csv(reference)
    new = pd.read_csv(current)
    names = [str(name) for name in known.columns]
    bins = [name for name in names if name.startswith("bin_")]
    numbers = [name for name in names if name not in bins]
    known[bins] = known[bins].astype(str)
    new[bins] = new[bins].astype(str)
    definition = DataDefinition(categorical_columns=bins, numerical_columns=numbers)
    metrics: list[Any] = [ValueDrift(column=name, method="psi") for name in bins]
    metrics += [ValueDrift(column=name, method="wasserstein") for name in numbers]
    report = Report(metrics)
    data = [Dataset.from_pandas(frame, data_definition=definition) for frame in (new, known)]
    found = report.run(*data).dict()["metrics"]
    print(
        json.dumps(
            {
                name: float(metric["value"])
                for name, metric in zip([*bins, *numbers], found, strict=True)
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:3])
