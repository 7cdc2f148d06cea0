"""Fixtures of this folder."""

import os
import subprocess

import pymongo
import pytest

from alerting.adapters.mongo.embedded_mongod import find_mongod, library_path
from tests.helpers.stores import real  # noqa: F401 - a fixture
from tests.support import free_port, require_real_server


@pytest.fixture(scope="session")
def plain_server(tmp_path_factory):
    """Return the address of a server that belongs to no replica set, as many people start one."""
    require_real_server()
    port = free_port()
    folder = tmp_path_factory.mktemp("plain")
    command = [find_mongod(), "--dbpath", folder, "--port", str(port), "--bind_ip", "127.0.0.1"]
    environ = os.environ | {"LD_LIBRARY_PATH": library_path(find_mongod(), folder)}
    command += ["--nounixsocket", "--logpath", folder / "log"]
    with subprocess.Popen(command, env=environ) as process:
        address = f"mongodb://127.0.0.1:{port}/?directConnection=true"
        with pymongo.MongoClient(address) as client:
            client.admin.command("ping")
        yield address
        process.kill()
