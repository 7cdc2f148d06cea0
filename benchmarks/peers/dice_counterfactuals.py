"""Counterfactuals of DiCE (0.12): a script without imports of this platform, because it runs in
another environment.

Run: <python> dice_counterfactuals.py genetic|random FOLDER SEED

FOLDER holds `train.csv` (columns and `label`), `rows.csv`, `settings.json` (columns, vary, ranges,
pairs, slope, intercept, threshold) and the boosters as `model-*.txt`. Writes `METHOD.csv`, one
changed row for each row (empty where DiCE finds none), and prints seconds for each row and the peak
memory. Its class is the alarm: the probability is moved so that the threshold is .5.
"""

import contextlib
import io
import json
import sys
import time
from itertools import starmap
from pathlib import Path
from typing import Any

import dice_ml
import numpy as np
import pandas as pd

from alerting.deferred import lightgbm


class Model:
    """The platform's model with the interface of scikit-learn."""

    classes_ = np.array([0, 1])

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.boosters = [
            lightgbm.Booster(model_str=file.read_text())
            for file in sorted(folder.glob("model-*.txt"))
        ]
        self.settings = settings

    def predict_proba(self, rows: pd.DataFrame) -> Any:
        """Return the probabilities of no alarm and of an alarm."""
        matrix = rows[self.settings["columns"]].astype(float).to_numpy()
        pairs = self.settings["pairs"]
        if pairs:
            left, right = (matrix[:, [pair[side] for pair in pairs]] for side in (0, 1))
            matrix = np.hstack([matrix, left * right, left - right])
        margin = np.mean(
            [booster.predict(matrix, raw_score=True, num_threads=1) for booster in self.boosters],
            axis=0,
        )
        threshold = self.settings["threshold"]
        z = (
            self.settings["slope"] * margin
            + self.settings["intercept"]
            - np.log(threshold / (1 - threshold))
        )
        alarm = 1 / (1 + np.exp(-z))
        return np.column_stack([1 - alarm, alarm])

    def predict(self, rows: pd.DataFrame) -> Any:
        """Return whether the model alarms."""
        return (self.predict_proba(rows)[:, 1] >= 0.5).astype(int)


def main(method: str, folder: Path, seed: int) -> None:
    """Find one counterfactual for each row."""
    settings = json.loads((folder / "settings.json").read_text())
    columns = settings["columns"]
    fixed = [c for c in columns if c in settings["categories"]]
    train, rows = (pd.read_csv(folder / name) for name in ("train.csv", "rows.csv"))
    for table in (train, rows):
        table[fixed] = table[fixed].astype(int).astype(str)
    data = dice_ml.Data(
        dataframe=train[[*columns, "label"]],
        continuous_features=[c for c in columns if c not in fixed],
        outcome_name="label",
    )
    explainer = dice_ml.Dice(
        data, dice_ml.Model(model=Model(folder, settings), backend="sklearn"), method=method
    )
    options = {"random_seed": seed} if method == "random" else {"verbose": False}
    found = []
    seconds = []
    for i in range(len(rows)):
        np.random.seed(seed + i)  # DiCE draws from the global generator
        started = time.perf_counter()
        try:
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                result = explainer.generate_counterfactuals(
                    rows[columns].iloc[[i]],
                    total_CFs=1,
                    desired_class="opposite",
                    features_to_vary=settings["vary"],
                    permitted_range=settings["ranges"],
                    **options,
                )
            best = result.cf_examples_list[0].final_cfs_df
        except Exception as fault:  # DiCE raises where it finds none
            print(f"{method}, row {i}: {type(fault).__name__}: {fault}", file=sys.stderr)
            best = None
        seconds.append(time.perf_counter() - started)
        found.append(
            best[columns].iloc[0]
            if best is not None and len(best)
            else pd.Series(np.nan, index=columns)
        )
    pd.DataFrame(found)[columns].to_csv(folder / f"{method}.csv", index=False)
    memory = next(
        int(line.split()[1])
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    print(json.dumps({"seconds": seconds, "peak_mib": memory // 1024}))


if __name__ == "__main__":
    main(*starmap(lambda kind, text: kind(text), zip((str, Path, int), sys.argv[1:], strict=True)))
