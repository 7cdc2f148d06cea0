"""Estimated performance by NannyML (0.13): a script without imports of this platform, because it
runs in another environment.

Run: <python> nannyml_cbpe.py REFERENCE.csv ANALYSIS.csv

Both have the columns `score` and `above` (0 or 1), the reference `label`, too. Prints recall,
precision and roc_auc of the whole analysis as one JSON line.
"""

import json
import sys

import nannyml
import pandas as pd

METRICS = ["recall", "precision", "roc_auc"]


def main(reference: str, analysis: str) -> None:
    """Print the estimates."""
    known = pd.read_csv(reference)
    new = pd.read_csv(analysis)
    estimator = nannyml.CBPE(
        y_pred_proba="score",
        y_pred="above",
        y_true="label",
        problem_type="classification_binary",
        metrics=METRICS,
        chunk_number=1,
    )
    estimator.fit(known)
    found = estimator.estimate(new).filter(period="analysis").to_df()
    print(
        json.dumps(
            {name: float(found[(name, "value")].iloc[0]) for name in METRICS}
            | {"calibrated": bool(estimator.needs_calibration)}
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:3])
