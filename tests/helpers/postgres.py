"""A PostgreSQL server of its own, from Debian's package, for tests of sources."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import free_port

INSTALL = "PostgreSQL is not installed: apt-get install --no-install-recommends postgresql"


def postgres_server() -> Iterator[str]:
    """Yield the address of a new, empty database on a server that is stopped afterwards; skip if no
    server is installed."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not binaries or not (binaries[-1] / "postgres").exists():
        pytest.skip(INSTALL)
    pytest.importorskip("psycopg2", reason="pip install psycopg2-binary")
    # beside pytest's folder, which each further run of pytest closes to others
    folder = tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True)
    data = Path(folder.name, "data")
    port = free_port()
    data.mkdir()
    as_owner = []
    if os.getuid() == 0:  # the server refuses to run as root
        shutil.chown(data, "postgres")
        for parent in data.parents:
            if not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o001)
        as_owner = ["runuser", "-u", "postgres", "--"]

    def run(*command):
        subprocess.run([*as_owner, *command], check=True, cwd="/", stdout=subprocess.DEVNULL)

    run(binaries[-1] / "initdb", "-D", data, "-A", "trust", "-U", "line", "--no-sync")
    options = f"-p {port} -k '' -c listen_addresses=127.0.0.1 -c fsync=off"
    control = [binaries[-1] / "pg_ctl", "-D", data, "-w"]
    run(*control, "-l", data / "log", "-o", options, "start")
    try:
        yield f"postgresql://line@127.0.0.1:{port}/postgres"
    finally:
        run(*control, "-m", "immediate", "stop")
        folder.cleanup()
