"""Creates or migrates Airflow's database and imports its pools, in one process that loads Airflow
once: `python -m alerting.adapters.airflow.migrate DONE_AS DONE POOLS`.
"""

import sys
from pathlib import Path

from airflow.__main__ import main as airflow


def main(done_as: str, done: str, pools: str) -> None:
    """Run both commands, then write `done_as` into the file `done`. A command that fails ends the
    process with its exit code."""
    for words in (("db", "migrate"), ("pools", "import", pools)):
        sys.argv[1:] = words
        airflow()
    Path(done).write_text(done_as, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
