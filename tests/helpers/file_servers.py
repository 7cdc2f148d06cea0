"""An SFTP server (OpenSSH of Debian) and an S3 server (moto) of their own, for tests of sources and
of the archive."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import free_port

INSTALL = (
    "OpenSSH's server is not installed: apt-get install --no-install-recommends openssh-server"
)


class SftpServer:
    """A server that knows one key. `known_hosts`: the file with its host key; `key`: that of the
    user."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            pytest.skip(INSTALL)
        pytest.importorskip("paramiko", reason="pip install paramiko")
        self.port = free_port()
        self.known_hosts = folder / "known_hosts"
        self.key = folder / "user"
        for name in ("host", "user"):
            subprocess.run(
                ["/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name],
                check=True,
            )
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {(folder / 'host.pub').read_text()}")
        lines = [
            f"ListenAddress 127.0.0.1:{self.port}",
            f"HostKey {folder}/host",
            f"AuthorizedKeysFile {folder}/user.pub",
        ]
        lines += [
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "PermitRootLogin yes",
            "PidFile none",
        ]
        (folder / "config").write_text("\n".join([*lines, "Subsystem sftp internal-sftp", ""]))
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where it gives up its rights
        self._process = subprocess.Popen(
            [program, "-D", "-e", "-f", folder / "config"], stderr=subprocess.DEVNULL
        )
        wait_for(self.port)

    @property
    def address(self) -> str:
        return f"sftp://{getpass.getuser()}@127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(600)


def wait_for(port: int) -> None:
    until = time.monotonic() + 600
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


def create_bucket(port: int, name: str) -> None:
    """Create a bucket on the S3 server of a port."""
    import boto3

    options = {
        "aws_access_key_id": "key",
        "aws_secret_access_key": "secret",
        "region_name": "us-east-1",
    }
    boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", **options).create_bucket(
        Bucket=name
    )


@pytest.fixture(scope="session")
def sftp_server(tmp_path_factory) -> Iterator[SftpServer]:
    server = SftpServer(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[int]:
    """Return the port of an S3 server; its users are not checked."""
    moto = pytest.importorskip("moto.server", reason="pip install 'moto[s3]'")
    port = free_port()
    server = moto.ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    yield port
    server.stop()
