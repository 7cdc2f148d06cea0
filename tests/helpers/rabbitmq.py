"""A RabbitMQ broker on this machine, from Debian's package."""

import os
import shutil
import subprocess
from pathlib import Path

from alerting.settings.machine import free_port
from benchmarks.helpers.ports import await_port

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_START_S = 120.0


class Rabbit:
    """A broker with all its files in one folder, on free ports of the loopback address."""

    def __init__(self, folder: Path) -> None:
        """Write its settings into a folder. Raises FileNotFoundError if it is not installed."""
        if not PROGRAM.exists() or (epmd := shutil.which("epmd")) is None:
            raise FileNotFoundError(
                "RabbitMQ is not installed: apt-get install --no-install-recommends rabbitmq-server"
            )
        self.port = free_port()
        self._folder = folder
        self.epmd = epmd
        self._processes: list[subprocess.Popen[bytes]] = []
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.console = false\n"
        )
        (folder / "plugins").write_text("[].")
        self.environment = {
            "HOME": str(folder),
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_ALLOW_INPUT": "1",  # the process is the broker, and not a script around it
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-noinput +S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}"
            ),
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    @property
    def address(self) -> str:
        """Return its address, as a source has it."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        # without an epmd of its own RabbitMQ leaves one running
        for command in ([self.epmd], [str(PROGRAM)]):
            with (self._folder / "out").open("ab") as out:
                environment = {**os.environ, **self.environment}
                self._processes.append(
                    subprocess.Popen(
                        command, stdout=out, stderr=out, env=environment, cwd=self._folder
                    )
                )
        await_port(self.port, _START_S)

    def stop(self) -> None:
        """Stop it. Idempotent."""
        while self._processes:
            process = self._processes.pop()
            process.terminate()
            process.wait(30)
