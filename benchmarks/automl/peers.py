"""One search by a peer: a script without imports of this platform, because it may run in another
environment.

Run: <python> peers.py flaml|autogluon TABLE.parquet ANSWER.json --budget SECONDS --seed N --core N
     <python> peers.py flaml|autogluon --versions

The table is an exported matrix: `part`, `label` and the features under f0, f1 ... FLAML fits on
training and validation rows together and splits them as it likes. AutoGluon fits on the training
rows and validates on the later validation rows; where rows have no order in time (`--any-order`) it
too gets both.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = {
    "flaml": ("flaml", "lightgbm", "xgboost", "scikit-learn"),
    "autogluon": ("autogluon.tabular", "lightgbm", "xgboost-cpu", "catboost", "scikit-learn"),
}


def main() -> None:
    """Fit, score the test rows, and write the scores with time and memory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("system", choices=sorted(PACKAGES))
    parser.add_argument("table", nargs="?")
    parser.add_argument("answer", nargs="?")
    parser.add_argument("--versions", action="store_true")
    parser.add_argument("--budget", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--core", type=int)
    parser.add_argument("--any-order", action="store_true")
    options = parser.parse_args()
    if options.versions:
        print(json.dumps({name: version(name) for name in PACKAGES[options.system]}))
        return
    pin(options.core)
    import pandas as pd

    table = pd.read_parquet(options.table)
    parts = {part: _features(table, part) for part in ("train", "validation", "test")}
    work = {"flaml": _flaml, "autogluon": _autogluon}[options.system]
    answer = measured(lambda: work(parts, options.budget, options.seed, options.any_order))
    Path(options.answer).write_text(json.dumps(answer))


def pin(core: int) -> None:
    """Pin this process and its children to one core with one thread each, to limit the effect of
    other processes."""
    os.sched_setaffinity(0, {core})
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"


def measured(work: Any) -> dict[str, Any]:
    """Return the scores and choice of `work`, with its wall and CPU seconds and the peak memory of
    this process."""
    wall = time.monotonic()
    cpu = _cpu_seconds()
    score, chosen = work()
    took = {
        "seconds": round(time.monotonic() - wall, 2),
        "cpu_seconds": round(_cpu_seconds() - cpu, 2),
    }
    return {**took, "peak_mib": _peak_mib(), "chosen": chosen, "score": [float(s) for s in score]}


def _cpu_seconds() -> float:
    used = [resource.getrusage(actor) for actor in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def _peak_mib() -> int:
    """Return the peak memory of this program in MiB: `ru_maxrss` would include the memory of its
    parent."""
    line = next(
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    return int(line.split()[1]) // 1024


def _features(table: Any, part: str) -> Any:
    """Return features and label of a part; text becomes categories that all parts share."""
    features = table.drop(columns=["part"])
    for name in features.columns[[dtype.kind not in "fi" for dtype in features.dtypes]]:
        features[name] = features[name].astype("category")
    return features[table["part"] == part].reset_index(drop=True)


def _flaml(parts: Any, budget: float, seed: int, any_order: bool) -> tuple[Any, str]:
    import pandas as pd
    from flaml import AutoML

    del any_order
    known = pd.concat([parts["train"], parts["validation"]], ignore_index=True)
    learner = AutoML()
    learner.fit(
        X_train=known.drop(columns="label"),
        y_train=known["label"].astype(int),
        task="classification",
        metric="ap",
        time_budget=budget,
        n_jobs=1,
        seed=seed,
        verbose=0,
    )
    score = learner.predict_proba(parts["test"].drop(columns="label"))[:, 1]
    found = {
        name: round(float(v), 4) if isinstance(v, float) else v
        for name, v in learner.best_config.items()
    }
    return score, f"{learner.best_estimator} {found}"


def _autogluon(parts: Any, budget: float, seed: int, any_order: bool) -> tuple[Any, str]:
    import pandas as pd
    from autogluon.tabular import TabularPredictor

    train = parts["train"]
    later = parts["validation"]
    if any_order:
        train = pd.concat([train, later], ignore_index=True)
        later = None
    with tempfile.TemporaryDirectory() as folder:
        predictor = TabularPredictor(
            "label", eval_metric="average_precision", path=folder, verbosity=0
        )
        predictor.fit(
            # it has no seed option: the order of its rows replaces one
            train.sample(frac=1.0, random_state=seed),
            tuning_data=later,
            time_limit=budget,
            num_cpus=1,
            num_gpus=0,
        )
        score = predictor.predict_proba(parts["test"].drop(columns="label"))[1]
        return score.to_numpy(), str(predictor.model_best)


if __name__ == "__main__":
    main()
