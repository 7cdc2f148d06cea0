"""A model that waits for a person, without a training."""

import json

from alerting.definitions.revisions import question_of
from alerting.learning.selection.decision import PROPOSAL
from alerting.usecases.model_registry import register_model
from alerting.usecases.training.run_files import report_waiting
from tests.helpers.learning.curves import curve_point
from tests.helpers.learning.proposals import proposal

CURVE = [
    curve_point(0.9, 0.5, 0.5),
    curve_point(0.7, 0.8, 2.0, chosen=True),
    curve_point(0.5, 0.9, 6.0),
    curve_point(0.2, 1.0, 9.0, time=0.45),
]


def add_waiting(platform, name, files=None, **changes):
    """Register the next version of a definition, with a proposal that waits; return its run.
    `files`: of the model, which nothing can read if left out."""
    runs = platform.models
    question = question_of(platform.definitions.newest_revision(name))
    tags = {"definition": name, "question": question}
    run = runs.start_run(name, f"{name}-{len(runs.versions(name)) + 1}", tags)
    of_run = {"training_run": run}
    version = register_model(platform, name, run, files or {"model.txt": b"x"}, of_run, {})
    waiting = proposal(
        definition=name,
        run_id=run,
        question=question,
        challenger_version=version,
        **{
            "waiting": True,
            "as_of": platform.clock.now(),
            "test": {"event_recall": 0.8},
            **changes,
        },
    )
    runs.log(run, files={PROPOSAL: waiting.to_json()}, folder="decision")
    reliability = [{"score": s, "observed": s, "rows": 50.0} for s in (0.1, 0.5, 0.9)]
    effects = [
        {"set_point": "speed", "variable": "moisture", "effect": -0.4, "error": 0.1, "relief": 0.2}
    ]
    files = {"threshold_curve": CURVE, "reliability": reliability, "effects": effects}
    files["summary"] = changes.get("test", {})
    runs.log(
        run,
        files={f"{part}.json": json.dumps(rows).encode() for part, rows in files.items()},
        folder="evidence",
    )
    report_waiting(platform, waiting)
    return run
