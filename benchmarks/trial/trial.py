"""Does following the advice help? Two simulated lines with the same disturbances, one left alone,
one acted upon.

An automatic operator follows the first recommendation of each alert after three minutes
(`docs/demo-line.md`). The definition is that of the demo, with LightGBM's default parameters only.
`ALERTING_BENCH_WEEKS`: weeks after 30 days of history (2). `ALERTING_BENCH_SEEDS`: number of lines,
from seed 21 (1). Finished weeks are stored in `.alerting/benchmarks/trial` (or below
`ALERTING_BENCH_KEPT`), so a run that was interrupted continues.
"""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alerting.adapters.files.yaml_documents import read_yaml
from alerting.adapters.memory.platform import memory_platform
from alerting.definitions.model import TrainedDefinition
from alerting.kinds.validation import parse_definition
from alerting.local.demo import EXAMPLES
from benchmarks.trial.folder import TrialFolder
from benchmarks.trial.records import TrialArguments
from benchmarks.trial.result import summarise
from benchmarks.trial.run import run_trial

FIRST_SEED = 21
AIM = 0.7
"""Share of the avoidable problems that following the first recommendations is to avoid."""


def run() -> dict[str, Any]:
    """Return problem minutes of both lines, and all metrics with their intervals."""
    weeks = int(os.environ.get("ALERTING_BENCH_WEEKS", "2"))
    lines = int(os.environ.get("ALERTING_BENCH_SEEDS", "1"))
    folder = Path(os.environ.get("ALERTING_BENCH_KEPT", ".alerting/benchmarks")) / "trial"
    definition = trial_definition()
    found = [
        run_trial(
            TrialArguments(weeks, seed),
            definition,
            memory_platform,
            TrialFolder(folder / f"seed-{seed}"),
        )
        for seed in range(FIRST_SEED, FIRST_SEED + lines)
    ]
    result = summarise(found, definition.costs)
    acted_upon, left_alone = (
        result.metrics[f"problem_minutes_{line}"].value for line in ("acted_upon", "left_alone")
    )
    avoided = result.metrics["avoidable_avoided"].value
    return {
        "benchmark": "trial",
        "figure": acted_upon,
        "unit": result.metrics["problem_minutes_acted_upon"].unit,
        "peer": "the same line left alone",
        "peer_figure": left_alone,
        "ratio": round(left_alone / acted_upon, 2)
        if acted_upon and left_alone is not None
        else None,
        "goal": f"{AIM:.0%} of the avoidable problems avoided",
        "met": None if avoided is None else avoided >= AIM,
        **asdict(result),
    }


def trial_definition() -> TrainedDefinition:
    """Return the definition of the demo, searched less, so that a trial takes minutes."""
    (document,) = read_yaml(EXAMPLES / "biscuits-too-moist.yaml")
    definition = parse_definition(document)
    assert isinstance(definition, TrainedDefinition)
    fewer = {"candidates": definition.learning.candidates[-1:], "trials": 1}
    return definition.model_copy(update={"learning": definition.learning.model_copy(update=fewer)})
