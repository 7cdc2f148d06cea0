"""A fault test as a command: its options, progress and report."""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Say = Callable[[str], None]


def run_as_command(
    about: str, run: Callable[[Path, float, int, Say], Mapping[str, Any]], minutes: float
) -> None:
    """Run a fault test, show its report, and end with 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--minutes", type=float, default=minutes)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="file for the report")
    parser.add_argument("--keep", type=Path, help="folder for data and logs, which are kept")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that no part goes on
    said = [0.0]

    def say(text: str) -> None:
        if time.monotonic() - said[0] > 10 or not text.startswith("storm"):
            said[0] = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="alerting-faults-") as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        report = run(folder, given.minutes, given.seed, say)
        if report["wrong"]:
            for out in sorted([*folder.glob("*.out"), *folder.glob("*.err")]):
                print(f"--- {out.name}\n{out.read_text()[-3000:]}", file=sys.stderr)
    text = json.dumps(report, indent=1, default=str)
    print(text)
    if given.out:
        given.out.write_text(text)
    sys.exit(1 if report["wrong"] else 0)
