"""Airflow's scheduler, whose server of task processes loads its modules while the scheduler loads
its own.

Airflow starts that server with the first task and waits until it has loaded the modules that tasks
use: eight seconds on two cores, in which nothing else is scheduled.
"""

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping
from multiprocessing import forkserver

EXECUTOR = "AIRFLOW__CORE__EXECUTOR"
PRELOAD = "AIRFLOW__SCHEDULER__MP_FORKSERVER_PRELOAD"


def start_server_of_tasks(environ: Mapping[str, str]) -> None:
    """Start the process from which Airflow forks every task, with the modules that its setting
    names; Airflow finds it running. On workers of their own tasks need none here."""
    if environ[EXECUTOR] != "LocalExecutor":
        return
    multiprocessing.set_start_method("forkserver")
    multiprocessing.set_forkserver_preload(environ[PRELOAD].split(","))
    forkserver.ensure_running()


def main(arguments: list[str]) -> None:
    """Run `airflow scheduler` with these arguments until it ends."""
    start_server_of_tasks(os.environ)
    sys.argv = ["airflow", "scheduler", *arguments]
    runpy.run_module("airflow", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
