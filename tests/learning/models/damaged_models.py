"""Evaluates with a champion whose files were damaged in every way, in a process of its own: a
damaged one may kill it.

Prints one JSON line for each way. `python -m tests.learning.models.damaged_models
FAMILY`.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator

from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.training.train import train
from tests.builders import at, too_hot
from tests.helpers.learning.stored_platforms import stored_platform
from tests.helpers.stores import states_of
from tests.humid_line import ASSET, DAY, NAME, humid_oven, learned_quickly, line
from tests.in_memory_platform import in_memory_platform
from tests.learning.models import hostile_files

HEALTHY = "healthy"
THRESHOLD = "too-wet"


def platform_with(family):
    """Two definitions with champions, and a threshold."""
    platform = in_memory_platform()
    platform.assets.store_assets([humid_oven()])
    add_readings(platform, line(days=8), at(0))
    learned = {"learning": {"trials": 1, "folds": 2, "candidates": [family]}}
    documents = [
        learned_quickly() | learned,
        learned_quickly(name=HEALTHY),
        too_hot(name=THRESHOLD, assets=[ASSET], variable="moisture", above=4.5),
    ]
    apply(platform, documents, "engineer", at(0), "test")
    platform.clock.instant = at(8 * DAY)
    for name in (NAME, HEALTHY):
        assert train(platform, name, at(4 * DAY)).promote
    return platform


def ways(files) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Every file cut at many places, lost, empty, with one byte changed, and everything that is
    hostile."""
    for name, data in files.items():
        for share in (*range(10, 100, 10), 99):
            yield f"{name} cut to {share} %", files | {name: data[: len(data) * share // 100]}
        # of a model.json a digit of the threshold: the model's own hash leaves out what decides no
        # score
        middle = (
            data.index(b'"threshold": ') + 15
            if name.endswith(hostile_files.META)
            else len(data) // 2
        )
        yield (
            f"{name} with another byte",
            files | {name: data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]},
        )
        yield f"{name} empty", files | {name: b""}
        yield f"{name} lost", {other: content for other, content in files.items() if other != name}
    yield from hostile_files.made_from(files)


def main() -> None:
    platform = stored_platform(platform_with, sys.argv[1])
    stored = platform.models.registered[NAME][0].files
    files = dict(stored)
    instant = 4 * DAY + 120
    for way, damaged in [*ways(files), ("restored", files)]:
        stored.clear()
        stored.update(damaged)
        instant += 10
        began = time.process_time()
        counts = evaluate(platform, None, at(instant))
        found = {
            "way": way,
            "unknown": counts.unknown,
            "alerts": [[a.subject, a.reason] for a in platform.platform_alerts.open()],
            "watermarks": [
                states_of(platform, name, [ASSET])[ASSET].watermark == at(instant)
                for name in (NAME, HEALTHY, THRESHOLD)
            ],
            "seconds": time.process_time() - began,
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
