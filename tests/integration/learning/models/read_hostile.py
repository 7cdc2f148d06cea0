"""Reads hostile model files, in a process of its own, with too little memory for a bomb; prints one JSON line for each.

`python -m tests.integration.learning.models.read_hostile FAMILY`.
"""

import json
import resource
import sys
import time

from alerting.learning.models.files import model_files, model_from_files
from alerting.learning.selection.challenger import finish_challenger
from tests import small_models
from tests.helpers.learning.trained import chosen
from tests.integration.learning.models.damaged_models import ways

ENOUGH = 3 << 30


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    family = sys.argv[1]
    model, _ = finish_challenger(small_models.dataset(), chosen(family), small_models.definition())
    files = model_files(model)
    model_from_files(files)
    resource.setrlimit(resource.RLIMIT_AS, (ENOUGH, ENOUGH))
    for way, made in ways(files):
        before, began = peak(), time.perf_counter()
        try:
            model_from_files(made)
            kind, refused = "", ""
        except Exception as fault:
            kind, refused = type(fault).__name__, str(fault)
        found = {"way": way, "kind": kind, "refused": refused[:300], "seconds": time.perf_counter() - began}
        sys.stdout.write(json.dumps(found | {"grown_mib": peak() - before}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
