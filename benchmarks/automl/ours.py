"""One search by this platform, as a process of its own.

Run: python -m benchmarks.automl.ours FOLDER ANSWER.json --budget SECONDS --seed N --core N

As a training does it: every family is searched on walk-forward folds of the training rows, the chosen one is fitted on them, and
calibrated on the later validation rows. The budget is shared out equally among the families that are still to come.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.automl.peers import measured, pin


def main() -> None:
    """Fit, score the test rows, and write what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("answer", type=Path)
    parser.add_argument("--budget", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--core", type=int, required=True)
    options = parser.parse_args()
    pin(options.core)
    options.answer.write_text(json.dumps(measured(_prepare(options.folder, options.budget, options.seed))))


def _prepare(folder: Path, budget: float, seed: int) -> Any:
    """Reads the data, which is not measured, and gives what is."""
    from alerting.definitions.model import ClassifierDefinition
    from alerting.learning.candidates import baseline_candidate
    from alerting.learning.search import search_candidate
    from alerting.learning.selection import choose, finish_challenger
    from benchmarks.automl.tasks import reload

    definition, dataset = reload(folder)

    def work() -> tuple[Any, str]:
        began = time.monotonic()
        families = definition.learning.candidates
        candidates = [baseline_candidate(dataset, definition)]
        for done, family in enumerate(families):
            left = max(budget - (time.monotonic() - began), 0.0) / (len(families) - done)
            document = definition.model_dump(by_alias=True)
            document["learning"] |= {"trials": 1000, "time_budget": f"{max(left, 1):.0f}s", "seed": seed}
            hurried = ClassifierDefinition.model_validate(document)
            candidates.append(search_candidate(dataset, hurried, family, lambda *_: None, stopwatch=time.monotonic))
        chosen = choose(candidates)
        if chosen is None:
            raise SystemExit("no candidate beats the baseline")
        model, _ = finish_challenger(dataset, chosen, hurried)
        found = {name: round(v, 4) if isinstance(v, float) else v for name, v in chosen.params.items()}
        tried = ", ".join(f"{c.family} {c.ap:.3f} of {c.trials}" for c in candidates[1:])
        return model.score(dataset.rows[dataset.part == "test"]), f"{chosen.family} {found}; over folds: {tried}"

    return work


if __name__ == "__main__":
    main()
