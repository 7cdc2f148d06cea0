"""Start a cluster on this machine until Ctrl-C: `make cluster`; `make cluster ARGS=--walk` goes the
way of an alert over all its machines instead, kills a worker in the middle of a tick, and ends.

Everything lies in a temporary folder and is gone afterwards.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alerting.local import parts
from tests.cluster.death import GOAL_S, kill_in_mid_tick
from tests.cluster.walk import DAG_GOAL_S, walk
from tests.cluster.whole import Whole, whole_cluster


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--walk", action="store_true", help="an alert's way over all machines")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="alerting-cluster-") as name:
        try:
            with whole_cluster(Path(name)) as whole:
                if given.walk:
                    way = walk(whole)
                    print(json.dumps(way, indent=1), flush=True)
                    sys.exit(_report(way, kill_in_mid_tick(whole)))
                _say(whole, Path(name))
                signal.pause()
        except KeyboardInterrupt:
            print("stopped", flush=True)


def _report(way: Mapping[str, Any], death: Mapping[str, Any]) -> int:
    """Print what a death cost; returns 1 if something took too long."""
    print(json.dumps(death, indent=1))
    is_late = way["from definition to DAG"] > DAG_GOAL_S or death["done"] > GOAL_S
    if is_late:
        print(f"longer than {DAG_GOAL_S:g} s until the DAG, or {GOAL_S:g} s after a death")
    return int(is_late)


def _say(whole: Whole, folder: Path) -> None:
    settings = whole.cluster.settings
    token = whole.secrets.api_tokens["engineer"]
    print(f"APIs     {' '.join(whole.addresses.values())}  token {token}")
    print(f"Airflow  {parts.airflow_uri(settings)}  admin / {whole.secrets.airflow_password}")
    print(f"MongoDB  {whole.members.uri}")
    print(f"homes and logs: {folder}; workers: {' '.join(whole.cluster.workers)}; Ctrl-C stops all")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
