"""Reads hostile files made of a model that a training wrote, after the healthy ones; prints one
JSON line for each.

In a process of its own, with too little memory for a bomb: `python -m
tests.learning.models.read_hostile FAMILY`.
"""

import json
import resource
import sys
import time

from alerting.learning.models.files import model_from_files
from tests.helpers.learning.stored_platforms import stored_platform
from tests.humid_line import NAME
from tests.learning.models.damaged_models import platform_with, ways

ENOUGH = 3 << 30
FOR_PEOPLE = "requirements.txt"  # no loader of a model reads it


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    family = sys.argv[1]
    stored = stored_platform(platform_with, family).models.registered[NAME][0].files
    files = {name: data for name, data in stored.items() if name != FOR_PEOPLE}
    resource.setrlimit(resource.RLIMIT_AS, (ENOUGH, ENOUGH))
    for way, made in (("healthy", files), *ways(files)):
        before = peak()
        began = time.process_time()
        try:
            model_from_files(made)
            kind = ""
            refused = ""
        except Exception as fault:
            kind = type(fault).__name__
            refused = str(fault)
        found = {
            "way": way,
            "kind": kind,
            "refused": refused[:300],
            "seconds": time.process_time() - began,
        }
        sys.stdout.write(json.dumps(found | {"grown_mib": peak() - before}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
