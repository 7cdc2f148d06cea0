"""One search by this platform, in its own process.

Run: python -m benchmarks.automl.ours FOLDER ANSWER.json --budget SECONDS --seed N --core N

The steps equal those of a training: every family is searched on walk-forward folds of the training
rows, the best is fitted, calibrated on the later validation rows, and fitted again on both as what
serves is fitted again on all. A fifth of the budget is left for that; the families share the rest.
The budget is CPU time on one core, as in a search. The threshold, which the peers do not choose, is
not part of it.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.automl.peers import measured, pin

SHARES = {"persistence": 0.01, "logistic_regression": 0.05, "random_forest": 0.25, "lightgbm": 0.5}


def main() -> None:
    """Fit, score the test rows, and write the scores with time and memory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("answer", type=Path)
    parser.add_argument("--budget", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--core", type=int, required=True)
    options = parser.parse_args()
    pin(options.core)
    options.answer.write_text(
        json.dumps(measured(_prepare(options.folder, options.budget, options.seed)))
    )


def _prepare(folder: Path, budget: float, seed: int) -> Any:
    """Read the data, which is not measured, and return the work to measure."""
    from alerting.kinds.classifier.definition import ClassifierDefinition
    from alerting.learning.features.encoding import Columns
    from alerting.learning.models.calibration import fit_platt
    from alerting.learning.search.search import search_candidate
    from alerting.learning.selection.challenger import fit_rows
    from alerting.learning.selection.choice import choose
    from alerting.settings.machine import read_time
    from benchmarks.automl.tasks import reload

    definition, dataset = reload(folder)

    def work() -> tuple[Any, str]:
        candidates = []
        ceiling = 0.0
        began = read_time().cpu
        for family in definition.families:
            # a family that ends early leaves its time to the next
            ceiling += SHARES[family] * budget
            left = ceiling - (read_time().cpu - began)
            document = definition.model_dump(by_alias=True)
            document["learning"] |= {
                "trials": 1000,
                "time_budget": f"{max(left, 1):.0f}s",
                "seed": seed,
            }
            hurried = ClassifierDefinition.model_validate(document)
            candidates.append(
                search_candidate(dataset, hurried, family, lambda *_: None, None, read_time)
            )
        choice = choose(dataset, hurried, candidates)
        if choice.candidate is None:
            raise SystemExit(choice.chance.message)
        chosen = choice.candidate
        matrix = Columns.from_plan(dataset.plan).matrix(dataset.rows)
        train = dataset.part == "train"
        validation, test = (dataset.measured_in(part) for part in ("validation", "test"))
        estimator = fit_rows(dataset, chosen, hurried, matrix, train, dataset.label)
        calibration = fit_platt(estimator.margin_of(matrix[validation]), dataset.label[validation])
        found = {
            name: round(v, 4) if isinstance(v, float) else v for name, v in chosen.params.items()
        }
        tried = ", ".join(f"{c.family} {c.ap:.3f} of {c.trials}" for c in candidates)
        refitted = fit_rows(dataset, chosen, hurried, matrix, train | validation, dataset.label)
        return calibration.probability(
            refitted.margin_of(matrix[test])
        ), f"{chosen.family} {found}; over folds: {tried}"

    return work


if __name__ == "__main__":
    main()
