"""Servers in processes of their own, as they are started."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import httpx
import psutil

_START_S = 120.0


@contextmanager
def started_server(
    command: list[str], environ: Mapping[str, str], health: str
) -> Iterator[psutil.Process]:
    """Yield the process of a command that serves, once its health answers; end it with its
    children."""
    process = subprocess.Popen(
        command, env=environ, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        until = time.monotonic() + _START_S
        while not _answers(health):
            assert process.poll() is None, f"{command} has ended"
            assert time.monotonic() < until, f"{command} does not answer"
            time.sleep(0.2)
        yield psutil.Process(process.pid)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 15)  # MLflow's server is a child of the command
        process.wait(30)


def _answers(health: str) -> bool:
    try:
        return httpx.get(health, trust_env=False).is_success
    except httpx.HTTPError:
        return False
