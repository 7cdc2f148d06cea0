"""A Mosquitto broker on this machine, from Debian's package."""

import os
import shutil
import subprocess
from pathlib import Path

from alerting.settings.machine import free_port
from benchmarks.helpers.ports import await_port


class Mosquitto:
    """A broker that queues any number of messages, sends 1,000 ahead and keeps its sessions over a
    restart."""

    def __init__(self, folder: Path) -> None:
        """Write its settings into a folder. Raises FileNotFoundError if it is not installed."""
        self._program = shutil.which(
            "mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
        )
        if self._program is None:
            raise FileNotFoundError(
                "Mosquitto is not installed: apt-get install --no-install-recommends mosquitto"
            )
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        user = "user root\n" if os.getuid() == 0 else ""
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence "
            f"true\npersistence_location {folder}/\n"
            f"max_queued_messages 0\nmax_inflight_messages 1000\n{user}"
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Return its address, as a source has it."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [str(self._program), "-c", str(self._config)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        await_port(self.port, 20.0)

    def stop(self) -> None:
        """Stop it. Idempotent."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None
