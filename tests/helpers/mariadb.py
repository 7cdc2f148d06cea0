"""A MariaDB server of its own, from Debian's package, for tests of sources."""

import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.file_servers import wait_for
from tests.support import free_port

INSTALL = "MariaDB is not installed: apt-get install --no-install-recommends mariadb-server"


def mariadb_server(folder: Path) -> Iterator[str]:
    """Yield the address of an empty database on a server that is stopped afterwards; skip if no
    server is installed."""
    program = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip(INSTALL)
    pytest.importorskip("pymysql", reason="pip install pymysql")
    base = Path(program).parents[1]
    port = free_port()
    user = getpass.getuser()
    common = ["--no-defaults", f"--basedir={base}", f"--datadir={folder}/data", f"--user={user}"]
    install = [
        base / "bin" / "mariadb-install-db",
        *common,
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]
    with (folder / "out").open("wb") as out:
        subprocess.run(install, check=True, stdout=out, stderr=out)
        options = [
            f"--port={port}",
            "--bind-address=127.0.0.1",
            f"--socket={folder}/socket",
            f"--pid-file={folder}/pid",
        ]
        server = subprocess.Popen(
            [program, *common, *options, "--innodb-flush-log-at-trx-commit=0"],
            stdout=out,
            stderr=out,
        )
    try:
        wait_for(port)
        yield f"mysql://root@127.0.0.1:{port}/mysql"
    finally:
        server.terminate()
        server.wait(600)
