"""Train on a number of threads and print the result: `python -m
tests.usecases.training.trained_on_threads 2`.

A process of its own, because the number of threads is said before a learner is loaded. Small tables
count as large ones, so that all threads are used where they would be used on a large one.
"""

import hashlib
import json
import os
import sys
from dataclasses import replace
from typing import Any

import numpy as np

from alerting.usecases.ingestion.arrivals import add_readings


def main(threads: int) -> dict[str, Any]:
    os.environ |= {
        "OMP_NUM_THREADS": str(threads),
        "LOKY_MAX_CPU_COUNT": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    import joblib
    from threadpoolctl import threadpool_info

    from alerting.learning.models import estimator
    from alerting.learning.models.families import lightgbm

    assert lightgbm.SMALL  # a small table's models are still the mean of three
    estimator.SMALL = 0
    found = {**models(), **decisions()}
    pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"]
    return {"threads": sorted({*pools, joblib.cpu_count()}), "found": found}


def models() -> dict[str, Any]:
    """By family, with pairs and without: what its search found, and the hash of its model."""
    from alerting.definitions.families import BUILT_IN as FAMILIES
    from alerting.learning.search.search import search_candidate
    from alerting.learning.selection.challenger import finish_challenger
    from tests import small_models

    definition = small_models.definition(learning={"trials": 2, "folds": 2})
    data = small_models.dataset()
    searched = {
        family: search_candidate(data, definition, family, lambda *_: None) for family in FAMILIES
    }
    paired = {
        f"{family} with pairs": replace(
            searched[family], params=searched[family].params | {"pairs": 3}
        )
        for family in ("lightgbm", "random_forest")
    }
    found = {}
    for name, candidate in {**searched, **paired}.items():
        model, evidence = finish_challenger(data, candidate, definition)
        scores = hashlib.sha256(
            np.concatenate([candidate.oof, model.score(data.rows)]).tobytes()
        ).hexdigest()
        found[name] = [model.hash, scores, repr(candidate.tried), json.dumps(evidence.summary)]
    return found


def decisions() -> dict[str, Any]:
    """Two trainings in a row of a platform: the first champion, and the comparison of the next
    challenger with it."""
    from alerting.definitions.assets import Variable
    from alerting.ports import ReadingRow
    from alerting.usecases.definitions.sync import apply
    from alerting.usecases.training.train import train
    from tests.builders import at, oven, too_moist
    from tests.helpers.learning.training import MINUTES, moisture_after_humidity
    from tests.in_memory_platform import Mailbox, in_memory_platform

    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven(humidity=Variable(unit="%"))])
    rows = [
        ReadingRow("oven-1", at(int(m)), {"humidity": float(h), "moisture": float(w)})
        for m, h, w in zip(*moisture_after_humidity(), strict=True)
    ]
    add_readings(platform, rows, at(0))
    learning = {"trials": 2, "folds": 2, "candidates": ["logistic_regression", "lightgbm"]}
    document = too_moist(
        learning=learning, features={"stride": "5m", "windows": ["15m", "30m", "1h"]}
    )
    apply(platform, [document], "engineer", at(0), "test")
    platform.clock.instant = at(MINUTES)
    told = {}
    for name, until in (("first", MINUTES - 12 * 60), ("next", MINUTES)):
        result = train(platform, "too-moist", at(until))
        tags = platform.models.version_tags("too-moist", result.challenger_version)
        kept = {
            "verdict",
            "promote",
            "provisional",
            "reason",
            "evidence",
            "test",
            "importance",
            "leaderboard",
        }
        told[name] = [
            tags["model_hash"],
            tags["dataset_hash"],
            result.model_dump_json(include=kept),
        ]
    return told


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(int(sys.argv[1]))))
